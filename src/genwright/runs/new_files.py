"""Files of samples that never replace those of an earlier call."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path


def write_new(folder: Path, write: Callable[[Path], Sequence[Path]]) -> list[Path]:
    """What `write` makes in a folder that it is given, in `folder`; where a file of one of the
    names is there already, in the first of its folders 2, 3, ... in which there is none. Returns
    the paths.

    The names are taken before anything is moved there, so that of two calls at the same time
    neither replaces what the other wrote. Where that fails, no file of this call stays."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".samples-", dir=folder) as temporary:
        draft = Path(temporary)
        names = [path.relative_to(draft) for path in write(draft)]
        made: list[Path] = []
        try:
            place = _taken(folder, names, made)
            for name in names:
                os.replace(draft / name, place / name)
        except BaseException:  # a full disk, an interrupt: all or nothing
            for path in made:
                with suppress(OSError):  # what went wrong first is what is to be said
                    path.unlink()
            raise
    return [place / name for name in names]


def _taken(folder: Path, names: Sequence[Path], made: list[Path]) -> Path:
    """Makes empty files of all these names in the first of the folders that has none of them, and
    returns that folder. made: the files that were made, whatever is raised."""
    number = 1
    place = folder
    while not _all_made(place, names, made):
        for path in made:
            path.unlink()
        made.clear()
        number += 1
        place = folder / str(number)
    return place


def _all_made(place: Path, names: Sequence[Path], made: list[Path]) -> bool:
    """Whether none of the names was there. made: takes the files that were made before one that
    was."""
    try:
        for name in names:
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(exist_ok=False)
            made.append(path)
    except (FileExistsError, NotADirectoryError):
        return False
    return True
