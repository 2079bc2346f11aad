"""How often documents of a group are removed, with an interval, where copies are not independent of
each other.

1. Documents without copies are independent: their rate has Wilson's interval.
2. Copies are alike: a rule drops all of a cluster, and of copies all but one go. So what varies is
   the cluster, and the variance of a rate is the linearised one between clusters (Cochran,
   "Sampling Techniques", 6.5). Divided by the binomial one it is the design effect; Wilson's
   interval is then that of as many fewer documents (Korn and Graubard, 1998).
3. A cluster may have members in every shard, and there are many clusters. So they are spread by
   chance over BINS bins, of which alone sums are kept: the variance between bins, less that of
   their number, is that between clusters (random groups: Wolter, "Introduction to Variance
   Estimation", 2). It is known to about sqrt(2 / BINS), 9%, of which the interval feels half.

So memory depends on the numbers of groups and of reasons alone.
"""

from __future__ import annotations

import math

import numpy as np

from genwright.evaluation.intervals import FEWEST, LEVEL, Share, score_interval
from genwright.evaluation.probabilities import normal_quantile, t_quantile

BINS = 256  # that clusters of copies are spread over
SIZE = 1 + BINS  # of counts: documents without copies, and those with copies in each bin
ALONE = 0  # place of documents without copies


def no_counts() -> np.ndarray:
    """(SIZE,) int64: no documents."""
    return np.zeros(SIZE, np.int64)


def removal_rate(group: str, removed: np.ndarray, came: np.ndarray, level: float = LEVEL) -> Share:
    """The share of documents that were removed, of those that came to a step. removed, came:
    (SIZE,) of documents."""
    total = int(came.sum())
    count = int(removed.sum())
    small = total < FEWEST
    if not total:
        return Share(group, 0, 0, math.nan, 0.0, 1.0, 0.0, 0, small)
    effective = effective_documents(removed, came)
    bins = int(np.count_nonzero(came[1:]))
    quantile = normal_quantile((1 + level) / 2)
    if bins:
        freedom = max(1, int(came[ALONE]) + bins - 1)
        quantile = t_quantile((1 + level) / 2, freedom)
    share = count / total
    low, high = score_interval(share, effective, quantile)
    return Share(group, count, total, share, low, high, effective, total, small)


def effective_documents(removed: np.ndarray, came: np.ndarray) -> float:
    """How many independent documents would say as much of a rate: all of them, divided by the
    design effect, which is taken to be at least 1. removed, came: (SIZE,)."""
    total = float(came.sum())
    share = float(removed.sum()) / total
    if not came[1:].any():
        return total
    if 0 < share < 1:
        residuals = removed[1:] - share * came[1:]  # (BINS,)
        squares = _squares_of_clusters(residuals)
        squares += removed[ALONE] * (1 - share) ** 2
        squares += (came[ALONE] - removed[ALONE]) * share**2
        alone = total * share * (1 - share)  # the sum, were all documents independent
        return total * min(1.0, alone / squares) if squares > 0 else total
    # nothing varies: the least that the sizes of clusters allow, as though all in one were alike
    squares = float(came[ALONE]) + _squares_of_clusters(came[1:].astype(np.float64))
    return total * min(1.0, total / squares)


def _squares_of_clusters(sums: np.ndarray) -> float:
    """The sum of the squares of numbers of clusters, expected by their sums in bins: (BINS,)."""
    between = float((sums**2).sum() - sums.sum() ** 2 / BINS)
    return between * BINS / (BINS - 1)
