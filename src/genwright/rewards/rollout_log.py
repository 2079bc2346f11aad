"""rollouts.jsonl: some samples of a policy with what they earned, a JSON object a line, so that a
person can read what it wrote on the way.

It is bounded without losing how a run began: of the first 100 steps all are kept, then every 10th
up to step 1,000, every 100th up to step 10,000 and so on, and of each the samples of its first
question, at most `objective.logged`. An alarm adds the samples that it shows. Lines are appended
whole; where a run goes on from an earlier step, those of later steps are cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import Tensor

from genwright.core.content import Question, Sample, TokenSampler
from genwright.core.registry import content_of
from genwright.rewards.rollout import Rolled, Rollouts
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
    """Writes samples of the newest rollout; on the rank that writes."""

    def __init__(self, stream: Rollouts, session: Session):
        self.stream = stream
        self.main = session.engine.main
        self.path = session.folder / FILE
        self.kind = content_of(stream.codec.content)
        self.records: Records | None = None
        self.step = -1

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Writes the candidates of the first question, where the step is one of those kept."""
        settings = self.stream.settings
        if not self.main or not settings.logged or self.stream.last is None:
            return
        self.follow(state.step)
        if is_kept(state.step):
            count = min(settings.logged, settings.candidates)
            self.write(state.step, range(count))

    def follow(self, step: int) -> None:
        """Where the run did not come here from the step before, cuts off what came later."""
        if self.records is None or step != self.step + 1:
            cut_from(self.path, step)
            self.records = Records(self.path)
        self.step = step

    def write(self, step: int, rows: Sequence[int], alarm: str = "") -> None:
        """Writes these samples of the newest rollout, at once. alarm: which shows them."""
        rolled = self.stream.last
        if rolled is None:
            return
        if self.step != step:
            self.follow(step)
        assert self.records is not None
        for row in rows:
            line: dict[str, Any] = {"step": step}
            if alarm:
                line["alarm"] = alarm
            self.records.append(line | self.entry(rolled, row))
        self.records.flush()

    def entry(self, rolled: Rolled, row: int) -> dict[str, Any]:
        """What is written of a sample of a rollout."""
        sample = rolled.samples[row]
        question = rolled.questions[row]
        found: dict[str, Any] = {"number": sample.number}
        if isinstance(sample.prompt, str):
            found["prompt"] = sample.prompt
        text = self.kind.as_text(sample)
        if text:
            found["text"] = text
        found["question"] = list(question.tokens)
        found["tokens"] = list(sample.tokens)
        found["ended"] = rolled.ended[row]
        found["reward"] = float(rolled.scored.total[row])
        found["terms"] = _of_row(rolled.scored.values, row)
        found["watched"] = _of_row(rolled.watched, row)
        return found


def _of_row(values: Mapping[str, Tensor], row: int) -> dict[str, float]:
    """Name -> value of a sample; what is not finite is written as null."""
    return {name: float(of_all[row]) for name, of_all in values.items()}


def cut_from(path: Path, step: int) -> None:
    """Cuts off the lines of this step and later ones, and a last line that is not whole. Raises
    GenwrightError for a line that is no JSON."""
    kept = [entry for entry in read(path) if entry.get("step", step) < step]
    with suppress(FileNotFoundError), open(path, "r+b") as file:
        for _ in kept:
            file.readline()
        file.truncate(file.tell())


def sample_of(entry: Mapping[str, Any], sampler: TokenSampler, codec: Any) -> Sample:
    """The sample of a line of the log, decoded again."""
    question = Question(tuple(entry["question"]), entry.get("prompt"))
    tokens = entry["tokens"]
    return sampler.drawn(
        codec, question, tokens, [0.0] * len(tokens), bool(entry["ended"]), 0, entry["number"]
    )
