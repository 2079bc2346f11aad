"""Measures of a picture (`core.content.Measure`): how light and how coloured it is, how much is
drawn, whether it is symmetric. All are of pixels alone (`pixels.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from genwright.contents.images import pixels
from genwright.core.content import Measure, Sample, add_measures


def pictures_of(samples: Sequence[Sample]) -> Tensor:
    """(n, channels, height, width) of samples of one shape."""
    return torch.stack([sample.content for sample in samples])


def pixel_measure(
    name: str, statistic: Callable[[Tensor], Tensor], unit: str, detail: str
) -> Measure:
    """A measure whose value is a statistic of pictures (n, C, H, W) -> (n,)."""

    def of_all(samples: Sequence[Sample]) -> list[float]:
        if not samples:
            return []
        return [float(value) for value in statistic(pictures_of(samples))]

    def of(sample: Sample) -> float:
        return of_all([sample])[0]

    return Measure(name, of, unit, "near", "pictures", detail, of_all=of_all)


def hue(sample: Sample) -> str:
    """The name of its main hue, "grey" where it has hardly any colour."""
    return pixels.hue_names(sample.content[None])[0]


def hues(samples: Sequence[Sample]) -> list[str]:
    """The same of many samples at once."""
    return pixels.hue_names(pictures_of(samples)) if samples else []


def thumbnail(sample: Sample) -> Any:
    """(192,) float32 in [0, 1]: the picture at 8 pixels a side."""
    return pixels.thumbnails(sample.content[None])[0].numpy()


add_measures(
    "image",
    pixel_measure("brightness", pixels.brightness, "share", "mean luma, 0 black, 1 white"),
    pixel_measure("saturation", pixels.saturation, "share", "of HSV, the mean over all pixels"),
    pixel_measure(
        "colourfulness",
        pixels.colourfulness,
        "of 255",
        "Hasler and Suesstrunk's M3: 0 none, 33 moderate, 109 extreme",
    ),
    pixel_measure(
        "ink", pixels.ink_share, "share", "pixels unlike the median colour of the picture's border"
    ),
    pixel_measure(
        "symmetry", pixels.symmetry, "correlation", "with its mirror image, left and right"
    ),
    Measure(
        "main hue",
        hue,
        "",
        counted="pictures",
        detail="weighted by chroma over what is drawn",
        gives="label",
        of_all=hues,
    ),
    Measure(
        "thumbnail",
        thumbnail,
        counted="pictures",
        detail="8 by 8 pixels, averaged by area",
        gives="vector",
    ),
)
