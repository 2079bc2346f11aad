"""Checkpoints: safetensors and JSON in one folder, digests of every file, published by one rename.

A checkpoint is written to a temporary folder beside its place, every file and folder is flushed to
disk, and the folder is renamed. A reader therefore sees it whole or not at all; what the disk does
afterwards (a flipped bit, a truncated file) the digests show, and `newest` falls back to the newest
one that is whole. In it a state is tensors and JSON by parameter name, so that any number of
processes can take it up.

What is frozen is the same in every checkpoint of a run. It is stored once, as
`frozen/<SHA-256 of the file>.safetensors` beside the folder of checkpoints, and listed in each
checkpoint's manifest like its own files. Reading puts it back among the weights.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from genwright.core.errors import GenwrightError
from genwright.core.files import digest, flush, is_finite, json_text, make_readable
from genwright.training.checkpoint_files import (
    FROZEN,
    MANIFEST,
    STATE,
    listed_in,
    numbered,
    place_of,
    state_of,
)
from genwright.training.checkpoint_files import folder_of as folder_of
from genwright.training.checkpoint_files import steps as steps
from genwright.training.state_tensors import Tensors

# ---- writing


def save(
    root: Path,
    step: int,
    tensors: Tensors,
    state: Mapping[str, Any],
    frozen: Iterable[str] = (),
) -> Path:
    """Writes checkpoint `step` under `root`. tensors: file stem -> name -> tensor. frozen: names of
    the files that `store_frozen` wrote for it. Raises GenwrightError on a full disk or without
    permission; what was there before stays as it was."""
    final = folder_of(root, step)
    temporary = root / f".{final.name}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for stem, named in tensors.items():
            _write_tensors(temporary / f"{stem}.safetensors", named)
        (temporary / STATE).write_text(json_text(state, indent=1), encoding="utf-8")
        listed = {path.name: digest(path) for path in sorted(temporary.iterdir())}
        listed |= {name: Path(name).stem for name in sorted(frozen)}
        (temporary / MANIFEST).write_text(json_text(listed, indent=1), encoding="utf-8")
        for path in [*temporary.iterdir(), temporary]:
            flush(path)
        # the same step again, after a rollback: set aside until the new one is in place
        if final.exists():
            os.replace(final, root / f".{final.name}.old.tmp")
        os.replace(temporary, final)
        flush(root)
    except Exception as problem:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _explained(problem, final) from problem
    return final


def store_frozen(run: Path, named: Mapping[str, Tensor]) -> list[str]:
    """Writes what is frozen into the folder of a run, a file for each module, unless it is there.
    named: "module.name" -> tensor. Returns the names of the files, for `save`. Raises as `save`
    does."""
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in named.items():
        modules.setdefault(name.partition(".")[0], {})[name] = tensor
    stored = []
    folder = run / FROZEN
    for of_module in modules.values():
        temporary = folder / f".{secrets.token_hex(8)}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_tensors(temporary, of_module)
            found = digest(temporary)
            flush(temporary)
            # also where it is there already: what is there may be damaged
            os.replace(temporary, folder / f"{found}.safetensors")
            flush(folder)
        except Exception as problem:
            temporary.unlink(missing_ok=True)
            raise _explained(problem, folder) from problem
        stored.append(f"{FROZEN}/{found}.safetensors")
    return stored


def _write_tensors(path: Path, named: Mapping[str, Tensor]) -> None:
    # a copy of each, for safetensors refuses tensors that share memory
    save_file({n: t.detach().cpu().contiguous().clone() for n, t in named.items()}, path)
    make_readable(path)


def _explained(problem: Exception, path: Path) -> Exception:
    """The error to raise for a failure to write: one with a remedy for a full disk and for missing
    permission, any other as it is."""
    code = getattr(problem, "errno", None)
    text = str(problem)
    if code in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text or "os error 28" in text:
        what = f"the disk is full: checkpoint {path} was not written, earlier ones are whole"
        return GenwrightError(what, "free some space and train --resume")
    if isinstance(problem, PermissionError) or "Permission denied" in text:
        remedy = "change its owner or choose another folder with --run"
        return GenwrightError(f"no permission to write {path}", remedy)
    return problem


# ---- reading


def _stem_of(name: str) -> str:
    """What a file of a manifest holds: what is frozen belongs to the weights."""
    if name.startswith(f"{FROZEN}/"):
        return "weights"
    return Path(name).stem


def _wanted(listed: Mapping[str, str], only: Collection[str] | None) -> list[str]:
    """The files of a manifest that hold something wanted; None: all of them."""
    return [name for name in listed if only is None or _stem_of(name) in only]


def has(folder: Path, stem: str) -> bool:
    """Whether a checkpoint was written with such a file ("ema"), be it there still or not."""
    listed = listed_in(folder)
    return listed is not None and f"{stem}.safetensors" in listed


def faults(folder: Path, only: Collection[str] | None = None) -> list[str]:
    """What is wrong with a checkpoint: missing, truncated or changed files. Empty when it is whole.
    only: stems of the files that are looked at ("weights", "ema"); all without."""
    listed = listed_in(folder)
    if listed is None:
        return [f"{MANIFEST} is missing or unreadable"]
    names = _wanted(listed, only)
    missing = [name for name in names if not place_of(folder, name).is_file()]
    if missing:
        return [f"{name} is missing" for name in missing]
    changed = [name for name in names if digest(place_of(folder, name)) != listed[name]]
    return [f"{name} is not what was written" for name in changed]


def reached(root: Path) -> int:
    """The last step of a checkpoint that was written to its end, by its manifest; 0 where there is
    none."""
    whole = [step for step in steps(root) if (folder_of(root, step) / MANIFEST).is_file()]
    return max(whole, default=0)


def empty(root: Path) -> list[Path]:
    """Folders that bear a checkpoint's name and hold nothing."""
    folders = [folder_of(root, step) for step in numbered(root)]
    return [folder for folder in folders if not any(folder.iterdir())]


def load(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Tensors (file stem -> name -> tensor) and state of a checkpoint, every digest verified.
    Raises GenwrightError where something is damaged."""
    tensors = read_tensors(folder)
    return tensors, state_of(folder)


def read_tensors(folder: Path, only: Collection[str] | None = None) -> dict[str, dict[str, Tensor]]:
    """Tensors of a checkpoint: file stem -> name -> tensor; what is frozen is among the weights.
    only: stems of the files that are opened and verified; all without. Raises GenwrightError where
    one of them is damaged."""
    wrong = faults(folder, only)
    if wrong:
        raise GenwrightError(
            f"checkpoint {folder} is damaged: {', '.join(wrong)}",
            "use an earlier one (--step) or train --resume, which falls back by itself",
        )
    tensors: dict[str, dict[str, Tensor]] = {}
    for name in _wanted(listed_in(folder) or {}, only):
        if name.endswith(".safetensors"):
            tensors.setdefault(_stem_of(name), {}).update(load_file(place_of(folder, name)))
    return tensors


def _nothing(text: str) -> None:
    """Says nothing."""


def newest(
    root: Path,
    say: Callable[[str], None] = _nothing,
    before: int | None = None,
    only: Collection[str] | None = None,
) -> Path | None:
    """The newest whole checkpoint (with `before`, of the scheduled ones up to that step), None
    where there is none at all. Damaged ones, and folders that hold none, are named through `say`.
    only: as of `faults`. Raises GenwrightError when there are some and none is whole."""
    for folder in empty(root):
        say(f"{folder} is empty, and passed over")
    found = [step for step in steps(root) if before is None or step <= before]
    for step in reversed(found):
        folder = folder_of(root, step)
        wrong = faults(folder, only)
        if wrong:
            damage = f"checkpoint {folder} is damaged ({', '.join(wrong)})"
            say(f"{damage}: falling back to an earlier one")
        elif before is None or state_of(folder).get("scheduled", True):
            return folder
    if found and before is None:
        raise GenwrightError(
            f"no checkpoint under {root} is whole",
            "start again with another --run; nothing here was deleted",
        )
    return None


def result(
    root: Path,
    say: Callable[[str], None] = _nothing,
    only: Collection[str] | None = None,
) -> Path | None:
    """The checkpoint that stands for a run: the one that its newest whole checkpoint names, where
    what came later was no good, else that one. The arguments, and what is raised: as of
    `newest`."""
    last = newest(root, say, only=only)
    if last is None:
        return None
    named = state_of(last).get("result")
    if named is None:
        return last
    found = folder_of(root, int(named))
    if faults(found, only):
        say(f"checkpoint {found}, the run's result, is damaged: falling back to the last one")
        return last
    return found


# ---- what is kept


def set_aside(root: Path, after: int) -> list[Path]:
    """Renames checkpoints later than step `after`, which a run fell or rolled back behind: kept for
    a person, seen by nothing here."""
    places = []
    for step in steps(root):
        if step > after:
            folder = folder_of(root, step)
            place = root / f"aside-{folder.name}"
            shutil.rmtree(place, ignore_errors=True)
            os.replace(folder, place)
            places.append(place)
    return places


def prune(root: Path, keep: int, good: int | None = None) -> None:
    """Deletes all but the newest `keep` scheduled checkpoints, the last of them up to step `good`,
    the best by held-out loss, and the newest of all; then what is frozen and no checkpoint
    lists."""
    states = {}
    for step in steps(root):
        try:
            states[step] = state_of(folder_of(root, step))
        except GenwrightError:
            continue  # damaged: kept, for a person to look at
    scheduled = [step for step, state in states.items() if state.get("scheduled", True)]
    kept = set(scheduled[-keep:]) | {max(states, default=0)}
    if good is not None:
        kept.add(max((step for step in scheduled if step <= good), default=0))
    measured = [step for step, state in states.items() if is_finite(state.get("held_out"))]
    if measured:
        kept.add(min(measured, key=lambda step: (states[step]["held_out"], step)))
    for step in states:
        if step not in kept:
            shutil.rmtree(folder_of(root, step), ignore_errors=True)
    for leftover in root.glob(".step-*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)
    _prune_frozen(root)


def _prune_frozen(root: Path) -> None:
    """Deletes the files of what is frozen that no checkpoint lists, set aside ones included;
    nothing while a manifest cannot be read, for it may list any of them."""
    listed: set[str] = set()
    for folder in [*root.glob("step-*"), *root.glob("aside-step-*")]:
        if folder.is_dir() and any(folder.iterdir()):
            manifest = listed_in(folder)
            if manifest is None:
                return
            listed |= manifest.keys()
    for path in (root.parent / FROZEN).glob("*.safetensors"):
        if f"{FROZEN}/{path.name}" not in listed:
            path.unlink(missing_ok=True)
    for leftover in (root.parent / FROZEN).glob(".*.tmp"):
        leftover.unlink(missing_ok=True)
