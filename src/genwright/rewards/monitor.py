"""The hook that looks for gaming while a policy learns (`gaming.py` has the rule), and says what is
known of real data before the first step.

What an alarm does: it is written into metrics.jsonl, five samples are shown and written into
rollouts.jsonl, and, unless `objective.on_gaming` is "warn", the run ends. Its last checkpoint is
kept, and says which one is the run's result: the last good one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from genwright.core.content import Measure, Sample
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import content_of
from genwright.rewards.gaming import (
    HELD_OUT,
    LEAST_SPREAD,
    SHARES,
    WATCHED,
    History,
    Real,
    Rule,
    Verdict,
    mean,
    real_of,
    row_of,
    rows_of,
)
from genwright.rewards.rollout import Rolled, Rollouts
from genwright.rewards.rollout_log import RolloutLog
from genwright.training import checkpoint
from genwright.training.loop import Hook
from genwright.training.records import read
from genwright.training.session import Session
from genwright.training.state import State

log = logging.getLogger(__name__)

SHOWN = 5  # samples that an alarm shows
CHARACTERS = 200  # of a sample on a terminal
REAL = 128  # real samples of which watched measures are known
GO_ON = "objective.on_gaming=warn"


class Found(NamedTuple):
    """What rank 0 tells the others after a step. good: the last good step. text: of an alarm that
    begins to hold, else "". gamed: whether one holds. result: the step of the checkpoint that is
    the run's result, where it shall stop."""

    good: int
    text: str
    gamed: bool
    result: int | None


class Gaming(Hook):
    """Looks at each step, by agreement of all ranks; it comes after `Evaluate` and before the
    session saves. `samples`: where an alarm's samples are written."""

    def __init__(self, stream: Rollouts, session: Session, samples: RolloutLog):
        self.stream = stream
        self.settings = stream.settings
        self.session = session
        self.engine = session.engine
        self.samples = samples
        self.metrics = session.folder / "metrics.jsonl"
        self.stops = self.settings.on_gaming == "stop"
        self.rule: Rule | None = None
        self.history = History()
        self.step = -1  # the last one that was looked at
        self.good = 0
        self.verdict: Verdict | None = None  # at that step
        self.stopping = False
        check_names(self.settings.may_change, stream.watched)

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Looks at the step."""
        found = None
        if self.engine.main:
            was_gamed = self._come_to(state.step, record)
            found = self._found(was_gamed)
        self._heed(self.engine.broadcast(found))

    def stop(self, state: State) -> bool:
        """Whether the run is over; asked before its first step too, where it was taken up."""
        if self.step != state.step:
            found = None
            if self.engine.main:
                self._come_to(state.step, {})
                found = self._found(True)
            self._heed(self.engine.broadcast(found))
        return self.stopping

    # ---- on rank 0

    def _come_to(self, step: int, record: Mapping[str, Any]) -> bool:
        """Takes in the record of a step; from the run's file those of all steps before, where it
        was taken up or rolled back. Returns whether the step before was gamed."""
        if self.rule is None:
            self.rule = Rule(self.settings.rewards, self._real(), self.settings.may_change)
        if step != self.step + 1 or self.step < 0:
            self.history = History()
            self.good = 0
            self.verdict = None
            last = step if not record else step - 1
            earlier = [line for line in read(self.metrics) if line.get("step", 0) <= last]
            for row in rows_of(earlier):
                self._take(row)
            self.step = last
        if record:
            self._take(row_of(record))
            self.step = step
        return self.was_gamed

    def _take(self, row: Mapping[str, float]) -> None:
        assert self.rule is not None
        self.was_gamed = self.verdict is not None
        self.history.add(row)
        self.verdict = self.rule.verdict(self.history)
        if self.rule.is_good(self.history):
            self.good = self.history.steps

    def _found(self, was_gamed: bool) -> Found:
        """What follows from the verdict. was_gamed: an alarm is not given again."""
        gamed = self.verdict is not None
        result = None
        text = ""
        if self.verdict is not None:
            if self.stops:
                place = checkpoint.newest(self.session.root, before=self.good)
                result = 0 if place is None else int(place.name[5:])
            if not was_gamed:
                text = self.verdict.text
        return Found(self.good, text, gamed, result)
