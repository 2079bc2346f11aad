"""Texts that a filter compares documents with: files, folders and globs of a person's own.

A text file is one text; each row of .jsonl, .csv, .tsv and .parquet is one; any may be compressed
(.gz, .zst). Nothing is passed over: what cannot be read is refused, for a filter that misses some
of its texts would seem to find less than there is. Where all of them are gone, and a
corpus keeps their digest (`core.kept_files`), they are known by it, and cannot be read.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from genwright.core.errors import GenwrightError
from genwright.core.files import check_unchanged, digest, irregular, stamp_of
from genwright.core.kept_files import Input, kept_digest
from genwright.data import readers
from genwright.data.cache import digest_of
from genwright.data.encodings import NotText, as_utf8, checked
from genwright.data.rows import first_line, json_rows, listed
from genwright.data.source_files import SourceFile, collect, is_text
from genwright.data.tables import BadTable, Fault, Table

ROWS = 1024  # of a Parquet file that are decoded at once


class Text(NamedTuple):
    """file: its number among the files. row: from 0; -1: the file is the text."""

    file: int
    row: int
    text: str


@dataclass(frozen=True)
class Texts:
    """The texts at a path. field: of rows, which one holds the text; "": all texts of a row,
    together. stamps: of the files, when they were found: one that has changed since is refused, for
    what is computed is named by their digest. kept: where they are gone, their digest, as a corpus
    keeps it."""

    path: str
    field: str
    files: tuple[SourceFile, ...]
    stamps: tuple[tuple[int, ...], ...] = ()
    kept: str = ""

    @classmethod
    def at(cls, path: str, field: str, where: str) -> Texts:
        """The texts of a file, a folder or a glob. where: the setting that names it. Raises
        GenwrightError where there is none, and the open corpus keeps no digest of them."""
        kept = kept_digest(path, field)
        if kept and _is_gone(path):
            return cls(path, field, (), kept=kept)
        files = collect((path,), is_text, where=where)
        if not files:
            raise GenwrightError(f"{where}: {path} holds no file of text", "give another folder")
        for file in files:
            what = irregular(file.path)
            if what:
                raise _unreadable(file, what)
        ordered = tuple(sorted(files, key=lambda file: file.name))
        stamps = tuple(tuple(stamp_of(file.path)) for file in ordered)
        return cls(path, field, ordered, stamps)

    @property
    def name(self) -> str:
        """Of the folder or file, for a person."""
        return Path(self.path).name or self.path

    @property
    def apart(self) -> tuple[str, ...]:
        """The paths that hold them: of a glob those of its files."""
        if os.path.isdir(os.path.expanduser(self.path)):
            return (self.path,)
        return tuple(file.path for file in self.files)

    @property
    def digest(self) -> str:
        """Of the files and their names, and of what is read of them. Raises GenwrightError."""
        if self.kept:
            return self.kept
        found = []
        for file, stamp in zip(self.files, self.stamps, strict=True):
            try:
                found.append([file.name, _digest(file.path, stamp)])
            except OSError as error:
                raise _unreadable(file, f"cannot be read ({error.strerror})") from None
        return digest_of(self.field, found)

    @property
    def input(self) -> Input:
        """What a corpus keeps of them. Raises GenwrightError."""
        return Input(self.path, self.field, self.digest, bool(self.kept))

    def __iter__(self) -> Iterator[Text]:
        """All texts, in order; a file at a time. Raises GenwrightError for what cannot be read, and
        for a file that has changed since it was found."""
        if self.kept:
            raise GenwrightError(
                f"{self.path} is gone, and the corpus does not hold what a filter computes of it",
                "bring it back, or leave that filter out",
            )
        for number, (file, stamp) in enumerate(zip(self.files, self.stamps, strict=True)):
            yield from _texts_of(number, file, self.field)
            check_unchanged({file.path: list(stamp)})


def _is_gone(path: str) -> bool:
    """Whether nothing is at a path, or a glob matches nothing."""
    given = os.path.expanduser(path)
    return not any(map(os.path.exists, [given, *glob.glob(given, recursive=True)]))


@lru_cache(1 << 16)
def _digest(path: str, stamp: tuple[int, ...]) -> str:
    """SHA-256 of a file, taken once a process while it does not change. Raises GenwrightError where
    its stamp is another."""
    found = digest(Path(path))
    check_unchanged({path: list(stamp)})
    return found


def _unreadable(file: SourceFile, what: str) -> GenwrightError:
    return GenwrightError(f"{file.path} {what}", "mend it, or take it out of the folder")


def _texts_of(number: int, file: SourceFile, field: str) -> Iterator[Text]:
    """The texts of a file. Raises GenwrightError."""
    try:
        if readers.kind_of(file.path) == "text":
            chunks = as_utf8(checked(readers.raw_chunks(file.path)))
            text = b"".join(chunks).decode().removeprefix("\ufeff")
            yield Text(number, -1, text)
            return
        for row, value in _rows_of(file.path, field):
            if not isinstance(value, Fault):
                value = _text_of(value, field)
            if isinstance(value, Fault):
                raise _unreadable(file, f"row {row:,} (from 0) {value.what}")
            yield Text(number, row, value)
    except (GenwrightError, MemoryError):
        raise
    except NotText as error:
        raise _unreadable(file, str(error)) from None
    except BadTable as error:
        raise _unreadable(file, error.what) from None
    except Exception as error:  # every way of compression, and every table, raises its own
        raise _unreadable(file, f"cannot be read ({first_line(error)})") from None


def _rows_of(path: str, field: str) -> Iterator[tuple[int, Any]]:
    """(number, values) of the rows of a file: an object of JSON, or column -> cell; a Fault where
    one is no row. field: see `Texts`."""
    kind = readers.kind_of(path)
    if kind == "jsonl":
        yield from json_rows(readers.lines_of(path), checked=False, field=field)
    elif kind == "csv":
        table = readers.open_table(path)
        for row in table:
            yield row.number, _named(table, row.cells)
    elif kind == "parquet":
        yield from _rows_of_parquet(path)
    else:
        raise NotText("is part of a corpus, and no file of texts")


def _named(table: Table, cells: list[str] | Fault) -> dict[str, str] | Fault:
    if isinstance(cells, Fault):
        return cells
    return dict(zip(table.columns, cells, strict=True))


def _rows_of_parquet(path: str) -> Iterator[tuple[int, Any]]:
    import pyarrow.parquet

    number = 0
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS):
            for row in batch.to_pylist():
                yield number, row
                number += 1


def _text_of(row: Any, field: str) -> str | Fault:
    """The text of a row. field: see `Texts`."""
    if field and isinstance(row, dict):
        if not isinstance(row.get(field), str):
            return Fault(f"has no text in field {field!r} (it has {listed(row)})", "")
        row = row[field]
    text = "\n".join(_strings(row))
    try:
        text.encode()
    except UnicodeEncodeError:  # an escape of JSON can write it
        return Fault("holds half of a surrogate pair, which is no text", "")
    return text


def _strings(value: Any) -> Iterator[str]:
    """All strings inside a value of JSON or of a table, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def short_digest(*content: Any) -> str:
    """The digest by which attributes are named: enough to tell settings and files apart."""
    return hashlib.sha256(digest_of(*content).encode()).hexdigest()[:12]
