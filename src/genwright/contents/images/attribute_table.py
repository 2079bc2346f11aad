"""A table of the attributes of pictures.

attributes.csv: a column "file" (or the first one) names the picture, relative to the folder; every
other column is an attribute, several values are parted by |; a column "split" of train, val and
test says what is held out. attributes.jsonl: an object a line, alike, where several values are a
list. What is empty is not known.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.data import file_parts, readers
from genwright.data.rows import json_rows
from genwright.data.tables import BadTable, Fault

Known = Mapping[str, tuple[str, ...]]  # attribute -> its values of one picture
Row = dict[str, Any] | Fault
TABLES = ("attributes.csv", "attributes.jsonl")
_FILE = ("file", "filename", "file_name", "path", "image")


def read_table(path: str, skipped: list[str] | None = None) -> dict[str, Known]:
    """picture's name -> what is known of it. A table or row that cannot be used raises
    GenwrightError, or is added to `skipped`."""
    if not os.path.exists(path):
        raise GenwrightError(f"data.attributes: {path} does not exist", "give a csv or jsonl file")
    known: dict[str, Known] = {}
    try:
        for place, row in _rows(path):
            fault = row if isinstance(row, Fault) else _learn(known, row)
            if fault:
                _refuse(path, f"{place} ", fault, skipped)
    except BadTable as error:
        _refuse(path, "", Fault(error.what, error.remedy), skipped)
    return known


def _rows(path: str) -> Iterator[tuple[str, Row]]:
    """(place, row) of a table. Raises BadTable."""
    kind = readers.kind_of(path)
    if kind == "parquet":
        raise BadTable(
            "is parquet, which is not read as a table of attributes", "save it as csv or jsonl"
        )
    if bad := file_parts.scan(path)["bad"]:
        raise BadTable(bad, "save it as UTF-8 csv, or as jsonl: an object a line")
    if kind == "jsonl":
        yield from _json_rows(path)
    else:
        yield from _csv_rows(path)


def _refuse(path: str, place: str, fault: Fault, skipped: list[str] | None) -> None:
    if skipped is None:
        raise GenwrightError(
            f"{path} {place}{fault.what}", f"{fault.remedy}, or set data.on_bad_file=skip"
        )
    skipped.append(f"{os.path.basename(path)} {place}{fault.passed_over}")


def _learn(known: dict[str, Known], row: dict[str, Any]) -> Fault | None:
    """Adds what a row says of its picture; or says what is wrong with the row."""
    column = _file_column(row)
    if not isinstance(row[column], str) or not row[column]:
        return Fault(f"names no picture in {column!r}", "name it, relative to the folder")
    name = Path(row[column]).as_posix()
    if name in known:
        return Fault(f"names {name} a second time", "put all that is known of a picture in one row")
    values: dict[str, tuple[str, ...]] = {}
    for attribute, value in row.items():
        if attribute == column:
            continue
        if _is_nested(value):
            return Fault(
                f"holds objects or nested lists in {attribute!r}",
                "give a value, or a list of values",
            )
        found = _values(value)
        if found:
            values[attribute] = found
    try:
        json.dumps([name, values], ensure_ascii=False).encode()
    except UnicodeEncodeError:  # an escape of JSON can write it
        return Fault("holds half of a surrogate pair, which is no text", "mend the row")
    known[name] = values
    return None


def _file_column(row: Mapping[str, Any]) -> str:
    """The column that names the picture."""
    for name in _FILE:
        if name in row:
            return name
    return next(iter(row))


def _is_nested(value: object) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, dict | list) for item in value)
    return isinstance(value, dict)


def _csv_rows(path: str) -> Iterator[tuple[str, Row]]:
    table = readers.open_table(path)
    if "" in table.columns:
        raise BadTable(
            f"has no name for column {table.columns.index('') + 1}",
            "name each column in the first line",
        )
    twice = [name for name, count in Counter(table.columns).items() if count > 1]
    if twice:
        raise BadTable(f"has several columns {twice[0]!r}", "give each column a name of its own")
    for row in table:
        place = f"line {row.line:,}"
        if isinstance(row.cells, Fault):
            yield place, row.cells
        else:
            yield place, dict(zip(table.columns, row.cells, strict=True))


def _json_rows(path: str) -> Iterator[tuple[str, Row]]:
    for number, row in json_rows(readers.lines_of(path)):
        place = f"line {number + 1:,}"
        if isinstance(row, Fault) or (isinstance(row, dict) and row):
            yield place, row
        else:
            yield place, Fault("is no object with fields", "write an object a line")


def _values(value: object) -> tuple[str, ...]:
    """Of one attribute, each once; none where nothing is known."""
    if value is None:
        return ()
    several = value if isinstance(value, list) else str(value).split("|")
    texts = [str(item).strip() for item in several]
    return tuple(dict.fromkeys(text for text in texts if text))
