"""Music from a model: composed from the beginning or from a theme by a causal one, rewritten where
it may be by a masked one."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from genwright.contents.music.codec import MusicCodec
from genwright.contents.music.codec_tokens import KEYS, key_name
from genwright.contents.music.rules import Rules
from genwright.contents.music.score import Meter, Note, Score, edges, first_number
from genwright.core.content import Advanced
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.decode import NewTokens, result_of, stream_tokens
from genwright.sampling.drawing import Decoding
from genwright.sampling.gibbs import gibbs
from genwright.sampling.step import needs_causal

BARS = 16  # of music without an end
TOKENS = "tokens"  # what the progress of drawing counts
USUAL_METER = Meter(0, 4, 4)


def compose(
    model: Any, codec: MusicCodec, count: int, settings: Decoding, **how: Any
) -> list[Score]:
    """The pieces of `composing`, all at once; how: as it takes it."""
    events = composing(model, codec, count, settings, **how)
    return [event for event in events if isinstance(event, Score)]


@torch.no_grad()
def composing(
    model: Any,
    codec: MusicCodec,
    count: int,
    settings: Decoding,
    *,
    condition: Tensor | None = None,
    theme: Score | None = None,
    bars: int | None = None,
    rules: bool = False,
    batch: int = 64,
    first: int = 0,
) -> Iterator[Score | Advanced]:
    """Pieces first, first + 1, ..., `count` of them; piece i is a pure function of the seed and of
    i. And how far the drawing is: `batch` pieces are drawn at once, and the tokens of the longest
    one are counted. Closing the iterator stops it.

    condition: (1, columns). theme: how they begin, kept. bars: how many, the theme's included;
    None: until the model ends, `settings.max_tokens` at most. rules: voices stay in their ranges,
    and no parallel fifths, octaves or unisons. Raises GenwrightError for a model that is not
    causal, and for a theme that does not fit."""
    needs_causal(model)
    end = codec.id.get(("end",))
    if not bars and end is None:
        bars = BARS
    given: list[int] = []
    if theme:
        given = [token for token in codec.encode(theme) if token != end]
    settings = settings.model_copy(
        update={"max_tokens": _longest(codec, settings, bars, len(given))}
    )
    constraint = Allowed(codec, rules, bars)
    device = next(model.parameters()).device
    before = codec.before(condition, 1)[0]
    prompt = torch.cat([before, torch.tensor(given, dtype=torch.int64)]).to(device)

    batches = torch.arange(count, device=device).split(batch)
    total = len(batches) * settings.max_tokens
    for place, numbers in enumerate(batches):
        prompts = prompt.expand(len(numbers), -1)
        draws = Draws(settings.seed, 0, first + numbers)
        stream = stream_tokens(
            model, prompts, None, settings, draws, end=end, constraint=constraint, logprobs=False
        )
        done = place * settings.max_tokens
        found = yield from _advancing(stream, done, total)
        drawn = result_of(*found, end, False)
        lengths = drawn.mask.sum(1).tolist()
        for tokens, length in zip(drawn.tokens.tolist(), lengths, strict=True):
            score = codec.decode([*given, *tokens[:length]])
            score = replace(score, names=codec.voice_names)
            if theme:
                score = replace(score, tempo=theme.tempo, tempos=theme.tempos)
            if bars:
                score = first_bars(score, bars)
            yield score
        yield Advanced(done + settings.max_tokens, total, TOKENS)


Found = tuple[Tensor, Tensor, Tensor]  # as `stream_tokens` returns it


def _advancing(
    stream: Generator[NewTokens, Sequence[bool] | None, Found], done: int, total: int
) -> Generator[Advanced, None, Found]:
    """Draws a batch; says how far it is. done: tokens before it."""
    while True:
        try:
            new = next(stream)
        except StopIteration as finished:
            found: Found = finished.value
            return found
        done += new.tokens.shape[1]
        yield Advanced(done, total, TOKENS)


def _longest(codec: MusicCodec, settings: Decoding, bars: int | None, given: int) -> int:
    """How many tokens may be drawn, at least 1. given: tokens of the theme."""
    if not bars:
        return settings.max_tokens
    has_end = ("end",) in codec.id
    bars_with_rest = bars + 1 if has_end else bars  # a pickup, or what stands before the end
    return max(1, codec.bar_tokens * bars_with_rest - given)


class Allowed:
    """A `sampling.decode.Constraint`: what may come next in music of so many bars."""

    def __init__(self, codec: MusicCodec, strict: bool, bars: int | None):
        self.codec = codec
        self.bars = bars
        self.rules = Rules(codec, strict) if codec.rows else None
        self.end = codec.id.get(("end",), -1)
        self.bar = codec.id.get(("place", 0), codec.id.get(("bar",), -1))  # begins a bar

    def __call__(self, tokens: Tensor, rows: Tensor) -> Tensor:
        """(rows, length) int64, what is drawn so far -> (rows, vocabulary) bool, what may
        follow."""
        vocabulary = torch.arange(self.codec.space.vocabulary, device=tokens.device)
        is_end = vocabulary == self.end
        if self.rules:
            allowed = self.rules(tokens, rows)
        else:
            content = self.codec.in_range[-1].to(tokens.device)
            allowed = (content | is_end).expand(len(tokens), -1)
        if not self.bars or self.end < 0:
            return allowed
        begun = (tokens == self.bar).sum(1, keepdim=True)  # bars, without a pickup
        may_end = (allowed & (begun >= self.bars)) | (begun > self.bars)
        may_go_on = allowed & (begun <= self.bars)
        return torch.where(is_end, may_end, may_go_on)


def first_bars(score: Score, bars: int) -> Score:
    """The piece cut after so many whole bars (a pickup is none of them)."""
    starts = edges(score)
    has_pickup = first_number(score) == 0
    last = bars + 1 if has_pickup else bars
    if last >= len(starts) - 1:
        return score
    length = starts[last]
    return replace(
        score,
        voices=tuple(_first_notes(voice, length) for voice in score.voices),
        length=length,
        bars=tuple(bar for bar in score.bars if bar < length),
        meters=tuple(meter for meter in score.meters if meter.start < length),
        keys=tuple(key for key in score.keys if key.start < length),
        tempos=tuple(tempo for tempo in score.tempos if tempo.start < length),
    )


def _first_notes(voice: Sequence[Note], length: int) -> tuple[Note, ...]:
    """The notes of a voice that begin before `length`, cut there."""
    notes = []
    for note in voice:
        if note.start < length:
            notes.append(note._replace(length=min(note.length, length - note.start)))
    return tuple(notes)


@torch.no_grad()
def rewrite(
    model: Any,
    codec: MusicCodec,
    score: Score,
    count: int,
    settings: Decoding,
    *,
    condition: Tensor | None = None,
    voices: Sequence[int] = (),
    steps: range | None = None,
    first: int = 0,
) -> list[Score]:
    """Versions first, first + 1, ... of a score, `count` of them, by block Gibbs sampling.

    Kept are these voices and, where `steps` are given, what lies outside of them. Piece i is a pure
    function of the seed and of i. What is longer than the model's context is written from left to
    right, half of it at a time. Raises GenwrightError for a model that is not masked, and for a
    score that does not fit."""
    if not codec.rows:
        raise GenwrightError(
            "this run's codec has no voices by steps of time, of which some could be kept",
            "use codec.kind=grid",
        )
    device = next(model.parameters()).device
    before = codec.before(condition, 1, 0)[0]
    whole = torch.cat([before, torch.tensor(_encoded(codec, score))])  # (time,)
    tokens = whole.expand(count, -1).clone().to(device)  # (count, time)
    keep = codec.kept(tokens, voices, steps, codec.prefix)  # (count, time)
    numbers = torch.arange(first, first + count, device=device)
    tokens = _rewritten(model, codec, tokens, keep, settings, numbers)

    versions = []
    names = (*score.names, *codec.voice_names[len(score.names) :])
    for row in tokens.tolist():
        version = replace(
            codec.decode(row),
            names=names,
            facts=score.facts,
            tempo=score.tempo,
            tempos=score.tempos,
            bars=score.bars,
            meters=score.meters,
            keys=score.keys,
        )
        versions.append(version)
    return versions


def _encoded(codec: MusicCodec, score: Score) -> list[int]:
    """The tokens of a score, voices that it lacks empty. Raises GenwrightError."""
    missing = codec.voices - len(score.voices)
    whole = replace(score, voices=(*score.voices, *[()] * missing))
    if not codec.learned.meters:  # a codec of pitches alone says nothing else
        whole = replace(whole, bars=(), meters=(), keys=())
    return codec.encode(whole)


def _rewritten(
    model: Any,
    codec: MusicCodec,
    tokens: Tensor,
    keep: Tensor,
    settings: Decoding,
    numbers: Tensor,
) -> Tensor:
    """The tokens with what is not kept drawn anew, window by window; a window is as long as the
    model's context, and the next one begins half of it later.

    tokens, keep: (count, time). numbers: (count,) of the pieces."""
    total = tokens.shape[1]
    voice = (torch.arange(total) - codec.prefix) % codec.row_length - codec.row_head
    # what is no voice's (-1) may be any content
    allowed = codec.in_range.to(tokens.device)[voice]  # (time, vocabulary)
    context = model.context
    half = context // 2 // model.row * model.row
    last = -(-max(0, total - context) // model.row) * model.row  # where the last window begins
    for place in range(0, max(1, total - half), half):
        begin = min(place, last)
        window = slice(begin, begin + context)
        if not keep[:, window].all():
            tokens[:, window] = gibbs(
                model,
                tokens[:, window],
                keep[:, window],
                codec.id["mask",],
                settings,
                Draws(settings.seed, begin, numbers),
                settings.passes,
                allowed=allowed[window],
            )
            keep[:, window] = True
    return tokens


def blank(codec: MusicCodec, bars: int, metre: str = "", key: str = "") -> Score:
    """Bars without a note, for a masked model to fill. metre, key: by their names, "" where not
    asked for."""
    meter = _meter_of(codec, metre)
    bar = 4 * codec.settings.per_quarter * meter.beats // meter.unit  # steps
    return Score(
        ((),) * codec.voices,
        bars * bar,
        codec.settings.per_quarter,
        bars=tuple(range(0, bars * bar, bar)),
        meters=(meter,) if codec.learned.meters else (),
        keys=tuple(known for known in KEYS if key_name(known) == key),
    )


def _meter_of(codec: MusicCodec, name: str) -> Meter:
    """The metre of a name, such as 3/4, if the codec knows it; else 4/4, or the first one that it
    knows."""
    known = [Meter(0, *meter) for meter in codec.learned.meters]
    for meter in known:
        if f"{meter.beats}/{meter.unit}" == name:
            return meter
    if USUAL_METER in known or not known:
        return USUAL_METER
    return known[0]
