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
from genwright.curation.lower_case import lower_utf8

WORDS = 5  # of a shingle
VERSION = 1  # raise it when a text would get other shingles, or a set of them another sketch
AFTER = 8  # bytes after the last word of a batch
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
    return shingles_of_utf8([text.encode("utf-8", "surrogatepass") for text in texts])


def shingles_of_utf8(encoded: Sequence[bytes]) -> Shingles:
    """Hashes of the shingles of each text. encoded: the texts in UTF-8."""
    whole, ends = _joined(encoded)
    unusual = lower_utf8(whole)
    if len(unusual):
        replaced = list(encoded)
        for document in np.unique(np.searchsorted(ends, unusual)).tolist():
            replaced[document] = _normalised(replaced[document])
        whole, ends = _joined(replaced)
        lower_utf8(whole)
    word_starts, lengths = _words(whole[: len(whole) - AFTER])
    words = _hash_words(whole, word_starts, lengths)
    word_offsets = np.zeros(len(encoded) + 1, np.int64)
    word_offsets[1:] = np.searchsorted(word_starts, ends)
    return _hash_shingles(words, word_offsets)


def _joined(encoded: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """(bytes,) uint8: all texts, with a space before, between and after, and `AFTER` more, so that
    8 bytes can be read at each word; (documents,) where the space after each text is."""
    whole = bytearray(b" ".join((b"", *encoded, b" " * AFTER)))
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    return np.frombuffer(whole, np.uint8), np.cumsum(lengths + 1)


def _normalised(encoded: bytes) -> bytes:
    """A text in UTF-8, lower-cased by Python. (White space that is not of ASCII stays.)"""
    return encoded.decode("utf-8", "surrogatepass").lower().encode("utf-8", "surrogatepass")


def _words(text: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(words,) where each begins; (words,) its bytes. text: (bytes,) uint8, with white space at
    both ends."""
    space = (text - np.uint8(9)) <= 4  # tab to carriage return; smaller ones wrap around
    space |= (text - np.uint8(28)) <= 4  # the four separators of ASCII, and the space
    changes = np.flatnonzero(space[1:] != space[:-1])
    starts = changes[0::2] + 1
    ends = changes[1::2] + 1
    return starts, ends - starts


def _hash_words(text: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """(words,) uint64. text: (bytes,) uint8, with 8 after the last word."""
    # at each byte: the number that it and the 7 after it are
    groups = np.ndarray((len(text) - 7,), np.dtype("<u8"), text.data, strides=(1,))
    hashes = groups[starts]
    hashes &= _BITS.take(lengths, mode="clip")  # of a longer word all 8 bytes
    hashes *= _OF_PLACE[0]
    hashes += lengths.view(np.uint64) * _OF_LENGTH
    longer = np.flatnonzero(lengths > 8)
    at = starts[longer]
    left = lengths[longer]
    for place in range(1, PLACES):
        if not len(longer):
            break
        at += 8
        left -= 8
        group = groups[at]
        group &= _BITS.take(left, mode="clip")
        group *= _OF_PLACE[place]
        hashes[longer] += group
        still = np.flatnonzero(left > 8)
        longer = longer[still]
        at = at[still]
        left = left[still]
    for word in longer.tolist():  # of more than 64 bytes
        tail = text[starts[word] + 8 * PLACES : starts[word] + lengths[word]]
        hashes[word : word + 1] += _rest(tail.tobytes())
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
    fives = np.zeros(len(words), np.uint64)  # one at each word, also where a text ends
    if len(words) >= WORDS:
        twos = words[:-1] * _OF_WORD
        twos += words[1:]
        fours = twos[:-2] * _SQUARED
        fours += twos[2:]
        own = fives[: -(WORDS - 1)]
        np.multiply(fours[:-1], _OF_WORD, out=own)
        own += words[WORDS - 1 :]
    hashes = fives[_begins(word_offsets, sizes)]
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


def _begins(word_offsets: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(words,) bool, at which of them a shingle begins: not at the last of a text, but at the first
    of a text of few. sizes: (documents,) shingles of each."""
    begins = np.ones(word_offsets[-1], bool)
    first = word_offsets[:-1] + sizes  # at which none begins
    for place in range(WORDS - 1):
        at = first + place
        begins[at[at < word_offsets[1:]]] = False
    return begins


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
