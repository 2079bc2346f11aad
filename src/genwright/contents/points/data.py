"""Points in the plane from known distributions, on which a generator's faults can be counted.

ring: eight normals on the circle of radius 1, std 0.01; grid: 25 on {-4, -2, 0, 2, 4}^2, std 0.05:
PacGAN's protocol (Lin et al., arXiv 1712.04086), 100,000 training points. Other authors use radius
2 and std 0.02, which is another task: set `scale` and `std`. 8gaussians and moons: the pair that
flow matching is compared on (Tong et al., arXiv 2302.00482; Cheng and Schwing, 2503.10636): eight
normals at distance 5 with variance 0.1; two half circles, times 3, minus 1, whose noise is one
uniform number in [0, 0.2) that is added to both coordinates (as in torchdyn, which they draw from).
`start: 8gaussians` gives a flow that distribution to begin with, in place of N(0, I): a batch then
holds it as "start", drawn anew for every position.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from genwright.contents.points.codec import PointsCodec
from genwright.core.contracts import Batch, Source
from genwright.core.dataset import Dataset
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.data.cache import SPLITS, digest_of
from genwright.data.content import of_sources
from genwright.data.examples import Change, ExampleDataset, Split
from genwright.data.settings import DataSettings

# scale, std
_USUAL = {
    "ring": (1.0, 0.01),
    "grid": (2.0, 0.05),
    "moons": (3.0, 0.2),
    "8gaussians": (5.0, math.sqrt(0.1)),
}


def means_of(source: str, scale: float) -> Tensor | None:
    """(modes, 2), None for moons."""
    if source == "moons":
        return None
    if source == "grid":
        axis = scale * (torch.arange(5) - 2.0)
        return torch.cartesian_prod(axis, axis)
    angle = torch.arange(8).double() * (math.pi / 4)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    return (scale * circle).float()


def draw(source: str, draws: Draws, scale: float, std: float) -> Tensor:
    """(n, 2) float32, a point for each of the examples of `draws`."""
    means = means_of(source, scale)
    if means is not None:
        mode = draws.integers(f"{source} mode", len(means))
        return means[mode] + std * draws.normal(f"{source} noise", 2)
    angle = math.pi * draws.uniform("angle", 1)
    circle = torch.cat([angle.cos(), angle.sin()], 1)
    is_inner = draws.integers("moon", 2, 1) == 1
    inner = torch.tensor([1.0, 0.5]) - circle
    points = torch.where(is_inner, inner, circle)
    return scale * (points + std * draws.uniform("moon noise", 1)) - 1


class PointsData(DataSettings, family="data"):
    """Points in the plane, from a distribution that is known."""

    kind: Literal["points"] = "points"
    """Which data: points in the plane."""
    source: Literal["ring", "grid", "moons", "8gaussians"] = "ring"
    """Their distribution."""
    start: Literal["normal", "8gaussians"] = "normal"
    """What a flow starts from: N(0, I), or `8gaussians`, in the batch as "start"."""
    scale: float | None = Field(None, gt=0)
    """Radius of the ring (1) and of the eight normals (5), distance of the grid's means (2), factor
    on the moons (3)."""
    std: float | None = Field(None, ge=0)
    """Standard deviation about a mean: ring 0.01, grid 0.05, 8gaussians 0.316; width of the moons'
    uniform noise: 0.2."""
    points: int = Field(100_000, ge=1, le=100_000_000)
    """Training points."""
    held_out: int = Field(10_000, ge=0)
    """Points that are never trained on."""
    content: ClassVar[str] = "points"
    usual: ClassVar[dict[str, str]] = {
        "codec": "points",
        "model": "mlp-velocity",
        "objective": "flow",
    }

    def starts(self) -> Callable[[Draws], Tensor] | None:
        """What draws a flow's starting points, where they are not N(0, I)."""
        if self.start == "normal":
            return None
        source = self.start
        scale, std = _USUAL[source]

        def start(draws: Draws) -> Tensor:
            return draw(source, draws, scale, std)

        return start

    def prepare(self, codec_settings: Any, expect: str | None = None) -> PointsDataset:
        """Draws the points, which only the settings decide. Raises GenwrightError where the codec
        is of something else."""
        if codec_settings.kind != "points":
            raise GenwrightError(
                f"codec.kind is {codec_settings.kind}, and this data is points", "set codec=points"
            )
        return PointsDataset(self)


class PointsDataset(ExampleDataset):
    """`means` (modes, 2), None for moons; `std`; see `PointsData`."""

    unit = "points"
    codec: PointsCodec

    def __init__(self, settings: PointsData):
        self.settings = settings
        self.codec = PointsCodec()
        scale, std = _USUAL[settings.source]
        self.scale = settings.scale or scale
        self.std = std if settings.std is None else settings.std
        self.means = means_of(settings.source, self.scale)
        self.parts = {}
        self.summary: dict[str, Any] = {}
        counts = (settings.points, settings.held_out)
        for seed, (name, count) in enumerate(zip(SPLITS, counts, strict=True)):
            points = self.draw(count, seed)
            self.parts[name] = Split(np.arange(count), points.__getitem__, "point {}".format, None)
            self.summary[name] = {"examples": count}
        self.summary["skipped"] = []
        self.digest = digest_of("points", 1, settings.model_dump())
        drawn = digest_of(settings.source, self.scale, self.std)
        self.summary["content"] = of_sources(
            {name: [Source(f"{drawn} {count}")] for name, count in zip(SPLITS, counts, strict=True)}
        )
        self.shards: dict[str, str] = {}

    def draw(self, count: int, seed: int) -> Tensor:
        """(count, 2): the points of the target; seeds 0 and 1 are the training and the held-out
        ones."""
        draws = Draws(seed, 0, torch.arange(count))
        return draw(self.settings.source, draws, self.scale, self.std)

    def change(self, lookahead: int, training: bool) -> Change | None:
        """Adds starting points to a batch, where they are not N(0, I)."""
        start = self.settings.starts()
        if start is None:
            return None

        def with_start(batch: Batch, draws: Draws) -> Batch:
            return batch | {"start": start(draws)}

        return with_start


def points_of(dataset: Dataset) -> PointsDataset:
    """The data of a run that makes points, as what they are."""
    return cast(PointsDataset, dataset)
