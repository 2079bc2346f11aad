"""The entries of a tar archive, read as a stream.

The formats are those of POSIX.1-2008 (ustar, pax) and of GNU (long names). Python's `tarfile` reads
headers of any size into memory and keeps every one; here only its parser of a single block is used.
Sparse files are named and not read.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from genwright.curation.entries import Broken, Entry, Expanded, Limits, astray, too_large
from genwright.data.readers import BLOCK

_BLOCK = 512  # bytes; headers and entries begin at a multiple of it
_HEADER = 1 << 20  # bytes of a header that holds a long name, at most
_LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)
_SPARSE = "GNU.sparse."  # beginning of keys of pax
_LINKS = (tarfile.LNKTYPE, tarfile.SYMTYPE)
_DATA = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


def tar_entries(file: Any, limits: Limits, expanded: Expanded) -> Iterator[Entry]:
    """The entries of a tar stream but for folders, in order. file: what is read (`read`). Raises
    Broken."""
    stream = _Stream(file, expanded)
    said = _Said()
    count = 0
    while True:
        info = _header(stream, is_first=stream.offset == 0)
        if info is None:
            stream.end()
            return
        count += 1
        if count > limits.entries:
            raise Broken(f"holds more than {limits.entries:,} entries: raise `entries` to read it")
        if info.type in _LONG or info.type in _PAX:
            said.add(info.type, stream.long_header(info.size))
            continue
        name = said.name or _written(info.name)
        size = info.size if said.size is None else said.size
        if info.type in _LINKS or info.isdir() or info.isdev():
            size = 0  # whatever it says, nothing follows
        body = _Body(stream, size)
        if not info.isdir():
            what = astray(name) or _fault(info, size, limits, said.sparse)
            yield Entry(name, what, body.chunks())
        body.skip()
        said = _Said()


def _header(stream: _Stream, is_first: bool) -> tarfile.TarInfo | None:
    """The next header; None at the end. Raises Broken."""
    block = stream.take(_BLOCK)
    if not block and is_first:
        raise Broken("is empty")
    if not any(block):
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise Broken(f"is damaged: there is no header where one must be ({error})") from None
    if info.size < 0:
        raise Broken("is damaged: an entry has less than no bytes")
    return info


def _fault(info: tarfile.TarInfo, size: int, limits: Limits, sparse: bool) -> str:
    """Why an entry is not read, or ""."""
    if info.type in _LINKS:
        return "is a link, and is not followed"
    if sparse or info.type == tarfile.GNUTYPE_SPARSE:
        return "is a sparse file, and is not read"
    if info.type not in _DATA:
        return "is no regular file, and is not read"
    if size > limits.entry:
        return too_large(limits)
    return ""


def _written(name: str) -> str:
    """A name, with bytes that are no UTF-8 written as \\xff."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass
class _Said:
    """What headers of their own say of the entry that follows."""

    name: str = ""
    size: int | None = None
    sparse: bool = False

    def add(self, kind: bytes, data: bytes) -> None:
        """What one more header says. Raises Broken."""
        if kind == tarfile.GNUTYPE_LONGNAME:
            self.name = data.rstrip(b"\0").decode("utf-8", "backslashreplace")
        elif kind in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            for key, value in _pax(data):
                self._add(key, value)

    def _add(self, key: str, value: bytes) -> None:
        if key == "path":
            self.name = value.decode("utf-8", "backslashreplace")
        elif key == "size":
            if not value.isdigit() or len(value) > 20:
                raise Broken("is damaged: a size in a header of pax is no number")
            self.size = int(value)
        elif key.startswith(_SPARSE):
            self.sparse = True


def _pax(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The records of a header of pax: "LENGTH KEY=VALUE\\n". Raises Broken."""
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 20)
        digits = data[at:space]
        if space < 0 or not digits.isdigit():
            raise Broken("is damaged: a header of pax has a record without a length")
        end = at + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not equals or end > len(data):
            raise Broken("is damaged: a header of pax has a record without an end")
        yield key.decode("utf-8", "backslashreplace"), value
        at = end


class _Stream:
    """Bytes of a tar archive, in order. offset: how many were read."""

    def __init__(self, file: Any, expanded: Expanded):
        self._file = file
        self._expanded = expanded
        self.offset = 0

    def some(self, size: int) -> bytes:
        """At most so many bytes, at least one. Raises Broken at the end."""
        data = self._expanded.read(self._file, size)
        if not data:
            raise Broken("ends in the middle of an entry")
        self.offset += len(data)
        return data

    def take(self, size: int) -> bytes:
        """So many bytes; none at the end. Raises Broken for a part of them."""
        data = self._expanded.read(self._file, size)
        self.offset += len(data)
        while data and len(data) < size:
            data += self.some(size - len(data))
        return data

    def end(self) -> None:
        """Reads what stands behind the last entry: of what is compressed that checks it. Raises
        Broken where it is no padding."""
        while rest := self._expanded.read(self._file, BLOCK):
            if rest.strip(b"\0"):
                raise Broken("goes on behind its end, which is not read")

    def long_header(self, size: int) -> bytes:
        """What a header of this size holds. Raises Broken."""
        if size > _HEADER:
            raise Broken(f"is damaged: a header of {size:,} bytes")
        return self.take(_padded(size))[:size]


def _padded(size: int) -> int:
    """The bytes that an entry of this size takes."""
    return -(-size // _BLOCK) * _BLOCK


class _Body:
    """The bytes of one entry."""

    def __init__(self, stream: _Stream, size: int):
        self._stream = stream
        self._left = size
        self._padding = _padded(size) - size

    def chunks(self) -> Iterator[bytes]:
        """What was not read yet."""
        while self._left:
            chunk = self._stream.some(min(BLOCK, self._left))
            self._left -= len(chunk)
            yield chunk

    def skip(self) -> None:
        """Goes to the end of the entry."""
        self._left += self._padding
        self._padding = 0
        for _ in self.chunks():
            pass
