"""What the entries of archives have in common, whatever the archive: limits, and which names stay
inside.

An archive is a stranger's: it may expand a thousand times, hold entries without end, name places
outside of it, or be damaged anywhere. So every byte that comes out of it is counted, nothing is
written to disk, and no name of an entry is ever opened.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

from genwright.curation.raw import MEGABYTE, Unreadable, why
from genwright.data.readers import BLOCK

FLOOR = 8 * MEGABYTE  # bytes that any archive may expand to, whatever its size
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class Limits(NamedTuple):
    """How much of one archive is read. entries: how many; entry, total: bytes that one of them, and
    all together, may expand to; ratio: the same, divided by its bytes in the archive."""

    entries: int
    entry: int
    total: int
    ratio: float


class Entry(NamedTuple):
    """One file of an archive. name: as the archive says, with bytes that are no UTF-8 written as
    \\xff; what: why it is not read, to follow its name, or ""; chunks: its bytes, to be iterated
    before the next entry is asked for."""

    name: str
    what: str
    chunks: Iterator[bytes]


class Broken(Unreadable):
    """What is wrong with a whole archive: nothing more is read of it."""


class Packed:
    """A file whose bytes are counted, for what decompresses it. most: bytes that are read at once;
    for more it raises Broken."""

    def __init__(self, file: BinaryIO, most: int = 1 << 62):
        self._file = file
        self._most = most
        self.count = 0
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        if size > self._most:
            raise Broken("lists too many entries: raise `entries` to read it")
        data = self._file.read(size)
        self.count += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell()

    def seekable(self) -> bool:
        """As of a file."""
        return True

    def readable(self) -> bool:
        """As of a file."""
        return True

    def close(self) -> None:
        """Nothing: whoever opened the file closes it."""


class Expanded:
    """Counts what comes out of a whole archive. packed: how many bytes of it that is from, so far.
    Raises Broken where the limits end."""

    def __init__(self, limits: Limits, packed: Callable[[], int]):
        self._limits = limits
        self._packed = packed
        self._count = 0

    def add(self, count: int) -> None:
        """So many bytes more came out."""
        self._count += count
        if self._count > self._limits.total:
            megabytes = self._limits.total / MEGABYTE
            raise Broken(f"expands to more than {megabytes:,.0f} MB: raise `expanded` to read it")
        if self._count > FLOOR + self._limits.ratio * self._packed():
            raise Broken(too_dense(self._limits))

    def read(self, file: Any, size: int) -> bytes:
        """At most so many bytes of a file that decompresses. Raises Broken for damaged ones."""
        try:
            data: bytes = file.read(size)
        except (MemoryError, Unreadable):
            raise
        except Exception as error:  # every way of compression raises its own
            raise Broken(why(error)) from None
        self.add(len(data))
        return data

    def chunks(self, file: Any) -> Iterator[bytes]:
        """All bytes of a file that decompresses."""
        while chunk := self.read(file, BLOCK):
            yield chunk


def too_dense(limits: Limits) -> str:
    """What to say of more than the ratio."""
    return f"expands more than {limits.ratio:g} times: raise `ratio` to read it"


def too_large(limits: Limits) -> str:
    """What to say of an entry that is larger than one may be."""
    return f"expands to more than {limits.entry / MEGABYTE:,.0f} MB: raise `largest` to read it"


def astray(name: str) -> str:
    """Why an entry of this name is not read; "" for a name that stays in its archive."""
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or _DRIVE.match(name):
        return "leads out of the archive, and is not read"
    return ""
