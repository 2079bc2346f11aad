"""A causal model that learns from rewards of what it writes (policy gradient).

A batch of rollouts (`rewards/rollout.py`) has, candidates of one question side by side:

tokens: (n, prompt + drawn) int64, questions padded on the left. padding: (n, prompt + drawn) bool,
    True: real.
mask: (n, drawn) bool, what was drawn before a sample was over, its end token included.
logprobs: (n, drawn) nats, under the policy that drew them.
reward: (n, drawn), what each token earned. terms: (n, terms), what measures gave. watched:
    (n, measures), likewise of what is not rewarded; NaN where they say nothing.
truncated: (n,) bool, cut by its length. distinct: (n, 2), 4-grams of a question's candidates that
    differ, and how many there are, on the first of them.
data/NAME: (n, ...), with `data`: entries of a batch of real examples, as objective causal takes
    them, one beside each sample.

The loss is the negative of: advantage x (clipped) ratio, minus `kl` times the divergence from the
frozen reference, whose gradient is that of the divergence between whole sequences. With `data`,
the mean loss of real examples is added, as in Ouyang et al., arXiv 2203.02155.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Batch, Loss, Mean, Metrics, Ranks, Space, Turn
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.registry import Settings
from genwright.models.transformer import IGNORED
from genwright.objectives import policy_gradient as pg
from genwright.objectives.language import CausalObjective
from genwright.objectives.terms import Rollout, Term
from genwright.sampling.drawing import Decoding
from genwright.training.weighting import WEIGHT, weighted

MODEL = "model"
REFERENCE = "reference"
DATA = "data/"  # before the names of what a batch says of real examples
SHARE = f"{DATA}share"  # what one nat of them counts, beside those of drawn tokens
AGREED = 1e-4  # nats by which sampler and objective may differ in fp32


class PolicyObjective(CausalObjective):
    """See the module. modules: {"model": the policy}; the reference is added to them, and is the
    policy as it is at `begin`. Held-out data are measured as by objective causal."""

    def __init__(self, modules: Mapping[str, nn.Module], space: Space, settings: Policy):
        reference = copy.deepcopy(modules[MODEL])
        super().__init__({**modules, REFERENCE: reference}, space)
        self.settings = settings
        self.unit = settings.candidates
        self.held_out_unit = 1
        self.checked = False

    @property
    def trained(self) -> tuple[str, ...]:
        """The policy; the reference is frozen."""
        return (MODEL,)

    def begin(self) -> None:
        """Takes the policy's first weights as the reference's."""
        self.modules[REFERENCE].load_state_dict(self.modules[MODEL].state_dict())

    # ---- what is learned from

    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Rollouts as they are; real examples beside them as objective causal prepares them."""
        real = _of_data(batch)
        if not real:
            return batch
        return batch | _as_data(super().prepare(real, draws, ranks))

    def prepare_held_out(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Real examples, as objective causal prepares them."""
        return super().prepare(batch, draws, ranks)

    def measured(self, batch: Batch) -> Loss:
        """The likelihood of real examples, in nats a token."""
        return super().loss(batch)

    def settle(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Advantages, from the rewards of a question's candidates, which all are on one rank.
        Raises GenwrightError where every sample was cut and none of those is learned from."""
        s = self.settings
        mask = batch["mask"]
        if s.baseline == "best":
            advantages = pg.best_only(batch["reward"].sum(1), mask, s.candidates)
        else:
            returns = pg.returns(batch["reward"], mask, s.discount)
            advantages = pg.advantages(returns, mask, s.candidates, s.baseline, scale=s.scale)
        settled = batch | {"advantages": advantages}
        if s.rollout.truncated == "leave out":
            settled["mask"] = mask & ~batch["truncated"][:, None]
            _check_some_are_left(settled["mask"], ranks)
        if s.data:
            settled[SHARE] = self._data_share(settled, ranks)
        return settled

    def _data_share(self, batch: Batch, ranks: Ranks) -> Tensor:
        """(n,) the same number n times: `data` times the step's count over that of real tokens. The
        loop divides by the first alone, and the mean of real tokens is meant."""
        s = self.settings
        drawn = pg.counts(batch["mask"], s.normaliser, s.rollout.max_tokens).sum()
        real = (batch[f"{DATA}targets"] != IGNORED).sum(1).double()
        if f"{DATA}{WEIGHT}" in batch:
            real = real * batch[f"{DATA}{WEIGHT}"]
        both = ranks.sum(torch.stack([drawn.double(), real.sum()]))
        share = s.data * both[0] / both[1].clamp(min=1)
        return share.float().expand(len(batch["mask"]))

    def turns(self, step: int) -> Generator[Turn, Metrics, None]:
        """One turn of all samples, `updates` times; a ratio far from 1 at the first of all means
        that sampler and objective disagree. Raises GenwrightError."""
        for _ in range(self.settings.updates):
            yield Turn((MODEL,), self.loss)

    def loss(self, batch: Batch) -> Loss:
        """What is minimised, over the drawn tokens, and real ones with `data`; see the module."""
        s = self.settings
        mask = batch["mask"]
        logits = self._logits(MODEL, batch)  # (n, drawn, vocabulary)
        with torch.no_grad():
            reference = self._logits(REFERENCE, batch)
        logprobs = chosen(logits, drawn_tokens(batch))  # (n, drawn)
        loss, ratio, clipped = pg.policy_loss(
            logprobs, batch["logprobs"], batch["advantages"], mask, s.clip_low, s.clip_high
        )
        kl = pg.kl_full(logits, reference)  # (n, drawn)
        if s.kl:
            to_come = pg.kl_to_come(kl, mask, s.candidates, s.discount)
            loss = loss + s.kl * pg.kl_loss(kl, logprobs, mask, to_come=to_come)
        chance = self._fault_chance(logits, batch)
        if chance is not None:
            to_come = pg.kl_to_come(chance, mask, s.candidates, s.faults_discount)
            # an expectation over a place's tokens, as the divergence is, with what follows from it
            loss = loss + s.faults * pg.kl_loss(chance, logprobs, mask, to_come=to_come)
        entropy = pg.entropy(logits)
        if s.entropy_floor:
            low = entropy.detach() < s.entropy_floor
            loss = loss - s.entropy_weight * entropy * low
        self._check_agreement(logprobs.detach(), batch)
        total, count = pg.normalised(loss, mask, s.normaliser, s.rollout.max_tokens)
        metrics = self._metrics(batch, kl, entropy, ratio, clipped)
        metrics["loss"] = Mean(total.detach(), count)
        if chance is not None:
            metrics["faults"] = _over_tokens(chance, mask)
        if s.data:
            real = weighted(super().loss, _of_data(batch))
            metrics["data_loss"] = real.metrics["loss"]
            total = total + batch[SHARE] * real.total
        return Loss(total, count, metrics)

    def _fault_chance(self, logits: Tensor, batch: Batch) -> Tensor | None:
        """(n, drawn) where faults are weighted."""
        if not self.settings.faults or self.space.faults is None:
            return None
        return pg.fault_chance(logits, faults_of_places(self.space, batch))

    def _logits(self, name: str, batch: Batch) -> Tensor:
        """(n, drawn, vocabulary): what a network says of the drawn tokens, in fp32."""
        return drawn_logits(self.modules[name], batch)

    def observe(self, micro: Batch) -> Batch:
        """Of a network in bf16, the drawn tokens' log-probabilities as the loss will see them:
        those of the sampler differ by rounding, and the first ratio would not be 1."""
        if next(self.modules[MODEL].parameters()).dtype == torch.float32:
            return {}
        logits = self._logits(MODEL, micro)
        return {
            "sampled": micro["logprobs"],
            "logprobs": chosen(logits, drawn_tokens(micro)),
        }

    def _check_agreement(self, logprobs: Tensor, batch: Batch) -> None:
        """Once a run, before its first update: the sampler and the loss mean one distribution. In
        bf16 they agree by `observe`; where bf16 is only tried, on what fp32 drew, they need not.
        Raises GenwrightError."""
        if self.checked or next(self.modules[MODEL].parameters()).dtype != torch.float32:
            return
        self.checked = True
        apart = (logprobs - batch["logprobs"]).abs()[batch["mask"]].max().item()
        if not apart <= AGREED:
            raise GenwrightError(
                f"log-probabilities of drawn tokens differ by {apart:.2g} nats between the sampler"
                f" and the objective, over {AGREED:g}",
                "set training.precision=fp32; if it is that already, report this as a fault",
            )

    def _metrics(
        self, batch: Batch, kl: Tensor, entropy: Tensor, ratio: Tensor, clipped: Tensor
    ) -> dict[str, Mean]:
        """What is recorded of a micro-batch."""
        mask = batch["mask"]
        tokens = mask.sum(1)  # (n,)
        ones = torch.ones_like(tokens)
        total = batch["reward"].sum(1)
        dead = pg.dead_groups(total, self.settings.candidates)
        distinct = batch["distinct"]
        metrics = {
            "reward": Mean(total, ones),
            "kl": _over_tokens(kl, mask),
            "entropy": _over_tokens(entropy, mask),
            "ratio": _over_tokens(ratio, mask),
            "clipped": _over_tokens(clipped, mask),
            "length": Mean(tokens, ones),
            "truncated": Mean(batch["truncated"].double(), ones),
            "dead_groups": Mean(dead.double(), torch.ones_like(dead, dtype=torch.int64)),
            "distinct_4": Mean(distinct[:, 0], distinct[:, 1]),
        }
        for name, values in batch.items():
            if name.startswith(("reward/", "watched/")):
                known = ~values.isnan()
                metrics[name] = Mean(values.where(known, 0), known.long())
        return metrics


def _of_data(batch: Batch) -> Batch:
    """What a batch says of real examples, by the names that it has in a batch of theirs."""
    return {
        name.removeprefix(DATA): value
        for name, value in batch.items()
        if name.startswith(DATA) and name != SHARE
    }


def _as_data(real: Batch) -> Batch:
    """A batch of real examples, by the names that it has beside samples."""
    return {f"{DATA}{name}": value for name, value in real.items()}


def faults_of_places(space: Space, batch: Batch) -> Tensor:
    """(n, drawn, vocabulary) bool: which tokens would break a rule of the content at each drawn
    place (`Space.faults`)."""
    assert space.faults is not None
    mask = batch["mask"]
    drawn = mask.shape[1]
    padding = batch["padding"]
    there = torch.cat([padding[:, :-drawn], mask], 1)
    tokens = batch["tokens"].masked_fill(~there, -1)  # (n, time)
    found = torch.zeros(*mask.shape, space.vocabulary, dtype=torch.bool, device=mask.device)
    empty = (~padding).sum(1)  # (n,) places in front of a question
    for count in sorted(set(empty.tolist())):
        rows = empty == count
        # rules count the places of a row from where the sample begins
        found[rows] = space.faults(tokens[rows, count:])[:, -drawn:]
    return found


def drawn_tokens(batch: Batch) -> Tensor:
    """(n, drawn) tokens of a batch of rollouts."""
    return batch["tokens"][:, -batch["mask"].shape[1] :]


def drawn_logits(network: nn.Module, batch: Batch) -> Tensor:
    """(n, drawn, vocabulary): what a causal network says of the drawn tokens, in fp32."""
    tokens = batch["tokens"]
    padding = batch["padding"]
    first = tokens.shape[1] - batch["mask"].shape[1]  # of the drawn ones
    real = None if bool(padding.all()) else padding[:, :-1]
    logits: Tensor = network(tokens[:, :-1], padding=real)
    return logits[:, first - 1 :].float()


def chosen(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probabilities (n, drawn) of tokens (n, drawn). logits: (n, drawn, vocabulary)."""
    return logits.gather(2, tokens[..., None])[..., 0] - logits.logsumexp(-1)


def _over_tokens(values: Tensor, mask: Tensor) -> Mean:
    """values, mask: (n, drawn)."""
    return Mean((values.detach() * mask).sum(1), mask.sum(1))


class Policy(Settings, family="objective"):
    """Settings of a policy that learns from rewards of its samples."""

    kind: Literal["policy"] = "policy"
    """Learn from rewards; begin with a trained causal run (`--from`)."""
    rewards: tuple[Term, ...] = ()
    """What is rewarded: measures with weights."""
    watched: tuple[str, ...] = ()
    """Measures that are recorded and not rewarded; none named: all of the content's."""
    rollout: Rollout = Rollout()
    """What samples begin with, and how long they may be."""
    candidates: int = Field(8, ge=2)
    """Samples of each question, whose rewards are compared; training.batch_size is a multiple."""
    baseline: Literal["leave-one-out", "group", "best"] = "leave-one-out"
    """What a reward is compared with: the mean of the other candidates, or of all of them. best:
    the best candidate is learned as data are, and the others are not (rejection); its kl is 0 in
    most work."""
    scale: bool = False
    """Divides advantages by the deviation of a question's rewards (GRPO)."""
    discount: float = Field(1.0, gt=0, le=1)
    """How much less each token later what is earned there counts for a token; below 1 for rewards
    whose causes lie near (a fault between two notes): less noise, and blind to what is far. The
    divergence from the model of before counts likewise."""
    normaliser: Literal["tokens", "constant", "sequence"] = "tokens"
    """What sums over tokens are divided by: all drawn tokens, max_tokens of each sample, or each
    sample's own length, which favours short samples where they are good and long ones where they
    are bad."""
    updates: int = Field(1, ge=1)
    """Updates from one rollout."""
    clip_low: float = Field(0.2, gt=0, lt=1)
    """How far a ratio may fall below 1 and still be learned from."""
    clip_high: float = Field(0.28, gt=0)
    """How far a ratio may rise above 1 and still be learned from."""
    faults: float = Field(0.0, ge=0)
    """Weight of the chance of tokens that break a rule of the content, where the codec knows one.
    What a reward of -1 a fault teaches, but from all tokens that could have been drawn, so with far
    less noise."""
    faults_discount: float = Field(0.0, ge=0, le=1)
    """As `discount`, of faults: how much a token answers for the chances of those after it. 0: each
    place answers for its own chance, and what is left is likely as it was, as a mask of the rules
    leaves it. Above 0, tokens that only lead to places without faults are preferred, too: rests and
    held notes."""
    kl: float = Field(0.02, ge=0)
    """Weight of the divergence from the model of before, in nats a sample."""
    data: float = Field(0.0, ge=0)
    """Weight of the loss of real examples of the data, one beside each sample: what they cost the
    model shall not rise while it learns from rewards. Adds a pass over as many windows."""
    entropy_floor: float = Field(0.0, ge=0)
    """Nats a token, below which more entropy is rewarded."""
    entropy_weight: float = Field(0.01, ge=0)
    """Weight of that."""
    sampling: ClassVar[type[Settings]] = Decoding
    lookahead: ClassVar[int] = 1
    causal: ClassVar[bool] = True
    streams: ClassVar[str] = "rollouts"
    begins: ClassVar[bool] = True

    def needs(self, space: Space) -> dict[str, tuple[str, dict[str, Any]]]:
        """A network that reads from left to right."""
        return {MODEL: ("sequence", {"context": space.length, "causal": True})}

    def build(self, modules: Mapping[str, nn.Module], space: Space) -> PolicyObjective:
        """Raises GenwrightError where nothing is rewarded, and where `faults` is set and the codec
        knows none."""
        if not self.rewards:
            raise GenwrightError(
                "objective.rewards is empty", "name a measure, or give one with --reward FILE:NAME"
            )
        if self.faults and space.faults is None:
            raise GenwrightError(
                "objective.faults needs a codec that knows what breaks a rule of its content",
                "leave it out, or choose another codec.kind",
            )
        return PolicyObjective(modules, space, self)


def _check_some_are_left(mask: Tensor, ranks: Ranks) -> None:
    """mask: (n, drawn), what is learned from on this rank."""
    if not int(ranks.sum(mask.sum().double())):
        raise GenwrightError(
            "every sample of a step was cut by its length, and samples that are cut are left out",
            "raise objective.rollout.max_tokens, set objective.rollout.truncated=keep, "
            "or begin with a model that was trained for longer",
        )
