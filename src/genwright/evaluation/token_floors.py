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

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from genwright.core.errors import GenwrightError
from genwright.data.npy import NpyWriter, mapped
from genwright.data.sorted_runs import RunWriter, ranges_of, records_in

# a row of integers with a length, to be sliced, that need not be in memory: an array, a memory map,
# or shards in a row
Sliceable = Any
CHUNK = 1 << 18  # training tokens, or pairs of them, that are counted at a time
PAIRS = "pairs"  # files of them, while they are counted
CODES = "codes.npy"
COUNTS = "counts.npy"
UNIGRAM = "tokens.npy"


def write_counts(tokens: Sliceable, vocabulary: int, folder: Path, chunk: int = CHUNK) -> None:
    """Counts training tokens, into files of a folder that `Floors.read` maps: distinct neighbouring
    pairs, as sorted int64 codes left * vocabulary + right; how often each occurs; how often each
    token does. Raises GenwrightError for a token outside the vocabulary.

    Memory: proportional to `chunk` and the vocabulary; on the disk, to the tokens while the pairs
    are sorted there.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        runs = Path(temporary)
        writer = RunWriter(runs, PAIRS, chunk)
        times = np.zeros(vocabulary, np.int64)
        for start in range(0, len(tokens), chunk):
            piece = np.asarray(tokens[start : start + chunk + 1]).astype(np.int64)
            if piece.min() < 0 or piece.max() >= vocabulary:
                raise GenwrightError(
                    "a training token is outside the vocabulary",
                    "prepare the data again with this run's codec",
                )
            times += np.bincount(piece[:chunk], minlength=vocabulary)
            found, counts = np.unique(piece[:-1] * vocabulary + piece[1:], return_counts=True)
            writer.add(found, counts)
        writer.close()
        np.save(folder / UNIGRAM, times)
        with open(folder / CODES, "wb") as codes, open(folder / COUNTS, "wb") as counted:
            writers = NpyWriter(codes, np.int64), NpyWriter(counted, np.int64)
            for low, high in ranges_of(runs, PAIRS, 0, vocabulary**2, chunk):
                keys, values = records_in([runs], PAIRS, low, high)
                found, place = np.unique(keys, return_inverse=True)
                sums = np.bincount(place, values, len(found))  # exact: below 2**53
                writers[0].add(found.astype(np.int64))
                writers[1].add(sums.astype(np.int64))
            for each in writers:
                each.close()


class Floors:
    """Tables of counts of training tokens.

    codes, counts: (pairs,) distinct neighbouring pairs, sorted, and how often each occurs; they may
    be mapped from a file. times: (vocabulary,) how often each token occurs. unigram, continuation:
    (vocabulary,) probabilities. left_total, left_kinds: (vocabulary,) c(a) and T(a). best:
    (vocabulary,) the most frequent token after each."""

    def __init__(self, codes: np.ndarray, counts: np.ndarray, times: np.ndarray):
        self.vocabulary = len(times)
        self.codes = codes
        self.counts = counts
        self.unigram = _smoothed(times)
        self.left_total = np.zeros(self.vocabulary, np.int64)
        self.left_kinds = np.zeros(self.vocabulary, np.int64)
        right_kinds = np.zeros(self.vocabulary, np.int64)
        # of a token without a right neighbour the most frequent token
        self.best = np.full(self.vocabulary, int(self.unigram.argmax()))
        most = np.zeros(self.vocabulary, np.int64)  # how often the best one follows
        once = 0
        twice = 0
        for start in range(0, len(codes), CHUNK):
            some = counts[start : start + CHUNK]
            lefts, rights = np.divmod(codes[start : start + CHUNK], self.vocabulary)
            np.add.at(self.left_total, lefts, some)
            self.left_kinds += np.bincount(lefts, minlength=self.vocabulary)
            right_kinds += np.bincount(rights, minlength=self.vocabulary)
            self._keep_best(lefts, rights, some, most)
            once += int((some == 1).sum())
            twice += int((some == 2).sum())
        self.continuation = _smoothed(right_kinds)
        self.discount = _discount(once, twice)

    @classmethod
    def of(cls, tokens: Sliceable, vocabulary: int) -> Floors:
        """Of (n,) training tokens, of any integer type. Raises GenwrightError for a token outside
        the vocabulary."""
        with tempfile.TemporaryDirectory(prefix="genwright-") as folder:
            write_counts(tokens, vocabulary, Path(folder))
            return cls.read(Path(folder))  # what is mapped stays when its file is deleted

    @classmethod
    def read(cls, folder: Path) -> Floors:
        """Of the files that `write_counts` has written."""
        return cls(mapped(folder / CODES), mapped(folder / COUNTS), np.load(folder / UNIGRAM))

    def _keep_best(
        self, lefts: np.ndarray, rights: np.ndarray, counts: np.ndarray, most: np.ndarray
    ) -> None:
        """Takes the most frequent right neighbour of each token, of equals the lowest id, from
        further pairs, in order. most: how often the one before follows."""
        best = np.full(self.vocabulary, -1)
        # of several assignments to one place the last stays
        order = np.lexsort((-rights, counts))
        best[lefts[order]] = order
        seen = np.flatnonzero(best >= 0)
        pair = best[seen]
        more = counts[pair] > most[seen]
        self.best[seen[more]] = rights[pair[more]]
        most[seen[more]] = counts[pair[more]]

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


def _discount(once: int, twice: int) -> float:
    """D = n1 / (n1 + 2 n2), n1 and n2 the pairs that occur once and twice."""
    if not once or not twice:
        return 0.5
    return once / (once + 2 * twice)


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """(vocabulary,) counts -> Krichevsky-Trofimov probabilities."""
    return (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
