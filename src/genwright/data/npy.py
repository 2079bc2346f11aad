"""Arrays in .npy files, written a block at a time and read without taking memory.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np


class NpyWriter:
    """Appends blocks of a 1-D array to an open file; what is there after `close` is what `np.save`
    would have written of the whole. file: at its beginning."""

    def __init__(self, file: BinaryIO, dtype: np.typing.DTypeLike):
        self.file = file
        self.dtype = np.dtype(dtype)
        self.count = 0
        self._begin = len(_header(self.dtype, 0))
        file.write(_header(self.dtype, 0))

    def add(self, block: np.ndarray) -> None:
        """The next entries. block: (n,), kept as `dtype`."""
        self.file.write(np.ascontiguousarray(block, self.dtype).tobytes())
        self.count += len(block)

    def close(self) -> None:
        """Writes how many there are. The file stays open."""
        header = _header(self.dtype, self.count)
        # numpy leaves room for any number (NEP 1, and its "growth" of the first axis)
        if len(header) != self._begin:
            raise RuntimeError(f"the header of {self.count} entries has another length")
        self.file.seek(0)
        self.file.write(header)
        self.file.seek(0, io.SEEK_END)


def _header(dtype: np.dtype, count: int) -> bytes:
    """Of a .npy file of (count,) entries."""
    head = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    facts = {"descr": descr, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(head, facts)
    return head.getvalue()


def mapped(path: Path) -> np.ndarray:
    """The array of a .npy file, mapped and not read. Raises OSError, ValueError or EOFError for
    what is none."""
    found: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return found.view(np.ndarray)  # whose slices and items cost less than those of a memmap


def blocks_of(array: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """A long array, so many entries at a time."""
    for start in range(0, len(array), size):
        yield array[start : start + size]
