"""Left-to-right sampling: tokens from tokens (`generate_tokens`), and text from text (`generate`).

Rows of a batch never meet: a row's draws are a pure function of its own key (`Draws`), so a sample is the same alone, in any batch
and beside any neighbours, up to floating point. A row that outgrows the model's context forgets its oldest tokens, enough to make
room for those still to come but at most half a context, and what remains is encoded anew; this depends on the row alone, too.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from genwright.draws import Draws
from genwright.errors import GenwrightError
from genwright.sampling.drawing import Decoding
from genwright.sampling.reader import Reader
from genwright.sampling.step import needs_causal, stepper, threads_for
from genwright.sampling.warp import choose, held_by, likeliest, warp

Constraint = Callable[[Tensor, Tensor], Tensor]
"""(tokens so far, prompt included (rows, length) int64; which rows of the batch (rows,) int64) -> (rows, vocabulary) bool: what may
come next, at least one token a row. Rows that are over repeat the end token until they are dropped."""
Watch = Callable[[Tensor, Tensor], Sequence[bool]]
"""(drawn since the last call (rows, new) int64; which rows of the batch (rows,) int64) -> which of them are over."""


class Drawn(NamedTuple):
    """What a batch of rows drew.

    tokens: (rows, drawn) int64; 0 where not mask.
    logprobs: (rows, drawn), nats, under the distribution a token was drawn from: the model's after constraint, penalty, temperature
        and truncation, so what is sampled is on-policy; at temperature 0 the model's own. 0 where not mask; None where not asked for.
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


def generate(
    model: nn.Module, codec: Any, prompts: Sequence[str] | Sequence[Sequence[int]], n: int = 1, settings: Decoding | None = None,
    on_token: Callable[[int, str], None] | None = None, batch: int = 64,
) -> list[Sample]:  # fmt: skip
    """`n` samples of each prompt, in order: sample i of prompt j is the row j * n + i, a pure function of (seed, j, i).

    An empty prompt begins a document. on_token(row, piece) receives text as it is drawn, in whole characters; `batch` rows are
    computed at once. Raises GenwrightError for a model that is not causal, and what the codec raises for text it cannot encode.
    """
    settings = settings or Decoding()
    end = codec.space.special["end"]
    encoded = [list(codec.encode(prompt) if isinstance(prompt, str) else prompt) or [end] for prompt in prompts]
    for prompt, tokens in zip(prompts, encoded, strict=True):
        if not 0 <= min(tokens) <= max(tokens) < codec.space.vocabulary:
            what = f"prompt {prompt!r} has a token outside the vocabulary of {codec.space.vocabulary}"
            raise GenwrightError(what, "use the model's codec")
    shown = [prompt if isinstance(prompt, str) else codec.decode(list(prompt)) for prompt in prompts]
    device = next(model.parameters()).device
    samples = []
    for first in range(0, len(prompts) * n, batch):
        rows = range(first, min(first + batch, len(prompts) * n))
        readers = [Reader(codec, encoded[row // n], end, settings.stop, on_token and partial(on_token, row)) for row in rows]
        held, real = pad_left([encoded[row // n] for row in rows], device)
        keys = torch.tensor([(row // n << 32) + row % n for row in rows], device=device)
        watch = _watch(readers) if on_token or settings.stop else None
        draws = Draws(settings.seed, 0, keys)
        drawn = generate_tokens(model, held, real, settings, draws, end=end, watch=watch, every=1 if on_token else None)
        assert drawn.logprobs is not None
        columns = drawn.tokens.tolist(), drawn.mask.sum(1).tolist(), drawn.logprobs.tolist()
        for row, reader, new, count, scores in zip(rows, readers, *columns, strict=True):
            reader.feed(new[len(reader.tokens) : count])
            reader.close()
            total = sum(scores[: len(reader.tokens)])
            samples.append(Sample(shown[row // n], reader.text, tuple(reader.tokens), reader.stopped or "length", total))
    return samples


def _watch(readers: Sequence[Reader]) -> Watch:
    return lambda new, rows: [readers[row].feed(tokens) for row, tokens in zip(rows.tolist(), new.tolist(), strict=True)]


def pad_left(rows: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Token lists of unequal length -> tokens (rows, longest) int64, filled with 0 on the left, and (rows, longest) bool, what is real."""
    longest = max(map(len, rows))
    tokens = torch.tensor([[0] * (longest - len(row)) + list(row) for row in rows], device=device)
    real = torch.tensor([[False] * (longest - len(row)) + [True] * len(row) for row in rows], device=device)
    return tokens, real


def generate_tokens(
    model: nn.Module, tokens: Tensor, padding: Tensor | None, settings: Decoding, draws: Draws, *, end: int | None = None,
    constraint: Constraint | None = None, watch: Watch | None = None, every: int | None = None, logprobs: bool = True,
) -> Drawn:  # fmt: skip
    """Draws up to `settings.max_tokens` tokens after each row of `tokens` (rows, length), left-padded where not `padding` (True: real).

    draws: one example a row (`settings.seed` and `stop` are not looked at). `end` ends a row. Whether rows are over is asked every
    `every` tokens (default 8, on a GPU 32); when half of them are, they leave the batch. Without `logprobs` the likeliest token is found
    without the others' probabilities, which is faster. Raises GenwrightError where nothing could
    be drawn (logits that are not finite, a constraint without a token), and for a model that is not causal.
    """
    needs_causal(model)
    every = every or (8 if tokens.device.type == "cpu" else 32)
    with torch.inference_mode():
        run = _Run(model, tokens, padding, settings, draws, end, constraint, watch, every, logprobs)
        while run.rows:
            run.segment()
        drawn = run.result()
    # tensors of inference mode could not enter a gradient
    return Drawn(drawn.tokens.clone(), drawn.logprobs.clone() if logprobs and drawn.logprobs is not None else None, drawn.mask.clone())


class _Run:
    """The state of one `generate_tokens`. Work goes in segments: encode what the living rows hold, then step until a row has outgrown
    its context or half of the rows are over."""

    def __init__(self, model, tokens, padding, settings, draws, end, constraint, watch, every, scored):
        self.model, self.stepper, self.context = model, stepper(model), getattr(model, "context", sys.maxsize)
        self.settings, self.end, self.constraint, self.watch, self.every, self.scored = settings, end, constraint, watch, every, scored
        size, self.prompt = tokens.shape
        self.at, self.total = self.prompt, self.prompt + settings.max_tokens  # at: where the next token goes
        self.tokens = torch.nn.functional.pad(tokens, (0, settings.max_tokens))
        self.logprobs = torch.zeros(size, settings.max_tokens, device=tokens.device)
        self.counts = [0] * size
        self.begin = [0] * size if padding is None else (self.prompt - padding.sum(1)).tolist()  # first token of a row's prompt
        self.start = list(self.begin)  # first token that a row still sees
        self.rows = list(range(size))
        self.uniform = draws.uniform("token", settings.max_tokens) if settings.temperature > 0 else None

    def segment(self) -> None:
        context, left = self.context, self.total - self.at
        for row in self.rows:
            if self.at - self.start[row] > context:
                self.start[row] = self.at - max(context - left + 1, context // 2, 1)
        low = min(self.start[row] for row in self.rows)
        steps = min(left, context - (self.at - low) + 1)
        index = torch.tensor(self.rows, device=self.tokens.device)
        held = self.tokens[index]
        start = torch.tensor([self.start[row] for row in self.rows], device=held.device)
        padded = any(self.start[row] > low for row in self.rows)
        real = torch.arange(low, self.at, device=held.device) >= start[:, None] if padded else None
        logits = self.stepper.start(held[:, low : self.at], real, self.at - low + steps - 1)
        with threads_for(self.model, len(index)):
            self._draw(logits, held, index, steps)

    def _draw(self, logits: Tensor, held: Tensor, index: Tensor, steps: int) -> None:
        """Draws up to `steps` tokens for the rows `index`, and notes what they drew and which are over."""
        settings, seen, at = self.settings, self._seen(held, index, logits.shape[-1]), self.at
        uniform = None if self.uniform is None else self.uniform[index, at - self.prompt :].unbind(1)
        tokens: list[Tensor] = []
        logprobs: list[Tensor] = []
        over, asked = [False] * len(index), 0
        done = torch.zeros_like(index, dtype=torch.bool)
        while True:
            if self.constraint:
                if tokens:
                    held[:, at + len(tokens) - 1] = tokens[-1]
                logits = logits.masked_fill(~self.constraint(held[:, : at + len(tokens)], index), float("-inf"))
            logits = warp(logits, settings, seen)
            if uniform is not None:
                token, logprob = choose(logits, uniform[len(tokens)])
            elif self.scored:
                token, logprob = likeliest(logits)
            else:
                logprob, token = logits.max(-1)  # the logit itself: it shows as well whether all is finite
            if self.constraint and self.end is not None:
                token = token.masked_fill(done, self.end)
                done |= token == self.end
            tokens.append(token)
            logprobs.append(logprob)
            if len(tokens) % self.every == 0 or len(tokens) == steps:
                over, asked = self._ask(torch.stack(tokens[asked:], 1), index, over), len(tokens)
                if len(tokens) == steps or 2 * sum(over) >= len(over):
                    break
            if seen is not None:
                seen.scatter_(1, token[:, None], True)
            logits = self.stepper.step(token)
        self.at += len(tokens)
        self.tokens[index, at : self.at] = torch.stack(tokens, 1)
        self.logprobs[index, at - self.prompt : self.at - self.prompt] = torch.stack(logprobs, 1)
        for row in self.rows:
            self.counts[row] = self.at - self.prompt
        self.rows = [row for row, gone in zip(self.rows, over, strict=True) if not gone] if self.at < self.total else []

    def _ask(self, new: Tensor, index: Tensor, over: list[bool]) -> list[bool]:
        if self.end is not None:
            over = [a or b for a, b in zip(over, (new == self.end).any(1).tolist(), strict=True)]
        if self.watch:
            over = [a or b for a, b in zip(over, self.watch(new, index), strict=True)]
        return over

    def _seen(self, held: Tensor, index: Tensor, vocabulary: int) -> Tensor | None:
        """(rows, vocabulary) bool: which tokens prompt and sample hold."""
        if self.settings.repetition_penalty == 1:
            return None
        begin = torch.tensor([self.begin[row] for row in index.tolist()], device=held.device)
        return held_by(held[:, : self.at], torch.arange(self.at, device=held.device) >= begin[:, None], vocabulary)

    def result(self) -> Drawn:
        width = max(self.counts, default=0)
        tokens, logprobs = self.tokens[:, self.prompt : self.prompt + width], self.logprobs[:, :width]
        places = torch.arange(width, device=tokens.device)
        mask = places < torch.tensor(self.counts, device=tokens.device)[:, None]
        if self.end is not None:
            ends = (tokens == self.end) & mask
            mask &= (ends.cumsum(1) - ends.long()) == 0
        mask = mask[:, : int(mask.any(0).sum())]
        tokens, logprobs = tokens[:, : mask.shape[1]] * mask, logprobs[:, : mask.shape[1]].where(mask, 0)
        if not logprobs.isfinite().all():
            row, place = (~logprobs.isfinite()).nonzero()[0].tolist()
            what = f"row {row}: token {place} could not be drawn, its probabilities are not finite"
            raise GenwrightError(what, "look for weights that are not finite, or a constraint that leaves no token")
        return Drawn(tokens, logprobs, mask)
