"""What reinforcement learning has to be compared with, at the same price: best-of-n, and supervised
training on the best samples. Both need nothing but rollouts that are rewarded already.

1. Best-of-n draws n samples of a question and keeps the best. From m >= n samples of each question
   the reward that it reaches is estimated without bias, by averaging over all sets of n of them
   (an order statistic: nothing is drawn anew). Its distance from the model is at most
   log n - (n - 1) / n nats a sample, and exactly that where no two samples are equal (Beirami et
   al., arXiv 2401.01879). Of a reward that is 0 or 1 it is pass@n (Chen et al., 2107.03374).
2. Rejection keeps the best samples of each question and learns them as data, by the same loop as
   any other (RAFT: Dong et al., arXiv 2304.06767).

The price of best-of-n is paid at every sample, that of rejection once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from genwright.core.contracts import Batch, Source, Space
from genwright.core.errors import GenwrightError
from genwright.data.examples import ExampleStream
from genwright.objectives.language import CausalObjective
from genwright.training.engine import Engine
from genwright.training.loop import Hook, run
from genwright.training.settings import Training
from genwright.training.state import start

ABSENT = -1  # in a batch of tokens: there is none


class BestOf(NamedTuple):
    """What best-of-n reaches. n: samples of which the best is kept. kl: the bound on its distance
    from the model, nats a sample. reward: the mean reward of what is kept. error: its standard
    error over questions, NaN of one question. others: name -> the mean of what else was measured of
    the samples that are kept; NaN where nothing was."""

    n: int
    kl: float
    reward: float
    error: float
    others: dict[str, float]


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
    if values.isnan().any():
        row, column = values.isnan().nonzero()[0].tolist()
        raise GenwrightError(
            f"the reward of sample {column} of question {row} is not a number",
            "give the term a value for such samples: `otherwise: 0`",
        )


def best_of_n(values: Tensor, n: int, others: Mapping[str, Tensor] | None = None) -> BestOf:
    """What best-of-n reaches by the rewards `values` (questions, m), without bias. others: name ->
    (questions, m), what else was measured of the same samples; NaN says nothing, and is left out.
    Raises GenwrightError as `chances_of_best`."""
    chances = chances_of_best(values, n)
    # a chance of 0 times an infinite reward is none
    reward = (chances * values.double()).where(chances > 0, 0).sum(1)  # (questions,)
    error = math.nan
    if len(reward) > 1:
        error = float(reward.std() / math.sqrt(len(reward)))
    means = {}
    for name, measured in (others or {}).items():
        known = ~measured.isnan()
        weight = chances * known
        total = (chances * measured.double().where(known, 0)).sum()
        means[name] = float(total / weight.sum())
    return BestOf(n, kl_of_best(n), float(reward.mean()), error, means)


def best_rows(
    values: Tensor, candidates: int, keep: int = 1, at_least: float | None = None
) -> Tensor:
    """(k,) int64: which of n samples are the best `keep` of their question; of equal ones the
    first.

    values: (n,), candidates of one question side by side. at_least: those below are not kept, also
    where their question has no better one. Raises GenwrightError for a value that is not a number,
    and where keep is not in 1 .. candidates."""
    groups = values.view(-1, candidates)
    _check(groups, keep)
    best = groups.argsort(dim=1, descending=True, stable=True)[:, :keep].sort(1).values
    first = torch.arange(len(groups))[:, None] * candidates
    rows = (first + best).flatten()
    if at_least is not None:
        rows = rows[values[rows] >= at_least]
    return rows


def as_examples(batch: Batch, rows: Tensor) -> Batch:
    """Rows of a rollout as objective causal takes them: tokens (k, length) int64 from the first
    one on, -1 behind the last; counted (k, length) bool, what was drawn, the end token included.

    batch: as `objectives/policy.py` says: tokens, padding, mask."""
    mask = batch["mask"][rows]  # (k, drawn)
    tokens = batch["tokens"][rows]
    prompt = tokens.shape[1] - mask.shape[1]
    asked = batch["padding"][rows][:, :prompt]
    real = torch.cat([asked, mask], 1)
    counted = torch.cat([torch.zeros_like(asked), mask], 1)
    order = (~real).long().argsort(dim=1, stable=True)  # what is there comes first, in its order
    length = int(real.sum(1).max()) if len(rows) else 0
    aligned = tokens.masked_fill(~real, ABSENT).gather(1, order)[:, :length]
    return {"tokens": aligned, "counted": counted.gather(1, order)[:, :length]}


class BestSamples:
    """The best samples of many rollouts, as examples to learn from (`data.examples.Examples`): fill
    it with `add`, then `stream`.

    keep, at_least: see `best_rows`."""

    unit = "samples"

    def __init__(self, candidates: int, keep: int = 1, at_least: float | None = None):
        self.candidates = candidates
        self.keep = keep
        self.at_least = at_least
        self.seen = 0  # samples that there were to choose from
        self.tokens: list[Tensor] = []  # (length,) each
        self.counted: list[Tensor] = []

    def __len__(self) -> int:
        return len(self.tokens)

    def add(self, batch: Batch) -> None:
        """Takes the best of a rollout, by the sum of what their tokens earned. Raises
        GenwrightError for a reward that is not a number."""
        total = batch["reward"].double().sum(1)  # (n,)
        rows = best_rows(total, self.candidates, self.keep, self.at_least)
        self.seen += len(total)
        examples = as_examples(batch, rows)
        for tokens, counted in zip(examples["tokens"], examples["counted"], strict=True):
            there = tokens != ABSENT
            self.tokens.append(tokens[there])
            self.counted.append(counted[there])

    def batch(self, indices: np.ndarray) -> Batch:
        """Those samples, -1 behind their ends."""
        chosen = indices.tolist()
        tokens = [self.tokens[i] for i in chosen]
        counted = [self.counted[i] for i in chosen]
        return {
            "tokens": pad_sequence(tokens, batch_first=True, padding_value=ABSENT),
            "counted": pad_sequence(counted, batch_first=True, padding_value=False),
        }

    def sources(self, indices: np.ndarray) -> list[Source]:
        """Which of the kept samples each is."""
        return [Source(f"kept sample {i}") for i in indices.tolist()]

    def stream(self, size: int, seed: int) -> ExampleStream:
        """Batches of `size` samples; every epoch visits each once. Raises GenwrightError where none
        was kept."""
        if not len(self):
            raise GenwrightError(
                "no sample was good enough to learn from",
                "draw more samples, or lower what a sample must reach",
            )
        return ExampleStream(self, size, seed, self.unit)


def learn_from_best(
    model: nn.Module,
    space: Space,
    best: BestSamples,
    settings: Training,
    seed: int,
    engine: Engine | None = None,
    hooks: Sequence[Hook] = (),
) -> None:
    """Trains a causal model on the kept samples, in place, by the loop of every run: settings.steps
    steps of settings.batch_size samples. Raises GenwrightError where none was kept."""
    size = len(best)
    if settings.batch_size is not None:
        size = min(settings.batch_size, size)
    stream = best.stream(max(1, size), seed)
    engine = engine or Engine.alone()
    objective = CausalObjective({"model": model}, space)
    was_training = model.training
    with torch.enable_grad():
        state = start(objective, settings, engine, seed)
        run(objective, stream, state, settings.steps, settings=settings, engine=engine, hooks=hooks)
        state.release()
    model.train(was_training)
