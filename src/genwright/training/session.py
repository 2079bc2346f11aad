"""A run that lives in a folder: start or resume, train, evaluate, checkpoint, roll back, stop
cleanly.

It knows files and the loop, no recipe and no family: the toys of the tests and `genwright train`
call the same.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT
from typing import Any

import torch

from genwright.core.contracts import Objective, Stream
from genwright.core.errors import GenwrightError
from genwright.training import checkpoint, loop, state_tensors
from genwright.training.engine import Engine
from genwright.training.gradients import Gradients
from genwright.training.hooks import Evaluate, due
from genwright.training.launch import handling_signals, launcher_is_gone
from genwright.training.loop import Hook, Rollback
from genwright.training.records import Records, tensorboard
from genwright.training.settings import Training
from genwright.training.state import State

log = logging.getLogger(__name__)


@dataclass
class Session(Hook):
    """A run in its folder.

    folder: where metrics.jsonl and checkpoints/ lie. measure: held-out figures, called on every
    rank. watchers: hooks that look at what was measured before the step is saved.

    It is itself the hook that saves, every so many steps and at the last one, and that lets SIGTERM
    and Ctrl-C end the run after a step. A save that fails (full disk) is said; training goes on and
    tries again."""

    folder: Path
    objective: Objective
    stream: Stream
    settings: Training
    engine: Engine
    seed: int = 0
    dtype: torch.dtype = torch.float32
    measure: Callable[[int], dict[str, float]] | None = None
    hooks: Sequence[Hook] = ()
    recorders: Sequence[Hook] = ()
    watchers: Sequence[Hook] = ()
    gradients: Gradients | None = None  # None: plain ones
    records: Records | None = field(init=False, default=None)
    evaluate: Evaluate | None = field(init=False, default=None)
    saved: int = field(init=False, default=-1)  # the last step that was saved
    frozen: list[str] | None = field(init=False, default=None)  # files of what is frozen, stored
    held_out: float | None = field(init=False, default=None)  # loss, if the last step measured it
    good: int | None = field(init=False, default=None)  # up to which a checkpoint must be kept
    result: int | None = field(init=False, default=None)  # the run's, where it is not the last step
    failure: str = field(init=False, default="")  # of the last save
    signal: int = field(init=False, default=0)  # that came

    @property
    def root(self) -> Path:
        """Folder of all checkpoints, which need not exist yet."""
        return self.folder / "checkpoints"

    def train(self, resume: bool = False, until: int | None = None) -> tuple[State, str]:
        """Trains to the last step, or stops at `until` as an interruption would. Returns the state
        and how it ended: "finished", "until" or "interrupted"."""
        last = self.settings.steps
        goal = last if until is None else min(last, until)
        state = loop.start(self.objective, self.settings, self.engine, self.seed, self.dtype)
        self._open_records()
        if resume and self._restore(state):
            self.saved = state.step
        else:
            if self.records:
                self.records.cut(0)
            self.save(state)
        if self.records and "tensorboard" in self.settings.sinks:
            self.records.mirrors.append(tensorboard(self.folder / "tensorboard", state.step))
        self._measure_untrained(state)
        with handling_signals(self.on_signal):
            self._run(state, goal)
            if self.saved != state.step:
                self.save(state)
        if self.records:
            self.records.flush(to_disk=True)
        if self.failure:
            what = f"the run stopped at step {state.step} unsaved: {self.failure.split(';')[0]}"
            raise GenwrightError(what, "free some space and train --resume")
        if state.step >= last:
            return state, "finished"
        if state.step >= goal:
            return state, "until"
        return state, "interrupted"

    def _open_records(self) -> None:
        if self.engine.main:
            self.records = Records(self.folder / "metrics.jsonl")
        if self.measure:
            every = self.settings.evaluate_every
            self.evaluate = Evaluate(self.measure, every, self.settings.steps, self.records)

    def _run(self, state: State, goal: int) -> None:
        """The loop, taken up again after each roll-back."""
        hooks: list[Hook] = list(self.recorders)
        if self.records:
            hooks.append(self.records)
        if self.evaluate:
            hooks.append(self.evaluate)
        hooks += [*self.watchers, self, *self.hooks]
        while True:
            try:
                loop.run(
                    self.objective,
                    self.stream,
                    state,
                    goal,
                    settings=self.settings,
                    engine=self.engine,
                    hooks=hooks,
                    gradients=self.gradients,
                )
                return
            except Rollback as event:
                self._roll_back(state, event)
            except loop.NoBatch:
                self._keep(state)
                raise

    def _keep(self, state: State) -> None:
        """Saves the steps before one whose batch could not be made. Of several processes it is one
        that fails, and the others do not meet it in a save."""
        if self.engine.size > 1 or self.saved == state.step:
            return
        self.save(state)
        if not self.failure:
            log.warning(f"the run is saved as it was behind step {state.step}")

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Saves, where a checkpoint is due. Not among bad steps, for a roll-back must not end
        there."""
        self.held_out = None
        if "held_out" in record:
            self.held_out = record["held_out"].get("loss")
        if self._scheduled(state.step) and (state.bad == 0 or state.step == self.settings.steps):
            self.save(state)

    def _scheduled(self, step: int) -> bool:
        return step == 0 or due(step, self.settings.checkpoint_every, self.settings.steps)

    def save(self, state: State) -> None:
        """One checkpoint; every rank calls it, rank 0 writes. What went wrong is kept in
        `failure`."""
        to_store = self.frozen is None
        files, plain = state_tensors.take(self.objective, state, frozen=to_store)
        self.failure = ""
        if self.engine.main:
            plain["scheduled"] = self._scheduled(state.step)
            plain["held_out"] = self.held_out
            if self.result is not None:
                plain["result"] = self.result
            plain["metrics_bytes"] = self.records.flush(to_disk=True) if self.records else 0
            try:
                if self.frozen is None:
                    self.frozen = checkpoint.store_frozen(self.folder, files.pop("frozen", {}))
                checkpoint.save(self.root, state.step, files, plain, self.frozen)
                checkpoint.prune(self.root, self.settings.keep, self.good)
            except GenwrightError as problem:
                self.failure = str(problem)
                log.warning(self.failure)
        self.failure = self.engine.broadcast(self.failure)
        if to_store:
            self.frozen = self.engine.broadcast(self.frozen)
        if not self.failure:
            self.saved = state.step

    def on_signal(self, number: int, frame: Any) -> None:
        """A signal lets the step end; then the run saves and stops. A second Ctrl-C ends it at
        once."""
        if self.signal and number == SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def stop(self, state: State) -> bool:
        """Whether a signal came to any rank, or the launcher of any of them is gone."""
        return self.engine.any(bool(self.signal) or launcher_is_gone())

    def note(self, record: dict[str, Any]) -> None:
        """A line of metrics.jsonl beside those of steps: what happened."""
        if self.records:
            self.records.append(record)
            self.records.flush(to_disk=True)

    def _measure_untrained(self, state: State) -> None:
        """The held-out figures of step 0 follow its checkpoint, which holds whatever weights a run
        starts from."""
        if state.step == 0 and self.evaluate:
            self.evaluate.after_step(state, {})

    def _restore(self, state: State, before: int | None = None) -> bool:
        """Takes up the newest whole checkpoint (with `before`, of the scheduled ones up to that
        step), the same on every rank; False where there is none."""
        newest = None
        if self.engine.main:
            path = checkpoint.newest(self.root, log.warning, before)
            newest = str(path) if path else None
        found = self.engine.broadcast(newest)
        if found is None:
            return False
        files, plain = checkpoint.load(Path(found))
        state_tensors.put(self.objective, state, files, plain)
        if self.records:
            self.records.cut(plain["metrics_bytes"])
            for place in checkpoint.set_aside(self.root, state.step):
                log.warning(f"a later checkpoint was set aside: {place}")
        self.engine.barrier()
        return True

    def _roll_back(self, state: State, event: Rollback) -> None:
        """Back to the last scheduled checkpoint, and past the data between there and here.
        Scheduled, because what a person's interruption left behind must not change the run. Raises
        GenwrightError where there is none, or after too many roll-backs."""
        count = state.rollbacks
        skipped = list(state.skipped)
        exhausted = count >= self.settings.guard.rollbacks
        if exhausted or not self._restore(state, before=event.step):
            self.note({"step": event.step, "event": f"stopped: {event.reason}"})
            raise GenwrightError(
                f"the run stopped at step {event.step} after {count} rollbacks: {event.reason}",
                event.remedy,
            )
        passed = event.step - state.step
        state.skipped = [*skipped, (state.step, passed)]
        state.rollbacks = count + 1
        state.bad = 0
        self._measure_untrained(state)
        text = (
            f"rolled back from step {event.step} to {state.step};"
            f" {passed} batches are passed over: {event.reason}"
        )
        self.note({"step": state.step, "event": text})
        if self.engine.main:
            log.warning(text)
