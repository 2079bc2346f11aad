"""Checkpoints: safetensors and JSON in one folder, digests of every file, published by one rename.

A checkpoint is written to a temporary folder beside its place, every file and folder is flushed to
disk, and the folder is renamed. A reader therefore sees it whole or not at all; what the disk does
afterwards (a flipped bit, a truncated file) the digests show, and `newest` falls back to the newest
one that is whole. In it a state is tensors and JSON by parameter name, so that any number of
processes can take it up.
"""

import errno
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from genwright.core.contracts import Objective
from genwright.core.errors import GenwrightError
from genwright.core.files import digest, flush, is_finite, json_text, readable
from genwright.training.state import State

# what `Weights` calls it -> the file it is in, and what stands before its names there
KINDS = {
    "weights": ("weights", ""),
    "ema": ("ema", ""),
    "first": ("optimizer", "first."),
    "second": ("optimizer", "second."),
}
PLAIN = ("step", "seed", "skipped", "bad", "rollbacks")  # of the state, as they are


def folder_of(root: Path, step: int) -> Path:
    return root / f"step-{step:08d}"


def save(
    root: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
) -> Path:
    """Writes checkpoint `step` under `root`. tensors: file stem -> name -> tensor. Raises
    GenwrightError on a full disk or without permission; what was there before stays as it was."""
    final = folder_of(root, step)
    temporary = root / f".{final.name}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        for stem, named in tensors.items():
            save_file(
                {n: t.detach().cpu().contiguous().clone() for n, t in named.items()},
                temporary / f"{stem}.safetensors",
            )
            readable(temporary / f"{stem}.safetensors")
        (temporary / "state.json").write_text(json_text(state, indent=1), encoding="utf-8")
        files = sorted(p for p in temporary.iterdir())
        (temporary / "manifest.json").write_text(
            json_text({p.name: digest(p) for p in files}, indent=1), encoding="utf-8"
        )
        for p in [*temporary.iterdir(), temporary]:
            flush(p)
        # the same step again, after a rollback: set aside until the new one is in place
        if final.exists():
            os.replace(final, root / f".{final.name}.old.tmp")
        os.replace(temporary, final)
        flush(root)
    except Exception as problem:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _sentence(problem, final) from problem
    return final


def _sentence(problem: Exception, path: Path) -> Exception:
    code = getattr(problem, "errno", None)
    text = str(problem)
    if code in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text or "os error 28" in text:
        what = f"the disk is full: checkpoint {path} was not written, earlier ones are whole"
        return GenwrightError(what, "free some space and train --resume")
    if isinstance(problem, PermissionError) or "Permission denied" in text:
        return GenwrightError(
            f"no permission to write {path}", "change its owner or choose another folder with --run"
        )
    return problem


def faults(folder: Path) -> list[str]:
    """What is wrong with a checkpoint: missing, truncated or changed files. Empty when it is
    whole."""
    try:
        items = dict(json.loads((folder / "manifest.json").read_text(encoding="utf-8"))).items()
    except (OSError, ValueError, TypeError):
        return ["manifest.json is missing or unreadable"]
    out = [f"{name} is missing" for name, _ in items if not (folder / name).is_file()]
    return out or [
        f"{name} is not what was written" for name, sha in items if digest(folder / name) != sha
    ]


def steps(root: Path) -> list[int]:
    """Steps of the checkpoints under `root`, in order, whole or not; a folder that holds nothing is
    none."""
    return [step for step in _numbered(root) if any(folder_of(root, step).iterdir())]


def reached(root: Path) -> int:
    """The last step of a checkpoint that was written to its end, by its manifest; 0 where there is
    none."""
    return max(
        (step for step in steps(root) if (folder_of(root, step) / "manifest.json").is_file()),
        default=0,
    )


def empty(root: Path) -> list[Path]:
    """Folders that bear a checkpoint's name and hold nothing."""
    return [
        folder_of(root, step)
        for step in _numbered(root)
        if not any(folder_of(root, step).iterdir())
    ]


def _numbered(root: Path) -> list[int]:
    """The steps that folders are named after."""
    found = (int(path.name[5:]) for path in root.glob("step-*") if path.name[5:].isdigit())
    return sorted(step for step in found if folder_of(root, step).is_dir())


def load(folder: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Tensors (file stem -> name -> tensor) and state of a checkpoint, every digest verified."""
    if wrong := faults(folder):
        what = f"checkpoint {folder} is damaged: {', '.join(wrong)}"
        raise GenwrightError(
            what, "use an earlier one (--step) or train --resume, which falls back by itself"
        )
    tensors = {p.stem: load_file(p) for p in sorted(folder.glob("*.safetensors"))}
    return tensors, json.loads((folder / "state.json").read_text(encoding="utf-8"))


def newest(root: Path, say=lambda text: None, before: int | None = None) -> Path | None:
    """The newest whole checkpoint (with `before`, of the scheduled ones up to that step), None
    where there is none at all. Damaged ones, and folders that hold none, are named through `say`.
    Raises GenwrightError when there are some and none is whole."""
    for folder in empty(root):
        say(f"{folder} is empty, and passed over")
    found = [s for s in steps(root) if before is None or s <= before]
    for step in reversed(found):
        folder = folder_of(root, step)
        if wrong := faults(folder):
            say(
                f"checkpoint {folder} is damaged ({', '.join(wrong)}): falling back to an earlier one"
            )
        elif before is None or json.loads((folder / "state.json").read_text(encoding="utf-8")).get(
            "scheduled", True
        ):
            return folder
    if found and before is None:
        raise GenwrightError(
            f"no checkpoint under {root} is whole",
            "start again with another --run; nothing here was deleted",
        )
    return None


def set_aside(root: Path, after: int) -> list[Path]:
    """Renames checkpoints later than step `after`, which a run fell or rolled back behind: kept for
    a person, seen by nothing here."""
    moved = {
        folder_of(root, step): root / f"aside-{folder_of(root, step).name}"
        for step in steps(root)
        if step > after
    }
    for folder, place in moved.items():
        shutil.rmtree(place, ignore_errors=True)
        os.replace(folder, place)
    return list(moved.values())


def prune(root: Path, keep: int) -> None:
    """Deletes all but the newest `keep` scheduled checkpoints, the best by held-out loss, and the
    newest of all."""
    states = {}
    for step in steps(root):
        try:
            states[step] = json.loads(
                (folder_of(root, step) / "state.json").read_text(encoding="utf-8")
            )
        except (OSError, ValueError):
            continue  # damaged: kept, for a person to look at
    scheduled = [s for s, state in states.items() if state.get("scheduled", True)]
    measured = [s for s, state in states.items() if is_finite(state.get("held_out"))]
    kept = set(scheduled[-keep:]) | {max(states, default=0)}
    kept |= {min(measured, key=lambda s: (states[s]["held_out"], s))} if measured else set()
    for step in states:
        if step not in kept:
            shutil.rmtree(folder_of(root, step), ignore_errors=True)
    for leftover in root.glob(".step-*.tmp"):
        shutil.rmtree(leftover, ignore_errors=True)


# ---- a state as tensors and JSON


def take(objective: Objective, state: State) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Tensors by file and name, and plain numbers. Under FSDP2 every rank must call it: shards are
    gathered."""
    files: dict[str, dict[str, Tensor]] = {}
    for module, weights in state.weights.items():
        for kind, (file, prefix) in KINDS.items():
            if named := {
                **weights.tensors(kind),
                **(buffers(objective.modules[module]) if kind == "weights" else {}),
            }:
                files.setdefault(file, {}).update(
                    {f"{prefix}{module}.{n}": t for n, t in named.items()}
                )
    plain = {name: getattr(state, name) for name in PLAIN}
    return files, plain | {"updates": {m: w.updates for m, w in state.weights.items()}}


def put(
    objective: Objective,
    state: State,
    files: Mapping[str, Mapping[str, Tensor]],
    plain: Mapping[str, Any],
) -> None:
    """The inverse of `take`, into a freshly started state of the same recipe."""
    for module, weights in state.weights.items():
        for kind, (file, prefix) in KINDS.items():
            weights.load(kind, cut(files.get(file, {}), f"{prefix}{module}."))
        weights.set_updates(plain["updates"][module])
        kept = cut(files["weights"], f"{module}.")
        for name, buffer in buffers(objective.modules[module]).items():
            buffer.copy_(kept[name])
    for name in PLAIN:
        setattr(state, name, plain[name])
    state.skipped = [(a, b) for a, b in state.skipped]  # JSON has no tuples


def buffers(module) -> dict[str, Tensor]:
    """The persistent buffers: what `state_dict` holds beside parameters."""
    parameters = {n for n, _ in module.named_parameters(remove_duplicate=False)}
    return {n: t for n, t in module.state_dict().items() if n not in parameters}


def cut(named: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n[len(prefix) :]: t for n, t in named.items() if n.startswith(prefix)}


def into_module(module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Loads saved weights and buffers into a plain module, names and shapes checked."""
    own = {**dict(module.named_parameters()), **buffers(module)}
    wrong = (own.keys() ^ tensors.keys()) | {
        n for n in own.keys() & tensors.keys() if own[n].shape != tensors[n].shape
    }
    if wrong:
        remedy = "use the recipe that these weights were trained with"
        raise GenwrightError(
            f"{what} does not fit this model ({', '.join(sorted(wrong)[:3])}, ...)", remedy
        )
    for name, tensor in own.items():
        tensor.data.copy_(tensors[name])
