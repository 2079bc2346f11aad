"""By what documents of a corpus are alike: texts by the words of their shingles, other kinds of
content as they say; and what keys documents are found by that are.

Of fingerprints of 64 bits all pairs within a distance are found. They are cut into blocks, two more
than the distance: bits that differ spoil one block each at most, so at least two blocks are equal
in both documents. Each pair of blocks is a key (the pigeonhole principle; Manku, Jain, Das Sarma,
"Detecting near-duplicates for web crawling", WWW 2007). The price: with a distance of 6 each
document has 28 keys of 16 bits, and of n documents with fingerprints by chance n^2 / 4,700 pairs
are compared (with 8: 45 keys, n^2 / 320); where equal fingerprints abound, only the first of them
is compared with others.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pyarrow as pa

from genwright.core.corpus_content import (
    BITS,
    ByFingerprints,
    ByShingles,
    Fingerprints,
    corpus_content,
)
from genwright.curation.minhash import Bands, shingles_of_utf8

SLACK = 2  # bits beyond the distance asked for, down to which pairs are stored
MOST_BLOCKS = BITS // 2

WORDS = ByShingles(shingles_of_utf8, "their sets of five successive words have")
_FIRST = np.uint64(0xBF58476D1CE4E5B9)  # of the finaliser of SplitMix64 (Steele et al. 2014)
_SECOND = np.uint64(0x94D049BB133111EB)
_STEP = 0x9E3779B97F4A7C15


def alike_by(content: str) -> ByShingles | ByFingerprints:
    """How documents of a kind are compared."""
    found = corpus_content(content) if content else None
    return WORDS if found is None else found.near


def column_of(content: str) -> str:
    """Which column of a shard is compared."""
    found = corpus_content(content) if content else None
    return "text" if found is None else "data"


def bytes_in(column: pa.Array) -> pa.Array:
    """A column that is compared, as bytes: of text those of its UTF-8. Nothing is copied."""
    return column.view(pa.large_binary())


def farthest(similarity: float) -> int:
    """In how many bits fingerprints of at least this similarity differ at most.

    >>> farthest(1.0), farthest(1 - 6 / 64), farthest(0.9)
    (0, 6, 6)
    """
    return int(BITS * (1 - similarity) + 1e-9)


def keys_for(similarity: float) -> Bands:
    """The keys by which all pairs of a similarity are found. Rows: 0, for a key is no part of a
    sketch."""
    blocks = min(farthest(similarity) + 2, MOST_BLOCKS)
    return Bands(blocks * (blocks - 1) // 2, 0, 1.0)


def _blocks_of(keys: int) -> int:
    """How many blocks have so many pairs."""
    blocks = 2
    while blocks * (blocks - 1) // 2 < keys:
        blocks += 1
    return blocks


def _masks(keys: int) -> Iterator[int]:
    """The bits of each pair of blocks."""
    blocks = _blocks_of(keys)
    bounds = [BITS * at // blocks for at in range(blocks + 1)]
    masks = []
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        masks.append((1 << stop) - (1 << start))
    for one, other in combinations(masks, 2):
        yield one | other


def fingerprint_keys(found: Fingerprints, keys: int) -> np.ndarray:
    """(documents with a fingerprint, keys) uint64, spread evenly: equal in two documents where the
    two blocks are; different for different pairs of blocks."""
    bits = found.bits[found.known]
    out = np.empty((len(bits), keys), np.uint64)
    for number, mask in enumerate(_masks(keys)):
        salt = _STEP * (number + 1) % 2**64
        out[:, number] = _mixed((bits & np.uint64(mask)) ^ np.uint64(salt))
    return out


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """(n,) uint64, each another number, spread evenly."""
    mixed = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n,) int64, in how many bits fingerprints differ. one, other: (n,) uint64. Bits are counted
    in parallel (Warren, "Hacker's Delight", section 5-1)."""
    left = one ^ other
    left = left - ((left >> np.uint64(1)) & np.uint64(0x5555555555555555))
    threes = np.uint64(0x3333333333333333)
    left = (left & threes) + ((left >> np.uint64(2)) & threes)
    left = (left + (left >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    counted = (left * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return counted.astype(np.int64)
