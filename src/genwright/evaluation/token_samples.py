"""What samples of tokens say beside a model's loss: diversity, repetition, copying from the
training data. Pure functions of token arrays."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genwright.evaluation.token_floors import CHUNK, Sliceable


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
    samples: Sequence[np.ndarray], train: Sliceable, vocabulary: int, chunk: int = CHUNK
) -> list[Span]:
    """For each sample its longest verbatim span, exactly.

    1. All samples stand in a row, an end mark after each; every place of the row begins a window,
       and so does every training position.
    2. The windows are followed through the training tokens at once, one token longer each round. A
       window of length L is named by (name of its first L - 1 tokens, last token). Names are ranks,
       not hashes, so nothing collides.
    3. Training positions whose window no sample holds drop out, and so do windows of samples that
       no training position holds.

    Work: the training tokens once, plus what is really shared; memory: `chunk`.
    """
    if not samples:
        return []
    sizes = [len(sample) + 1 for sample in samples]
    starts = np.cumsum([0, *sizes[:-1]])
    found = _Longest(samples, sizes, starts, vocabulary)
    for begin in range(0, len(train), chunk):
        piece = np.asarray(train[begin : begin + chunk + max(sizes)]).astype(np.int64)
        found.search(piece, begin, chunk)
    spans = []
    for start, length, source in zip(found.start - starts, found.length, found.source, strict=True):
        spans.append(Span(int(start), int(length), int(source)))
    return spans


class _Longest:
    """The longest spans found so far: start (in the row of all samples), length, source, each of
    (samples,) int64."""

    def __init__(
        self, samples: Sequence[np.ndarray], sizes: list[int], starts: np.ndarray, vocabulary: int
    ):
        # 0 and 1 are the ends of training tokens and of samples, which nothing equals
        self.base = vocabulary + 2
        ended = [np.append(np.asarray(sample, np.int64) + 2, 1) for sample in samples]
        self.row = np.concatenate(ended)
        self.owner = np.repeat(np.arange(len(samples)), sizes)
        self.start = starts.copy()
        self.length = np.zeros(len(samples), np.int64)
        self.source = np.full(len(samples), -1, np.int64)

    def search(self, piece: np.ndarray, begin: int, chunk: int) -> None:
        """Looks at the windows that begin in the first `chunk` tokens of a piece of the training
        tokens, which begins at token `begin`."""
        train = np.append(piece + 2, 0)
        here = np.arange(len(self.row))  # places of windows in the row of samples
        there = np.arange(min(chunk, len(train) - 1))  # and in the training tokens
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
                return
            source = np.full(len(names), -1, np.int64)
            source[name_there[::-1]] = there[::-1]  # the first of equal windows stays
            alive = source[name_here] >= 0
            here = here[alive]
            name_here = name_here[alive]
            self._keep(here, begin + source[name_here], length)

    def _keep(self, here: np.ndarray, sources: np.ndarray, length: int) -> None:
        """Takes windows of `length` tokens where they are longer than what their samples have; of
        equal ones the first of a sample."""
        longer = np.flatnonzero(self.length[self.owner[here]] < length)[::-1]
        owner = self.owner[here[longer]]
        self.length[owner] = length
        self.start[owner] = here[longer]
        self.source[owner] = sources[longer]
