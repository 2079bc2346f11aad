"""Files -> documents, a block at a time, so that a file of any size needs little memory.

A file is read by its suffix (below an optional .gz or .zst): rows of .jsonl/.ndjson, .csv/.tsv and
.parquet, and what a .selection takes of a corpus, are documents each, anything else is one document
of text. A file may be read in parts (see
`file_parts`). A leading byte-order mark is dropped.

Worker processes import this module: it must not import torch.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from genwright.core.errors import GenwrightError
from genwright.core.files import changed_error
from genwright.data import rows
from genwright.data.encodings import NotText, as_utf8
from genwright.data.rows import Record
from genwright.data.selection import SELECTION, selected
from genwright.data.tables import LONGEST, BadTable, Fault, Table

BLOCK = 1 << 20  # bytes read at once
WHOLE = 1 << 62  # the end of a range that takes the whole file
LONGEST_BLOCK = 1 << 22  # text without line ends is cut here at the latest
KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    SELECTION: "selection",
}
COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
_CUT = re.compile(rb"\n[!-~]")
_NEAR = 50  # line ends that are looked at one by one
_INSIDE = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character
MARK = b"\xef\xbb\xbf"  # the byte-order mark in UTF-8


# what a person may not expect ("empty", "quoted") -> file -> how many rows
Remarks = defaultdict[str, Counter[str]]


class Part(NamedTuple):
    """A range of a file (bytes; row groups of parquet). name: for a person; digest: SHA-256 of the
    whole file; row: index of the first row; last: the file ends here; stamp: of the file when it
    was scanned (see `files.stamp_of`); text, size: SHA-256 and bytes of the whole file's text in
    UTF-8, where the file is one document."""

    path: str
    name: str
    digest: str
    start: int
    end: int
    row: int
    last: bool
    stamp: list[int]
    text: str = ""
    size: int = 0


class Piece(NamedTuple):
    """Text of a document. row: -1 where the file is the document, which then may come in several
    pieces; ends: whether the document ends with it."""

    row: int
    text: str
    ends: bool


def kind_of(path: str) -> str:
    """ "jsonl", "csv", "parquet", "selection" or, of a file that is one document, "text"."""
    return KINDS.get(suffix_of(path), "text")


def suffix_of(path: str) -> str:
    """The suffix below that of a compression."""
    inner = Path(path)
    if inner.suffix.lower() in COMPRESSED:
        inner = inner.with_suffix("")
    return inner.suffix.lower()


# ---- bytes ----


def open_file(path: str) -> BinaryIO:
    """The file's bytes, decompressed; the caller closes it."""
    file = open(path, "rb")  # noqa: SIM115
    compression = COMPRESSED.get(Path(path).suffix.lower())
    if compression is None:
        return file
    import pyarrow

    return pyarrow.CompressedInputStream(file, compression)


def raw_bytes(path: str) -> Iterator[bytes]:
    """A file's bytes as they are stored, in chunks of BLOCK."""
    with open(path, "rb") as file:
        while chunk := file.read(BLOCK):
            yield chunk


def raw_chunks(path: str, start: int = 0, end: int = WHOLE) -> Iterator[bytes]:
    """A range of a file's bytes, decompressed, in chunks of BLOCK."""
    left = end - start
    with open_file(path) as file:
        if start:
            file.seek(start)
        while left > 0:
            chunk = file.read(min(BLOCK, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk


def utf8_chunks(path: str, start: int = 0, end: int = WHOLE) -> Iterator[bytes]:
    """A range of a file, in UTF-8 whatever its encoding."""
    chunks = raw_chunks(path, start, end)
    if start:  # only what is UTF-8 has a middle
        return chunks
    return as_utf8(chunks)


def safe_cut(block: bytes, known: int = 0) -> int:
    """The last place after a line end and before an ASCII non-space; 0 if there is none. No token
    of a codec of text crosses it.

    known: bytes at the beginning that are known to hold no such place, so that a growing block is
    not searched again and again."""
    first = max(known - 1, 0)
    end = len(block) - 1
    for _ in range(_NEAR):  # most often it is one of the last line ends
        place = block.rfind(b"\n", first, max(end, 0)) + 1
        if not place or 33 <= block[place] <= 126:
            return place
        end = place - 1
    places = [match.start() + 1 for match in _CUT.finditer(block, first, end + 1)]
    return places[-1] if places else 0


def blocks_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Text in blocks that end at a safe cut."""
    carry = b""
    for chunk in chunks:
        known = len(carry)
        carry += chunk
        cut = safe_cut(carry, known)
        if not cut and len(carry) > LONGEST_BLOCK:
            cut = len(carry.rstrip(_INSIDE)) - 1  # before its last character
        if cut:
            yield carry[:cut]
            carry = carry[cut:]
    if carry:
        yield carry


def split_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends, in time that is linear in the bytes. Of a line longer than LONGEST
    only so much that this is seen."""
    pieces: list[bytes] = []  # of the line that is not at its end
    length = 0
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            yield b"".join([*pieces, line])
            pieces = []
            length = 0
        if length <= LONGEST:
            pieces.append(rest)
            length += len(rest)
    if length:
        yield b"".join(pieces)


def open_table(path: str) -> Table:
    """The table in a .csv or .tsv file. Raises BadTable."""
    return Table(utf8_chunks(path), tabs=suffix_of(path) == ".tsv")


def lines_of(path: str, start: int = 0, end: int = WHOLE) -> Iterator[bytes]:
    """The lines of a range of a file, in UTF-8, without the mark at its beginning."""
    for number, line in enumerate(split_lines(utf8_chunks(path, start, end))):
        if number == 0 and start == 0:
            line = line.removeprefix(MARK)
        yield line


# ---- documents ----


def read(
    part: Part, field: str, skipped: list[str] | None = None, remarks: Remarks | None = None
) -> Iterator[Piece]:
    """The documents of a part. field: of rows, which one holds the text.

    A row that cannot be used raises GenwrightError, or is added to `skipped`. A row without text is
    no document: `remarks` counts them by file ("empty"), and the cells of a .tsv that stand in
    quotes, which are read with them ("quoted")."""
    if remarks is None:
        remarks = defaultdict(Counter)
    try:
        if kind_of(part.path) == "text":
            yield from _text(part)
        else:
            yield from _rows(part, field, skipped, remarks)
    except (UnicodeDecodeError, NotText):  # it was text when it was scanned
        raise changed_error(part.path) from None


def _text(part: Part) -> Iterator[Piece]:
    """The pieces of a part of a document."""
    before = None  # a piece that is given once it is known whether it is the last
    for block in blocks_of(utf8_chunks(part.path, part.start, part.end)):
        if before is not None:
            yield Piece(-1, before, False)
        before = block.decode()
        if before.startswith("\ufeff") and not part.start:
            before = before[1:]
    if before:
        yield Piece(-1, before, part.last)


def _rows(part: Part, field: str, skipped: list[str] | None, remarks: Remarks) -> Iterator[Piece]:
    """The documents of a part that is rows."""
    tabs = suffix_of(part.path) == ".tsv"
    try:
        for number, place, content in _records(part, field):
            if isinstance(content, Fault):
                _refuse(f"{part.name} {place}", content, skipped)
            elif not content:
                remarks["empty"][part.name] += 1
            else:
                yield Piece(number, content, True)
                if tabs and _in_quotes(content):
                    remarks["quoted"][part.name] += 1
    except BadTable as error:
        if part.start == 0 or skipped is None:  # of several parts one says it
            _refuse(part.name, Fault(error.what, error.remedy), skipped)


def _in_quotes(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def _records(part: Part, field: str) -> Iterator[Record]:
    """The rows of a part as they stand. Raises BadTable."""
    kind = kind_of(part.path)
    if kind == "csv":
        return rows.of_table(open_table(part.path), field)
    if kind == "jsonl":
        return rows.of_lines(lines_of(part.path, part.start, part.end), field, part.row)
    if kind == "selection":
        return (Record(row, f"row {row}", text) for row, text in selected(part.path))
    return rows.of_parquet(part.path, range(part.start, part.end), field, part.row)


def _refuse(place: str, fault: Fault, skipped: list[str] | None) -> None:
    if skipped is None:
        raise GenwrightError(
            f"{place} {fault.what}", f"{fault.remedy}, or set data.on_bad_file=skip"
        )
    skipped.append(f"{place} {fault.passed_over}")
