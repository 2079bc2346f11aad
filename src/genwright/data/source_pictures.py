"""The user's own pictures: files, folders and globs, and what is known of them: a table of attributes, or a class per subfolder.

attributes.csv: a column "file" (or the first one) names the picture, relative to the folder; every other column is an attribute, several
values are parted by |. attributes.jsonl: an object a line, alike, where several values are a list. What is empty is not known.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genwright.data.pictures import SUFFIXES
from genwright.data.source_files import Files, SourceFile
from genwright.errors import GenwrightError

Known = dict[str, tuple[str, ...]]  # attribute -> its values of one picture
TABLES = ("attributes.csv", "attributes.jsonl")
_FILE = ("file", "filename", "file_name", "path", "image")


class Item(NamedTuple):
    """One picture. group: pictures of one group stay on one side of the split."""

    name: str
    path: str
    group: str
    known: Known


def find(paths: tuple[str, ...], table: str | None, skip: bool) -> tuple[list[Item], list[str]]:
    """(pictures sorted by name, what was passed over). Raises GenwrightError."""
    files: dict[str, SourceFile] = {}
    problems: list[str] = []
    for path in map(os.path.expanduser, paths):
        if os.path.isdir(path):
            found = [*_walk(path)]
            if len(paths) > 1:  # two folders may hold files of one name, and each is a class
                found = [SourceFile(file.path, f"{os.path.basename(os.path.abspath(path))}/{file.name}") for file in found]
        else:
            found = [file for file in Files().find((path,), "", Path()) if os.path.basename(file.path) not in TABLES]
        files |= {os.path.realpath(file.path): file for file in found}
    if not files:
        if not paths:
            raise GenwrightError("data.path is not set", "give a folder of pictures, as in data.path=pictures/")
        raise GenwrightError(f"there is no picture in {', '.join(paths)}", f"give a path that holds {', '.join(sorted(SUFFIXES))} files")
    folders = [path for path in map(os.path.expanduser, paths) if os.path.isdir(path)]
    beside = [os.path.join(folder, name) for folder in folders[:1] if len(paths) == 1 for name in TABLES]
    table = os.path.expanduser(table) if table else next(filter(os.path.isfile, beside), None)
    known = read_table(table) if table else {}
    names = sorted(files.values(), key=lambda file: (file.name, file.path))
    if table:
        there = {file.name for file in names}
        problems += [f"{os.path.basename(table)} names {name}, which is not there" for name in known if name not in there]
    elif len(classes := {name.split("/")[0] for _, name in names if "/" in name}) > 1:
        known = {name: {"class": (name.split("/")[0],)} for _, name in names if "/" in name}
        if len(paths) == 1:
            empty = sorted({entry.name for entry in os.scandir(folders[0]) if entry.is_dir() and entry.name[0] != "."} - classes)
            problems += [f"the class {name} is empty: its folder holds no picture" for name in empty]
    if problems and not skip:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise GenwrightError(problems[0] + more, "put it right, or set data.on_bad_file=skip")
    return [Item(file.name, file.path, os.path.splitext(file.name)[0], known.get(file.name, {})) for file in names], problems


def _walk(folder: str) -> Iterator[SourceFile]:
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:
                path = os.path.join(where, name)
                yield SourceFile(path, Path(path).relative_to(folder).as_posix())


def read_table(path: str) -> dict[str, Known]:
    """picture's name -> what is known of it. Raises GenwrightError that names the row."""
    if not os.path.isfile(path):
        raise GenwrightError(f"data.attributes: {path} does not exist", "give a csv or jsonl file")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [json.loads(line) for line in file if line.strip()] if path.endswith(".jsonl") else list(csv.DictReader(file))
    except (ValueError, csv.Error) as error:
        raise GenwrightError(f"{path} cannot be read: {error}", "save it as UTF-8 csv, or as jsonl: an object a line") from None
    out: dict[str, Known] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or None in row or not row:
            raise GenwrightError(f"row {number} of {path} has no such columns as the first line", "give every row the same columns")
        column = next((name for name in _FILE if name in row), next(iter(row)))
        name = Path(str(row[column])).as_posix()
        if name in out:
            raise GenwrightError(f"{path} names {name} twice", "put all that is known of a picture in one row")
        out[name] = {attribute: values for attribute, value in row.items() if attribute != column and (values := _values(value))}
    return out


def _values(value) -> tuple[str, ...]:
    several = value if isinstance(value, list) else [] if value is None else str(value).split("|")
    return tuple(dict.fromkeys(text for item in several if (text := str(item).strip())))
