"""A run that lives in a folder: start or resume, train, evaluate, checkpoint, roll back, stop cleanly.

It knows files and the loop, no recipe and no family: the toys of the tests and `genwright train` call the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from genwright.contracts import Objective, Stream
from genwright.errors import GenwrightError
from genwright.training import checkpoint, loop, snapshot
from genwright.training.engine import Engine
from genwright.training.hooks import Checkpoints, Evaluate, Interrupt, Log
from genwright.training.loop import Hook, Rollback, State
from genwright.training.records import Records, tensorboard
from genwright.training.settings import Training


@dataclass
class Session:
    """folder: where metrics.jsonl and checkpoints/ lie. measure: held-out figures, called on every rank. say: warnings for a person."""

    folder: Path
    objective: Objective
    stream: Stream
    settings: Training
    engine: Engine
    seed: int = 0
    dtype: torch.dtype = torch.float32
    measure: Callable[[int], dict[str, float]] | None = None
    hooks: Sequence[Hook] = ()
    watchers: Sequence[Hook] = ()  # look at what was measured before the step is saved
    say: Callable[[str], None] = print
    gradients: loop.GradientMaker = loop.plain_gradients
    records: Records | None = field(init=False, default=None)
    evaluate: Evaluate | None = field(init=False, default=None)

    @property
    def root(self) -> Path:
        return self.folder / "checkpoints"

    def train(self, resume: bool = False, until: int | None = None) -> tuple[State, str]:
        """Trains to the last step, or stops at `until` as an interruption would. Returns the state and how it ended: "finished",
        "until" or "interrupted"."""
        settings, engine, last = self.settings, self.engine, self.settings.steps
        goal = min(last, until) if until is not None else last
        state = loop.start(self.objective, settings, engine, self.seed, self.dtype)
        if engine.main:
            self.records = Records(self.folder / "metrics.jsonl", self.say)
        evaluate = self.evaluate = Evaluate(self.measure, settings.evaluate_every, last, self.records) if self.measure else None
        saver = Checkpoints(
            self.root, self.objective, engine, every=settings.checkpoint_every, last=last, keep=settings.keep, records=self.records,
            evaluate=evaluate, say=self.say,
        )  # fmt: skip
        if resume and self._restore(state):
            saver.saved = state.step
        else:
            if self.records:
                self.records.cut(0)
            saver.save(state, scheduled=True)
        if self.records and "tensorboard" in settings.sinks:
            self.records.mirrors.append(tensorboard(self.folder / "tensorboard", state.step))
        self._measure_untrained(state)
        with Interrupt(engine) as interrupt:
            hooks: list[Hook] = [Log(self.records)] if self.records else []
            hooks += [h for h in (evaluate, *self.watchers, saver, *self.hooks, interrupt) if h is not None]
            while True:
                try:
                    loop.run(
                        self.objective, self.stream, state, goal, settings=settings, engine=engine, hooks=hooks, gradients=self.gradients
                    )
                    break
                except Rollback as event:
                    self._roll_back(state, event)
            ended = "finished" if state.step >= last else "until" if state.step >= goal else "interrupted"
            if saver.saved != state.step:
                saver.save(state, scheduled=saver.due(state.step))
        if self.records:
            self.records.flush(to_disk=True)
        if saver.failure:
            what = f"the run stopped at step {state.step} unsaved: {saver.failure.split(';')[0]}"
            raise GenwrightError(what, "free some space and train --resume")
        return state, ended

    def note(self, record: dict[str, Any]) -> None:
        """A line of metrics.jsonl beside those of steps: what happened."""
        if self.records:
            self.records.append(record)

    def _measure_untrained(self, state: State) -> None:
        """The held-out figures of step 0 follow its checkpoint, which holds whatever weights a run starts from."""
        if state.step == 0 and self.evaluate:
            self.evaluate.after_step(state, {})

    def _restore(self, state: State, before: int | None = None, scheduled: bool = False) -> bool:
        """Takes up the newest whole checkpoint, the same on every rank; False where there is none."""
        path = checkpoint.newest(self.root, self.say, before, scheduled) if self.engine.main else None
        found = self.engine.broadcast(str(path) if path else None)
        if found is None:
            return False
        files, plain = checkpoint.load(Path(found))
        snapshot.put(self.objective, state, files, plain)
        if self.records:
            self.records.cut(plain["metrics_bytes"])
            for place in checkpoint.set_aside(self.root, state.step):
                self.say(f"a later checkpoint was set aside: {place}")
        self.engine.barrier()
        return True

    def _roll_back(self, state: State, event: Rollback) -> None:
        """Back to the last scheduled checkpoint, and past the data between there and here. Scheduled, because what a person's
        interruption left behind must not change the run."""
        count, skipped = state.rollbacks, list(state.skipped)
        if count >= self.settings.guard.rollbacks or not self._restore(state, before=event.step, scheduled=True):
            self.note({"step": event.step, "event": f"stopped: {event.reason}"})
            if self.records:
                self.records.flush(to_disk=True)
            what = f"the run stopped at step {event.step} after {count} rollbacks: {event.reason}"
            raise GenwrightError(what, event.remedy)
        passed = event.step - state.step
        state.skipped = [*skipped, (state.step, passed)]
        state.rollbacks, state.bad = count + 1, 0
        self._measure_untrained(state)
        text = f"rolled back from step {event.step} to {state.step}; {passed} batches are passed over: {event.reason}"
        self.note({"step": state.step, "event": text})
        if self.engine.main:
            self.say(text)
