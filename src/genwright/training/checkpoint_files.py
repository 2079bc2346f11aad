"""Where the checkpoints of a run lie, and what stands in them beside tensors: what can be asked
without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError, in_words

FROZEN = "frozen"  # folder of a run, and first part of the names of files in it
MANIFEST = "manifest.json"
STATE = "state.json"


def folder_of(root: Path, step: int) -> Path:
    """Where the checkpoint of a step lies, under the folder of checkpoints."""
    return root / f"step-{step:08d}"


def place_of(folder: Path, name: str) -> Path:
    """Where a file lies that the manifest of a checkpoint lists."""
    if name.startswith(f"{FROZEN}/"):
        return folder.parent.parent / name
    return folder / name


def listed_in(folder: Path) -> dict[str, str] | None:
    """The manifest of a checkpoint: name of a file -> its SHA-256. None where it is missing or
    unreadable, or lists nothing."""
    try:
        listed = dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return listed or None


def steps(root: Path) -> list[int]:
    """Steps of the checkpoints under `root`, in order, whole or not; a folder that holds nothing is
    none."""
    return [step for step in numbered(root) if any(folder_of(root, step).iterdir())]


def numbered(root: Path) -> list[int]:
    """The steps that folders are named after."""
    found = (int(path.name[5:]) for path in root.glob("step-*") if path.name[5:].isdigit())
    return sorted(step for step in found if folder_of(root, step).is_dir())


def state_of(folder: Path) -> dict[str, Any]:
    """What a checkpoint says of itself: step, scheduled, result. Raises GenwrightError where that
    is damaged."""
    path = folder / STATE
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as problem:
        raise GenwrightError(
            f"{path} is damaged ({in_words(problem)})",
            f"bring it back as it was, or move {folder.name} out of the run: the checkpoint before"
            " it is then used",
        ) from problem


def named_result(root: Path) -> Path | None:
    """The checkpoint that stands for a run by what is written, whether or not it is whole still:
    see `checkpoint.result`. None where there is none."""
    written = [step for step in steps(root) if (folder_of(root, step) / MANIFEST).is_file()]
    if not written:
        return None
    last = folder_of(root, max(written))
    try:
        named = state_of(last).get("result")
    except GenwrightError:
        return last
    return last if named is None else folder_of(root, int(named))
