"""What a model does for each group apart: its loss on their held-out examples, how well its samples
cover them, how many of those are copies; each beside a placebo, the same with permuted labels.

Precision, recall, density and coverage are means over draws of `EQUAL` real examples and as many
samples. Their standard error is that of subsampling (Politis, Romano and Wolf, "Subsampling",
1999): figures of draws of half as many vary twice as much, less what all draws of n have in common.
The mean over all draws of m of n varies at most m / n times as much as one (Hoeffding, "A class of
statistics with asymptotically normal distribution", 1948).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
HALF = EQUAL // 2  # of each in a draw that says how much figures vary
HALVES = 60  # such draws

# share, low, high, placebo low, placebo high
Copies = tuple[float | None, float | None, float | None, float | None, float | None]


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
    samples and real examples of any group; placebos: each figure of these. errors: the standard
    error of each figure. copies, copies_low, copies_high: the share of samples that are memorised,
    of `samples` ones; copies_placebo_low, copies_placebo_high: where that of as many samples of any
    group lies in 95% of choices; None where nothing is held out."""

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
    copies_placebo_low: float | None = None
    copies_placebo_high: float | None = None
    placebos: Mapping[str, float] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)


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
    placebos = _covered(rng, real[any_real], made[any_made])
    of_errors = np.random.default_rng((seed, 1))  # beside the figures, which it leaves as they are
    copied = None
    if memory is not None:
        copied = _copied(memory, made, any_made)
    out = []
    for place in kept:
        own_real = real[np.flatnonzero(real_groups == place)]
        rows = np.flatnonzero(made_groups == place)
        figures = _covered(rng, own_real, made[rows])
        copies: Copies = (None, None, None, None, None)
        if copied is not None:
            copies = _copies(copied, rows, any_made, of_errors)
        out.append(
            GroupQuality(
                groups[place],
                EQUAL,
                len(rows),
                figures["precision"],
                figures["recall"],
                figures["density"],
                figures["coverage"],
                placebos["coverage"],
                *copies,
                placebos=placebos,
                errors=_errors(of_errors, own_real, made[rows]),
            )
        )
    return out


def _copied(memory: Memory, made: Tensor, rows: np.ndarray) -> np.ndarray:
    """(samples,) which of these rows are memorised; none of the others."""
    found = np.zeros(len(made), bool)
    found[rows] = memory.copied(made[rows]).cpu().numpy()
    return found


def _copies(
    copied: np.ndarray, rows: np.ndarray, every: np.ndarray, rng: np.random.Generator
) -> Copies:
    """The share of a group's samples that are copies, its interval, and where that of as many
    samples of any group lies: (share, low, high, placebo low, placebo high)."""
    count = int(copied[rows].sum())
    low, high = wilson(count, len(rows))
    among = int(copied[every].sum())
    drawn = rng.hypergeometric(among, len(every) - among, len(rows), PERMUTED) / len(rows)
    below, above = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return count / len(rows), low, high, float(below), float(above)


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


def _errors(rng: np.random.Generator, real: Tensor, made: Tensor) -> dict[str, float]:
    """The standard error of each figure of `_covered`."""
    few = min(len(real), len(made))
    halves: dict[str, list[float]] = {}
    for _ in range(HALVES):
        some_real = real[_some(rng, np.arange(len(real)), HALF)]
        some_made = made[_some(rng, np.arange(len(made)), HALF)]
        for name, value in prdc(some_real, some_made).items():
            halves.setdefault(name, []).append(value)
    errors = {}
    for name, values in halves.items():
        fresh = float(np.var(values, ddof=1)) / (1 - HALF / few)
        of_one = fresh * HALF / EQUAL  # variance of one draw of `EQUAL` fresh ones
        of_all = of_one * EQUAL / few  # of the mean over all draws of these
        errors[name] = math.sqrt(of_all + (of_one - of_all) / TIMES)
    return errors


def _some(rng: np.random.Generator, rows: np.ndarray, count: int) -> np.ndarray:
    return np.sort(rng.choice(rows, count, replace=False))
