"""What is the same for every file that is written: digests, JSON, replacing in one step; and what
cannot be read as a file."""

import fcntl
import hashlib
import json
import math
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from genwright.core.drafts import draft_beside
from genwright.core.errors import GenwrightError


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_KINDS = (
    (stat.S_ISFIFO, "a named pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, "a folder"),
)


def irregular(path: str | Path) -> str:
    """Why a path cannot be read as a file, to follow its name; "" for a regular file. To open a
    pipe could wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    for is_kind, name in _KINDS:
        if is_kind(mode):
            return f"is {name} and no regular file"
    return ""


def stamp_of(path: str | Path) -> list[int]:
    """Size in bytes, when the content and when the entry was changed (ns), and the number on the
    disk; nothing where there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def changed_error(path: str) -> GenwrightError:
    """The error of a file that is no longer what its digest was taken of."""
    return GenwrightError(f"{path} changed while it was prepared", "run the same command again")


def check_unchanged(stamps: Mapping[str, list[int]]) -> None:
    """Raises GenwrightError for the first file whose stamp is another now: what was read of it must
    not be kept under the digest that was taken before. stamps: path -> `stamp_of` before its digest
    was taken."""
    for path, stamp in stamps.items():
        if stamp_of(path) != stamp:
            raise changed_error(path)


def cache_folder(given: str | Path | None) -> Path:
    """Where prepared data are kept: the given folder, else $GENWRIGHT_CACHE, else
    ~/.cache/genwright."""
    folder = given or os.environ.get("GENWRIGHT_CACHE") or "~/.cache/genwright"
    return Path(os.path.expanduser(folder))


def is_finite(value: Any) -> bool:
    """Whether it is a number, and none of the words that older files have for those that are not
    finite."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def json_text(value: Any, indent: int | None = None) -> str:
    """Plain data as JSON, which has no NaN and no infinity: numbers that are not finite become
    null. Python's own `json` would write words that no other program reads."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def read_json(text: str, name: str | Path, remedy: str) -> Any:
    """What JSON of a file of ours says. name: of the file, with its line where it has many. Raises
    GenwrightError for damaged text."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise GenwrightError(f"{name} is damaged, for it is not JSON ({error})", remedy) from None


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def write_whole(path: Path, data: str | bytes) -> Path:
    """Replaces a file in one step: a reader sees the old or the new one, never a part."""
    if isinstance(data, str):
        data = data.encode()
    with whole_file(path) as file:
        file.write(data)
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """`write_whole` of what is written into the open file inside, however much that is."""
    # processes of several machines may write the same file
    draft = draft_beside(path)
    temporary = draft.with_name(f"{draft.stem}-{secrets.token_hex(8)}{draft.suffix}")
    try:
        with open(temporary, "wb") as file:
            yield file
        flush(temporary)
        os.replace(temporary, path)
    finally:
        # gone after the rename; otherwise its space is given back
        temporary.unlink(missing_ok=True)
    flush(path.parent)


def lock(path: Path) -> IO[str]:
    """Locks a file, as long as what is returned is open. Raises BlockingIOError where another
    process has locked it."""
    while True:
        handle = open(path, "a")  # noqa: SIM115 - held as long as the work
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise
        if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
            return handle
        handle.close()  # whoever had it removed it in between


def make_readable(path: Path) -> None:
    """Gives a file the permissions that other new files get; safetensors writes for its owner
    alone."""
    mask = os.umask(0o022)  # it can only be read by setting it
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def flush(path: Path) -> None:
    """Waits until a file or folder is on the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
