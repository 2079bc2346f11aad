"""The documents of a corpus: shards of Parquet, each made of a few raw files, written once and
never changed.

    documents/KEY.parquet    rows are documents, in the order of the raw files
    documents/KEY.json       the raw files, what of them could not be read, how much there is

KEY is a digest of all that decides the rows, so a shard that is there is right, and a raw file that
was added costs its own shard. No process holds more than a batch of documents.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from genwright.core.corpus import Document, RawFile, Unread
from genwright.core.drafts import draft_beside
from genwright.core.files import check_unchanged, flush, json_text, stamp_of, write_whole
from genwright.curation.settings import raw_source
from genwright.data.cache import digest_of, writing
from genwright.data.workers import Work, at_file

FORMAT = 1  # part of every key: raise it when the same raw files would give other rows
UNIT = 8 << 20  # bytes of raw files in a shard, about
ROWS = 1000  # of a batch, at most
BATCH = 8 << 20  # characters of a batch, about
AGAIN = "delete it, and build the corpus again"  # remedy for a damaged file of a corpus
GONE = "was deleted after it was found"
LABELS = ("source", "file", "file_digest", "licence", "date", "language")
SCHEMA = pa.schema(
    [
        ("id", pa.binary(16)),
        ("content", pa.binary(32)),
        ("source", pa.string()),
        ("file", pa.string()),
        ("file_digest", pa.string()),
        ("place", pa.string()),
        ("licence", pa.string()),
        ("date", pa.string()),
        ("language", pa.string()),
        ("bytes", pa.int64()),
        ("text", pa.large_string()),
        ("data", pa.large_binary()),
    ]
)


class Shard(NamedTuple):
    """One shard of documents. folder: of the corpus."""

    folder: Path
    key: str

    @property
    def documents(self) -> Path:
        """The rows."""
        return self.folder / "documents" / f"{self.key}.parquet"

    @property
    def facts(self) -> dict[str, Any]:
        """What was written of it."""
        path = self.documents.with_suffix(".json")
        return dict(json.loads(path.read_text(encoding="utf-8")))

    def attributes(self, group: str) -> Path:
        """The values of a group of attributes, by the name of its folder."""
        return self.folder / "attributes" / group / f"{self.key}.parquet"


def key_of(
    source: str,
    licence: str,
    kind: str,
    settings: Mapping[str, Any],
    files: Sequence[tuple[RawFile, str]],
    limit: int | None,
) -> str:
    """The key of a shard. settings: of the raw source, without its paths; files: with digests."""
    read = [[file.name, file.licence, file.date, digest] for file, digest in files]
    return digest_of(FORMAT, source, licence, kind, dict(settings), read, limit)[:32]


def write_shard(
    folder: str,
    key: str,
    source: str,
    licence: str,
    kind: str,
    settings: dict[str, Any],
    files: list[list[Any]],
    limit: int | None,
    content: str = "",
) -> list[str]:
    """Reads raw files and writes a shard, whole or not at all. Gives the paths of files that
    vanished since their digest was taken: then nothing is written. files: path, name, licence,
    date, digest and stamp of each; neither digest nor stamp of one that is known to have vanished.
    limit: documents, at most. content: the kind of the corpus. Raises GenwrightError for a file
    that changed since its digest was taken."""
    raw = raw_source(kind, settings, content)
    shard = Shard(Path(folder), key)
    unread: list[list[str]] = []
    counted = {"documents": 0, "bytes": 0}
    with writing(shard.documents.parent):
        shard.documents.parent.mkdir(parents=True, exist_ok=True)
        draft = draft_beside(shard.documents)
        try:
            with pq.ParquetWriter(
                draft, SCHEMA, compression="zstd", use_dictionary=list(LABELS)
            ) as writer:
                rows = _rows(raw, source, licence, files, unread)
                for batch in _batches(rows, limit):
                    writer.write_table(pa.Table.from_pylist(batch, SCHEMA))
                    counted["documents"] += len(batch)
                    counted["bytes"] += sum(row["bytes"] for row in batch)
            stamps = {path: stamp for path, *_, stamp in files}
            vanished = [path for path, stamp in stamps.items() if stamp and not stamp_of(path)]
            if vanished:
                return vanished
            check_unchanged(stamps)
            flush(draft)
            facts = {
                "source": source,
                "kind": kind,
                "files": [[name, digest, path] for path, name, _, _, digest, _ in files],
                "unread": unread,
                **counted,
            }
            write_whole(shard.documents.with_suffix(".json"), json_text(facts))
            draft.replace(shard.documents)
            flush(shard.documents.parent)
            return []
        finally:
            draft.unlink(missing_ok=True)


def _rows(
    raw: Any, source: str, licence: str, files: Sequence[Sequence[Any]], unread: list[list[str]]
) -> Iterator[dict[str, Any]]:
    """The rows of raw files; what cannot be read is added to `unread`."""
    for number, (path, name, known, date, digest, stamp) in enumerate(files):
        at_file(number)
        if not stamp and not os.path.lexists(path):
            unread.append([name, "", GONE])
            continue
        is_empty = True  # neither a document nor a word why there is none
        for found in _documents(raw, RawFile(path, name, known, date)):
            is_empty = False
            if isinstance(found, Unread):
                unread.append([name, found.place, found.what])
                continue
            found = found._replace(
                licence=found.licence or known or licence, date=found.date or date
            )
            yield _row(found, source, name, digest)
        if is_empty:
            has_bytes = bool(stamp) and stamp[0] > 0
            unread.append([name, "", "holds no document" if has_bytes else "is empty"])


def _documents(raw: Any, file: RawFile) -> Iterator[Document | Unread]:
    """What a source finds in a file, up to where the file vanishes."""
    try:
        yield from raw.read(file)
    except FileNotFoundError:
        if os.path.lexists(file.path):
            raise
        yield Unread("", GONE)


def _row(document: Document, source: str, file: str, file_digest: str) -> dict[str, Any]:
    text = document.text.encode("utf-8", "surrogatepass")
    content = hashlib.sha256(document.data or text).digest()
    place = json_text([source, file, document.place]).encode()
    return {
        "id": hashlib.blake2b(content + place, digest_size=16).digest(),
        "content": content,
        "source": source,
        "file": file,
        "file_digest": file_digest,
        "place": document.place,
        "licence": document.licence,
        "date": document.date,
        "language": document.language,
        "bytes": len(document.data or text),
        "text": document.text,
        "data": document.data,
    }


def _batches(rows: Iterator[dict[str, Any]], limit: int | None) -> Iterator[list[dict[str, Any]]]:
    """Rows in batches of at most ROWS and about BATCH."""
    batch: list[dict[str, Any]] = []
    size = 0
    left = limit
    for row in rows:
        if left is not None:
            if left <= 0:
                break
            left -= 1
        batch.append(row)
        size += row["bytes"]
        if len(batch) >= ROWS or size >= BATCH:
            yield batch
            batch = []
            size = 0
    if batch:
        yield batch


def batches_of(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file of a corpus, in batches as they were written. columns: these
    alone."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            names = None if columns is None else list(columns)
            table = file.read_row_group(group, names, use_threads=False)
            yield from table.combine_chunks().to_batches()


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole Parquet file of a corpus. columns: these alone. (`pyarrow.parquet.read_table` would
    import pandas first, where it is installed, and threads take longer than files so small.)"""
    with pq.ParquetFile(path) as file:
        return file.read(None if columns is None else list(columns), use_threads=False)


def read_rows(path: Path, start: int, stop: int, columns: Sequence[str]) -> pa.Table:
    """Rows of a Parquet file of a corpus, of which only the groups that hold them are read."""
    groups = []
    first = 0  # row of the group
    skipped = 0  # rows before the groups that are read
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if first + count <= start:
                skipped += count
            elif first < stop:
                groups.append(group)
            first += count
        table = file.read_row_groups(groups, list(columns), use_threads=False)
    return table.slice(start - skipped, stop - start)


def files_of(job: dict[str, Any]) -> list[str]:
    """The paths that a job of `write_shard` reads."""
    return [path for path, *_ in job["files"]]


WRITE = Work(write_shard, "reading", files_of)
