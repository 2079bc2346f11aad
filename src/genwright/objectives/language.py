"""Language modelling: predict the next token (`causal`) or hidden tokens (`masked`; Devlin et al.,
arXiv 1810.04805). One code path: `prepare` turns tokens into inputs and targets, the loss is the
model's negative log-likelihood of the targets.

A batch holds `tokens` (examples, context + lookahead), -1 where there is none; `documents` of the
same shape when attention must not cross documents; `counted` (bool, same shape) when not every
token is to be learned. What breaks a rule of the content can be made unlikely as such (Welleck et
al., arXiv 1908.04319): by weight x -log(1 - its probability), beside each target.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Batch, Loss, Mean, Objective, Ranks, Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.registry import Settings
from genwright.models.transformer import IGNORED
from genwright.sampling.drawing import Decoding


class Language(Objective):
    """The shared path. modules: {"model": network}, which maps tokens and targets to the nll of
    each token."""

    metric_units: Mapping[str, str] = {"loss": "nats/token"}
    # whether the loss counts correct predictions too, for which it needs the logits themselves
    accuracy = False
    unlikelihood = 0.0

    def __init__(self, modules: Mapping[str, nn.Module], space: Space):
        self.modules = modules
        self.space = space

    def loss(self, batch: Batch) -> Loss:
        """Sum over counted tokens of -log p(target), and unlikelihood, per example, in nats.
        Metrics: loss, the first alone; faults, the chance of one."""
        extra = {name: batch[name] for name in ("documents", "padding") if name in batch}
        inputs = batch["inputs"]  # (examples, time)
        targets = batch["targets"]
        count = (targets != IGNORED).sum(1)
        metrics: dict[str, Mean] = {}
        if self.accuracy or "faults" in batch:
            logits = self.modules["model"](inputs, **extra)  # (examples, time, vocabulary)
            nll = F.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none"
            ).view_as(targets)
            if self.accuracy:
                correct = (logits.argmax(-1) == targets).sum(1)
                metrics["accuracy"] = Mean(correct, count)
        else:
            nll = self.modules["model"](inputs, targets=targets, **extra)  # (examples, time)
        total = nll.sum(1)
        metrics["loss"] = Mean(total.detach(), count)
        if "faults" in batch:
            allowed = logits.masked_fill(batch["faults"], -math.inf)
            # (examples, time): -log of the chance of no fault
            unlikely = logits.logsumexp(-1) - allowed.logsumexp(-1)
            chance = -torch.expm1(-unlikely.detach())
            metrics["faults"] = Mean(chance.sum(1), count)
            total = total + self.unlikelihood * unlikely.sum(1)
        return Loss(total, count, metrics)

    measured = loss


class CausalObjective(Language):
    """Next-token prediction: loss in nats, counted in the tokens that have a target.

    unlikelihood: weight of the penalty on tokens that break a rule (Welleck et al., arXiv
    1908.04319). Raises GenwrightError where the codec knows no faults."""

    def __init__(self, modules: Mapping[str, nn.Module], space: Space, unlikelihood: float = 0.0):
        super().__init__(modules, space)
        self.unlikelihood = unlikelihood
        if unlikelihood and space.faults is None:
            raise GenwrightError(
                "objective.unlikelihood needs a codec that knows what breaks a rule of its content",
                "leave it out, or choose another codec.kind",
            )

    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Inputs are all tokens but the last, targets all but the first; where there is no token
        nothing counts. The first token of a document is never predicted from another document when
        attention is cut there."""
        tokens = batch["tokens"]
        inputs = tokens[:, :-1]
        targets = tokens[:, 1:]
        plain = len(batch) == 1 and tokens.is_cpu and not self.unlikelihood
        if plain and int(tokens.min()) >= 0:  # as in training: three passes less
            return {"inputs": inputs, "targets": targets}
        absent = targets < 0
        if "counted" in batch:
            absent = absent | ~batch["counted"][:, 1:]
        if "documents" in batch:
            absent = absent | (batch["documents"][:, 1:] != batch["documents"][:, :-1])
        out = {"inputs": inputs.clamp(min=0), "targets": targets.masked_fill(absent, IGNORED)}
        if self.unlikelihood and self.space.faults is not None:
            faults = self.space.faults(tokens)[:, 1:] & ~absent[..., None]
            # what is there is no fault: it may be meant
            out["faults"] = faults.scatter(2, targets.clamp(min=0)[..., None], False)
        if "documents" in batch:
            out["documents"] = batch["documents"][:, :-1]
        return out


class MaskedObjective(Language):
    """Prediction of hidden tokens from both sides (BERT, arXiv 1810.04805), loss in nats a hidden
    token.

    Raises GenwrightError where the codec has no mask token."""

    def __init__(self, modules: Mapping[str, nn.Module], space: Space, settings: Masked):
        super().__init__(modules, space)
        self.settings = settings
        if "mask" not in space.special:
            remedy = "use a codec that genwright trains, or objective.kind=causal"
            raise GenwrightError(
                "the codec has no mask token, which objective masked needs", remedy
            )
        self.special = torch.zeros(space.vocabulary, dtype=torch.bool)
        self.special[list(space.special.values())] = True
        self.plain = (~self.special).nonzero()[:, 0]  # what a random replacement is drawn from

    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Inputs and targets (examples, time). Each token (with `whole_words`: each word, by its
        first token's draw) is chosen with probability `rate`; of the chosen, `mask_share` become
        the mask token, `random_share` a random content token, the rest stay. Special and absent
        (-1) tokens are never chosen."""
        s = self.settings
        tokens = batch["tokens"]  # (examples, time)
        device = tokens.device
        time = tokens.size(1)
        present = tokens >= 0
        safe = tokens.clamp(min=0)
        eligible = present & ~self.special.to(device)[safe]
        if "counted" in batch:
            eligible = eligible & batch["counted"]
        choice = draws.uniform("mask", time)  # whether a token is chosen
        fate = draws.uniform("replace", time)  # what becomes of it
        if s.whole_words and self.space.word_start is not None:
            first = _first_of_word(self.space.word_start.to(device)[safe], eligible)
            choice = choice.gather(1, first)
            fate = fate.gather(1, first)
        rate: float | Tensor = s.rate
        if s.vary:
            rate = s.rate * draws.uniform("rate", 1)
        chosen = eligible & (choice < rate)
        masked = chosen & (fate < s.mask_share)
        replaced = chosen & (fate >= s.mask_share) & (fate < s.mask_share + s.random_share)
        random = self.plain.to(device)[draws.integers("random", len(self.plain), time)]
        inputs = torch.where(masked, self.space.special["mask"], safe)
        inputs = torch.where(replaced, random, inputs)
        out = {"inputs": inputs, "targets": torch.where(chosen, tokens, IGNORED)}
        # the end of a held-out split: nothing attends to what is not there
        if not bool(present.all()):
            out["padding"] = present
        if "documents" in batch:
            out["documents"] = batch["documents"]
        return out


def _first_of_word(begins: Tensor, eligible: Tensor) -> Tensor:
    """begins, eligible: (examples, time) bool, whether a token begins a word, and whether it may be
    chosen -> (examples, time), where the word of each token begins. What may not be chosen stands
    alone."""
    alone = ~eligible
    starts = begins | alone
    starts[:, 0] = True
    starts[:, 1:] |= alone[:, :-1]
    place = torch.arange(starts.size(1), device=starts.device)
    return torch.where(starts, place, 0).cummax(1).values


class _Language(Settings):
    sampling: ClassVar[type[Settings]] = Decoding
    causal: ClassVar[bool] = False

    def needs(self, space: Space) -> dict[str, tuple[str, dict[str, Any]]]:
        return {"model": ("sequence", {"context": space.length, "causal": self.causal})}


class Causal(_Language, family="objective"):
    """Settings of an autoregressive language model."""

    kind: Literal["causal"] = "causal"
    """Predict each token from those before it."""
    unlikelihood: float = Field(0.0, ge=0)
    """Weight of making tokens unlikely that break a rule of the content, where the codec knows
    one."""
    lookahead: ClassVar[int] = 1
    causal: ClassVar[bool] = True

    def build(self, modules: Mapping[str, nn.Module], space: Space) -> CausalObjective:
        """Raises GenwrightError where `unlikelihood` is set and the codec knows no faults."""
        return CausalObjective(modules, space, self.unlikelihood)


class Masked(_Language, family="objective"):
    """Settings of a masked language model; what is neither masked nor replaced stays as it is."""

    kind: Literal["masked"] = "masked"
    """Predict hidden tokens from all others."""
    rate: float = Field(0.3, gt=0, le=1)
    """Share of tokens (or words) that are predicted."""
    vary: bool = False
    """Whether each example's share is drawn between 0 and `rate`: then any part can be filled in,
    given any other."""
    mask_share: float = Field(0.8, ge=0, le=1)
    """Of those, the share shown as the mask token."""
    random_share: float = Field(0.1, ge=0, le=1)
    """Of those, the share shown as a random token; the rest are shown as they are."""
    whole_words: bool = False
    """Choose whole words, not single tokens."""

    def build(self, modules: Mapping[str, nn.Module], space: Space) -> MaskedObjective:
        """Raises GenwrightError where the shares exceed 1 together, or the codec has no mask
        token."""
        if self.mask_share + self.random_share > 1:
            raise GenwrightError(
                "objective.mask_share + objective.random_share is over 1", "lower one of them"
            )
        return MaskedObjective(modules, space, self)
