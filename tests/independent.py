"""Figures computed another way: loops, dictionaries and scipy, for tests that compare. Nothing here
calls what it is compared with."""

import math
from collections import Counter, defaultdict

import numpy as np


def near(value):
    """Equal to 1e-4."""
    import pytest

    return pytest.approx(value, abs=1e-4, rel=1e-4)


def nats(scores, target):
    """-log softmax(scores)[target]."""
    scores = np.asarray(scores, dtype=float)
    most = scores.max()
    return math.log(np.exp(scores - most).sum()) + most - scores[target]


# ---- counts


def unigram(tokens, vocabulary):
    """token -> probability: (count + 1/2) / (tokens + vocabulary / 2)."""
    counts = Counter(tokens)
    return [(counts[token] + 0.5) / (len(tokens) + vocabulary / 2) for token in range(vocabulary)]


def bigram(tokens, vocabulary):
    """(left, token) -> probability, interpolated Kneser-Ney with one discount, by dictionaries.
    left: None where there is none."""
    pairs = Counter(zip(tokens, tokens[1:], strict=False))
    once = sum(times == 1 for times in pairs.values())
    twice = sum(times == 2 for times in pairs.values())
    discount = once / (once + 2 * twice) if once and twice else 0.5
    followed, kinds, before = Counter(), defaultdict(set), defaultdict(set)
    for (left, right), times in pairs.items():
        followed[left] += times
        kinds[left].add(right)
        before[right].add(left)
    back = [
        (len(before[token]) + 0.5) / (len(pairs) + vocabulary / 2) for token in range(vocabulary)
    ]
    alone = unigram(tokens, vocabulary)

    def probability(left, token):
        if left is None or not followed[left]:
            return alone[token]
        own = max(pairs[left, token] - discount, 0) / followed[left]
        return own + discount * len(kinds[left]) / followed[left] * back[token]

    return probability


# ---- sets of samples


def ngrams(tokens, n):
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct(samples, n):
    grams = [gram for sample in samples for gram in ngrams(sample, n)]
    return len(set(grams)) / len(grams)


def repetition(samples, n=4):
    found = [ngrams(sample, n) for sample in samples]
    return np.mean([1 - len(set(grams)) / len(grams) for grams in found if grams])


def longest_copy(sample, train):
    """Tokens of the longest run that stands in `train` too, by words of growing length."""
    best = 0
    for length in range(1, len(sample) + 1):
        if not set(ngrams(sample, length)) & set(ngrams(train, length)):
            break
        best = length
    return best


def distances(a, b):
    """(n, m) Euclidean distances of (n, d) and (m, d), by differences of each pair."""
    return np.stack([np.sqrt(((x - b) ** 2).sum(1)) for x in a])


def prdc(real, fake, k=5):
    """Precision, recall, density and coverage by loops over pairs."""
    between, among, fakes = distances(real, fake), distances(real, real), distances(fake, fake)
    # to the k-th neighbour; the nearest of all is the example itself
    reach = np.sort(among, 1)[:, k]
    own_reach = np.sort(fakes, 1)[:, k]
    inside = between < reach[:, None]
    return {
        "precision": inside.any(0).mean(),
        "recall": (between < own_reach[None, :]).any(1).mean(),
        "density": inside.sum() / (k * len(fake)),
        "coverage": inside.any(1).mean(),
    }


def frechet(a, b):
    """Squared 2-Wasserstein distance of two fitted Gaussians: tr (A B)^(1/2) is the sum of the
    singular values of the products of centred rows (the root of A B itself is exact only where no
    feature depends on others)."""
    x, y = (
        (rows - rows.mean(0)) / math.sqrt(len(rows) - 1)
        for rows in (a.astype(float), b.astype(float))
    )
    cross = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * cross


def frechet_by_roots(a, b):
    """The same by a matrix square root, of features that do not depend on one another."""
    from scipy.linalg import sqrtm

    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(first @ second))
    return (
        ((a.mean(0) - b.mean(0)) ** 2).sum()
        + np.trace(first)
        + np.trace(second)
        - 2 * np.trace(root)
    )


def kernel_distance(a, b):
    """Unbiased squared MMD with the kernel (x.y / d + 1)^3, pair by pair."""
    d = a.shape[1]

    def kernel(x, y):
        return (float(x @ y) / d + 1) ** 3

    within = [
        sum(kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j)
        / (len(x) * (len(x) - 1))
        for x in (a, b)
    ]
    across = sum(kernel(x, y) for x in a for y in b) / (len(a) * len(b))
    return within[0] + within[1] - 2 * across


def sliced_wasserstein(a, b, directions):
    """Sets of one size: the sorted projections are compared one by one."""
    squares = []
    for direction in directions:
        direction = direction / np.linalg.norm(direction)
        squares.append(((np.sort(a @ direction) - np.sort(b @ direction)) ** 2).mean())
    return math.sqrt(np.mean(squares))


def memorised(samples, train, fresh, k=50, quantile=0.05):
    """Share of samples whose nearest over mean of k nearest is at most the quantile of fresh ones',
    and the fresh ones' share."""

    def ratios(queries):
        rows = np.sort(distances(queries, train), 1)[:, :k]
        return rows[:, 0] / np.maximum(rows.mean(1), 1e-12)

    of_fresh = ratios(fresh)
    threshold = np.sort(of_fresh)[int(quantile * len(of_fresh))]
    return (ratios(samples) <= threshold).mean(), (of_fresh <= threshold).mean()
