"""What is held out, as `split` decides it, of more documents than fit into memory: the same
decisions, with tables on the disk in place of arrays.

1. Documents come in blocks, and are read several times. Those that are files of their own (whose
   second key is another than the first) are few, and are held in memory: which of them belong
   together gives every key a *canonical* one, the least of its cluster.
2. The place of a cluster in the order is a hash of that key. (place, amount) of the documents are
   sorted on the disk, and added up to a table of clusters in their order.
3. What was decided before is looked up in that table; then it is walked through.
4. The places of what is held out, sorted, say of any document on which side it is.

Two keys of 64 bits that agree by chance are taken for one, as in `split`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genwright.core.files import whole_file
from genwright.data.npy import NpyWriter, blocks_of, mapped
from genwright.data.split import (
    HELD,
    RECORD,
    TRAINED,
    locked,
    read_record,
    single_error,
    unreadable_keys,
)
from genwright.data.split_clusters import (
    AT_ONCE,
    Block,
    Blocks,
    Canonical,
    Clusters,
    Unique,
    find,
    numbers_in,
    place_of,
)


class HeldKeys(NamedTuple):
    """What a run keeps of its split. keys: (n,) uint64, sorted, of what is held out, mapped from
    the disk; share: of all that is counted; wanted: the share that was asked for."""

    keys: np.ndarray
    share: float
    wanted: float


class Sides:
    """Which documents are held out.

    canonical: of every key that is not its own; held: (n,) uint64, sorted, the places of clusters
    that are held out."""

    def __init__(self, canonical: Canonical, held: np.ndarray):
        self.canonical = canonical
        self.held = held

    def of(self, block: Block) -> np.ndarray:
        """(n,) bool: whether each document is held out."""
        places = self.canonical.places(block)
        return find(self.held, places)[1]


# ---- what is held out


def held_out_of_blocks(
    blocks: Blocks, wanted: float, unit: str, records: Sequence[Path], scratch: Path
) -> Sides:
    """Decides as `split.held_out_of`, and writes the same records. scratch: a folder, whose files
    the result is read from. Raises GenwrightError for a single cluster."""
    canonical = Canonical(blocks)
    clusters = Clusters(scratch, canonical, blocks)
    nothing = Sides(canonical, np.zeros(0, np.uint64))
    if not wanted or not clusters.total:
        return nothing
    if clusters.filled < 2:
        raise single_error(clusters.documents, unit)
    clusters.look_up(records)
    if not records or not clusters.undecided():
        return _sides_of(clusters, wanted)
    with locked(records):  # another process may have decided in the meantime
        clusters.look_up(records)
        sides = _sides_of(clusters, wanted)
        for record in records:
            _write_record(record, blocks, sides, scratch)
    return sides


def _sides_of(clusters: Clusters, wanted: float) -> Sides:
    held = clusters.divide(wanted)
    path = clusters.folder / "held.places"
    with open(path, "wb") as file:
        for part in clusters.parts():
            file.write(clusters.places[part][held[part] > 0].tobytes())
    return Sides(clusters.canonical, numbers_in(path, np.uint64))


def held_before_in_blocks(blocks: Blocks, keys: Path, scratch: Path) -> Sides:
    """What is held out as in a run, whose file is given (see `split.held_before`). Raises
    GenwrightError."""
    canonical = Canonical(blocks)
    try:
        held = mapped(keys)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable_keys(keys, error) from None
    places = Unique(scratch, "before")
    for some in blocks_of(held, AT_ONCE):
        places.add(place_of(canonical.of_any(some)))
    return Sides(canonical, places.write_keys())


def held_keys(blocks: Blocks, sides: Sides, wanted: float, scratch: Path) -> HeldKeys:
    """What a run keeps of a split. scratch: a folder that may be deleted: what is mapped stays
    there for this process."""
    found = Unique(scratch, "keys")
    held_amount = 0
    total = 0
    for block in blocks():
        side = sides.of(block)
        found.add(block.keys[side])
        found.add(block.names[side])
        held_amount += int(block.sizes[side].sum())
        total += int(block.sizes.sum())
    return HeldKeys(found.write_keys(), float(held_amount / max(1, total)), wanted)


def _write_record(path: Path, blocks: Blocks, sides: Sides, scratch: Path) -> None:
    """Adds the sides of these documents to a record. Keys of documents that are gone stay, for they
    may come back."""
    known = Unique(scratch, "record")
    for block in blocks():
        side = sides.of(block)
        for column in (block.keys, block.names):
            known.add(column[~side], TRAINED)
            known.add(column[side], HELD)
    later = 2  # what was decided now goes before
    for part in blocks_of(read_record(path), AT_ONCE):
        for before in (TRAINED, HELD):
            known.add(part["key"][part["held"] == before], later + before)
    with whole_file(path) as file:
        writer = NpyWriter(file, RECORD)
        for keys, values in known.sorted():
            entries = np.empty(len(keys), RECORD)
            entries["key"] = keys
            entries["held"] = values % later
            writer.add(entries)
        writer.close()
