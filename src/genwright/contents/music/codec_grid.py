"""Music as rows of equal length: `grid`, with all that a score on its grid has, and `jsb`, pitches
alone.

grid, a row a step of time: its place in the bar, then for each voice, the highest first, a note
that begins (with or without a fermata), one that goes on, or a rest. A change of metre or key is a
row that takes no time, before the step it holds from, its other places empty. So a masked model
keeps or rewrites any voice and any bar, and all but the notes is special. A first bar that is short
(a pickup) counts from where a whole one would have begun. At the end stands `end`.
jsb: four pitches a sixteenth, soprano to bass, nothing else, as in the likelihoods of Huang et al.
(arXiv 1809.04281), but each voice by tokens of its own, so that a voice is never mistaken for
another; a note that is struck again is one note.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np

from genwright.contents.music.codec import AROUND, MusicCodec, MusicSettings, Token, changes
from genwright.contents.music.score import REST, Score, bar_of, of_grid
from genwright.core.errors import GenwrightError

_NO_BAR, _NO_PITCH = -1, -2  # the place of a step before any bar; before the first
_ONSET, _HOLD, _FERMATA, _REST, _OTHER = range(5)


class GridCodec(MusicCodec):
    lead = 1

    def vocabulary(self) -> tuple[list[Token], list[Token]]:
        grid = 4 * self.settings.per_quarter
        # steps of a bar that are told apart
        self.span = self.high - self.low + 1
        self.longest = 2 * grid
        longest = max((grid * beats // unit for beats, unit in self.learned.meters), default=grid)
        self.period = 1 + self.voices
        self.bar_tokens = (2 + longest) * (1 + self.voices)
        notes = [
            (kind, pitch)
            for kind in ("onset", "hold", "fermata")
            for pitch in range(self.low, self.high + 1)
        ]
        return [*notes, ("rest",)], [
            *(("place", p) for p in range(_NO_BAR, self.longest)),
            *self.changes,
            ("end",),
        ]

    def encode(self, score: Score) -> list[int]:
        self.check(score)
        pitch, onset = score.grid()
        kind = np.where(onset, _ONSET, _HOLD)
        for v, notes in enumerate(score.voices):
            for note in sorted(notes, key=lambda n: (n.start, n.pitch)):  # as `grid` takes them
                kind[note.start, v] = _FERMATA if note.fermata else _ONSET
        voices = np.where(pitch == REST, _REST * self.span, pitch - self.low + kind * self.span)
        rows = np.column_stack([self.id["place", 0] + self._places(score), voices])
        out = []
        now = 0
        for start, token in sorted(self.signs(score), key=lambda sign: sign[0]):
            out += [
                *rows[now:start].ravel().tolist(),
                self.id[token],
                *[self.id["none",]] * self.voices,
            ]
            now = start
        return [*out, *rows[now:].ravel().tolist(), self.id["end",]]

    def _places(self, score: Score) -> np.ndarray:
        """(length,) steps since the bar began."""
        at = np.arange(score.length)
        bars = np.array(score.bars or [score.length])
        index = np.searchsorted(bars, at, "right") - 1
        place = at - bars[index]
        if bars[0] == 0 and len(bars) > 1 and score.meters:
            place[: bars[1]] += max(0, bar_of(score, 0)[1] - int(bars[1]))
        return np.where(index < 0, _NO_BAR, np.minimum(place, self.longest - 1))

    def read(self, tokens: Sequence[int]) -> tuple[Score, int]:
        mask = self.id["mask",]
        end = self.id["end",]
        kinds = np.array([token[0] for token in self.tokens])
        given = np.array([t if 0 <= (t := int(token)) < mask else mask for token in tokens] + [end])
        given = given[: np.argmax(given == end)]
        heads = np.flatnonzero(np.isin(kinds[given], ("place", "meter", "key")))
        slots = heads[:, None] + np.arange(1, self.stride)
        there = slots < np.append(heads[1:], len(given))[:, None]
        rows = np.append(given, mask)[np.where(there, slots, len(given))]
        step = kinds[given[heads]] == "place"
        stray = ~np.isin(kinds[given], AROUND)
        stray[heads] = stray[slots[there & step[:, None]]] = False

        signs = list(
            zip(
                step.cumsum()[~step].tolist(),
                [self.tokens[head] for head in given[heads[~step]]],
                strict=True,
            )
        )
        rows, places = rows[step], given[heads[step]] - self.id["place", 0]
        kind = np.where(rows < self.size, rows // self.span, _OTHER)
        pitch = np.where(kind < _REST, self.low + rows % self.span, REST)
        goes_on = (kind == _HOLD) & (
            pitch == np.vstack([np.full(self.voices, _NO_PITCH), pitch])[:-1]
        )
        unread = stray.sum() + (kind == _OTHER).sum() + ((kind == _HOLD) & ~goes_on).sum()
        bars = tuple(
            t for t, place in enumerate(places.tolist()) if place == 0 or (t == 0 and place > 0)
        )
        score = of_grid(
            pitch,
            ~goes_on,
            per_quarter=self.settings.per_quarter,
            bars=bars,
            **changes(signs, len(rows)),
        )

        def fermata(v, n):
            return n._replace(fermata=bool(kind[n.start, v] == _FERMATA))

        return replace(
            score,
            voices=tuple(
                tuple(fermata(v, n) for n in notes) for v, notes in enumerate(score.voices)
            ),
        ), int(unread)


class JsbCodec(MusicCodec):
    bar_tokens = period = 64

    def vocabulary(self) -> tuple[list[Token], list[Token]]:
        if self.voices != 4:
            raise GenwrightError(
                f"codec jsb is for four voices, and there are {self.voices}", "use codec.kind=grid"
            )
        # token of each voice's lowest pitch: what is said says who says it
        self.first = np.arange(4) * (self.high - self.low + 1)
        return [
            *(("pitch", p, v) for v in range(4) for p in range(self.low, self.high + 1)),
            ("rest",),
        ], []

    def encode(self, score: Score) -> list[int]:
        self.check(score)
        pitch = score.grid()[0]
        return (
            np.where(pitch == REST, self.id["rest",], pitch - self.low + self.first)
            .ravel()
            .tolist()
        )

    def read(self, tokens: Sequence[int]) -> tuple[Score, int]:
        notes = [int(token) for token in tokens if 0 <= token < self.size]
        rows = np.array(notes[: len(notes) // 4 * 4], int).reshape(-1, 4)
        unread = (
            sum(token not in (self.id["start",], self.id["none",]) for token in tokens) - rows.size
        )
        pitch = np.where(rows == self.id["rest",], REST, self.low + rows % self.first[1])
        return of_grid(pitch, per_quarter=self.settings.per_quarter), unread


class Grid(MusicSettings, family="codec"):
    """Music as voices by steps of time."""

    codec: ClassVar[type[MusicCodec]] = GridCodec
    kind: Literal["grid"] = "grid"
    """Which codec: for each step its place in the bar and what each voice does."""


class Jsb(MusicSettings, family="codec"):
    """Four voices as pitches alone."""

    codec: ClassVar[type[MusicCodec]] = JsbCodec
    kind: Literal["jsb"] = "jsb"
    """Which codec: four pitches a sixteenth, soprano to bass, so that likelihoods can be
    compared."""
    per_quarter: Literal[4] = 4
    """Sixteenths."""
    prefix: Literal[0] = 0
    """No conditions."""
