"""What `git` says of a repository: its tracked files, when each was last changed, their bytes.

The program `git` is asked, by its plumbing. A repository is a stranger's, and its settings can name
programs that git runs: whatever could run one, or reach the network, is switched off.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from genwright.core.errors import GenwrightError
from genwright.curation.raw import Unreadable
from genwright.data.readers import BLOCK

_SAFE = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "log.showSignature=false",
    "protocol.allow=never",
)
_REGULAR = (b"100644", b"100755")  # modes; the others are links and submodules
_DATE = b"\x01"  # before a date in what `git log` says


class Repository(NamedTuple):
    """A checkout. folder: its working tree, or the repository itself where it is bare; name: how
    the names of its files begin, "" where it is the only one."""

    folder: str
    is_bare: bool
    name: str = ""


class Tracked(NamedTuple):
    """A file of a checkout. path: of it in the repository; date: of its last commit, or ""."""

    path: bytes
    date: str


def check_git() -> None:
    """Raises GenwrightError where the program is not installed."""
    if shutil.which("git") is None:
        raise GenwrightError(
            "the source git needs the program git, which is not installed",
            "install git, or read the folder by kind: files",
        )


def repository_at(folder: str, name: str = "") -> Repository | None:
    """The repository in this very folder, or None."""
    if os.path.lexists(os.path.join(folder, ".git")):
        return Repository(folder, False, name)
    parts = [os.path.join(folder, part) for part in ("HEAD", "objects", "refs")]
    if all(os.path.exists(part) for part in parts):
        return Repository(folder, True, name)
    return None


def tracked(repository: Repository) -> list[Tracked]:
    """The regular files, sorted by path. Raises Unreadable with what git says."""
    if repository.is_bare:
        words = ["ls-tree", "-r", "-z", "HEAD"]
    else:
        words = ["ls-files", "-z", "--stage"]
    paths = set()
    for record in _records(repository, *words):
        facts, _, path = record.partition(b"\t")
        if facts.split(b" ")[0] in _REGULAR:
            paths.add(path)
    dates = _dates(repository, paths) if paths else {}
    return [Tracked(path, dates.get(path, "")) for path in sorted(paths)]


def _dates(repository: Repository, paths: set[bytes]) -> dict[bytes, str]:
    """path -> the day of the last commit, along first parents, that changed it (ISO 8601). The
    history is read back to where all are known."""
    found: dict[bytes, str] = {}
    words = ("log", "--first-parent", "-m", "--no-renames", "--name-only", "-z")
    date = ""
    try:
        for record in _records(repository, *words, "--format=format:%x01%cs", "HEAD"):
            if record.startswith(_DATE):
                said, _, record = record[1:].partition(b"\n")
                date = said.decode()
            if record in paths and record not in found:
                found[record] = date
                if len(found) == len(paths):
                    break
    except Unreadable:  # files are added, and nothing is committed yet
        if repository.is_bare:
            raise
    return found


def blob(repository: Repository, path: bytes) -> Iterator[bytes]:
    """The bytes of a file in the last commit. Raises Unreadable."""
    with _asked(repository, "cat-file", "blob", b"HEAD:" + path) as output:
        while chunk := output.read(BLOCK):
            yield chunk


def decisive_file(repository: Repository) -> str:
    """The file of a repository that changes when its last commit does; of a working tree one that
    is there in every repository."""
    folder = Path(repository.folder)
    if not repository.is_bare:
        inner = folder / ".git"
        return str(inner / "HEAD" if inner.is_dir() else inner)
    reference = ""
    try:
        said = (folder / "HEAD").read_text(encoding="utf-8", errors="replace")
    except OSError:
        said = ""
    if said.startswith("ref: refs/") and ".." not in said:
        reference = said.removeprefix("ref: ").strip()
    for name in (reference, "packed-refs", "reftable/tables.list"):
        if name and (folder / name).is_file():
            return str(folder / name)
    return str(folder / "HEAD")


# ---- the program ----


def _records(repository: Repository, *words: str) -> Iterator[bytes]:
    """What git says, divided at zero bytes."""
    rest = b""
    with _asked(repository, *words) as output:
        while chunk := output.read(BLOCK):
            *records, rest = (rest + chunk).split(b"\0")
            yield from records
    if rest:
        yield rest


@contextmanager
def _asked(repository: Repository, *words: str | bytes) -> Iterator[IO[bytes]]:
    """What git writes, to be read. Raises Unreadable where it fails and all was read."""
    command: list[str | bytes] = ["git", "--no-pager"]
    for setting in _SAFE:
        command += ["-c", setting]
    if repository.is_bare:
        command += ["--git-dir", repository.folder]
    else:
        command += ["-C", repository.folder]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [*command, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(),
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield process.stdout
        except BaseException:
            process.kill()
            raise
        if process.stdout.read(1):  # whoever reads has enough
            process.kill()
        elif process.wait():
            errors.seek(0)
            raise Unreadable(f"cannot be read ({_sentence(errors.read(BLOCK))})")


def _environment() -> dict[str, str]:
    """Without what points git at another repository, and without questions."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "LC_ALL": "C",
    }


def _sentence(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return f"git says: {lines[0]}" if lines else "git says nothing"
