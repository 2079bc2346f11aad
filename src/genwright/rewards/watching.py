"""What looks at a policy while it learns: the log of its samples, and the watch for gaming
(`gaming.py` has the rule).

An alarm is written into metrics.jsonl, and five samples are shown and written into rollouts.jsonl.
Unless `watching.on_gaming` is "warn", the run then saves and ends: its last checkpoint names the
one that is the run's result, the last good one, and `--resume` goes on from the last.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from genwright.core.content import Measure
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import register
from genwright.evaluation.figure import number
from genwright.rewards.alarm import event_of
from genwright.rewards.floors import real_samples
from genwright.rewards.gaming import (
    HELD_OUT,
    OF_POLICY,
    WATCHED,
    History,
    Real,
    Rule,
    Verdict,
    measured_of,
    row_of,
    rows_of,
)
from genwright.rewards.rollout import Rollouts
from genwright.rewards.rollout_log import RolloutLog
from genwright.training import checkpoint
from genwright.training.loop import Hook
from genwright.training.records import read
from genwright.training.session import Session
from genwright.training.settings import Watching
from genwright.training.state import State

log = logging.getLogger(__name__)

SHOWN = 5  # samples that an alarm shows
CHARACTERS = 160  # of a sample on a terminal
REAL = 128  # real samples of which watched measures are known
PATIENCE = 10.0  # times the time limit that each measure may take for them: they may be long


class Found(NamedTuple):
    """What rank 0 tells the others after a step. good: the last good step. rings: whether an alarm
    does. result: the step of the checkpoint that is the run's result, where the run shall stop."""

    good: int
    rings: bool
    result: int | None


class Gaming(Hook):
    """Looks at each step, by agreement of all ranks; it comes after `Evaluate` and before the
    session saves. samples: where an alarm's samples are written. Raises GenwrightError for a name
    in `may_change` that is none of a figure."""

    def __init__(self, stream: Rollouts, session: Session, settings: Watching, samples: RolloutLog):
        self.stream = stream
        self.session = session
        self.settings = settings
        self.samples = samples
        self.metrics = session.folder / "metrics.jsonl"
        self.rule: Rule | None = None
        self.history = History()
        self.verdict: Verdict | None = None  # of the last step
        self.good = 0
        self.stopping = False
        check_names(settings.may_change, stream.watched)

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Looks at the step."""
        found = None
        if self.session.engine.main:
            found = self.found(state.step, record)
        found = Found(*self.session.engine.broadcast(found))
        self.session.good = found.good
        self.session.result = found.result
        self.stopping = found.result is not None
        if found.rings and self.verdict is not None:  # which is known on rank 0
            self.say(state.step, self.verdict, found)

    def stop(self, state: State) -> bool:
        """Whether gaming ends the run."""
        return self.stopping

    # ---- on rank 0

    def found(self, step: int, record: Mapping[str, Any]) -> Found:
        """What follows from a step's record, and from all before it."""
        if self.rule is None:
            real = real_measures(self.stream)
            self.rule = Rule(
                self.stream.settings.rewards,
                real,
                self.settings.may_change,
                self.settings.bands,
            )
        if step != self.history.steps + 1 or step == 1:
            self.history = History()
            self.good = 0
            if self.session.records:
                self.session.records.flush()
            earlier = [line for line in read(self.metrics) if line.get("step", 0) < step]
            for row in rows_of(earlier)[:step]:
                self.take(self.rule, row)
        was_gamed = self.verdict is not None
        self.take(self.rule, row_of(record))
        if self.verdict is None:
            return Found(self.good, False, None)
        if self.settings.on_gaming == "stop":
            place = checkpoint.newest(self.session.root, before=self.good)
            result = 0 if place is None else int(place.name[5:])
            return Found(self.good, True, result)
        return Found(self.good, not was_gamed, None)

    def take(self, rule: Rule, row: Mapping[str, float]) -> None:
        """Takes in one step more."""
        self.history.add(row)
        self.verdict = rule.verdict(self.history)
        if rule.is_good(self.history):
            self.good = self.history.steps

    def say(self, step: int, verdict: Verdict, found: Found) -> None:
        """Writes and shows an alarm with its samples."""
        event = event_of(step, verdict, found.good, found.result)
        self.session.note(event)
        log.warning(f"step {step}: {event['event']}")
        rows = self.best_rows()
        self.samples.write(step, rows, alarm="gaming")
        for row in rows:
            log.warning(self.line_of(row))

    def best_rows(self) -> list[int]:
        """The samples of the newest rollout that earned most."""
        assert self.stream.last is not None
        total = self.stream.last.scored.total
        best: list[int] = torch.argsort(total, descending=True, stable=True)[:SHOWN].tolist()
        return best

    def line_of(self, row: int) -> str:
        """A sample of the newest rollout, for a terminal."""
        rolled = self.stream.last
        assert rolled is not None
        parts = [f"reward {number(float(rolled.scored.total[row]))}"]
        for name, values in rolled.scored.values.items():
            parts.append(f"{name} {number(float(values[row]))}")
        text = self.samples.text_of(rolled.samples[row])
        shown = repr(text[:CHARACTERS]) if text else f"{len(rolled.samples[row].tokens)} tokens"
        return f"  {', '.join(parts)}: {shown}"


def check_names(names: Sequence[str], watched: Mapping[str, Measure]) -> None:
    """Raises GenwrightError for a name that is none of a figure."""
    known = [*OF_POLICY, HELD_OUT, *watched]
    for name in names:
        if name.removeprefix(WATCHED) not in known:
            raise GenwrightError(
                f"watching.may_change names {name!r}, which is no figure of this run",
                did_you_mean(name, known),
            )


def real_measures(stream: Rollouts) -> dict[str, Real]:
    """What real samples of the data give by the measures that are watched, by figure's name."""
    asked = [stream.questions[number * len(stream.questions) // REAL] for number in range(REAL)]
    real = real_samples(stream, asked, stream.opened.dataset(), "train")
    if not real:
        return {}
    values = {}
    shares = []
    measured = stream.measured(real, "real data", PATIENCE)
    for name, measure in stream.watched.items():
        values[f"{WATCHED}{name}"] = measured[name].tolist()
        if measure.unit == "share":
            shares.append(f"{WATCHED}{name}")
    return measured_of(values, shares)


def watchers(stream: Rollouts, session: Session, settings: Watching) -> list[Hook]:
    """What looks at the run of a policy."""
    samples = RolloutLog(stream, session, settings.logged)
    return [samples, Gaming(stream, session, settings, samples)]


register("watcher", "rollouts", watchers)
