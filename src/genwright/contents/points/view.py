"""How points are shown: over real ones, in the plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import torch

from genwright.contents.points.data import points_of
from genwright.contents.points.drawing import scatter
from genwright.contents.points.options import SampleOptions
from genwright.core.content import Event, Fragment, Mark, Opened, Part, Sample
from genwright.evaluation.features import of_split
from genwright.reporting.markup import Markup
from genwright.reporting.png import write
from genwright.sampling.latent_drawer import asked_way

POINT = Markup("<code>({:.4g}, {:.4g})</code>{}")
REAL = 2000  # real points that stand behind samples


class PointView:
    """See `core.content.View`."""

    def write(
        self,
        samples: Sequence[Sample],
        folder: Path,
        options: SampleOptions | None,
        opened: Opened,
    ) -> list[Path]:
        """One picture of all points over real ones."""
        way = asked_way(options) if options else ""
        points = torch.stack([sample.content for sample in samples])
        real, _ = of_split(points_of(opened.dataset()).split("train"), REAL)
        return [write(folder / f"{way or 'grid'}.png", scatter(points, real))]

    def terminal(self, out: TextIO, options: SampleOptions) -> Callable[[Event], None] | None:
        """Points are written as a picture."""
        return None

    def show(self, sample: Sample, marks: Sequence[Mark] = ()) -> Fragment:
        """Its coordinates."""
        x, y = sample.content.tolist()
        notes = "".join(f" ({mark.note})" for mark in marks if mark.note)
        return Fragment(POINT.format(x, y, notes))

    def parts(self, sample: Sample, codec: Any) -> list[Part]:
        """The two coordinates, one flat value each."""
        return [Part("x", 0, 1), Part("y", 1, 2)]
