"""Filling in text with [MASK] in it, by a model that sees both sides.

Several gaps are filled one after the other, the surest first (`sampling.gibbs.fill_tokens`).
Special tokens are never filled in.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genwright.contents.text.spelled import spelled
from genwright.core.automaton import Automaton
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.drawing import Decoding
from genwright.sampling.gibbs import fill_tokens, without
from genwright.sampling.step import needs_bidirectional
from genwright.sampling.valid import may_fill

MASK = "[MASK]"  # how a gap is written in a text, whatever the tokenizer calls it


@dataclass(frozen=True)
class Candidate:
    """A token that may fill a gap."""

    token: int
    """Its id."""
    text: str
    """What it stands for, as `spelled` writes it."""
    probability: float
    """Among all tokens but the special ones, every gap still open."""


@dataclass(frozen=True)
class Filled:
    """A text whose gaps are filled."""

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
    needs_bidirectional(model, 'use --prompt "some text"')
    if MASK not in text:
        raise GenwrightError(
            f"there is no {MASK} in the text to fill in", f"write {MASK} where a token is wanted"
        )
    mask = codec.space.special.get("mask")
    if mask is None:
        raise GenwrightError(
            "the codec of this model has no mask token",
            "train with a codec that has one, such as codec.kind=bpe",
        )
    settings = settings or Decoding(temperature=0)
    device = next(model.parameters()).device
    tokens = torch.tensor([_encode(codec, text, mask)], device=device)  # (1, time)
    keep = tokens != mask
    draws = Draws(settings.seed, 0, torch.zeros(1, dtype=torch.long, device=device))
    valid = settings.valid_utf8 and codec.space.automaton is not None
    automaton = codec.space.automaton() if valid else None
    filled = fill_tokens(
        model,
        tokens,
        keep,
        mask,
        settings,
        draws,
        never=list(codec.space.special.values()),
        automaton=automaton,
    )[0]
    found = candidates(model, codec, tokens, top, automaton)
    return Filled(codec.decode(filled.tolist()), tuple(filled[~keep[0]].tolist()), found)


@torch.inference_mode()
def candidates(
    model: nn.Module, codec: Any, tokens: Tensor, top: int, automaton: Automaton | None = None
) -> tuple[tuple[Candidate, ...], ...]:
    """For each gap of one row, tokens (1, time) int64, the `top` likeliest; with `automaton` of
    those that valid text may have there."""
    special = list(codec.space.special.values())
    gaps = tokens == codec.space.special["mask"]
    probabilities = without(model(tokens)[gaps], special).softmax(-1)  # (gaps, vocabulary)
    vocabulary = probabilities.shape[-1]
    if automaton is not None:
        fitting = may_fill(automaton.widened(vocabulary), tokens, gaps, special)
        probabilities = probabilities.masked_fill(~fitting, -1)
    best = probabilities.topk(min(top, vocabulary - len(set(special))))
    found = []
    for ids, values in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        of_gap = [
            Candidate(token, spelled(codec, [token]), probability)
            for token, probability in zip(ids, values, strict=True)
            if probability >= 0
        ]
        found.append(tuple(of_gap))
    return tuple(found)


def _encode(codec: Any, text: str, mask: int) -> list[int]:
    """Token ids, `mask` for each [MASK]. Where words carry the space before them (BPE), so does
    what fills the gap."""
    *before, last = text.split(MASK)
    tokens: list[int] = []
    for piece in before:
        if codec.space.carries_space:
            piece = piece.removesuffix(" ")
        tokens += codec.encode(piece)
        tokens.append(mask)
    return tokens + list(codec.encode(last))
