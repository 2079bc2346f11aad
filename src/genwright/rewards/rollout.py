"""Rollouts as a stream: what the policy of this moment writes, decoded and rewarded.

A batch is a pure function of (seed, position) and of the policy's weights, so a run that stopped
goes on bit for bit where its rewards are pure. Samples are drawn as the policy learns: at
temperature 1, from all tokens, without constraints; else their log-probabilities would be those of
another distribution.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genwright.core.content import (
    Measure,
    Opened,
    OwnMeasure,
    Question,
    Sample,
    TokenSampler,
    drawn_sample,
)
from genwright.core.contracts import Batch, Objective, Source, Stream
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.registry import content_of, measures_of, register
from genwright.evaluation.held_out import evaluating
from genwright.objectives.policy import DATA, Policy
from genwright.objectives.terms import OFF, Term
from genwright.recipe.schema import Recipe
from genwright.rewards.guard import values_of
from genwright.rewards.nearest import Nearest
from genwright.rewards.reward import Reward, Scored, numbers
from genwright.sampling.decode import Constraint, Drawn, generate_tokens, pad_left
from genwright.sampling.drawing import Decoding
from genwright.training.loop import Hook
from genwright.training.state import State

WHOLE = 2**62  # tokens: more than any example has
NGRAM = 4  # tokens, of `distinct_4`
EXAMPLES = 2000  # of training, that samples are compared with
HELD_OUT = 64  # examples that are compared with them too


@dataclass
class Rolled:
    """One rollout of this rank. questions: of each sample."""

    questions: Sequence[Question]
    samples: list[Sample]
    scored: Scored
    watched: Mapping[str, Tensor]
    ended: Sequence[bool]


class Answers(NamedTuple):
    """What a policy drew, nothing of it measured yet. batch: "tokens", "padding", "mask" and
    "logprobs", see `objectives.policy`. ended: (n,) bool, over before their length ran out."""

    questions: list[Question]
    samples: list[Sample]
    batch: Batch
    ended: Tensor


class Rollouts(Hook):
    """See the module; a `core.contracts.Stream`, and the hook that records what rollouts took.

    last: the newest rollout, for hooks that look at it. constraint: what may be drawn; None while a
    policy learns."""

    units = 1
    unit = "samples"

    def __init__(
        self,
        settings: Policy,
        size: int,
        seed: int,
        opened: Opened,
        context: int,
        split: str = "train",
        measures: Sequence[OwnMeasure] = (),
    ):
        """size: samples of a step. context: tokens that the model reads. split: of the data that
        questions are taken from. measures: of a person's own. Raises GenwrightError."""
        self.settings = settings
        self.size = size
        self.seed = seed
        self.opened = opened
        self.codec = opened.codec
        kind = content_of(self.codec.content)
        if not isinstance(kind.sampler, TokenSampler):
            raise GenwrightError(
                f"samples of {kind.kind} are not drawn token by token, as objective policy needs",
                "choose a recipe whose model draws tokens",
            )
        if size % settings.candidates:
            raise GenwrightError(
                f"training.batch_size={size} is no multiple of"
                f" objective.candidates={settings.candidates}",
                "a step has all candidates of each of its questions",
            )
        self.sampler: TokenSampler = kind.sampler
        own = {each.name: each.measure for each in measures}
        self.reward = Reward(settings.rewards, kind.kind, own, settings.rollout.time_limit)
        self.watched = watched_measures(kind.kind, settings, own)
        self.split = split
        self.questions = self.sampler.questions(opened, settings.rollout, split)
        self.context = context
        self.examples: Stream | None = None  # real ones, that are learned beside samples
        if settings.data:
            lookahead = settings.lookahead
            self.examples = opened.dataset().stream(size, seed, lookahead=lookahead)
        self.constraint: Constraint | None = None
        self.last: Rolled | None = None
        self.nearest: Nearest | None = None  # made when it is first asked
        self.nearest_floor = math.nan
        self.seconds: dict[str, float] = {}

    # ---- a stream

    def batch(self, position: int, examples: Tensor, policy: Any = None) -> Batch:
        """See `objectives.policy` for what is in it."""
        began = time.perf_counter()
        found = self.answers(policy, position, examples)
        samples = found.samples
        decoded = time.perf_counter()
        width = found.batch["mask"].shape[1]
        scored = self.reward(samples, width, self._token_of)
        watched = self.measured(samples)
        self.seconds = {
            "rollout_seconds": decoded - began,
            "reward_seconds": time.perf_counter() - decoded,
        }
        self.last = Rolled(found.questions, samples, scored, watched, found.ended.tolist())
        batch = {
            **found.batch,
            "reward": scored.earned,
            "truncated": ~found.ended,
            "distinct": distinct(samples, self.settings.candidates),
        }
        batch |= recorded(self.reward.terms, scored.values, watched)
        if self.examples is not None:
            for name, values in self.examples.batch(position, examples).items():
                batch[f"{DATA}{name}"] = values
        return batch

    def sources(self, position: int, examples: Tensor) -> list[Source]:
        """The questions."""
        return [Source(_title(question)) for question in self.asked(position, examples)]

    def answers(self, policy: Objective, position: int, examples: Tensor) -> Answers:
        """What a policy draws of these samples. position: of the draws; below 0 it is of no step,
        and samples are numbered by `examples` alone. Raises GenwrightError as `drawn`."""
        questions = self.asked(position, examples)
        tokens, real, drawn = self.drawn(policy, questions, Draws(self.seed, position, examples))
        assert drawn.logprobs is not None
        batch = {
            "tokens": torch.cat([tokens, drawn.tokens], 1),
            "padding": torch.cat([real, torch.ones_like(drawn.mask)], 1),
            "mask": drawn.mask,
            "logprobs": drawn.logprobs,
        }
        samples = self.samples(questions, drawn, max(position, 0), examples)
        return Answers(questions, samples, batch, self._ended(drawn))

    def asked(self, position: int, examples: Tensor) -> list[Question]:
        """The question of each sample: candidates side by side have one."""
        groups = examples.cpu() // self.settings.candidates
        draws = Draws(self.seed, position, groups)
        chosen = draws.integers("question", len(self.questions), 1)[:, 0]
        return [self.questions[number] for number in chosen.tolist()]

    def drawn(
        self, policy: Objective, questions: Sequence[Question], draws: Draws
    ) -> tuple[Tensor, Tensor, Drawn]:
        """Tokens of the questions (n, prompt), whether they are real, and what was drawn behind
        them, on the CPU. Raises GenwrightError where both do not fit into the context."""
        model = policy.modules["model"]
        device = next(model.parameters()).device
        limit = self.settings.rollout.max_tokens
        tokens, real = pad_left([question.tokens for question in questions])
        read = tokens.shape[1] + limit - 1  # the last token is drawn, and never read
        if read > self.context:
            raise GenwrightError(
                f"a prompt of {tokens.shape[1]} tokens and objective.rollout.max_tokens={limit} are"
                f" more than the context of {self.context}",
                "lower max_tokens, or give shorter prompts",
            )
        decoding = Decoding(max_tokens=limit, temperature=1.0, valid_utf8=False)
        padding = None if bool(real.all()) else real.to(device)
        placed = Draws(draws.seed, draws.position, draws.examples.to(device))
        end = self.sampler.end(self.codec)
        with evaluating(policy):
            found = generate_tokens(
                model,
                tokens.to(device),
                padding,
                decoding,
                placed,
                end=end,
                constraint=self.constraint,
                logprobs=True,
            )
        assert found.logprobs is not None
        return tokens, real, Drawn(found.tokens.cpu(), found.logprobs.cpu(), found.mask.cpu())

    def samples(
        self, questions: Sequence[Question], drawn: Drawn, position: int, examples: Tensor
    ) -> list[Sample]:
        """What was drawn, decoded."""
        assert drawn.logprobs is not None
        lengths = drawn.mask.sum(1).tolist()
        rows = zip(drawn.tokens.tolist(), drawn.logprobs.tolist(), lengths, strict=True)
        ended = self._ended(drawn).tolist()
        samples = []
        for i, (tokens, logprobs, length) in enumerate(rows):
            samples.append(
                drawn_sample(
                    self.sampler,
                    self.codec,
                    questions[i],
                    tokens[:length],
                    logprobs[:length],
                    ended[i],
                    self.seed,
                    position * self.size + int(examples[i]),
                )
            )
        return samples

    def measured(
        self, samples: Sequence[Sample], of: str = "the rollout", patience: float = 1.0
    ) -> dict[str, Tensor]:
        """What measures that are not rewarded give of samples, (n,) float64 each. of: what the
        samples are of, in words. patience: how many time limits each may take. Raises
        GenwrightError."""
        seconds = patience * self.settings.rollout.time_limit
        found = {}
        for name, measure in self.watched.items():
            values = values_of(name, measure, samples, seconds, of)
            found[name] = torch.tensor(numbers(values), dtype=torch.float64)
        return found

    def _ended(self, drawn: Drawn) -> Tensor:
        """(n,) bool: samples that were over before their length ran out."""
        end = self.sampler.end(self.codec)
        if end is None:
            return torch.ones(len(drawn.tokens), dtype=torch.bool)
        return ((drawn.tokens == end) & drawn.mask).any(1)

    def _token_of(self, sample: Sample, place: Any) -> int:
        return self.sampler.token_of(self.codec, sample, place)

    # ---- on the schedule of evaluations

    def measured_at(self, step: int) -> dict[str, float]:
        """How near the newest rollout is to training examples (`nearest.Nearest`), and how near
        held-out examples are; empty before the first one."""
        if self.last is None:
            return {}
        if self.nearest is None:
            self.nearest = Nearest(self._real("train", EXAMPLES))
            held_out = self._real("held_out", HELD_OUT)
            limit = self.settings.rollout.max_tokens
            self.nearest_floor = self.nearest.mean(tokens[:limit] for tokens in held_out)
        found = {
            "nearest": self.nearest.mean(sample.tokens for sample in self.last.samples),
            "nearest_floor": self.nearest_floor,
        }
        return {name: value for name, value in found.items() if not math.isnan(value)}

    def _real(self, split: str, count: int) -> list[Sequence[int]]:
        """The tokens of real samples; none of content that its codec does not encode."""
        sampler = content_of(self.codec.content).sampler
        real: list[Sample] = sampler.real(self.opened.dataset(), split, count)
        return [self.sampler.shortened(self.codec, sample, WHOLE).tokens for sample in real]

    # ---- a hook, before what writes the records

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Adds what the rollout and its rewards took."""
        record |= self.seconds


def recorded(
    terms: Mapping[str, Term], values: Mapping[str, Tensor], watched: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """(n,) each, under the names that they have in records. values, watched: what terms and other
    measures gave, by name."""
    found = {}
    for name, of_term in values.items():
        found[f"reward/{name}"] = of_term
        target = terms[name].target
        if target is not None:
            found[f"reward/{name}{OFF}"] = (of_term - target).abs()
    for name, of_measure in watched.items():
        found[f"watched/{name}"] = of_measure
    return found


def watched_measures(
    content: str, settings: Policy, own: Mapping[str, Measure]
) -> dict[str, Measure]:
    """Measures of samples that are not rewarded: those that the recipe names, else all that give
    numbers without settings. own: measures of a person's own, by name."""
    rewarded = {term.measure for term in settings.rewards}
    found = {}
    for name, measure in {**measures_of(content), **own}.items():
        named = not settings.watched or name in settings.watched
        numeric = isinstance(measure, Measure) and measure.gives in ("number", "parts")
        if named and numeric and name not in rewarded:
            found[name] = measure
    return found


def distinct(samples: Sequence[Sample], candidates: int) -> Tensor:
    """(n, 2) float64: on the first of a question's candidates, how many 4-grams of their tokens
    differ, and how many there are; 0 on the others."""
    counts = torch.zeros(len(samples), 2, dtype=torch.float64)
    for first in range(0, len(samples), candidates):
        grams = []
        for sample in samples[first : first + candidates]:
            tokens = np.asarray(sample.tokens, dtype=np.int64)
            if len(tokens) >= NGRAM:
                grams.append(np.lib.stride_tricks.sliding_window_view(tokens, NGRAM))
        if grams:
            every = np.concatenate(grams)
            counts[first, 0] = len(np.unique(every, axis=0))
            counts[first, 1] = len(every)
    return counts


def rollouts(
    recipe: Recipe, opened: Opened, split: str = "train", measures: Sequence[OwnMeasure] = ()
) -> Rollouts:
    """The stream of a recipe whose objective is policy. split, measures: as of `Rollouts`. Raises
    GenwrightError."""
    if recipe.training.strategy == "fsdp":
        # Ranks would wait for one another at every token, and their samples end at different ones.
        raise GenwrightError(
            "objective policy draws samples while it trains, which weights that are split over"
            " processes (training.strategy=fsdp) cannot do",
            "set training.strategy=ddp",
        )
    size = recipe.training.batch_size
    assert size  # of a recipe that is resolved
    context = recipe.data.space(opened.codec).length
    return Rollouts(recipe.objective, size, recipe.seed, opened, context, split, measures)


register("stream", "rollouts", rollouts)


def _title(question: Question) -> str:
    """A question, for a person."""
    return repr(question.prompt) if question.prompt else "an empty prompt"
