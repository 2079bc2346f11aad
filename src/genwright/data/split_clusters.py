"""Clusters of more documents than fit into memory, in tables on the disk (see `split_blocks`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genwright.data.npy import blocks_of
from genwright.data.sorted_runs import RunWriter, array_in, records_in
from genwright.data.split import (
    HELD,
    SEED,
    TRAINED,
    UNDECIDED,
    clusters_of,
    fill,
    mixed,
    read_record,
)

AT_ONCE = 1 << 16  # records that are held at a time
_ALL = 1 << 64  # keys


class Block(NamedTuple):
    """Some documents, in order. keys, names: (n,) uint64, the first and the second key of each, the
    same where it has one alone; sizes: (n,) what each counts, whole numbers."""

    keys: np.ndarray
    names: np.ndarray
    sizes: np.ndarray


Blocks = Callable[[], Iterator[Block]]  # the same documents each time


class Canonical:
    """The keys of documents that are files of their own -> the least first key of their cluster.

    blocks: of all documents."""

    def __init__(self, blocks: Blocks):
        keys = [np.zeros(0, np.uint64)]
        names = [np.zeros(0, np.uint64)]
        for block in blocks():
            files = block.keys != block.names
            if files.any():
                keys.append(block.keys[files])
                names.append(block.names[files])
        columns = [np.concatenate(keys), np.concatenate(names)]
        clusters = clusters_of(columns)
        least = np.full(clusters.max(initial=-1) + 1, np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(least, clusters, columns[0])
        # of each column its keys, sorted, and the canonical key of each
        self.columns = []
        for column in columns:
            known, first = np.unique(column, return_index=True)
            self.columns.append((known, least[clusters[first]]))

    def of_keys(self, keys: np.ndarray) -> np.ndarray:
        """(n,) the canonical ones of first keys."""
        known, canonical = self.columns[0]
        at, found = find(known, keys)
        return np.where(found, canonical[at], keys) if len(known) else keys

    def of_any(self, keys: np.ndarray) -> np.ndarray:
        """(m,) the canonical ones of keys that may be first or second ones; of a key that may be
        both, two."""
        known, canonical = self.columns[1]
        at, found = find(known, keys)
        return np.concatenate([self.of_keys(keys), canonical[at[found]]])

    def places(self, block: Block) -> np.ndarray:
        """(n,) uint64: where the cluster of each document stands in the order."""
        return place_of(self.of_keys(block.keys))


def place_of(canonical: np.ndarray) -> np.ndarray:
    """(n,) uint64: where the clusters of these keys stand in the order."""
    return mixed(canonical ^ np.uint64(SEED))


def find(known: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) where each stands in `known`, which is sorted, and whether it is there."""
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


# ---- sorting


def _ranges(count: int) -> Iterator[tuple[int, int]]:
    """Ranges (low, high) of 64-bit keys, that look random, of about AT_ONCE of so many records."""
    parts = max(1, math.ceil(count / AT_ONCE))
    for part in range(parts):
        yield part * _ALL // parts, (part + 1) * _ALL // parts


def _sorted(folder: Path, name: str, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(keys, values) of a `RunWriter`, range by range, in the order of both."""
    for low, high in _ranges(count):
        keys, values = records_in([folder], name, low, high)
        order = np.lexsort((values, keys))
        yield keys[order], values[order]


class Unique:
    """Sorts keys on the disk, each once, with the least of its values."""

    def __init__(self, folder: Path, name: str):
        self.folder = folder
        self.name = name
        self.count = 0
        self.writer = RunWriter(folder, name, AT_ONCE)

    def add(self, keys: np.ndarray, value: int = 0) -> None:
        """Keys in any order."""
        for some in blocks_of(keys, AT_ONCE):
            found = np.unique(some)
            self.writer.add(found, np.full(len(found), value, np.uint64))
            self.count += len(found)

    def sorted(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(keys, values), a range at a time."""
        self.writer.close()
        for keys, values in _sorted(self.folder, self.name, self.count):
            found, first = np.unique(keys, return_index=True)
            yield found, values[first]

    def write_keys(self) -> np.ndarray:
        """(n,) the keys, mapped."""
        path = self.folder / f"{self.name}.sorted"
        with open(path, "wb") as file:
            for keys, _ in self.sorted():
                file.write(keys.tobytes())
        return numbers_in(path, np.uint64)


def numbers_in(path: Path, dtype: np.typing.DTypeLike) -> np.ndarray:
    """(n,) what a file of numbers holds, mapped."""
    return array_in(path, dtype).view(np.ndarray)


# ---- clusters


class Clusters:
    """All clusters in their order, in files of a folder.

    places: (clusters,) uint64, rising; amounts: (clusters,) int64; states: (clusters,) int8, what
    was decided before; documents: how many there are; total: of all amounts."""

    def __init__(self, folder: Path, canonical: Canonical, blocks: Blocks):
        self.folder = folder
        self.canonical = canonical
        self.blocks = blocks
        self.documents = 0
        writer = RunWriter(folder, "amounts", AT_ONCE)
        count = 0
        for block in blocks():
            self.documents += len(block.keys)
            places, number = np.unique(canonical.places(block), return_inverse=True)
            writer.add(places, _summed(number, block.sizes, len(places)))
            count += len(places)
        writer.close()
        with (
            open(folder / "clusters.places", "wb") as kept_places,
            open(folder / "clusters.amounts", "wb") as kept_amounts,
        ):
            for keys, values in _sorted(folder, "amounts", count):
                places, number = np.unique(keys, return_inverse=True)
                amounts = _summed(number, values.astype(np.int64), len(places))
                kept_places.write(places.tobytes())
                kept_amounts.write(amounts.tobytes())
        self.places = numbers_in(folder / "clusters.places", np.uint64)
        self.amounts = numbers_in(folder / "clusters.amounts", np.int64)
        self.total = int(self.amounts.sum())
        self.filled = int(np.count_nonzero(self.amounts))
        self.states = self._array("states", UNDECIDED)

    def __len__(self) -> int:
        return len(self.places)

    def _array(self, name: str, value: int) -> np.ndarray:
        """(clusters,) int8 in a file, to be written to."""
        if not len(self):  # a file without bytes cannot be mapped
            return np.zeros(0, np.int8)
        path = self.folder / f"clusters.{name}"
        found: np.ndarray = np.memmap(path, np.int8, "w+", shape=(len(self),)).view(np.ndarray)
        found[:] = value
        return found

    def parts(self) -> Iterator[slice]:
        """The clusters in order, some at a time."""
        for start in range(0, len(self), AT_ONCE):
            yield slice(start, start + AT_ONCE)

    def look_up(self, records: Sequence[Path]) -> None:
        """Sets `states` to what is recorded of any key of a cluster."""
        self.states[:] = UNDECIDED
        for side in (HELD, TRAINED):  # the last one wins
            for record in records:
                for part in blocks_of(read_record(record), AT_ONCE):
                    keys = part["key"][part["held"] == side]
                    at, found = find(self.places, place_of(self.canonical.of_any(keys)))
                    self.states[at[found]] = side

    def undecided(self) -> bool:
        """Whether some cluster that counts has not been decided on before."""
        return self._any_state(decided=False)

    def _any_state(self, decided: bool) -> bool:
        """Whether some cluster that counts was decided on before, or was not."""
        for part in self.parts():
            states = self.states[part][self.amounts[part] > 0]
            if ((states != UNDECIDED) == decided).any():
                return True
        return False

    def divide(self, wanted: float) -> np.ndarray:
        """(clusters,) int8: 1 where a cluster is held out, at least one on either side. See
        `split.held_out_of`."""
        held = self._array("held", 0)
        total = 0.0
        for part in self.parts():
            held[part] = (self.states[part] == HELD) & (self.amounts[part] > 0)
            total += int(self.amounts[part][held[part] > 0].sum())
        target = wanted * self.total
        for part in self.parts():
            amounts = self.amounts[part]
            free = np.flatnonzero((self.states[part] == UNDECIDED) & (amounts > 0))
            side = held[part].astype(bool)
            total = fill(side, free, amounts, target, total)[0]
            held[part] = side
        if total < target / 2:
            enough = self._enough(held, target / 2 - total, self.total - total)
            if enough >= 0:
                held[enough] = 1
        if self._both_sides(held):
            return held
        if self._any_state(decided=True):
            self.states[:] = UNDECIDED  # it leaves a side empty, and is forgotten
            return self.divide(wanted)
        smallest = self._smallest()
        held[smallest] = 1 - held[smallest]
        return held

    def _enough(self, held: np.ndarray, missing: float, rest: float) -> int:
        """The smallest cluster, not decided on and not held out, that gives what is missing, unless
        it is more than half of the rest; of equal ones the first. -1: there is none."""
        best = -1
        for part in self.parts():
            amounts = self.amounts[part]
            free = (self.states[part] == UNDECIDED) & (amounts > 0) & (held[part] == 0)
            large = np.flatnonzero(free & (amounts >= missing) & (amounts <= rest / 2))
            if not len(large):
                continue
            first = part.start + int(large[np.argmin(amounts[large])])
            if best < 0 or self.amounts[first] < self.amounts[best]:
                best = first
        return best

    def _both_sides(self, held: np.ndarray) -> bool:
        """Whether something that counts is on either side."""
        on_side = [False, False]
        for part in self.parts():
            sides = held[part][self.amounts[part] > 0]
            on_side[TRAINED] |= bool((sides == 0).any())
            on_side[HELD] |= bool((sides == 1).any())
        return all(on_side)

    def _smallest(self) -> int:
        """The smallest cluster that counts; of equal ones that of the first document."""
        least = min(
            int(self.amounts[part][self.amounts[part] > 0].min(initial=self.total))
            for part in self.parts()
        )
        for block in self.blocks():
            at, _ = find(self.places, self.canonical.places(block))
            first = np.flatnonzero(self.amounts[at] == least)
            if len(first):
                return int(at[first[0]])
        raise AssertionError("no cluster has an amount")


def _summed(number: np.ndarray, sizes: np.ndarray, count: int) -> np.ndarray:
    """(count,) int64: the sizes of each number, added up."""
    amounts = np.zeros(count, np.int64)
    np.add.at(amounts, number, sizes.astype(np.int64))
    return amounts
