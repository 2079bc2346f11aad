"""Rows of files -> the text of one field, each with its place, or with what is wrong with it.

1. A row of .csv or .tsv is checked by `genwright.data.tables`.
2. A row of jsonl is an object with the field, or a string; it must be I-JSON (RFC 7493). In fields
   that nobody asks for names may stand twice, and NaN may stand, as other programs write it.
3. Parquet is read a page at a time, with its checksums where it has some: what is damaged costs the
   rest of its row group.

Worker processes import this module: it must not import torch.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from genwright.data.tables import LONGEST, BadTable, Fault, Table

_LISTED = 200  # characters of a list of names
_READ = 1 << 20  # bytes of a Parquet file that are read at once
_ROWS = 1024  # rows of it that are decoded at once, or fewer where they are long
_DECODED = 8 << 20  # bytes of it that are decoded at once, about


class Record(NamedTuple):
    """A row as it stands in a file. number: from 0; place: for a person; content: its text (None:
    it has none), or what is wrong."""

    number: int
    place: str
    content: str | None | Fault


class BadRow(Exception):
    """What is wrong with one row, as its only argument: a Fault."""

    def __init__(self, what: str, remedy: str):
        super().__init__(Fault(what, remedy))

    @property
    def fault(self) -> Fault:
        """What is wrong."""
        return self.args[0]


def _place(line: int, number: int) -> str:
    return f"line {line:,} (row {number:,} from 0)"


def of_table(table: Table, field: str) -> Iterator[Record]:
    """The rows of a .csv or .tsv file. Raises BadTable where it has no such column."""
    column = _column(field, table.columns)
    for number, line, cells in table:
        content = cells if isinstance(cells, Fault) else cells[column]
        yield Record(number, _place(line, number), content)


def _column(field: str, columns: list[str]) -> int:
    """Which column the text is in. Raises BadTable."""
    if field not in columns:
        raise BadTable(
            f"has no column {field!r} (it has {listed(columns)})", "set data.field to one of them"
        )
    if columns.count(field) > 1:
        raise BadTable(
            f"has {columns.count(field)} columns {field!r}", "give each column a name of its own"
        )
    return columns.index(field)


def of_lines(
    lines: Iterable[bytes], field: str, first: int = 0, checked: bool = True
) -> Iterator[Record]:
    """The rows of jsonl. first: the number of the first line. checked: see `json_rows`."""
    for number, row in json_rows(lines, first, checked, field):
        content = row if isinstance(row, Fault) else _text_of(row, field)
        yield Record(number, _place(number + 1, number), content)


def json_rows(
    lines: Iterable[bytes], first: int = 0, checked: bool = True, field: str = ""
) -> Iterator[tuple[int, Any]]:
    """(number of a line, what it holds: a value of JSON, or the Fault that says why it is none)
    without blank lines. checked: the lines are known to be UTF-8, and UnicodeDecodeError is raised
    where they no longer are; otherwise such a line is a Fault."""
    for number, line in enumerate(lines, start=first):
        if not line.strip():
            continue
        if len(line) > LONGEST:
            yield number, Fault(f"is longer than {LONGEST:,} bytes", "split the row")
            continue
        try:
            value = of_json(line, field)
        except BadRow as error:
            value = error.fault
        except UnicodeDecodeError as error:
            if checked:
                raise
            byte = line[error.start]
            value = Fault(f"is not UTF-8: byte 0x{byte:02x} at its byte {error.start:,}", "mend it")
        yield number, value


def _text_of(row: Any, field: str) -> str | None | Fault:
    """The text of a row of jsonl; None where it has none."""
    if isinstance(row, dict) and field in row:
        row = row[field]
        if row is None:
            return None
        if not isinstance(row, str):
            return Fault(f"holds no text in field {field!r}", "set data.field")
    if isinstance(row, dict):
        return Fault(f"has no field {field!r} (it has {listed(row)})", "set data.field")
    if not isinstance(row, str):
        return Fault("is neither an object nor a string", "mend the row")
    try:
        row.encode()
    except UnicodeEncodeError:  # an escape of JSON can write it
        return Fault("holds half of a surrogate pair, which is no text", "mend the row")
    return row


def of_parquet(
    path: str, groups: Iterable[int] | None, field: str, first: int = 0
) -> Iterator[Record]:
    """The rows of some row groups of a Parquet file (None: of all); `first` is the number of the
    first row. Raises BadTable where it cannot be opened or has no such column."""
    import pyarrow.parquet

    with open(path, "rb") as file:
        try:
            table = pyarrow.parquet.ParquetFile(
                file,
                page_checksum_verification=True,
                # a page at a time: row groups may have hundreds of megabytes
                pre_buffer=False,
                buffer_size=_READ,
            )
            names = table.schema_arrow.names
        except Exception as error:  # pyarrow raises errors of many kinds for damaged files
            raise BadTable(
                f"cannot be read ({first_line(error)})", "write the file again"
            ) from None
        _column(field, names)
        number = first
        if groups is None:
            groups = range(table.metadata.num_row_groups)
        for group in groups:
            rows = table.metadata.row_group(group).num_rows
            yield from _group_rows(table, group, field, number)
            number += rows


def _group_rows(table: Any, group: int, field: str, first: int) -> Iterator[Record]:
    """The rows of one row group; `first` is the number of the first. What is damaged is one bad row
    that says up to where."""
    number = first
    facts = table.metadata.row_group(group)
    end = first + facts.num_rows
    place = f"row group {group}"  # of what is damaged
    fitting = _DECODED * facts.num_rows // max(facts.total_byte_size, 1)  # rows
    rows = min(max(fitting, 1), _ROWS)
    try:
        for batch in table.iter_batches(batch_size=rows, row_groups=[group], columns=[field]):
            for value in batch.column(0):
                yield Record(number, f"row {number:,} (from 0)", _of_arrow(value, field))
                number += 1
    except Exception as error:  # pyarrow raises errors of many kinds for damaged files
        yield Record(number, place, _damaged(number, end, first_line(error)))
        return
    if number != end:
        why = f"it ends after {number - first:,} rows of {end - first:,}"
        yield Record(number, place, _damaged(number, end, why))


def _damaged(number: int, end: int, why: str) -> Fault:
    return Fault(
        f"cannot be read from row {number:,} to {end - 1:,} (from 0): {why}", "write the file again"
    )


def _of_arrow(value: Any, field: str) -> str | None | Fault:
    try:
        content = value.as_py()
    except UnicodeDecodeError:
        return Fault("is not UTF-8", "mend the row")
    if content is None or isinstance(content, str):
        return content
    return Fault(f"holds no text in {field!r}", "set data.field")


def first_line(error: Exception) -> str:
    """What an error says, its first line; its name where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def listed(names: Iterable[str]) -> str:
    """Names of columns or fields, for a person: the first ones, cut where they are long."""
    text = ", ".join(names) or "none"
    if len(text) > _LISTED:
        return text[:_LISTED] + "..."
    return text


def of_json(line: bytes, field: str = "") -> Any:
    """What one line of jsonl holds. Raises BadRow for what is no I-JSON (RFC 7493): among it names
    that stand twice in an object, NaN and Infinity, numbers of thousands of digits, and brackets
    that are nested too deep to be read. field: of an object the only field that is used: the first
    two are then faults there alone."""
    text = line.decode()
    try:
        return _parsed(text, _object, _constant)
    except BadRow:
        if not field:
            raise
        value = _parsed(text, _Pairs, _Constant)
        if not isinstance(value, _Pairs):
            raise
        return _with_field(value, field)


def _parsed(
    text: str, of_pairs: Callable[[list[tuple[str, Any]]], Any], constant: Callable[[str], Any]
) -> Any:
    """The value of a text of JSON. of_pairs: what an object becomes; constant: what NaN and the
    like become. Raises BadRow."""
    try:
        return json.loads(text, object_pairs_hook=of_pairs, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise BadRow(
            f"is not JSON ({error.msg}, at character {error.pos + 1})", "mend the row"
        ) from None
    except RecursionError:
        raise BadRow("is nested too deep to be read", "mend the row") from None
    except ValueError:  # of int()
        limit = sys.get_int_max_str_digits()
        raise BadRow(
            f"holds a number of more than {limit:,} digits", "write the number as a string"
        ) from None


class _Pairs(list[tuple[str, Any]]):
    """An object as it is written: a name may stand several times."""


class _Constant(str):
    """NaN, Infinity or -Infinity."""


def _with_field(pairs: _Pairs, field: str) -> dict[str, Any]:
    """An object whose other fields are of no interest. Raises BadRow for what is wrong with this
    one."""
    own = _Pairs((name, value) for name, value in pairs if name == field)
    found = _object(own)  # raises where there are two
    if isinstance(found.get(field), _Constant):
        _constant(found[field])
    return dict(pairs)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise BadRow(f"has the field {twice!r} twice", "leave one of them out")
    return found


def _constant(name: str) -> Any:
    raise BadRow(f"is not JSON ({name} is no number of JSON)", "write null")
