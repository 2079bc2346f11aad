"""Files -> documents, a block at a time, so that a file of any size needs little memory.

A file is read by its suffix (below an optional .gz or .zst): rows of .jsonl/.ndjson, .csv/.tsv and .parquet are documents each,
anything else is one document of text. Plain text and jsonl are cut into parts of some megabytes, so that one large file keeps all
cores busy; text is cut where the cut changes no token (see `genwright.codecs.encoding`). A leading byte-order mark is dropped.

Worker processes import this module: it must not import torch.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from genwright.errors import GenwrightError

BLOCK = 1 << 20  # bytes read at once
LONGEST_BLOCK = 1 << 22  # text without line ends is cut here at the latest
PART = 8 << 20  # bytes of a file that one job takes, about
KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
_INSIDE = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character
COMPRESSED = {".gz": "gzip", ".zst": "zstd"}


Row = str | tuple[str, str]  # a row's text; or what is wrong with it, to follow its place, and a remedy


class Part(NamedTuple):
    """A range of a file (bytes; row groups of parquet). name: for a person; digest: SHA-256 of the whole file; row: index of the first
    row; last: the file ends here; changed: the file's time of change (ns) when it was scanned."""

    path: str
    name: str
    digest: str
    start: int
    end: int
    row: int
    last: bool
    changed: int


class Piece(NamedTuple):
    """Text of a document: row is -1 where the file is the document, which then may come in several pieces."""

    row: int
    text: str
    ends: bool


def kind_of(path: str) -> str:
    whole = Path(path)
    inner = whole.with_suffix("") if whole.suffix.lower() in COMPRESSED else whole
    return KINDS.get(inner.suffix.lower(), "text")


def splits(path: str) -> bool:
    """Whether the file can be read from the middle."""
    return kind_of(path) in ("text", "jsonl") and Path(path).suffix.lower() not in COMPRESSED


def open_file(path: str) -> BinaryIO:
    if compression := COMPRESSED.get(Path(path).suffix.lower()):
        import pyarrow

        return pyarrow.input_stream(path, compression=compression)
    return open(path, "rb")


def safe_cut(block: bytes) -> int:
    """The last place after a line end and before an ASCII non-space; 0 if there is none. No token of our codecs crosses it."""
    at = block.rfind(b"\n", 0, -1) + 1 if block else 0
    while at and not 33 <= block[at] <= 126:
        at = block.rfind(b"\n", 0, at - 1) + 1
    return at


def _blocks(path: str, start: int, end: int, rows: bool) -> Iterator[bytes]:
    """A range of a file's bytes in blocks that end at a safe cut, or at the end of a row."""
    carry, size = b"", end - start
    with open_file(path) as file:
        if start:
            file.seek(start)
        while size > 0 and (chunk := file.read(min(BLOCK, size))):
            size -= len(chunk)
            carry += chunk
            cut = carry.rfind(b"\n") + 1 if rows else safe_cut(carry)
            if not cut and not rows and len(carry) > LONGEST_BLOCK:
                cut = len(carry.rstrip(_INSIDE)) - 1
            if cut:
                yield carry[:cut]
                carry = carry[cut:]
    if carry:
        yield carry


def scan(path: str) -> dict:
    """{"sha", "parts": [[start, end, row], ...], "bad": "" or what is wrong and at which byte}. Reads the file once, or twice where it
    is compressed. Parts are ranges of bytes; of row groups in parquet."""
    sha, parts, bad = hashlib.sha256(), [[0, 1 << 62, 0]], ""
    try:
        if splits(path):
            parts, bad = _scan_blocks(path, sha)
        else:
            with open(path, "rb") as raw:
                sha = hashlib.file_digest(raw, "sha256")
            if kind_of(path) == "parquet":
                parts, bad = _scan_parquet(path)
            else:
                bad = _scan_blocks(path, hashlib.sha256())[1]
    except Exception as error:  # each way of compression raises its own
        bad = f"cannot be read ({error})"
    return {"sha": sha.hexdigest(), "parts": parts, "bad": bad}


def _scan_blocks(path: str, sha) -> tuple[list[list[int]], str]:
    parts, bad = [], ""
    start = offset = row = first = 0
    for block in _blocks(path, 0, 1 << 62, rows=kind_of(path) != "text"):
        sha.update(block)
        bad = bad or _check(block, offset)
        offset += len(block)
        row += block.count(b"\n")
        if offset - start >= PART:
            parts.append([start, offset, first])
            start, first = offset, row
    if offset > start:
        parts.append([start, offset, first])
    return parts, bad


def _scan_parquet(path: str) -> tuple[list[list[int]], str]:
    import pyarrow
    import pyarrow.parquet

    try:
        facts = pyarrow.parquet.read_metadata(path)
    except pyarrow.ArrowInvalid as error:
        return [], f"is not a parquet file ({error})"
    parts, start, row, size, rows = [], 0, 0, 0, 0
    for group in range(facts.num_row_groups):
        size += facts.row_group(group).total_byte_size
        rows += facts.row_group(group).num_rows
        if size >= PART or group == facts.num_row_groups - 1:
            parts.append([start, group + 1, row])
            start, row, size = group + 1, rows, 0
    return parts, ""


def _check(block: bytes, offset: int) -> str:
    if (zero := block.find(b"\0")) >= 0:
        return f"is binary: a zero byte at offset {offset + zero}"
    try:
        block.decode()
    except UnicodeDecodeError as error:
        return f"is not UTF-8: byte 0x{block[error.start]:02x} at offset {offset + error.start}"
    return ""


def read(part: Part, field: str, skipped: list[str] | None = None) -> Iterator[Piece]:
    """The documents of a part. A row that cannot be used raises GenwrightError, or is added to `skipped`."""
    if (kind := kind_of(part.path)) == "text":
        yield from _text(part)
        return
    rows = {"jsonl": _json_rows, "csv": _csv_rows, "parquet": _parquet_rows}[kind](part, field)
    for row, value in enumerate(rows, start=part.row):
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                value = "holds half of a surrogate pair, which is no text", "mend the row"
        if isinstance(value, tuple):
            what, remedy = value
            if skipped is None:
                raise GenwrightError(f"{part.name} row {row} {what}", f"{remedy}, or set data.on_bad_file=skip")
            skipped.append(f"{part.name} row {row} {what}")
        elif value:
            yield Piece(row, value, True)


def _text(part: Part) -> Iterator[Piece]:
    before = None
    for block in _blocks(part.path, part.start, part.end, rows=False):
        if before is not None:
            yield Piece(-1, before, False)
        before = block.decode()
        if before.startswith("\ufeff") and not part.start:
            before = before[1:]
    if before:
        yield Piece(-1, before, part.last)


def _csv_rows(part: Part, field: str) -> Iterator[Row]:
    csv.field_size_limit(1 << 31)
    with open_file(part.path) as file:
        tab = "\t" if ".tsv" in part.path.lower() else ","
        table = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""), delimiter=tab)
        _need(field, table.fieldnames or (), part.name)
        yield from (cells[field] or "" for cells in table)


def _json_rows(part: Part, field: str) -> Iterator[Row]:
    for block in _blocks(part.path, part.start, part.end, rows=True):
        lines = block.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n")
        yield from (_of_json(line, field) if line.strip() else "" for line in lines)


def _of_json(line: bytes, field: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return f"is not JSON ({error.msg})", "mend the row"
    if isinstance(row, dict):
        if isinstance(row.get(field), str):
            return row[field]
        return f"has no text in field {field!r} (it has {', '.join(row) or 'nothing'})", "set data.field"
    return row if isinstance(row, str) else ("is neither an object nor a string", "mend the row")


def _parquet_rows(part: Part, field: str) -> Iterator[Row]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(part.path) as table:
        _need(field, table.schema_arrow.names, part.name)
        for batch in table.iter_batches(batch_size=1024, row_groups=range(part.start, part.end), columns=[field]):
            for value in batch.column(0).to_pylist():
                yield (value or "") if isinstance(value, str | None) else (f"holds no text in {field!r}", "set data.field")


def _need(field: str, names, place: str) -> None:
    if field not in names:
        raise GenwrightError(f"{place} has no column {field!r} (it has {', '.join(names) or 'none'})", "set data.field to one of them")
