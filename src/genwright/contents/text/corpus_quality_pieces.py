"""The words, lines and paragraphs of many texts at once, as arrays: what the quality rules share.

1. The texts are joined into one array of characters (code points), a line end before, between and
   after them.
2. A table says of each character whether it is white space, a line end, a letter, and so on.
3. Words begin and end where white space does. Lines are found by their ends, and hold words.
4. A piece is known by a polynomial hash of its characters mod 2^64, from sums over the array:
   Rabin and Karp, "Efficient randomized pattern-matching algorithms", 1987.

A *character* is a code point. A *word* is what `str.split()` gives: the longest run without white
space. A *line* is what `str.splitlines()` gives, without the white space at both ends; a line of
white space alone is *blank*, and counts as no line. A *paragraph* is the longest run of lines
without a blank one between them. None of the papers defines these words; datatrove splits words by
a tokenizer for English, which also cuts punctuation off.

Pieces of equal hash are taken for equal. Of those that differ in ordinary text, a pair in about
10^19 has equal hashes; who wants to can make such pairs, of more than a thousand characters each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

SPACE = 1
LINE_END = 2
LETTER = 4
STOP = 8
ENDING = 16
CLOSING = 32
BULLET = 64
LINE_ENDS = "\n\v\f\r\x1c\x1d\x1e\x85\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
# of sentences: period, question mark, exclamation mark, in Latin and in East Asian writing
STOPS = ".?!\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH QUESTION MARK}\N{FULLWIDTH EXCLAMATION MARK}"
# end quotation marks, straight and curved
QUOTES = "\"'\N{RIGHT DOUBLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}"
BRACKETS = ")]}\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}\N{RIGHT CORNER BRACKET}"
BULLETS = (
    "-*\N{EN DASH}\N{EM DASH}\N{BULLET}\N{MIDDLE DOT}\N{TRIANGULAR BULLET}\N{HYPHEN BULLET}"
    "\N{WHITE BULLET}\N{BLACK CIRCLE}\N{WHITE CIRCLE}\N{BLACK SMALL SQUARE}\N{WHITE SMALL SQUARE}"
    "\N{BLACK SQUARE}\N{WHITE SQUARE}\N{BLACK RIGHT-POINTING POINTER}"
    "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}\N{BLACK RIGHT-POINTING TRIANGLE}"
)
TOGETHER = 1 << 18  # characters that are looked at at once: their arrays stay in the cache
_CODE_POINTS = 0x110000
_BASE = 0x9E3779B97F4A7C15 | 1  # odd, so that no power of it is zero
_ODD = np.uint64(0xD6E8FEB86659FD93)


@cache
def character_table() -> np.ndarray:
    """(code points,) uint8: which of SPACE, LINE_END, ... each character is."""
    table = np.zeros(_CODE_POINTS, np.uint8)
    letters = map(str.isalpha, map(chr, range(_CODE_POINTS)))
    table[np.fromiter(letters, bool, _CODE_POINTS)] |= LETTER
    spaces = map(str.isspace, map(chr, range(_CODE_POINTS)))
    table[np.fromiter(spaces, bool, _CODE_POINTS)] |= SPACE
    marks = (
        (LINE_END, LINE_ENDS),
        (STOP, STOPS),
        (ENDING, STOPS + QUOTES),
        (CLOSING, QUOTES + BRACKETS),
        (BULLET, BULLETS),
    )
    for flag, characters in marks:
        table[[ord(character) for character in characters]] |= flag
    return table


@cache
def _powers(count: int) -> np.ndarray:
    """(count,) uint64: the powers of _BASE, from the 0th."""
    powers = np.full(count, _BASE, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)


def mixed(values: np.ndarray) -> np.ndarray:
    """Hashes (uint64) whose every bit depends on every bit of the given ones: the last steps of
    SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def sums_before(values: np.ndarray) -> np.ndarray:
    """(n + 1,) the sum of the values before each place, and of all. values: (n,) integers."""
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums


@dataclass(frozen=True, eq=False)
class Pieces:
    """Texts, and their words, lines and paragraphs in order. Places are in `characters`.

    texts: (documents,). characters: (characters,) uint32. flags: (characters,) uint8, of
    `character_table`. start: (documents + 1,) where each text begins; the next one begins behind it
    and one line end."""

    texts: Sequence[str]
    characters: np.ndarray
    flags: np.ndarray
    start: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> Pieces:
        """The pieces of some texts."""
        joined = "\n".join(["", *texts, ""])
        characters = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        flags = character_table()[characters]
        lengths = np.array([len(text) + 1 for text in texts], np.int64)
        return cls(texts, characters, flags, 1 + sums_before(lengths))

    def by_document(self, sums: np.ndarray, first: np.ndarray) -> np.ndarray:
        """(documents,) what the pieces of each document sum to. sums: `sums_before` of something of
        each piece. first: (documents + 1,) the first piece of each."""
        at_first = sums[first]
        return at_first[1:] - at_first[:-1]

    # words

    @cached_property
    def _word_edges(self) -> np.ndarray:
        """(words, 2) where each begins and ends."""
        space = self.flags & SPACE
        changes = np.flatnonzero(space[1:] != space[:-1]) + 1
        return changes.reshape(-1, 2)

    @cached_property
    def word_start(self) -> np.ndarray:
        """(words,)"""
        return np.ascontiguousarray(self._word_edges[:, 0])

    @cached_property
    def word_stop(self) -> np.ndarray:
        """(words,)"""
        return np.ascontiguousarray(self._word_edges[:, 1])

    @cached_property
    def first_word(self) -> np.ndarray:
        """(documents + 1,)"""
        return np.searchsorted(self.word_start, self.start)

    @cached_property
    def words(self) -> np.ndarray:
        """(documents,) how many words each document has."""
        return np.diff(self.first_word)

    @cached_property
    def word_sums(self) -> np.ndarray:
        """(words + 1,) how many characters there are in the words before each word."""
        return sums_before(self.word_stop - self.word_start)

    @cached_property
    def word_characters(self) -> np.ndarray:
        """(documents,) how many characters there are in the words."""
        return self.by_document(self.word_sums, self.first_word)

    @cached_property
    def word_document(self) -> np.ndarray:
        """(words,) the document of each."""
        return np.repeat(np.arange(len(self.texts)), self.words)

    # lines

    @cached_property
    def line_start(self) -> np.ndarray:
        """(all lines + 1,) where each line begins, blank ones too, and the place behind the last.
        Each document begins a line."""
        ends = np.flatnonzero((self.flags & LINE_END) != 0)
        characters = self.characters[ends]
        is_return = characters[:-1] == ord("\r")
        together = is_return & (characters[1:] == ord("\n")) & (ends[1:] == ends[:-1] + 1)
        return 1 + ends[np.append(~together, True)]

    @cached_property
    def _first_word_of_line(self) -> np.ndarray:
        """(all lines + 1,)"""
        return np.searchsorted(self.word_start, self.line_start)

    @cached_property
    def number_of_line(self) -> np.ndarray:
        """(lines,) the number of each line among all, which have blank ones too."""
        return np.flatnonzero(np.diff(self._first_word_of_line))

    @cached_property
    def line_first_word(self) -> np.ndarray:
        """(lines + 1,)"""
        return np.append(self._first_word_of_line[self.number_of_line], len(self.word_start))

    @cached_property
    def line_words(self) -> np.ndarray:
        """(lines,) how many words each has."""
        return np.diff(self.line_first_word)

    @cached_property
    def line_begin(self) -> np.ndarray:
        """(lines,) where its first word begins."""
        return self.word_start[self.line_first_word[:-1]]

    @cached_property
    def line_end(self) -> np.ndarray:
        """(lines,) where its last word ends."""
        return self.word_stop[self.line_first_word[1:] - 1]

    @cached_property
    def first_line(self) -> np.ndarray:
        """(documents + 1,)"""
        return np.searchsorted(self.line_begin, self.start)

    @cached_property
    def lines(self) -> np.ndarray:
        """(documents,) how many lines each document has."""
        return np.diff(self.first_line)

    @cached_property
    def line_document(self) -> np.ndarray:
        """(lines,) the document of each."""
        return np.repeat(np.arange(len(self.texts)), self.lines)

    @cached_property
    def line_length(self) -> np.ndarray:
        """(lines,) characters of each."""
        return self.line_end - self.line_begin

    # paragraphs

    @cached_property
    def paragraph_first_line(self) -> np.ndarray:
        """(paragraphs + 1,)"""
        lines = self.number_of_line
        if not len(lines):
            return np.zeros(1, np.int64)
        follows = (np.diff(lines) == 1) & (np.diff(self.line_document) == 0)
        return np.append(np.flatnonzero(np.append(True, ~follows)), len(lines))

    @cached_property
    def paragraph_document(self) -> np.ndarray:
        """(paragraphs,) the document of each."""
        return self.line_document[self.paragraph_first_line[:-1]]

    @cached_property
    def first_paragraph(self) -> np.ndarray:
        """(documents + 1,)"""
        return np.searchsorted(self.paragraph_first_line[:-1], self.first_line)

    @cached_property
    def paragraphs(self) -> np.ndarray:
        """(documents,) how many paragraphs each document has."""
        return np.diff(self.first_paragraph)

    @cached_property
    def paragraph_length(self) -> np.ndarray:
        """(paragraphs,) characters of the lines of each."""
        return np.diff(sums_before(self.line_length)[self.paragraph_first_line])

    # hashes

    @cached_property
    def _hash_sums(self) -> np.ndarray:
        """(characters + 1,) uint64: sums of characters times powers, before each place."""
        powers = _powers_for(len(self.characters))
        sums = np.zeros(len(self.characters) + 1, np.uint64)
        np.cumsum(self.characters * powers[: len(self.characters)], out=sums[1:])
        return sums

    def _hash(self, start: np.ndarray, stop: np.ndarray, document: np.ndarray) -> np.ndarray:
        """(pieces,) uint64: equal where both the characters and the document are."""
        sums = self._hash_sums
        powers = _powers_for(len(self.characters))
        # a piece's sum times a power that makes up for where it stands
        plain = (sums[stop] - sums[start]) * powers[len(powers) - 1 - start]
        return mixed(plain + document.astype(np.uint64) * _ODD)

    @cached_property
    def word_hash(self) -> np.ndarray:
        """(words,) uint64: equal where both the word and the document are."""
        return self._hash(self.word_start, self.word_stop, self.word_document)

    @cached_property
    def line_hash(self) -> np.ndarray:
        """(lines,) uint64: equal where both the line and the document are."""
        return self._hash(self.line_begin, self.line_end, self.line_document)

    @cached_property
    def paragraph_hash(self) -> np.ndarray:
        """(paragraphs,) uint64: equal where both the lines and the document are."""
        first = self.paragraph_first_line
        if len(first) == 1:
            return np.zeros(0, np.uint64)
        in_paragraph = np.arange(first[-1]) - np.repeat(first[:-1], np.diff(first))
        powers = _powers_for(int(in_paragraph.max()) + 1)
        return np.add.reduceat(self.line_hash * powers[in_paragraph], first[:-1])


def _powers_for(count: int) -> np.ndarray:
    """At least `count` powers of _BASE. Those of an ordinary batch are kept, those of a very long
    text are not."""
    if count <= 2 * TOGETHER:
        return _powers(2 * TOGETHER)
    return _powers.__wrapped__(count)


def batches(texts: Sequence[str]) -> list[Sequence[str]]:
    """Texts in batches of about `TOGETHER` characters, in order; a longer text is alone."""
    found = []
    first = 0
    size = 0
    for at, text in enumerate(texts):
        if at > first and size + len(text) > TOGETHER:
            found.append(texts[first:at])
            first = at
            size = 0
        size += len(text) + 1
    if first < len(texts):
        found.append(texts[first:])
    return found


def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """(documents,) part over whole; NaN where the whole is 0."""
    found = np.full(len(whole), np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found
