"""Chance that is always the same: numbers that documents' own bytes decide.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def chance(names: np.ndarray, seed: int, use: str) -> np.ndarray:
    """(documents,) numbers in [0, 1) that the documents' own bytes decide, the seed, and what the
    number is for. names: (documents,) uint64, each of bytes that are themselves a digest."""
    name = f"{seed} {use}".encode()
    if len(name) > 8:  # all of it decides
        name = hashlib.blake2b(name, digest_size=8).digest()
    salt = int.from_bytes(name, "little")
    with np.errstate(over="ignore"):
        mixed = names ^ np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
        # the finaliser of splitmix64 (Steele et al., "Fast splittable pseudorandom number
        # generators", 2014)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53


def numbers_of(ids: Sequence[bytes]) -> np.ndarray:
    """(documents,) uint64: the first eight bytes of each."""
    return np.array([int.from_bytes(each[:8], "little") for each in ids], np.uint64)


def numbers_in(column: pa.ChunkedArray) -> np.ndarray:
    """(documents,) uint64: the first eight bytes of each. column: of bytes of one size, at least
    eight."""
    first = np.ascontiguousarray(bytes_in(column)[:, :8])
    return first.view("<u8").reshape(-1).astype(np.uint64)


def bytes_in(column: pa.ChunkedArray) -> np.ndarray:
    """(documents, size) uint8. column: of bytes of one size."""
    width = column.type.byte_width
    found = [np.zeros((0, width), np.uint8)]
    for part in column.chunks:
        if len(part):
            raw = np.frombuffer(part.buffers()[1], np.uint8, len(part) * width, part.offset * width)
            found.append(raw.reshape(-1, width))
    return np.concatenate(found)
