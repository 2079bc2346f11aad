"""Which document each token of a split is of: an index over the tables `documents.npy` of its
shards, made once and kept beside them.

    <cache>/documents/KEY/   KEY: a digest of the names of the shards, in order, and of the split
      starts.npy             (documents,) int64: the token that each begins at
      entries.npy            (documents,) int64: its entry in the table of its shard
      bounds.npy             (shards + 1,) int64: the first document of each shard, then how many
                             there are
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genwright.core.contracts import Source
from genwright.data.cache import SPLITS, digest_of, kept
from genwright.data.npy import NpyWriter, blocks_of, mapped

TWIN = " (swapped)"  # how the name of a document's twin ends (`twins`)
AT_ONCE = 1 << 15  # entries that are looked at together
FORMAT = 1  # raise it when the same shards would give other files


class Index(NamedTuple):
    """See above."""

    starts: np.ndarray
    entries: np.ndarray
    bounds: np.ndarray


class Documents:
    """The documents of one split, in order. Tokens and documents are counted from 0.

    Where a document was cut between the splits, each split counts its own part from 0. folder: of
    the shards; shards: key -> facts, in order; their tables are read when they are first needed."""

    def __init__(self, folder: Path, shards: Mapping[str, dict[str, Any]], split: str):
        self.folder = folder
        self.shards = shards
        self.split = split
        self._keys = list(shards)
        self._open: tuple[str, np.ndarray] | None = None

    @cached_property
    def _index(self) -> Index:
        key = digest_of(FORMAT, self._keys, self.split)
        return kept(self.folder.parent / "documents" / key, self._write, _read)

    def _write(self, folder: Path) -> None:
        """Writes the index."""
        bounds = [0]
        with (
            open(folder / "starts.npy", "wb") as starts_file,
            open(folder / "entries.npy", "wb") as entries_file,
        ):
            starts = NpyWriter(starts_file, np.int64)
            entries = NpyWriter(entries_file, np.int64)
            tokens = 0  # of the shards before
            for key, facts in self.shards.items():
                for found, first in self._begun(key, tokens):
                    starts.add(first)
                    entries.add(found)
                tokens += facts[self.split]["tokens"]
                bounds.append(starts.count)
            starts.close()
            entries.close()
        np.save(folder / "bounds.npy", np.array(bounds, np.int64))

    def _begun(self, key: str, tokens: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(entries of a shard's table, the tokens that they begin at) of what begins a document.
        tokens: of the shards before."""
        number = 0
        for table in blocks_of(self._table(key), AT_ONCE):
            own = table["split"] == SPLITS.index(self.split)
            first = table["start"] + tokens
            # A document that goes on from the shard before is no new one, unless its beginning
            # went to the other split.
            found = np.flatnonzero(own & ((table["continued"] == 0) | (first == 0)))
            yield number + found, first[found]
            number += len(table)

    def _table(self, key: str) -> np.ndarray:
        """(entries,) of dtype `shards.DOCUMENT`, of one shard; the last one stays open."""
        if self._open is None or self._open[0] != key:
            self._open = (key, mapped(self.folder / key / "documents.npy"))
        return self._open[1]

    @property
    def starts(self) -> np.ndarray:
        """(documents,) int64: the token that each begins at."""
        return self._index.starts

    def __len__(self) -> int:
        return len(self.starts)

    def of(self, tokens: np.ndarray) -> np.ndarray:
        """int64, of the shape of `tokens`: the number of the document that each is of."""
        return np.searchsorted(self.starts, tokens, side="right") - 1

    def name(self, document: int) -> str:
        """FILE, or FILE:ROW of a row, counted from 0; of a twin with TWIN behind it."""
        return self.source(document).document

    def source(self, document: int, offset: int = 0) -> Source:
        """Where a document comes from. offset: of what was taken of it."""
        number = int(np.searchsorted(self._index.bounds, document, side="right")) - 1
        key = self._keys[number]
        entry = self._table(key)[self._index.entries[document]]
        file = self.shards[key]["sources"][int(entry["source"])]
        row = int(entry["row"])
        name = file if row < 0 else f"{file}:{row}"
        if self.shards[key].get("swapped"):
            name += TWIN
        return Source(name, file, entry["digest"].tobytes().hex(), offset)

    def sources(self, start: int, stop: int) -> list[Source]:
        """The documents of the tokens from start to before stop, in order; each with the place in
        it where these tokens begin."""
        found = []
        for document in np.unique(self.of(np.arange(start, stop))).tolist():
            offset = max(0, start - int(self.starts[document]))
            found.append(self.source(document, offset))
        return found


def _read(folder: Path) -> Index:
    """What `Documents._write` has written."""
    names = ("starts.npy", "entries.npy", "bounds.npy")
    return Index(*(mapped(folder / name) for name in names))
