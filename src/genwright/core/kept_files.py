"""What a corpus keeps of what its filters name, so that it can be looked at and mixed again where
that is gone.

1. Of small files, such as lists of words, it keeps copies.
2. Of what is too large to copy, such as evaluation sets and runs, it keeps the digest: attributes
   are named by it, and so those that were computed are found again.

    CORPUS/kept/DIGEST/NAME     a copy
    CORPUS/kept/names.json      path, as a filter gives it -> DIGEST/NAME
    CORPUS/kept/digests.json    list of {path, how, digest}, see `Input`

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from genwright.core.files import digest, json_text, write_whole

KEPT = "kept"
NAMES = "names.json"
DIGESTS = "digests.json"
DIGITS = 16  # of a digest
# of the corpus that was opened last:
_copies: dict[str, Path] = {}  # path -> copy
_digests: dict[tuple[str, str], str] = {}  # (path, how) -> digest


class Input(NamedTuple):
    """What a filter reads and no corpus copies: a folder of evaluation sets, a run.

    path: as the filter gives it. how: how it is read, where that decides the digest: which field of
    rows, which format of the digest. digest: of what it holds. is_gone: nothing is there, and the
    digest is the one that the corpus kept."""

    path: str
    how: str
    digest: str
    is_gone: bool


def open_kept(corpus: Path) -> None:
    """Has `file_of` and `kept_digest` know what a corpus keeps, and no other. corpus: its folder,
    or one that keeps nothing."""
    _digests.clear()
    _digests.update(_digests_of(corpus))
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


def kept_digest(path: str, how: str = "") -> str:
    """The digest that a corpus keeps of what a filter names, see `Input`; "" where it keeps
    none."""
    return _digests.get((path, how), "")


def keep_digests(corpus: Path, inputs: Iterable[Input]) -> None:
    """Keeps the digests of what filters read, once all that is computed once a corpus is there.
    Those of filters that are no longer named stay, as what was computed of them does. Raises
    OSError."""
    before = _digests_of(corpus)
    digests = before | {(each.path, each.how): each.digest for each in inputs}
    if digests == before:
        return
    listed = []
    for (path, how), value in sorted(digests.items()):
        listed.append({"path": path, "how": how, "digest": value})
    (corpus / KEPT).mkdir(parents=True, exist_ok=True)
    write_whole(corpus / KEPT / DIGESTS, json_text(listed, indent=1))


def _digests_of(corpus: Path) -> dict[tuple[str, str], str]:
    """(path, how) -> digest; nothing where none was kept, or what was is damaged."""
    found = {}
    try:
        for each in json.loads((corpus / KEPT / DIGESTS).read_text(encoding="utf-8")):
            found[str(each["path"]), str(each["how"])] = str(each["digest"])
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return found


def _names_of(corpus: Path) -> dict[str, str]:
    """Path -> name of its copy; nothing where none was kept, or what was is damaged."""
    try:
        return dict(json.loads((corpus / KEPT / NAMES).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
