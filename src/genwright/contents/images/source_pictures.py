"""The user's own pictures: files, folders and globs, and what is known of them: a table of
attributes (`attribute_table`), or a class per subfolder."""

import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

from genwright.contents.images.attribute_table import TABLES, Known, read_table
from genwright.contents.images.picture_folders import Mixed, Place, held_note, places_of
from genwright.contents.images.pictures import SUFFIXES, form_of
from genwright.core.errors import GenwrightError, first_named
from genwright.data.parts import TRAIN, part_of_folder
from genwright.data.source_files import BINARY, collect, holds, own_output

_UNREAD_SUFFIXES = """
    .heic .heif .avif .avifs .jxl .jp2 .j2k .jpf .jpx .jpc .j2c .jxr .wdp .hdp .bpg .flif .qoi .pcx
    .psd .psb .xcf .kra .ora .ai .eps .raw .cr2 .cr3 .crw .nef .nrw .arw .srf .orf .rw2 .raf .dng
    .pef .srw .x3f .svg .svgz .emf .wmf .ico .icns .cur .sgi .xbm .xpm .exr .hdr .pfm .pam .dds
    .fits .dcm .nii .cin .dpx .ras .mng .jng
"""
UNREAD = frozenset(_UNREAD_SUFFIXES.split())
_CONTAINER_SUFFIXES = """
    .npz .npy .zip .tar .gz .tgz .bz2 .xz .zst .7z .rar .h5 .hdf5 .mat .parquet .tfrecord .mdb .pkl
    .pt
"""
_CONTAINERS = frozenset(_CONTAINER_SUFFIXES.split())
_TABULAR = frozenset((".csv", ".tsv", ".jsonl"))
_TEXT_SUFFIXES = """
    .txt .md .rst .json .xml .html .htm .yaml .yml .toml .ini .py .ipynb .js .css .log
"""
_NO_PICTURES = BINARY | frozenset(_TEXT_SUFFIXES.split())
_SPLIT = ("split", "part", "subset", "partition", "set")


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
    """The pictures that a person points at. table: of their attributes. Raises GenwrightError for
    the first problem, unless it may be skipped."""
    if not paths:
        raise GenwrightError(
            "data.path is not set", "give a folder of pictures, as in data.path=pictures/"
        )
    paths = tuple(map(os.path.expanduser, paths))
    _refuse_npz(paths)
    others: list[str] = []  # files of folders that are not read as pictures
    again: list[str] = []  # files that are reached in two ways
    files = []
    for file in sorted(collect(paths, partial(_is_picture, others), again)):
        if os.path.basename(file.path) not in TABLES:
            files.append(file)
    if not files:
        raise GenwrightError(
            f"there is no picture in {', '.join(paths)}",
            f"give a path that holds {', '.join(sorted(SUFFIXES))} files",
        )
    alone = None
    if len(paths) == 1 and os.path.isdir(paths[0]):
        alone = paths[0]
    if table:
        table = os.path.expanduser(table)
    elif alone:
        table = _table_in(alone)
    problems, notes = _unread(others, alone, table)
    notes += _passed_over(paths, [file.path for file in files], again)
    names = [file.name for file in files]
    places = _places(names, alone or ", ".join(paths), notes, mixed=bool(table))
    if table:
        known = read_table(table, problems if skip else None)
        for name in sorted(set(known) - set(names)):
            problems.append(f"{os.path.basename(table)} names {name}, which is not there")
        known, places = _split_by_table(known, names, places)
    else:
        known = _classes(names, places)
        for name in _empty(alone, names):
            problems.append(f"the class {name} is empty: its folder holds no picture")
    if problems and not skip:
        more = ""
        if len(problems) > 1:
            more = f" (and {len(problems) - 1} more like it)"
        raise GenwrightError(problems[0] + more, "put it right, or set data.on_bad_file=skip")
    items = []
    for file, place in zip(files, places, strict=True):
        group = os.path.splitext(file.name)[0]
        items.append(Item(file.name, group, known.get(file.name, {}), file.path, place.part))
    return Found(items, problems, notes + held_note([place.part for place in places]))


def _table_in(folder: str) -> str | None:
    """The folder's own table of attributes."""
    for name in TABLES:
        path = os.path.join(folder, name)
        if os.path.exists(path):
            return path
    return None


def _classes(names: list[str], places: list[Place]) -> dict[str, Known]:
    """What the folders say of the pictures."""
    known: dict[str, Known] = {}
    for name, place in zip(names, places, strict=True):
        if place.label:
            known[name] = {"class": (place.label,)}
    return known


def _passed_over(paths: tuple[str, ...], files: list[str], again: list[str]) -> list[str]:
    """Notes of hidden pictures beside the files, and of those that are reached in two ways."""
    notes = []
    folders = {path for path in paths if os.path.isdir(path)}
    if folders:
        hidden = _hidden(folders | {os.path.dirname(path) for path in files})
        if hidden:
            notes.append(
                f"hidden pictures are passed over ({len(hidden):,}): {first_named(hidden)}"
            )
    if again:
        count = f"{len(again):,}"
        notes.append(
            f"files that are reached in two ways are read once ({count}): {first_named(again)}"
        )
    return notes


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
    hidden = []
    for folder in sorted(folders):
        for entry in os.scandir(folder or "."):
            name = entry.name
            if name[0] == "." and name[1] != "_" and Path(name).suffix.lower() in SUFFIXES:
                hidden.append(name)
    return hidden


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
            if not _is_table(path, table):
                tables.append(name)
        elif suffix not in _NO_PICTURES and (form := form_of(path)):
            if f".{form}" in SUFFIXES:
                what = f"holds a {form} under another name: give it the suffix .{form}"
            else:
                what = f"is a {form}: save it as png or jpeg"
            problems.append(f"{name} {what}")
    notes = []
    if containers:
        notes.append(f"not looked into: {first_named(containers)}")
    if tables:
        notes.append(
            f"not read: {first_named(tables)}; a table of attributes is named by data.attributes, "
            f"or called {TABLES[0]}"
        )
    return problems, notes


def _is_table(path: str, table: str | None) -> bool:
    """Whether a file is the table of attributes."""
    if not table or not os.path.exists(table):
        return False
    return os.path.samefile(path, table)


def _places(names: list[str], shown: str, notes: list[str], mixed: bool) -> list[Place]:
    """What the folders say. mixed: whether names of parts beside other names are noted (a table
    says what is what) and not refused."""
    try:
        return places_of(names, shown)
    except Mixed as error:
        if not mixed:
            raise
        what = error.what.partition(":")[0]
        notes.append(f"{what}: none of them is taken for a part of the data set")
        return [Place("", "")] * len(names)


def _split_by_table(
    known: dict[str, Known], names: list[str], places: list[Place]
) -> tuple[dict[str, Known], list[Place]]:
    """What is known without a column that says the part of the data set (all of its values are
    train, val, test or the like), and the places with those parts; folders that say it go
    before."""
    if any(place.part for place in places):
        return known, places
    for column in _SPLIT:
        parts = {}
        for name, attributes in known.items():
            values = attributes.get(column, ())
            if len(values) == 1:
                parts[name] = part_of_folder(values[0])
        if TRAIN not in parts.values() or not all(parts.values()):
            continue
        rest: dict[str, Known] = {}
        for name, attributes in known.items():
            rest[name] = {key: attributes[key] for key in attributes if key != column}
        with_parts = []
        for name, place in zip(names, places, strict=True):
            with_parts.append(place._replace(part=parts.get(name, "")))
        return rest, with_parts
    return known, places


def _empty(alone: str | None, names: list[str]) -> list[str]:
    """The folders that stand where classes or parts do, and hold neither a picture nor what this
    program wrote."""
    if not alone or not any("/" in name for name in names):
        return []
    root = os.path.realpath(alone)
    there = set()
    for entry in os.scandir(alone):
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        if not holds(os.path.realpath(entry.path), root):
            there.add(entry.name)
    used = {name.split("/")[0] for name in names}
    used |= {own.name.split("/")[0] for own in own_output([alone])}
    return sorted(there - used)
