"""Fill-in by models that see both sides: text with [MASK] in it (`fill`), and tokens where some are
kept (`fill_tokens`, `gibbs`).

In text several gaps are filled one after the other, the surest first, so that each sees those
before it (easy-first, as in Goldberg and Elhadad 2010). Special tokens are never filled in.

Block Gibbs sampling: again and again some open places are hidden and drawn anew, given all others.
A pass hides a share of each row's open blocks, all at first, fewer each time (annealed as in Yao et
al., arXiv 1409.0585; Huang et al., Coconet, 1903.07227), and draws what is hidden at once, each
place by itself. That is fast, and wrong while many are hidden; at one block of one place a pass it
is Gibbs sampling, and the model's own distribution is where it settles.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genwright.core.contracts import Utf8Tables
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.progress import track
from genwright.sampling.drawing import Decoding
from genwright.sampling.spelling import may_fill
from genwright.sampling.step import needs_bidirectional
from genwright.sampling.warp import choose, held_by, likeliest, warp

MASK = "[MASK]"  # how a gap is written in a text, whatever the tokenizer calls it


@dataclass(frozen=True)
class Candidate:
    token: int
    """Its id."""
    text: str
    """What it stands for."""
    probability: float
    """Among all tokens but the special ones, every gap still open."""


@dataclass(frozen=True)
class Filled:
    text: str
    """The whole text, its gaps filled."""
    tokens: tuple[int, ...]
    """What fills each gap, in order."""
    candidates: tuple[tuple[Candidate, ...], ...]
    """Of each gap the likeliest tokens, likeliest first."""


def fill(
    model: nn.Module, codec: Any, text: str, top: int = 5, settings: Decoding | None = None
) -> Filled:
    """Fills each [MASK] of `text`, by one token; `top` candidates each. The likeliest tokens, or
    with `settings` drawn ones.

    Raises GenwrightError for a model that reads one way, a text without [MASK], a codec without a
    mask token, a text too long, and what the codec raises for text it cannot encode.
    """
    needs_bidirectional(model)
    if MASK not in text:
        raise GenwrightError(
            f"there is no {MASK} in the text to fill in", f"write {MASK} where a token is wanted"
        )
    if (mask := codec.space.special.get("mask")) is None:
        raise GenwrightError(
            "the codec of this model has no mask token",
            "train with a codec that has one, such as codec.kind=bpe",
        )
    tokens = torch.tensor([_encode(codec, text, mask)], device=next(model.parameters()).device)
    keep, settings = tokens != mask, settings or Decoding(temperature=0)
    draws = Draws(settings.seed, 0, torch.zeros(1, dtype=torch.long, device=tokens.device))
    utf8 = codec.space.utf8() if settings.valid_utf8 and codec.space.utf8 else None
    special = list(codec.space.special.values())
    filled = fill_tokens(model, tokens, keep, mask, settings, draws, never=special, utf8=utf8)[0]
    found = candidates(model, codec, tokens, top, utf8)
    return Filled(codec.decode(filled.tolist()), tuple(filled[~keep[0]].tolist()), found)


@torch.inference_mode()
def candidates(
    model: nn.Module, codec: Any, tokens: Tensor, top: int, utf8: Utf8Tables | None = None
) -> tuple[tuple[Candidate, ...], ...]:
    """For each gap of one row, tokens (1, time) int64, the `top` likeliest; with `utf8` of those
    that valid text may have there."""
    special = codec.space.special
    gaps = tokens == special["mask"]
    # (gaps, vocabulary)
    probabilities = _content(model(tokens)[gaps], list(special.values())).softmax(-1)
    if utf8 is not None:
        fitting = may_fill(
            utf8.widened(probabilities.shape[-1]), tokens, gaps, list(special.values())
        )
        probabilities = probabilities.masked_fill(~fitting, -1)
    best = probabilities.topk(min(top, probabilities.shape[-1] - len(set(special.values()))))
    found = []
    for ids, values in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        found.append(
            tuple(
                Candidate(i, codec.decode([i]), p)
                for i, p in zip(ids, values, strict=True)
                if p >= 0
            )
        )
    return tuple(found)


@torch.no_grad()
def fill_tokens(
    model: nn.Module,
    tokens: Tensor,
    keep: Tensor,
    mask: int,
    settings: Decoding,
    draws: Draws,
    *,
    never: Sequence[int] = (),
    utf8: Utf8Tables | None = None,
) -> Tensor:
    """tokens (rows, time) int64 with what is not `keep` (rows, time; bool) replaced by what the
    model puts there, one gap a row at a time; returns as given.

    mask: the token that stands in a gap. draws: one example a row; each position has a draw of its
    own. never: tokens that do not come in. utf8: of the codec, so that gaps become valid text
    wherever what stands around them allows it. Raises GenwrightError where probabilities are not
    finite.
    """
    (rows, time), open_, tokens = tokens.shape, ~keep, tokens.masked_fill(~keep, mask)
    uniform = draws.uniform("fill", time).flatten()
    while open_.any():
        logits = _content(model(tokens), never)
        if utf8 is not None:
            logits[open_] = logits[open_].masked_fill(
                ~may_fill(utf8.widened(logits.shape[-1]), tokens, open_, never), float("-inf")
            )
        logits = logits.flatten(0, 1)
        seen = (
            None if settings.repetition_penalty == 1 else held_by(tokens, ~open_, logits.shape[-1])
        )
        # for each of a row's positions
        logits = warp(logits, settings, None if seen is None else seen.repeat_interleave(time, 0))
        new = _drawn(logits, settings, uniform).view(rows, time)
        surest = logits.softmax(-1).amax(-1).view(rows, time).masked_fill(~open_, -1)
        first = surest.argsort(dim=1, descending=True, stable=True)[:, :1]
        now = open_ & torch.zeros_like(open_).scatter_(1, first, True)
        tokens = torch.where(now, new, tokens)
        open_ = open_ & ~now
    return tokens


def _drawn(logits: Tensor, settings: Decoding, uniform: Tensor) -> Tensor:
    """A token of each row of warped logits. uniform: (rows,)."""
    new, logprob = choose(logits, uniform) if settings.temperature > 0 else likeliest(logits)
    if not logprob.isfinite().all():
        raise GenwrightError(
            "the model's probabilities are not finite", "look for weights that are not finite"
        )
    return new


def _content(logits: Tensor, never: Sequence[int]) -> Tensor:
    return logits.index_fill(
        -1, torch.tensor(never, dtype=torch.long, device=logits.device), float("-inf")
    )


def _encode(codec: Any, text: str, mask: int) -> list[int]:
    """Token ids, `mask` for each [MASK]. Where words carry the space before them (BPE), so does
    what fills the gap."""
    *before, last = text.split(MASK)
    tokens: list[int] = []
    for piece in before:
        tokens += [
            *codec.encode(piece.removesuffix(" ") if codec.space.carries_space else piece),
            mask,
        ]
    return tokens + list(codec.encode(last))


# ---- block Gibbs sampling


def shares(passes: int) -> list[float]:
    """The share of open places that each pass hides: from 1 in a straight line to 0, which is one
    place, for the last quarter."""
    return [max(0.0, 1 - n / max(1.0, 0.75 * passes)) for n in range(passes)]


@torch.no_grad()
def gibbs(
    model: nn.Module,
    tokens: Tensor,
    keep: Tensor,
    mask: int,
    settings: Decoding,
    draws: Draws,
    passes: int,
    *,
    allowed: Tensor,
) -> Tensor:
    """tokens (rows, time) int64 with what is not `keep` (rows, time; bool) drawn anew `passes`
    times; returns as given.

    mask: the token that hides. draws: one example a row. allowed: bool, what may come where, (rows,
    time, vocabulary) or what broadcasts to it. A pass hides a block of random places, at least one
    of a row's. Raises GenwrightError for a model that reads one way, and where probabilities are
    not finite.
    """
    needs_bidirectional(model)
    for n, share in enumerate(track(shares(passes), "passes")):
        rank = draws.uniform(f"block {n}", tokens.shape[1]).masked_fill(keep, 2)
        last = ((~keep).sum(1) * share).ceil().long().clamp(min=1) - 1
        hidden = ~keep & (rank <= rank.sort(1).values.gather(1, last[:, None]))
        logits = model(tokens.masked_fill(hidden, mask))
        logits = warp(logits.masked_fill(~allowed, -math.inf)[hidden], settings)
        tokens = tokens.masked_scatter(
            hidden, _drawn(logits, settings, draws.uniform(f"token {n}", tokens.shape[1])[hidden])
        )
    return tokens
