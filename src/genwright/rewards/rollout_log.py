"""rollouts.jsonl: some samples of a policy with what they earned, a JSON object a line, so that a
person can read what it wrote on the way.

It is bounded without losing how a run began: of the first 100 steps all are kept, then every 10th
up to step 1,000, every 100th up to step 10,000 and so on, and of each the first samples of its
first question, `watching.logged` at most. An alarm adds the samples that it shows. Lines are
appended whole; where a run goes on from an earlier step, those of later steps are cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from genwright.core.content import Sample
from genwright.core.registry import content_of
from genwright.rewards.rollout import Rollouts
from genwright.training.loop import Hook
from genwright.training.records import Records, read
from genwright.training.session import Session
from genwright.training.state import State

FILE = "rollouts.jsonl"
DENSE = 100  # first steps of which all are kept; ten times as far a tenth of them, and so on


def is_kept(step: int) -> bool:
    """Whether samples of a step are written."""
    every = 1
    while step > DENSE * every:
        every *= 10
    return step % every == 0


class RolloutLog(Hook):
    """Writes samples of the newest rollout, on the rank that writes. logged: of a step, at most; 0:
    none but those of alarms."""

    def __init__(self, stream: Rollouts, session: Session, logged: int):
        self.stream = stream
        self.main = session.engine.main
        self.path = session.folder / FILE
        self.logged = min(logged, stream.settings.candidates)
        self.kind = content_of(stream.codec.content)
        self.records: Records | None = None
        self.step = -1  # the last one that was looked at

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Writes the first candidates of the first question, where the step is one of those
        kept."""
        if not self.main:
            return
        if self.records is None or state.step != self.step + 1:
            cut_from(self.path, state.step)
            self.records = Records(self.path)
        self.step = state.step
        if is_kept(state.step):
            self.write(state.step, range(self.logged))

    def write(self, step: int, rows: Sequence[int], alarm: str = "") -> None:
        """Writes these samples of the newest rollout, at once. alarm: which shows them."""
        assert self.records is not None
        for row in rows:
            line: dict[str, Any] = {"step": step}
            if alarm:
                line["alarm"] = alarm
            self.records.append(line | self.entry(row))
        self.records.flush()

    def entry(self, row: int) -> dict[str, Any]:
        """What is written of a sample of the newest rollout. question, tokens: ids, before and
        among what was drawn."""
        rolled = self.stream.last
        assert rolled is not None
        sample = rolled.samples[row]
        found: dict[str, Any] = {"number": sample.number}
        if isinstance(sample.prompt, str):
            found["prompt"] = sample.prompt
        text = self.text_of(sample)
        if text:
            found["text"] = text
        found["question"] = list(rolled.questions[row].tokens)
        found["tokens"] = list(sample.tokens)
        found["ended"] = rolled.ended[row]
        found["reward"] = float(rolled.scored.total[row])
        found["terms"] = _of_row(rolled.scored.values, row)
        found["watched"] = _of_row(rolled.watched, row)
        return found

    def text_of(self, sample: Sample) -> str:
        """The sample as a text; "" where it is none."""
        text: str = self.kind.as_text(sample)
        return text


def _of_row(values: Mapping[str, Tensor], row: int) -> dict[str, float]:
    """Name -> value of a sample; what is not finite is written as null."""
    return {name: float(of_all[row]) for name, of_all in values.items()}


def cut_from(path: Path, step: int) -> None:
    """Cuts off the lines of this step and later ones, and a last line that is not whole. Raises
    GenwrightError for a line that is no JSON."""
    kept = 0
    for entry in read(path):
        if entry.get("step", step) >= step:
            break
        kept += 1
    with suppress(FileNotFoundError), open(path, "r+b") as file:
        for _ in range(kept):
            file.readline()
        file.truncate(file.tell())
