"""Files of samples that never replace those of an earlier call."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path


def write_new(folder: Path, write: Callable[[Path], Sequence[Path]]) -> list[Path]:
    """What `write` makes in a folder that it is given, in `folder`; where a file of one of the
    names is there already, in the first of its folders 2, 3, ... in which there is none. Returns
    the paths.

    The names are taken before anything is moved there, so that of two calls at the same time
    neither replaces what the other wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".samples-", dir=folder) as temporary:
        draft = Path(temporary)
        names = [path.relative_to(draft) for path in write(draft)]
        number = 1
        place = folder
        while not _taken(place, names):
            number += 1
            place = folder / str(number)
        for name in names:
            os.replace(draft / name, place / name)
    return [place / name for name in names]


def _taken(place: Path, names: Sequence[Path]) -> bool:
    """Makes empty files of all these names in a folder; none, where one of them is there
    already."""
    made: list[Path] = []
    try:
        for name in names:
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(exist_ok=False)
            made.append(path)
    except (FileExistsError, NotADirectoryError):
        for path in made:
            path.unlink()
        return False
    return True
