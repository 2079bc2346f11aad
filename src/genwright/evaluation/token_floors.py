"""The floors of a token model's loss and accuracy: what a table of counts reaches, made of the
training tokens and measured at the targets that the model is measured at.

1. Uniform: ln(vocabulary).
2. Unigram: the Krichevsky-Trofimov estimate, (count + 1/2) / (tokens + vocabulary / 2).
3. Bigram: interpolated Kneser-Ney with one discount (Ney, Essen, Kneser 1994; Chen and Goodman
   1999), which needs no tuning:
   p(b|a) = max(c(ab) - D, 0) / c(a) + D T(a) / c(a) q(b),
   where T(a) is the number of distinct tokens seen after a, D = n1 / (n1 + 2 n2), and q the share
   of distinct left neighbours, smoothed like the unigram.

For masked models, whose inputs hold both sides, the bigram sees the true left neighbour, hidden or
not: a floor, not a rival.
"""

import math
from typing import Any

import numpy as np

from genwright.core.errors import GenwrightError

# a row of integers with a length, to be sliced, that need not be in memory: an array, a memory map,
# or shards in a row
Sliceable = Any
# training tokens that are counted or searched at a time: some 200 MB of scratch, whatever the
# corpus holds
CHUNK = 1 << 22


def pair_counts(
    tokens: Sliceable, vocabulary: int, chunk: int = CHUNK
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct neighbouring pairs, as sorted int64 codes left * vocabulary + right, and how often
    each occurs. Raises GenwrightError for a token outside the vocabulary.

    Memory: proportional to the distinct pairs and `chunk`, not to the tokens.
    """
    codes = np.zeros(0, np.int64)
    counts = np.zeros(0, np.int64)
    for start in range(0, max(len(tokens) - 1, 0), chunk):
        piece = np.asarray(tokens[start : start + chunk + 1]).astype(np.int64)
        if piece.min() < 0 or piece.max() >= vocabulary:
            raise GenwrightError(
                "a training token is outside the vocabulary",
                "prepare the data again with this run's codec",
            )
        found, times = np.unique(piece[:-1] * vocabulary + piece[1:], return_counts=True)
        codes, place = np.unique(np.concatenate([codes, found]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts, times]), len(codes)).astype(np.int64)
    return codes, counts


class Floors:
    """Tables of counts of (n,) training tokens, of any integer type.

    unigram, continuation: (vocabulary,) probabilities. codes, counts: the pairs. left_total,
    left_kinds: (vocabulary,) c(a) and T(a). best: (vocabulary,) the most frequent token after each.
    Raises GenwrightError for a token outside the vocabulary."""

    def __init__(self, tokens: Sliceable, vocabulary: int):
        self.vocabulary = vocabulary
        self.codes, self.counts = pair_counts(tokens, vocabulary)
        lefts = self.codes // vocabulary
        rights = self.codes % vocabulary
        left_total = np.bincount(lefts, weights=self.counts, minlength=vocabulary)
        self.left_total = left_total.astype(np.int64)
        self.left_kinds = np.bincount(lefts, minlength=vocabulary)
        # the last token is the left of no pair
        last = np.asarray(tokens[max(0, len(tokens) - 1) :]).astype(np.int64)
        self.unigram = _smoothed(self.left_total + np.bincount(last, minlength=vocabulary))
        self.continuation = _smoothed(np.bincount(rights, minlength=vocabulary))
        self.best = self._most_frequent_after(lefts, rights)
        self.discount = self._discount()

    def _most_frequent_after(self, lefts: np.ndarray, rights: np.ndarray) -> np.ndarray:
        """(vocabulary,) the most frequent right neighbour of each token, of equals the lowest id;
        of a token without one the most frequent token."""
        best = np.full(self.vocabulary, int(self.unigram.argmax()))
        # of several assignments to one place the last stays
        order = np.lexsort((-rights, self.counts))
        best[lefts[order]] = rights[order]
        return best

    def _discount(self) -> float:
        """D = n1 / (n1 + 2 n2), n1 and n2 the pairs that occur once and twice."""
        once = int((self.counts == 1).sum())
        twice = int((self.counts == 2).sum())
        if not once or not twice:
            return 0.5
        return once / (once + 2 * twice)

    def probability(self, targets: np.ndarray, left: np.ndarray) -> np.ndarray:
        """(n,) bigram probabilities of `targets` after `left`; the unigram's where left is -1 or
        was never followed."""
        a = np.maximum(left, 0)
        count = self._pair_count(a * np.int64(self.vocabulary) + targets)
        total = self.left_total[a]
        known = (left >= 0) & (total > 0)
        total = np.maximum(total, 1)
        seen = np.maximum(count - self.discount, 0) / total
        backed_off = self.discount * self.left_kinds[a] / total * self.continuation[targets]
        return np.where(known, seen + backed_off, self.unigram[targets])

    def _pair_count(self, codes: np.ndarray) -> np.ndarray:
        """(n,) how often each pair occurs among the training tokens."""
        if not len(self.codes):
            return np.zeros(len(codes))
        place = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[place] == codes, self.counts[place], 0)

    def measure(self, targets: np.ndarray, left: np.ndarray) -> dict[str, dict[str, float]]:
        """Sums over targets, to be divided by their number: {"loss": {"uniform", "unigram",
        "bigram"}, "accuracy": {"unigram", "bigram"}}.

        targets, left: (n,) int64; left is -1 where there is no left neighbour. Raises
        GenwrightError for a target outside the vocabulary.
        """
        self._check(targets, left)
        loss = {
            "uniform": len(targets) * math.log(self.vocabulary),
            "unigram": float(-np.log(self.unigram[targets]).sum()),
            "bigram": float(-np.log(self.probability(targets, left)).sum()),
        }
        frequent = self.unigram.argmax()
        after_left = np.where(left >= 0, self.best[np.maximum(left, 0)], frequent)
        accuracy = {
            "unigram": float((targets == frequent).sum()),
            "bigram": float((targets == after_left).sum()),
        }
        return {"loss": loss, "accuracy": accuracy}

    def _check(self, targets: np.ndarray, left: np.ndarray) -> None:
        if not len(targets):
            return
        if targets.min() < 0 or max(targets.max(), left.max()) >= self.vocabulary:
            raise GenwrightError(
                "a held-out token is outside the vocabulary",
                "prepare the data again with this run's codec",
            )


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """(vocabulary,) counts -> Krichevsky-Trofimov probabilities."""
    return (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
