"""How far long work is, and how much time is left: a moving bar on a terminal, elsewhere a line now
and then, on stderr.

Library code says what it goes through (`track`, `task`); nothing is shown unless a command opened a
display (`showing`), so that a call from Python stays silent. Tasks may lie in each other: the
outermost one that knows its total says the time that is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
EVERY = 10.0  # seconds between two lines, and before the first: what is done sooner needs none


class Task:
    """A part of the work. total: None where it is not known yet."""

    def __init__(self, name: str, total: int | None, display: Display | None):
        self.name = name
        self.total = total
        self.display = display
        self.unit = ""  # what is counted, where that is not what the name says
        self.done = 0
        self.began = display.clock() if display else 0.0
        self.advanced = self.began
        self.bar: TaskID | None = None

    def advance(self, count: int = 1) -> None:
        """Says that so much more is done."""
        self.done += count
        if self.display:
            self.advanced = self.display.clock()
            self.display.update(self)

    def expect(self, total: int, unit: str = "") -> None:
        """Says the total, once it is known, and of what."""
        self.total = total
        self.unit = unit
        if self.display:
            self.display.update(self)

    def left(self, now: float) -> float | None:
        """Seconds, by the mean speed until it last advanced."""
        if self.total is None or not self.done:
            return None
        seconds_each = (self.advanced - self.began) / self.done
        rest = seconds_each * (self.total - self.done)
        return max(0.0, rest - (now - self.advanced))

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if self.total is None:
            return f"{self.name}: {self.done:,}{unit}"
        return f"{self.name}: {self.done:,} of {self.total:,}{unit}"


class Display:
    """Where tasks are shown. clock: seconds."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic):
        self.console = console
        self.clock = clock
        self.tasks: list[Task] = []
        self.printed = clock()  # the last line
        self.bars: Progress | None = None

    def begin(self, task: Task) -> None:
        """Shows a task, inside of those that are shown already."""
        self.tasks.append(task)
        if not self.console.is_terminal:
            return
        if self.bars is None:
            self.bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
                refresh_per_second=4,
            )
            self.bars.start()
        task.bar = self.bars.add_task(task.name, total=task.total)

    def end(self, task: Task) -> None:
        """Takes a task away."""
        self.tasks.remove(task)
        if self.bars is not None and task.bar is not None:
            self.bars.remove_task(task.bar)
            if not self.tasks:  # others may draw on the terminal then
                self.bars.stop()
                self.bars = None

    def update(self, task: Task) -> None:
        """Shows how far a task is; where there is no bar, a line now and then."""
        now = self.clock()
        if self.bars is not None and task.bar is not None:
            name = f"{task.name}, {task.unit}" if task.unit else task.name
            self.bars.update(task.bar, description=name, completed=task.done, total=task.total)
        elif now - self.printed >= EVERY:
            self.printed = now
            line = ", ".join(map(str, self.tasks)) + self._left(now)
            self.console.print(line, highlight=False, soft_wrap=True)

    def _left(self, now: float) -> str:
        """The time that is left of the outermost task that knows it."""
        for task in self.tasks:
            left = task.left(now)
            if left is not None:
                return f", about {left:,.0f} s left"
        return ""


_shown: ContextVar[Display | None] = ContextVar("progress", default=None)


@contextmanager
def showing(
    quiet: bool = False, console: Console | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Inside, tasks are shown, on stderr unless another console is given; not where `quiet`."""
    display = None if quiet else Display(console or Console(stderr=True), clock)
    before = _shown.set(display)
    try:
        yield
    finally:
        _shown.reset(before)


@contextmanager
def task(name: str, total: int | None = None) -> Iterator[Task]:
    """A part of the work that says itself how far it is."""
    display = _shown.get()
    found = Task(name, total, display)
    if display:
        display.begin(found)
    try:
        yield found
    finally:
        if display:
            display.end(found)


def track(items: Iterable[T], name: str, total: int | None = None) -> Iterator[T]:
    """The items, one after another; each is done when the next one is asked for. total: their
    number, where they cannot say it."""
    count = total
    if count is None and isinstance(items, Sized):
        count = len(items)
    with task(name, count) as found:
        for item in items:
            yield item
            found.advance()
