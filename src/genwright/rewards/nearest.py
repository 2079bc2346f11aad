"""How near samples are to training examples: a policy that is paid for what the data have may learn
to recite them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

GRAM = 8  # tokens that must be the same, in their order
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd; of a polynomial in tokens, modulo 2**64
TOKENS = 1_000_000  # of training examples that are compared with, at most


class Nearest:
    """Training examples by their runs of 8 tokens. examples: ids of tokens of each; those behind
    the first million tokens are left out."""

    def __init__(self, examples: Iterable[Sequence[int]]):
        hashes = [np.empty(0, np.uint64)]
        numbers = [np.empty(0, np.int64)]
        seen = 0
        self.count = 0
        for tokens in examples:
            if seen > TOKENS:
                break
            seen += len(tokens)
            found = grams(tokens)
            hashes.append(found)
            numbers.append(np.full(len(found), self.count))
            self.count += 1
        every = np.concatenate(hashes)
        order = np.argsort(every, kind="stable")
        self.hashes = every[order]
        self.numbers = np.concatenate(numbers)[order]

    def share(self, tokens: Sequence[int]) -> float:
        """Of a sample's different runs of 8 tokens, the share that stands in one training example,
        the one that has most of them; NaN where it has fewer than 8 tokens."""
        own = grams(tokens)
        if not len(own):
            return math.nan
        if not self.count:
            return 0.0
        first = np.searchsorted(self.hashes, own, "left")
        behind = np.searchsorted(self.hashes, own, "right")
        found = [self.numbers[a:b] for a, b in zip(first, behind, strict=True) if b > a]
        if not found:
            return 0.0
        counts = np.bincount(np.concatenate(found))
        return float(counts.max()) / len(own)

    def mean(self, samples: Iterable[Sequence[int]]) -> float:
        """Over samples, by their tokens; NaN where all are too short."""
        shares = [self.share(tokens) for tokens in samples]
        known = [share for share in shares if not math.isnan(share)]
        return math.fsum(known) / len(known) if known else math.nan


def grams(tokens: Sequence[int]) -> np.ndarray:
    """(different runs of 8 tokens,) uint64: a number for each; two of one number are the same but
    for a chance of about 1 in 2**64."""
    ids = np.asarray(tokens, np.int64).astype(np.uint64) + np.uint64(1)
    count = len(ids) - GRAM + 1
    if count < 1:
        return np.empty(0, np.uint64)
    mixed = (ids * FACTOR) ^ (ids << np.uint64(17))
    total = np.zeros(count, np.uint64)
    for place in range(GRAM):  # wraps around
        total = total * FACTOR + mixed[place : place + count]
    return np.unique(total)
