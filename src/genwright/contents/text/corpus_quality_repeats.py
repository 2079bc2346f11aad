"""How much of a text repeats itself: lines, paragraphs, and n-grams of words.

A line or paragraph is a *duplicate* where an equal one stood before it in the document. Likewise an
n-gram, that is n words that follow each other in the document (on one line or over several). So the
first of several equal ones is no duplicate, and the share of duplicates is what removing them would
remove.

1. Equal pieces have equal hashes; sorting brings them together, in the order of their places.
2. Only where an n-gram repeats can the n+1 words that begin there repeat, so each length sorts the
   few that are left of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from genwright.contents.text.corpus_quality_pieces import Pieces, sums_before

LONGEST = 10  # words of an n-gram, by table A1 of the paper
_FACTOR = 0xFF51AFD7ED558CCD  # odd


def stood_before(hashes: np.ndarray) -> np.ndarray:
    """(pieces,) bool: where an earlier piece has the same hash. hashes: (pieces,) uint64."""
    order = np.argsort(hashes, kind="stable")
    inside = hashes[order]
    duplicate = np.zeros(len(hashes), bool)
    duplicate[order[1:]] = inside[1:] == inside[:-1]
    return duplicate


class Sorted(NamedTuple):
    """N-grams that are sorted so that equal ones follow each other, in the order of their places.

    place: (n-grams,) the number of the first word. again: (n-grams,) bool: the one before is
    equal."""

    place: np.ndarray
    again: np.ndarray


def sorted_by_hash(places: np.ndarray, hashes: np.ndarray) -> Sorted:
    """N-grams sorted. places: (n-grams,) the first word of each, ascending. hashes: (words,)
    uint64, by first word."""
    # numbers that hold the upper bits of a hash and the place are sorted faster than by an order
    low = np.uint64((1 << max(1, len(hashes).bit_length())) - 1)
    packed = (hashes[places] & ~low) | places.astype(np.uint64)
    packed.sort()
    place = (packed & low).astype(np.int64)
    again = np.diff(hashes[place]) == 0
    upper = packed & ~low
    if not np.array_equal(again, upper[1:] == upper[:-1]):  # two hashes share their upper bits
        place = places[np.argsort(hashes[places], kind="stable")]
        again = np.diff(hashes[place]) == 0
    return Sorted(place, np.append(False, again)[: len(place)])


def ngrams(pieces: Pieces) -> Iterator[tuple[int, Sorted]]:
    """For n = 2 to 10: n, and the n-grams of all documents, of which those may be left out that
    occur once in their document."""
    words = len(pieces.word_hash)
    stop = pieces.first_word[1:][pieces.word_document]  # (words,) where its document ends
    places = np.arange(words)
    hashes = pieces.word_hash.copy()  # (words,) of the n-gram that begins there
    factor = 1
    for n in range(2, LONGEST + 1):
        places = places[places + n <= stop[places]]
        factor = factor * _FACTOR % 2**64
        hashes[places] += pieces.word_hash[places + n - 1] * np.uint64(factor)
        found = sorted_by_hash(places, hashes)
        yield n, found
        repeats = np.zeros(words + 1, bool)
        twice = np.flatnonzero(found.again)
        repeats[found.place[twice]] = True
        repeats[found.place[twice - 1]] = True
        places = np.flatnonzero(repeats[:-1] & repeats[1:])


def top_characters(pieces: Pieces, n: int, found: Sorted) -> np.ndarray:
    """(documents,) characters of the words in the n-gram that occurs most often; 0 where none
    occurs twice. A word that two occurrences share is counted once. Of several that occur equally
    often, the one with most characters."""
    covered = np.zeros(len(pieces.texts), np.int64)
    first = np.flatnonzero(~found.again)
    if not len(first):
        return covered
    times = np.diff(np.append(first, len(found.place)))  # (distinct,)
    document = pieces.word_document[found.place[first]]  # (distinct,)
    most = np.full(len(pieces.texts), 2)
    np.maximum.at(most, document, times)
    is_top = times == most[document]
    place = found.place[np.repeat(is_top, times)]  # (occurrences,)
    times = times[is_top]
    if not len(times):
        return covered
    begins = np.cumsum(times) - times
    follows = np.ones(len(place), bool)
    follows[begins] = False
    characters = sums_before(_newly_covered(pieces, n, place, follows))
    each = characters[begins + times] - characters[begins]
    np.maximum.at(covered, document[is_top], each)
    return covered


def duplicate_characters(pieces: Pieces, n: int, found: Sorted) -> np.ndarray:
    """(documents,) characters of the words in duplicate n-grams. A word that several of them share
    is counted once."""
    place = np.sort(found.place[found.again])
    document = pieces.word_document[place]
    follows = np.append(False, document[1:] == document[:-1])[: len(place)]
    new = _newly_covered(pieces, n, place, follows)
    counts = np.bincount(document, new, len(pieces.texts))
    return counts.astype(np.int64)


def _newly_covered(pieces: Pieces, n: int, place: np.ndarray, follows: np.ndarray) -> np.ndarray:
    """(n-grams,) characters that an n-gram adds to those that the one before it covers. follows:
    (n-grams,) bool: whether there is one before it, which begins earlier."""
    before = np.zeros(len(place), np.int64)
    before[1:] = place[:-1] + n
    begin = np.where(follows, np.maximum(place, before), place)
    return pieces.word_sums[place + n] - pieces.word_sums[begin]
