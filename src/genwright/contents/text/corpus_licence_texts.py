"""Which standard licence texts stand in a text, by fingerprints of their runs of five words.

A fingerprint is at most 128 hashes of runs of five words that all given copies of a licence have,
those with the smallest hashes. A licence stands in a text where three quarters of its fingerprint
do: names, years, comment signs and small changes of wording do not matter. Licences that contain
one another's text are told apart by a sentence that only one has. The texts themselves are not
kept; `tools/licence_fingerprints.py` makes the fingerprints from copies that a person names.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import base64
import re
import zlib

import numpy as np

from genwright.contents.text.corpus_licence_prints import FINGERPRINTS

RUN = 5  # words
KEPT = 128  # hashes of a licence, at most
SHARE = 0.75  # of a fingerprint that must be there
_WORD = re.compile(r"[a-z0-9]+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio
# licence -> (words, the licence that it is where these words are there). Short, for people put
# words in between: "this permission notice (including the next paragraph) shall be included"
_TOLD_APART: dict[str, tuple[tuple[str, str], ...]] = {
    "BSD-2-Clause": (
        ("advertising materials mentioning features", "BSD-4-Clause"),
        ("to endorse or promote products derived from this software", "BSD-3-Clause"),
    ),
    "0BSD": (("copyright notice and this permission notice appear", "ISC"),),
    "MIT-0": (("copyright notice and this permission notice", "MIT"),),
    "GPL-3.0-only": (("gnu affero general public license version 3", "AGPL-3.0-only"),),
}
# of these only the one stays of which most is there: each holds much of the others
_ALIKE = (
    ("GPL-2.0-only", "LGPL-2.0-only", "LGPL-2.1-only"),
    ("GPL-3.0-only", "AGPL-3.0-only"),
)


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, without signs."""
    return _WORD.findall(text.lower())


def hashes_of(words: list[str]) -> np.ndarray:
    """(words - 4,) uint32: of each run of five words, the same on every machine."""
    count = len(words) - RUN + 1
    if count < 1:
        return np.zeros(0, np.uint32)
    codes: dict[str, int] = {}
    for word in words:
        if word not in codes:
            codes[word] = zlib.crc32(word.encode())
    numbers = np.array([codes[word] for word in words], np.uint64)
    mixed = np.zeros(count, np.uint64)
    with np.errstate(over="ignore"):
        for place in range(RUN):
            mixed = (mixed + numbers[place : place + count]) * _MULTIPLIER
            mixed ^= mixed >> np.uint64(29)
    return (mixed >> np.uint64(32)).astype(np.uint32)


def packed(hashes: np.ndarray) -> str:
    """A fingerprint as text."""
    return base64.b64encode(np.sort(hashes).astype("<u4").tobytes()).decode()


def unpacked(text: str) -> np.ndarray:
    """(hashes,) uint32 of a fingerprint."""
    return np.frombuffer(base64.b64decode(text), "<u4")


_PRINTS = {name: unpacked("".join(text.split())) for name, text in FINGERPRINTS.items()}


def texts_in(text: str) -> list[str]:
    """SPDX identifiers of the licences whose texts stand in a text, sorted."""
    words = words_of(text)
    hashes = np.unique(hashes_of(words))
    shares = {}
    for name, fingerprint in _PRINTS.items():
        there = np.isin(fingerprint, hashes, assume_unique=True).mean()
        if there >= SHARE:
            shares[name] = float(there)
    for alike in _ALIKE:
        present = [name for name in alike if name in shares]
        for name in sorted(present, key=shares.__getitem__)[:-1]:
            del shares[name]
    joined = " ".join(words) if shares else ""
    return sorted({_told_apart(name, joined) for name in shares})


def _told_apart(name: str, joined: str) -> str:
    for sentence, other in _TOLD_APART.get(name, ()):
        if sentence in joined:
            return other
    return name
