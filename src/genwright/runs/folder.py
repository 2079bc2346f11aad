"""A run's folder: one writer at a time, nothing overwritten, and what a run is written down before
its first step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, lock, whole_file, write_whole
from genwright.recipe.schema import Recipe
from genwright.runs import assemble
from genwright.runs.environment import environment
from genwright.training.engine import Engine

LOCK = ".lock"
TRIAL = "trial"  # what is written to learn how long that takes, until it is known
# what a start writes before its folder is a run's
BEFORE_A_RUN = ("codec", "environment.json", assemble.HELD, TRIAL)


def check_folder(folder: Path, resume: bool) -> None:
    """Raises GenwrightError where a new run would overwrite something, or where there is no run to
    resume."""
    # what a start leaves that was stopped before it was a run may be written over
    may_be_there = {LOCK, *BEFORE_A_RUN}
    taken = folder.exists() and any(path.name not in may_be_there for path in folder.iterdir())
    if taken and not resume:
        raise GenwrightError(
            f"{folder} exists already, and a run is never overwritten",
            "go on with --resume, or choose another folder with --run",
        )
    if resume and not (folder / "recipe.yaml").is_file():
        raise GenwrightError(
            f"there is no run in {folder} to resume",
            "start it without --resume, or name its folder with --run",
        )


@contextmanager
def locked(folder: Path, engine: Engine, resume: bool) -> Iterator[None]:
    """One writer a folder. Rank 0 locks, then checks what is there, so that of two that start at
    once one sees what the other made. The other ranks follow. Raises GenwrightError."""
    problem: GenwrightError | None = None
    handle: IO[str] | None = None
    fresh = not (folder / LOCK).exists()
    if engine.main:
        try:
            if resume:  # which makes no folder
                check_folder(folder, resume)
            folder.mkdir(parents=True, exist_ok=True)
            handle = lock(folder / LOCK)
            check_folder(folder, resume)
        except GenwrightError as error:
            problem = error
        except BlockingIOError:
            problem = GenwrightError(
                f"another process is training in {folder}",
                "wait for it, or choose another folder with --run",
            )
        except OSError as error:
            problem = GenwrightError(
                f"{folder} cannot be written ({error.strerror})",
                "choose another folder with --run, or change its permissions",
            )
    try:
        engine.raise_on_all(problem)
        yield
    finally:
        if handle:
            _unlock(folder, handle, fresh)


def _unlock(folder: Path, handle: IO[str], fresh: bool) -> None:
    """Leaves no lock, and no folder, where no run was begun. fresh: the lock was not there
    before."""
    names = {path.name for path in folder.iterdir()}
    begun = names & {"recipe.yaml", *BEFORE_A_RUN}
    if names == {LOCK} or (fresh and not begun):
        (folder / LOCK).unlink(missing_ok=True)
    if names == {LOCK}:
        folder.rmdir()
    handle.close()


def write_new_run(
    folder: Path, recipe: Recipe, dataset: Dataset, engine: Engine, extra: Mapping[str, Any]
) -> None:
    """What a run is, before its first step. extra: what its environment.json holds besides
    versions, hardware and data."""
    dataset.codec.save(folder / "codec")
    if dataset.held is not None:
        _write_keys(folder / assemble.HELD, dataset.held.keys)
    _write_facts(folder, recipe, environment(dataset, engine, extra))


def write_resumed_run(
    folder: Path, recipe: Recipe, before: Mapping[str, Any], overrides: Mapping[str, Any]
) -> None:
    """What a run is that goes on. before: its environment, as it was written when the run was
    started."""
    _write_facts(folder, recipe, dict(before) | {"overrides": dict(overrides)})


def _write_facts(folder: Path, recipe: Recipe, facts: Mapping[str, Any]) -> None:
    """facts: what environment.json holds."""
    write_whole(folder / "environment.json", json_text(facts, indent=1))
    write_whole(folder / "recipe.yaml", recipe.dump())  # last: what makes the folder a run


def _write_keys(path: Path, keys: np.ndarray) -> None:
    with whole_file(path) as file:
        np.save(file, keys, allow_pickle=False)
