"""Text from text, by a causal model: `generate`, as a stream.

Tokens become text piece by piece (`Reader`): what is given can no longer change.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from genwright.contents.text.fill import MASK
from genwright.core.automaton import Automaton
from genwright.core.content import Advanced
from genwright.core.contracts import Codec
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.decode import Drawn, NewTokens, pad_left, result_of, stream_tokens
from genwright.sampling.drawing import Decoding
from genwright.sampling.step import needs_causal

INSTEAD = f'use --fill "some {MASK} text"'  # of a model that is not causal
_PARTIAL = "�"  # what a codec shows for bytes that are not (yet) a character
# tokens decoded again before the new ones, for codecs whose spaces depend on what stands before
_CONTEXT = 4


@dataclass(frozen=True)
class Generated:
    """A text that a model wrote."""

    prompt: str
    """The prompt; of tokens, their text."""
    text: str
    """What follows the prompt, cut before a stop string."""
    tokens: tuple[int, ...]
    """Everything drawn, the end token or what completed the stop string included."""
    stopped: Literal["end", "stop", "length"]
    """By an end token, a stop string, or `max_tokens`."""
    logprob: float
    """Sum of the tokens' log-probabilities, nats (see `sampling.decode.Drawn`)."""
    unfinished: bool = False
    """`max_tokens` came inside a character; its beginning is among the tokens, and not in the
    text."""

    def __str__(self) -> str:
        return self.prompt + self.text


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
        self._automaton = codec.space.automaton() if codec.space.automaton else None
        self._released = 0  # characters given to emit
        # tokens that are decoded together; how many characters of it are in the text
        self._window = list(prompt)
        self._known = 0
        self._settle()

    def feed(self, tokens: Sequence[int]) -> bool:
        """Takes the next tokens; returns whether the sample is over."""
        ended = self._end in tokens
        if ended:
            tokens = tokens[: tokens.index(self._end) + 1]
        if self._stop:
            # one by one: what completes a stop string is the last
            for token in tokens:
                self._add([token])
        else:
            self._add(tokens)
        if ended:
            self.close("end")
        return self.stopped is not None

    def _add(self, tokens: Sequence[int]) -> None:
        if not self.stopped:
            self.tokens += tokens
            self._window += tokens
            self._show()

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
        before = len(self.text)
        self.text += shown[self._known :]
        self._known = max(self._known, len(shown))
        if settled:
            self._settle()
        stop_at = self._first_stop(before)
        if stop_at is not None:
            self.text = self.text[:stop_at]
            self.stopped = "stop"
        until = len(self.text)
        if not self.stopped:
            until -= self._held()
        if self._emit and until > self._released:
            self._emit(self.text[self._released : until])
            self._released = until

    def _first_stop(self, before: int) -> int | None:
        """Where the first stop string begins that is not wholly within the first `before`
        characters; None where there is none."""
        places = []
        for stop in self._stop:
            place = self.text.find(stop, max(0, before - len(stop) + 1))
            if place >= 0:
                places.append(place)
        return min(places, default=None)

    def _decoded(self) -> tuple[str, bool]:
        """The window's text but for the beginning of a character at its end, and whether there is
        none such."""
        decoded = self._codec.decode(self._window)
        if self._automaton is None:
            shown = decoded.removesuffix(_PARTIAL)
            return shown, shown == decoded
        if self._automaton.state(self._window) == 0:
            return decoded, True
        settled = self._codec.decode(self._window[: self._boundary(len(self._window))])
        # codecs that show bytes in a row as text only where all of them are
        if not decoded.startswith(settled):
            return settled, False
        return settled + decoded[len(settled) :].rstrip(_PARTIAL), False

    def _boundary(self, at: int) -> int:
        """The last place in the window up to `at` that is between characters."""
        assert self._automaton is not None
        while at > 0 and self._automaton.state(self._window[:at]) != 0:
            at -= 1
        return at

    def _settle(self) -> None:
        """Forgets all of the window but what the text of its next tokens depends on."""
        keep = max(0, len(self._window) - _CONTEXT)
        if self._automaton is not None:
            keep = self._boundary(keep)
        del self._window[:keep]
        self._known = len(self._decoded()[0])

    def _held(self) -> int:
        """Length of the longest end of the text that a stop string begins with."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        for length in range(min(longest, len(self.text)), 0, -1):
            end = self.text[-length:]
            if any(stop.startswith(end) for stop in self._stop):
                return length
        return 0


class Piece(NamedTuple):
    """More of a text, in whole characters. row: which of the texts, in the order of `generate`."""

    row: int
    text: str


def generate(
    model: nn.Module,
    codec: Any,
    prompts: str | Sequence[str] | Sequence[Sequence[int]],
    n: int = 1,
    settings: Decoding | None = None,
    start: int = 0,
    *,
    batch: int = 64,
    pieces: bool = False,
) -> Iterator[Piece | Generated | Advanced]:
    """Samples start, start + 1, ... of each prompt, `n` of them, in order; sample i of prompt j is
    a pure function of (seed, j, i). A prompt is a text or a list of tokens; one text is one prompt.

    An empty prompt begins a document. `batch` rows are computed at once. pieces: also what there is
    of a text, after each token; else how far the drawing is, in tokens of the longest text of a
    batch. A `Generated` follows for each text, when its batch is over. Closing the iterator stops
    the drawing. Raises GenwrightError for a model that is not causal, and what the
    codec raises for text it cannot encode.
    """
    settings = settings or Decoding()
    needs_causal(model, INSTEAD)
    prompts = [prompts] if isinstance(prompts, str) else prompts
    encoded = [prompt_tokens(codec, prompt) for prompt in prompts]
    shown = [
        prompt if isinstance(prompt, str) else codec.decode(list(prompt)) for prompt in prompts
    ]
    device = next(model.parameters()).device
    starts = range(0, len(prompts) * n, batch)
    total = len(starts) * settings.max_tokens
    for number, first in enumerate(starts):
        rows = range(first, min(first + batch, len(prompts) * n))
        held, real = pad_left([encoded[row // n] for row in rows], device)
        keys = torch.tensor([(row // n << 32) + start + row % n for row in rows], device=device)
        texts = _Batch(codec, [encoded[row // n] for row in rows], settings, pieces)
        drawing = texts.draw(model, held, real, Draws(settings.seed, 0, keys))
        for taken in drawing:
            for row, text in taken:
                yield Piece(rows[row], text)
            if not pieces:
                yield Advanced(number * settings.max_tokens + texts.length, total, "tokens")
        for row, found in zip(rows, texts.finished(), strict=True):
            yield replace(found, prompt=shown[row // n])


def generate_all(
    model: nn.Module,
    codec: Any,
    prompts: str | Sequence[str] | Sequence[Sequence[int]],
    n: int = 1,
    settings: Decoding | None = None,
    start: int = 0,
    *,
    batch: int = 64,
    on_piece: Callable[[int, str], None] | None = None,
) -> list[Generated]:
    """`generate`, all at once. on_piece(row, text) receives the pieces as they are drawn."""
    found = []
    pieces = on_piece is not None
    for event in generate(model, codec, prompts, n, settings, start, batch=batch, pieces=pieces):
        if isinstance(event, Generated):
            found.append(event)
        elif isinstance(event, Piece) and on_piece:
            on_piece(*event)
    return found


def prompt_tokens(codec: Any, prompt: str | Sequence[int]) -> list[int]:
    """What the model reads of a prompt, at least one token; an empty one begins a document. Raises
    GenwrightError."""
    end = codec.space.special["end"]
    tokens = list(codec.encode(prompt) if isinstance(prompt, str) else prompt) or [end]
    if not 0 <= min(tokens) <= max(tokens) < codec.space.vocabulary:
        raise GenwrightError(
            f"prompt {prompt!r} has a token outside the vocabulary of {codec.space.vocabulary}",
            "use the model's codec",
        )
    return tokens


class _Batch:
    """Texts that are drawn together. prompts: the tokens of each. pieces: whether what there is of
    them is given as they are drawn."""

    def __init__(self, codec: Any, prompts: Sequence[list[int]], settings: Decoding, pieces: bool):
        self.pieces = pieces
        self.end: int = codec.space.special["end"]
        self.settings = settings
        valid = settings.valid_utf8 and codec.space.automaton
        self.automaton: Automaton | None = codec.space.automaton() if valid else None
        self.new: list[tuple[int, str]] = []  # pieces that nobody has taken yet
        self.length = 0  # tokens drawn so far, of the longest text
        self.readers = [
            Reader(
                codec,
                prompt,
                self.end,
                settings.stop,
                partial(self._take, row) if pieces else None,
                self.automaton is not None,
            )
            for row, prompt in enumerate(prompts)
        ]
        self.drawn: Drawn | None = None

    def _take(self, row: int, text: str) -> None:
        self.new.append((row, text))

    def draw(
        self, model: nn.Module, tokens: Tensor, padding: Tensor, draws: Draws
    ) -> Iterator[list[tuple[int, str]]]:
        """Draws all of them; gives (row, text) as they are there, now and then none."""
        stream = stream_tokens(
            model,
            tokens,
            padding,
            self.settings,
            draws,
            end=self.end,
            automaton=self.automaton,
            every=1 if self.pieces else None,
        )
        read = self.pieces or bool(self.settings.stop)
        over: list[bool] | None = None
        while True:
            try:
                new = stream.send(over)
            except StopIteration as finished:
                drawn: tuple[Tensor, Tensor, Tensor] = finished.value
                self.drawn = result_of(*drawn, self.end, True)
                break
            self.length += new.tokens.shape[1]
            over = self._feed(new) if read else None
            yield self._taken()
        self._finish()
        self.length = self.settings.max_tokens  # nothing is left to draw
        yield self._taken()

    def _feed(self, new: NewTokens) -> list[bool]:
        """Which of the rows are over."""
        rows = new.rows.tolist()
        tokens = new.tokens.tolist()
        return [self.readers[row].feed(own) for row, own in zip(rows, tokens, strict=True)]

    def _taken(self) -> list[tuple[int, str]]:
        found = self.new
        self.new = []
        return found

    def _finish(self) -> None:
        """The readers are given what they have not read yet, and closed."""
        assert self.drawn
        lengths = self.drawn.mask.sum(1).tolist()
        for reader, tokens, length in zip(
            self.readers, self.drawn.tokens.tolist(), lengths, strict=True
        ):
            reader.feed(tokens[len(reader.tokens) : length])
            reader.close()

    def finished(self) -> Iterator[Generated]:
        """The texts, in order, without their prompts."""
        assert self.drawn and self.drawn.logprobs is not None
        for reader, logprobs in zip(self.readers, self.drawn.logprobs.tolist(), strict=True):
            yield Generated(
                "",
                reader.text,
                tuple(reader.tokens),
                reader.stopped or "length",
                sum(logprobs[: len(reader.tokens)]),
                reader.unfinished,
            )
