"""Losses of single held-out examples, as an audit keeps them: two runs that were measured on the
same examples are compared example by example, which says much more than two means do."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genwright.audit.by_group import LEVEL
from genwright.audit.losses import Losses
from genwright.evaluation.intervals import FEWEST
from genwright.evaluation.probabilities import t_quantile

DIGITS = 7  # of a loss that is kept


@dataclass(frozen=True)
class HeldOut:
    """examples: a digest of their names and of how much was measured of each. totals, counts: of
    each example the loss summed over its units, and how many these are. clusters: of each."""

    examples: str
    totals: list[float]
    counts: list[float]
    clusters: list[int]


def held_out_of(found: Losses, names: Sequence[str], clusters: np.ndarray) -> HeldOut:
    """names, clusters: of each measured example."""
    counts = [float(count) for count in found.count]
    words = "\n".join([*names, *map(str, counts)])
    digest = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    totals = [float(f"{total:.{DIGITS}g}") for total in found.total]
    return HeldOut(digest, totals, counts, [int(cluster) for cluster in clusters])


def mean_of(kept: HeldOut) -> tuple[float, float]:
    """The mean a unit over all examples, and half of its interval; NaN of fewer examples than
    `FEWEST`, or of one cluster."""
    every = np.arange(len(kept.totals))
    return _ratio(np.array(kept.totals), np.array(kept.counts), np.array(kept.clusters), every)


def change_of(
    one: Mapping[str, Any] | None, other: Mapping[str, Any] | None, rows: Sequence[int] | None
) -> tuple[float, float] | None:
    """By how much the mean a unit of the same examples differs, other minus one, and half of its
    interval, from the differences of single examples. one, other: as `HeldOut` is kept; rows: which
    examples, None for all. None where the two were not measured on the same ones, or on too few."""
    if not one or not other or one["examples"] != other["examples"]:
        return None
    totals = np.array(other["totals"], float) - np.array(one["totals"], float)
    every = np.arange(len(totals)) if rows is None else np.array(rows, np.int64)
    mean, half = _ratio(totals, np.array(one["counts"]), np.array(one["clusters"]), every)
    if np.isnan(half):
        return None
    return mean, half


def _ratio(
    totals: np.ndarray, counts: np.ndarray, clusters: np.ndarray, rows: np.ndarray
) -> tuple[float, float]:
    """The sum of some totals over that of their counts, and half of its interval (linearised,
    between clusters: Cochran, "Sampling Techniques", 6.5)."""
    rows = rows[counts[rows] > 0]
    names, places = np.unique(clusters[rows], return_inverse=True)
    size = len(names)
    if len(rows) < FEWEST or size < 2:
        return float("nan"), float("nan")
    whole = counts[rows].sum()
    mean = totals[rows].sum() / whole
    sums = np.bincount(places, totals[rows] - mean * counts[rows])
    variance = size / (size - 1) * (sums**2).sum() / whole**2
    half = t_quantile((1 + LEVEL) / 2, size - 1) * float(np.sqrt(variance))
    return float(mean), half
