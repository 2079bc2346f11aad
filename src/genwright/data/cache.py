"""The cache of prepared data: folders named by their content, written once, whole or not at all,
and never changed.

The name is the SHA-256 of all that decides the content. A folder is written under another name,
flushed to disk, then renamed: whatever bears its final name is whole.

Worker processes import this module: it must not import torch.
"""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from genwright.core.drafts import ENDING, draft_beside, is_alive, writer_of
from genwright.core.errors import GenwrightError
from genwright.core.files import digest, flush, json_text

T = TypeVar("T")
FORMAT = 4  # part of every key: raise it when the same input would give other prepared data
SPLITS = ("train", "held_out")


def digest_of(*content: Any) -> str:
    """SHA-256, in hexadecimal, of plain data: what JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def share(group: str) -> float:
    """A number in [0, 1) that only the group decides."""
    written = group.encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.blake2b(written, digest_size=8).digest(), "little")
    return number / (1 << 64)


def grouped(
    items: Iterable[T], size: Callable[[T], float], name: Callable[[T], str], target: float
) -> list[list[T]]:
    """Items in groups of about the target's size. Whether one ends after an item depends (nearly)
    on that item alone, so that a new one leaves the other groups as they were."""
    groups: list[list[T]] = [[]]
    total = 0.0
    for item in items:
        groups[-1].append(item)
        total += size(item)
        if total >= 2 * target or share(name(item)) < size(item) / target:
            groups.append([])
            total = 0.0
    return [group for group in groups if group]


def check_digest(found: str, expect: str | None) -> None:
    """Raises GenwrightError where a run was made with other data. expect: the digest that it
    recorded."""
    if not expect or found == expect:
        return
    raise GenwrightError(
        f"the data changed since it was prepared: recorded digest {expect[:16]}, the sources now"
        f" give {found[:16]}",
        "bring the source files back as they were, or begin a new run (one of an earlier version"
        " held out other data, and cannot go on)",
    )


def facts_of(folder: Path) -> dict[str, Any]:
    """What was written of a shard."""
    return json.loads((folder / "shard.json").read_text(encoding="utf-8"))


def damaged(path: Path) -> GenwrightError:
    """What to say of a prepared file that is not what was written."""
    return GenwrightError(f"{path} was changed on disk", f"delete {path.parent} and prepare again")


def verify(files: Mapping[Path, str]) -> None:
    """Reads files of shards and compares their SHA-256. Raises GenwrightError for the first that
    differs."""
    for path, sha in files.items():
        if digest(path) != sha:
            raise damaged(path)


def digest_of_pieces(pieces: Iterable[str]) -> str:
    """`digest_of` of what is too long to be held: pieces of its JSON, in order."""
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece.encode())
    return sha.hexdigest()


def json_list(items: Iterable[Iterable[str]]) -> Iterator[str]:
    """The JSON of a list in pieces, as `digest_of` writes it. items: of each, its own pieces."""
    yield "["
    for number, pieces in enumerate(items):
        if number:
            yield ", "
        yield from pieces
    yield "]"


def json_of(value: Any) -> list[str]:
    """The JSON of plain data, as `digest_of` writes it, in one piece."""
    return [json.dumps(value, sort_keys=True)]


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns a full disk and a missing permission into a sentence."""
    try:
        yield
    except OSError as error:
        remedy = (
            "set GENWRIGHT_CACHE or data.cache to a folder with room that can be written; what is"
            " finished is kept"
        )
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise GenwrightError(f"the disk that holds {folder} is full", remedy) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise GenwrightError(
                f"{folder} cannot be written ({error.strerror})", remedy
            ) from error
        raise


def publish(folder: Path, fill: Callable[[Path], None]) -> None:
    """Makes `folder` with what `fill` writes, whole or not at all. Where another process was
    quicker, its folder stays."""
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = draft_beside(folder)
        _delete_left(folder, draft)
        try:
            draft.mkdir()
            fill(draft)
            for path in [*draft.rglob("*"), draft]:
                flush(path)
            try:
                draft.rename(folder)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
            flush(folder.parent)
        finally:
            # gone after the rename; otherwise its space is given back
            shutil.rmtree(draft, ignore_errors=True)


DIGESTS = "digests.json"  # of a folder of `kept`


def kept(folder: Path, fill: Callable[[Path], None], read: Callable[[Path], T]) -> T:
    """What `read` finds (and maps) in a folder that `fill` writes: made once, and kept in the cache
    with the SHA-256 of its files, which are compared each time. Where the cache cannot be written,
    it is made for this once. Raises GenwrightError for a file that was changed."""

    def fill_all(draft: Path) -> None:
        fill(draft)
        digests = {path.name: digest(path) for path in sorted(draft.iterdir())}
        (draft / DIGESTS).write_text(json_text(digests), encoding="utf-8")

    if not folder.is_dir():
        try:
            publish(folder, fill_all)
        except GenwrightError:
            with tempfile.TemporaryDirectory(prefix="genwright-") as temporary:
                fill(Path(temporary))
                return read(Path(temporary))
    try:
        digests = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        verify({folder / name: sha for name, sha in digests.items()})
    except (OSError, ValueError, AttributeError):
        raise damaged(folder / DIGESTS) from None
    return read(folder)


@contextmanager
def scratch(cache: Path) -> Iterator[Path]:
    """A folder for what does not fit into memory, deleted in the end; those of processes of this
    host that were killed go with it. It is below the cache, where there is room; elsewhere, where
    that cannot be written."""
    folder = cache / "scratch"
    host = socket.gethostname()
    draft = folder / f"{host}-{os.getpid()}-{secrets.token_hex(8)}.tmp"
    try:
        draft.mkdir(parents=True)
    except OSError:  # all may be prepared already
        with tempfile.TemporaryDirectory(prefix="genwright-") as temporary:
            yield Path(temporary)
        return
    mine = re.compile(re.escape(host) + r"-(\d+)-[0-9a-f]+\.tmp")
    for left in folder.iterdir():
        found = mine.fullmatch(left.name)
        if found and not is_alive(int(found[1])):
            shutil.rmtree(left, ignore_errors=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):  # others are at work
            folder.rmdir()


def _delete_left(folder: Path, draft: Path) -> None:
    """Deletes drafts of `folder` that processes of this host left, which were killed. draft: this
    process's own."""
    for left in folder.parent.glob(f"{folder.name}.*{ENDING}"):
        writer = writer_of(left)
        if left == draft or (writer is not None and not is_alive(writer)):
            shutil.rmtree(left, ignore_errors=True)
