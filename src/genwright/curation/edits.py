"""What stands in place of characters of documents, of all rules together.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from genwright.core.corpus import Edit, RuleSet
from genwright.curation.attributes import columns_of, folder_of
from genwright.curation.store import Shard, batches_of


def edits_of(shard: Shard, content: str, sets: Sequence[RuleSet]) -> dict[int, list[Edit]]:
    """Row -> the edits of that document, of all sets together; rows without any are left out."""
    names = list(dict.fromkeys(name for each in sets for name in each.edits))
    known = columns_of(content)
    by_row: dict[int, list[list[Edit]]] = {}
    for name in names:
        group, _ = known[name]
        first = 0  # row of the batch
        for batch in batches_of(shard.attributes(folder_of(group)), [name]):
            for row, edits in _of_rows(batch.column(name)):
                by_row.setdefault(first + row, []).append(edits)
            first += len(batch)
    return {row: joined(several) for row, several in by_row.items()}


def _of_rows(column: pa.ListArray) -> Iterator[tuple[int, list[Edit]]]:
    """(row, edits) of the rows that have any."""
    ends = np.asarray(column.offsets)
    first = int(ends[0])
    edits = column.values.slice(first, int(ends[-1]) - first)
    every = list(map(Edit, *(edits.field(name).to_pylist() for name in Edit._fields)))
    ends = ends - first
    for row in np.flatnonzero(ends[1:] > ends[:-1]).tolist():
        yield row, every[ends[row] : ends[row + 1]]


def joined(several: Sequence[Sequence[Edit]]) -> list[Edit]:
    """The edits of several lists as one, in order and apart. Where two meet the longer one stays: a
    line that is dropped takes what stands in it along; of two alike the one of the first list."""
    every = [edit for edits in several for edit in edits]
    found: list[Edit] = []  # in order and apart, so only the two neighbours can meet another
    for edit in sorted(every, key=lambda each: (each.start - each.stop, each.start)):
        place = bisect(found, edit)
        is_free = place == 0 or found[place - 1].stop <= edit.start
        if is_free and (place == len(found) or edit.stop <= found[place].start):
            found.insert(place, edit)
    return found


def bytes_read(shard: Shard, sizes: np.ndarray, edits: Mapping[int, Sequence[Edit]]) -> np.ndarray:
    """(documents,) int64: the bytes of each document as it is read, with its edits made. sizes:
    (documents,) bytes as they are stored; edits: as of `edits_of`, of rows that are wanted."""
    found = sizes.astype(np.int64)
    if not edits:
        return found
    first = 0  # row of the batch
    for batch in batches_of(shard.documents, ["text"]):
        texts = batch.column("text")
        for row in range(first, first + len(batch)):
            if row in edits:
                found[row] += _bytes_more(texts[row - first].as_py(), edits[row])
        first += len(batch)
    return found


def _bytes_more(text: str, edits: Sequence[Edit]) -> int:
    """By how many bytes a text grows with its edits; negative where it becomes shorter."""
    more = 0
    for edit in edits:
        more += len(edit.text.encode("utf-8", "surrogatepass"))
        more -= len(text[edit.start : edit.stop].encode("utf-8", "surrogatepass"))
    return more
