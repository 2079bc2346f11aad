"""Shares of groups that a classifier told, corrected by its confusion matrix.

A classifier that is right 80% of the time sees 10% of a group in samples that have none of it. What
it makes of real held-out examples, whose groups are known, says how to undo that:

1. M[g, h] is the mean probability that it gives to h, of held-out examples of g (the confusion
   matrix, soft: it keeps what a hard one throws away). c[h] is the same of samples.
2. If samples of a group look like held-out examples of that group, then c = sum of share[g] M[g],
   and the shares are the solution (Buck and Gart, "Comparison of a screening test and a reference
   test", 1966; Forman, "Quantifying counts and costs via classification", 2008).
3. The interval of a share is a set of values that a test does not refuse: those x with
   |estimate - x| <= t * the standard error if the share were x. The error has two parts: of c, from
   as many samples, and of M, from as many held-out examples of each group; both by cluster. For two
   groups it is Fieller's interval (1954), and for a classifier that is never wrong Wilson's.
   t: Student's quantile, with degrees of freedom of both parts (Satterthwaite, 1946).
4. A group of which held-out examples do not tell how it is judged (few clusters, or as often judged
   to be another) is not told apart: of its share nothing is said. The others keep their shares, and
   their intervals hold what it may add to them.

It holds only if 2 does. `appearance_shift` (audit/shift.py) looks for signs that it does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genwright.core.errors import GenwrightError
from genwright.core.groups import NONE, Judge
from genwright.evaluation.intervals import FEWEST, LEVEL
from genwright.evaluation.probabilities import t_quantile

CERTAIN = 3.0  # standard errors by which groups must be told apart
UNSEEN = 1.0  # held-out examples that are added to those of a group, as though judged otherwise
REMEDY = "train a classifier that tells these groups apart, or audit groups by a rule"


class Matrix(NamedTuple):
    """What a classifier makes of held-out examples.

    means: (groups, groups), M above. spreads: (groups, groups, groups): of each group the
    covariance (within) of what single examples are given. errors: the same of the means. freedom:
    (groups,) degrees of it. counts: (groups,) held-out examples."""

    means: np.ndarray
    spreads: np.ndarray
    errors: np.ndarray
    freedom: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Corrected:
    """The share of a group among samples. judged: what the classifier said. share: corrected, from
    0 to 1; all of them sum to 1. low, high: its interval. samples: that were judged; held_out:
    examples of the group that the correction rests on."""

    group: str
    judged: float
    share: float
    low: float
    high: float
    samples: int
    held_out: int


def corrected(
    samples: np.ndarray,
    judge: Judge,
    clusters: np.ndarray | None = None,
    level: float = LEVEL,
) -> list[Corrected]:
    """The shares of the judge's groups. samples: (n, groups) what `judge.of` gave; rows of NaN say
    nothing. clusters: (n,) of samples. Raises GenwrightError where a group has too few held-out
    examples, where the classifier is at chance, and where no sample says anything."""
    given, own_clusters = saying(samples, clusters)
    if not len(given):
        raise GenwrightError(
            "the classifier says nothing of any sample", "audit groups that samples can have"
        )
    groups = judge.groups
    matrix = confusion(judge)
    inverse = inverse_of(groups, matrix)
    told = told_apart(groups, matrix, inverse)
    mean = given.mean(0)  # (groups,)
    estimates = inverse @ mean  # unbiased, may leave 0 to 1
    inside = on_simplex(estimates)
    sizes = Sampled(len(given), *clustering(given, mean, own_clusters))
    found = []
    for place, group in enumerate(groups):
        low, high = 0.0, 1.0
        if group in told:
            low, high = _limits(place, estimates, inside, matrix, inverse, sizes, level)
        share = float(inside[place])
        found.append(
            Corrected(
                group,
                float(mean[place]),
                share,
                min(low, share),
                max(high, share),
                len(given),
                int(matrix.counts[place]),
            )
        )
    return found


def saying(rows: np.ndarray, clusters: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The rows that say something, with their clusters."""
    given = np.asarray(rows, np.float64)
    if clusters is None:
        clusters = np.arange(len(given))
    says = np.isfinite(given).all(1)
    return given[says], np.asarray(clusters)[says]


def held_out(judge: Judge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(truth, judged, clusters) of a judge's held-out examples of which it says something. Raises
    ValueError for a judge that has none (a rule)."""
    if judge.truth is None or judge.judged is None:
        raise ValueError(f"{judge.how} has no held-out examples, so nothing is corrected")
    given, clusters = saying(judge.judged, judge.clusters)
    says = np.isfinite(np.asarray(judge.judged, np.float64)).all(1)
    return np.asarray(judge.truth)[says], given, clusters


def confusion(judge: Judge) -> Matrix:
    """The matrix of a judge's held-out examples. Raises GenwrightError where a group has too few of
    them, ValueError for a judge that has none (a rule)."""
    groups = judge.groups
    labels, given, own_clusters = held_out(judge)
    number = len(groups)
    means = np.zeros((number, number))
    spreads = np.zeros((number, number, number))
    errors = np.zeros((number, number, number))
    freedom = np.zeros(number)
    counts = np.zeros(number, np.int64)
    for place, group in enumerate(groups):
        mine = labels == place
        rows = given[mine]
        counts[place] = len(rows)
        if len(rows) < FEWEST:
            raise GenwrightError(
                f"{len(rows)} held-out examples are {group}, too few to know how often the"
                " classifier is wrong about them",
                f"hold out {FEWEST} or more of each group, or leave {group} out",
            )
        means[place] = rows.mean(0)
        apart = rows - means[place]
        spreads[place] = apart.T @ apart / (len(rows) - 1)
        sums = summed(apart, own_clusters[mine])
        many = len(sums)
        freedom[place] = max(1, many - 1)
        otherwise = np.delete(np.eye(number), place, 0) - means[place]
        extra = UNSEEN * otherwise.T @ otherwise / max(1, number - 1)
        between = sums.T @ sums * (many / freedom[place])
        errors[place] = (between + extra) / len(rows) ** 2
    return Matrix(means, spreads, errors, freedom, counts)


def check_correctable(judge: Judge) -> None:
    """Raises GenwrightError for a judge whose counts cannot be corrected: of a group with too few
    held-out examples, or at chance. One without any held-out examples is not corrected at all."""
    if judge.truth is not None and len(judge.truth):
        told_groups(judge)


def told_groups(judge: Judge) -> tuple[str, ...]:
    """The groups that a judge tells apart. Raises GenwrightError as `check_correctable`."""
    matrix = confusion(judge)
    return told_apart(judge.groups, matrix, inverse_of(judge.groups, matrix))


def summed(rows: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """(clusters, columns) sums of the rows of each cluster."""
    _, places = np.unique(clusters, return_inverse=True)
    sums = np.zeros((int(places.max(initial=-1)) + 1, rows.shape[1]))
    np.add.at(sums, places, rows)
    return sums


def inverse_of(groups: Sequence[str], matrix: Matrix) -> np.ndarray:
    """(groups, groups) that turns judged shares into true ones. Raises GenwrightError where the
    matrix, as far as it is known, has none: where fewer than two groups are told apart."""
    try:
        inverse = np.linalg.inv(matrix.means.T)
    except np.linalg.LinAlgError:
        raise _at_chance(groups, groups) from None
    told = told_apart(groups, matrix, inverse)
    if not [group for group in told if group != NONE] or len(told) < 2:
        raise _at_chance(groups, [group for group in groups if group not in told])
    return inverse


def told_apart(groups: Sequence[str], matrix: Matrix, inverse: np.ndarray) -> tuple[str, ...]:
    """The groups of whose shares something is known, however the samples are made up."""
    told = []
    for group, row in zip(groups, inverse, strict=True):
        # the variance that an error of each group's mean gives to this share, if all were of it
        own = np.einsum("h,ghk,k->g", row, matrix.errors, row)
        if np.isfinite(own).all() and CERTAIN * math.sqrt(own.max()) < 1:
            told.append(group)
    return tuple(told)


def _at_chance(groups: Sequence[str], confused: Sequence[str]) -> GenwrightError:
    """confused: those of the groups that are not told from the others."""
    what = f"the classifier of {', '.join(groups)} is at chance on held-out examples"
    if len(confused) < len(groups):
        what += f" of {', '.join(confused)}"
    return GenwrightError(f"{what}, so its counts cannot be corrected", REMEDY)


def on_simplex(estimates: np.ndarray) -> np.ndarray:
    """The nearest shares from 0 to 1 of sum 1 (Duchi et al., "Efficient projections onto the
    l1-ball", 2008)."""
    falling = np.sort(estimates)[::-1]
    over = (np.cumsum(falling) - 1) / np.arange(1, len(falling) + 1)
    last = int(np.flatnonzero(falling > over)[-1])
    return np.maximum(estimates - over[last], 0.0)


class Sampled(NamedTuple):
    """How much samples say. number: of them. effect: design effect of their clusters, 1 or more.
    freedom: degrees of it."""

    number: int
    effect: float
    freedom: float


def clustering(given: np.ndarray, mean: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """The design effect of samples, and its degrees of freedom."""
    apart = given - mean
    sums = summed(apart, clusters)
    many = len(sums)
    if many == len(given):
        return 1.0, math.inf
    alone = float((apart**2).sum())
    sizes = np.unique(clusters, return_counts=True)[1]
    largest = float((sizes**2).sum()) / len(given)
    if many < 2 or alone == 0:
        return largest, max(1.0, many - 1.0)
    effect = float((sums**2).sum()) / alone * many / (many - 1)
    return max(1.0, effect), many - 1.0


def _limits(
    place: int,
    estimates: np.ndarray,
    inside: np.ndarray,
    matrix: Matrix,
    inverse: np.ndarray,
    sampled: Sampled,
    level: float,
) -> tuple[float, float]:
    """The interval of one share: a quadratic inequality, as the variance is quadratic in it."""
    row = inverse[place]
    others = inside.copy()
    others[place] = 0.0
    rest = others.sum()
    if rest > 0:
        others /= rest
    else:
        others = np.ones(len(inside)) / max(1, len(inside) - 1)
        others[place] = 0.0
    alone = np.zeros(len(inside))
    alone[place] = 1.0

    def parts(x: float) -> np.ndarray:
        """(1 + groups,) variances of the estimate if the share were x: of samples, and of the mean
        of each group."""
        shares = x * alone + (1 - x) * others
        mean = shares @ matrix.means
        within = np.einsum("h,ghk,k->g", row, matrix.spreads, row) + (matrix.means @ row) ** 2
        samples = (shares @ within - (mean @ row) ** 2) * sampled.effect / sampled.number
        errors = np.einsum("h,ghk,k->g", row, matrix.errors, row) * shares**2
        return np.concatenate([[max(samples, 0.0)], errors])

    here = parts(float(inside[place]))
    freedom = np.concatenate([[sampled.freedom], matrix.freedom])
    divisor = float((here**2 / freedom).sum())
    quantile = t_quantile((1 + level) / 2, 1e12 if divisor == 0 else here.sum() ** 2 / divisor)
    estimate = float(estimates[place])

    def refused(x: float) -> float:
        return (estimate - x) ** 2 - quantile**2 * float(parts(x).sum())

    return _where_negative(refused(0.0), refused(0.5), refused(1.0), estimate)


def _where_negative(
    at_0: float, at_half: float, at_1: float, estimate: float
) -> tuple[float, float]:
    """Where in [0, 1] a quadratic with these values is not above 0."""
    square = 2 * (at_0 - 2 * at_half + at_1)
    linear = at_1 - at_0 - square
    nearest = min(1.0, max(0.0, estimate))
    root = linear**2 - 4 * square * at_0
    if square <= 0:  # nothing is known
        return 0.0, 1.0
    if root < 0:  # no value fits: the estimate is far outside
        return nearest, nearest
    low = (-linear - math.sqrt(root)) / (2 * square)
    high = (-linear + math.sqrt(root)) / (2 * square)
    if high < 0 or low > 1:
        return nearest, nearest
    return max(0.0, low), min(1.0, high)
