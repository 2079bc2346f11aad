"""Drafts: what a process writes beside the name that it gets when it is whole. The name of a draft
says who writes it, so that what killed processes left can be told from work that goes on."""

import os
import re
import shutil
import socket
from pathlib import Path

ENDING = ".tmp"
ENDED = ("Z", "X")  # states of /proc/PID/stat (proc(5)): zombie, dead


def draft_beside(path: Path) -> Path:
    """Where this process writes what becomes `path`, file or folder."""
    return path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}{ENDING}")


def delete_left(folder: Path) -> None:
    """Deletes drafts anywhere in a folder that processes of this host left, which were killed.
    Those of other hosts stay: who writes them cannot be known here."""
    for left in folder.rglob(f"*{ENDING}"):
        writer = writer_of(left)
        if writer is None or is_alive(writer):
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def writer_of(draft: Path) -> int | None:
    """The process of this host that writes a draft; None for one of another host, and for other
    files."""
    host = re.escape(socket.gethostname())
    found = re.search(rf"\.{host}-(\d+)(?:-[0-9a-f]+)?{re.escape(ENDING)}\Z", draft.name)
    return int(found[1]) if found else None


def is_alive(process: int) -> bool:
    """Whether a process of this host is at work. One that has ended and that nobody has asked for
    (a zombie, which may stay for long in a container) is not."""
    try:
        os.kill(process, 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # somebody else's
    return _state(process) not in ENDED


def _state(process: int) -> str:
    """The letter that Linux gives for a process's state; "" where it cannot be told."""
    try:
        told = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended in between, or this is not Linux
        return ""
    return told.rpartition(")")[2].split()[0]  # its name, in brackets, may hold anything
