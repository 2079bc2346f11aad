"""A linear classifier over hashed features: logistic regression of two classes.

1. A feature is one of BUCKETS, by its hash (Weinberger et al., 2009, arXiv 0902.2206); an example
   is the shares of its features. So does fastText (Joulin et al., 2016, arXiv 1607.01759), which
   averages a vector of each; with two classes one number of each says as much.
2. The weights minimise the mean logistic loss, each class counting half, plus PENALTY / 2 times
   their squares. The function is convex: there is one minimum, and L-BFGS (Nocedal, 1980) finds it
   from 0, without chance.
3. Sums are numpy's own, not those of a library whose threads would decide about the last digits.

Worker processes import this module: it needs numpy alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

BITS = 18
BUCKETS = 1 << BITS
PENALTY = 1e-6
STEPS = 200  # of L-BFGS, at most
MEMORY = 10  # pairs of differences that L-BFGS keeps
ENOUGH = 3e-6  # of the gradient's largest part, where it stops
DECREASE = 1e-4  # share of the expected decrease that a step must reach (Armijo)
WORDS_KEPT = 1 << 16  # whose buckets are remembered


class Features(NamedTuple):
    """The features of examples, in order, without those that an example lacks.

    first: (examples + 1,) the first feature of each. bucket: (features,) int. share: (features,)
    float32, which sum to 1 in each example that has a feature."""

    first: np.ndarray
    bucket: np.ndarray
    share: np.ndarray

    @property
    def examples(self) -> int:
        """How many there are."""
        return len(self.first) - 1

    def of(self, numbers: np.ndarray) -> Features:
        """The features of some examples, by their places."""
        lengths = np.diff(self.first)[numbers]
        first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        # of each feature: where its example's begin here, less where they begin in what is made
        places = np.repeat(self.first[numbers] - first[:-1], lengths) + np.arange(first[-1])
        return Features(first, self.bucket[places], self.share[places])

    def times(self, weights: np.ndarray) -> np.ndarray:
        """(examples,) float64: the weights of each one's features times their shares, summed."""
        terms = np.append(weights[self.bucket] * self.share, 0.0)
        sums = np.add.reduceat(terms, self.first[:-1])
        return np.where(np.diff(self.first) > 0, sums, 0.0)

    def transposed_times(self, values: np.ndarray, buckets: int) -> np.ndarray:
        """(buckets,) float64: shares times a value of their example, summed by bucket."""
        of_feature = np.repeat(values, np.diff(self.first)) * self.share
        return np.bincount(self.bucket, of_feature, minlength=buckets)


def features_of_words(examples: Iterable[Iterable[str]]) -> Features:
    """The features of examples that are words of any kind; one that stands several times counts as
    often."""
    buckets = []
    shares = []
    first = [0]
    for words in examples:
        bucket, counts = np.unique([_bucket(word) for word in words], return_counts=True)
        buckets.append(bucket.astype(np.int32))
        shares.append((counts / max(1, counts.sum())).astype(np.float32))
        first.append(first[-1] + len(bucket))
    empty = np.zeros(0)
    return Features(
        np.array(first, np.int64),
        np.concatenate([empty.astype(np.int32), *buckets]),
        np.concatenate([empty.astype(np.float32), *shares]),
    )


@lru_cache(WORDS_KEPT)
def _bucket(word: str) -> int:
    digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> (64 - BITS)


def joined(parts: Iterable[Features]) -> Features:
    """The features of several groups of examples, together."""
    every = list(parts)
    lengths = [np.diff(part.first) for part in every]
    first = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return Features(
        first,
        np.concatenate([part.bucket for part in every]),
        np.concatenate([part.share for part in every]),
    )


class Linear(NamedTuple):
    """A trained classifier. weights: (BUCKETS,) float32."""

    weights: np.ndarray
    bias: float

    def probability(self, features: Features) -> np.ndarray:
        """(examples,) float64: that each is of the first class, were both as frequent; NaN for one
        without a feature."""
        logits = features.times(self.weights) + self.bias
        return np.where(np.diff(features.first) > 0, _sigmoid(logits), np.nan)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -logits))


def trained(features: Features, is_good: np.ndarray, penalty: float = PENALTY) -> Linear:
    """The classifier of these examples. is_good: (examples,) bool, some of each."""
    sign = np.where(is_good, 1.0, -1.0)
    of_class = np.where(is_good, is_good.sum(), (~is_good).sum())
    weight = 0.5 / of_class  # (examples,), which sum to 1
    used, place = np.unique(features.bucket, return_inverse=True)  # the weights of others stay 0
    own = features._replace(bucket=place)

    def value(point: np.ndarray) -> tuple[float, np.ndarray]:
        """Penalised loss and its gradient. point: weights, then the bias."""
        margins = sign * (own.times(point[:-1]) + point[-1])
        loss = _sum(weight * np.logaddexp(0.0, -margins))
        loss += 0.5 * penalty * _sum(point[:-1] ** 2)
        slope = -weight * sign * _sigmoid(-margins)  # (examples,) by the logit
        gradient = np.append(own.transposed_times(slope, len(used)), _sum(slope))
        gradient[:-1] += penalty * point[:-1]
        return loss, gradient

    found = minimum(value, np.zeros(len(used) + 1))
    weights = np.zeros(BUCKETS, np.float32)
    weights[used] = found[:-1]
    return Linear(weights, float(found[-1]))


def _sum(values: np.ndarray) -> float:
    """In numpy's own order, which does not depend on threads."""
    return float(np.sum(values))


def minimum(
    value: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray
) -> np.ndarray:
    """Where a smooth convex function is least, by L-BFGS with backtracking (Nocedal and Wright,
    Numerical Optimization, 2006, algorithms 3.1 and 7.5). value: point -> (value, gradient)."""
    point = start
    height, gradient = value(point)
    pairs: list[tuple[np.ndarray, np.ndarray]] = []  # differences of points and of gradients
    for _ in range(STEPS):
        if np.abs(gradient).max() <= ENOUGH:
            break
        direction = -_preconditioned(gradient, pairs)
        slope = _sum(direction * gradient)
        length = 1.0
        if not pairs:  # nothing is known of the curvature yet
            length = 1.0 / np.sqrt(_sum(gradient**2))
        while True:
            new_point = point + length * direction
            new_height, new_gradient = value(new_point)
            if new_height <= height + DECREASE * length * slope:
                break
            length *= 0.5
            if length < 1e-12:  # no digit of the value is left to gain
                return point
        step = new_point - point
        change = new_gradient - gradient
        if _sum(step * change) > 0:
            pairs = [*pairs, (step, change)][-MEMORY:]
        point = new_point
        height = new_height
        gradient = new_gradient
    return point


def _preconditioned(
    gradient: np.ndarray, pairs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """The gradient times the inverse Hessian, as far as the pairs tell it."""
    found = gradient.copy()
    parts = []
    for step, change in reversed(pairs):
        scale = 1.0 / _sum(step * change)
        part = scale * _sum(step * found)
        found -= part * change
        parts.append((scale, part))
    if pairs:
        step, change = pairs[-1]
        found *= _sum(step * change) / _sum(change**2)
    for (step, change), (scale, part) in zip(pairs, reversed(parts), strict=True):
        found += (part - scale * _sum(change * found)) * step
    return found
