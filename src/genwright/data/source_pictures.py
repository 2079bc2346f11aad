"""The user's own pictures: files, folders and globs, and what is known of them: a table of attributes, or a class per subfolder.

attributes.csv: a column "file" (or the first one) names the picture, relative to the folder; every other column is an attribute, several
values are parted by |. attributes.jsonl: an object a line, alike, where several values are a list. What is empty is not known.
"""

import csv
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from genwright.data.pictures import SUFFIXES
from genwright.data.source_files import collect
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
        known = read_table(os.path.expanduser(table))
        missing = sorted(set(known) - {file.name for file in files})
        problems = [f"{os.path.basename(table)} names {name}, which is not there" for name in missing]
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


def read_table(path: str) -> dict[str, Known]:
    """picture's name -> what is known of it. Raises GenwrightError that names the row."""
    if not os.path.isfile(path):
        raise GenwrightError(f"data.attributes: {path} does not exist", "give a csv or jsonl file")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(map(json.loads, filter(str.strip, file))) if path.endswith(".jsonl") else list(csv.DictReader(file))
    except (ValueError, csv.Error) as error:
        raise GenwrightError(f"{path} cannot be read: {error}", "save it as UTF-8 csv, or as jsonl: an object a line") from None
    out: dict[str, Known] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or None in row or not row:
            raise GenwrightError(f"row {number} of {path} does not fit its columns", "give every row the columns of the first line")
        column = next((name for name in _FILE if name in row), next(iter(row)))
        name = Path(str(row[column])).as_posix()
        if name in out:
            raise GenwrightError(f"{path} names {name} twice", "put all that is known of a picture in one row")
        out[name] = {attribute: values for attribute, value in row.items() if attribute != column and (values := _values(value))}
    return out


def _values(value) -> tuple[str, ...]:
    several = value if isinstance(value, list) else [] if value is None else str(value).split("|")
    return tuple(dict.fromkeys(text for item in several if (text := str(item).strip())))
