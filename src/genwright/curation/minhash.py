"""Which documents resemble one another: shingles, their sketches, and bands of these. Pure
functions over arrays.

1. A shingle is `WORDS` = 5 neighbouring words of a lower-cased text (`str.lower`, `str.split`). A
   text of 1 to 4 words has one shingle, all of it; a text without words has none. The similarity of
   two texts is that of their sets of shingles: shared / all, the Jaccard index.
2. Shingles are hashed to 64 bits, a batch at once: a word by the sum of its groups of 8 bytes, each
   times a number of that place; a shingle by the polynomial of its words. Two different ones of a
   corpus of 10^9 agree with a probability of 3%, and then change a similarity by one shingle.
3. A sketch of k numbers is such that each is equal in two documents with a probability of exactly
   their similarity (Dahlgaard, Knudsen, Thorup: Fast Similarity Sketching, FOCS 2017). Each shingle
   falls into one of k bins and the smallest of a bin stands; bins that stay empty are filled by
   further rounds with other hashes, so that a text of 20 words gets a full sketch too. MinHash
   (Broder 1997) would hash each shingle k times.
4. Documents that agree in all rows of one of the bands of their sketches are candidates. Of pairs
   of similarity s that are 1 - (1 - s^rows)^bands.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genwright.core.corpus_content import Shingles
from genwright.core.errors import GenwrightError

WORDS = 5  # of a shingle
VERSION = 1  # raise it when a text would get other shingles, or a set of them another sketch
# white space of `str.split` that is not ASCII
WIDE_SPACES = (
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
PLACES = 8  # groups of 8 bytes of a word that are hashed as arrays; longer words one by one
HALF_BIT = 1 << 63  # of the keys of half of the bands, so that two halves can be compared
FEWEST = 20  # pairs that a recall is measured on
EMPTY = np.uint32(0xFFFFFFFF)  # a bin into which no shingle fell


def _odd_numbers(seed: int, n: int) -> np.ndarray:
    """(n,) uint64, odd, the same for ever: the sequence of SplitMix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        state = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state ^ (state >> np.uint64(31))) | np.uint64(1)


_OF_PLACE = _odd_numbers(1, PLACES + 2)
_OF_LENGTH, _OF_WORD, _OF_SHINGLE = _odd_numbers(2, 3)
_OF_COUNT = _odd_numbers(6, WORDS)
_OF_ROUND = _odd_numbers(3, 4096)
_OF_ROW = _odd_numbers(4, 4096)
_OF_BAND = _odd_numbers(5, 4096)
_SQUARED = np.multiply(np.array([_OF_WORD]), _OF_WORD)[0]
# number of bytes -> which bits of 8 bytes, read as a little-endian number, they are
_BITS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
_HALF = np.uint64(32)


def shingles(texts: Sequence[str]) -> Shingles:
    """Hashes of the shingles of each text."""
    encoded = [_normalised(text) for text in texts]
    # a space before, between and after; 8 more, so that 8 bytes can be read at each word
    whole = b" " + b" ".join(encoded) + b" " * 9
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    ends = np.cumsum(lengths + 1)  # (documents,) where the space after each is
    word_starts, word_ends = _words(np.frombuffer(whole, np.uint8))
    words = _hash_words(whole, word_starts, word_ends)
    word_offsets = np.zeros(len(encoded) + 1, np.int64)
    word_offsets[1:] = np.searchsorted(word_starts, ends)
    return _hash_shingles(words, word_offsets)


def _normalised(text: str) -> bytes:
    """Lower-cased, in UTF-8, with no white space but that of ASCII."""
    if not text.isascii():
        for space in WIDE_SPACES:
            if space in text:
                text = text.replace(space, " ")
    return text.lower().encode("utf-8", "surrogatepass")


def _words(text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where words begin and end. text: (bytes,) uint8, with white space at both ends."""
    space = text == 32
    space |= (text - np.uint8(9)) <= 4  # tab to carriage return; smaller ones wrap around
    space |= (text - np.uint8(28)) <= 3  # the four separators of ASCII
    changes = np.flatnonzero(space[1:] != space[:-1])
    changes += 1
    return changes[0::2], changes[1::2]


def _hash_words(whole: bytes, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(words,) uint64. whole: the text, with 8 bytes after the last word."""
    # at each byte: the number that it and the 7 after it are
    groups = np.ndarray((len(whole) - 7,), np.dtype("<u8"), whole, strides=(1,))
    lengths = ends - starts
    first = groups[starts] & _BITS[np.minimum(lengths, 8)]
    hashes = first * _OF_PLACE[0] + lengths.astype(np.uint64) * _OF_LENGTH
    longer = np.flatnonzero(lengths > 8)
    for place in range(1, PLACES):
        if not len(longer):
            break
        at = starts[longer] + 8 * place
        left = lengths[longer] - 8 * place
        group = groups[at] & _BITS[np.minimum(left, 8)]
        hashes[longer] += group * _OF_PLACE[place]
        longer = longer[left > 8]
    for word in longer.tolist():  # of more than 64 bytes
        hashes[word : word + 1] += _rest(whole[starts[word] + 8 * PLACES : ends[word]])
    hashes ^= hashes >> _HALF
    hashes *= _OF_PLACE[PLACES]
    hashes ^= hashes >> _HALF
    return hashes


def _rest(tail: bytes) -> np.uint64:
    """A number of what a long word has beyond its first groups."""
    padded = tail + b"\0" * (-len(tail) % 8)
    groups = np.frombuffer(padded, "<u8")
    powers = np.full(len(groups), _OF_PLACE[PLACES + 1])
    return np.dot(groups, np.multiply.accumulate(powers))


def _hash_shingles(words: np.ndarray, word_offsets: np.ndarray) -> Shingles:
    """words: (words,) hashes of those of all documents; word_offsets: (documents + 1,)."""
    counts = np.diff(word_offsets)
    sizes = np.where(counts >= WORDS, counts - (WORDS - 1), counts > 0)
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    if len(words) >= WORDS:
        twos = words[:-1] * _OF_WORD + words[1:]
        fours = twos[:-2] * _SQUARED + twos[2:]
        fives = fours[:-1] * _OF_WORD + words[4:]  # one at each word, also where the text ends
        hashes = fives[_inside(counts, sizes, offsets)]
    else:
        hashes = np.zeros(offsets[-1], np.uint64)
    for count in range(1, WORDS):
        few = np.flatnonzero(counts == count)
        if not len(few):
            continue
        short = np.full(len(few), _OF_COUNT[count])
        for place in range(count):
            short = short * _OF_WORD + words[word_offsets[few] + place]
        hashes[offsets[few]] = short
    hashes ^= hashes >> _HALF
    hashes *= _OF_SHINGLE
    hashes ^= hashes >> _HALF
    return Shingles(hashes, offsets)


def _inside(counts: np.ndarray, sizes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(shingles,) the word at which each begins; of short documents any that has a shingle."""
    skipped = np.zeros(len(counts), np.int64)  # words before a document at which none begins
    np.cumsum((counts - sizes)[:-1], out=skipped[1:])
    at = np.arange(offsets[-1]) + np.repeat(skipped, sizes)
    last = max(int(counts.sum()) - WORDS, 0)
    return np.minimum(at, last, out=at)


def signatures(found: Shingles, permutations: int) -> np.ndarray:
    """(documents, permutations) uint32: the sketch of each document, `EMPTY` throughout where it
    has no shingles. The price is that of hashing n log(permutations) shingles or so, where n is the
    larger of their number and of permutations."""
    hashes, offsets = found
    sizes = np.diff(offsets)
    sketch = np.full((len(sizes), permutations), EMPTY)
    unfilled = np.flatnonzero(sizes)  # documents with empty bins
    sizes = sizes[unfilled]
    # two rounds for each bin are always enough: see `_throw`
    for number in range(2 * permutations):
        _throw(sketch, unfilled, sizes, hashes, number)
        open_still = (sketch[unfilled] == EMPTY).any(1)
        if not open_still.any():
            break
        hashes = hashes[np.repeat(open_still, sizes)]
        unfilled = unfilled[open_still]
        sizes = sizes[open_still]
    return sketch


def _throw(
    sketch: np.ndarray, documents: np.ndarray, sizes: np.ndarray, hashes: np.ndarray, number: int
) -> None:
    """A round: each shingle falls into a bin, and where that was empty the smallest stays. From
    round `permutations` on all fall into the same bin, the next one in each round.

    documents, sizes: (documents,) rows of the sketch, and how many of the hashes are of each."""
    bins = sketch.shape[1]
    if number:
        hashes = hashes * _OF_ROUND[number % len(_OF_ROUND)]
        hashes ^= hashes >> _HALF
    beginnings = np.repeat(documents * bins, sizes)  # of the rows of the sketch, each shingle's
    if number < bins:
        # the upper half of a hash says the bin, the lower is the number that stays
        at = hashes >> _HALF
        at *= np.uint64(bins)
        at >>= _HALF
        at = at.view(np.int64)
        at += beginnings
    else:
        at = beginnings + (number - bins)
    numbers = hashes.astype(np.uint32)
    flat = sketch.reshape(-1)
    if number:
        empty = np.flatnonzero(flat[at] == EMPTY)
        at = at[empty]
        numbers = numbers[empty]
    np.minimum.at(flat, at, numbers)


def band_keys(sketch: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """(documents, bands) uint64: equal in two documents where all rows of the band are; different
    in different bands. The highest bit is 1 in every other band (`HALF_BIT`)."""
    used = sketch[:, : bands * rows].reshape(len(sketch), bands, rows)
    keys = np.tile(_OF_BAND[:bands], (len(sketch), 1))
    for row in range(rows):
        keys += used[:, :, row] * _OF_ROW[row]
        keys ^= keys >> _HALF
        keys *= _OF_SHINGLE
    keys ^= keys >> _HALF
    keys >>= np.uint64(1)
    keys[:, 1::2] |= np.uint64(HALF_BIT)
    return keys


class Bands(NamedTuple):
    """How sketches are cut. recall: the share of pairs of the similarity asked for that are
    expected to be candidates."""

    bands: int
    rows: int
    recall: float


def expected_recall(similarity: float, bands: int, rows: int) -> float:
    """The share of pairs of a similarity that agree in a band at least."""
    return 1 - (1 - similarity**rows) ** bands


def bands_and_rows(similarity: float, recall: float, permutations: int) -> Bands:
    """The most rows (the fewest candidates in vain) with which the recall is still reached, and all
    the bands that the sketch has room for. Raises GenwrightError where none reach it."""
    for rows in range(permutations, 0, -1):
        bands = permutations // rows
        expected = expected_recall(similarity, bands, rows)
        if expected >= recall:
            return Bands(bands, rows, expected)
    raise GenwrightError(
        f"no bands of {permutations} permutations find {recall:.1%} of the pairs of similarity"
        f" {similarity:g} (at most {expected_recall(similarity, permutations, 1):.1%})",
        "raise deduplicate.similarity or lower deduplicate.recall",
    )


def recall_between(first: int, second: int, both: int) -> float:
    """The share of pairs that at least one of two independent searches finds, of which the first
    found `first`, the second `second`, and the two have `both` in common: each is measured on what
    the other found (Lincoln, Petersen). NaN where fewer than `FEWEST` are in common."""
    if both < FEWEST:
        return float("nan")
    missed_by_first = 1 - both / second
    missed_by_second = 1 - both / first
    return 1 - missed_by_first * missed_by_second


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """The similarity of two sets. one, other: (n,) uint64, without repetitions; 0 where both are
    empty."""
    if not len(one) and not len(other):
        return 0.0
    both = np.concatenate([one, other])
    both.sort()
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    return shared / (len(both) - shared)
