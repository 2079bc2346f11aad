"""What a model does for each group apart: its loss on their held-out examples, how well its samples
cover them, how many of those are copies; each beside a placebo, the same with permuted labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from genwright.audit.losses import Losses
from genwright.evaluation.distances import Memory, prdc
from genwright.evaluation.intervals import FEWEST, wilson
from genwright.evaluation.probabilities import t_quantile

LEVEL = 0.95
PERMUTED = 200  # times that labels are permuted
EQUAL = 40  # examples of a group, real and made, of which coverage is measured: always as many
TIMES = 10  # that so many are drawn; figures are means over them


@dataclass(frozen=True)
class GroupLoss:
    """The loss of a group's held-out examples, a unit (token, value). low, high: the interval of
    its mean, over clusters of examples. placebo_low, placebo_high: where the mean of as many
    examples, of as many clusters, lies in 95% of random choices. None of fewer examples than
    `FEWEST`, or of one cluster alone."""

    group: str
    examples: int
    mean: float | None
    low: float | None
    high: float | None
    placebo_low: float | None
    placebo_high: float | None


@dataclass(frozen=True)
class GroupQuality:
    """How a group's samples compare with its real examples, as many of each in every group.

    equal: of each there were. precision, recall, density, coverage: see
    `evaluation.distances.prdc`; means over draws of so many. placebo: the coverage of as many
    samples and real examples of any group. copies, copies_low, copies_high: the share of samples
    that are memorised, of `samples` ones; None where nothing is held out."""

    group: str
    equal: int
    samples: int
    precision: float
    recall: float
    density: float
    coverage: float
    placebo: float
    copies: float | None = None
    copies_low: float | None = None
    copies_high: float | None = None


def group_losses(
    found: Losses,
    counts: np.ndarray,
    groups: Sequence[str],
    seed: int,
    clusters: np.ndarray | None = None,
) -> list[GroupLoss]:
    """counts: (examples, groups): an example is of each group that stands in it. clusters:
    (examples,), whose members are not independent of each other; None: each is one."""
    if clusters is None:
        clusters = np.arange(len(counts))
    rng = np.random.default_rng(seed)
    measured = found.count > 0
    out = []
    for place, group in enumerate(groups):
        rows = np.flatnonzero((counts[:, place] > 0) & measured)
        if len(rows) < FEWEST or len(np.unique(clusters[rows])) < 2:
            out.append(GroupLoss(group, len(rows), None, None, None, None, None))
            continue
        mean, half = _mean(found, rows, clusters)
        by_chance = _by_chance(found, rows, np.flatnonzero(measured), clusters, rng)
        low, high = np.quantile(by_chance, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        out.append(
            GroupLoss(group, len(rows), mean, mean - half, mean + half, float(low), float(high))
        )
    return out


def _mean(found: Losses, rows: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """The mean a unit over some examples, a ratio of sums, and half of its interval (linearised,
    between clusters: Cochran, "Sampling Techniques", 6.5)."""
    total = found.total[rows]
    count = found.count[rows]
    mean = total.sum() / count.sum()
    residuals = total - mean * count
    sums = np.bincount(np.unique(clusters[rows], return_inverse=True)[1], residuals)
    size = len(sums)
    variance = size / (size - 1) * (sums**2).sum() / count.sum() ** 2
    return float(mean), t_quantile((1 + LEVEL) / 2, size - 1) * float(np.sqrt(variance))


def _by_chance(
    found: Losses,
    rows: np.ndarray,
    every: np.ndarray,
    clusters: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """(PERMUTED,) means of examples that are chosen at random: of as many clusters as the group's
    `rows`, and of each cluster as many as the group has of one, where there are so many."""
    of = np.unique(clusters[every], return_inverse=True)[1]  # (examples,) which cluster
    sizes = np.bincount(of)
    starts = np.cumsum(sizes) - sizes
    many = len(np.unique(clusters[rows]))
    most = max(1, round(len(rows) / many))  # of one cluster
    means = []
    for _ in range(PERMUTED):
        chosen = np.zeros(len(sizes), bool)
        chosen[rng.choice(len(sizes), many, replace=False)] = True
        order = np.lexsort((rng.random(len(of)), of))  # by cluster, at random within each
        place = np.arange(len(order)) - starts[of[order]]  # in its cluster
        picked = every[order[chosen[of[order]] & (place < most)]]
        means.append(float(found.total[picked].sum() / found.count[picked].sum()))
    return np.array(means)


def group_quality(
    real: Tensor,
    real_groups: np.ndarray,
    made: Tensor,
    made_groups: np.ndarray,
    groups: Sequence[str],
    memory: Memory | None,
    seed: int,
) -> list[GroupQuality]:
    """real, made: features (n, d) and (m, d). real_groups, made_groups: (n,) and (m,) which group
    each is of, -1 of none. Groups of too few examples are left out."""
    rng = np.random.default_rng(seed)
    kept = []
    for place in range(len(groups)):
        if min((real_groups == place).sum(), (made_groups == place).sum()) >= EQUAL:
            kept.append(place)
    if not kept:
        return []
    any_real = np.flatnonzero(np.isin(real_groups, kept))
    any_made = np.flatnonzero(np.isin(made_groups, kept))
    placebo = _covered(rng, real[any_real], made[any_made])["coverage"]
    out = []
    for place in kept:
        every = made[np.flatnonzero(made_groups == place)]
        figures = _covered(rng, real[np.flatnonzero(real_groups == place)], every)
        copies: tuple[float | None, float | None, float | None] = (None, None, None)
        if memory is not None:
            share = memory.share(every)
            low, high = wilson(round(share * len(every)), len(every))
            copies = (share, low, high)
        out.append(
            GroupQuality(
                groups[place],
                EQUAL,
                len(every),
                figures["precision"],
                figures["recall"],
                figures["density"],
                figures["coverage"],
                placebo,
                *copies,
            )
        )
    return out


def _covered(rng: np.random.Generator, real: Tensor, made: Tensor) -> dict[str, float]:
    """The figures of `EQUAL` real and as many made examples, the mean over `TIMES` draws, so that
    groups and runs of other sizes can be compared."""
    sums: dict[str, float] = {}
    for _ in range(TIMES):
        some_real = real[_some(rng, np.arange(len(real)), EQUAL)]
        some_made = made[_some(rng, np.arange(len(made)), EQUAL)]
        for name, value in prdc(some_real, some_made).items():
            sums[name] = sums.get(name, 0.0) + value / TIMES
    return sums


def _some(rng: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    return np.sort(rng.choice(rows, count, replace=False))
