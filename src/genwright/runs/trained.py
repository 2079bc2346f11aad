"""What the parts of this room and a kind of content ask of a trained run; `run.Run` is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from genwright.core.content import Opened, OwnMeasure
from genwright.core.contracts import Codec, Objective
from genwright.core.dataset import Dataset
from genwright.core.registry import Settings
from genwright.recipe.schema import Recipe


class TrainedRun(Protocol):
    """A run's folder, opened; see `run.Run`. measures: of a person's own, that are named now."""

    folder: Path
    measures: Sequence[OwnMeasure]

    @property
    def step(self) -> int:
        """Updates made at the checkpoint that is read."""

    @property
    def weights(self) -> str:
        """ "ema" or "raw": which weights the networks have."""

    @property
    def recipe(self) -> Recipe:
        """With every default spelt out."""

    @property
    def codec(self) -> Codec:
        """As it was trained or chosen for this run, loaded from its folder."""

    @property
    def objective(self) -> Objective:
        """With trained networks, in evaluation mode and without gradients."""

    @property
    def model(self) -> nn.Module:
        """The network called "model"; not every objective has one."""

    @property
    def environment(self) -> dict[str, Any]:
        """Machine, versions and data as they were at the start; may be empty."""

    @property
    def records(self) -> list[dict[str, Any]]:
        """One for each step and evaluation, oldest first."""

    def dataset(self) -> Dataset:
        """The prepared data. Raises GenwrightError where they have changed since training."""

    def opened(self) -> Opened:
        """What a `Sampler` draws from, under the settings of the recipe."""

    def sampling(self, **settings: Any) -> Settings:
        """The settings of sampling with some of them changed. Raises GenwrightError for an unknown
        one."""

    def sample(self, *arguments: Any, **options: Any) -> Any:
        """Samples in the form that is usual for their kind of content; arguments as of
        `Run.sample`."""
