"""The words of texts and their n-grams as hashes of 64 bits, many texts at once.

1. A *word* is what white space separates, in small letters, without punctuation: of its characters
   those stay that are letters, marks or digits (Unicode categories L, M and N). What has none is no
   word. Brown et al., 2020, arXiv 2005.14165, appendix C: "we define a gram as a lowercase,
   whitespace delimited word with no punctuation". Characters from U+40000 on, of which Unicode has
   no letter, are left out.
2. A word's hash is a polynomial of its characters modulo 2^64, then mixed; an n-gram's is one of
   the hashes of its words. Both depend on nothing but the words.

Words of scripts without spaces are whole sentences, which rarely occur twice.

Worker processes import this module: it needs numpy alone. Speed: some 15 MB/s a core for 13-grams.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache, cached_property

import numpy as np

from genwright.contents.text.corpus_quality_pieces import mixed, sums_before

_CODE_POINTS = 0x110000
_LETTERS = 0x40000  # no character from here on is a letter, digit or white space
_CASED = 0x20000  # none from here on has a small form
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no power of it is zero
_STEP = np.uint64(0xD6E8FEB86659FD93)  # likewise, between the words of an n-gram
SPACE = 0  # what a character that stays is never
LEFT_OUT = np.uint32(0xFFFFFFFF)


@cache
def _small_letters() -> np.ndarray:
    """(code points,) uint32: what stands for each character; SPACE or LEFT_OUT for some."""
    table = np.full(_CODE_POINTS, LEFT_OUT)
    for code in range(_LETTERS):
        character = chr(code)
        if character.isspace():
            table[code] = SPACE
        elif unicodedata.category(character)[0] in "LMN":
            table[code] = code
            if code < _CASED:
                table[code] = _small(character)
    return table


def _small(character: str) -> int:
    """The small letter of a character. Where it would be two characters (of very few) it stays."""
    for small in (character.casefold(), character.lower()):
        if len(small) == 1:
            return ord(small)
    return ord(character)


class Words:
    """The words of some texts, in order.

    start, stop: (words,) where each stands in its text, from its first to behind its last character
    that counts. document: (words,) which text it is of. first: (texts + 1,) the first word of each.
    hashes: (words,) uint64."""

    def __init__(self, texts: Sequence[str]):
        # a line end before each text, and behind the last one: they separate words
        joined = "\n".join(["", *texts, ""])
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        small = _small_letters()[codes]  # (characters,)
        places = np.flatnonzero(small != LEFT_OUT)  # of what stays, and of white space
        kept = small[places]
        in_word = kept != SPACE
        begins = np.flatnonzero(in_word[1:] & ~in_word[:-1]) + 1
        ends = np.flatnonzero(in_word[:-1] & ~in_word[1:]) + 1
        begin = places[begins]  # in `joined`
        offset = 1 + sums_before(np.array([len(text) + 1 for text in texts], np.int64))
        self.texts = texts
        self.first = np.searchsorted(begin, offset)
        self.document = np.repeat(np.arange(len(texts)), np.diff(self.first))
        self.start = begin - offset[self.document]
        self.stop = places[ends - 1] + 1 - offset[self.document]
        self.hashes = _word_hashes(kept, begins, ends)

    @cached_property
    def counts(self) -> np.ndarray:
        """(texts,) how many words each has."""
        return np.diff(self.first)

    def ngrams(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of all runs of n words of one text, uint64, and the first word of each."""
        count = len(self.hashes) - n + 1
        if count <= 0:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        sums = np.zeros(count, np.uint64)
        for place in range(n):
            sums = sums * _STEP + self.hashes[place : place + count]
        whole = np.flatnonzero(self.document[:count] == self.document[n - 1 :])
        return mixed(sums[whole]), whole


def _word_hashes(kept: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(words,) uint64. kept: (characters,); begins, ends: (words,) places in it."""
    if not len(begins):
        return np.zeros(0, np.uint64)
    lengths = ends - begins
    powers = np.full(int(lengths.max()), _BASE, np.uint64)
    powers[0] = 1
    powers = np.cumprod(powers, dtype=np.uint64)
    starts = np.zeros(len(lengths), np.int64)  # of words, in their characters alone
    np.cumsum(lengths[:-1], out=starts[1:])
    in_word = np.arange(lengths.sum()) - np.repeat(starts, lengths)  # place of each in its word
    terms = kept[kept != SPACE].astype(np.uint64) * powers[in_word]
    return mixed(np.add.reduceat(terms, starts))
