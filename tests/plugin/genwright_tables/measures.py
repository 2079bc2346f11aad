"""Measures of rows. Those of single columns depend on the table: see `column_means`."""

import math
from collections import Counter

import numpy as np

from genwright.core.content import Measure, Sample, SetMeasure, add_measures


def is_number(value) -> bool:
    return not isinstance(value, str)


def copied(sample: Sample) -> float:
    return float(sample.content.copied)


def first_category(sample: Sample) -> str:
    return next((value for value in sample.content.values() if not is_number(value)), "none")


def categories_apart(samples: list[Sample], reference: list[Sample]) -> float:
    """Total variation between the shares of the categories, its mean over the columns."""
    if not samples or not reference:
        return math.nan
    apart = []
    for name in [name for name, value in reference[0].content.items() if not is_number(value)]:
        one, other = (Counter(s.content[name] for s in side) for side in (samples, reference))
        shares = [
            abs(one[key] / one.total() - other[key] / other.total()) for key in {*one, *other}
        ]
        apart.append(sum(shares) / 2)
    return sum(apart) / len(apart) if apart else math.nan


def correlations_apart(samples: list[Sample], reference: list[Sample]) -> float:
    """Mean absolute difference of correlations, over pairs of different columns; a category is a
    column of 0 and 1. A column that does not vary correlates with none."""
    if len(samples) < 2 or len(reference) < 2:
        return math.nan
    names = list(reference[0].content)
    fields = []  # (which column, its category or None)
    for name in names:
        if is_number(reference[0].content[name]):
            fields.append((name, None))
        else:
            fields += [(name, value) for value in sorted({s.content[name] for s in reference})]
    owners = np.array([names.index(name) for name, _ in fields])
    pairs = owners[:, None] != owners[None, :]
    if not pairs.any():
        return math.nan
    one, other = (_correlations(side, fields) for side in (samples, reference))
    return float(np.abs(one - other)[pairs].mean())


def _correlations(samples: list[Sample], fields: list[tuple]) -> np.ndarray:
    values = np.array(
        [
            [
                s.content[name] if value is None else s.content[name] == value
                for name, value in fields
            ]
            for s in samples
        ],
        dtype=float,
    )
    centred = values - values.mean(0)
    lengths = np.sqrt((centred**2).sum(0))
    return centred.T @ centred / np.maximum(np.outer(lengths, lengths), 1e-12)


def column_means(names: list[str]) -> dict[str, Measure]:
    """A measure for each of these numeric columns."""

    def of(name):
        return lambda sample: float(sample.content[name])

    return {
        f"mean {name}": Measure(
            f"mean {name}", of(name), "in its unit", "near", "rows", "the mean over rows"
        )
        for name in names
    }


add_measures(
    "table",
    Measure("copies", copied, "share", "near", "rows", "rows that were trained on"),
    Measure("first category", first_category, gives="label"),
    SetMeasure("categories", categories_apart, "total variation", "lower", "rows"),
    SetMeasure("correlations", correlations_apart, "mean difference", "lower", "rows"),
)
