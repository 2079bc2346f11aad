"""Files -> documents, a block at a time, so that a file of any size needs little memory.

A file is read by its suffix (below an optional .gz or .zst): rows of .jsonl/.ndjson, .csv/.tsv and
.parquet are documents each, anything else is one document of text. Plain text and jsonl are cut
into parts of some megabytes, so that one large file keeps all cores busy; text is cut where the cut
changes no token (see `genwright.contents.text.encoding`). Files in UTF-16 or UTF-32 are one part. A
leading byte-order mark is dropped.

Worker processes import this module: it must not import torch.
"""

import codecs
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from genwright.core.errors import GenwrightError
from genwright.core.files import changed, irregular
from genwright.data import rows
from genwright.data.encodings import Decoder, NotText, as_utf8, encoding_of
from genwright.data.rows import Record, first_line
from genwright.data.tables import LONGEST, BadTable, Fault, Table
from genwright.data.workers import Work, at_file

BLOCK = 1 << 20  # bytes read at once
LONGEST_BLOCK = 1 << 22  # text without line ends is cut here at the latest
PART = 8 << 20  # bytes of a file that one job takes, about
WHOLE = 1 << 62  # the end of a range that takes the whole file
KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
_CUT = re.compile(rb"\n[!-~]")
_NEAR = 50  # line ends that are looked at one by one
_INSIDE = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that begin no character
COMPRESSED = {".gz": "gzip", ".zst": "zstd"}


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
    """Text of a document: row is -1 where the file is the document, which then may come in several
    pieces."""

    row: int
    text: str
    ends: bool


def kind_of(path: str) -> str:
    return KINDS.get(_suffix(path), "text")


def _suffix(path: str) -> str:
    """The suffix below that of a compression."""
    whole = Path(path)
    inner = whole.with_suffix("") if whole.suffix.lower() in COMPRESSED else whole
    return inner.suffix.lower()


def splits(path: str) -> bool:
    """Whether the file can be read from the middle."""
    return kind_of(path) in ("text", "jsonl") and Path(path).suffix.lower() not in COMPRESSED


def open_file(path: str) -> BinaryIO:
    file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    if compression := COMPRESSED.get(Path(path).suffix.lower()):
        import pyarrow

        return pyarrow.CompressedInputStream(file, compression)
    return file


def safe_cut(block: bytes, known: int = 0) -> int:
    """The last place after a line end and before an ASCII non-space; 0 if there is none. No token
    of our codecs crosses it.
    known: bytes at the beginning that are known to hold no such place, so that a growing block is
    not searched again and again."""
    first = max(known - 1, 0)
    end = len(block) - 1
    for _ in range(_NEAR):  # most often it is one of the last line ends
        at = block.rfind(b"\n", first, max(end, 0)) + 1
        if not at or 33 <= block[at] <= 126:
            return at
        end = at - 1
    places = [match.start() + 1 for match in _CUT.finditer(block, first, end + 1)]
    return places[-1] if places else 0


def _raw(path: str, start: int = 0, end: int = WHOLE) -> Iterator[bytes]:
    """A range of a file's bytes, decompressed, in chunks of BLOCK."""
    left = end - start
    with open_file(path) as file:
        if start:
            file.seek(start)
        while left > 0 and (chunk := file.read(min(BLOCK, left))):
            left -= len(chunk)
            yield chunk


def _utf8(path: str, start: int = 0, end: int = WHOLE) -> Iterator[bytes]:
    """A range of a file, in UTF-8 whatever its encoding."""
    chunks = _raw(path, start, end)
    return chunks if start else as_utf8(chunks)


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Text in blocks that end at a safe cut."""
    carry = b""
    for chunk in chunks:
        known = len(carry)
        carry += chunk
        cut = safe_cut(carry, known)
        if not cut and len(carry) > LONGEST_BLOCK:
            cut = len(carry.rstrip(_INSIDE)) - 1
        if cut:
            yield carry[:cut]
            carry = carry[cut:]
    if carry:
        yield carry


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
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
    return Table(_utf8(path), tabs=_suffix(path) == ".tsv")


def lines_of(path: str, start: int = 0, end: int = WHOLE) -> Iterator[bytes]:
    """The lines of a range of a file, in UTF-8, without the mark at its beginning."""
    for number, line in enumerate(_lines(_utf8(path, start, end))):
        yield line.removeprefix(b"\xef\xbb\xbf") if number == start == 0 else line


def scan(path: str) -> dict:
    """{"sha", "parts": [[start, end, row], ...], "bad": "" or what is wrong and at which byte,
    "text", "size": see `Part`}. Reads the file once, or twice where it is compressed. Parts are
    ranges of bytes; of row groups in parquet."""
    if what := irregular(path):
        return {"sha": "", "parts": [], "bad": what, "text": "", "size": 0}
    sha = hashlib.sha256()
    parts = []
    bad = ""
    text = Text()
    try:
        if splits(path):
            parts = _scan_text(path, sha, text)
        else:
            with open(path, "rb") as raw:
                sha = hashlib.file_digest(raw, "sha256")
            if kind_of(path) == "parquet":
                parts = _scan_parquet(path)
            else:
                for _ in text.through(as_utf8(_checked(_raw(path)))):
                    pass
                parts = [[0, WHOLE, 0]]
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


def scan_all(paths: list[str]) -> list[dict]:
    """`scan` of each."""
    found = []
    for position, path in enumerate(paths):
        at_file(position)
        found.append(scan(path))
    return found


def _paths_of(job: dict[str, Any]) -> list[str]:
    return job["paths"]


SCAN = Work(scan_all, "reading", _paths_of)


def _checked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks of a whole file, unchanged. Raises NotText where they are no text."""
    decoder = None
    for chunk in chunks:
        decoder = decoder or Decoder(encoding_of(chunk))
        decoder.decode(chunk)
        yield chunk
    if decoder:
        decoder.finish()


def _hashed(chunks: Iterable[bytes], sha) -> Iterator[bytes]:
    for chunk in chunks:
        sha.update(chunk)
        yield chunk


class Text:
    """SHA-256 and size of a text in UTF-8 without its mark, whatever it is stored as."""

    def __init__(self) -> None:
        self.size = 0
        self._begun = False
        self._sha = hashlib.sha256()

    def add(self, chunk: bytes) -> None:
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

    def is_file(self, sha, size: int) -> None:
        """The file's own bytes are the text, and were hashed already."""
        self._sha = sha
        self.size = size

    @property
    def digest(self) -> str:
        return self._sha.hexdigest()


def _scan_text(path: str, sha, text: Text) -> list[list[int]]:
    """The parts of a file of text or jsonl that is not compressed."""
    with open(path, "rb") as file:
        head = file.read(4)
    chunks = _checked(_hashed(_raw(path), sha))
    if encoding_of(head) != "utf-8":
        for _ in text.through(as_utf8(chunks)):
            pass
        return [[0, os.path.getsize(path), 0]]
    if kind_of(path) == "text":
        marked = head.startswith(codecs.BOM_UTF8)
        parts = _parts(
            (len(block), len(block), 0)
            for block in _blocks(text.through(chunks) if marked else chunks)
        )
        if not marked:
            text.is_file(sha, parts[-1][1] if parts else 0)
        return parts
    return _parts((len(chunk), chunk.rfind(b"\n") + 1, chunk.count(b"\n")) for chunk in chunks)


def _parts(blocks: Iterable[tuple[int, int, int]]) -> list[list[int]]:
    """[start, end, row] of each part. blocks: (length, how much of it stands before its last cut,
    rows that ended in it)."""
    parts = []
    start = offset = row = first = 0
    for length, cut, ended in blocks:
        row += ended
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
    start = 0
    row = 0
    size = 0
    total = 0
    for group in range(facts.num_row_groups):
        size += facts.row_group(group).total_byte_size
        total += facts.row_group(group).num_rows
        if size >= PART or group == facts.num_row_groups - 1:
            parts.append([start, group + 1, row])
            start = group + 1
            row = total
            size = 0
    if total != facts.num_rows:
        raise NotText(
            f"is damaged: its row groups have {total:,} rows, and it says {facts.num_rows:,}"
        )
    return parts


def read(
    part: Part, field: str, skipped: list[str] | None = None, remarks: Remarks | None = None
) -> Iterator[Piece]:
    """The documents of a part. A row that cannot be used raises GenwrightError, or is added to
    `skipped`. A row without text is no document: `remarks` counts them by file, and the cells of a
    .tsv that stand in quotes, which are read with them."""
    try:
        yield from _documents(part, field, skipped, remarks)
    except (UnicodeDecodeError, NotText):  # it was text when it was scanned
        raise changed(part.path) from None


def _documents(
    part: Part, field: str, skipped: list[str] | None, remarks: Remarks | None
) -> Iterator[Piece]:
    if (kind := kind_of(part.path)) == "text":
        yield from _text(part)
        return
    tabs = _suffix(part.path) == ".tsv"
    try:
        for number, place, content in _rows(part, kind, field):
            if isinstance(content, Fault):
                _refuse(f"{part.name} {place}", content, skipped)
                continue
            if content:
                yield Piece(number, content, True)
            if remarks is not None and not content:
                remarks["empty"][part.name] += 1
            if (
                remarks is not None
                and tabs
                and content
                and len(content) > 1
                and content[0] == content[-1] == '"'
            ):
                remarks["quoted"][part.name] += 1
    except BadTable as error:
        if part.start == 0 or skipped is None:  # of several parts one says it
            _refuse(part.name, Fault(error.what, error.remedy), skipped)


def _rows(part: Part, kind: str, field: str) -> Iterator[Record]:
    if kind == "csv":
        return rows.of_table(open_table(part.path), field)
    if kind == "jsonl":
        return rows.of_lines(lines_of(part.path, part.start, part.end), field, part.row)
    return rows.of_parquet(part.path, range(part.start, part.end), field, part.row)


def _refuse(place: str, fault: Fault, skipped: list[str] | None) -> None:
    if skipped is None:
        raise GenwrightError(
            f"{place} {fault.what}", f"{fault.remedy}, or set data.on_bad_file=skip"
        )
    skipped.append(f"{place} {fault.passed_over}")


def _text(part: Part) -> Iterator[Piece]:
    before = None
    for block in _blocks(_utf8(part.path, part.start, part.end)):
        if before is not None:
            yield Piece(-1, before, False)
        before = block.decode()
        if before.startswith("\ufeff") and not part.start:
            before = before[1:]
    if before:
        yield Piece(-1, before, part.last)
