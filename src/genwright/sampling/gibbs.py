"""Block Gibbs sampling from a masked model: again and again some open places are hidden and drawn anew, given all others.

A pass hides a share of each row's open blocks, all at first, fewer each time (annealed as in Yao et al., arXiv 1409.0585; Huang et al.,
Coconet, 1903.07227), and draws what is hidden at once, each place by itself. That is fast, and wrong while many are hidden; at one block of
one place a pass it is Gibbs sampling, and the model's own distribution is where it settles.
"""

import math

import torch
from torch import Tensor, nn

from genwright.draws import Draws
from genwright.errors import GenwrightError
from genwright.sampling.drawing import Decoding
from genwright.sampling.step import needs_bidirectional
from genwright.sampling.warp import choose, likeliest, warp


def shares(passes: int, least: float = 0.0) -> list[float]:
    """The share of blocks that each pass hides: from 1 in a straight line down to `least`, which the last quarter keeps."""
    return [max(least, 1 - (1 - least) * n / max(1.0, 0.75 * passes)) for n in range(passes)]


def gibbs(
    model: nn.Module, tokens: Tensor, keep: Tensor, mask: int, settings: Decoding, draws: Draws, passes: int, *,
    allowed: Tensor, blocks: Tensor | None = None, least: float = 0.0,
) -> Tensor:  # fmt: skip
    """tokens (rows, time) int64 with what is not `keep` (rows, time; bool) drawn anew `passes` times; returns as given.

    mask: the token that hides. draws: one example a row. allowed: bool, what may come where, (rows, time, vocabulary) or what broadcasts to
    it. blocks: (time,) int64, places of one number are hidden together (None: each by itself); of a row's open blocks a pass hides at least
    one. Raises GenwrightError for a model that reads one way, and where probabilities are not finite.
    """
    needs_bidirectional(model)
    blocks = torch.arange(tokens.shape[1], device=tokens.device) if blocks is None else blocks
    open_ = (~keep).float() @ torch.nn.functional.one_hot(blocks).float() > 0  # (rows, blocks)
    with torch.inference_mode():
        for n, share in enumerate(shares(passes, least)):
            rank = draws.uniform(f"block {n}", open_.shape[1]).masked_fill(~open_, 2)
            last = (open_.sum(1) * share).ceil().long().clamp(min=1) - 1
            hidden = ~keep & (rank <= rank.sort(1).values.gather(1, last[:, None]))[:, blocks]
            logits = model(tokens.masked_fill(hidden, mask))
            logits = warp(logits.masked_fill(~allowed, -math.inf)[hidden], settings)
            uniform = draws.uniform(f"token {n}", tokens.shape[1])[hidden]
            new, logprob = choose(logits, uniform) if settings.temperature > 0 else likeliest(logits)
            if not logprob.isfinite().all():
                raise GenwrightError("the model's probabilities are not finite", "look for weights that are not finite")
            tokens = tokens.masked_scatter(hidden, new)
    return tokens.clone()  # a tensor of inference mode could not enter a gradient
