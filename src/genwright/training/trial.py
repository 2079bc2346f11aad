"""Steps that are played to learn how long they take, and thrown away.

1. They are the loop's own and whole: draws of the stream, gradients, what ranks exchange, updates.
2. The first one is not counted where there are others: it pays for what is made once (kernels that
   are chosen, memory that is asked for).
3. The mean of the others counts, for an objective may do more at some steps than at others (a
   penalty every few steps), which a median would not see. A step that other work of the machine
   delayed counts `FAR` times the median at most.

The modules have moved afterwards. They are not copied before, for there may be no room for two:
whoever trains them builds them anew, from the same seed.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genwright.core.contracts import Batch, Objective, Source, Stream
from genwright.training import checkpoint, loop, state_tensors
from genwright.training.engine import Engine
from genwright.training.settings import Training
from genwright.training.state import State

MOST = 30  # steps that are played
FAR = 3.0


class Tried(NamedTuple):
    """first, step: seconds of the first step, and of a later one. state: behind the last one."""

    first: float
    step: float
    state: State


class FirstRows:
    """A stream whose batches are the first rows of another one's."""

    def __init__(self, stream: Stream, size: int):
        self.whole = stream
        self.size = size
        self.units = stream.units
        self.unit = stream.unit

    def batch(self, position: int, examples: Tensor, policy: Any = None) -> Batch:
        """As of the other one."""
        return self.whole.batch(position, examples, policy)

    def sources(self, position: int, examples: Tensor) -> list[Source]:
        """As of the other one."""
        return self.whole.sources(position, examples)


class _Clock(loop.Hook):
    """Notes the seconds of steps, and ends them when there are enough, by the clock of rank 0."""

    def __init__(self, engine: Engine, seconds: float, least: int):
        self.engine = engine
        self.seconds = seconds
        self.least = least
        self.times: list[float] = []

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Notes them."""
        self.times.append(record["seconds"])

    def stop(self, state: State) -> bool:
        """Whether there are enough."""
        is_enough = len(self.times) >= self.least and sum(self.times) >= self.seconds
        return bool(self.engine.broadcast(is_enough))


def tried(
    objective: Objective,
    stream: Stream,
    settings: Training,
    engine: Engine,
    seed: int,
    dtype: torch.dtype,
    seconds: float,
    least: int = 2,
) -> Tried:
    """Plays `least` steps and, until `seconds` have passed, more. Raises GenwrightError as
    `loop.start` and `loop.run` do."""
    clock = _Clock(engine, seconds, least)
    state = loop.start(objective, settings, engine, seed, dtype)
    last = min(MOST, settings.steps)
    with suppress(loop.Rollback):  # what is not finite takes as long
        loop.run(objective, stream, state, last, settings=settings, engine=engine, hooks=[clock])
    return Tried(clock.times[0], typical(clock.times), state)


def typical(times: Sequence[float]) -> float:
    """Seconds of a step, by those of the first steps."""
    later = times[1:] or times
    longest = FAR * median(later)
    return fmean(min(each, longest) for each in later)


def seconds_of_saving(objective: Objective, state: State, engine: Engine, root: Path) -> float:
    """What a checkpoint takes, by one that is written below `root`. Every rank calls it. Raises
    GenwrightError where it cannot be written."""
    began = time.perf_counter()
    files, plain = state_tensors.take(objective, state, frozen=False)
    if engine.main:
        checkpoint.save(root, state.step, files, plain)
    return time.perf_counter() - began
