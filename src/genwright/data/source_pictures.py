"""The user's own pictures: files, folders and globs, and what is known of them: a table of attributes, or a class per subfolder.

attributes.csv: a column "file" (or the first one) names the picture, relative to the folder; every other column is an attribute, several
values are parted by |. attributes.jsonl: an object a line, alike, where several values are a list. What is empty is not known.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genwright.data import readers
from genwright.data.pictures import SUFFIXES
from genwright.data.rows import json_rows
from genwright.data.source_files import collect
from genwright.data.tables import BadTable, Fault
from genwright.errors import GenwrightError

Known = Mapping[str, tuple[str, ...]]  # attribute -> its values of one picture
TABLES = ("attributes.csv", "attributes.jsonl")
PARTS = {"train", "training", "val", "valid", "validation", "test"}
UNREAD = frozenset((".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".raw", ".cr2", ".nef", ".dng", ".svg"))
_FILE = ("file", "filename", "file_name", "path", "image")


class Item(NamedTuple):
    """One picture. group: pictures of one group stay on one side of the split."""

    name: str
    group: str
    known: Known = {}  # noqa: RUF012 - never written to
    path: str = ""


def find(paths: tuple[str, ...], table: str | None, skip: bool) -> tuple[list[Item], list[str]]:
    """(pictures sorted by name, what was passed over). Raises GenwrightError."""
    if not paths:
        raise GenwrightError("data.path is not set", "give a folder of pictures, as in data.path=pictures/")
    paths = tuple(map(os.path.expanduser, paths))
    found = collect(paths, lambda path: Path(path).suffix.lower() in SUFFIXES)
    files = sorted(file for file in found if os.path.basename(file.path) not in TABLES)
    if not files:
        raise GenwrightError(f"there is no picture in {', '.join(paths)}", f"give a path that holds {', '.join(sorted(SUFFIXES))} files")
    alone = paths[0] if len(paths) == 1 and os.path.isdir(paths[0]) else None
    table = table or next(filter(os.path.isfile, (os.path.join(alone, name) for name in TABLES)), None) if alone else table
    known: dict[str, Known] = {}
    problems: list[str] = []
    if table:
        known = read_table(os.path.expanduser(table), problems if skip else None)
        missing = sorted(set(known) - {file.name for file in files})
        problems += [f"{os.path.basename(table)} names {name}, which is not there" for name in missing]
    elif classes := {file.name.split("/")[0] for file in files if "/" in file.name}:
        folders = {entry.name for entry in os.scandir(alone) if entry.is_dir() and entry.name[0] != "."} if alone else set()
        if len(classes | folders) > 1:
            known = {file.name: {"class": (file.name.split("/")[0],)} for file in files if "/" in file.name}
        problems = [f"the class {name} is empty: its folder holds no picture" for name in sorted(folders - classes)]
        if classes | folders <= PARTS and any(file.name.count("/") > 1 for file in files):
            what = f"{alone or paths[0]} holds {', '.join(sorted(classes))}, which are parts of a data set and no classes"
            raise GenwrightError(what, "give one of them as data.path; its subfolders are the classes then")
    known_not = lambda path: Path(path).suffix.lower() in UNREAD  # noqa: E731
    unread = sorted(file.name for file in collect(paths, known_not) if known_not(file.path))
    problems += [f"{name} is of a format that is not read: save it as png or jpeg" for name in unread]
    if problems and not skip:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise GenwrightError(problems[0] + more, "put it right, or set data.on_bad_file=skip")
    return [Item(file.name, os.path.splitext(file.name)[0], known.get(file.name, {}), file.path) for file in files], problems


def read_table(path: str, skipped: list[str] | None = None) -> dict[str, Known]:
    """picture's name -> what is known of it. A row that cannot be used raises GenwrightError, or is added to `skipped`."""
    if not os.path.exists(path):
        raise GenwrightError(f"data.attributes: {path} does not exist", "give a csv or jsonl file")
    if (kind := readers.kind_of(path)) == "parquet":
        raise GenwrightError(f"{path} is parquet, which is not read as a table of attributes", "save it as csv or jsonl")
    if bad := readers.scan(path)["bad"]:
        raise GenwrightError(f"{path} {bad}", "save it as UTF-8 csv, or as jsonl: an object a line")
    out: dict[str, Known] = {}
    try:
        for place, row in (_json_rows if kind == "jsonl" else _csv_rows)(path):
            fault = row if isinstance(row, Fault) else _learn(out, row)
            if fault is None:
                continue
            if skipped is None:
                raise GenwrightError(f"{path} {place} {fault.what}", f"{fault.remedy}, or set data.on_bad_file=skip")
            skipped.append(f"{os.path.basename(path)} {place} {fault.passed_over}")
    except BadTable as error:
        raise GenwrightError(f"{path} {error.what}", error.remedy) from None
    return out


def _learn(known: dict[str, Known], row: dict[str, Any]) -> Fault | None:
    """Adds what a row says of its picture; or says what is wrong with the row."""
    column = next((name for name in _FILE if name in row), next(iter(row)))
    if not isinstance(row[column], str) or not row[column]:
        return Fault(f"names no picture in {column!r}", "name it, relative to the folder")
    name = Path(row[column]).as_posix()
    if name in known:
        return Fault(f"names {name} a second time", "put all that is known of a picture in one row")
    values: dict[str, tuple[str, ...]] = {}
    for attribute, value in row.items():
        if attribute == column:
            continue
        if isinstance(value, dict) or isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            return Fault(f"holds objects or nested lists in {attribute!r}", "give a value, or a list of values")
        if found := _values(value):
            values[attribute] = found
    try:
        json.dumps([name, values], ensure_ascii=False).encode()
    except UnicodeEncodeError:  # an escape of JSON can write it
        return Fault("holds half of a surrogate pair, which is no text", "mend the row")
    known[name] = values
    return None


def _csv_rows(path: str) -> Iterator[tuple[str, dict[str, Any] | Fault]]:
    table = readers.open_table(path)
    if "" in table.columns:
        raise BadTable(f"has no name for column {table.columns.index('') + 1}", "name each column in the first line")
    twice = [name for name, count in Counter(table.columns).items() if count > 1]
    if twice:
        raise BadTable(f"has several columns {twice[0]!r}", "give each column a name of its own")
    for row in table:
        cells = row.cells
        yield f"line {row.line:,}", cells if isinstance(cells, Fault) else dict(zip(table.columns, cells, strict=True))


def _json_rows(path: str) -> Iterator[tuple[str, dict[str, Any] | Fault]]:
    for number, row in json_rows(readers.lines_of(path)):
        place = f"line {number + 1:,}"
        if isinstance(row, Fault) or (isinstance(row, dict) and row):
            yield place, row
        else:
            yield place, Fault("is no object with fields", "write an object a line")


def _values(value) -> tuple[str, ...]:
    several = value if isinstance(value, list) else [] if value is None else str(value).split("|")
    return tuple(dict.fromkeys(text for item in several if (text := str(item).strip())))
