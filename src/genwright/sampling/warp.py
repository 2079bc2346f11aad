"""Logits -> logits: what stands between a model and the distribution a token is drawn from. All of
(rows, vocabulary).

Each step of `warp` equals transformers' processor of the same name, and their order is the same:
repetition penalty, temperature, top-k, top-p, min-p. Sources: top-k, Fan et al. 2018
(arXiv:1805.04833); top-p (nucleus), Holtzman et al. 2020 (arXiv:1904.09751); min-p, Nguyen et al.
2025 (arXiv:2407.01082); repetition penalty, Keskar et al. 2019 (arXiv:1909.05858).
"""

import torch
from torch import Tensor

from genwright.sampling.drawing import Decoding

_NEVER = float("-inf")


def warp(logits: Tensor, decoding: Decoding, seen: Tensor | None = None) -> Tensor:
    """All that `decoding` asks for, in the order above. Temperature 0 leaves only the penalty: the
    highest logit is taken.

    seen: (rows, vocabulary) bool, the tokens that are penalised. Of equals at the k-th place of
    top-k all stay; of top-p and of min-p one token always does.
    """
    if decoding.repetition_penalty != 1 and seen is not None:
        penalty = decoding.repetition_penalty
        penalised = torch.where(logits < 0, logits * penalty, logits / penalty)
        logits = torch.where(seen, penalised, logits)
    if decoding.temperature == 0:
        return logits
    if decoding.temperature != 1:
        logits = logits / decoding.temperature
    if 0 < decoding.top_k < logits.shape[-1]:
        lowest = logits.topk(decoding.top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < lowest, _NEVER)
    if decoding.top_p < 1:
        ascending, order = logits.sort(dim=-1)
        drop_sorted = ascending.softmax(-1).cumsum(-1) <= 1 - decoding.top_p
        drop_sorted[:, -1] = False
        drop = torch.zeros_like(drop_sorted).scatter_(1, order, drop_sorted)
        logits = logits.masked_fill(drop, _NEVER)
    if decoding.min_p > 0:
        probabilities = logits.softmax(-1)
        likeliest, index = probabilities.max(-1, keepdim=True)
        drop = (probabilities < decoding.min_p * likeliest).scatter_(1, index, False)
        logits = logits.masked_fill(drop, _NEVER)
    return logits


def held_by(tokens: Tensor, real: Tensor, vocabulary: int) -> Tensor:
    """(rows, vocabulary) bool: which tokens each row of `tokens` (rows, time) int64 holds where
    `real` (rows, time)."""
    seen = torch.zeros(len(tokens), vocabulary + 1, dtype=torch.bool, device=tokens.device)
    return seen.scatter_(1, tokens.where(real, vocabulary), True)[:, :vocabulary]


def choose(logits: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draws a token a row by the inverse of its cumulative distribution. uniform: (rows,) in [0,
    1).

    Returns tokens (rows,) int64 and their log-probabilities (rows,), nats. In double precision, so
    that a token of probability 0 is never drawn and the draw does not depend on the vocabulary's
    order of summation in float32.
    """
    probabilities = logits.softmax(-1)
    cumulative = probabilities.cumsum(-1, dtype=torch.float64)
    place = uniform.double()[:, None] * cumulative[:, -1:]  # (rows, 1)
    tokens = torch.searchsorted(cumulative, place, right=True)
    # where a probability is NaN, and its logarithm will say so
    tokens.clamp_(max=logits.shape[-1] - 1)
    return tokens[:, 0], probabilities.gather(1, tokens)[:, 0].log()


def likeliest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Takes the highest logit of each row (the first of equals): tokens and their
    log-probabilities, as `choose`."""
    logprobs, tokens = logits.log_softmax(-1).max(-1)  # max: on a CPU faster than argmax
    return tokens, logprobs
