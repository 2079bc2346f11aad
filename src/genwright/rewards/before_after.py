"""What a policy earns, beside the model of before, real data and noise; measured anew.

Policy and model of before answer the same questions with the same random numbers, at temperature 1
from all tokens, as while the policy learned. Questions are of held-out data where there are some.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genwright.core.content import Question, Sample
from genwright.core.draws import Draws
from genwright.objectives.language import CausalObjective
from genwright.objectives.policy import MODEL, REFERENCE
from genwright.objectives.terms import Term
from genwright.rewards.floors import noise_samples, real_samples
from genwright.rewards.guard import values_of
from genwright.rewards.reward import Reward, numbers
from genwright.rewards.rollout import Rollouts, distinct, rollouts
from genwright.rewards.user_file import measures_of_run
from genwright.runs.content import kind_of
from genwright.runs.trained import TrainedRun

SAMPLES = 128  # of each, at least as many as a question has candidates
AT_ONCE = 64  # samples that are drawn together
PATIENCE = 10.0  # times the time limit of a step that each measure may take
OF = {REFERENCE: "the model of before", MODEL: "the model after learning"}
POSITION = -2  # of the draws: no step of training, and no evaluation, has it


@dataclass(frozen=True)
class Measured:
    """Some samples. terms: name -> (n,) values without weights, NaN where a measure says nothing.
    watched: likewise, of what is not rewarded. reward: (n,) the weighted sum; NaN where a term of a
    sample has no value. distinct_4: NaN where nothing was drawn token by token."""

    samples: Sequence[Sample]
    terms: Mapping[str, Tensor]
    watched: Mapping[str, Tensor]
    reward: Tensor
    distinct_4: float = math.nan
    truncated: float = math.nan

    @property
    def mean_reward(self) -> float:
        """Over the samples that have one."""
        return mean_of(self.reward)


@dataclass(frozen=True)
class BeforeAfter:
    """before, after: n samples each, those of one place of one question and equal random numbers.
    real, noise: of the data, and of no learning. split: of the data that questions and real samples
    are from. candidates: samples of a question, side by side. reward: what is rewarded."""

    before: Measured
    after: Measured
    real: Measured
    noise: Measured
    split: str
    candidates: int
    reward: Reward | None = None

    @property
    def states(self) -> tuple[Measured, Measured, Measured, Measured]:
        """Real data, before, after, and noise."""
        return (self.real, self.before, self.after, self.noise)

    @property
    def count(self) -> int:
        """Samples of before, and of after."""
        return len(self.after.samples)


def mean_of(values: Tensor) -> float:
    """Of those that are numbers; NaN where none is."""
    known = values[~values.isnan()]
    return float(known.mean()) if len(known) else math.nan


def difference(before: Tensor, after: Tensor) -> tuple[float, float]:
    """The mean of after minus before, and its standard error, over pairs that both have a number;
    NaN where there are fewer than two."""
    change = after - before
    change = change[~change.isnan()]
    if len(change) < 2:
        return math.nan, math.nan
    return float(change.mean()), float(change.std() / math.sqrt(len(change)))


def measured(
    stream: Rollouts,
    samples: Sequence[Sample],
    of: str,
    drawn: bool = False,
    ended: Sequence[bool] = (),
) -> Measured:
    """What the measures of a run give of samples. of: what they are, in words. drawn: token by
    token, candidates side by side; ended: whether each was over before its length ran out. Raises
    GenwrightError where a measure fails."""
    seconds = PATIENCE * stream.settings.rollout.time_limit
    terms = {}
    for name, measure in stream.reward.measures.items():
        found = numbers(values_of(name, measure, samples, seconds, of))
        terms[name] = torch.tensor(found, dtype=torch.float64)
    watched = stream.measured(samples, of, PATIENCE)
    reward = total(stream.reward.terms, terms)
    share = math.nan
    if drawn:
        different, all_of_them = distinct(samples, stream.settings.candidates).sum(0).tolist()
        share = different / all_of_them if all_of_them else math.nan
    truncated = 1 - sum(ended) / len(ended) if ended else math.nan
    return Measured(samples, terms, watched, reward, share, truncated)


def total(terms: Mapping[str, Term], values: Mapping[str, Tensor]) -> Tensor:
    """(n,) the weighted sum of what terms gave; NaN where one says nothing and has no value for
    that."""
    parts = []
    for name, term in terms.items():
        earned = [term.worth(value) for value in values[name].tolist()]
        parts.append(torch.tensor(earned, dtype=torch.float64))
    return torch.stack(parts).sum(0)


def before_after(run: TrainedRun, count: int = SAMPLES) -> BeforeAfter:
    """Draws and measures. count: samples of before, and of after, about. Raises GenwrightError
    where a measure is not known any more, or fails."""
    opened = run.opened()
    split = "held_out" if kind_of(run).sampler.real(opened.dataset(), "held_out", 1) else "train"
    stream = rollouts(run.recipe, opened, split, measures_of_run(run))
    candidates = stream.settings.candidates
    examples = torch.arange(max(1, count // candidates) * candidates)
    questions = stream.asked(POSITION, examples)
    found = {}
    for name in (REFERENCE, MODEL):
        network = run.objective.modules[name]
        policy = CausalObjective({MODEL: network}, run.codec.space)
        found[name] = _drawn(stream, policy, questions, examples, OF[name])
    real = real_samples(stream, questions, opened.dataset(), split)
    noise = noise_samples(stream, real, run.recipe.seed)
    return BeforeAfter(
        found[REFERENCE],
        found[MODEL],
        measured(stream, real, "real data"),
        measured(stream, noise, "noise"),
        split,
        candidates,
        stream.reward,
    )


def _drawn(
    stream: Rollouts,
    policy: CausalObjective,
    questions: Sequence[Question],
    examples: Tensor,
    of: str,
) -> Measured:
    """What a model answers, some samples at once. of: which, in words."""
    samples: list[Sample] = []
    ended: list[bool] = []
    end = stream.sampler.end(stream.codec)
    with torch.no_grad():
        for part in examples.split(AT_ONCE):
            asked = [questions[number] for number in part.tolist()]
            draws = Draws(stream.seed, POSITION, part)
            _, _, drawn = stream.drawn(policy, asked, draws)
            samples += stream.samples(asked, drawn, 0, part)
    for sample in samples:
        ended.append(end is None or sample.tokens[-1:] == (end,))
    return measured(stream, samples, of, True, ended)
