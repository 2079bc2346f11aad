"""What a table of counts reaches: the floors of a language model's loss and accuracy.

Counts come from the training tokens, and are measured at the targets the model is measured at. Uniform: ln(vocabulary). Unigram:
the Krichevsky-Trofimov estimate, (count + 1/2) / (tokens + vocabulary / 2). Bigram: interpolated Kneser-Ney with one discount
(Ney, Essen, Kneser 1994; Chen and Goodman 1999), which needs no tuning: p(b|a) = max(c(ab) - D, 0) / c(a) + D T(a) / c(a) q(b),
where T(a) is the number of tokens seen after a, D = n1 / (n1 + 2 n2), and q the share of distinct left neighbours, smoothed like
the unigram.
For masked models, whose inputs hold both sides, the bigram sees the true left neighbour, hidden or not: a floor, not a rival.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from genwright.errors import GenwrightError


class Sliceable(Protocol):
    """A row of integers that need not be in memory: an array, a memory map, or shards in a row."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


CHUNK = 1 << 22  # tokens counted at a time: some 200 MB of scratch, whatever the corpus holds


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """(vocabulary,) counts -> Krichevsky-Trofimov probabilities."""
    return (counts + 0.5) / (counts.sum() + 0.5 * len(counts))


def pair_counts(tokens: Sliceable, vocabulary: int, chunk: int = CHUNK) -> tuple[np.ndarray, np.ndarray]:
    """Distinct neighbouring pairs, as sorted int64 codes left * vocabulary + right, and how often each occurs. Raises GenwrightError for a
    token outside the vocabulary.

    Memory: proportional to the distinct pairs and `chunk`, not to the tokens.
    """
    codes, counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
    for start in range(0, max(len(tokens) - 1, 0), chunk):
        piece = np.asarray(tokens[start : start + chunk + 1]).astype(np.int64)
        if piece.min() < 0 or piece.max() >= vocabulary:
            raise GenwrightError("a training token is outside the vocabulary", "prepare the data again with this run's codec")
        found, times = np.unique(piece[:-1] * vocabulary + piece[1:], return_counts=True)
        codes, where = np.unique(np.concatenate([codes, found]), return_inverse=True)
        counts = np.bincount(where, np.concatenate([counts, times]), len(codes)).astype(np.int64)
    return codes, counts


@dataclass(frozen=True)
class Floors:
    """Counts of the training tokens. unigram, continuation: (vocabulary,) probabilities. codes, counts: the pairs.
    left_total, left_kinds: (vocabulary,) c(a) and T(a). best: (vocabulary,) the most frequent token after each."""

    vocabulary: int
    unigram: np.ndarray
    continuation: np.ndarray
    codes: np.ndarray
    counts: np.ndarray
    left_total: np.ndarray
    left_kinds: np.ndarray
    best: np.ndarray
    discount: float

    def probability(self, targets: np.ndarray, left: np.ndarray) -> np.ndarray:
        """(n,) bigram probabilities of `targets` after `left`; the unigram's where left is -1 or was never followed."""
        a = np.maximum(left, 0)
        codes = a * np.int64(self.vocabulary) + targets
        at = np.minimum(np.searchsorted(self.codes, codes), max(len(self.codes) - 1, 0))
        count = np.where(self.codes[at] == codes, self.counts[at], 0) if len(self.codes) else np.zeros(len(codes))
        total, back = self.left_total[a], self.continuation[targets]
        known = (left >= 0) & (total > 0)
        total = np.maximum(total, 1)
        bigram = np.maximum(count - self.discount, 0) / total + self.discount * self.left_kinds[a] / total * back
        return np.where(known, bigram, self.unigram[targets])

    def measure(self, targets: np.ndarray, left: np.ndarray) -> dict[str, dict[str, float]]:
        """Sums over targets, to be divided by their number: {"loss": {"uniform", "unigram", "bigram"}, "accuracy": {...}}.

        targets, left: (n,) int64; left is -1 where there is no left neighbour.
        """
        if len(targets) and (targets.min() < 0 or max(targets.max(), left.max()) >= self.vocabulary):
            raise GenwrightError("a held-out token is outside the vocabulary", "prepare the data again with this run's codec")
        probabilities = {"unigram": self.unigram[targets], "bigram": self.probability(targets, left)}
        guesses = {"unigram": self.unigram.argmax(), "bigram": np.where(left >= 0, self.best[np.maximum(left, 0)], self.unigram.argmax())}
        loss = {"uniform": len(targets) * math.log(self.vocabulary)} | {k: float(-np.log(p).sum()) for k, p in probabilities.items()}
        return {"loss": loss, "accuracy": {k: float((targets == guess).sum()) for k, guess in guesses.items()}}


def count_floors(tokens: Sliceable, vocabulary: int, chunk: int = CHUNK) -> Floors:
    """Counts (n,) training tokens, of any integer type. Raises GenwrightError for a token outside the vocabulary."""
    codes, counts = pair_counts(tokens, vocabulary, chunk)
    lefts, rights = codes // vocabulary, codes % vocabulary
    left_total = np.bincount(lefts, weights=counts, minlength=vocabulary).astype(np.int64)
    last = np.asarray(tokens[max(0, len(tokens) - 1) :]).astype(np.int64)  # the one token that is the left of no pair
    unigram, kinds = _smoothed(left_total + np.bincount(last, minlength=vocabulary)), np.bincount(lefts, minlength=vocabulary)
    best = np.full(vocabulary, int(unigram.argmax()))
    starts = np.flatnonzero(np.diff(lefts, prepend=-1))
    if len(codes):
        top = np.repeat(np.maximum.reduceat(counts, starts), np.diff(np.append(starts, len(codes))))
        winners = np.flatnonzero(counts == top)[::-1]  # the lowest id wins a tie
        best[lefts[winners]] = rights[winners]
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    discount = once / (once + 2 * twice) if once and twice else 0.5
    continuation = _smoothed(np.bincount(rights, minlength=vocabulary))
    return Floors(vocabulary, unigram, continuation, codes, counts, left_total, kinds, best, discount)
