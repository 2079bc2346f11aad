"""Left-to-right sampling: tokens from tokens, as a stream (`stream_tokens`) or all at once
(`generate_tokens`).

Rows of a batch never meet: a row's draws are a pure function of its own key (`Draws`), so a sample
is the same alone, in any batch and beside any neighbours, up to floating point. A row that outgrows
the model's context forgets its oldest tokens, enough to make room for those still to come but at
most half a context, and what remains is encoded anew; this depends on the row alone, too.
"""

import sys
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from genwright.core.contracts import Utf8Tables
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.drawing import Decoding
from genwright.sampling.spelling import Spelling
from genwright.sampling.step import needs_causal, stepper, threads_for
from genwright.sampling.warp import choose, held_by, likeliest, warp

Constraint = Callable[[Tensor, Tensor], Tensor]
"""(tokens so far, prompt included (rows, length) int64; which rows of the batch (rows,) int64) ->
(rows, vocabulary) bool: what may come next, at least one token a row. Rows that are over repeat the
end token until they are dropped."""


class NewTokens(NamedTuple):
    """What was drawn since the last event. tokens: (rows, new) int64. rows: (rows,) int64, which
    rows of the batch they are of."""

    tokens: Tensor
    rows: Tensor


Watch = Callable[[Tensor, Tensor], Sequence[bool]]
"""The tokens and the rows of `NewTokens` -> which of these rows are over."""


class Drawn(NamedTuple):
    """What a batch of rows drew.

    tokens: (rows, drawn) int64; 0 where not mask.
    logprobs: (rows, drawn), nats, under the distribution a token was drawn from: the model's after
    constraint, penalty, temperature
        and truncation, so what is sampled is on-policy; at temperature 0 the model's own. That only
        valid text is drawn does not enter. 0 where not mask; None where not asked for.
    mask: (rows, drawn) bool: drawn before the row was over, its end token included.
    """

    tokens: Tensor
    logprobs: Tensor | None
    mask: Tensor


def pad_left(
    rows: Sequence[Sequence[int]], device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Token lists of unequal length -> tokens (rows, longest) int64, filled with 0 on the left, and
    (rows, longest) bool, what is real."""
    both = (
        [torch.tensor(row) for row in rows],
        [torch.ones(len(row), dtype=torch.bool) for row in rows],
    )
    tokens, real = (
        torch.nn.utils.rnn.pad_sequence(each, batch_first=True, padding_side="left").to(device)
        for each in both
    )
    return tokens, real


def generate_tokens(
    model: nn.Module,
    tokens: Tensor,
    padding: Tensor | None,
    settings: Decoding,
    draws: Draws,
    *,
    end: int | None = None,
    constraint: Constraint | None = None,
    utf8: Utf8Tables | None = None,
    watch: Watch | None = None,
    every: int | None = None,
    logprobs: bool = True,
) -> Drawn:
    """Draws up to `settings.max_tokens` tokens after each row of `tokens` (rows, length),
    left-padded where not `padding` (True: real).

    draws: one example a row (`settings.seed`, `stop` and `valid_utf8` are not looked at). `end`
    ends a row. utf8: of the codec, so that only valid text is drawn; a row that ends by its length
    may end inside a character. Whether rows are over is asked every `every` tokens (default 8, on a
    GPU 32); when half of them are, they leave the batch. Without `logprobs` the likeliest token is
    found without the others' probabilities, which is faster. Raises GenwrightError where nothing
    could be drawn (logits that are not finite, a constraint without a token), and for a model that
    is not causal.
    """
    stream = stream_tokens(
        model,
        tokens,
        padding,
        settings,
        draws,
        end=end,
        constraint=constraint,
        utf8=utf8,
        every=every,
        logprobs=logprobs,
    )
    over: Sequence[bool] | None = None
    while True:
        try:
            new = stream.send(over)
        except StopIteration as finished:
            drawn: tuple[Tensor, Tensor, Tensor] = finished.value
            return result_of(*drawn, end, logprobs)
        over = watch(new.tokens, new.rows) if watch else None


@torch.inference_mode()
def stream_tokens(
    model: nn.Module,
    tokens: Tensor,
    padding: Tensor | None,
    settings: Decoding,
    draws: Draws,
    *,
    end: int | None = None,
    constraint: Constraint | None = None,
    utf8: Utf8Tables | None = None,
    every: int | None = None,
    logprobs: bool = True,
) -> Generator[NewTokens, Sequence[bool] | None, tuple[Tensor, Tensor, Tensor]]:
    """As `generate_tokens`, an event every `every` tokens. It may be sent which of the event's rows
    are over; closing it stops the drawing. Returns tokens, log-probabilities and mask, (rows,
    max_tokens) each."""
    needs_causal(model)
    (size, prompt), device, context = (
        tokens.shape,
        tokens.device,
        getattr(model, "context", sys.maxsize),
    )
    every, total, row = (
        every or (8 if device.type == "cpu" else 32),
        prompt + settings.max_tokens,
        getattr(model, "row", 1),
    )
    reader = stepper(model)
    spelling: Spelling | None = None
    uniform = draws.uniform("token", settings.max_tokens) if settings.temperature > 0 else None
    tokens = torch.nn.functional.pad(tokens, (0, settings.max_tokens))
    scores = torch.zeros(size, total, device=device)
    mask = torch.zeros(size, total, dtype=torch.bool, device=device)
    begin = (
        torch.zeros(size, dtype=torch.int64, device=device)
        if padding is None
        else prompt - padding.sum(1)
    )
    start = begin  # first token that a row still sees; begin: the first of its prompt
    # which are not over; where their next token goes
    rows = torch.arange(size, device=device)
    at = prompt
    # a segment: read what the living rows hold, then step until one of them outgrows its
    # context
    while len(rows) and at < total:
        start = torch.where(
            at - start > context,
            -((max(context - (total - at) + 1, context // 2, 1) - at) // row) * row,
            start,
        )
        low = int(start[rows].min())
        first = at
        asked = at
        held = tokens[rows]
        until = min(total, low + context + 1)
        places = torch.arange(at, device=device)
        real = places[low:] >= start[rows, None]
        logits = reader.start(held[:, low:at], None if real.all() else real, until - low - 1)
        if utf8 is not None and spelling is None:
            spelling = Spelling(
                utf8.widened(logits.shape[-1]), tokens[:, :prompt], padding, settings, draws
            )
        seen = (
            None
            if settings.repetition_penalty == 1
            else held_by(held[:, :at], places >= begin[rows, None], logits.shape[-1])
        )
        chances = None if uniform is None else uniform[rows]
        over = torch.zeros(len(rows), dtype=torch.bool, device=device)
        done, found = over, list[Tensor]()  # done: rows that repeat the end token
        begins = None if spelling is None else spelling.begins[rows]
        with threads_for(model, len(rows)):
            while True:
                if constraint:
                    logits = logits.masked_fill(~constraint(held[:, :at], rows), float("-inf"))
                warped = warp(logits, settings, seen)
                token, score = _next(
                    warped, None if chances is None else chances[:, at - prompt], logprobs
                )
                if spelling is not None and begins is not None:
                    token, score, begins = spelling.mended(
                        begins, rows, at - prompt, logits, seen, token, score
                    )
                if constraint and end is not None:
                    token = token.masked_fill(done, end)
                    done = done | (token == end)
                held[:, at] = token
                found.append(score)
                at += 1
                if (at - first) % every == 0 or at == until:
                    new, asked = held[:, asked:at], at
                    over = over | (new == end).any(1) if end is not None else over
                    told = yield NewTokens(new, rows)
                    if told is not None:
                        over = over | torch.tensor(list(told), device=device)
                    if at == until or 2 * int(over.sum()) >= len(rows):
                        break
                if seen is not None:
                    seen.scatter_(1, token[:, None], True)
                logits = reader.step(token)
        tokens[rows], mask[rows, first:at] = held, True
        scores[rows, first:at] = torch.stack(found, 1)
        if spelling is not None and begins is not None:
            spelling.begins[rows] = begins
        rows = rows[~over]
    return tokens[:, prompt:], scores[:, prompt:], mask[:, prompt:]


def _next(logits: Tensor, chances: Tensor | None, logprobs: bool) -> tuple[Tensor, Tensor]:
    """(rows,) tokens and their log-probabilities, or, where nobody asks for these, logits: they
    show as well whether all is finite."""
    if chances is not None:
        return choose(logits, chances)
    return likeliest(logits) if logprobs else logits.max(-1)[::-1]


def result_of(
    tokens: Tensor, scores: Tensor, mask: Tensor, end: int | None, logprobs: bool
) -> Drawn:
    """What was drawn (rows, max_tokens), up to each row's end token; made outside of inference
    mode, so that it may enter a gradient."""
    if end is not None:
        ends = ((tokens == end) & mask).long()
        mask = mask & (ends.cumsum(1) - ends == 0)
    width = int(mask.any(0).sum())
    mask = mask[:, :width].clone()
    tokens, scores = tokens[:, :width] * mask, scores[:, :width].where(mask, 0)
    if not scores.isfinite().all():
        row, place = (~scores.isfinite()).nonzero()[0].tolist()
        what = f"row {row}: token {place} could not be drawn, its probabilities are not finite"
        raise GenwrightError(
            what, "look for weights that are not finite, or a constraint that leaves no token"
        )
    return Drawn(tokens, scores if logprobs else None, mask)
