"""Corrected shares among the samples that have any of some groups.

A judge of an attribute also knows what has none of its values. Of interest are shares among what
has one: share[g] / (1 - share[none]). Both are corrected (`corrected.py`); the variance of their
ratio is that of share[g] - ratio * (1 - share[none]), divided by the square of what stands below
(Fieller's numerator), and the interval is Wilson's with the effective size that this gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from genwright.audit.corrected import (
    Matrix,
    Sampled,
    clustering,
    confusion,
    inverse_of,
    on_simplex,
    saying,
)
from genwright.core.errors import GenwrightError
from genwright.core.groups import Judge
from genwright.evaluation.intervals import FEWEST, LEVEL, Share, score_interval
from genwright.evaluation.probabilities import t_quantile


def corrected_among(
    samples: np.ndarray,
    judge: Judge,
    groups: Sequence[str],
    clusters: np.ndarray | None = None,
    level: float = LEVEL,
) -> list[Share]:
    """The shares of these groups of a judge among the samples that are of any of them. samples:
    (n, the judge's groups) what `judge.of` gave. Counts are those of the likeliest group. Raises
    GenwrightError as `corrected` does."""
    given, own_clusters = saying(samples, clusters)
    if not len(given):
        raise GenwrightError(
            "the classifier says nothing of any sample", "audit groups that samples can have"
        )
    matrix = confusion(judge)
    inverse = inverse_of(judge.groups, matrix)
    mean = given.mean(0)  # (groups,)
    inside = on_simplex(inverse @ mean)
    sampled = Sampled(len(given), *clustering(given, mean, own_clusters))
    places = [judge.groups.index(group) for group in groups]
    whole = np.zeros(len(judge.groups))
    whole[places] = 1.0
    within = float(inside[places].sum())
    likeliest = np.bincount(given.argmax(1), minlength=len(judge.groups))
    total = int(likeliest[places].sum())
    found = []
    for place, group in zip(places, groups, strict=True):
        count = int(likeliest[place])
        if within <= 0:
            found.append(Share(group, count, total, math.nan, 0.0, 1.0, 0.0, count, True))
            continue
        share = float(inside[place]) / within
        row = inverse[place] - share * (whole @ inverse)
        variance, freedom = _variance(row, inside, matrix, sampled)
        low, high, size = _interval(share, variance / within**2, freedom, len(given), level)
        found.append(Share(group, count, total, share, low, high, size, count, count < FEWEST))
    return found


def _variance(
    row: np.ndarray, shares: np.ndarray, matrix: Matrix, sampled: Sampled
) -> tuple[float, float]:
    """Of the product of a row with what is judged, by samples and by held-out examples; and its
    degrees of freedom (Satterthwaite)."""
    mean = shares @ matrix.means
    spread = np.einsum("h,ghk,k->g", row, matrix.spreads, row) + (matrix.means @ row) ** 2
    of_samples = float(shares @ spread - (mean @ row) ** 2) * sampled.effect / sampled.number
    of_matrix = np.einsum("h,ghk,k->g", row, matrix.errors, row) * shares**2
    parts = np.concatenate([[max(of_samples, 0.0)], of_matrix])
    total = float(parts.sum())
    divisor = float((parts**2 / np.concatenate([[sampled.freedom], matrix.freedom])).sum())
    return total, 1e12 if divisor == 0 else total**2 / divisor


def _interval(
    share: float, variance: float, freedom: float, count: int, level: float
) -> tuple[float, float, float]:
    """(low, high, effective size). A share of 0 or 1 is taken for half a sample away from it where
    its variance is looked at."""
    least = 0.5 / count
    near = min(max(share, least), 1 - least)
    size = float(count) if variance <= 0 else min(float(count), near * (1 - near) / variance)
    low, high = score_interval(share, size, t_quantile((1 + level) / 2, freedom))
    return low, high, size
