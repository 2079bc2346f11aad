"""What of a shard of documents is read, in which order, how often and with which edits: a small
Parquet file beside a large one that is never changed.

    CORPUS/mix/train/KEY.selection, CORPUS/mix/held_out/KEY.selection

Columns: row (int64, of the shard), times (int64), edits (start, stop and text of each, in order and
apart). Its metadata name the shard, relative to it. A row that is read is a document; it is named
by its row in the shard.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genwright.core.corpus import Edit, edited
from genwright.core.drafts import draft_beside
from genwright.core.errors import GenwrightError
from genwright.core.files import flush, read_json
from genwright.data.cache import SPLITS, writing

SELECTION = ".selection"  # suffix
AT_ONCE = 1 << 10  # rows of a selection that are read at once
RECIPE = "corpus.yaml"  # files of a corpus: what it is made of
SOURCES = "sources.json"  # which shards there are
MIX = "mix"  # folder of a corpus that holds its selections
COUNTS = "counts.json"  # file in it: what there is, and what became of it
DOCUMENTS = b"documents"
EDITS = pa.list_(pa.struct([("start", pa.int64()), ("stop", pa.int64()), ("text", pa.string())]))
SCHEMA = pa.schema([("row", pa.int64()), ("times", pa.int64()), ("edits", EDITS)])


def side_of(path: str) -> int | None:
    """Which split a selection is of, as an index of `cache.SPLITS`: its folder says it. None of
    any other file."""
    place = Path(path)
    if place.suffix != SELECTION or place.parent.name not in SPLITS:
        return None
    return SPLITS.index(place.parent.name)


def selections(folder: str) -> list[Path]:
    """The selections of a corpus, in order; none where a folder is no corpus."""
    found = []
    mixed = Path(folder).expanduser() / MIX
    for split in SPLITS:
        found += sorted((mixed / split).glob(f"*{SELECTION}"))
    return found


def write_selection(
    path: Path,
    documents: Path,
    rows: np.ndarray,
    times: np.ndarray,
    edits: Mapping[int, Sequence[Edit]],
    lasting: bool = True,
) -> None:
    """Writes a selection, whole or not at all. documents: the shard; rows: of it, rising; edits: of
    rows that have any. lasting: waits until it is on the disk."""
    place = os.path.relpath(documents, path.parent)
    schema = SCHEMA.with_metadata({DOCUMENTS: place.encode()})
    listed = _edits_column([edits.get(row, ()) for row in rows.tolist()])
    columns = [pa.array(rows, pa.int64()), pa.array(times, pa.int64()), listed]
    with writing(path.parent):
        draft = draft_beside(path)
        try:
            pq.write_table(pa.Table.from_arrays(columns, schema=schema), draft, compression="zstd")
            if lasting:
                flush(draft)
            draft.replace(path)
            if lasting:
                flush(path.parent)
        finally:
            draft.unlink(missing_ok=True)


def _edits_column(edits: Sequence[Sequence[Edit]]) -> pa.ListArray:
    """A column of type EDITS, of the edits of each row."""
    ends = np.zeros(len(edits) + 1, np.int32)
    np.cumsum([len(each) for each in edits], out=ends[1:])
    flat = [edit for each in edits for edit in each]
    values = [
        pa.array([edit.start for edit in flat], pa.int64()),
        pa.array([edit.stop for edit in flat], pa.int64()),
        pa.array([edit.text for edit in flat], pa.string()),
    ]
    structs = pa.StructArray.from_arrays(values, fields=list(EDITS.value_type))
    return pa.ListArray.from_arrays(ends, structs, type=EDITS)


def is_corpus(folder: str) -> bool:
    """Whether a folder is a corpus that was built, to its end or not."""
    place = Path(folder).expanduser()
    if (place / RECIPE).is_file() and (place / SOURCES).is_file():
        return True
    return bool(selections(folder))


def corpus_of(paths: Sequence[str], kind: str = "") -> str:
    """The corpus that paths of data name; "" where they name none. kind: of content that is wanted,
    where only one is. Raises GenwrightError for one beside other paths, for one of another kind,
    and for one of which nothing is trained on."""
    corpora = [path for path in paths if is_corpus(path)]
    if not corpora:
        return ""
    corpus = corpora[0]
    if len(paths) > 1:
        raise GenwrightError(
            f"data.path names the corpus {corpus} beside others",
            "name it alone, or make one corpus of all (genwright data build)",
        )
    mixed = Path(corpus).expanduser() / MIX
    if not mixed.is_dir():
        raise GenwrightError(
            f"the corpus {corpus} has no mix yet", f"run genwright data mix {corpus}"
        )
    own = _kind_of(corpus)
    if kind and own and own != kind:
        raise GenwrightError(
            f"the corpus {corpus} is of {own}, and the recipe learns {kind}",
            "give a corpus of that kind, or a recipe of another",
        )
    if not any((mixed / SPLITS[0]).glob(f"*{SELECTION}")):
        raise GenwrightError(
            f"nothing of the corpus {corpus} is trained on",
            f"genwright data report {corpus} shows what was dropped and why; loosen a rule or"
            " mix.held_out in its corpus.yaml, then run genwright data mix",
        )
    return corpus


def _kind_of(corpus: str) -> str:
    """The kind of content of a corpus; "" where its mix does not say it."""
    path = Path(corpus).expanduser() / MIX / COUNTS
    if not path.is_file():
        return ""
    counts = read_json(path.read_text(encoding="utf-8"), path, f"run genwright data mix {corpus}")
    return str(counts.get("recipe", {}).get("kind", ""))


def nothing_on(side: str) -> GenwrightError:
    """What to say of a corpus that has nothing on a side. side: "is trained on", "is held out"."""
    return GenwrightError(
        f"nothing of the corpus {side}",
        "change mix.held_out in its corpus.yaml and run genwright data mix, or set"
        " data.held_out=0 to measure nothing",
    )


class Chosen(NamedTuple):
    """A document that a selection takes `times` times. data: its bytes; file, place: see
    `core.corpus.Document`; content: SHA-256 of the data, in hexadecimal."""

    row: int
    times: int
    data: bytes
    source: str
    file: str
    place: str
    content: str


def selected(path: str | Path) -> Iterator[tuple[int, str]]:
    """(row, text) of what a selection takes, in order. Raises GenwrightError for a shard that is
    not there."""
    for row, times, edits, found in _taken(path, ["text"]):
        text = edited(found["text"], [Edit(**each) for each in edits])
        for _ in range(times):
            yield row, text


def selected_bytes(path: str | Path) -> Iterator[Chosen]:
    """What a selection takes of documents that are bytes, in order. Raises GenwrightError for a
    shard that is not there."""
    columns = ["data", "source", "file", "place", "content"]
    for row, times, _, found in _taken(path, columns):
        content = found.pop("content").hex()
        yield Chosen(row, times, content=content, **found)


def selected_labels(
    path: str | Path, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """(row, what the shard says of the document: source, licence, language) of what a selection
    takes, in order, each once. Raises GenwrightError for a shard that is not there."""
    for row, _, _, found in _taken(path, list(columns)):
        yield row, found


def rows_and_times(path: str | Path) -> tuple[list[int], list[int]]:
    """The rows of a selection and how often each is taken; no document is read."""
    with pq.ParquetFile(path) as file:
        table = file.read(["row", "times"])
    return table["row"].to_pylist(), table["times"].to_pylist()


Taken = tuple[int, int, list[dict[str, Any]], dict[str, Any]]


def _taken(path: str | Path, columns: list[str]) -> Iterator[Taken]:
    """(row, times, edits, values of columns of the shard) of what a selection takes."""
    with pq.ParquetFile(path) as chosen:
        named = (chosen.schema_arrow.metadata or {})[DOCUMENTS].decode()
        place = Path(path).parent / named
        if not place.is_file():
            raise GenwrightError(
                f"{path} is a selection of {place}, which is not there", "build the corpus again"
            )
        with pq.ParquetFile(place) as file:
            documents = _Documents(file, columns)
            for batch in chosen.iter_batches(AT_ONCE):
                for choice in batch.to_pylist():
                    row = choice["row"]
                    yield row, choice["times"], choice["edits"], documents.at(row)


class _Documents:
    """Columns of a shard by row, a row group at a time; rows are asked for in order."""

    def __init__(self, file: pq.ParquetFile, columns: list[str]):
        self.file = file
        self.columns = columns
        self.group = -1
        self.first = 0  # row of the group, and the one after its last
        self.end = 0
        self._read: pa.Table | None = None

    def at(self, row: int) -> dict[str, Any]:
        """The values of a row."""
        while row >= self.end:
            self.group += 1
            self.first = self.end
            self.end += self.file.metadata.row_group(self.group).num_rows
            self._read = None
        if self._read is None:
            self._read = self.file.read_row_group(self.group, self.columns)
        own = row - self.first
        return {name: self._read[name][own].as_py() for name in self.columns}
