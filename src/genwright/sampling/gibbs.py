"""Filling in, by models that see both sides: some tokens of a row are kept, the others drawn.

`fill_tokens` fills one gap of a row after the other, the surest first, so that each sees those
before it (easy-first, as in Goldberg and Elhadad 2010).

`gibbs` is block Gibbs sampling: again and again some open places are hidden and drawn anew, given
all others. A pass hides a share of each row's open blocks, all at first, fewer each time (annealed
as in Yao et al., arXiv 1409.0585; Huang et al., Coconet, 1903.07227), and draws what is hidden at
once, each place by itself. That is fast, and wrong while many are hidden; at one block of one place
a pass it is Gibbs sampling, and the model's own distribution is where it settles.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from genwright.core.automaton import Automaton
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.progress import track
from genwright.sampling.drawing import Decoding
from genwright.sampling.step import needs_bidirectional
from genwright.sampling.valid import may_fill
from genwright.sampling.warp import choose, held_by, likeliest, warp


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
    automaton: Automaton | None = None,
) -> Tensor:
    """tokens (rows, time) int64 with what is not `keep` (rows, time; bool) replaced by what the
    model puts there, one gap a row at a time; returns as given.

    mask: the token that stands in a gap. draws: one example a row; each position has a draw of its
    own. never: tokens that do not come in. automaton: of the codec, so that rows become valid
    wherever what stands around the gaps allows it. Raises GenwrightError where probabilities are
    not finite.
    """
    rows, time = tokens.shape
    open_ = ~keep
    tokens = tokens.masked_fill(open_, mask)
    uniform = draws.uniform("fill", time).flatten()  # (rows * time,)
    while open_.any():
        logits = without(model(tokens), never)  # (rows, time, vocabulary)
        if automaton is not None:
            fitting = may_fill(automaton.widened(logits.shape[-1]), tokens, open_, never)
            logits[open_] = logits[open_].masked_fill(~fitting, float("-inf"))
        logits = logits.flatten(0, 1)
        seen: Tensor | None = None
        if settings.repetition_penalty != 1:
            # the same for each of a row's positions
            seen = held_by(tokens, ~open_, logits.shape[-1]).repeat_interleave(time, 0)
        logits = warp(logits, settings, seen)
        new = _drawn(logits, settings, uniform).view(rows, time)
        certainty = logits.softmax(-1).amax(-1).view(rows, time).masked_fill(~open_, -1)
        surest = certainty.argsort(dim=1, descending=True, stable=True)[:, :1]
        now = open_ & torch.zeros_like(open_).scatter_(1, surest, True)
        tokens = torch.where(now, new, tokens)
        open_ = open_ & ~now
    return tokens


def without(logits: Tensor, never: Sequence[int]) -> Tensor:
    """Logits (..., vocabulary) by which the tokens of `never` are not drawn."""
    index = torch.tensor(never, dtype=torch.long, device=logits.device)
    return logits.index_fill(-1, index, float("-inf"))


def shares(passes: int) -> list[float]:
    """The share of open places that each pass hides: from 1 in a straight line to 0, which is one
    place, for the last quarter."""
    falling = max(1.0, 0.75 * passes)
    return [max(0.0, 1 - number / falling) for number in range(passes)]


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
    time = tokens.shape[1]
    open_places = (~keep).sum(1)  # (rows,)
    for number, share in enumerate(track(shares(passes), "passes")):
        hidden = _block(keep, open_places, share, draws.uniform(f"block {number}", time))
        logits = model(tokens.masked_fill(hidden, mask))
        logits = warp(logits.masked_fill(~allowed, -math.inf)[hidden], settings)
        uniform = draws.uniform(f"token {number}", time)[hidden]
        tokens = tokens.masked_scatter(hidden, _drawn(logits, settings, uniform))
    return tokens


def _block(keep: Tensor, open_places: Tensor, share: float, uniform: Tensor) -> Tensor:
    """(rows, time) bool: the open places of a row with its smallest `uniform` (rows, time), so many
    as `share` says, at least one."""
    rank = uniform.masked_fill(keep, 2)
    last = (open_places * share).ceil().long().clamp(min=1) - 1
    limit = rank.sort(1).values.gather(1, last[:, None])
    return ~keep & (rank <= limit)


def _drawn(logits: Tensor, settings: Decoding, uniform: Tensor) -> Tensor:
    """A token of each row of warped logits. uniform: (rows,)."""
    if settings.temperature > 0:
        new, logprob = choose(logits, uniform)
    else:
        new, logprob = likeliest(logits)
    if not logprob.isfinite().all():
        raise GenwrightError(
            "the model's probabilities are not finite", "look for weights that are not finite"
        )
    return new
