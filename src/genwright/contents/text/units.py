"""Units: some megabytes of documents that one job reads and makes one shard of.

An entry of a unit is a row, or a part of a file that is one document; entries are numbered in the
order in which they are read.

Worker processes import this module: it must not import torch.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genwright.core.files import whole_file
from genwright.data.cache import json_list, json_of, writing
from genwright.data.npy import NpyWriter, blocks_of, mapped
from genwright.data.readers import Part, Piece, Remarks, kind_of, read
from genwright.data.selection import side_of
from genwright.data.workers import Work, at_file

# key: the first 64 bits of the text's SHA-256; size: its bytes; part: of a part of a whole file
# which of the unit's parts it is, from 1; of a row 0
ENTRY = np.dtype([("key", "<u8"), ("size", "<u8"), ("part", "<u4")])
AT_ONCE = 1 << 12  # entries that are held at a time
PASSED_OVER = 2  # raise it when other rows of jsonl are passed over than before


@dataclass
class Unit:
    """parts: what is read. field: of rows, which one holds the text. skip: whether rows that cannot
    be used are passed over. One of two says what is held out. held: the numbers of those entries,
    rising, or a .npy file of them, for they may be many. cut: so many characters, the first, are
    trained on, and the rest is not."""

    parts: list[Part]
    field: str
    skip: bool
    held: list[int] | Path | None = None
    cut: int | None = None

    @property
    def identity(self) -> list[list[Any]]:
        """What decides the text: not where the files are, nor when they were written."""
        return [
            [kind_of(part.path), part.name, part.digest, part.start, part.end, part.row, part.last]
            for part in self.parts
        ]

    @property
    def passed_over(self) -> int:
        """Which rows are passed over, as a part of keys; False where none are."""
        if self.skip and any(kind_of(part.path) == "jsonl" for part in self.parts):
            return PASSED_OVER
        return self.skip

    def held_numbers(self) -> np.ndarray:
        """(n,) the numbers of the entries that are held out, rising."""
        if isinstance(self.held, Path):
            return mapped(self.held)
        return np.array(self.held or [], np.int64)

    def content(self) -> Iterator[str]:
        """All that decides the documents and their sides, as JSON in pieces: its identity, the
        numbers that are held out (or null), cut, field, skip."""
        held: Iterable[str] = ["null"]
        if self.held is not None:
            blocks = blocks_of(self.held_numbers(), AT_ONCE)
            held = json_list([", ".join(map(str, block.tolist()))] for block in blocks)
        rest = [json_of(value) for value in (self.cut, self.field, self.passed_over)]
        return json_list([json_of(self.identity), held, *rest])


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


def survey(unit: Unit) -> Iterator[np.ndarray]:
    """The entries of a unit as arrays (n,) of dtype ENTRY, in the order of `entries`. Files that
    are one document are not read again."""
    found: list[tuple[int, int, int]] = []
    for index, part in enumerate(unit.parts):
        at_file(index)
        if kind_of(part.path) == "text":
            found.append((int(part.text[:16], 16), part.size if part.last else 0, index + 1))
            continue
        for piece in read(part, unit.field, [] if unit.skip else None):
            text = piece.text.encode()
            key = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
            found.append((key, len(text), 0))
            if len(found) == AT_ONCE:
                yield np.array(found, ENTRY)
                found = []
    yield np.array(found, ENTRY)


def divide(unit: Unit, skipped: list[str], remarks: Remarks | None = None) -> Iterator[SplitPiece]:
    """The pieces of a unit, each on its side; with `cut` a piece may be parted in two."""
    if unit.cut is not None:
        yield from _cut(entries(unit, skipped, remarks), unit.cut)
        return
    held = unit.held_numbers()
    at = 0  # the first of them that is not before the entry
    sides = [side_of(part.path) for part in unit.parts]
    for number, part, piece in entries(unit, skipped, remarks):
        while at < len(held) and held[at] < number:
            at += 1
        side = sides[part]  # of a corpus, which has decided
        if side is None:
            side = int(at < len(held) and held[at] == number)
        yield SplitPiece(side, part, piece)


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
    with writing(Path(table).parent), whole_file(Path(table)) as file:
        writer = NpyWriter(file, ENTRY)
        for some in survey(unit):
            writer.add(some)
        writer.close()


def files_of(job: dict[str, Any]) -> list[str]:
    """The paths that a job reads."""
    return [part.path for part in job["unit"].parts]


COUNT = Work(count_characters, "counting", files_of)
SURVEY = Work(write_survey, "counting", files_of)
