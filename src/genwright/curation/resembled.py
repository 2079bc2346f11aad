"""Which document each copy resembles, and how much: from the clusters that a search has left."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from genwright.curation.clusters import EXACT, KINDS, STAYS
from genwright.curation.copies import CLUSTERS

ROWS = 1 << 15  # of a batch that is read
Place = tuple[str, int]  # key of a shard, row in it


class Resembled(NamedTuple):
    """A document that another one resembles. id: 16 bytes; is_equal: whether the two are equal."""

    id: bytes
    shard: str
    row: int
    similarity: float
    is_equal: bool


def resembled(folder: Path, places: Collection[Place]) -> dict[Place, Resembled]:
    """Place of a copy -> the document that it is a copy of. What is none is left out, and all are
    where no copies were looked for. The clusters are read twice, a batch at a time. folder: of the
    corpus."""
    path = folder / CLUSTERS
    if not places or not path.is_file():
        return {}
    copies: dict[Place, dict[str, Any]] = {}
    rows = pa.array(sorted({row for _, row in places}), pa.int64())
    columns = ["shard", "row", "kept", "similarity", "kind"]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS, columns=columns):
            for each in batch.filter(pc.is_in(batch["row"], value_set=rows)).to_pylist():
                place = (each["shard"], each["row"])
                if place in places and each["kind"] != KINDS[STAYS]:
                    copies[place] = each
    kept: dict[bytes, Place] = {}
    ids = pa.array(sorted({copy["kept"] for copy in copies.values()}), pa.binary(16))
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS, columns=["shard", "row", "id"]):
            for each in batch.filter(pc.is_in(batch["id"], value_set=ids)).to_pylist():
                kept[each["id"]] = (each["shard"], each["row"])
    found = {}
    for place, copy in copies.items():
        id = copy["kept"]
        if id in kept:
            is_equal = copy["kind"] == KINDS[EXACT]
            found[place] = Resembled(id, *kept[id], copy["similarity"], is_equal)
    return found
