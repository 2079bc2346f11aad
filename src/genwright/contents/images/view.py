"""How pictures are shown: grids, single files, animations, and on a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import torch

from genwright.contents.images import drawing
from genwright.contents.images.options import SampleOptions
from genwright.core.content import Event, Fragment, Mark, Opened, Part, Sample
from genwright.reporting.png import Picture, figure, write
from genwright.sampling.latent_drawer import HEADS, VALUES, asked_way

PATCHES = 4  # along each side: the parts that a picture is divided into


class PictureView:
    """See `core.content.View`."""

    def write(
        self,
        samples: Sequence[Sample],
        folder: Path,
        options: SampleOptions | None,
        opened: Opened | None,
    ) -> list[Path]:
        """A grid, and each sample as a file of its own; or one of the ways through a latent
        space."""
        way = asked_way(options) if options else ""
        x = torch.stack([sample.content for sample in samples])
        place = folder / f"{way or 'grid'}.png"
        if way == "walk":
            return [write(place, drawing.animation(x))]
        if way in ("traverse", "directions"):
            labels = [str(sample.prompt) for sample in samples[:: len(VALUES)]]
            return [write(place, drawing.grid(x, len(VALUES), labels, HEADS))]
        if way == "interpolate":
            assert options and options.interpolate
            return [write(place, drawing.grid(x, options.interpolate))]
        columns = len(x) if way == "invert" else math.ceil(math.sqrt(len(x)))
        paths = [write(place, drawing.grid(x, columns))]
        prefix = f"{way}-" if way else ""
        for number, picture in enumerate(x, start=1):
            name = f"{prefix}{number:04d}.png"
            paths.append(write(folder / name, drawing.single(picture)))
        return paths

    def terminal(self, out: TextIO, options: SampleOptions) -> Callable[[Event], None] | None:
        """A terminal shows no pictures."""
        return None

    def show(self, sample: Sample, marks: Sequence[Mark] = ()) -> Fragment:
        """An image, enlarged by a whole factor; what is marked is said below it."""
        caption = ", ".join(mark.note for mark in marks if mark.note)
        title = str(sample.prompt) if sample.prompt else f"Sample {sample.number + 1}"
        png = drawing.grid(sample.content[None], 1)
        return Fragment(figure(Picture(title, caption, png, small=True)))

    def parts(self, sample: Sample, codec: Any) -> list[Part]:
        """Patches, PATCHES along each side; a range is that of the first row of their values, as
        the rows of a patch are apart in memory."""
        height, width = sample.content.shape[-2:]
        tall = max(1, height // PATCHES)
        wide = max(1, width // PATCHES)
        found = []
        for row in range(0, height - tall + 1, tall):
            for column in range(0, width - wide + 1, wide):
                start = row * width + column
                name = f"rows {row} to {row + tall - 1}, columns {column} to {column + wide - 1}"
                found.append(Part(name, start, start + wide))
        return found
