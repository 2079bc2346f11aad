"""Units: some megabytes of documents that one job reads and makes one shard of.

An entry of a unit is a row, or a part of a file that is one document; entries are numbered in the
order in which they are read.

Worker processes import this module: it must not import torch.
"""

import hashlib
import io
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genwright.core.files import write_whole
from genwright.data.cache import writing
from genwright.data.readers import Part, Piece, Remarks, kind_of, read
from genwright.data.selection import side_of
from genwright.data.workers import Work, at_file

# key: the first 64 bits of the text's SHA-256; size: its bytes; part: of a part of a whole file
# which of the unit's parts it is, from 1; of a row 0
ENTRY = np.dtype([("key", "<u8"), ("size", "<u8"), ("part", "<u4")])


@dataclass
class Unit:
    """parts: what is read. field: of rows, which one holds the text. skip: whether rows that cannot
    be used are passed over. One of two says what is held out. held: the numbers of those entries.
    cut: so many characters, the first, are trained on, and the rest is not."""

    parts: list[Part]
    field: str
    skip: bool
    held: list[int] | None = None
    cut: int | None = None

    @property
    def identity(self) -> list[list[Any]]:
        """What decides the text: not where the files are, nor when they were written."""
        return [
            [kind_of(part.path), part.name, part.digest, part.start, part.end, part.row, part.last]
            for part in self.parts
        ]

    @property
    def content(self) -> list[Any]:
        """All that decides the documents and their sides."""
        return [self.identity, self.held, self.cut, self.field, self.skip]


class Entry(NamedTuple):
    """A piece of an entry, as it is read. number: of the entry; part: index of the part that it is
    in."""

    number: int
    part: int
    piece: Piece


class SplitPiece(NamedTuple):
    """A piece of a document on its side. split: index in SPLITS; part: index of the part."""

    split: int
    part: int
    piece: Piece


def entries(unit: Unit, skipped: list[str], remarks: Remarks | None = None) -> Iterator[Entry]:
    """The pieces of a unit, in order. skipped: what is passed over is added to it; remarks: see
    `readers.read`."""
    number = 0
    for index, part in enumerate(unit.parts):
        at_file(index)
        whole = kind_of(part.path) == "text"
        for piece in read(part, unit.field, skipped if unit.skip else None, remarks):
            yield Entry(number, index, piece)
            if not whole:
                number += 1
        if whole:
            number += 1


def survey(unit: Unit) -> np.ndarray:
    """(entries,) of dtype ENTRY, in the order of `entries`. Files that are one document are not
    read again."""
    keys = array("Q")
    sizes = array("Q")
    parts = array("L")
    for index, part in enumerate(unit.parts):
        at_file(index)
        if kind_of(part.path) == "text":
            keys.append(int(part.text[:16], 16))
            sizes.append(part.size if part.last else 0)
            parts.append(index + 1)
            continue
        for piece in read(part, unit.field, [] if unit.skip else None):
            text = piece.text.encode()
            keys.append(int.from_bytes(hashlib.sha256(text).digest()[:8], "big"))
            sizes.append(len(text))
            parts.append(0)
    table = np.empty(len(keys), ENTRY)
    table["key"] = keys
    table["size"] = sizes
    table["part"] = parts
    return table


def divide(unit: Unit, skipped: list[str], remarks: Remarks | None = None) -> Iterator[SplitPiece]:
    """The pieces of a unit, each on its side; with `cut` a piece may be parted in two."""
    if unit.cut is not None:
        yield from _cut(entries(unit, skipped, remarks), unit.cut)
        return
    held = set(unit.held or ())
    sides = [side_of(part.path) for part in unit.parts]
    for number, part, piece in entries(unit, skipped, remarks):
        side = sides[part]  # of a corpus, which has decided
        yield SplitPiece(int(number in held) if side is None else side, part, piece)


def _cut(pieces: Iterator[Entry], characters: int) -> Iterator[SplitPiece]:
    """The first characters are trained on, the rest is held out."""
    left = characters
    for _, part, (row, text, ends) in pieces:
        before = text[: max(0, left)]
        after = text[max(0, left) :]
        left -= len(text)
        if before:
            yield SplitPiece(0, part, Piece(row, before, ends and not after))
        if after:
            yield SplitPiece(1, part, Piece(row, after, ends))


def count_characters(unit: Unit) -> int:
    """Characters of a unit's documents."""
    return sum(len(entry.piece.text) for entry in entries(unit, []))


def write_survey(unit: Unit, table: str) -> None:
    """Writes a unit's entries (see `survey`) into the file `table`."""
    content = io.BytesIO()
    np.save(content, survey(unit), allow_pickle=False)
    with writing(Path(table).parent):
        write_whole(Path(table), content.getvalue())


def files_of(job: dict[str, Any]) -> list[str]:
    """The paths that a job reads."""
    return [part.path for part in job["unit"].parts]


COUNT = Work(count_characters, "counting", files_of)
SURVEY = Work(write_survey, "counting", files_of)
