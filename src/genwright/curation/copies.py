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
import pyarrow.parquet as pq

from genwright.curation.store import read_rows

EXACT = "copies.exact"  # reasons
NEAR = "copies.near"
REASONS = {"exact": EXACT, "near": NEAR}
NEAR_FOLDER = "near"  # in a corpus
CLUSTERS = Path(NEAR_FOLDER, "clusters.parquet")
PAIRS = Path(NEAR_FOLDER, "pairs.parquet")
BATCH = 1 << 16  # rows that are read at once
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
    """A near copy whose kept document was dropped by a rule. weight: its bytes, times its weight
    in the mix."""

    id: bytes
    content: bytes
    weight: float


def ranges_of(folder: Path) -> dict[str, Range]:
    """Key of a shard -> which rows of the clusters are of it; shards without copies are left out.
    folder: of the corpus."""
    path = folder / CLUSTERS
    found: dict[str, Range] = {}
    if not path.is_file():
        return found
    first = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH, columns=["shard"], use_threads=False):
            column = batch.column("shard")
            codes = column.indices.to_numpy()
            begins = np.flatnonzero(np.diff(codes, prepend=-1))
            ends = [*begins[1:].tolist(), len(codes)]
            for start, stop in zip(begins.tolist(), ends, strict=True):
                key = column.dictionary[codes[start]].as_py()
                known = found.get(key, (first + start, 0))
                found[key] = (known[0], first + stop)
            first += len(codes)
    return found


def copies_of(folder: Path, rows: Range) -> Copies:
    """The copies of a shard. folder: of the corpus; rows: as `ranges_of` gives them, (0, 0) where
    there are none."""
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


def broken_kept(copies: Copies, ids: pa.ChunkedArray, reasons: np.ndarray) -> list[bytes]:
    """The ids of kept documents of clusters that a rule drops. ids, reasons: (documents,) of the
    shard."""
    stays = copies.rows[copies.reasons == ""]
    return [ids[row].as_py() for row in stays[reasons[stays] != ""].tolist()]


def drop_copies(copies: Copies, reasons: np.ndarray, broken: Iterable[bytes]) -> list[int]:
    """Writes into `reasons` (documents,) which are copies, where no rule dropped them before. Gives
    the rows of near copies that stay, because a rule dropped the document they resemble. broken:
    ids of all such documents."""
    gone = set(broken)
    promoted = []
    entries = zip(copies.rows.tolist(), copies.kept, copies.reasons, strict=True)
    for row, kept, reason in entries:
        if not reason or reasons[row]:
            continue
        if kept in gone:
            promoted.append(row)
        else:
            reasons[row] = reason
    return promoted


def equal_ones(promoted: Sequence[Promoted]) -> dict[bytes, float]:
    """Of promoted documents that are equal, all but the one with the smallest id: id -> weight."""
    first: dict[bytes, bytes] = {}
    for each in promoted:
        first[each.content] = min(each.id, first.get(each.content, each.id))
    return {each.id: each.weight for each in promoted if first[each.content] != each.id}
