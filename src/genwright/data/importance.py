"""Importance weights from a small reference set: how much likelier an example is among the
reference than among the data (Choi et al., arXiv 1910.12008).

1. A classifier tells reference from data. Each example is judged by one that has not learned from
   it: FOLDS parts, each judged by the classifier of the others.
2. What those say is calibrated: of all rising curves that which fits the shares of reference best
   (isotonic regression; Zadrozny and Elkan, KDD 2002), so that odds are ratios of densities however
   the classifier is mistaken about their size. A step of the curve counts one reference example
   more than it has, and as many of the data as that stands for: a few say little.
3. An example weighs as its odds, no more than MOST and no less than 1 / MOST of them, and all weigh
   1 in the mean.

A classifier that does no better than chance says nothing: then all examples weigh alike.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

FOLDS = 5
MOST = 20.0  # odds, at most
SURE = 1.96  # standard errors from chance
RIDGE = 0.1  # of `logistic`, in parts of the mean loss
STEPS = 50  # of Newton's method, at most


class Judged(NamedTuple):
    """What classifiers that have not learned from an example say of it.

    logits: (n,) float64, of data and reference. area: under the ROC curve, and its standard error.
    begins, ratios: (steps,) the curve that calibrates logits: from which logit on a step holds, and
    the ratio of densities there, reference to data."""

    logits: np.ndarray
    area: float
    error: float
    begins: np.ndarray
    ratios: np.ndarray

    @property
    def tells(self) -> bool:
        """Whether the classifier does better than chance."""
        return self.area - SURE * self.error > 0.5

    def odds(self, logits: np.ndarray) -> np.ndarray:
        """Ratios of densities, reference to data, of logits."""
        step = np.searchsorted(self.begins, logits, side="right") - 1
        found: np.ndarray = self.ratios[step.clip(0)].clip(1 / MOST, MOST)
        return found


def judged(
    is_reference: np.ndarray, fold: np.ndarray, fit: Callable[[np.ndarray, int], np.ndarray]
) -> Judged:
    """What is said of all examples, each by the classifier that did not learn from it.

    is_reference: (n,) bool. fold: (n,) int, which part each is of, 0 to FOLDS - 1; all that must
    not stand on both sides, such as copies, is of one part. fit: (which examples are learned from
    (n,) bool, number of the fold) -> logits (n,) of all."""
    logits = np.zeros(len(is_reference))
    for number in range(FOLDS):
        held = fold == number
        logits[held] = fit(~held, number)[held]
    area = area_under_curve(logits, is_reference)
    error = _error_of(area, int(is_reference.sum()), int((~is_reference).sum()))
    begins, ratios = rising(logits, is_reference)
    return Judged(logits, area, error, begins, ratios)


def rising(logits: np.ndarray, is_reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(where each step begins, its ratio of densities) of the rising curve that fits best, by
    pooling neighbours (Ayer et al., Annals of Mathematical Statistics 26, 1955)."""
    every, place = np.unique(logits, return_inverse=True)
    reference = np.bincount(place, is_reference)
    data = np.bincount(place, ~is_reference)
    begins: list[float] = []
    pools: list[list[float]] = []  # reference and data of each step
    for begin, *own in zip(every.tolist(), reference.tolist(), data.tolist(), strict=True):
        # a step that is no higher than the one before it becomes one with it
        while pools and own[0] * pools[-1][1] <= pools[-1][0] * own[1]:
            before = pools.pop()
            begin = begins.pop()
            own = [own[0] + before[0], own[1] + before[1]]
        begins.append(begin)
        pools.append(own)
    counts = np.array(pools)  # (steps, 2)
    of_one = data.sum() / reference.sum()  # examples of the data that one of the reference is
    ratios = (counts[:, 0] + 1) / (counts[:, 1] + of_one) * of_one
    return np.array(begins), ratios


def read_judged(file: Mapping[str, np.ndarray]) -> Judged:
    """What was kept of it: its fields by name."""
    found = {name: file[name] for name in Judged._fields}
    return Judged(
        found["logits"],
        float(found["area"]),
        float(found["error"]),
        found["begins"],
        found["ratios"],
    )


def half_each(is_reference: np.ndarray) -> np.ndarray:
    """(n,) weights of sum 1, by which both classes count half."""
    count = np.where(is_reference, is_reference.sum(), (~is_reference).sum())
    return 0.5 / np.maximum(1, count)


def logistic(
    x: np.ndarray, is_first: np.ndarray, weights: np.ndarray, ridge: float = RIDGE
) -> np.ndarray:
    """(features + 1,) float64: the weights of logistic regression, the last one the bias, by
    Newton's method. x: (n, features); is_first: (n,) bool; weights: (n,) of sum 1; ridge: half of
    it times the squares of all but the bias is added to the loss."""
    inputs = np.concatenate([x, np.ones((len(x), 1))], 1)
    penalty = np.full(inputs.shape[1], ridge)
    penalty[-1] = 0
    found = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        gradient = inputs.T @ (weights * (chance - is_first)) + penalty * found
        curvature = (inputs * (weights * chance * (1 - chance))[:, None]).T @ inputs
        curvature[np.diag_indices_from(curvature)] += penalty + 1e-9
        step = np.linalg.solve(curvature, gradient)
        largest = np.abs(step).max()
        found = found - step * min(1.0, 5.0 / max(largest, 1e-12))  # classes may be apart
        if largest < 1e-8:
            break
    return found


def area_under_curve(scores: np.ndarray, is_good: np.ndarray) -> float:
    """The chance that a good example has a higher score than a bad one, ties counting half (Mann
    and Whitney). scores: (n,); is_good: (n,) bool, some of each."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[place]  # (n,) from 1, the mean of those of equal scores
    good = int(is_good.sum())
    pairs = good * (len(scores) - good)
    return float((ranks[is_good].sum() - good * (good + 1) / 2) / pairs)


def _error_of(area: float, good: int, bad: int) -> float:
    """The standard error of an area under the ROC curve (Hanley and McNeil, Radiology 143, 1982).
    Areas below a half count as their mirror."""
    a = max(area, 1 - area)
    first = a / (2 - a)
    second = 2 * a * a / (1 + a)
    spread = a * (1 - a) + (good - 1) * (first - a * a) + (bad - 1) * (second - a * a)
    return float(np.sqrt(spread / (good * bad)))


def folds_of(clusters: np.ndarray) -> np.ndarray:
    """(n,) int64: a fold for each cluster, by a hash of its number."""
    mixed = (clusters.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return ((mixed >> np.uint64(32)) % np.uint64(FOLDS)).astype(np.int64)
