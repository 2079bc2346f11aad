"""What samples of tokens say beside a model's loss: diversity, repetition, copying from the
training data. Pure functions of token arrays."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genwright.evaluation.token_floors import Sliceable

PIECE = 1 << 18  # training tokens that are searched at a time
# Of windows that are equally long, those of an earlier stretch of so many training tokens go before
# others, and within one stretch those that begin earlier in the sample.
STRETCH = 1 << 22


def distinct(samples: Sequence[np.ndarray], n: int) -> float:
    """Different n-grams / n-grams, over all samples together (Li et al. 2016). It falls with the
    number of tokens, so compare equal amounts only. nan where no sample holds n tokens."""
    grams: list[bytes] = []
    for sample in samples:
        grams += _ngrams(sample, n)
    if not grams:
        return math.nan
    return len(set(grams)) / len(grams)


def repetition(samples: Sequence[np.ndarray], n: int = 4) -> float:
    """1 - different n-grams / n-grams within a sample, averaged over the samples of n tokens or
    more (Welleck et al. 2020)."""
    shares = []
    for sample in samples:
        grams = _ngrams(sample, n)
        if grams:
            shares.append(1 - len(set(grams)) / len(grams))
    return mean_of(shares)


def _ngrams(tokens: np.ndarray, n: int) -> list[bytes]:
    data = np.ascontiguousarray(tokens, dtype=np.int64)
    return [data[i : i + n].tobytes() for i in range(len(data) - n + 1)]


def mean_of(values: Sequence[float]) -> float:
    """The mean; nan of no values."""
    if not values:
        return math.nan
    return float(np.mean(values))


def until(tokens: np.ndarray, end: int | None) -> np.ndarray:
    """The tokens before the first end token."""
    if end is None:
        return tokens
    stops = np.flatnonzero(tokens == end)
    if not len(stops):
        return tokens
    return tokens[: stops[0]]


class Span(NamedTuple):
    """The longest run of a sample's tokens that the training tokens hold too: sample[start : start
    + length] == train[source : source + length]. length 0 (source -1) where they share no token."""

    start: int
    length: int
    source: int


def longest_spans(
    samples: Sequence[np.ndarray],
    train: Sliceable,
    vocabulary: int,
    stretch: int = STRETCH,
    piece: int = PIECE,
) -> list[Span]:
    """For each sample its longest verbatim span, exactly.

    1. All samples stand in a row, an end mark after each; every place of the row begins a window,
       and so does every training position.
    2. The windows are followed through the training tokens at once, one token longer each round. A
       window of length L is named by (name of its first L - 1 tokens, last token). Names are ranks,
       not hashes, so nothing collides.
    3. Training positions whose window no sample holds drop out, and so do windows of samples that
       no training position holds.

    Work: the training tokens once, plus what is really shared; memory: `piece`, which changes no
    span.
    """
    if not samples:
        return []
    sizes = [len(sample) + 1 for sample in samples]
    starts = np.cumsum([0, *sizes[:-1]])
    found = _Longest(samples, sizes, starts, vocabulary)
    for first in range(0, len(train), stretch):
        here = found.nothing()
        for begin in range(first, min(first + stretch, len(train)), piece):
            count = min(piece, first + stretch - begin)
            tokens = np.asarray(train[begin : begin + count + max(sizes)]).astype(np.int64)
            here.take(found.search(tokens, begin, count), or_earlier=True)
        found.best.take(here, or_earlier=False)
    spans = []
    best = found.best
    for start, length, source in zip(best.start - starts, best.length, best.source, strict=True):
        spans.append(Span(int(start), int(length), int(source)))
    return spans


class _Best(NamedTuple):
    """The longest windows of samples: start (in the row of all samples), length, source, each of
    (samples,) int64."""

    start: np.ndarray
    length: np.ndarray
    source: np.ndarray

    def take(self, other: _Best, or_earlier: bool) -> None:
        """Takes windows of later training tokens where they are longer; or, where that is asked
        for, as long and earlier in the sample."""
        better = other.length > self.length
        if or_earlier:
            better |= (other.length == self.length) & (other.start < self.start)
        for own, new in zip(self, other, strict=True):
            own[better] = new[better]


class _Longest:
    """What is searched for, and the longest spans found so far (`best`)."""

    def __init__(
        self, samples: Sequence[np.ndarray], sizes: list[int], starts: np.ndarray, vocabulary: int
    ):
        # 0 and 1 are the ends of training tokens and of samples, which nothing equals
        self.base = vocabulary + 2
        ended = [np.append(np.asarray(sample, np.int64) + 2, 1) for sample in samples]
        self.row = np.concatenate(ended)
        self.owner = np.repeat(np.arange(len(samples)), sizes)
        self.starts = starts
        self.best = self.nothing()

    def nothing(self) -> _Best:
        """No window of any sample."""
        count = len(self.starts)
        return _Best(self.starts.copy(), np.zeros(count, np.int64), np.full(count, -1, np.int64))

    def search(self, piece: np.ndarray, begin: int, count: int) -> _Best:
        """The longest windows that begin in the first `count` tokens of a piece of the training
        tokens, which begins at token `begin`."""
        best = self.nothing()
        train = np.append(piece + 2, 0)
        here = np.arange(len(self.row))  # places of windows in the row of samples
        there = np.arange(min(count, len(train) - 1))  # and in the training tokens
        name_here = np.zeros_like(here)
        name_there = np.zeros_like(there)
        for length in itertools.count(1):
            codes_here = name_here * self.base + self.row[here + length - 1]
            names, name_here = np.unique(codes_here, return_inverse=True)
            codes_there = name_there * self.base + train[there + length - 1]
            name_there = np.searchsorted(names, codes_there).clip(max=len(names) - 1)
            kept = names[name_there] == codes_there
            there = there[kept]
            name_there = name_there[kept]
            if not len(there):
                return best
            source = np.full(len(names), -1, np.int64)
            source[name_there[::-1]] = there[::-1]  # the first of equal windows stays
            alive = source[name_here] >= 0
            here = here[alive]
            name_here = name_here[alive]
            self._keep(best, here, begin + source[name_here], length)
        raise AssertionError("windows end with the training tokens")

    def _keep(self, best: _Best, here: np.ndarray, sources: np.ndarray, length: int) -> None:
        """Takes windows of `length` tokens, which are longer than all before; of a sample the
        first."""
        order = np.arange(len(here))[::-1]  # of several assignments to one place the last stays
        owner = self.owner[here[order]]
        best.length[owner] = length
        best.start[owner] = here[order]
        best.source[owner] = sources[order]
