"""Records (key, value) in files, sorted in runs: what does not fit in memory is written run by run,
and a range of keys is read from all of them.

    FOLDER/NAME.keys      uint64, of each run ascending
    FOLDER/NAME.values    uint64, beside them
    FOLDER/NAME.ends      int64, where each run ends

A folder of files is written whole or not at all (`whole_folder`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from genwright.core.drafts import draft_beside
from genwright.data.cache import writing

HEAP = 8 << 20  # bytes; a batch takes less than twice that


def keep_heap() -> None:
    """Makes the GNU C library keep memory that is freed, up to 2 HEAP, in place of giving it to the
    system and asking for it again at each batch, which cost 40% of the time. It does so from the
    first time that a block of this size was freed (mallopt(3), M_MMAP_THRESHOLD). Nothing is
    written to the block, so it takes no memory."""
    np.empty(HEAP, np.uint8)


class RunWriter:
    """Writes the runs of one name. limit: records that are held and sorted at once."""

    def __init__(self, folder: Path, name: str, limit: int):
        self.limit = max(limit, 1)
        self.ends: list[int] = []
        self._held: list[tuple[np.ndarray, np.ndarray]] = []
        self._count = 0
        self._ends_at = folder / f"{name}.ends"
        self._keys = open(folder / f"{name}.keys", "wb")  # noqa: SIM115 - closed in `close`
        self._values = open(folder / f"{name}.values", "wb")  # noqa: SIM115

    def add(self, keys: np.ndarray, values: np.ndarray) -> None:
        """Records, in any order. keys, values: (n,), kept as uint64."""
        for start in range(0, len(keys), self.limit):
            part = slice(start, start + self.limit)
            held = (keys[part].astype(np.uint64), values[part].astype(np.uint64))
            self._held.append(held)
            self._count += len(held[0])
            if self._count >= self.limit:
                self._write_run()

    def close(self) -> None:
        """Writes what is held."""
        self._write_run()
        self._keys.close()
        self._values.close()
        np.array(self.ends, np.int64).tofile(self._ends_at)

    def _write_run(self) -> None:
        if not self._count:
            return
        keys = np.concatenate([keys for keys, _ in self._held])
        values = np.concatenate([values for _, values in self._held])
        self._held = []
        self._count = 0
        order = order_of(keys, values)
        keys[order].tofile(self._keys)
        values[order].tofile(self._values)
        self.ends.append(len(keys) + (self.ends[-1] if self.ends else 0))


def order_of(keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The order by key, and of equal keys by value, as of `np.lexsort((values, keys))`. Where few
    keys are equal it takes a fifth of the time: numpy sorts by one key in vectors."""
    order = np.argsort(keys)
    ascending = keys[order]
    same = ascending[1:] == ascending[:-1]
    shared = np.zeros(len(keys), bool)  # those whose key another one has too
    shared[1:] |= same
    shared[:-1] |= same
    at = np.flatnonzero(shared)
    own = order[at]
    order[at] = own[np.lexsort((values[own], keys[own]))]
    return order


def array_in(path: Path, dtype: np.typing.DTypeLike = np.uint64, width: int = 1) -> np.ndarray:
    """What a file of numbers holds, mapped and not read: (n,), or (n, width). Nothing where it is
    empty, which cannot be mapped."""
    if path.stat().st_size:
        found: np.ndarray = np.memmap(path, dtype, "r")
    else:
        found = np.zeros(0, dtype)
    if width > 1:
        return found.reshape(-1, width)
    return found


def parts(folder: Path, name: str, low: int, high: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The records of low <= key < high, run by run, mapped and not read. high: up to 2**64."""
    keys = array_in(folder / f"{name}.keys")
    values = array_in(folder / f"{name}.values")
    start = 0
    for end in np.fromfile(folder / f"{name}.ends", np.int64).tolist():
        run = keys[start:end]
        first = int(np.searchsorted(run, np.uint64(low)))
        last = len(run)
        if high < 1 << 64:
            last = int(np.searchsorted(run, np.uint64(high)))
        if last > first:
            yield run[first:last], values[start + first : start + last]
        start = end


def count_in(folders: Iterable[Path], name: str, low: int, high: int) -> int:
    """The number of records of low <= key < high."""
    return sum(len(keys) for folder in folders for keys, _ in parts(folder, name, low, high))


def records_in(
    folders: Iterable[Path], name: str, low: int, high: int
) -> tuple[np.ndarray, np.ndarray]:
    """(keys, values) of low <= key < high of several folders, in memory, in no order."""
    found_keys = [np.zeros(0, np.uint64)]
    found_values = [np.zeros(0, np.uint64)]
    for folder in folders:
        for keys, values in parts(folder, name, low, high):
            found_keys.append(np.array(keys))
            found_values.append(np.array(values))
    return np.concatenate(found_keys), np.concatenate(found_values)


def ranges_of(
    folder: Path, name: str, low: int, high: int, limit: int
) -> Iterator[tuple[int, int]]:
    """Ranges (low, high) of keys, in order, that hold `limit` records at most where a single key
    has no more."""
    if high - low <= 1 or count_in([folder], name, low, high) <= limit:
        yield low, high
        return
    middle = (low + high) // 2
    yield from ranges_of(folder, name, low, middle, limit)
    yield from ranges_of(folder, name, middle, high, limit)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name when all is there. Where it is there already, it
    stays as it is. It is not flushed to the disk: whoever keeps it does that."""
    draft = draft_beside(folder)
    with writing(folder):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            yield draft
            if not folder.exists():
                draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
