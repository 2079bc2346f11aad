"""What happens between steps: held-out evaluation, and progress."""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from genwright.training.loop import Hook
from genwright.training.records import Records
from genwright.training.state import State

Result = TypeVar("Result")
SMOOTHING = 0.95  # of the loss that is shown, a step


def due(step: int, every: int, last: int) -> bool:
    """Every so many steps (0: never), and at the last one."""
    return step == last or (every > 0 and step % every == 0)


class Evaluate(Hook):
    """Calls `measure(step)` (on every rank, with averaged weights where there are any) every so
    many steps and at the last one."""

    def __init__(
        self,
        measure: Callable[[int], dict[str, float]],
        every: int,
        last: int,
        records: Records | None,
    ):
        self.measure = measure
        self.every = every
        self.last = last
        self.records = records

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Puts the figures under "held_out" for later hooks, and adds a line with the seconds it
        took."""
        if not due(state.step, self.every, self.last):
            return
        began = time.perf_counter()
        found = averaged(state, partial(self.measure, state.step))
        seconds = time.perf_counter() - began
        record["held_out"] = found
        if self.records:
            self.records.append({"step": state.step, "held_out": found, "seconds": seconds})


def averaged(state: State, call: Callable[[], Result]) -> Result:
    """Calls with every module's averaged weights in place."""
    with ExitStack() as stack:
        for weights in state.weights.values():
            stack.enter_context(weights.averaged())
        return call()


def smoothed(before: float, now: float | None) -> float:
    """A running mean with one value more. before: NaN at first. now: None or NaN where there is
    none."""
    if now is None or math.isnan(now):
        return before
    if math.isnan(before):
        return now
    return SMOOTHING * before + (1 - SMOOTHING) * now


def shares(record: Mapping[str, Any]) -> list[str]:
    """What parts of a step took of its time, in words: those that its record names NAME_seconds."""
    found = []
    for name, seconds in record.items():
        if name.endswith("_seconds"):
            share = seconds / max(record["seconds"], 1e-9)
            found.append(f"{name.removesuffix('_seconds')} {share:.0%}")
    if found:
        found[-1] += " of the time"
    return found


class Live(Hook):
    """The live line of a run: step, loss, held-out loss, speed, memory, time left. On a terminal it
    moves, at most four times a second, so that looking costs nothing; elsewhere it is a line now
    and then.

    console: where to. name: of the run. steps: of the whole run. unit: what speed counts."""

    def __init__(self, console: Console, name: str, steps: int, unit: str):
        self.console = console
        self.name = name
        self.steps = steps
        self.unit = unit
        self.moves = console.is_terminal
        self.every = 0.25 if self.moves else 10.0  # seconds from one showing to the next
        self.shown = 0.0  # when it was last shown
        self.first = -1  # the step before the run's first one
        self.began = 0.0  # when that ended
        self.loss = math.nan  # running mean
        self.reward = math.nan  # likewise, of runs that have one
        self.held_out = ""
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            auto_refresh=False,
        )

    @property
    def begun(self) -> bool:
        """Whether a step was shown."""
        return self.first >= 0

    def text(self, record: dict[str, Any]) -> str:
        """What is shown of a step, beside its number."""
        parts = []
        if not math.isnan(self.loss):
            parts.append(f"smoothed loss {self.loss:.3f}{self.held_out}")
        if not math.isnan(self.reward):
            parts.append(f"reward {self.reward:.3f}")
        speed = record.get(f"{self.unit}_per_second")
        if speed:
            parts.append(f"{speed:,.0f} {self.unit}/s")
        if "memory_mb" in record:
            parts.append(f"{record['memory_mb']:,.0f} MB")
        return ", ".join([*parts, *shares(record)])

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Shows the record where enough time has passed, and always at the last step; skipped steps
        are told at once."""
        now = time.monotonic()
        if not self.begun:
            self._begin(state.step - 1, now - record["seconds"])
        self._take(record)
        if "skipped" in record:
            self.console.print(f"[yellow]skipped:[/] {record['skipped']}", highlight=False)
        if now - self.shown < self.every and state.step < self.steps:
            return
        self.shown = now
        if self.moves:
            self.progress.update(
                TaskID(0), completed=state.step, text=self.text(record), refresh=True
            )
            return
        each = (now - self.began) / max(1, state.step - self.first)  # seconds of a step
        line = f"step {state.step}/{self.steps}: {self.text(record)}"
        if state.step < self.steps:
            line += f", {each * (self.steps - state.step):,.0f} s left"
        # one line, however long: a log is read by programs too
        self.console.print(line, highlight=False, soft_wrap=True)

    def _begin(self, step: int, now: float) -> None:
        """Before the first step that is seen, which is not the run's when it was resumed."""
        self.first = step
        self.began = now
        if self.moves:
            self.progress.add_task(self.name, total=self.steps, completed=step, text="")
            self.progress.start()

    def _take(self, record: dict[str, Any]) -> None:
        """Takes up the losses and the reward of a step, where there are any."""
        self.loss = smoothed(self.loss, record.get("loss"))
        self.reward = smoothed(self.reward, record.get("reward"))
        held_out = record.get("held_out", {})
        if "loss" in held_out:
            self.held_out = f" (held out {held_out['loss']:.3f})"

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self.moves:
            self.progress.stop()
