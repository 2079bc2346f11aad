"""Whether samples look, to a classifier, like the held-out examples that correct its counts.

The correction (audit/corrected.py) is right if samples of a group are judged as held-out examples
of that group are, so that only the shares of groups differ. Then what is judged of samples is a
mixture of what is judged of each group. If it is none, samples look different:

1. Of each group's probability, ranks among samples and held-out examples are taken, and of these
   the first Legendre polynomials: smooth features (Neyman, "Smooth test for goodness of fit",
   1937), which see a shift of place, width or skew with fewer samples than bins of a histogram do.
2. h is the mean of the features of samples, H[g] that of held-out examples of g. Shares w of groups
   are sought with h = sum of w[g] H[g].
3. There are more features than groups. What is left of h, in units of its covariance (of samples
   and held-out examples, by cluster), is squared and summed: the test of over-identification
   (Hansen, "Large sample properties of generalized method of moments estimators", 1982), with the
   quantiles of Hotelling's statistic, as the covariance is itself estimated.

What it cannot see: samples of one group that look exactly like examples of another. Nothing that
knows the judged probabilities alone can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from genwright.audit.corrected import held_out, saying, summed
from genwright.core.groups import Judge
from genwright.evaluation.intervals import FEWEST
from genwright.evaluation.probabilities import f_above

WARNED_BELOW = 0.02  # a correction that is wrong unseen costs more than a false alarm in 50
FEW_GROUPS = 3  # up to which cubic features are taken; of more groups there are enough without
TURNS = 3  # of the weights, each with the covariance at those of the one before
ROUNDING = 1e-9


@dataclass(frozen=True)
class Shift:
    """Whether samples look different. p_value: how likely as large a misfit is if they do not; NaN
    where it cannot be seen (too few examples, or all are judged alike). warned: it is below 2%:
    do not trust corrected shares. freedom: degrees of it, features left over by the groups."""

    p_value: float
    warned: bool
    freedom: int


def appearance_shift(
    samples: np.ndarray, judge: Judge, clusters: np.ndarray | None = None
) -> Shift:
    """Whether what is judged of samples can be a mixture of what is judged of held-out examples.
    samples: (n, groups) what `judge.of` gave; rows of NaN say nothing. clusters: (n,) of samples.
    Raises ValueError for a judge without held-out examples (a rule)."""
    given, own_clusters = saying(samples, clusters)
    labels, known, known_clusters = held_out(judge)
    groups = len(judge.groups)
    numbers = np.bincount(labels.astype(np.int64), minlength=groups)
    if len(given) < FEWEST or (numbers < FEWEST).any():
        return Shift(math.nan, False, 0)
    seen, expected = _features(given, known)  # (n, features), (m, features)
    means = np.stack([expected[labels == group].mean(0) for group in range(groups)])
    apart = seen - seen.mean(0)
    of_samples = _covariance(apart / len(seen), own_clusters)
    weights = np.full(groups, 1 / groups)
    misfit, freedom = 0.0, 0
    for _ in range(TURNS):
        scaled = (expected - means[labels]) * (weights / numbers)[labels][:, None]
        covariance = of_samples + _covariance(scaled, known_clusters)
        weights, misfit, freedom = _fit(seen.mean(0), means, covariance)
    known_freedom = len(np.unique(known_clusters)) - groups - freedom + 1
    if freedom < 1 or known_freedom < 1:
        return Shift(math.nan, False, max(0, freedom))
    scale = known_freedom / (known_freedom + freedom - 1) / freedom
    p_value = f_above(misfit * scale, freedom, known_freedom)
    return Shift(p_value, p_value < WARNED_BELOW, freedom)


def _features(given: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of samples and of held-out examples: Legendre polynomials of the ranks of each group's
    probability. Of two groups, one says all."""
    groups = known.shape[1]
    columns = range(groups)
    if groups == 2:
        columns = range(1)
    of_samples: list[np.ndarray] = []
    of_known: list[np.ndarray] = []
    for column in columns:
        sides = (given[:, column], known[:, column])
        for rows, out in zip(sides, (of_samples, of_known), strict=True):
            place = np.mean([_passed(side, rows) for side in sides], axis=0)
            u = 2 * place - 1  # -1 to 1
            out += [u, (3 * u**2 - 1) / 2]
            if groups <= FEW_GROUPS:
                out.append((5 * u**3 - 3 * u) / 2)
    return np.stack(of_samples, 1), np.stack(of_known, 1)


def _passed(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n,) the share of values that is below each row, ties as a half."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, rows, side="left")
    up_to = np.searchsorted(ordered, rows, side="right")
    return (below + up_to) / (2 * len(ordered))


def _covariance(rows: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Of the sum of rows, by cluster."""
    sums = summed(rows, clusters)
    many = len(sums)
    return sums.T @ sums * (many / max(1, many - 1))


def _fit(
    seen: np.ndarray, means: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, float, int]:
    """(weights of sum 1, misfit, its degrees of freedom) of seen = weights @ means."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > ROUNDING * max(float(values.max(initial=0.0)), ROUNDING)
    whiten = vectors[:, kept] / np.sqrt(values[kept])  # (bins, rank)
    target = (seen - means[-1]) @ whiten
    moves = (means[:-1] - means[-1]) @ whiten  # (groups - 1, rank)
    found, _, rank, _ = np.linalg.lstsq(moves.T, target, rcond=None)
    left = target - found @ moves
    weights = np.append(found, 1 - found.sum())
    return weights, float(left @ left), int(kept.sum()) - int(rank)
