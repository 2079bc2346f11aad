"""Points from a model, drawn from a latent, as asked for by `SampleOptions`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from genwright.contents.points.options import SampleOptions
from genwright.core.content import Advanced, Drawn, Event, Opened, Sample
from genwright.core.contracts import Batch
from genwright.core.errors import GenwrightError
from genwright.evaluation.arrays import shuffled_values
from genwright.evaluation.features import of_split
from genwright.objectives.flow import FlowObjective
from genwright.sampling.latent_drawer import (
    AT_ONCE,
    LatentDrawer,
    asked_way,
    check_way,
    latents_along,
)

USUAL: int = SampleOptions.usual["n"]  # samples, where no number is given


def drawer_of(opened: Opened, options: SampleOptions | None = None) -> LatentDrawer:
    """What draws, by the settings of the recipe with what the options say in place of theirs.
    Raises GenwrightError for an option that changes nothing."""
    settings = opened.settings
    if options is not None:
        for name in ("solver", "steps"):
            if getattr(options, name) is not None and not isinstance(
                opened.objective, FlowObjective
            ):
                raise GenwrightError(
                    f"--{name} is of the equation that a flow solves, and this run is no flow",
                    "leave it out",
                )
        settings = opened.changed(options)
    return LatentDrawer(opened.objective, opened.codec.space, settings)


class PointSampler:
    """See `core.content.Sampler`. Samples are (2,) float32."""

    options = SampleOptions

    def draw(
        self,
        opened: Opened,
        options: SampleOptions,
        n: int | None = None,
        first: int = 0,
        partial: bool = False,
    ) -> Iterator[Event]:
        """Points one after another, or those of a way through the latent space. Raises
        GenwrightError."""
        way = asked_way(options)
        drawer = drawer_of(opened, options)
        check_way(drawer, way)
        seed = drawer.settings.seed
        if way:
            latents, labels = latents_along(drawer, way, options, None)
            per_row = len(latents) // len(labels) if labels else 1
            for i, point in enumerate(drawer.decoded(latents)):
                label = labels[i // per_row] if labels else None
                yield Drawn(Sample(point, label, seed=seed, number=i))
            return
        count = n or options.n or USUAL
        for start in range(0, count, AT_ONCE):
            size = min(AT_ONCE, count - start)
            for i, point in enumerate(drawer(size, first=first + start)):
                yield Drawn(Sample(point, seed=seed, number=first + start + i))
            yield Advanced(start + size, count)

    def collected(self, samples: Sequence[Sample]) -> Tensor:
        """(n, 2)."""
        return torch.stack([sample.content for sample in samples])

    def real(self, dataset: Any, split: str, n: int) -> list[Sample]:
        """Points from all over a split."""
        points, _ = of_split(dataset.split(split), n)
        return [Sample(point, number=i) for i, point in enumerate(points)]

    def noise(self, like: Sequence[Sample], seed: int) -> list[Sample]:
        """Points whose coordinates are those of different points."""
        mixed = shuffled_values(self.collected(like), len(like), seed)
        return [Sample(point, seed=seed, number=i) for i, point in enumerate(mixed)]

    def batch(self, samples: Sequence[Sample], codec: Any) -> Batch:
        """x (n, 2), without conditions."""
        return {"x": self.collected(samples)}
