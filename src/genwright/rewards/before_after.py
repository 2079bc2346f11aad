"""What a policy earns, beside the model of before, real data and noise; measured anew.

Policy and model of before answer the same questions with the same random numbers, at temperature 1
from all tokens, as while the policy learned. Questions are of held-out data where there are some.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genwright.core.content import Sample
from genwright.objectives.language import CausalObjective
from genwright.objectives.policy import MODEL, REFERENCE
from genwright.rewards.floors import noise_samples, real_samples
from genwright.rewards.measured import Measured, error_of, mean_of, measured
from genwright.rewards.reward import Reward
from genwright.rewards.rollout import Rollouts, rollouts
from genwright.rewards.user_file import measures_of_run
from genwright.runs.content import kind_of
from genwright.runs.trained import TrainedRun

SAMPLES = 128  # of each, at least as many as a question has candidates
AT_ONCE = 64  # samples that are drawn together
OF = {REFERENCE: "the model of before", MODEL: "the model after learning"}
POSITION = -2  # of the draws: no step of training, and no evaluation, has it


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


def difference(before: Tensor, after: Tensor, alike: int) -> tuple[float, float]:
    """The mean of after minus before over pairs that both have a number, and its standard error;
    NaN where fewer than two questions have such a pair. alike: pairs of one question, side by
    side."""
    change = after - before
    error = error_of(change, alike)
    if math.isnan(error):
        return math.nan, math.nan
    return mean_of(change), error


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
        found[name] = _drawn(stream, policy, examples, OF[name])
    real = real_samples(stream, questions, opened.dataset(), split)
    noise = noise_samples(stream, real, run.recipe.seed)
    # answers of the data stand as often as their question has candidates; other samples once
    answered = all(question.answer is not None for question in questions)
    alike = candidates if answered else 1
    return BeforeAfter(
        found[REFERENCE],
        found[MODEL],
        measured(stream, real, "real data", alike=alike),
        measured(stream, noise, "noise", alike=alike),
        split,
        candidates,
        stream.reward,
    )


def _drawn(stream: Rollouts, policy: CausalObjective, examples: Tensor, of: str) -> Measured:
    """What a model answers, some samples at once. of: which, in words."""
    samples: list[Sample] = []
    ended: list[bool] = []
    with torch.no_grad():
        for part in examples.split(AT_ONCE):
            answers = stream.answers(policy, POSITION, part)
            samples += answers.samples
            ended += answers.ended.tolist()
    return measured(stream, samples, of, ended, stream.settings.candidates)
