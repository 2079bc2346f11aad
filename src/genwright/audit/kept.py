"""Files of audits: what a later audit would replace is kept under a numbered name.

RUN/audits/step-00000500-ema-1a2b3c4d.json    the newest audit by these groups
           step-00000500-ema-1a2b3c4d.1.json  the first one, .2 the second, ...
RUN/audit.html, audit-shares.csv              the page of the newest audit, and its shares
    audit.1.html, audit.1-shares.csv          those of the first one
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, whole_file
from genwright.data.cache import digest_of

FOLDER = "audits"  # of a run
Naming = Callable[[Path], Path]  # a page -> a file beside it


def is_newest(path: Path) -> bool:
    """Whether a file in a run's `audits` is no earlier one that was kept."""
    return "." not in path.stem


def kept_name(kind: str, step: int, weights: str, of: Sequence[str]) -> str:
    """Of an audit's file. kind: "step", "pairs" or "gaps". of: what was audited: its groups, or a
    file."""
    return f"{kind}-{step:08d}-{weights}-{digest_of(sorted(of))[:8]}.json"


def keep(found: dict[str, Any], folder: Path, name: str) -> Path:
    """Writes what an audit found into a run's folder; an earlier one that says something else is
    kept. Raises GenwrightError."""
    place = folder / FOLDER / name
    text = json_text(found, indent=1) + "\n"
    try:
        place.parent.mkdir(exist_ok=True)
        if place.is_file() and place.read_bytes() == text.encode():
            os.utime(place)  # the newest audit is told by its time
            return place
        with whole_file(place) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())  # a full disk shows here, before the earlier one is touched
            set_aside(place)
    except OSError as problem:
        raise GenwrightError(
            f"{place} cannot be written ({problem.strerror})", "free space, or copy the run"
        ) from problem
    return place


def set_aside(path: Path, beside: Sequence[Naming] = ()) -> None:
    """Gives a file that is there, and is about to be replaced, a numbered name too, and what
    belongs to it. beside: give the names of that. Raises OSError."""
    names: list[Naming] = [_itself, *beside]
    if not any(os.path.lexists(name(path)) for name in names):
        return
    number = 1
    while not _take_number(number, path, names):
        number += 1


def _take_number(number: int, path: Path, names: Sequence[Naming]) -> bool:
    """Gives the files that are there a number. Returns whether it was free."""
    numbered = _numbered(path, number)
    if any(os.path.lexists(name(numbered)) for name in names):
        return False
    linked: list[Path] = []
    for name in names:
        if not name(path).is_file():
            continue
        try:
            os.link(name(path), name(numbered))
            linked.append(name(numbered))
        except FileExistsError:  # another process took it just now
            for other in linked:
                other.unlink()
            return False
        except OSError:  # not every file system has links
            os.rename(name(path), name(numbered))
    return True


def keep_earlier(page: Path) -> None:
    """Gives a page that is there a numbered name. Raises GenwrightError."""
    try:
        set_aside(page)
    except OSError as problem:
        raise GenwrightError(
            f"{page} cannot be kept under another name ({problem.strerror})",
            "choose another place with --output",
        ) from problem


def _itself(path: Path) -> Path:
    return path


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}{path.suffix}")
