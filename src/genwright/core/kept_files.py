"""Files that filters name, such as lists of words, and the copies of them that a corpus keeps: it
can be looked at and mixed again where the files are gone.

    CORPUS/kept/DIGEST/NAME    a copy
    CORPUS/kept/names.json     path, as a filter gives it -> DIGEST/NAME

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from genwright.core.files import digest, json_text, write_whole

KEPT = "kept"
NAMES = "names.json"
DIGITS = 16  # of a digest
_copies: dict[str, Path] = {}  # path -> copy, of the corpus that was opened last


def open_kept(corpus: Path) -> None:
    """Has `file_of` know the copies of a corpus, and of no other. corpus: its folder, or one
    without any."""
    _copies.clear()
    for path, name in _names_of(corpus).items():
        _copies[path] = corpus / KEPT / name


def file_of(path: str) -> Path:
    """The file that a filter names; where it is not there, the copy of it, if there is one."""
    file = Path(path)
    if file.exists():
        return file
    return _copies.get(path, file)


def keep_files(corpus: Path, paths: Iterable[str]) -> None:
    """Copies files that filters name into a corpus; what no filter names any more goes. Raises
    OSError."""
    folder = corpus / KEPT
    names = {}
    for path in paths:
        file = file_of(path)
        names[path] = f"{digest(file)[:DIGITS]}/{file.name}"
        target = folder / names[path]
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, file.read_bytes())
    if names != _names_of(corpus):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / NAMES, json_text(dict(sorted(names.items())), indent=1))
    used = {Path(name).parts[0] for name in names.values()}
    for left in folder.glob("*"):
        if left.is_dir() and left.name not in used:
            shutil.rmtree(left, ignore_errors=True)


def _names_of(corpus: Path) -> dict[str, str]:
    """Path -> name of its copy; nothing where none was kept, or what was is damaged."""
    try:
        return dict(json.loads((corpus / KEPT / NAMES).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
