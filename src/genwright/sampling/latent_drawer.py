"""Draws from an objective that makes content from a latent (`contracts.Latent`): samples, and ways
through the latent space, asked for by `sampling.options.LatentOptions`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from genwright.core.contracts import Latent, Space
from genwright.core.errors import GenwrightError
from genwright.sampling import latent
from genwright.sampling.options import LatentOptions

WAYS = ("walk", "traverse", "interpolate", "directions", "invert")
VALUES = torch.linspace(-3, 3, 7)  # of a latent dimension that is traversed
HEADS = [f"{value:g}" for value in VALUES.tolist()]
AT_ONCE = latent.BATCH  # samples that are drawn together
SOME = 8  # stops of a walk, rows of an interpolation, where no number is given


class LatentDrawer:
    """Samples of an objective, live in training or loaded. settings: `sampling.drawing.Drawing`.
    Conditions are rows (1 or n, columns), or None."""

    def __init__(self, objective: Any, space: Space, settings: Any):
        self.objective = objective
        self.space = space
        self.settings = settings

    @property
    def through_latent(self) -> bool:
        """Whether there is a latent space."""
        return isinstance(self.objective, Latent)

    @property
    def has_directions(self) -> bool:
        """Whether the latent space has principal directions."""
        return isinstance(self.objective, Latent) and self.objective.directions is not None

    @property
    def draws(self) -> bool:
        """Whether the objective draws samples at all."""
        return self.through_latent

    @property
    def conditional(self) -> bool:
        """Whether what it is asked for reaches what it makes."""
        reached = not isinstance(self.objective, Latent) or self.objective.conditional
        return self.space.columns > 0 and reached

    def __call__(
        self,
        count: int,
        condition: Tensor | None = None,
        negative: Tensor | None = None,
        first: int = 0,
    ) -> Tensor:
        """Samples first, first + 1, ... (count, *shape), on the CPU."""
        return self.decoded(self.latents(count, first), condition, negative)

    def latents(self, count: int, first: int = 0) -> Tensor:
        """(count, *latent) of samples first, first + 1, ..."""
        return latent.latents(self.objective, count, self.settings, first)

    def decoded(
        self, z: Tensor, condition: Tensor | None = None, negative: Tensor | None = None
    ) -> Tensor:
        """Latents (n, *latent) -> content (n, *shape), on the CPU."""
        made = latent.decoded(self.objective, self.space, z, condition, negative, self.settings)
        return made.cpu()

    def along(
        self, count: int, directions: bool, condition: Tensor | None = None
    ) -> tuple[Tensor, list[str]]:
        """The `count` most active latent dimensions, or principal directions: unit vectors (k,
        *latent) and their labels. Raises GenwrightError."""
        if directions:
            found = self.objective.directions(min(count, math.prod(self.objective.latent)))
            return found, [f"direction {i + 1}" for i in range(len(found))]
        found, order = latent.axes(
            self.objective, self.space, self.latents(1), count, condition, self.settings
        )
        return found, [f"dimension {i}" for i in order]


def asked_way(options: Any) -> str:
    """Which of `WAYS` the options ask for; "" for plain samples. Raises GenwrightError for two."""
    ways = [name for name in WAYS if getattr(options, name, None)]
    if len(ways) > 1:
        raise GenwrightError(
            f"--{ways[0]} and --{ways[1]} were both given", "ask for one of them at a time"
        )
    return ways[0] if ways else ""


def check_way(drawer: LatentDrawer, way: str) -> None:
    """Raises GenwrightError where the objective has no such way."""
    if not way:
        return
    if not drawer.through_latent:
        raise GenwrightError(
            f"--{way} needs a latent space, which this run has not", "leave it out"
        )
    if way == "directions" and not drawer.has_directions:
        what = (
            "--directions needs a latent space with principal directions (a GAN), "
            "which this run has not"
        )
        raise GenwrightError(what, "use --traverse or --walk")


def latents_along(
    drawer: LatentDrawer, way: str, options: LatentOptions, condition: Tensor | None
) -> tuple[Tensor, list[str]]:
    """Latents (n, *latent) of a way, row by row, and the labels of its rows."""
    if way == "walk":
        assert options.walk
        return latent.walk(drawer.latents(max(2, options_n(options, SOME))), options.walk), []
    if way == "interpolate":
        assert options.interpolate
        rows = options_n(options, SOME)
        ends = drawer.latents(2 * rows)
        return latent.interpolate(ends[:rows], ends[rows:], options.interpolate), []
    lines, labels = drawer.along(options_n(options, 16), way == "directions", condition)
    return latent.traverse(drawer.latents(1), lines, VALUES), labels


def options_n(options: Any, usual: int) -> int:
    """How many are asked for."""
    return options.n or usual
