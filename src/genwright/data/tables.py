"""Rows of a table in a file, read strictly: what does not fit is named by its line, and nothing is
repaired by guessing.

1. Commas (.csv, RFC 4180): a cell may stand in quotes, and a quote inside such a cell is written
   twice. Tabs (.tsv): there are no quotes, a `"` is a letter like any other, and a cell holds
   neither tab nor line end.
2. Lines end with \\n or \\r\\n, or with \\r where the first one does. A line without a letter is no
   row. The first row names the columns, and every other row has as many cells. A space before the
   quote that opens a cell is a fault, for it makes the quotes letters.
3. After a row whose quotes are wrong nobody knows whether the next line stands inside a quoted
   cell. Both cases are followed, line by line, and reading goes on at the first line that certainly
   begins a row (`_follow`). The lines before it are one bad row.
4. A row is at most LONGEST characters: a quote that never closes cannot fill the memory.

`pyarrow.csv` was tried first: it takes an unclosed quote, with all rows that follow, for one cell.

Worker processes import this module: it must not import torch.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, NamedTuple

LONGEST = 1 << 25  # characters of a row of a table; bytes of a row of jsonl
_HEAD = 1000  # characters of the first line that are kept
_SPACED = re.compile(r'(?:^|,) +"', re.MULTILINE)
# names in quotes with another sign than a comma between them
_QUOTED_APART = re.compile(r'"[^"]*" *([;\t|]) *"')
_LOST = "\0"  # stands for a line that is longer than that; no text holds this character


class Fault(NamedTuple):
    """What is wrong with a row, to follow its place, and a remedy. last: the last line that is
    passed over with the row, or 0."""

    what: str
    remedy: str
    last: int = 0

    @property
    def passed_over(self) -> str:
        """What is wrong, and what else is lost where the row is left out."""
        return f"{self.what} (passed over to line {self.last:,})" if self.last else self.what


SPACE = Fault("has a space before the quote that opens a cell", "take the space out")
STRAY = Fault(
    "has a carriage return outside of quotes, and other lines end with a line feed",
    "put its cell in quotes",
)


class Row(NamedTuple):
    """number: from 0, the names of the columns apart; line: its first line in the file, from 1."""

    number: int
    line: int
    cells: list[str] | Fault


class BadTable(Exception):
    """Why a file cannot be read as a table, to follow its name, and a remedy."""

    def __init__(self, what: str, remedy: str):
        self.what = what
        self.remedy = remedy
        super().__init__(what)


class _TooLong(Exception):
    """A row is longer than LONGEST."""


def _not_commas(sign: str) -> BadTable:
    """Of a .csv whose cells another sign separates."""
    if sign == "\t":
        return BadTable(
            "has a single column: its cells are separated by tabs",
            "give it the suffix .tsv, or save it with commas between the cells",
        )
    return BadTable(
        f"has a single column: its cells are separated by {sign}",
        "save it with commas between the cells (or, if it is one column, its name in quotes)",
    )


class Table:
    """`columns`, and the rows when it is iterated. chunks: the file, UTF-8. Raises BadTable where
    the first row names no columns."""

    def __init__(self, chunks: Iterable[bytes], tabs: bool = False):
        csv.field_size_limit(LONGEST + 1)
        self._lines = _Lines(chunks)
        self._tabs = tabs
        if tabs:
            self._reader = csv.reader(
                self._lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True
            )
        else:
            self._reader = csv.reader(self._lines, strict=True)
        header = next(self._records(), None)
        if header is None:
            raise BadTable(
                "is empty: no line names the columns",
                "give the table a first line with the names of its columns",
            )
        if isinstance(header.cells, Fault):
            apart = None if tabs else _QUOTED_APART.match(self._lines.head)
            if apart:
                raise _not_commas(apart[1])
            raise BadTable(f"line {header.line} {header.cells.what}", header.cells.remedy)
        self.columns: list[str] = header.cells
        self._check_separator()

    def _check_separator(self) -> None:
        """Raises BadTable where the first line names a single column, and holds outside of quotes a
        sign that other programs put between cells."""
        (line, *_) = self._lines.row
        if self._tabs or len(self.columns) > 1 or line.startswith('"'):
            return
        for sign in ";\t":
            if sign in line:
                raise _not_commas(sign)

    def __iter__(self) -> Iterator[Row]:
        for number, row in enumerate(self._records()):
            if not isinstance(row.cells, Fault) and len(row.cells) != len(self.columns):
                row = self._bad(row.line, self._misfit(len(row.cells)))
            yield row._replace(number=number)

    def _misfit(self, count: int) -> Fault:
        columns = counted(len(self.columns), "column")
        what = f"has {counted(count, 'cell')}, and the first line names {columns}"
        if count < len(self.columns):
            return Fault(what, "give every row a cell for each column")
        if self._tabs:
            return Fault(what, "a cell of a .tsv cannot hold a tab: save the table as csv or jsonl")
        return Fault(what, "put a cell that holds a comma in quotes")

    def _records(self) -> Iterator[Row]:
        """Rows as they stand, without blank lines."""
        lines = self._lines
        while True:
            lines.begin()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error:
                yield self._recovered(self._wrong_quote())
                continue
            except _TooLong:
                yield self._recovered(self._too_long())
                continue
            if lines.stray_return:
                yield self._torn()
                continue
            doubt = _Doubt.NONE if self._tabs else _doubt(lines.row, cells)
            if doubt is _Doubt.END:
                yield self._recovered(SPACE)
            elif doubt is _Doubt.CELL:
                yield Row(0, lines.first, SPACE)
            elif cells:
                yield Row(0, lines.first, cells)

    def _torn(self) -> Row:
        """The bad row that a carriage return outside of quotes has torn: all pieces up to the end
        of its line."""
        lines = self._lines
        first = lines.first
        while lines.stray_return:
            lines.begin()
            try:
                next(self._reader)
            except StopIteration:
                break
            except (csv.Error, _TooLong):
                self._recovered(STRAY)
                break
        return self._bad(first, STRAY)

    def _wrong_quote(self) -> Fault:
        lines = self._lines
        if lines.ended:
            what = "opens a quote that never closes"
        elif lines.number > lines.first:
            what = (
                "opens a quote that is not closed, or is followed by text where it closes in line"
                f" {lines.number}"
            )
        else:
            what = "has text after the quote that closes a cell"
        return Fault(what, 'close the quote; a quote inside a quoted cell is written twice, as ""')

    def _too_long(self) -> Fault:
        if self._tabs or self._lines.number == self._lines.first:
            return Fault(f"is longer than {LONGEST:,} characters", "split the row")
        return Fault(
            f"opens a quote that does not close within {LONGEST:,} characters",
            "close the quote, or split the row",
        )

    def _recovered(self, fault: Fault) -> Row:
        """The bad row that began last, with all lines up to the one where reading can go on."""
        lines = self._lines
        first = lines.first
        lines.rewind()
        states = {True, False}
        while not self._tabs and states != {False}:
            lines.begin()
            try:
                line = next(lines)
            except StopIteration:
                break
            except _TooLong:
                states = {True, False}
                continue
            states = _follow(states, line)
            if not states:
                lines.push_back(line)
                break
        return self._bad(first, fault)

    def _bad(self, first: int, fault: Fault) -> Row:
        """The bad row from its first line to the one that was read last."""
        last = self._lines.number
        if last > first:
            fault = fault._replace(last=last)
        return Row(0, first, fault)


class _Doubt(Enum):
    """What is unknown of a row: nothing, what a cell holds, or also where the row ends."""

    NONE = 0
    CELL = 1
    END = 2


def _doubt(row: list[str], cells: list[str]) -> _Doubt:
    """What is unknown where a space stands before the quote that seems to open a cell, as in
    `1, "a"`. row: its lines; cells: as they were read, with the space and the quotes."""
    text = "".join(row)
    if not _SPACED.search(text):
        return _Doubt.NONE
    lines = io.StringIO(text, newline="")
    try:
        without = next(csv.reader(lines, skipinitialspace=True, strict=True))
    except csv.Error:
        return _Doubt.END
    same = without == [cell.lstrip(" ") for cell in cells]
    return _Doubt.NONE if same else _Doubt.CELL


def _follow(states: set[bool], line: str) -> set[bool]:
    """After a wrong quote: whether the next line may begin inside a quoted cell, given whether this
    one may. Empty where this line cannot be the inside of a cell, so that it begins a row."""
    # where nothing is possible there was one more wrong quote
    ends = _ends(states, line) or _ends({True, False}, line)
    if set(ends) == {False}:
        return set()
    return set(ends.values()) or {True, False}


def _ends(states: set[bool], line: str) -> dict[bool, bool]:
    """Of the ways a line may begin those that are possible -> whether a quoted cell is open after
    it."""
    ends = {}
    for inside in states:
        end = _inside_after(line, inside)
        if end is not None:
            ends[inside] = end
    return ends


def _inside_after(line: str, inside: bool) -> bool | None:
    """Whether a cell is still open after a line that begins inside, or outside, of quotes; None
    where no such line can be."""
    if '"' not in line:
        return inside
    goes_on = False

    def lines() -> Iterator[str]:
        nonlocal goes_on
        yield '"' + line if inside else line
        goes_on = True  # one more line is asked for

    try:
        next(csv.reader(lines(), strict=True), None)
    except csv.Error:
        return True if goes_on else None
    return False


class _Lines:
    """The lines of a file, with their ends, for csv.reader. first, number: of the current row's
    first and last line, from 1."""

    def __init__(self, chunks: Iterable[bytes]):
        stream = io.BufferedReader(_Stream(chunks), io.DEFAULT_BUFFER_SIZE)
        self._file = io.TextIOWrapper(stream, "utf-8-sig", newline="")
        self._held: deque[str] = deque()  # lines that are given out once more
        self.row: list[str] = []  # the lines of the current row
        self.head = ""  # how the file begins
        self._size = 0
        self._returns: bool | None = None  # whether lines end with \\r alone, as the first one does
        self.number = 0
        self.first = 0
        self.ended = False

    def begin(self) -> None:
        """Says that a row begins here."""
        self.row.clear()
        self._size = 0
        self.first = self.number + 1
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._held.popleft() if self._held else self._file.readline(LONGEST + 1)
        if not line:
            self.ended = True
            raise StopIteration
        if self._returns is None:
            self.head = line[:_HEAD]
            self._returns = line.endswith("\r")
        self.number += 1
        self._size += len(line)
        if len(line) > LONGEST:
            self._skip_rest(line)
            line = _LOST
        self.row.append(line)
        if self._size > LONGEST or line == _LOST:
            raise _TooLong
        return line

    @property
    def stray_return(self) -> bool:
        """Whether the current row ends with a carriage return alone, and the first one does not."""
        return bool(self.row) and self.row[-1].endswith("\r") and not self._returns

    def _skip_rest(self, line: str) -> None:
        """Passes over the rest of a line of which a part was read."""
        while line and not line.endswith(("\n", "\r")):
            line = self._file.readline(LONGEST + 1)

    def push_back(self, line: str) -> None:
        """Gives a line out once more."""
        self._held.appendleft(line)
        self.number -= 1

    def rewind(self) -> None:
        """Goes back to the end of the current row's first line."""
        self._held.extendleft(reversed(self.row[1:]))
        self.number = self.first


class _Stream(io.RawIOBase):
    """Chunks as a file that is read."""

    def __init__(self, chunks: Iterable[bytes]):
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See io.RawIOBase."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def counted(count: int, word: str) -> str:
    """1 cell, 2 cells."""
    return f"{count} {word}" if count == 1 else f"{count:,} {word}s"
