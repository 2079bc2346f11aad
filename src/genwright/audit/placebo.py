"""How far two sets are apart in their groups, beside a placebo: the same with labels permuted
between the sets, which is what chance alone makes of sets of these sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genwright.audit.distances import total_variation
from genwright.core.groups import GroupCounts

PERMUTED = 400
LEVEL = 0.95


@dataclass(frozen=True)
class Apart:
    """Total variation between the shares of two sets. expected, most: its mean and 95% quantile
    with permuted labels."""

    value: float
    expected: float
    most: float


def apart(one: GroupCounts, other: GroupCounts, seed: int) -> Apart | None:
    """Of two sets of the same groups; None where one says nothing."""
    if not one.total or not other.total:
        return None
    ours = one.counts.sum(0)
    theirs = other.counts.sum(0)
    value = _between(ours, theirs)
    rng = np.random.default_rng(seed)
    single = max(one.counts.sum(1).max(), other.counts.sum(1).max()) <= 1
    found = []
    if single:
        # any `one.total` of all labels, without replacement
        drawn = rng.multivariate_hypergeometric(ours + theirs, int(ours.sum()), PERMUTED)
        found = [_between(each, ours + theirs - each) for each in drawn]
    else:
        rows = np.concatenate([one.counts, other.counts])
        rows = rows[rows.sum(1) > 0]
        size = int((one.counts.sum(1) > 0).sum())
        for _ in range(PERMUTED):
            order = rng.permutation(len(rows))
            first = rows[order[:size]].sum(0)
            found.append(_between(first, ours + theirs - first))
    return Apart(value, float(np.mean(found)), float(np.quantile(found, LEVEL)))


def _between(some: np.ndarray, others: np.ndarray) -> float:
    return total_variation(some / max(1, some.sum()), others / max(1, others.sum()))
