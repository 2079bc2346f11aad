"""What is the same for every file that is written."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def readable(path: Path) -> None:
    """Gives a file the permissions that other new files get; safetensors writes for its owner alone."""
    os.umask(mask := os.umask(0o022))
    path.chmod(0o666 & ~mask)


def flush(path: Path) -> None:
    """Waits until a file or folder is on the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
