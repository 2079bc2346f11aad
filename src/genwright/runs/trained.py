"""What the parts of this room and a kind of content ask of a trained run; `run.Run` is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import nn

from genwright.core.content import Opened
from genwright.recipe.schema import Recipe


class TrainedRun(Protocol):
    """A run's folder, opened; see `run.Run`."""

    folder: Path

    @property
    def step(self) -> int: ...

    @property
    def weights(self) -> str: ...

    @property
    def recipe(self) -> Recipe: ...

    @property
    def codec(self) -> Any: ...

    @property
    def objective(self) -> Any: ...

    @property
    def model(self) -> nn.Module: ...

    @property
    def environment(self) -> dict[str, Any]: ...

    @property
    def records(self) -> list[dict[str, Any]]: ...

    @property
    def kind(self) -> Any:
        """Its kind of content, a `content.Content`."""

    def dataset(self) -> Any: ...

    def opened(self) -> Opened: ...

    def sampling(self, **settings: Any) -> Any: ...

    def sample(self, *arguments: Any, **options: Any) -> Any: ...
