"""Music from a model: composed by a causal one, harmonised or rewritten by a masked one, as asked
for by `SampleOptions`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genwright.contents.music.codec import MusicCodec, music_codec
from genwright.contents.music.compose import (
    BARS,
    Allowed,
    blank,
    composing,
    first_bars,
    rewrite,
)
from genwright.contents.music.dataset import pieces_of
from genwright.contents.music.options import SampleOptions
from genwright.contents.music.score import Note, Score, edges, first_number
from genwright.contents.music.sources import read_file
from genwright.core.attributes import random_subset, read_wanted, wanted_row
from genwright.core.content import Advanced, Drawn, Event, Opened, Question, Sample
from genwright.core.contracts import Batch
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.objectives.terms import Rollout
from genwright.sampling.drawing import Decoding

logger = logging.getLogger(__name__)
USUAL: int = SampleOptions.usual["n"]  # pieces, where no number is given
AT_ONCE = 64  # pieces that are drawn together
MOST_BARS = 1000


def is_causal(opened: Opened) -> bool:
    """Whether the model composes from left to right; else it fills what is open."""
    return bool(getattr(opened.objective.modules["model"].settings, "causal", False))


class MusicSampler:
    """See `core.content.Sampler`. Samples are `Score`s."""

    options = SampleOptions

    def draw(
        self,
        opened: Opened,
        options: SampleOptions,
        n: int | None = None,
        first: int = 0,
        partial: bool = False,
    ) -> Iterator[Event]:
        """Pieces first, first + 1, ...: new ones, or versions of the one that is given. Raises
        GenwrightError."""
        check_request(opened, options)
        settings = opened.changed(options)
        assert isinstance(settings, Decoding)
        count = n or options.n or USUAL
        condition = wanted_row(opened.codec.space.attributes, options.condition)
        pieces: Iterator[Score | Advanced]
        if is_causal(opened):
            pieces = self._composed(opened, options, settings, condition, count, first)
        else:
            pieces = self._rewritten(opened, options, settings, condition, count, first)
        number = first
        for piece in pieces:
            if isinstance(piece, Advanced):
                yield piece
                continue
            if options.tempo is not None:
                piece = replace(piece, tempo=options.tempo, tempos=())
            yield Drawn(Sample(piece, condition=condition, seed=settings.seed, number=number))
            number += 1

    def _composed(
        self,
        opened: Opened,
        options: SampleOptions,
        settings: Decoding,
        condition: Tensor | None,
        count: int,
        first: int,
    ) -> Iterator[Score | Advanced]:
        """New pieces, or pieces that begin with the theme."""
        bars = bars_asked(options.bars)
        theme = opened_score(options.theme, opened.codec) if options.theme else None
        if theme and bars:
            own = len(edges(theme)) - 2 + first_number(theme)  # a pickup is no bar
            if bars <= own:
                raise GenwrightError(
                    f"{options.theme} has {own} bars already",
                    f"give --bars {own + 1} or more, for they count from its beginning",
                )
        return composing(
            opened.objective.modules["model"],
            music_codec(opened.codec),
            count,
            settings,
            condition=condition,
            theme=theme,
            bars=bars,
            rules=options.rules,
            batch=AT_ONCE,
            first=first,
        )

    def _rewritten(
        self,
        opened: Opened,
        options: SampleOptions,
        settings: Decoding,
        condition: Tensor | None,
        count: int,
        first: int,
    ) -> Iterator[Score | Advanced]:
        """AT_ONCE pieces at once."""
        for start in range(0, count, AT_ONCE):
            size = min(AT_ONCE, count - start)
            yield from self._versions(opened, options, settings, condition, size, first + start)
            yield Advanced(start + size, count)

    def _versions(
        self,
        opened: Opened,
        options: SampleOptions,
        settings: Decoding,
        condition: Tensor | None,
        count: int,
        first: int,
    ) -> list[Score]:
        """A piece with some bars written anew, a melody with the other voices, or new pieces."""
        model = opened.objective.modules["model"]
        codec = music_codec(opened.codec)
        if options.fill:
            piece = opened_score(options.fill, codec)
            codec.check(piece)
            steps = steps_of(piece, options.bars)
            return rewrite(model, codec, piece, count, settings, steps=steps, first=first)
        bars = bars_asked(options.bars)
        if options.harmonise:
            melody = _melody(options, codec)
            if bars is not None:
                melody = first_bars(melody, bars)
            return rewrite(model, codec, melody, count, settings, voices=(0,), first=first)
        wanted: Any = read_wanted(options.condition or {})
        metre = "".join(wanted.get("metre", []))  # of one value each
        key = "".join(wanted.get("key", []))
        empty = blank(codec, bars or BARS, metre, key)
        return rewrite(model, codec, empty, count, settings, condition=condition, first=first)

    def collected(self, samples: Sequence[Sample]) -> list[Score]:
        """The scores."""
        return [sample.content for sample in samples]

    def real(self, dataset: Any, split: str, n: int) -> list[Sample]:
        """Pieces from all over a split."""
        scores = dataset.scores(split, n)
        return [Sample(score, number=number) for number, score in enumerate(scores)]

    def noise(self, like: Sequence[Sample], seed: int) -> list[Sample]:
        """Pieces of the same lengths, bars and voices, whose notes last and sound by chance."""
        scores = noise([sample.content for sample in like], seed)
        return [Sample(score, seed=seed, number=number) for number, score in enumerate(scores)]

    def batch(self, samples: Sequence[Sample], codec: Any) -> Batch:
        """(n, longest) tokens behind the places of conditions, -1 where a piece has ended."""
        rows = []
        for sample in samples:
            condition = None if sample.condition is None else sample.condition.reshape(1, -1)
            before = codec.before(condition, 1)[0]
            tokens = torch.tensor(codec.encode(sample.content), dtype=torch.int64)
            rows.append(torch.cat([before, tokens]))
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        return {"tokens": tokens, "counted": tokens >= 0}

    def questions(self, opened: Opened, rollout: Rollout, split: str) -> Sequence[Question]:
        """What a rollout begins with: the places of conditions before a piece, empty; or, where
        conditions are asked for, what is known of each piece of the split, some of it left out as
        in training. Raises GenwrightError for prompts, which music has none of."""
        if rollout.prompts or rollout.cut_after:
            setting = "prompts" if rollout.prompts else "cut_after"
            raise GenwrightError(
                f"objective.rollout.{setting} is given, and music begins with no words",
                "leave it out; conditions: true asks for keys and metres as the data have them",
            )
        codec = music_codec(opened.codec)
        if not rollout.conditions:
            return [Question(tuple(codec.before(None, 1)[0].tolist()))]
        if not codec.space.columns:
            raise GenwrightError(
                "objective.rollout.conditions is true, and nothing is known of these pieces",
                "leave it out",
            )
        dataset = pieces_of(opened.dataset())
        known = dataset.conditions[dataset.pieces[split]]  # (pieces, columns)
        shown = random_subset(known, Draws(0, 0, torch.arange(len(known))))
        before = codec.before(shown, len(shown)).tolist()
        return [
            Question(tuple(tokens), condition=row)
            for tokens, row in zip(before, shown, strict=True)
        ]

    def end(self, codec: MusicCodec) -> int | None:
        """The token that ends a piece; None for a codec that has none."""
        return codec.id.get(("end",))

    def constraint(self, codec: MusicCodec) -> Allowed | None:
        """Ranges, and no parallels, as --rules; None for a codec that writes note after note."""
        return Allowed(codec, True, None) if codec.rows else None

    def decoded(
        self,
        codec: MusicCodec,
        question: Question,
        tokens: Sequence[int],
        logprobs: Sequence[float],
        ended: bool,
    ) -> Score:
        """The piece of drawn tokens, which may be any."""
        return replace(codec.decode(tokens), names=codec.voice_names)

    def shortened(self, codec: MusicCodec, sample: Sample, length: int) -> Sample:
        """The beginning of a real piece."""
        tokens = tuple(codec.encode(sample.content))
        if len(tokens) <= length:
            return sample._replace(tokens=tokens)
        tokens = tokens[:length]
        score = replace(codec.decode(tokens), names=codec.voice_names)
        return sample._replace(content=score, tokens=tokens)

    def token_of(self, codec: MusicCodec, sample: Sample, place: tuple[int, int]) -> int:
        """The index in `sample.tokens` of the token that settles what a voice does at a step; of a
        note, at the step where it begins, its last token; beyond the piece the last token. place:
        (step, voice)."""
        step, voice = place
        table = _token_table(codec, sample.tokens)  # (steps, voices)
        if not 0 <= step < len(table):
            return max(0, len(sample.tokens) - 1)
        return int(table[step, min(max(voice, 0), table.shape[1] - 1)])


@lru_cache(maxsize=64)
def _token_table(codec: MusicCodec, tokens: tuple[int, ...]) -> np.ndarray:
    """`MusicCodec.token_table`, which is asked for every part of a sample, one after another."""
    return codec.token_table(tokens)


def check_request(opened: Opened, options: SampleOptions) -> None:
    """Raises GenwrightError for options that contradict each other, or that the model cannot
    follow; says what --rules means for a single voice."""
    files = {"continue": options.theme, "harmonise": options.harmonise, "fill": options.fill}
    asked = [name for name, value in files.items() if value]
    causal = is_causal(opened)
    if len(asked) > 1:
        raise GenwrightError(
            f"--{asked[0]} and --{asked[1]} were both given", "ask for one of them at a time"
        )
    if asked and causal != (asked == ["continue"]):
        kind = "causal" if causal else "masked"
        other = "--continue" if causal else "--harmonise or --fill"
        raise GenwrightError(
            f"--{asked[0]} is not for this run, whose model is {kind}",
            f"use {other}, or another run",
        )
    if options.soundfont and not Path(options.soundfont).is_file():
        raise GenwrightError(
            f"--soundfont: there is no file {options.soundfont}", "give the path of a .sf2 file"
        )
    if options.rules:
        check_rules(opened.codec, causal)
    if options.condition and asked and not causal:
        raise GenwrightError("--condition is for new pieces, and this one is given", "leave it out")


def check_rules(codec: Any, causal: bool) -> None:
    """Raises GenwrightError where --rules cannot be kept; says what it means for a single voice."""
    if not causal:
        what = (
            "--rules rules out tokens from left to right, "
            "and this run's masked model writes all places at once"
        )
        raise GenwrightError(what, "leave it out, or train with objective=causal")
    if not codec.rows:
        what = (
            "--rules compares voices in each step of time, "
            "and this run's codec writes one note after the other"
        )
        raise GenwrightError(what, "leave it out, or train with codec.kind=grid")
    if codec.voices == 1:
        logger.warning("of a single voice --rules keeps the range; parallels need two")


def opened_score(path: Any, codec: Any) -> Score:
    """The first piece of a file. Raises GenwrightError."""
    scores = read_file(str(path), codec.settings.per_quarter)
    if len(scores) > 1:
        logger.warning("%s holds %d pieces; the first is taken", path, len(scores))
    return scores[0]


def _melody(options: SampleOptions, codec: Any) -> Score:
    """The first voice of the file that is to be harmonised."""
    piece = opened_score(options.harmonise, codec)
    if len(piece.voices) > 1:
        count = len(piece.voices)
        logger.warning("%s has %d voices; the first is taken", options.harmonise, count)
    return replace(piece, voices=piece.voices[:1], names=piece.names[:1])


def bars_asked(bars: str | int | None) -> int | None:
    """A number of bars. Raises GenwrightError."""
    if bars is None:
        return None
    if not str(bars).isdecimal() or not 0 < int(bars) <= MOST_BARS:
        raise GenwrightError(
            f"--bars is {bars}",
            f"give a number of bars, 1 to {MOST_BARS}; of --fill those to rewrite, as in 5-8",
        )
    return int(bars)


def steps_of(score: Score, bars: str | int | None) -> range:
    """The steps of bars a-b, by their printed numbers. Raises GenwrightError."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", str(bars or ""))
    if not found:
        raise GenwrightError("--fill needs the bars to rewrite", "add for example --bars 5-8")
    every = edges(score)
    first = first_number(score)
    last = first + len(every) - 2
    begin = int(found[1])
    end = int(found[2] or found[1])
    if not first <= begin <= end <= last:
        raise GenwrightError(
            f"there are no bars {bars}: the piece has {first} to {last}", "give bars that it has"
        )
    return range(every[begin - first], every[end - first + 1])


def noise(scores: Sequence[Score], seed: int = 0) -> list[Score]:
    """As many pieces of the same lengths, bars and voices, whose notes last and sound as chance has
    it, within each voice's range."""
    rng = np.random.default_rng(seed)
    out = []
    for score in scores:
        voices = tuple(_noise_voice(voice, score.length, rng) for voice in score.voices)
        out.append(replace(score, voices=voices))
    return out


def _noise_voice(voice: Sequence[Note], length: int, rng: np.random.Generator) -> tuple[Note, ...]:
    """A voice of as many notes and fermatas as this one, on average."""
    pitches = [note.pitch for note in voice] or [60]
    chance = max(0.05, len(voice) / max(1, length))
    starts = np.flatnonzero(rng.random(length) < chance)
    ends = np.append(starts, length)[1:]
    drawn = rng.integers(min(pitches), max(pitches) + 1, len(starts))
    fermatas = sum(note.fermata for note in voice) / len(pitches)
    ending = rng.random(len(starts)) < fermatas
    notes = []
    for start, end, pitch, fermata in zip(starts, ends, drawn, ending, strict=True):
        notes.append(Note(int(start), int(end - start), int(pitch), fermata=bool(fermata)))
    return tuple(notes)
