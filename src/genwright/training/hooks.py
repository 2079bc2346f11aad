"""What happens between steps: records, held-out evaluation, checkpoints, interruption, in the order of a step's end; and progress."""

from __future__ import annotations

import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from genwright.contracts import Objective
from genwright.errors import GenwrightError
from genwright.training import checkpoint, snapshot
from genwright.training.engine import Engine
from genwright.training.launch import orphaned
from genwright.training.loop import Hook, State
from genwright.training.records import Records


def memory_mb() -> float:
    """Peak memory of this process so far, in MB: the GPU's where there is one."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


class Log(Hook):
    """Writes each step's record; the first of the hooks, on the rank that writes."""

    def __init__(self, records: Records):
        self.records, self.calls, self.memory = records, 0, memory_mb()

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        if self.calls % 50 == 0:  # asking the system costs more than a small step may
            self.memory = memory_mb()
        self.calls += 1
        record["memory_mb"] = round(self.memory, 1)
        self.records.append(record)


class Evaluate(Hook):
    """Calls `measure(step)` (on every rank, with averaged weights where there are any) every so many steps and at the last one."""

    def __init__(self, measure: Callable[[int], dict[str, float]], every: int, last: int, records: Records | None):
        self.measure, self.every, self.last, self.records = measure, every, last, records
        self.newest: tuple[int, float] | None = None  # step, held-out loss

    def due(self, step: int) -> bool:
        return step == self.last or (self.every > 0 and step % self.every == 0)

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        if not self.due(state.step):
            return
        began = time.perf_counter()
        found = averaged(state, lambda: self.measure(state.step))
        if "loss" in found:
            self.newest = (state.step, found["loss"])
        record["held_out"] = found
        if self.records:
            self.records.append({"step": state.step, "held_out": found, "seconds": time.perf_counter() - began})


def averaged(state: State, call: Callable[[], Any]) -> Any:
    """Calls with every module's averaged weights in place."""
    with ExitStack() as stack:
        for weights in state.weights.values():
            stack.enter_context(weights.averaged())
        return call()


class Checkpoints(Hook):
    """Saves every so many steps and at the last one. A save that fails (full disk) is said; training goes on and tries again."""

    def __init__(
        self, root: Path, objective: Objective, engine: Engine, *, every: int, last: int, keep: int, records: Records | None = None,
        evaluate: Evaluate | None = None, say: Callable[[str], None] = print,
    ):  # fmt: skip
        self.root, self.objective, self.engine, self.every, self.last, self.keep = root, objective, engine, every, last, keep
        self.records, self.evaluate, self.say = records, evaluate, say
        self.saved, self.failure = -1, ""

    def due(self, step: int) -> bool:
        return step == self.last or step == 0 or (self.every > 0 and step % self.every == 0)

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        if self.due(state.step) and (state.bad == 0 or state.step == self.last):  # a rollback must not end among bad steps
            self.save(state, scheduled=True)

    def save(self, state: State, scheduled: bool) -> None:
        """One checkpoint; every rank calls it, rank 0 writes. What went wrong is kept in `failure`."""
        files, plain = snapshot.take(self.objective, state)
        self.failure = ""
        if self.engine.main:
            held_out = self.evaluate.newest[1] if self.evaluate and self.evaluate.newest and self.evaluate.newest[0] == state.step else None
            length = self.records.flush(to_disk=True) if self.records else 0
            plain |= {"scheduled": scheduled, "held_out": held_out, "metrics_bytes": length}
            try:
                checkpoint.save(self.root, state.step, files, plain)
                checkpoint.prune(self.root, self.keep)
            except GenwrightError as problem:
                self.failure = str(problem)
                self.say(self.failure)
        self.failure = self.engine.broadcast(self.failure)
        if not self.failure:
            self.saved = state.step


class Interrupt(Hook):
    """SIGTERM and Ctrl-C let the step end; then the run saves and stops. A second Ctrl-C ends it at once."""

    def __init__(self, engine: Engine):
        self.engine, self.signal = engine, 0
        self.before: dict[int, Any] = {}  # signal -> the handler that was there

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self.before[number] = signal.signal(number, self.take)
        return self

    def __exit__(self, *what) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def take(self, number: int, frame) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def stop(self, state: State) -> bool:
        return self.engine.any(bool(self.signal) or orphaned())


class Live(Hook):
    """The live line of a run: step, loss, held-out loss, speed, memory, time left. On a terminal it moves, at most four times a second, so
    that looking costs nothing; elsewhere it is a line now and then. console: where to."""

    def __init__(self, console: Console, name: str, steps: int, unit: str):
        self.console, self.name, self.steps, self.unit, self.shown, self.began = console, name, steps, unit, 0.0, time.monotonic()
        self.first, self.loss, self.held_out = -1, float("nan"), ""
        self.task: TaskID | None = None

    def begin(self, first: int, seconds: float) -> None:
        """At the run's first step, which is not step 0 when it was resumed."""
        self.first, self.began = first, time.monotonic() - seconds
        if self.console.is_terminal:
            self.progress = Progress(
                TextColumn("[bold]{task.description}"), BarColumn(bar_width=24), TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.fields[text]}"), TimeRemainingColumn(elapsed_when_finished=True), console=self.console,
                auto_refresh=False,
            )  # fmt: skip
            self.task = self.progress.add_task(self.name, total=self.steps, completed=first, text="")
            self.progress.start()

    def text(self, record: dict[str, Any]) -> str:
        parts = [f"loss {self.loss:.3f}{self.held_out}"] if self.loss == self.loss else []
        speed = record.get(f"{self.unit}_per_second")
        parts += [f"{speed:,.0f} {self.unit}/s"] if speed else []
        return ", ".join([*parts, f"{record['memory_mb']:,.0f} MB"] if "memory_mb" in record else parts)

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        if self.first < 0:
            self.begin(state.step - 1, record["seconds"])
        loss = record.get("loss")
        if loss is not None and loss == loss:
            self.loss = loss if self.loss != self.loss else 0.95 * self.loss + 0.05 * loss
        if "held_out" in record and "loss" in record["held_out"]:
            self.held_out = f" (held out {record['held_out']['loss']:.3f})"
        if "skipped" in record:
            self.console.print(f"[yellow]skipped:[/] {record['skipped']}", highlight=False)
        now = time.monotonic()
        if now - self.shown < (0.25 if self.task is not None else 10) and state.step < self.steps:
            return
        self.shown = now
        if self.task is not None:
            self.progress.update(self.task, completed=state.step, text=self.text(record), refresh=True)
        else:
            left = (now - self.began) / max(1, state.step - self.first) * (self.steps - state.step)
            self.console.print(f"step {state.step}/{self.steps}: {self.text(record)}, {left:.0f} s left", highlight=False)

    def close(self) -> None:
        if self.task is not None:
            self.progress.stop()
