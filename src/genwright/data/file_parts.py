"""Where a file may be cut into parts of some megabytes, so that one large file keeps all cores
busy; found in the one reading that also takes its digest and checks its encoding.

Plain text and jsonl are cut, text where the cut changes no token (see `readers.safe_cut`); of
Parquet row groups are put together. Compressed files, csv, and files in UTF-16 or UTF-32 are one
part.

Worker processes import this module: it must not import torch.
"""

import codecs
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from genwright.core.files import irregular
from genwright.data.encodings import NotText, as_utf8, checked, encoding_of
from genwright.data.readers import COMPRESSED, WHOLE, blocks_of, kind_of, raw_chunks
from genwright.data.rows import first_line
from genwright.data.workers import Work, at_file

PART = 8 << 20  # bytes of a file that one job takes, about


class Stretch(NamedTuple):
    """Bytes of a file that were read together. cut: how many of them stand before the last place
    where the file may be cut; rows: how many ended in them."""

    length: int
    cut: int
    rows: int


def splits(path: str) -> bool:
    """Whether the file can be read from the middle."""
    return kind_of(path) in ("text", "jsonl") and Path(path).suffix.lower() not in COMPRESSED


def scan(path: str) -> dict[str, Any]:
    """{"sha", "parts": [[start, end, row], ...], "bad": "" or what is wrong and at which byte,
    "text", "size": see `readers.Part`}. Reads the file once, or twice where it is compressed. Parts
    are ranges of bytes; of row groups in Parquet."""
    what = irregular(path)
    if what:
        return {"sha": "", "parts": [], "bad": what, "text": "", "size": 0}
    sha = hashlib.sha256()
    text = Text()
    parts: list[list[int]] = []
    bad = ""
    try:
        if splits(path):
            parts = _scan_text(path, sha, text)
        else:
            with open(path, "rb") as raw:
                sha = hashlib.file_digest(raw, "sha256")
            parts = _scan_rows(path, text)
    except NotText as error:
        bad = str(error)
    except Exception as error:  # each way of compression raises its own
        bad = f"cannot be read ({first_line(error)})"
    return {
        "sha": sha.hexdigest(),
        "parts": parts,
        "bad": bad,
        "text": text.digest,
        "size": text.size,
    }


def scan_all(paths: list[str]) -> list[dict[str, Any]]:
    """`scan` of each."""
    found = []
    for position, path in enumerate(paths):
        at_file(position)
        found.append(scan(path))
    return found


def _paths_of(job: dict[str, Any]) -> list[str]:
    return job["paths"]


SCAN = Work(scan_all, "reading", _paths_of)


class Text:
    """SHA-256 and size of a text in UTF-8 without its mark, whatever it is stored as."""

    def __init__(self) -> None:
        self.size = 0
        self._begun = False
        self._sha = hashlib.sha256()

    def add(self, chunk: bytes) -> None:
        """The next bytes of the text."""
        if chunk and not self._begun:
            chunk = chunk.removeprefix(codecs.BOM_UTF8)
            self._begun = True
        self.size += len(chunk)
        self._sha.update(chunk)

    def through(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks, unchanged."""
        for chunk in chunks:
            self.add(chunk)
            yield chunk

    def is_file(self, sha: Any, size: int) -> None:
        """The file's own bytes are the text, and were hashed already."""
        self._sha = sha
        self.size = size

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal."""
        return self._sha.hexdigest()


def _hashed(chunks: Iterable[bytes], sha: Any) -> Iterator[bytes]:
    for chunk in chunks:
        sha.update(chunk)
        yield chunk


def _read_through(chunks: Iterable[bytes]) -> None:
    for _ in chunks:
        pass


def _scan_rows(path: str, text: Text) -> list[list[int]]:
    """The parts of a file that is no plain text."""
    kind = kind_of(path)
    if kind == "parquet":
        return _scan_parquet(path)
    if kind == "selection":
        return [[0, WHOLE, 0]]
    return _scan_whole(path, text)


def _scan_whole(path: str, text: Text) -> list[list[int]]:
    """The single part of a file that cannot be read from the middle."""
    _read_through(text.through(as_utf8(checked(raw_chunks(path)))))
    return [[0, WHOLE, 0]]


def _scan_text(path: str, sha: Any, text: Text) -> list[list[int]]:
    """The parts of a file of text or jsonl that is not compressed."""
    with open(path, "rb") as file:
        head = file.read(4)
    chunks = checked(_hashed(raw_chunks(path), sha))
    if encoding_of(head) != "utf-8":
        _read_through(text.through(as_utf8(chunks)))
        return [[0, os.path.getsize(path), 0]]
    if kind_of(path) == "jsonl":
        return _parts(_lines_in(chunks))
    marked = head.startswith(codecs.BOM_UTF8)
    if marked:
        chunks = text.through(chunks)
    # a block of text ends where it may be cut
    parts = _parts(Stretch(len(block), len(block), 0) for block in blocks_of(chunks))
    if not marked:
        text.is_file(sha, parts[-1][1] if parts else 0)
    return parts


def _lines_in(chunks: Iterable[bytes]) -> Iterator[Stretch]:
    """Of each chunk of jsonl where its last line ends, and how many do."""
    for chunk in chunks:
        yield Stretch(len(chunk), chunk.rfind(b"\n") + 1, chunk.count(b"\n"))


def _parts(stretches: Iterable[Stretch]) -> list[list[int]]:
    """[start, end, row] of each part, of about PART bytes."""
    parts = []
    start = 0  # of the part, with its first row
    first = 0
    offset = 0  # read so far, with the rows that ended in it
    row = 0
    for length, cut, rows in stretches:
        row += rows
        if cut and offset + cut - start >= PART:
            parts.append([start, offset + cut, first])
            start = offset + cut
            first = row
        offset += length
    if offset > start:
        parts.append([start, offset, first])
    return parts


def _scan_parquet(path: str) -> list[list[int]]:
    import pyarrow
    import pyarrow.parquet

    try:
        with open(path, "rb") as file:
            facts = pyarrow.parquet.read_metadata(file)
    except pyarrow.ArrowInvalid as error:
        raise NotText(f"is not a parquet file ({first_line(error)})") from None
    parts = []
    start = 0  # the part's first row group, with its first row
    first = 0
    row = 0
    size = 0
    for group in range(facts.num_row_groups):
        size += facts.row_group(group).total_byte_size
        row += facts.row_group(group).num_rows
        if size >= PART or group == facts.num_row_groups - 1:
            parts.append([start, group + 1, first])
            start = group + 1
            first = row
            size = 0
    if row != facts.num_rows:
        raise NotText(
            f"is damaged: its row groups have {row:,} rows, and it says {facts.num_rows:,}"
        )
    return parts
