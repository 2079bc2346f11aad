"""Measures of a point in the plane (`core.content.Measure`): how far out it lies, and where."""

from __future__ import annotations

import math
from typing import Any

from genwright.core.content import Measure, Sample, add_measures


def distance(sample: Sample) -> float:
    """Its Euclidean distance from the origin; NaN where a coordinate is not finite."""
    x, y = sample.content.tolist()
    length = math.hypot(x, y)
    return length if math.isfinite(length) else math.nan


def quadrant(sample: Sample) -> str:
    """ "upper right", ...; a coordinate of 0 counts as upper, and as right. "nowhere" where a
    coordinate is not a number."""
    x, y = sample.content.tolist()
    if math.isnan(x) or math.isnan(y):
        return "nowhere"
    height = "upper" if y >= 0 else "lower"
    side = "right" if x >= 0 else "left"
    return f"{height} {side}"


def coordinates(sample: Sample) -> Any:
    """(2,) float32."""
    return sample.content.numpy()


add_measures(
    "points",
    Measure(
        "distance from the origin",
        distance,
        unit="of the plane",
        counted="points",
        detail="Euclidean, the mean over points",
    ),
    Measure("quadrant", quadrant, unit="", counted="points", gives="label"),
    Measure("coordinates", coordinates, unit="of the plane", counted="points", gives="vector"),
)
