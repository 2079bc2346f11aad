"""Left-to-right sampling: tokens from tokens (`generate_tokens`), and text from text (`generate`).

Rows of a batch never meet: a row's draws are a pure function of its own key (`Draws`), so a sample
is the same alone, in any batch and beside any neighbours, up to floating point. A row that outgrows
the model's context forgets its oldest tokens, enough to make room for those still to come but at
most half a context, and what remains is encoded anew; this depends on the row alone, too.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from genwright.core.contracts import Codec, Utf8Tables
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.drawing import Decoding
from genwright.sampling.spelling import Spelling
from genwright.sampling.step import needs_causal, stepper, threads_for
from genwright.sampling.warp import choose, held_by, likeliest, warp

_PARTIAL = "�"  # what a codec shows for bytes that are not (yet) a character
# tokens decoded again before the new ones, for codecs whose spaces depend on what stands before
_CONTEXT = 4
Constraint = Callable[[Tensor, Tensor], Tensor]
"""(tokens so far, prompt included (rows, length) int64; which rows of the batch (rows,) int64) ->
(rows, vocabulary) bool: what may come next, at least one token a row. Rows that are over repeat the
end token until they are dropped."""
Watch = Callable[[Tensor, Tensor], Sequence[bool]]
"""(drawn since the last call (rows, new) int64; which rows of the batch (rows,) int64) -> which of
them are over."""


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


@dataclass(frozen=True)
class Sample:
    prompt: str
    """The prompt; of tokens, their text."""
    text: str
    """What follows the prompt, cut before a stop string."""
    tokens: tuple[int, ...]
    """Everything drawn, the end token or what completed the stop string included."""
    stopped: Literal["end", "stop", "length"]
    """By an end token, a stop string, or `max_tokens`."""
    logprob: float
    """Sum of the tokens' log-probabilities, nats (see `Drawn`)."""
    unfinished: bool = False
    """`max_tokens` came inside a character; its beginning is among the tokens, and not in the
    text."""


class Reader:
    """Tokens of one sample -> its text, piece by piece. `feed` it what was drawn; `emit` receives
    text that can no longer change: whole characters. Not part of the text: special tokens, stop
    strings, what was drawn after the end and, where only `whole` characters are wanted, the
    beginning of one that the length cut off."""

    def __init__(
        self,
        codec: Codec,
        prompt: Sequence[int],
        end: int | None,
        stop: Sequence[str],
        emit: Callable[[str], None] | None,
        whole: bool = False,
    ):
        self.tokens: list[int] = []
        self.text = ""
        self.stopped: Literal["end", "stop", "length"] | None = None
        self.unfinished = False
        self._codec = codec
        self._end = end
        self._stop = stop
        self._emit = emit
        self._whole = whole
        self._utf8 = codec.space.utf8() if codec.space.utf8 else None
        self._released = 0  # characters given to emit
        # tokens that are decoded together; how many characters of it are in the text
        self._window = list(prompt)
        self._known = 0
        self._settle()

    def feed(self, tokens: Sequence[int]) -> bool:
        """Takes the next tokens; returns whether the sample is over."""
        ended = self._end in tokens
        tokens = tokens[: tokens.index(self._end) + 1] if ended else tokens
        # one by one: what completes a stop string is the last
        for piece in [[token] for token in tokens] if self._stop else [tokens]:
            if not self.stopped:
                self.tokens += piece
                self._window += piece
                self._show()
        if ended:
            self.close("end")
        return self.stopped is not None

    def close(self, stopped: Literal["end", "length"] = "length") -> None:
        """Nothing follows: bytes that never became a character are shown as such, unless only
        `whole` characters are wanted."""
        if not self.stopped:
            self.stopped = stopped
            self._show()

    def _show(self) -> None:
        """Adds what is new to the text, cuts that before the first stop string, and releases what
        can no longer change: of a sample that goes on neither the beginning of a character nor that
        of a stop string."""
        shown, settled = self._decoded()
        self.unfinished = self.stopped == "length" and self._whole and not settled
        if self.stopped and not self.unfinished:
            shown = self._codec.decode(self._window)
        before, self.text = len(self.text), self.text + shown[self._known :]
        self._known = max(self._known, len(shown))
        if settled:
            self._settle()
        found = [
            at
            for stop in self._stop
            if (at := self.text.find(stop, max(0, before - len(stop) + 1))) >= 0
        ]
        if found:
            self.text, self.stopped = self.text[: min(found)], "stop"
        until = len(self.text) - (0 if self.stopped else self._held())
        if self._emit and until > self._released:
            self._emit(self.text[self._released : until])
            self._released = until

    def _decoded(self) -> tuple[str, bool]:
        """The window's text but for the beginning of a character at its end, and whether there is
        none such."""
        decoded = self._codec.decode(self._window)
        if self._utf8 is None:
            shown = decoded.removesuffix(_PARTIAL)
            return shown, shown == decoded
        if self._utf8.state(self._window) == 0:
            return decoded, True
        settled = self._codec.decode(self._window[: self._boundary(len(self._window))])
        # codecs that show bytes in a row as text only where all of them are
        if not decoded.startswith(settled):
            return settled, False
        return settled + decoded[len(settled) :].rstrip(_PARTIAL), False

    def _boundary(self, at: int) -> int:
        """The last place in the window up to `at` that is between characters."""
        assert self._utf8 is not None
        while at > 0 and self._utf8.state(self._window[:at]) != 0:
            at -= 1
        return at

    def _settle(self) -> None:
        """Forgets all of the window but what the text of its next tokens depends on."""
        keep = max(0, len(self._window) - _CONTEXT)
        if self._utf8 is not None:
            keep = self._boundary(keep)
        del self._window[:keep]
        self._known = len(self._decoded()[0])

    def _held(self) -> int:
        """Length of the longest end of the text that a stop string begins with."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        return next(
            (
                n
                for n in range(min(longest, len(self.text)), 0, -1)
                if any(s.startswith(self.text[-n:]) for s in self._stop)
            ),
            0,
        )


def generate(
    model: nn.Module,
    codec: Any,
    prompts: str | Sequence[str] | Sequence[Sequence[int]],
    n: int = 1,
    settings: Decoding | None = None,
    on_token: Callable[[int, str], None] | None = None,
    batch: int = 64,
    start: int = 0,
) -> list[Sample]:
    """Samples start, start + 1, ... of each prompt, `n` of them, in order; sample i of prompt j is
    a pure function of (seed, j, i). A prompt is a text or a list of tokens; one text is one prompt.

    An empty prompt begins a document. on_token(row, piece) receives text as it is drawn, in whole
    characters; `batch` rows are computed at once. Raises GenwrightError for a model that is not
    causal, and what the codec raises for text it cannot encode.
    """
    settings = settings or Decoding()
    prompts = [prompts] if isinstance(prompts, str) else prompts
    utf8 = codec.space.utf8() if settings.valid_utf8 and codec.space.utf8 else None
    end = codec.space.special["end"]
    encoded = [
        list(codec.encode(prompt) if isinstance(prompt, str) else prompt) or [end]
        for prompt in prompts
    ]
    for prompt, tokens in zip(prompts, encoded, strict=True):
        if not 0 <= min(tokens) <= max(tokens) < codec.space.vocabulary:
            what = (
                f"prompt {prompt!r} has a token outside the vocabulary of {codec.space.vocabulary}"
            )
            raise GenwrightError(what, "use the model's codec")
    shown = [
        prompt if isinstance(prompt, str) else codec.decode(list(prompt)) for prompt in prompts
    ]
    device = next(model.parameters()).device
    samples = []
    for first in range(0, len(prompts) * n, batch):
        rows = range(first, min(first + batch, len(prompts) * n))
        shows = [on_token and partial(on_token, row) for row in rows]
        readers = [
            Reader(codec, encoded[row // n], end, settings.stop, show, utf8 is not None)
            for row, show in zip(rows, shows, strict=True)
        ]
        held, real = pad_left([encoded[row // n] for row in rows], device)
        keys = torch.tensor([(row // n << 32) + start + row % n for row in rows], device=device)

        def feed(new, rows):
            return [
                readers[row].feed(its)  # noqa: B023 - called before the next round
                for row, its in zip(rows.tolist(), new.tolist(), strict=True)
            ]

        draws = Draws(settings.seed, 0, keys)
        drawn = generate_tokens(
            model,
            held,
            real,
            settings,
            draws,
            end=end,
            utf8=utf8,
            watch=feed if on_token or settings.stop else None,
            every=1 if on_token else None,
        )
        assert drawn.logprobs is not None
        columns = drawn.tokens.tolist(), drawn.mask.sum(1).tolist(), drawn.logprobs.tolist()
        for row, reader, new, count, scores in zip(rows, readers, *columns, strict=True):
            reader.feed(new[len(reader.tokens) : count])
            reader.close()
            total = sum(scores[: len(reader.tokens)])
            stopped = reader.stopped or "length"
            samples.append(
                Sample(
                    shown[row // n],
                    reader.text,
                    tuple(reader.tokens),
                    stopped,
                    total,
                    reader.unfinished,
                )
            )
    return samples


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
    with torch.inference_mode():
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
                        if watch:
                            over = over | torch.tensor(list(watch(new, rows)), device=device)
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
    return _result(tokens[:, prompt:], scores[:, prompt:], mask[:, prompt:], end, logprobs)


def _next(logits: Tensor, chances: Tensor | None, logprobs: bool) -> tuple[Tensor, Tensor]:
    """(rows,) tokens and their log-probabilities, or, where nobody asks for these, logits: they
    show as well whether all is finite."""
    if chances is not None:
        return choose(logits, chances)
    return likeliest(logits) if logprobs else logits.max(-1)[::-1]


def _result(tokens: Tensor, scores: Tensor, mask: Tensor, end: int | None, logprobs: bool) -> Drawn:
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
