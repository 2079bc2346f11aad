"""The user's own pictures: files, folders and globs, and what is known of them: a table of
attributes, or a class per subfolder.

attributes.csv: a column "file" (or the first one) names the picture, relative to the folder; every
other column is an attribute, several values are parted by |; a column "split" of train, val and
test says what is held out. attributes.jsonl: an object a line, alike, where several values are a
list. What is empty is not known.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from genwright.contents.images.picture_folders import Mixed, Place, held_note, places_of
from genwright.contents.images.pictures import SUFFIXES, form_of
from genwright.core.errors import GenwrightError, named
from genwright.data import readers
from genwright.data.parts import TRAIN, part_of_folder
from genwright.data.rows import json_rows
from genwright.data.source_files import BINARY, collect, holds, own_output
from genwright.data.tables import BadTable, Fault

Known = Mapping[str, tuple[str, ...]]  # attribute -> its values of one picture
TABLES = ("attributes.csv", "attributes.jsonl")
_UNREAD_SUFFIXES = """
    .heic .heif .avif .avifs .jxl .jp2 .j2k .jpf .jpx .jpc .j2c .jxr .wdp .hdp .bpg .flif .qoi .pcx .psd .psb .xcf .kra .ora .ai .eps
    .raw .cr2 .cr3 .crw .nef .nrw .arw .srf .orf .rw2 .raf .dng .pef .srw .x3f .svg .svgz .emf .wmf .ico .icns .cur .sgi .xbm .xpm
    .exr .hdr .pfm .pam .dds .fits .dcm .nii .cin .dpx .ras .mng .jng
"""
UNREAD = frozenset(_UNREAD_SUFFIXES.split())
_CONTAINER_SUFFIXES = ".npz .npy .zip .tar .gz .tgz .bz2 .xz .zst .7z .rar .h5 .hdf5 .mat .parquet .tfrecord .mdb .pkl .pt"
_CONTAINERS = frozenset(_CONTAINER_SUFFIXES.split())
_TABULAR = frozenset((".csv", ".tsv", ".jsonl"))
_TEXT_SUFFIXES = (
    ".txt .md .rst .json .xml .html .htm .yaml .yml .toml .ini .py .ipynb .js .css .log"
)
_NO_PICTURES = BINARY | frozenset(_TEXT_SUFFIXES.split())
_SPLIT = ("split", "part", "subset", "partition", "set")
_FILE = ("file", "filename", "file_name", "path", "image")


class Item(NamedTuple):
    """One picture. group: pictures of one group stay on one side of the split; part: of the data
    set, where its folder says so."""

    name: str
    group: str
    known: Known = {}  # noqa: RUF012 - never written to
    path: str = ""
    part: str = ""


class Found(NamedTuple):
    """The pictures sorted by name, what was passed over, and what a person may not expect."""

    items: list[Item]
    problems: list[str]
    notes: list[str]


def find(paths: tuple[str, ...], table: str | None, skip: bool) -> Found:
    """The pictures that a person points at. Raises GenwrightError for the first problem, unless it
    may be skipped."""
    if not paths:
        raise GenwrightError(
            "data.path is not set", "give a folder of pictures, as in data.path=pictures/"
        )
    paths = tuple(map(os.path.expanduser, paths))
    table = os.path.expanduser(table) if table else None
    _refuse_npz(paths)
    others: list[str] = []
    again: list[str] = []
    files = sorted(
        file
        for file in collect(paths, partial(_is_picture, others), again)
        if os.path.basename(file.path) not in TABLES
    )
    if not files:
        raise GenwrightError(
            f"there is no picture in {', '.join(paths)}",
            f"give a path that holds {', '.join(sorted(SUFFIXES))} files",
        )
    alone = paths[0] if len(paths) == 1 and os.path.isdir(paths[0]) else None
    if alone and not table:
        table = next(filter(os.path.exists, (os.path.join(alone, name) for name in TABLES)), None)
    problems, notes = _unread(others, alone, table)
    whole = {path for path in paths if os.path.isdir(path)}
    hidden = _hidden(whole | {os.path.dirname(file.path) for file in files} if whole else set())
    if hidden:
        notes.append(f"hidden pictures are passed over ({len(hidden):,}): {named(hidden)}")
    if again:
        notes.append(
            f"files that are reached in two ways are read once ({len(again):,}): {named(again)}"
        )
    names = [file.name for file in files]
    places = _places(names, alone or ", ".join(paths), notes, mixed=bool(table))
    known: dict[str, Known] = {}
    if table:
        known = read_table(table, problems if skip else None)
        problems += [
            f"{os.path.basename(table)} names {name}, which is not there"
            for name in sorted(set(known) - set(names))
        ]
        known, places = _split_by_table(known, names, places)
    else:
        known = {
            name: {"class": (place.label,)}
            for name, place in zip(names, places, strict=True)
            if place.label
        }
        problems += [
            f"the class {name} is empty: its folder holds no picture"
            for name in _empty(alone, names)
        ]
    if problems and not skip:
        more = f" (and {len(problems) - 1} more like it)" if len(problems) > 1 else ""
        raise GenwrightError(problems[0] + more, "put it right, or set data.on_bad_file=skip")
    items = [
        Item(
            file.name,
            os.path.splitext(file.name)[0],
            known.get(file.name, {}),
            file.path,
            place.part,
        )
        for file, place in zip(files, places, strict=True)
    ]
    return Found(items, problems, notes + held_note([place.part for place in places]))


def _refuse_npz(paths: tuple[str, ...]) -> None:
    arrays = [path for path in paths if path.lower().endswith(".npz")]
    if arrays:
        raise GenwrightError(
            f"data.path names {arrays[0]} and more",
            "give one npz file alone, or folders and files of pictures",
        )


def _is_picture(others: list[str], path: str) -> bool:
    """Whether a folder's file is to be read; `others` gathers the rest."""
    if Path(path).suffix.lower() in SUFFIXES:
        return True
    others.append(path)
    return False


def _hidden(folders: set[str]) -> list[str]:
    """Pictures whose names begin with a dot, in folders that hold others; not the ._ files that
    macOS puts beside its own."""
    found = (entry.name for folder in sorted(folders) for entry in os.scandir(folder or "."))
    return [
        name
        for name in found
        if name[0] == "." and name[1] != "_" and Path(name).suffix.lower() in SUFFIXES
    ]


def _unread(others: list[str], alone: str | None, table: str | None) -> tuple[list[str], list[str]]:
    """(problems, notes) of the files of folders that are not read as pictures."""
    problems: list[str] = []
    containers: list[str] = []
    tables: list[str] = []
    for path in sorted(others):
        name = os.path.relpath(path, alone) if alone else path
        suffix = Path(path).suffix.lower()
        if suffix in UNREAD:
            problems.append(f"{name} is of a format that is not read: save it as png or jpeg")
        elif suffix in _CONTAINERS:
            containers.append(name)
        elif suffix in _TABULAR:
            tables += (
                [name]
                if not table or not os.path.exists(table) or not os.path.samefile(path, table)
                else []
            )
        elif suffix not in _NO_PICTURES and (form := form_of(path)):
            read = f".{form}" in SUFFIXES
            what = (
                f"holds a {form} under another name: give it the suffix .{form}"
                if read
                else f"is a {form}: save it as png or jpeg"
            )
            problems.append(f"{name} {what}")
    notes = [f"not looked into: {named(containers)}"] if containers else []
    if tables:
        notes.append(
            f"not read: {named(tables)}; a table of attributes is named by data.attributes, or called {TABLES[0]}"
        )
    return problems, notes


def _places(names: list[str], shown: str, notes: list[str], mixed: bool) -> list[Place]:
    """What the folders say. mixed: whether names of parts beside other names are noted (a table
    says what is what) and not refused."""
    try:
        return places_of(names, shown)
    except Mixed as error:
        if not mixed:
            raise
        notes.append(
            f"{error.what.partition(':')[0]}: none of them is taken for a part of the data set"
        )
        return [Place("", "")] * len(names)


def _split_by_table(
    known: dict[str, Known], names: list[str], places: list[Place]
) -> tuple[dict[str, Known], list[Place]]:
    """What is known without a column that says the part of the data set (all of its values are
    train, val, test or the like), and the places with those parts; folders that say it go
    before."""
    for column in _SPLIT:
        values = {
            name: its[column][0] for name, its in known.items() if len(its.get(column, ())) == 1
        }
        parts = {name: part_of_folder(value) for name, value in values.items()}
        if (
            TRAIN not in parts.values()
            or not all(parts.values())
            or any(place.part for place in places)
        ):
            continue
        rest: dict[str, Known] = {
            name: {key: its[key] for key in its if key != column} for name, its in known.items()
        }
        return rest, [
            place._replace(part=parts.get(name, ""))
            for name, place in zip(names, places, strict=True)
        ]
    return known, places


def _empty(alone: str | None, names: list[str]) -> list[str]:
    """The folders that stand where classes or parts do, and hold neither a picture nor what this
    program wrote."""
    if not alone or not any("/" in name for name in names):
        return []
    root = os.path.realpath(alone)
    linked = (
        entry for entry in os.scandir(alone) if entry.is_dir() and not entry.name.startswith(".")
    )
    there = {entry.name for entry in linked if not holds(os.path.realpath(entry.path), root)}
    used = {name.split("/")[0] for name in names} | {
        own.name.split("/")[0] for own in own_output([alone])
    }
    return sorted(there - used)


def read_table(path: str, skipped: list[str] | None = None) -> dict[str, Known]:
    """picture's name -> what is known of it. A table or row that cannot be used raises
    GenwrightError, or is added to `skipped`."""
    if not os.path.exists(path):
        raise GenwrightError(f"data.attributes: {path} does not exist", "give a csv or jsonl file")
    known: dict[str, Known] = {}
    try:
        for place, row in _rows(path):
            if fault := row if isinstance(row, Fault) else _learn(known, row):
                _refuse(path, f"{place} ", fault, skipped)
    except BadTable as error:
        _refuse(path, "", Fault(error.what, error.remedy), skipped)
    return known


def _rows(path: str) -> Iterator[tuple[str, dict[str, Any] | Fault]]:
    """(place, row) of a table. Raises BadTable."""
    kind = readers.kind_of(path)
    if kind == "parquet":
        raise BadTable(
            "is parquet, which is not read as a table of attributes", "save it as csv or jsonl"
        )
    if bad := readers.scan(path)["bad"]:
        raise BadTable(bad, "save it as UTF-8 csv, or as jsonl: an object a line")
    yield from _json_rows(path) if kind == "jsonl" else _csv_rows(path)


def _refuse(path: str, place: str, fault: Fault, skipped: list[str] | None) -> None:
    if skipped is None:
        raise GenwrightError(
            f"{path} {place}{fault.what}", f"{fault.remedy}, or set data.on_bad_file=skip"
        )
    skipped.append(f"{os.path.basename(path)} {place}{fault.passed_over}")


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
        if (
            isinstance(value, dict)
            or isinstance(value, list)
            and any(isinstance(item, dict | list) for item in value)
        ):
            return Fault(
                f"holds objects or nested lists in {attribute!r}",
                "give a value, or a list of values",
            )
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
        raise BadTable(
            f"has no name for column {table.columns.index('') + 1}",
            "name each column in the first line",
        )
    twice = [name for name, count in Counter(table.columns).items() if count > 1]
    if twice:
        raise BadTable(f"has several columns {twice[0]!r}", "give each column a name of its own")
    for row in table:
        cells = row.cells
        yield (
            f"line {row.line:,}",
            cells if isinstance(cells, Fault) else dict(zip(table.columns, cells, strict=True)),
        )


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
