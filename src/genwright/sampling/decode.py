"""Left-to-right sampling: tokens from tokens, as a stream (`stream_tokens`) or all at once
(`generate_tokens`).

Rows of a batch never meet: a row's draws are a pure function of its own key (`Draws`), so a sample
is the same alone, in any batch and beside any neighbours, up to floating point. A row that outgrows
the model's context forgets its oldest tokens, enough to make room for those still to come but at
most half a context, and what remains is encoded anew; this depends on the row alone, too.
"""

import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from genwright.core.automaton import Automaton
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.drawing import Decoding
from genwright.sampling.step import needs_causal, stepper, threads_for
from genwright.sampling.valid import ValidTokens
from genwright.sampling.warp import choose, held_by, likeliest, warp

# tokens after which it is asked which rows are over
EVERY_ON_CPU = 8
EVERY_ON_GPU = 32

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
    constraint, penalty, temperature and truncation, so what is sampled is on-policy; at temperature
    0 the model's own. That only valid content is drawn does not enter. 0 where not mask; None where
    not asked for.
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
    tokens = [torch.tensor(row) for row in rows]
    real = [torch.ones(len(row), dtype=torch.bool) for row in rows]
    padded = pad_sequence(tokens, batch_first=True, padding_side="left")
    padded_real = pad_sequence(real, batch_first=True, padding_side="left")
    return padded.to(device), padded_real.to(device)


def generate_tokens(
    model: nn.Module,
    tokens: Tensor,
    padding: Tensor | None,
    settings: Decoding,
    draws: Draws,
    *,
    end: int | None = None,
    constraint: Constraint | None = None,
    automaton: Automaton | None = None,
    watch: Watch | None = None,
    every: int | None = None,
    logprobs: bool = True,
) -> Drawn:
    """Draws up to `settings.max_tokens` tokens after each row of `tokens` (rows, length),
    left-padded where not `padding` (True: real).

    draws: one example a row (`settings.seed`, `stop` and `valid_utf8` are not looked at). end: the
    token that ends a row. automaton: of the codec, so that only valid content is drawn; a row that
    ends by its length may end inside a unit of it (a character). every: after so many tokens it is
    asked whether rows are over (default 8, on a GPU 32); when half of them are, they leave the
    batch. logprobs: without them the likeliest token is found without the others' probabilities,
    which is faster. Raises GenwrightError where nothing could be drawn (logits that are not finite,
    a constraint without a token), and for a model that is not causal.
    """
    stream = stream_tokens(
        model,
        tokens,
        padding,
        settings,
        draws,
        end=end,
        constraint=constraint,
        automaton=automaton,
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
    automaton: Automaton | None = None,
    every: int | None = None,
    logprobs: bool = True,
) -> Generator[NewTokens, Sequence[bool] | None, tuple[Tensor, Tensor, Tensor]]:
    """As `generate_tokens`, an event every `every` tokens. It may be sent which of the event's rows
    are over; closing it stops the drawing. Returns tokens, log-probabilities and mask, (rows, at
    most max_tokens) each: up to the last that any row drew, or a little further. Room is made as it
    is needed, whatever `max_tokens` is."""
    needs_causal(model)
    batch = _Batch(model, tokens, padding, settings, draws, end, constraint, automaton, logprobs)
    if every is None:
        every = EVERY_ON_CPU if tokens.device.type == "cpu" else EVERY_ON_GPU
    while batch.goes_on:
        yield from batch.segment(every)
    return batch.drawn()


class _Batch:
    """Rows that are drawn together.

    It is drawn in segments. A segment reads what the living rows hold, then steps token by token,
    until one of them outgrows its context, or half of them are over and leave. Attributes, of all
    rows of the batch:

    tokens: (rows, room), prompts and what was drawn. scores: (rows, room) log-probabilities.
    mask: (rows, room) bool, drawn while the row was living. living: (rows that are not over,)
    their numbers. place: where their next tokens go. begin: (rows,) where a prompt begins. start:
    (rows,) the first token that a row still sees. room: at most total, prompts and all that may be
    drawn.
    """

    def __init__(
        self,
        model: nn.Module,
        tokens: Tensor,
        padding: Tensor | None,
        settings: Decoding,
        draws: Draws,
        end: int | None,
        constraint: Constraint | None,
        automaton: Automaton | None,
        logprobs: bool,
    ):
        rows, self.prompt = tokens.shape
        self.total = self.prompt + settings.max_tokens
        self.model = model
        self.padding = padding
        self.settings = settings
        self.draws = draws
        self.end = end
        self.constraint = constraint
        self.automaton = automaton
        self.logprobs = logprobs
        self.context: int = getattr(model, "context", sys.maxsize)
        self.stepper = stepper(model)

        device = tokens.device
        self.tokens = tokens
        self.scores = torch.zeros(rows, self.prompt, device=device)
        self.mask = torch.zeros(rows, self.prompt, dtype=torch.bool, device=device)
        self.living = torch.arange(rows, device=device)
        self.place = self.prompt
        self.begin = torch.zeros(rows, dtype=torch.int64, device=device)
        if padding is not None:
            self.begin = self.prompt - padding.sum(1)
        self.start = self.begin
        self.valid: ValidTokens | None = None  # made when the model's vocabulary is known

    @property
    def goes_on(self) -> bool:
        """Whether there is something left to draw."""
        return len(self.living) > 0 and self.place < self.total

    def drawn(self) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, log-probabilities and mask, (rows, drawn) each."""
        prompt = self.prompt
        return self.tokens[:, prompt:], self.scores[:, prompt:], self.mask[:, prompt:]

    def segment(self, every: int) -> Generator[NewTokens, Sequence[bool] | None]:
        """Draws one segment, an event every `every` tokens; see `stream_tokens`."""
        self._forget()
        first = self.place
        asked = self.place  # what stands before it was in an event
        low = int(self.start[self.living].min())
        until = min(self.total, low + self.context + 1)
        self._make_room(until)
        held = self.tokens[self.living]  # (living, room)
        logits = self._read(held, low, until)
        chooser = self._chooser(held, logits.shape[-1], until)
        over = torch.zeros(len(self.living), dtype=torch.bool, device=held.device)
        scores: list[Tensor] = []
        with threads_for(self.model, len(self.living)):
            while True:
                number = self.place - self.prompt
                token, score = chooser.next(logits, held[:, : self.place], number)
                held[:, self.place] = token
                scores.append(score)
                self.place += 1
                if (self.place - first) % every == 0 or self.place == until:
                    new = held[:, asked : self.place]
                    asked = self.place
                    if self.end is not None:
                        over = over | (new == self.end).any(1)
                    answer = yield NewTokens(new, self.living)
                    if answer is not None:
                        over = over | torch.tensor(list(answer), device=held.device)
                    if self.place == until or 2 * int(over.sum()) >= len(self.living):
                        break
                logits = self.stepper.step(token)
        self.tokens[self.living] = held
        self.mask[self.living, first : self.place] = True
        self.scores[self.living, first : self.place] = torch.stack(scores, 1)
        if self.valid is not None and chooser.starts is not None:
            self.valid.starts[self.living] = chooser.starts
        self.living = self.living[~over]

    def _make_room(self, until: int) -> None:
        """Room for tokens up to a place, and for as many again as there are, so that it is seldom
        made."""
        room = self.tokens.shape[1]
        if until <= room:
            return
        more = min(self.total, max(until, 2 * room)) - room
        self.tokens = F.pad(self.tokens, (0, more))
        self.scores = F.pad(self.scores, (0, more))
        self.mask = F.pad(self.mask, (0, more))

    def _forget(self) -> None:
        """Moves `start` where a row has outgrown the context: enough to make room for the tokens
        still to come, but at most half a context is forgotten, in whole rows of places."""
        still_to_come = self.total - self.place
        kept = max(self.context - still_to_come + 1, self.context // 2, 1)
        multiple: int = getattr(self.model, "row", 1)
        start = -((kept - self.place) // multiple) * multiple  # rounded up
        outgrown = self.place - self.start > self.context
        self.start = torch.where(outgrown, start, self.start)

    def _read(self, held: Tensor, low: int, until: int) -> Tensor:
        """Reads what the living rows still see, with room up to `until`; (living, vocabulary)
        logits of the next token."""
        places = torch.arange(low, self.place, device=held.device)
        real = places >= self.start[self.living, None]  # (living, places)
        padding = None if real.all() else real
        return self.stepper.start(held[:, low : self.place], padding, until - low - 1)

    def _chooser(self, held: Tensor, vocabulary: int, until: int) -> "_Chooser":
        """What chooses the tokens of the living rows, up to a place."""
        if self.automaton is not None and self.valid is None:
            self.valid = ValidTokens(
                self.automaton.widened(vocabulary),
                self.tokens[:, : self.prompt],
                self.padding,
                self.settings,
                self.draws,
            )
        seen: Tensor | None = None
        if self.settings.repetition_penalty != 1:
            places = torch.arange(self.place, device=held.device)
            real = places >= self.begin[self.living, None]
            seen = held_by(held[:, : self.place], real, vocabulary)
        return _Chooser(
            rows=self.living,
            settings=self.settings,
            uniform=self._uniform(until),
            first=self.place - self.prompt,
            seen=seen,
            constraint=self.constraint,
            end=self.end,
            valid=self.valid,
            starts=None if self.valid is None else self.valid.starts[self.living],
            logprobs=self.logprobs,
        )

    def _uniform(self, until: int) -> Tensor | None:
        """(tokens up to a place, living) numbers in [0, 1) that choose tokens, in double precision;
        None at temperature 0, where nothing is drawn."""
        if self.settings.temperature == 0:
            return None
        living = replace(self.draws, examples=self.draws.examples[self.living])
        first = self.place - self.prompt
        return living.uniform("token", until - self.place, first=first).t().double().contiguous()


@dataclass
class _Chooser:
    """Chooses the next tokens of some rows, within a segment. rows: (n,) which of the batch.
    uniform: (tokens of the segment, n), None at temperature 0; first: the number of the first of
    them in its sample. seen: (n, vocabulary) bool, the tokens that are
    penalised. starts: (n,), see `ValidTokens`."""

    rows: Tensor
    settings: Decoding
    uniform: Tensor | None
    first: int
    seen: Tensor | None
    constraint: Constraint | None
    end: int | None
    valid: ValidTokens | None
    starts: Tensor | None
    logprobs: bool
    over: Tensor | None = None  # (n,) bool: rows that drew the end token and repeat it

    def next(self, logits: Tensor, held: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """(n,) tokens and their log-probabilities. logits: (n, vocabulary). held: (n, length), the
        tokens so far. number: of the token in its sample."""
        if self.constraint is not None:
            logits = logits.masked_fill(~self.constraint(held, self.rows), float("-inf"))
        token, score = self._drawn(warp(logits, self.settings, self.seen), number)
        if self.valid is not None and self.starts is not None:
            token, score, self.starts = self.valid.mended(
                self.starts, self.rows, number, logits, self.seen, token, score
            )
        if self.constraint is not None and self.end is not None:
            if self.over is not None:
                token = token.masked_fill(self.over, self.end)
            self.over = token == self.end
        if self.seen is not None:
            self.seen.scatter_(1, token[:, None], True)
        return token, score

    def _drawn(self, logits: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """(n,) tokens and their log-probabilities, or, where nobody asks for these, logits: they
        show as well whether all is finite."""
        if self.uniform is not None:
            return choose(logits, self.uniform[number - self.first])
        if self.logprobs:
            return likeliest(logits)
        highest, token = logits.max(-1)
        return token, highest


def result_of(
    tokens: Tensor, scores: Tensor, mask: Tensor, end: int | None, logprobs: bool
) -> Drawn:
    """What was drawn (rows, max_tokens), up to each row's end token; made outside of inference
    mode, so that it may enter a gradient."""
    if end is not None:
        ends = ((tokens == end) & mask).long()
        ended_before = ends.cumsum(1) - ends > 0
        mask = mask & ~ended_before
    width = int(mask.any(0).sum())
    mask = mask[:, :width].clone()
    tokens = tokens[:, :width] * mask
    scores = scores[:, :width].where(mask, 0)
    if not scores.isfinite().all():
        row, place = (~scores.isfinite()).nonzero()[0].tolist()
        what = f"row {row}: token {place} could not be drawn, its probabilities are not finite"
        raise GenwrightError(
            what, "look for weights that are not finite, or a constraint that leaves no token"
        )
    return Drawn(tokens, scores if logprobs else None, mask)
