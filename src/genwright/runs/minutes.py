"""`training.minutes`: how many steps a run has, decided once, when it starts.

1. A few steps are played (`training/trial.py`), a part of an evaluation and a checkpoint are timed.
2. By what they take, and what the timing took, the most steps that fit are found
   (`training/duration.py`); rank 0 decides for all.
3. The run is then one of so many steps, as if they had been asked for: its networks are built anew,
   its schedule is over them, and its own recipe says them. What was decided, and by what, stands in
   environment.json; a run that is resumed measures nothing.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from genwright.core.contracts import Objective, Stream
from genwright.core.progress import task
from genwright.recipe.schema import Recipe
from genwright.runs import assemble
from genwright.runs.measuring import evaluation_time
from genwright.runs.parts import RunParts
from genwright.training.duration import LEAST, Costs, seconds_of, steps_that_fit
from genwright.training.engine import Engine
from genwright.training.precision import DTYPES
from genwright.training.trial import Tried, seconds_of_saving, tried

SHARE = 1 / 40  # of the time, that goes into steps that are thrown away


class Fit(NamedTuple):
    """What is decided. minutes, asked: as in the recipe, asked being its steps. fitting: as many of
    them fit into the minutes. costs: by what that was found."""

    minutes: float
    asked: int
    fitting: int
    costs: Costs

    @property
    def steps(self) -> int:
        """Of the run."""
        return min(self.asked, max(LEAST, self.fitting))

    def __str__(self) -> str:
        """For a person."""
        minutes = f"{self.minutes:g} minutes here"
        if self.steps > self.fitting:
            return f"fewer than {self.steps} steps fit in {minutes}, and {self.steps} are taken"
        if self.steps == self.asked:
            return f"all {self.asked:,} steps fit in {minutes}"
        return f"{self.steps:,} of {self.asked:,} steps fit in {minutes}"

    def to_json(self) -> dict[str, Any]:
        """What a run keeps of it."""
        return {
            "minutes": self.minutes,
            "asked": self.asked,
            "steps": self.steps,
            "seconds": self.costs._asdict(),
        }


def dtype_of(recipe: Recipe) -> torch.dtype:
    """What a run computes in; fp32 where that is still to be measured."""
    return DTYPES.get(recipe.training.precision, torch.float32)


def step_time(
    recipe: Recipe, objective: Objective, stream: Stream, engine: Engine, seconds: float, least: int
) -> Tried:
    """What a step takes. The objective's modules have moved afterwards. Raises GenwrightError."""
    training = recipe.training
    dtype = dtype_of(recipe)
    with task("timing steps"):
        return tried(objective, stream, training, engine, recipe.seed, dtype, seconds, least)


def fitted(parts: RunParts, folder: Path) -> Fit:
    """How many steps fit into the minutes that the recipe gives. folder: a new one, for what is
    written to be timed; it is gone afterwards. The objective's modules have moved. Raises
    GenwrightError."""
    recipe, objective, _, stream, engine = parts
    training = recipe.training
    minutes = training.minutes
    assert minutes
    if training.steps <= LEAST:
        return Fit(minutes, training.steps, training.steps, Costs(0.0))
    began = time.perf_counter()
    is_compiled = training.compile and not assemble.compiled(objective, engine.device)
    step = step_time(recipe, objective, stream, engine, SHARE * 60 * minutes, least=2)
    try:
        evaluation = evaluation_time(parts, folder)
        saving = seconds_of_saving(objective, step.state, engine, folder)
    finally:
        if engine.main:
            shutil.rmtree(folder, ignore_errors=True)
    once = evaluation.once + time.perf_counter() - began
    if is_compiled:  # the networks of the run are compiled again
        once += max(0.0, step.first - step.step)
    costs = Costs(step.step, evaluation.each, saving, once)
    costs = Costs(*engine.broadcast(list(costs)))
    return Fit(minutes, training.steps, steps_that_fit(60 * minutes, costs, training), costs)


def minutes_of(steps: int, fit: Fit, recipe: Recipe) -> float:
    """What a run of so many steps takes."""
    return seconds_of(steps, fit.costs, recipe.training) / 60
