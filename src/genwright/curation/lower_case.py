"""Lower case of many texts at once, in the bytes of their UTF-8.

`str.lower` is slow where a text is not of ASCII alone, as many of the web are not: with what it
needs it took a fifth of the time of finding near copies. Here bytes of ASCII are lower-cased as an
array, and of the other characters only those that change are written, by a table of the first
65,536.

What a table cannot say is left to `str.lower`, and named by its place: characters whose lower case
has another length (the Turkish capital I with a dot), the Greek sigma, whose lower case depends on
its place in the word, and those beyond the first 65,536 up to U+1F000, of which some alphabets have
capital letters.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from functools import cache

import numpy as np

SPACE = 0x20
UNUSUAL = 0  # in the table: left to `str.lower`
SIGMA = 0x3A3
TWO, THREE, FOUR = (np.uint8(first) for first in (0xC2, 0xE0, 0xF0))  # first bytes of characters
SIX = np.uint8(0x3F)  # the bits that each further byte adds
SYMBOLS = 0x9F  # second byte of U+1F000 to U+1FFFF, after 0xF0; no case from there on


@cache
def lowered() -> np.ndarray:
    """(65536,) uint16: of each character of the first 65,536 its lower case; `SPACE` of white
    space, `UNUSUAL` where it must be left to `str.lower`."""
    table = np.arange(1 << 16, dtype=np.uint16)
    for code in range(0x80, 1 << 16):
        character = chr(code)
        if character.isspace():
            table[code] = SPACE
            continue
        lower = character.lower()
        if lower == character:
            continue
        same_length = len(lower) == 1 and (ord(lower) < 0x800) == (code < 0x800)
        if same_length and ord(lower) >= 0x80 and code != SIGMA:
            table[code] = ord(lower)
        else:
            table[code] = UNUSUAL
    return table


def lower_utf8(text: np.ndarray) -> np.ndarray:
    """Lower-cases in place, and makes a space of each byte of white space that is not of ASCII.
    text: (bytes,) uint8, valid UTF-8 (surrogates may occur), with two bytes of ASCII at its end at
    least. Returns (n,) the places of characters that `str.lower` must see."""
    upper = (text - np.uint8(65)) < 26  # A to Z; smaller ones wrap around
    text |= upper.view(np.uint8) * np.uint8(SPACE)
    at = np.flatnonzero(text >= TWO)
    if not len(at):
        return at
    first = text[at]
    codes = _codes(text, at, first)
    lower = lowered()[codes]
    changed = np.flatnonzero(lower != codes)
    unusual = at[changed[lower[changed] == UNUSUAL]]
    changed = changed[lower[changed] != UNUSUAL]
    _write(text, at[changed], lower[changed], first[changed] >= THREE)
    return np.union1d(unusual, _beyond(text, at[first >= FOUR]))


def _codes(text: np.ndarray, at: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(n,) uint16: the characters at some places; of those beyond 65,536 the space. first: (n,)
    their first bytes."""
    second = (text[at + 1] & SIX).astype(np.uint16)
    two = ((first & np.uint8(0x1F)).astype(np.uint16) << 6) | second
    longer = np.flatnonzero(first >= THREE)
    third = (text[at[longer] + 2] & SIX).astype(np.uint16)
    # the four bits of the first byte come to the top of the 16
    two[longer] = (first[longer].astype(np.uint16) << 12) | (second[longer] << 6) | third
    two[first >= FOUR] = SPACE
    return two


def _write(text: np.ndarray, at: np.ndarray, lower: np.ndarray, three: np.ndarray) -> None:
    """Writes characters of two or three bytes, as long as those that they replace, and white space.
    at: (n,) places; lower: (n,) uint16; three: (n,) bool, whether they have three bytes."""
    for length in (2, 3):
        own = np.flatnonzero(three if length == 3 else ~three)
        spaces = lower[own] == SPACE
        start = np.uint16(0xE0 if length == 3 else 0xC0)
        for place in range(length):
            bits = lower[own] >> np.uint16(6 * (length - 1 - place))
            byte = bits | start if place == 0 else (bits & np.uint16(SIX)) | np.uint16(0x80)
            byte[spaces] = SPACE
            text[at[own] + place] = byte


def _beyond(text: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The places of characters below U+1F000, of those beyond 65,536."""
    return at[(text[at] == FOUR) & (text[at + 1] < SYMBOLS)]
