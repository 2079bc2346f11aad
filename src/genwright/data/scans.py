"""What was found out about files before, so that a file is read again only where it may have
changed.

    <cache>/scans/<key>.json   path -> [stamp, time of the scan, what was found], for all files
                               below one folder

A stamp is a file's size, times of change (of its content and of its entry) and number on the disk.
The same stamp says that nothing has changed, except for what was written in the very moment of the
scan, for clocks of file systems tick slowly: what was younger than MARGIN when it was scanned is
read again. Paths are absolute and real: a file elsewhere is another file, whatever its name and
times.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from genwright.core import files
from genwright.data.cache import FORMAT, digest_of, writing

MARGIN = 2_000_000_000  # nanoseconds
Facts = TypeVar("Facts")


def scanned(
    paths: Iterable[str],
    read: Callable[[list[str]], Sequence[Facts]],
    cache: Path,
    kind: str,
    roots: Sequence[str] = (),
    keep: Callable[[Facts], bool] = bool,
) -> dict[str, Facts]:
    """path -> what `read` finds in that file, from the cache where the file has not changed since.

    kind: what is found; roots: the folders that a person named (see `roots_of`); keep: whether a
    finding is worth keeping."""
    real = {path: os.path.realpath(path) for path in paths}
    places = _places(real.values(), roots)
    records: dict[str, Path] = {}
    known: dict[str, list[Any]] = {}
    for place in set(places.values()):
        records[place] = cache / "scans" / f"{digest_of(FORMAT, kind, place)}.json"
        known |= _load(records[place])
    now = time.time_ns()
    stamps = {path: files.stamp_of(path) for path in real.values()}
    found: dict[str, Facts] = {}
    for path, stamp in stamps.items():
        if path in known and _trusted(known[path], stamp):
            found[path] = known[path][2]
    missing = [path for path in stamps if path not in found]
    if missing:
        # by place: path -> what is kept of it
        added: dict[str, dict[str, list[Any]]] = {place: {} for place in records}
        for path, facts in zip(missing, read(missing), strict=True):
            found[path] = facts
            if keep(facts):
                added[places[path]][path] = [stamps[path], now, facts]
        for place, record in records.items():
            if added[place]:
                _save(record, _load(record) | added[place])
    return {path: found[real[path]] for path in real}


def digests(paths: Iterable[str], cache: Path, roots: Sequence[str] = ()) -> dict[str, str]:
    """path -> SHA-256 of the file's content; "" for what cannot be read, which its reader then
    names."""
    return scanned(paths, _read_digests, cache, "sha256", roots)


def _read_digests(paths: list[str]) -> list[str]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_digest, paths))


def _digest(path: str) -> str:
    if not os.path.isfile(path):  # a pipe would be waited for
        return ""
    try:
        return files.digest(Path(path))
    except OSError:
        return ""


def _trusted(entry: list[Any], stamp: list[int]) -> bool:
    before, scanned_at, _ = entry
    return bool(stamp) and before == stamp and max(stamp[1], stamp[2]) + MARGIN < scanned_at


def roots_of(paths: Sequence[str]) -> list[str]:
    """The folders that a person's paths lie in, absolute and real; of a glob, the part before its
    first sign."""
    roots = []
    for path in map(os.path.expanduser, paths):
        while not os.path.isdir(path):
            above = os.path.dirname(path)
            if above == path:
                break
            path = above or "."
        roots.append(os.path.realpath(path))
    return roots


def _places(paths: Iterable[str], roots: Sequence[str]) -> dict[str, str]:
    """path -> the innermost of `roots` that it is in; else (a link led out of them, or there are
    none) its own folder."""
    innermost = sorted(set(roots), key=len, reverse=True)
    by_folder: dict[str, str] = {}
    out = {}
    for path in paths:
        folder = os.path.dirname(path)
        if folder not in by_folder:
            above = [root for root in innermost if _inside(folder, root)]
            by_folder[folder] = above[0] if above else folder
        out[path] = by_folder[folder]
    return out


def _inside(folder: str, root: str) -> bool:
    return folder == root or folder.startswith(root.rstrip(os.sep) + os.sep)


def _load(record: Path) -> dict[str, list[Any]]:
    """What was recorded; nothing where there is no record, or none that can be read: the files are
    then read again."""
    try:
        return dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _save(record: Path, entries: dict[str, list[Any]]) -> None:
    """Replaces a record; files that are gone are left out. Where two processes write at once, the
    later one's stays: the other's files are then read again."""
    there = {path: entry for path, entry in entries.items() if os.path.lexists(path)}
    with writing(record.parent.parent):
        record.parent.mkdir(parents=True, exist_ok=True)
        files.write_whole(record, files.json_text(there))
