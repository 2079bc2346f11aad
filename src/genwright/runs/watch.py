"""A run, watched while it trains: on the schedule of held-out evaluations samples are drawn from
one seed, shown in RUN/samples and measured. What the figures warn of: `alarms.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from torch import Tensor

from genwright.core.content import Drawn, Opened, Sample, Watcher
from genwright.core.contracts import Objective
from genwright.core.errors import GenwrightError
from genwright.evaluation.held_out import evaluating
from genwright.runs.content import Content
from genwright.runs.drawing import shown_events
from genwright.training.engine import Engine


class GroupWatch(Protocol):
    """What tells the groups of samples (family "group_watch")."""

    def measured(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Metrics: shares of groups, with their intervals. Raises GenwrightError."""


def draws_here(engine: Engine) -> bool:
    """Whether this rank draws: sharded modules meet inside, so there all ranks do."""
    return engine.main or engine.strategy == "fsdp"


def same_on_all(engine: Engine, measured: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Metrics that rank 0 measures, the same on every rank. Raises GenwrightError on all of them
    where it raises one."""
    found: dict[str, float] = {}
    problem = None
    if engine.main:
        try:
            found = measured()
        except GenwrightError as error:
            problem = error
    engine.raise_on_all(problem)
    same: dict[str, float] = engine.broadcast(found)
    return same


class Watch:
    """Called as watch(step) inside a held-out evaluation, on every rank: samples are drawn, shown
    in RUN/samples/step-* and measured. groups: what tells their groups, where these are watched."""

    def __init__(
        self,
        folder: Path,
        objective: Objective,
        watcher: Watcher,
        engine: Engine,
        groups: GroupWatch | None = None,
    ):
        self.folder = folder
        self.objective = objective
        self.watcher = watcher
        self.engine = engine
        self.groups = groups

    def __call__(self, step: int) -> dict[str, float]:
        """Metrics of the samples, the same on every rank. Raises GenwrightError where groups are
        watched and nothing is drawn."""
        samples: Tensor | None = None
        if draws_here(self.engine):
            with evaluating(self.objective):
                samples = self.watcher.draw()

        def measured() -> dict[str, float]:
            if samples is None:
                return self._of_none()
            self.watcher.write(samples, self.folder / "samples" / f"step-{step:08d}")
            found = self.watcher.measured(samples)
            if self.groups is not None:
                drawn = [Sample(content, number=n) for n, content in enumerate(samples)]
                found |= self.groups.measured(drawn)
            return found

        return same_on_all(self.engine, measured)

    def _of_none(self) -> dict[str, float]:
        """What is measured where nothing is drawn."""
        if self.groups is not None:
            raise GenwrightError(
                "watching.groups is of samples, and this run draws none", "leave it out"
            )
        return {}


def check_draws(opened: Opened, content: Content, engine: Engine) -> None:
    """Raises GenwrightError where no samples can be drawn for groups: before a run begins, and not
    at its first evaluation."""
    remedy = "leave watching.groups out"
    if engine.strategy == "fsdp" and engine.size > 1:
        raise GenwrightError(
            f"watching.groups draws {content.thing}s, which weights that are shared out cannot",
            f"set training.strategy=ddp, or {remedy}",
        )
    try:
        next(content.sampler.draw(opened, content.sampler_options(), n=1), None)
    except GenwrightError as problem:
        raise GenwrightError(
            f"watching.groups needs samples, and none can be drawn: {problem.what}", remedy
        ) from problem


class WatchGroups:
    """Likewise, of content of whose samples nothing is watched but their groups: they are drawn as
    `genwright sample` draws them, and not shown."""

    def __init__(
        self, opened: Opened, content: Content, samples: int, engine: Engine, groups: GroupWatch
    ):
        self.opened = opened
        self.content = content
        self.samples = samples
        self.engine = engine
        self.groups = groups

    def __call__(self, step: int) -> dict[str, float]:
        """Metrics of the samples, the same on every rank. Raises GenwrightError where the model
        draws none."""
        drawn: list[Sample] = []
        if self.engine.main:
            options = self.content.sampler_options()
            with evaluating(self.opened.objective):
                events = self.content.sampler.draw(self.opened, options, n=self.samples)
                for event in shown_events(events):
                    if isinstance(event, Drawn):
                        drawn.append(event.sample)

        def measured() -> dict[str, float]:
            return self.groups.measured(drawn)

        return same_on_all(self.engine, measured)
