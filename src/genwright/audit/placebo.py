"""How far two sets are apart in their groups, beside a placebo: the same with labels permuted
between the sets, which is what chance alone makes of sets of these sizes.

Counts in clusters are permuted as the independent counts that say as much (`effective_size`): what
is alike within a cluster would else seem to be apart by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genwright.audit.distances import effective_size, total_variation
from genwright.core.groups import GroupCounts
from genwright.evaluation.intervals import Share, clustered

PERMUTED = 400
LEVEL = 0.95


@dataclass(frozen=True)
class Apart:
    """Total variation between the shares of two sets. expected, most: its mean and 95% quantile
    with permuted labels."""

    value: float
    expected: float
    most: float


class Permuted(NamedTuple):
    """Two sets of the same groups. apart: see there. low, high: (groups,) where the difference of
    the shares of each group, one minus other, lies in 95% of permutations."""

    apart: Apart
    low: np.ndarray
    high: np.ndarray


def permuted(one: GroupCounts, other: GroupCounts, seed: int) -> Permuted | None:
    """Of two sets of the same groups; None where one says nothing."""
    if not one.total or not other.total:
        return None
    shares = [each.counts.sum(0) / each.total for each in (one, other)]
    sizes = [effective_size(clustered(each)) for each in (one, other)]
    value = total_variation(shares[0], shares[1])
    return _permuted(value, shares, sizes, seed)


def bounds(by_chance: Permuted | None, place: int) -> tuple[float | None, float | None]:
    """Between what a difference of the group at that place lies by chance; None where it is not
    known."""
    if by_chance is None:
        return None, None
    return float(by_chance.low[place]), float(by_chance.high[place])


def permuted_shares(one: Sequence[Share], other: Sequence[Share], seed: int) -> Permuted | None:
    """The same of shares of the same groups, in the same order; None where one says nothing."""
    shares = []
    sizes = []
    for own in (one, other):
        values = np.array([share.share for share in own])
        if not len(values) or np.isnan(values).any():
            return None
        worth = np.array([max(share.effective, 1e-9) for share in own])
        weights = 1 - values
        size = float(worth.min())
        if weights.sum() > 0:
            size = float(weights.sum() / (weights / worth).sum())
        shares.append(values)
        sizes.append(size)
    return _permuted(total_variation(shares[0], shares[1]), shares, sizes, seed)


def _permuted(
    value: float, shares: Sequence[np.ndarray], sizes: Sequence[float], seed: int
) -> Permuted | None:
    """shares: of both sets, (groups,) each. sizes: as many independent counts would say as much."""
    ours, theirs = (
        np.rint(own * max(1.0, size)).astype(np.int64)
        for own, size in zip(shares, sizes, strict=True)
    )
    if not ours.sum() or not theirs.sum():
        return None
    every = ours + theirs
    rng = np.random.default_rng(seed)
    # any so many of all labels, without replacement
    drawn = rng.multivariate_hypergeometric(every, int(ours.sum()), PERMUTED)  # (turns, groups)
    differences = drawn / ours.sum() - (every - drawn) / theirs.sum()
    variations = np.abs(differences).sum(1) / 2  # (turns,)
    most = float(np.quantile(variations, LEVEL))
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(differences, tails, axis=0)
    return Permuted(Apart(value, float(variations.mean()), most), low, high)
