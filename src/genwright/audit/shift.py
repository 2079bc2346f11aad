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

p says whether there is a shift, not how large it is: of many samples the least one is seen. So its
size stands beside p. 4. What is left of h over what single held-out examples vary, in all features
at once (Mahalanobis' distance d of samples from the nearest mixture), as the AUC of the best linear
classifier that would tell samples from held-out examples by what is judged of them: Phi(d / sqrt 2)
of normal features. Beside it stands what chance alone makes of as many samples without a shift.

What it cannot see: samples of one group that look exactly like examples of another. Nothing that
knows the judged probabilities alone can.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genwright.audit.corrected import held_out, on_simplex, saying, summed
from genwright.core.groups import Judge
from genwright.evaluation.intervals import FEWEST
from genwright.evaluation.probabilities import f_above, normal_below

WARNED_BELOW = 0.02  # a correction that is wrong unseen costs more than a false alarm in 50
FEW_GROUPS = 3  # up to which cubic features are taken; of more groups there are enough without
TURNS = 3  # of the weights, each with the covariance at those of the one before
ROUNDING = 1e-9
SIMULATED = 400  # times that chance makes a size
SEED = 0  # of these
SMALL = 0.2  # of d: what is called a small effect (Cohen, "Statistical Power Analysis", 1988)
LARGE = 0.8


@dataclass(frozen=True)
class Shift:
    """Whether samples look different. p_value: how likely as large a misfit is if they do not; NaN
    where it cannot be seen (too few examples, or all are judged alike). warned: it is below 2%.
    freedom: degrees of it, features left over by the groups. auc: how often samples would be told
    from held-out examples, 0.5 to 1; by_chance: its mean without any shift. distance: d, without
    what chance adds to it. weights: (groups,) the shares by which it is measured, another estimate
    than the corrected ones; None where nothing can be seen."""

    p_value: float
    warned: bool
    freedom: int
    auc: float = math.nan
    by_chance: float = math.nan
    distance: float = math.nan
    weights: np.ndarray | None = None

    @property
    def small(self) -> bool:
        """Whether it is a small effect."""
        return self.distance < SMALL

    @property
    def large(self) -> bool:
        """Whether it is a large one."""
        return self.distance >= LARGE


class _Fit(NamedTuple):
    """weights: (groups,) of sum 1. misfit: of `freedom` degrees. left: (rank,) what the groups do
    not explain, in units of its error. moves: (groups - 1, rank) what they explain. unwhiten:
    (rank, features) that gives features back."""

    weights: np.ndarray
    misfit: float
    freedom: int
    left: np.ndarray
    moves: np.ndarray
    unwhiten: np.ndarray


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
    for _ in range(TURNS):
        scaled = (expected - means[labels]) * (weights / numbers)[labels][:, None]
        covariance = of_samples + _covariance(scaled, known_clusters)
        fit = _fit(seen.mean(0), means, covariance)
        weights = fit.weights
    freedom = fit.freedom
    known_freedom = len(np.unique(known_clusters)) - groups - freedom + 1
    if freedom < 1 or known_freedom < 1:
        return Shift(math.nan, False, max(0, freedom))
    scale = known_freedom / (known_freedom + freedom - 1) / freedom
    p_value = f_above(fit.misfit * scale, freedom, known_freedom)
    shares = on_simplex(weights)
    distance, by_chance = _sizes(fit, _spread(expected, labels, shares))
    excess = math.sqrt(max(0.0, distance**2 - float((by_chance**2).mean())))
    return Shift(
        p_value,
        p_value < WARNED_BELOW,
        freedom,
        _auc(distance),
        float(np.mean([_auc(each) for each in by_chance])),
        excess,
        shares,
    )


def _auc(distance: float) -> float:
    """Of two normal sets whose means are so many standard deviations apart."""
    return normal_below(distance / math.sqrt(2))


def _spread(expected: np.ndarray, labels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """(features, features) covariance of single held-out examples of which groups have these
    shares."""
    numbers = np.bincount(labels.astype(np.int64), minlength=len(shares))
    weights = (shares / numbers)[labels]  # (m,) of sum 1
    apart = expected - weights @ expected
    spread: np.ndarray = (apart * weights[:, None]).T @ apart
    return spread


def _sizes(fit: _Fit, spread: np.ndarray) -> tuple[float, np.ndarray]:
    """The distance of samples from the nearest mixture, in units of how much single examples vary;
    and (SIMULATED,) what it is by chance."""
    values, vectors = np.linalg.eigh(spread)
    kept = values > ROUNDING * max(float(values.max(initial=0.0)), ROUNDING)
    scaled = fit.unwhiten @ (vectors[:, kept] / np.sqrt(values[kept]))  # (rank, kept)
    rng = np.random.default_rng(SEED)
    drawn = rng.normal(size=(SIMULATED, len(fit.left)))
    explained = np.linalg.pinv(fit.moves) @ fit.moves  # (rank, rank) onto what groups explain
    by_chance = (drawn - drawn @ explained) @ scaled
    return float(np.linalg.norm(fit.left @ scaled)), np.linalg.norm(by_chance, axis=1)


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


def _fit(seen: np.ndarray, means: np.ndarray, covariance: np.ndarray) -> _Fit:
    """The weights of groups for which seen = weights @ means holds best."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > ROUNDING * max(float(values.max(initial=0.0)), ROUNDING)
    whiten = vectors[:, kept] / np.sqrt(values[kept])  # (features, rank)
    target = (seen - means[-1]) @ whiten
    moves = (means[:-1] - means[-1]) @ whiten  # (groups - 1, rank)
    found, _, rank, _ = np.linalg.lstsq(moves.T, target, rcond=None)
    left = target - found @ moves
    weights = np.append(found, 1 - found.sum())
    unwhiten = (vectors[:, kept] * np.sqrt(values[kept])).T
    freedom = int(kept.sum()) - int(rank)
    return _Fit(weights, float(left @ left), freedom, left, moves, unwhiten)
