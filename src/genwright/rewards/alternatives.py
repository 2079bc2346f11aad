"""What a model that learned from rewards has to be compared with: the same reward, and how far it
is from the model of before, of anything that draws samples.

1. `alternative` draws samples of a model (or under the rules of a content, which rule out tokens
   one by one) and gives their rewards with the divergence from the reference. That is exact at
   every place that was drawn: over the whole vocabulary for a model; under rules the logarithm of
   the share that the rules leave, which is the same for every token that they allow.
2. `best_of_n` draws n samples of a question and keeps the best. From m >= n samples of each
   question the reward that it reaches is estimated without bias, by averaging over all sets of n of
   them (an order statistic: nothing is drawn anew). Its distance from the model is at most
   log n - (n - 1) / n nats a sample, and exactly that where no two samples are equal (Beirami et
   al., arXiv 2401.01879). Of a reward that is 0 or 1 it is pass@n (Chen et al., 2107.03374).

Training on the best samples (rejection) is `objective.baseline=best`. The price of best-of-n is
paid at every sample, that of training once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genwright.core.content import Sample
from genwright.core.contracts import Batch, Objective
from genwright.core.errors import GenwrightError
from genwright.core.progress import track
from genwright.objectives import policy_gradient as pg
from genwright.objectives.policy import chosen, drawn_logits, drawn_tokens
from genwright.rewards.measured import measured
from genwright.rewards.rollout import Rollouts, recorded
from genwright.sampling.decode import Constraint


class Alternative(NamedTuple):
    """Samples of a model, `m` of each question.

    samples: candidates of a question side by side. reward: (questions, m) float64, of each of them.
    parts: "reward/TERM" and "watched/MEASURE" -> (questions, m), without weights; NaN where they
    say nothing. kl: nats a sample from the reference; kl_error: its standard error. entropy: nats a
    token. length: tokens a sample. truncated: share cut by their length. distinct_4: share of
    4-grams of a question's samples that differ."""

    samples: Sequence[Sample]
    reward: Tensor
    parts: Mapping[str, Tensor]
    kl: float
    kl_error: float
    entropy: float
    length: float
    truncated: float
    distinct_4: float


@torch.no_grad()
def alternative(
    stream: Rollouts,
    policy: Objective,
    reference: nn.Module,
    samples: int,
    constraint: Constraint | None = None,
) -> Alternative:
    """Draws at least `samples` samples of policy's network "model", in whole batches of the stream.
    reference: what the divergence is from. constraint: what may be drawn, of reference itself.
    Raises GenwrightError."""
    stream.constraint = constraint
    drawn: list[Sample] = []
    ended: list[bool] = []
    distances = []
    try:
        positions = range(math.ceil(samples / stream.size))
        for position in track(positions, "drawing batches of samples"):
            answers = stream.answers(policy, position, torch.arange(stream.size))
            drawn += answers.samples
            ended += answers.ended.tolist()
            ruled = constraint is not None
            distances.append(_divergence(policy, reference, answers.batch, ruled))
    finally:
        stream.constraint = None
    m = stream.settings.candidates
    found = measured(stream, drawn, "the samples", ended)
    _check_values(found.reward.view(-1, m))
    parts = recorded(stream.reward.terms, found.terms, found.watched)
    kl = _joined(distances, "kl")  # (n,)
    length = _joined(distances, "length")
    return Alternative(
        samples=drawn,
        reward=found.reward.view(-1, m),
        parts={name: values.view(-1, m) for name, values in parts.items()},
        kl=float(kl.mean()),
        kl_error=float(kl.std() / math.sqrt(len(kl))),
        entropy=float(_joined(distances, "entropy").sum() / length.sum()),
        length=float(length.mean()),
        truncated=found.truncated,
        distinct_4=found.distinct_4,
    )


def _joined(distances: list[Batch], name: str) -> Tensor:
    return torch.cat([batch[name].double() for batch in distances])


def _divergence(policy: Objective, reference: nn.Module, batch: Batch, ruled: bool) -> Batch:
    """kl and entropy: (n,), nats a sample. length: (n,), tokens. ruled: the samples were drawn from
    what rules leave of the reference."""
    mask = batch["mask"]
    device = next(reference.parameters()).device
    batch = {name: value.to(device) for name, value in batch.items()}
    logits = drawn_logits(policy.modules["model"], batch)  # (n, drawn, vocabulary)
    others = drawn_logits(reference, batch)
    if ruled:
        kl = batch["logprobs"] - chosen(others, drawn_tokens(batch))  # (n, drawn)
    else:
        kl = pg.kl_full(logits, others)
    entropy = pg.entropy(logits)
    return {
        "kl": (kl.cpu().double() * mask).sum(1),
        "entropy": (entropy.cpu().double() * mask).sum(1),
        "length": mask.sum(1),
    }


class BestOf(NamedTuple):
    """What best-of-n reaches. n: samples of which the best is kept. kl: the bound on its distance
    from the model, nats a sample. reward: the mean reward of what is kept. error: its standard
    error over questions, NaN of one question. parts: name -> the mean of what else was measured of
    the samples that are kept; NaN where nothing was."""

    n: int
    kl: float
    reward: float
    error: float
    parts: dict[str, float]


def kl_of_best(n: int) -> float:
    """The bound on the divergence of best-of-n from the model, nats a sample."""
    return math.log(n) - (n - 1) / n


def chances_of_best(values: Tensor, n: int) -> Tensor:
    """(questions, m) float64: the probability of each sample to be the best of n of its question's
    m samples, drawn without putting any back. Samples of one value share their chances.

    values: (questions, m). Raises GenwrightError where n is not in 1 .. m, and for a value that is
    not a number."""
    _check(values, n)
    m = values.shape[1]
    by_rank = torch.from_numpy(_chances_by_rank(m, n))  # (m,), of the lowest first
    values = values.double()
    order = values.argsort(1)
    sorted_values = values.gather(1, order)
    chances = torch.empty_like(values)
    for row in range(len(values)):
        _, sizes = sorted_values[row].unique_consecutive(return_counts=True)
        shared = [part.mean().expand(len(part)) for part in by_rank.split(sizes.tolist())]
        chances[row, order[row]] = torch.cat(shared)
    return chances


def _chances_by_rank(m: int, n: int) -> np.ndarray:
    """(m,): the chance of the i-th smallest of m different values to be the largest of n of them:
    (i - 1 choose n - 1) / (m choose n)."""
    chances = np.zeros(m)
    chance = n / m  # of the largest
    for i in range(m, n - 1, -1):
        chances[i - 1] = chance
        # (i - 2 choose n - 1) = (i - 1 choose n - 1) (i - n) / (i - 1)
        if i > 1:
            chance *= (i - n) / (i - 1)
    return chances


def _check(values: Tensor, n: int) -> None:
    """Raises GenwrightError; see `chances_of_best`."""
    m = values.shape[1]
    if not 1 <= n <= m:
        raise GenwrightError(
            f"best of {n} cannot be told from {m} samples of a question",
            f"draw more samples of each question, or take n from 1 to {m}",
        )
    _check_values(values)


def _check_values(values: Tensor) -> None:
    """Raises GenwrightError for a reward that is not a number. values: (questions, m)."""
    if values.isnan().any():
        row, column = values.isnan().nonzero()[0].tolist()
        raise GenwrightError(
            f"the reward of sample {column} of question {row} is not a number",
            "give the term a value for such samples: `otherwise: 0`",
        )


def best_of_n(values: Tensor, n: int, parts: Mapping[str, Tensor] | None = None) -> BestOf:
    """What best-of-n reaches by the rewards `values` (questions, m), without bias. parts: name ->
    (questions, m), what else was measured of the same samples; NaN says nothing, and is left out.
    Raises GenwrightError as `chances_of_best`."""
    chances = chances_of_best(values, n)
    # a chance of 0 times an infinite reward is none
    reward = (chances * values.double()).where(chances > 0, 0).sum(1)  # (questions,)
    means = {}
    for name, found in (parts or {}).items():
        known = ~found.isnan()
        weight = chances * known
        total = (chances * found.double().where(known, 0)).sum()
        means[name] = float(total / weight.sum())
    return BestOf(n, kl_of_best(n), float(reward.mean()), error_of(reward), means)


def error_of(values: Tensor) -> float:
    """The standard error of the mean of (questions,) values, which are independent of one another;
    NaN of one question."""
    if len(values) < 2:
        return math.nan
    return float(values.std() / math.sqrt(len(values)))
