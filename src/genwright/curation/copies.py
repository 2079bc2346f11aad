"""Which documents a mix drops because they are copies, from what `near.py` has found.

A copy goes only where the document that it resembles stays. Rules may drop that one, and not the
copy: then the copy stays, and of equal ones the one with the smallest id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from genwright.curation.chance import bytes_in
from genwright.curation.store import batches_of, read_rows, read_table

EXACT = "copies.exact"  # reasons
NEAR = "copies.near"
REASONS = {"exact": EXACT, "near": NEAR}
NEAR_FOLDER = "near"  # in a corpus
CLUSTERS = Path(NEAR_FOLDER, "clusters.parquet")
PAIRS = Path(NEAR_FOLDER, "pairs.parquet")
Range = tuple[int, int]  # first row, and the one behind the last


class Copies(NamedTuple):
    """The documents of one shard that have copies or near ones, in order of rows.

    rows: (n,) int64. kept: (n,) of bytes, the id of the document that stays; of a kept one its own.
    reasons: (n,) of str, "" where the document stays. clusters: (n,) uint64."""

    rows: np.ndarray
    kept: np.ndarray
    reasons: np.ndarray
    clusters: np.ndarray


class Promoted(NamedTuple):
    """A near copy whose kept document was dropped by a rule. id, content: in hexadecimal; weight:
    its bytes, times its weight in the mix."""

    id: str
    content: str
    weight: float


class EveryCopy(NamedTuple):
    """The documents of a whole corpus that have copies or near ones, as the clusters list them.

    ranges: key of a shard -> which are its own; shards without any are left out. rows: (n,) int64,
    in the shard. clusters: (n,) uint64. ids, kept: (n, 16) uint8. stays: (n,) bool."""

    ranges: dict[str, Range]
    rows: np.ndarray
    clusters: np.ndarray
    ids: np.ndarray
    kept: np.ndarray
    stays: np.ndarray

    def range_of(self, key: str) -> Range:
        """Which are of a shard; (0, 0) for none."""
        return self.ranges.get(key, (0, 0))


def every_copy(folder: Path) -> EveryCopy:
    """All copies. folder: of the corpus; empty where none were looked for."""
    path = folder / CLUSTERS
    if not path.is_file():
        nothing = np.zeros((0, 16), np.uint8)
        empty = np.zeros(0, np.uint64)
        return EveryCopy({}, empty.astype(np.int64), empty, nothing, nothing, empty == 0)
    table = read_table(path, ["shard", "row", "cluster", "id", "kept", "kind"])
    ranges: dict[str, Range] = {}
    first = 0
    for part in table["shard"].chunks:
        _add_ranges(ranges, part, first)
        first += len(part)
    reasons = np.array([REASONS.get(kind, "") for kind in table["kind"].to_pylist()], dtype=object)
    return EveryCopy(
        ranges,
        table["row"].to_numpy(),
        table["cluster"].to_numpy(),
        bytes_in(table["id"]),
        bytes_in(table["kept"]),
        reasons == "",
    )


def _add_ranges(ranges: dict[str, Range], shards: pa.DictionaryArray, first: int) -> None:
    """Adds which rows are of each shard. shards: keys of some rows in a row; first: of them."""
    codes = shards.indices.to_numpy()
    begins = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = [*begins[1:].tolist(), len(codes)]
    for start, stop in zip(begins.tolist(), ends, strict=True):
        key = shards.dictionary[codes[start]].as_py()
        known = ranges.get(key, (first + start, 0))
        ranges[key] = (known[0], first + stop)


def ranges_of(folder: Path) -> dict[str, Range]:
    """Key of a shard -> which rows of the clusters are its own, for `copies_of`; read in batches.
    folder: of the corpus; empty where no copies were looked for."""
    ranges: dict[str, Range] = {}
    path = folder / CLUSTERS
    if not path.is_file():
        return ranges
    first = 0
    for batch in batches_of(path, ["shard"]):
        _add_ranges(ranges, batch.column("shard"), first)
        first += len(batch)
    return ranges


def copies_of(folder: Path, rows: Range) -> Copies:
    """The copies of a shard. folder: of the corpus; rows: as `EveryCopy.range_of` gives them."""
    start, stop = rows
    if start == stop:
        nothing = np.zeros(0, dtype=object)
        return Copies(np.zeros(0, np.int64), nothing, nothing, np.zeros(0, np.uint64))
    table = read_rows(folder / CLUSTERS, start, stop, ["row", "kept", "kind", "cluster"])
    reasons = [REASONS.get(kind, "") for kind in table["kind"].to_pylist()]
    return Copies(
        table["row"].to_numpy(),
        np.array(table["kept"].to_pylist(), dtype=object),
        np.array(reasons, dtype=object),
        table["cluster"].to_numpy().astype(np.uint64),
    )


def broken_kept(copies: Copies, ids: pa.ChunkedArray, reasons: np.ndarray) -> list[str]:
    """The ids, in hexadecimal, of kept documents of clusters that a rule drops. ids, reasons:
    (documents,) of the shard."""
    stays = copies.rows[copies.reasons == ""]
    return [ids[row].as_py().hex() for row in stays[reasons[stays] != ""].tolist()]


def drop_copies(copies: Copies, reasons: np.ndarray, gone: Iterable[str]) -> list[int]:
    """Writes into `reasons` (documents,) which are copies, where no rule dropped them before. Gives
    the rows of near copies that stay, because a rule dropped the document they resemble. gone: ids
    of such documents, in hexadecimal."""
    dropped = set(map(bytes.fromhex, gone))
    promoted = []
    entries = zip(copies.rows.tolist(), copies.kept, copies.reasons, strict=True)
    for row, kept, reason in entries:
        if not reason or reasons[row]:
            continue
        if kept in dropped:
            promoted.append(row)
        else:
            reasons[row] = reason
    return promoted


def equal_ones(promoted: Sequence[Promoted]) -> dict[str, float]:
    """Of promoted documents that are equal, all but the one with the smallest id: id -> weight."""
    first: dict[str, str] = {}
    for each in promoted:
        first[each.content] = min(each.id, first.get(each.content, each.id))
    return {each.id: each.weight for each in promoted if first[each.content] != each.id}
