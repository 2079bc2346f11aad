"""Corrected shares among the samples that have any of some groups.

A judge of an attribute also knows what has none of its values. Of interest are shares among what
has one: share[g] / (1 - share[none]). Both are corrected (`corrected.py`). The interval holds those
values that a test does not refuse: if share[g] is r times all of interest, then share[g] - r * (all
of interest), as it is estimated, differs from 0 by at most t standard errors, with the errors of
samples and matrix that such shares would have (Fieller, "Some problems in interval estimation",
1954).
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
from genwright.evaluation.intervals import FEWEST, LEVEL, Share
from genwright.evaluation.probabilities import t_quantile

TRIED = 100  # values of a share, then as many between two of them where the interval ends


def corrected_among(
    samples: np.ndarray,
    judge: Judge,
    groups: Sequence[str],
    clusters: np.ndarray | None = None,
    level: float = LEVEL,
) -> list[Share]:
    """The shares of these groups of a judge among the samples that are of any of them. samples:
    (n, the judge's groups) what `judge.of` gave. Counts are those of the likeliest group. Where no
    sample is of any of them, shares are NaN. Raises GenwrightError as `corrected` does."""
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
    places = np.array([judge.groups.index(group) for group in groups])
    within = float(inside[places].sum())
    likeliest = np.bincount(given.argmax(1), minlength=len(judge.groups))
    total = int(likeliest[places].sum())
    found = []
    for place, group in zip(places.tolist(), groups, strict=True):
        count = int(likeliest[place])
        if within <= 0:
            found.append(Share(group, count, total, math.nan, 0.0, 1.0, 0.0, count, True))
            continue
        share = float(inside[place]) / within
        test = _Test(place, places, mean, inside, matrix, inverse, sampled)
        variance, freedom = test.error(share)
        low, high = _where_kept(test, share, t_quantile((1 + level) / 2, freedom))
        size = min(float(len(given)), _size(share, variance / within**2, len(given)))
        found.append(Share(group, count, total, share, low, high, size, count, count < FEWEST))
    return found


class _Test:
    """Whether a group's share among some can be a value. place: of the group. places: of them all.
    mean: of what is judged. inside: shares of all groups, estimated."""

    def __init__(
        self,
        place: int,
        places: np.ndarray,
        mean: np.ndarray,
        inside: np.ndarray,
        matrix: Matrix,
        inverse: np.ndarray,
        sampled: Sampled,
    ):
        self.place = place
        self.mean = mean
        self.matrix = matrix
        self.sampled = sampled
        self.own = inverse[place]
        self.whole = inverse[places].sum(0)
        self.inside = inside
        self.within = float(inside[places].sum())
        self.others = np.zeros(len(inside))  # shares of the other groups among them
        rest = places[places != place]
        self.others[rest] = inside[rest]
        if self.others.sum() > 0:
            self.others /= self.others.sum()
        else:
            self.others[rest] = 1 / max(1, len(rest))
        self.outside = inside.copy()
        self.outside[places] = 0.0

    def refused(self, values: np.ndarray, quantile: float) -> np.ndarray:
        """(n,) whether what was judged is too far from what such shares would give."""
        off = (self.own - values[:, None] * self.whole) @ self.mean
        return off**2 > quantile**2 * self.errors(values).sum(1)

    def errors(self, values: np.ndarray) -> np.ndarray:
        """(n, 1 + groups) the variance of share[g] - value * (all of interest) as it is estimated,
        if it is 0: by samples, and by the held-out examples of each group."""
        shares = self.outside + self.within * (1 - values)[:, None] * self.others  # (n, groups)
        shares[:, self.place] = self.within * values
        rows = self.own - values[:, None] * self.whole  # (n, groups)
        matrix = self.matrix
        expected = rows @ matrix.means.T  # (n, groups)
        spread = np.einsum("nh,ghk,nk->ng", rows, matrix.spreads, rows) + expected**2
        of_samples = (shares * spread).sum(1) - (shares * expected).sum(1) ** 2
        of_samples *= self.sampled.effect / self.sampled.number
        of_matrix = np.einsum("nh,ghk,nk->ng", rows, matrix.errors, rows) * shares**2
        return np.column_stack([np.maximum(of_samples, 0.0), of_matrix])

    def error(self, value: float) -> tuple[float, float]:
        """The variance at one share, and its degrees of freedom (Satterthwaite)."""
        parts = self.errors(np.array([value]))[0]
        total = float(parts.sum())
        freedoms = np.concatenate([[self.sampled.freedom], self.matrix.freedom])
        divisor = float((parts**2 / freedoms).sum())
        if divisor == 0:
            return total, math.inf
        return total, total**2 / divisor


def _size(share: float, variance: float, count: int) -> float:
    """The effective size of a share. One of 0 or 1 is taken for half a sample away from it."""
    least = 0.5 / count
    near = min(max(share, least), 1 - least)
    if variance <= 0:
        return float(count)
    return near * (1 - near) / variance


def _where_kept(test: _Test, share: float, quantile: float) -> tuple[float, float]:
    """The ends of what is not refused; the share itself is always kept."""
    values = np.linspace(0, 1, TRIED + 1)
    kept = np.append(values[~test.refused(values, quantile)], share)
    low = float(kept.min())
    high = float(kept.max())
    step = 1 / TRIED
    return (
        _edge(test, low, max(0.0, low - step), quantile),
        _edge(test, high, min(1.0, high + step), quantile),
    )


def _edge(test: _Test, kept: float, beyond: float, quantile: float) -> float:
    """Between a value that is kept and one beyond, the last that is."""
    values = np.linspace(kept, beyond, TRIED + 1)[1:]
    refused = test.refused(values, quantile)
    if not refused.any():
        return beyond
    first = int(refused.argmax())
    if first == 0:
        return kept
    return float(values[first - 1])
