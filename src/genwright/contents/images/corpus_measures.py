"""The attribute group `pictures` and the rule set `pictures`: pictures that are too small, odd in
shape, dark, bright, flat or blurred.

    filters: [pictures]
    filters: [{pictures: {blur: 60, small: 64, odd: null}}]     # other bounds, or none

What is looked at is the picture in grey on white, shrunk by area until its longer side has
`LONGEST` pixels; what is smaller is not enlarged.

1. Size and shape: the shorter side, and the longer side divided by it. Gadre et al., DataComp
   (arXiv 2304.14108), keep pictures with a shorter side of at least 200 pixels and a ratio of less
   than 3; small ones are usual here, so that the bound is 16.
2. Darkness and brightness: a picture is too dark where even its brightest pixels are, and too
   bright where even its darkest ones are: percentiles 99 and 1. A mean would drop drawings of thin
   lines.
3. Flatness: the standard deviation of grey.
4. Blur: the variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield
   microscopy: a comparative study", ICPR 2000, their measure LAP4), of the four neighbours of each
   pixel inside.

A picture is decoded, and forgotten before the next one. Worker processes import this module: it
must not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from genwright.contents.images.pictures import BadPicture, read_bytes
from genwright.contents.images.shrunk import grey
from genwright.core.corpus import (
    Attributes,
    Column,
    Rule,
    RuleSet,
    add_attributes,
    add_rules,
)
from genwright.core.registry import Settings

KIND = "images"  # of corpora
LONGEST = 256  # pixels
COLUMNS = (
    Column("side", unit="pixels", detail="of the shorter side"),
    Column("ratio", detail="of the longer side to the shorter one"),
    Column("brightest", unit="share", detail="of white, of the brightest hundredth"),
    Column("darkest", unit="share", detail="of white, of the darkest hundredth"),
    Column("contrast", unit="share", detail="of white: the standard deviation of grey"),
    Column("sharpness", detail="the variance of the Laplacian, of grey from 0 to 255"),
)
SOURCE = (
    "small and odd: Gadre et al., 2023 (arXiv 2304.14108), with a smaller side; blur:"
    " Pech-Pacheco et al., 2000; their bounds and the others are this program's"
)


class PictureBounds(Settings):
    """The bounds of the rule set `pictures`; null: no such rule."""

    small: float | None = Field(16, ge=0)
    """Pixels of the shorter side, at least."""
    odd: float | None = Field(3, ge=1)
    """The longer side, divided by the shorter one, at most."""
    dark: float | None = Field(0.2, ge=0, le=1)
    """Grey of the brightest hundredth of a picture, as a share of white, at least."""
    bright: float | None = Field(0.95, ge=0, le=1)
    """Grey of the darkest hundredth, at most."""
    flat: float | None = Field(0.02, ge=0, le=1)
    """The standard deviation of grey, as a share of white, at least."""
    blur: float | None = Field(40, ge=0)
    """The variance of the Laplacian, at least. Of photographs it is hundreds and thousands, and
    below 20 where they are out of focus by a hundredth of their width."""


def pictures(bounds: PictureBounds) -> RuleSet:
    """The set with these bounds."""
    rules = (
        Rule("pictures.small", "side", bounds.small, detail="not too small"),
        Rule("pictures.odd", "ratio", None, bounds.odd, "neither a strip nor a column"),
        Rule("pictures.dark", "brightest", bounds.dark, detail="something in it is bright"),
        Rule("pictures.bright", "darkest", None, bounds.bright, "something in it is dark"),
        Rule("pictures.flat", "contrast", bounds.flat, detail="something is to be seen"),
        Rule("pictures.blur", "sharpness", bounds.blur, detail="edges are sharp"),
    )
    bounded = [rule for rule in rules if (rule.at_least, rule.at_most) != (None, None)]
    return RuleSet("pictures", tuple(bounded), ("pictures",), SOURCE)


def measured(files: Sequence[bytes]) -> dict[str, Any]:
    """Name of a column -> (documents,) float64; NaN for what is no picture."""
    rows = [_row(data) for data in files]
    table = np.array(rows, np.float64).reshape(-1, len(COLUMNS))
    return {column.name: table[:, place] for place, column in enumerate(COLUMNS)}


def _row(data: bytes) -> list[float]:
    """The values of one picture."""
    try:
        picture = read_bytes(data)
    except BadPicture:
        return [np.nan] * len(COLUMNS)
    height, width = picture.values.shape[:2]
    shrunk = grey(picture, LONGEST)
    darkest, brightest = np.percentile(shrunk, [1, 99])
    return [
        min(height, width),
        max(height, width) / min(height, width),
        brightest / 255,
        darkest / 255,
        shrunk.std() / 255,
        sharpness(shrunk),
    ]


def sharpness(values: np.ndarray) -> float:
    """The variance of the Laplacian inside a picture; NaN where no pixel has four neighbours.
    values: (height, width) from 0 to 255."""
    middle = values[1:-1, 1:-1]
    if not middle.size:
        return float("nan")
    laplacian = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    laplacian = laplacian - 4 * middle
    return float(laplacian.var())


add_attributes(KIND, Attributes("pictures", COLUMNS, measured))
add_rules(KIND, RuleSet("pictures", (), (), SOURCE, settings=PictureBounds, make=pictures))
