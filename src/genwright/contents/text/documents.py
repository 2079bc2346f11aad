"""Which document each token of a split is of: an index over the tables `documents.npy` of its
shards."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genwright.core.contracts import Source
from genwright.data.cache import SPLITS


class Table(NamedTuple):
    """Entries of one shard's documents.npy that begin a document of a split.

    entries: dtype `shards.DOCUMENT`; first: (entries,) the token of the split that each begins at;
    files: names of the shard's files."""

    entries: np.ndarray
    first: np.ndarray
    files: list[str]


class Documents:
    """The documents of one split, in order. Tokens and documents are counted from 0.

    Where a document was cut between the splits, each split counts its own part from 0. folder: of
    the shards; shards: key -> facts, in order; their tables are read when they are first needed."""

    def __init__(self, folder: Path, shards: Mapping[str, dict[str, Any]], split: str):
        self.folder = folder
        self.shards = shards
        self.split = split

    @cached_property
    def _tables(self) -> list[Table]:
        tables = []
        tokens = 0  # of the shards before
        for key, facts in self.shards.items():
            entries = np.load(self.folder / key / "documents.npy", allow_pickle=False)
            own = entries[entries["split"] == SPLITS.index(self.split)]
            first = own["start"] + tokens
            # A document that goes on from the shard before is no new one, unless its beginning
            # went to the other split.
            begins = (own["continued"] == 0) | (first == 0)
            tables.append(Table(own[begins], first[begins], facts["sources"]))
            tokens += facts[self.split]["tokens"]
        return tables

    @cached_property
    def starts(self) -> np.ndarray:
        """(documents,) int64: the token that each begins at."""
        return np.concatenate([np.zeros(0, np.int64), *(table.first for table in self._tables)])

    @cached_property
    def _bounds(self) -> np.ndarray:
        """(tables + 1,) int64: the first document of each table, and the number of all."""
        return np.cumsum([0, *(len(table.entries) for table in self._tables)])

    def __len__(self) -> int:
        return len(self.starts)

    def of(self, tokens: np.ndarray) -> np.ndarray:
        """int64, of the shape of `tokens`: the number of the document that each is of."""
        return np.searchsorted(self.starts, tokens, side="right") - 1

    def name(self, document: int) -> str:
        """FILE, or FILE:ROW of a row, counted from 0."""
        return self.source(document).document

    def source(self, document: int, offset: int = 0) -> Source:
        """Where a document comes from. offset: of what was taken of it."""
        number = int(np.searchsorted(self._bounds, document, side="right")) - 1
        table = self._tables[number]
        entry = table.entries[document - self._bounds[number]]
        file = table.files[int(entry["source"])]
        row = int(entry["row"])
        name = file if row < 0 else f"{file}:{row}"
        return Source(name, file, entry["digest"].tobytes().hex(), offset)

    def sources(self, start: int, stop: int) -> list[Source]:
        """The documents of the tokens from start to before stop, in order; each with the place in
        it where these tokens begin."""
        found = []
        for document in np.unique(self.of(np.arange(start, stop))).tolist():
            offset = max(0, start - int(self.starts[document]))
            found.append(self.source(document, offset))
        return found
