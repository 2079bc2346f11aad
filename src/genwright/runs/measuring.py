"""What is measured on the schedule of evaluations while a run trains: the held-out split and, of
what is drawn on the way, samples."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

from genwright.core.content import Opened
from genwright.core.contracts import Objective
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError
from genwright.core.registry import kinds
from genwright.evaluation.held_out import measure, unit_of
from genwright.recipe.schema import Recipe
from genwright.runs.content import registered
from genwright.runs.parts import RunParts
from genwright.runs.watch import GroupWatch, Watch, WatchGroups, check_draws
from genwright.training.engine import Engine

log = logging.getLogger(__name__)

AT_ONCE = 64  # examples that are measured at once, at most
PART = 0.1  # of an evaluation, by which it is estimated what a whole one takes
FEWEST = 16  # samples of such a part, at least

# step -> metrics, called on every rank
MeasureStep = Callable[[int], dict[str, float]]


@runtime_checkable
class MeasuredStream(Protocol):
    """A stream that has something to measure of what it gave last."""

    def measured_at(self, step: int) -> dict[str, float]:
        """Metrics, on the schedule of evaluations."""


def measuring(parts: RunParts, folder: Path) -> MeasureStep | None:
    """What is called for the figures of a step; None where there is nothing to measure."""
    recipe, objective, dataset, stream, engine = parts
    held_out = _of_held_out(recipe, objective, dataset, stream.size, engine)
    if held_out is None and engine.main:
        log.info(_too_few(unit_of(objective)))
    watch = _of_samples(recipe, folder, objective, dataset, engine)
    of_stream = isinstance(stream, MeasuredStream)
    if held_out is None and watch is None and not of_stream:
        return None

    def measured(step: int) -> dict[str, float]:
        found: dict[str, float] = {}
        if held_out is not None:
            found |= held_out(step)
        if watch is not None:
            found |= watch(step)
        if isinstance(stream, MeasuredStream):
            found |= stream.measured_at(step)
        return found

    return measured


class EvaluationTime(NamedTuple):
    """Seconds that an evaluation takes, and that the first one takes on top."""

    each: float
    once: float


def evaluation_time(parts: RunParts, folder: Path) -> EvaluationTime:
    """About how long one evaluation takes: a part of it is measured twice, for the first time pays
    for what is kept. What a stream and watched groups add is not in it: it needs a rollout, or a
    network that must learn first. folder: where samples are written."""
    recipe, objective, dataset, stream, engine = parts
    measures: list[tuple[MeasureStep, float]] = []  # and how much more the whole is
    windows = _seen(objective, dataset, recipe)
    least = max(unit_of(objective), _at_once(recipe, stream.size) * engine.size)
    few = min(windows, max(least, math.ceil(PART * windows)))
    held_out = _of_held_out(recipe, objective, dataset, stream.size, engine, few)
    if held_out is not None:
        measures.append((held_out, windows / few))
    samples = recipe.watching.samples
    few = min(samples, max(FEWEST, math.ceil(PART * samples)))
    watching = recipe.watching.model_copy(update={"samples": few, "groups": {}})
    watched = recipe.model_copy(update={"watching": watching})
    watch = _of_samples(watched, folder, objective, dataset, engine)
    if watch is not None:
        measures.append((watch, samples / few))
    each = 0.0
    once = 0.0
    for measured, times in measures:
        began = time.perf_counter()
        measured(0)
        first = time.perf_counter() - began
        measured(0)
        second = time.perf_counter() - began - first
        each += times * second
        once += max(0.0, first - second)
    return EvaluationTime(each, once)


def _at_once(recipe: Recipe, batch_size: int) -> int:
    """Held-out examples that a rank measures at once; no figure depends on it."""
    return min(AT_ONCE, recipe.training.micro_batch or batch_size)


def _seen(objective: Objective, dataset: Dataset, recipe: Recipe) -> int:
    """How many held-out examples an evaluation sees."""
    unit = unit_of(objective)
    windows = dataset.held_out(lookahead=recipe.objective.lookahead).windows
    limit = registered(dataset.codec.content).held_out_seen
    return min(windows, limit or windows) // unit * unit


def _of_held_out(
    recipe: Recipe,
    objective: Objective,
    dataset: Dataset,
    batch_size: int,
    engine: Engine,
    limit: int | None = None,
) -> MeasureStep | None:
    """None where too little is held out. limit: examples that are seen; None: as many as of this
    kind of content."""
    windows = dataset.held_out(lookahead=recipe.objective.lookahead)
    if windows.windows < unit_of(objective):
        return None
    at_once = _at_once(recipe, batch_size)
    if limit is None:
        limit = registered(dataset.codec.content).held_out_seen

    def held_out(step: int) -> dict[str, float]:
        return measure(
            objective, windows, batch=at_once, seed=recipe.seed, engine=engine, limit=limit
        )

    return held_out


def _too_few(unit: int) -> str:
    """unit: examples that are measured together."""
    if unit == 1:
        return "nothing is held out: this run has no held-out figures"
    return f"fewer than {unit} examples are held out"


def _opened(recipe: Recipe, objective: Objective, dataset: Dataset, name: str) -> Opened:
    def the_dataset() -> Dataset:
        return dataset

    return Opened(objective, dataset.codec, recipe.sampling, the_dataset, name)


def watched_groups(recipe: Recipe, opened: Opened) -> GroupWatch | None:
    """What tells the groups that a recipe watches; None where it watches none. Raises
    GenwrightError for names of groups or bands that are none."""
    if not recipe.watching.groups:
        return None
    if not recipe.watching.samples:
        raise GenwrightError(
            "watching.groups is of samples, and watching.samples is 0",
            "set watching.samples=200, or leave watching.groups out",
        )
    content = registered(opened.codec.content)
    groups: GroupWatch = kinds("group_watch")["groups"](opened, content, recipe.watching)
    return groups


def check_watched(recipe: Recipe, objective: Objective, dataset: Dataset) -> None:
    """Raises GenwrightError for watched groups that are none, without drawing anything."""
    watched_groups(recipe, _opened(recipe, objective, dataset, recipe.name))


def _of_samples(
    recipe: Recipe, folder: Path, objective: Objective, dataset: Dataset, engine: Engine
) -> MeasureStep | None:
    """Raises GenwrightError for groups that cannot be watched."""
    samples = recipe.watching.samples
    opened = _opened(recipe, objective, dataset, folder.name)
    groups = watched_groups(recipe, opened)
    if not samples:
        return None
    content = registered(dataset.codec.content)
    watcher = content.watcher(opened, samples, recipe.seed)
    if watcher is not None:
        return Watch(folder, objective, watcher, engine, groups)
    if groups is not None:
        check_draws(opened, content, engine)
        return WatchGroups(opened, content, samples, engine, groups)
    return None
