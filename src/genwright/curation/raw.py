"""What sources of raw files have in common: bytes -> documents, and what cannot be read -> a
sentence, so that one damaged file stops nothing and nothing is lost unsaid.

Bytes are read by `genwright.data.readers`, as in training, a block at a time. A text that is longer
than a limit is several documents, cut where no token crosses: memory does not grow with a file.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from genwright.core.corpus import Document, RawFile, Unread
from genwright.core.corpus_content import CorpusContent
from genwright.core.errors import GenwrightError
from genwright.core.files import irregular, stamp_of
from genwright.data import readers, rows
from genwright.data.encodings import NotText, as_utf8, checked
from genwright.data.own_output import Own
from genwright.data.rows import Record, first_line
from genwright.data.source_files import SourceFile, collect
from genwright.data.tables import BadTable, Fault, Table

log = logging.getLogger(__name__)
MEGABYTE = 1 << 20
LONGEST = 8  # megabytes of text in a document, about, unless a source says something else
NAMED = 3  # of what is passed over, in a note
LISTED = 100  # rows of a file that are named one by one; of more the number is given

Found = Document | Unread


class Unreadable(Exception):
    """What is wrong with a file or an entry, to follow its name."""


def found_at(
    path: str | tuple[str, ...], wanted: Callable[[str], bool], what: str
) -> list[RawFile]:
    """The files that the path of a source means, and the folders that cannot be listed, which its
    reader then names. A note says what this program wrote itself there, which is passed over.

    wanted: which files of a folder; what: they hold, in the plural. Raises GenwrightError for a
    path that is not there, and where there is no file."""
    paths = (path,) if isinstance(path, str) else path
    closed: list[SourceFile] = []
    own: list[Own] = []
    found = collect(paths, wanted, closed=closed, where="the path of a source", own=own)
    if own:
        named = ", ".join(map(str, own[:NAMED]))
        more = f" and {len(own) - NAMED:,} more" if len(own) > NAMED else ""
        log.info("the source %s: %s%s passed over", ", ".join(paths), named, more)
    return raw_files([*found, *closed], what, path)


def raw_files(found: Iterable[SourceFile], what: str, path: str | tuple[str, ...]) -> list[RawFile]:
    """Files as raw files, sorted by name. what: they hold, in the plural; path: that they were
    looked for in. Raises GenwrightError where there is none."""
    files = [RawFile(file.path, file.name) for file in found]
    if not files:
        named = path if isinstance(path, str) else ", ".join(path)
        raise GenwrightError(f"the source {named} holds no {what}", "give another path or kind")
    return sorted(files, key=_name)


def _name(file: RawFile) -> str:
    return file.name


# ---- what cannot be read ----


def guarded(path: str, found: Iterable[Found]) -> Iterator[Found]:
    """What is found in a file; and why nothing is, or no more is, as `Unread`. found: is not
    iterated where the path is no regular file."""
    what = _closed(path) or irregular(path)
    if what:
        yield Unread("", what)
        return
    stamp = stamp_of(path)
    yield from named(found)
    if stamp_of(path) != stamp:
        yield Unread("", "changed while it was read: build again")


def named(
    found: Iterable[Found], place: str = "", raised: tuple[type[Exception], ...] = ()
) -> Iterator[Found]:
    """The same, up to where reading it fails, which is named at this place. raised: errors that are
    raised; lack of memory always is, for it says nothing of the file."""
    last = ""  # place of the last document
    try:
        for each in found:
            if isinstance(each, Document):
                last = each.place
            yield each
    except MemoryError:
        raise
    except raised:
        raise
    except Exception as error:  # every way of compression, and every table, raises its own
        what = why(error)
        if last and last != place:
            what = f"{what}; what follows {last} is not read"
        yield Unread(place, what)


def why(error: Exception) -> str:
    """What is wrong, to follow the name of a file. It names no path: that would be another on
    another machine."""
    if isinstance(error, (NotText, Unreadable)):
        return str(error)
    if isinstance(error, BadTable):
        return error.what
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    return f"cannot be read ({first_line(error)})"


def _closed(path: str) -> str:
    """Why a folder could not be entered; "" for what is none."""
    if not os.path.isdir(path):
        return ""
    try:
        os.listdir(path)
    except OSError as error:
        return f"is a folder that cannot be listed ({error.strerror})"
    return "is a folder that could not be listed before, and now can: build again"


# ---- bytes -> documents ----


def documents_of(
    name: str, chunks: Iterable[bytes], field: str, longest: float = LONGEST
) -> Iterator[Found]:
    """The documents of a file that is read from its beginning: rows of .jsonl, .csv and .tsv, or
    one text.

    name: of the file, whose suffix says what it is; chunks: its bytes, decompressed; field: of
    rows, which one holds the text; longest: megabytes of a document. Raises NotText, BadTable and
    what `chunks` raises."""
    kind = readers.kind_of(name)
    if kind == "csv":
        tabs = readers.suffix_of(name) == ".tsv"
        table = Table(as_utf8(checked(chunks)), tabs)
        yield from of_records(rows.of_table(table, field))
    elif kind == "jsonl":
        lines = readers.split_lines(_without_mark(as_utf8(chunks)))
        yield from of_records(rows.of_lines(lines, field, checked=False))
    else:
        yield from texts_of(chunks, longest)


def of_parquet(path: str, field: str) -> Iterator[Found]:
    """The rows of a Parquet file. Raises BadTable."""
    yield from of_records(rows.of_parquet(path, None, field))


def of_records(records: Iterable[Record]) -> Iterator[Found]:
    """Rows as documents. A row without text is none, and the number of those is given at the end;
    so is that of faults beyond the first LISTED."""
    empty = 0
    faults = 0
    for number, place, content in records:
        if isinstance(content, Fault):
            faults += 1
            if faults <= LISTED:
                yield Unread(place, content.passed_over)
        elif content:
            yield Document(content, f"row {number}")
        else:
            empty += 1
    if faults > LISTED:
        yield Unread("", f"has {faults - LISTED:,} more rows that cannot be read")
    if empty:
        yield Unread("", f"has {empty:,} rows without text")


def _without_mark(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """UTF-8 without the byte-order mark at its beginning."""
    begun = False
    for chunk in chunks:
        if chunk and not begun:
            chunk = chunk.removeprefix(readers.MARK)
            begun = True
        yield chunk


def texts_of(chunks: Iterable[bytes], longest: float = LONGEST) -> Iterator[Document]:
    """A text as one document, or as several of at most so many megabytes, about. Raises NotText."""
    largest = int(longest * MEGABYTE)
    blocks: list[bytes] = []  # of the document that is not at its end
    size = 0
    parts = 0
    for block in readers.blocks_of(_without_mark(as_utf8(checked(chunks)))):
        if blocks and size + len(block) > largest:
            parts += 1
            yield Document(b"".join(blocks).decode(), f"part {parts}")
            blocks = []
            size = 0
        blocks.append(block)
        size += len(block)
    if blocks:
        place = f"part {parts + 1}" if parts else ""
        yield Document(b"".join(blocks).decode(), place)


# ---- documents that are bytes ----


class BytesOfFiles(NamedTuple):
    """A source of files whose documents are of a kind that is no text."""

    path: str | tuple[str, ...]
    content: CorpusContent

    def find(self) -> list[RawFile]:
        """As of `Files`."""
        return found_at(self.path, self.content.wanted, self.content.thing)

    def read(self, file: RawFile) -> Iterator[Found]:
        """The documents of a file."""
        return guarded(file.path, bytes_of(self.content, file.name, readers.raw_bytes(file.path)))


def bytes_of(content: CorpusContent, name: str, chunks: Iterable[bytes]) -> Iterator[Found]:
    """The documents of a file or entry, which is held in memory. Raises Unreadable for one that is
    too large."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size > content.largest:
            raise Unreadable(f"is larger than {content.largest / MEGABYTE:,.0f} MB")
    yield from content.documents(name, b"".join(held))
