"""What happens between steps: held-out evaluation, and progress."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from genwright.training.loop import Hook
from genwright.training.records import Records
from genwright.training.state import State


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
        if not due(state.step, self.every, self.last):
            return
        began = time.perf_counter()
        found = averaged(state, lambda: self.measure(state.step))
        record["held_out"] = found
        if self.records:
            self.records.append(
                {"step": state.step, "held_out": found, "seconds": time.perf_counter() - began}
            )


def averaged(state: State, call: Callable[[], Any]) -> Any:
    """Calls with every module's averaged weights in place."""
    with ExitStack() as stack:
        for weights in state.weights.values():
            stack.enter_context(weights.averaged())
        return call()


class Live(Hook):
    """The live line of a run: step, loss, held-out loss, speed, memory, time left. On a terminal it
    moves, at most four times a second, so that looking costs nothing; elsewhere it is a line now
    and then. console: where to."""

    def __init__(self, console: Console, name: str, steps: int, unit: str):
        self.console = console
        self.name = name
        self.steps = steps
        self.unit = unit
        self.shown = 0.0
        self.first = -1
        self.began = 0.0
        self.loss = float("nan")
        self.held_out = ""
        self.moves = console.is_terminal
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[text]}"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            auto_refresh=False,
        )

    def text(self, record: dict[str, Any]) -> str:
        parts = [f"loss {self.loss:.3f}{self.held_out}"] if self.loss == self.loss else []
        speed = record.get(f"{self.unit}_per_second")
        parts += [f"{speed:,.0f} {self.unit}/s"] if speed else []
        return ", ".join(
            [*parts, f"{record['memory_mb']:,.0f} MB"] if "memory_mb" in record else parts
        )

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        now = time.monotonic()
        if self.first < 0:  # the run's first step, which is not step 0 when it was resumed
            self.first = state.step - 1
            self.began = now - record["seconds"]
            if self.moves:
                self.progress.add_task(self.name, total=self.steps, completed=self.first, text="")
                self.progress.start()
        loss = record.get("loss")
        if loss is not None and loss == loss:
            self.loss = loss if self.loss != self.loss else 0.95 * self.loss + 0.05 * loss
        if "held_out" in record and "loss" in record["held_out"]:
            self.held_out = f" (held out {record['held_out']['loss']:.3f})"
        if "skipped" in record:
            self.console.print(f"[yellow]skipped:[/] {record['skipped']}", highlight=False)
        if now - self.shown < (0.25 if self.moves else 10) and state.step < self.steps:
            return
        self.shown = now
        if self.moves:
            self.progress.update(
                TaskID(0), completed=state.step, text=self.text(record), refresh=True
            )
        else:
            left = (now - self.began) / max(1, state.step - self.first) * (self.steps - state.step)
            self.console.print(
                f"step {state.step}/{self.steps}: {self.text(record)}, {left:.0f} s left",
                highlight=False,
            )

    def close(self) -> None:
        if self.moves:
            self.progress.stop()
