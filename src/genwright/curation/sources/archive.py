"""Archives: zip, tar (also .tgz, .tar.gz, .tar.zst), and single files that are compressed (.gz,
.zst).

Each entry is a document, or rows where it is .jsonl, .csv or .tsv. Entries are streamed, nothing is
written to disk, links are not followed, and an archive in an archive is not opened. How much may
come out is bounded. As in a folder, hidden entries and those whose suffix says that they hold no
text are passed over; whatever else is not read is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import Field

from genwright.core.corpus import Document, RawFile, Unread
from genwright.core.corpus_content import CorpusContent
from genwright.core.registry import Settings
from genwright.curation.entries import Broken, Entry, Expanded, Limits, Packed
from genwright.curation.entries_tar import tar_entries
from genwright.curation.entries_zip import zip_entries
from genwright.curation.raw import (
    LONGEST,
    MEGABYTE,
    Found,
    Unreadable,
    bytes_of,
    documents_of,
    found_at,
    guarded,
    named,
)
from genwright.data.readers import kind_of
from genwright.data.source_files import BINARY, is_text

SINGLE = "single"


class Form(NamedTuple):
    """What an archive is. kind: "zip", "tar" or "single"; compression: as pyarrow calls it, or
    ""."""

    kind: str
    compression: str = ""


FORMS = {
    ".zip": Form("zip"),
    ".tar": Form("tar"),
    ".tgz": Form("tar", "gzip"),
    ".tar.gz": Form("tar", "gzip"),
    ".tzst": Form("tar", "zstd"),
    ".tar.zst": Form("tar", "zstd"),
    ".gz": Form(SINGLE, "gzip"),
    ".zst": Form(SINGLE, "zstd"),
}
# an entry that is one of these is an archive in an archive
NESTED = frozenset((*FORMS, ".7z", ".rar", ".jar", ".whl", ".egg", ".bz2", ".xz", ".tbz2", ".txz"))


def form_of(name: str) -> Form | None:
    """What an archive of this name is; None for what is none that is read."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    return FORMS.get("".join(suffixes[-2:])) or FORMS.get("".join(suffixes[-1:]))


class Reading(Protocol):
    """What is read of archives, and how."""

    def wanted(self, name: str) -> bool:
        """Whether an entry of this name is read."""

    def archive_wanted(self, path: str) -> bool:
        """Whether a file of a folder is an archive that is read."""

    def documents(self, name: str, chunks: Iterator[bytes]) -> Iterator[Found]:
        """The documents of an entry."""


@dataclass(frozen=True)
class OfTexts:
    """Texts and rows. field, longest: see `Archive`."""

    field: str
    longest: float

    def wanted(self, name: str) -> bool:
        """See `Reading`."""
        return Path(name).suffix.lower() not in BINARY

    def archive_wanted(self, path: str) -> bool:
        """Of a single file that is compressed its name says whether it is text."""
        form = form_of(path)
        if form is None:
            return False
        return form.kind != SINGLE or is_text(path)

    def documents(self, name: str, chunks: Iterator[bytes]) -> Iterator[Found]:
        """See `Reading`."""
        return documents_of(name, chunks, self.field, self.longest)


@dataclass(frozen=True)
class OfBytes:
    """Documents of a kind that is no text."""

    content: CorpusContent

    def wanted(self, name: str) -> bool:
        """See `Reading`."""
        return self.content.wanted(name)

    def archive_wanted(self, path: str) -> bool:
        """Of a single file that is compressed the name below its suffix says what it is."""
        form = form_of(path)
        if form is None:
            return False
        return form.kind != SINGLE or self.wanted(str(Path(path).with_suffix("")))

    def documents(self, name: str, chunks: Iterator[bytes]) -> Iterator[Found]:
        """See `Reading`."""
        return bytes_of(self.content, name, chunks)


class Archive(Settings, family="raw"):
    """Entries of archives."""

    kind: Literal["archive"] = "archive"
    """Which source: entries of archives."""
    path: str | tuple[str, ...]
    """Archives, folders that hold some, and globs."""
    field: str = "text"
    """Of rows, which field or column holds the text."""
    longest: float = Field(LONGEST, ge=1, le=256)
    """Megabytes of text in one document, about; a longer text is several ("part 1", ...)."""
    entries: int = Field(100_000, ge=1, le=10_000_000)
    """Entries that are read of one archive. Those of a zip file take about 1 kB of memory each."""
    largest: float = Field(4096, gt=0)
    """Megabytes that one entry may expand to."""
    expanded: float = Field(1 << 18, gt=0)
    """Megabytes that all entries of an archive may expand to, together."""
    ratio: float = Field(200, ge=1)
    """How many times its size an archive, or an entry of zip, may expand, beyond 8 MB."""

    def find(self) -> list[RawFile]:
        """The archives, and the folders that cannot be listed, which `read` then names. Raises
        GenwrightError for a path that is not there, and where there is no archive."""
        return self.found(self._texts)

    def read(self, file: RawFile) -> Iterator[Found]:
        """The documents of an archive, in the order of its entries."""
        return self.documents(file, self._texts)

    def of_bytes(self, content: CorpusContent) -> ArchiveOfBytes:
        """See `ReadsBytes`."""
        return ArchiveOfBytes(self, OfBytes(content))

    @property
    def _texts(self) -> OfTexts:
        return OfTexts(self.field, self.longest)

    def found(self, reading: Reading) -> list[RawFile]:
        """As `find`."""
        return found_at(self.path, reading.archive_wanted, "archive")

    def documents(self, file: RawFile, reading: Reading) -> Iterator[Found]:
        """As `read`."""
        return guarded(file.path, self._documents(file.path, reading))

    def _documents(self, path: str, reading: Reading) -> Iterator[Found]:
        form = form_of(path)
        if form is None:
            raise Unreadable("is no archive that is read (" + ", ".join(FORMS) + ")")
        if form.kind == "zip":
            for entry in zip_entries(path, self._limits):
                yield from _of_entry(entry, reading)
            return
        with open(path, "rb") as file:
            packed = Packed(file)
            expanded = Expanded(self._limits, lambda: packed.count)
            stream = _decompressed(packed, form.compression)
            if form.kind == SINGLE:
                yield from _of_single(path, expanded.chunks(stream), reading)
            else:
                for entry in tar_entries(stream, self._limits, expanded):
                    yield from _of_entry(entry, reading)

    @property
    def _limits(self) -> Limits:
        return Limits(
            self.entries,
            int(self.largest * MEGABYTE),
            int(self.expanded * MEGABYTE),
            self.ratio,
        )


class ArchiveOfBytes(NamedTuple):
    """Archives whose documents are of a kind that is no text."""

    archive: Archive
    reading: OfBytes

    def find(self) -> list[RawFile]:
        """As of `Archive`."""
        return self.archive.found(self.reading)

    def read(self, file: RawFile) -> Iterator[Found]:
        """As of `Archive`."""
        return self.archive.documents(file, self.reading)


def _of_single(path: str, chunks: Iterator[bytes], reading: Reading) -> Iterator[Found]:
    """The documents of a file that is compressed."""
    name = str(Path(path).with_suffix(""))
    what = _not_opened(name)
    if what:
        raise Unreadable(what)
    return reading.documents(name, chunks)


def _of_entry(entry: Entry, reading: Reading) -> Iterator[Found]:
    """The documents of an entry, or why it is not read. Raises Broken."""
    parts = [part for part in entry.name.split("/") if part != "."]
    name = "/".join(parts)
    place = f"entry {name}"
    what = entry.what or _not_opened(name)
    if what:
        yield Unread(place, what)
        return
    is_hidden = any(part.startswith(".") for part in parts)
    if is_hidden or not reading.wanted(name):
        return
    found = reading.documents(name, entry.chunks)
    yield from named(_placed(found, place), place, raised=(Broken,))


def _decompressed(packed: Packed, compression: str) -> Packed:
    """What has `read` and gives the bytes without compression."""
    if not compression:
        return packed
    import pyarrow

    stream: Packed = pyarrow.CompressedInputStream(packed, compression)
    return stream


def _not_opened(name: str) -> str:
    """Why what is in an archive under this name is not opened, or ""."""
    if Path(name).suffix.lower() in NESTED:
        return "is an archive in an archive, and is not opened: unpack it"
    if kind_of(name) == "parquet":
        return "is a Parquet file in an archive, and is not opened: unpack it"
    return ""


def _placed(found: Iterator[Found], place: str) -> Iterator[Found]:
    """Documents with the entry before their own place."""
    for each in found:
        where = f"{place}, {each.place}" if each.place else place
        if isinstance(each, Document):
            yield each._replace(place=where)
        else:
            yield Unread(where, each.what)
