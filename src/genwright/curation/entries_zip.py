"""The entries of a zip file.

The directory at its end is read as a whole, up to a size that the limits give. Entries may overlap
(a file of 10 MB can so hold 281 TB): each is bounded, and all of them together.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from stat import S_IFMT, S_ISLNK, S_ISREG

from genwright.curation.entries import (
    FLOOR,
    Broken,
    Entry,
    Expanded,
    Limits,
    Packed,
    astray,
    too_dense,
    too_large,
)
from genwright.curation.raw import Unreadable
from genwright.data.readers import BLOCK

_IN_DIRECTORY = 256  # bytes that the directory has for an entry, at most on average
_ENCRYPTED = 1  # bit of an entry's flags


def zip_entries(path: str, limits: Limits) -> Iterator[Entry]:
    """The entries of a zip file but for folders, in the order of its directory. Raises Broken and
    what `zipfile` raises."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        expanded = Expanded(limits, lambda: size)
        packed = Packed(file, max(1 << 16, limits.entries * _IN_DIRECTORY))
        with zipfile.ZipFile(packed) as archive:
            infos = archive.infolist()
            for info in infos[: limits.entries]:
                if not info.is_dir():
                    what = astray(info.filename) or _fault(info, limits)
                    yield Entry(info.filename, what, _chunks(archive, info, limits, expanded))
        more = len(infos) - limits.entries
        if more > 0:
            raise Broken(f"holds {more:,} more entries: raise `entries` to read them")


def _fault(info: zipfile.ZipInfo, limits: Limits) -> str:
    """Why an entry is not read, or ""."""
    mode = info.external_attr >> 16  # of Unix, or 0
    if S_ISLNK(mode):
        return "is a link, and is not followed"
    if S_IFMT(mode) and not S_ISREG(mode):
        return "is no regular file, and is not read"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted"
    # of other methods `zipfile` expands a block at once, whatever it comes to
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type} of zip, which is not read"
    if info.file_size > limits.entry:
        return too_large(limits)
    return ""


def _chunks(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits, expanded: Expanded
) -> Iterator[bytes]:
    count = 0
    with archive.open(info) as entry:
        while chunk := entry.read(BLOCK):
            count += len(chunk)
            if count > FLOOR + limits.ratio * info.compress_size:
                raise Unreadable(too_dense(limits))
            expanded.add(len(chunk))
            yield chunk
