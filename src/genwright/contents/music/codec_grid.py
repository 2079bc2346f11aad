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

from genwright.contents.music.codec import MusicCodec, MusicSettings, metres_and_keys
from genwright.contents.music.codec_tokens import AROUND, Token
from genwright.contents.music.score import REST, Note, Score, bar_of, of_grid
from genwright.core.errors import GenwrightError

_NO_BAR = -1  # the place of a step that stands before any bar
_NO_PITCH = -2  # before the first step
# What a voice does at a step; the content of the vocabulary is in this order.
_ONSET = 0
_HOLD = 1
_FERMATA = 2  # a note with a fermata begins
_REST = 3
_OTHER = 4  # no token of content


class GridCodec(MusicCodec):
    """A row a step: (place in the bar, what each voice does)."""

    row_head = 1

    def vocabulary(self) -> tuple[list[Token], list[Token]]:
        """Notes by kind and pitch, and the rest; places, metres, keys and the end are special."""
        whole_note = 4 * self.settings.per_quarter  # steps
        bars = [whole_note * beats // unit for beats, unit in self.learned.meters]  # steps
        longest_bar = max(bars, default=whole_note)
        self.places = 2 * whole_note  # places of a bar that are told apart
        self.span = self.high - self.low + 1  # pitches
        self.period = 1 + self.voices
        self.bar_tokens = (2 + longest_bar) * (1 + self.voices)

        content: list[Token] = []
        for kind in ("onset", "hold", "fermata"):
            content += [(kind, pitch) for pitch in range(self.low, self.high + 1)]
        content.append(("rest",))
        special: list[Token] = [("place", place) for place in range(_NO_BAR, self.places)]
        special += [*self.changes, ("end",)]
        return content, special

    def encode(self, score: Score) -> list[int]:
        """A row a step, with a row before it for each change of metre or key. Of a chord the
        highest note is kept. Raises GenwrightError."""
        self.check(score)
        rows = self._rows_of(score)  # (steps, 1 + voices)
        empty_row = [self.id["none",]] * self.voices
        tokens: list[int] = []
        now = 0
        for step, token in sorted(self.signatures(score), key=_by_step):
            tokens += rows[now:step].ravel().tolist()
            tokens += [self.id[token], *empty_row]
            now = step
        tokens += rows[now:].ravel().tolist()
        tokens.append(self.id["end",])
        return tokens

    def _rows_of(self, score: Score) -> np.ndarray:
        """(steps, 1 + voices) tokens: of each step its place in the bar and what each voice
        does."""
        pitch, onset = score.grid()  # (steps, voices)
        kind = np.where(onset, _ONSET, _HOLD)
        for voice, notes in enumerate(score.voices):
            for note in sorted(notes, key=_by_start_and_pitch):  # as `grid` takes them
                kind[note.start, voice] = _FERMATA if note.fermata else _ONSET
        rest = _REST * self.span
        note_tokens = pitch - self.low + kind * self.span
        voices = np.where(pitch == REST, rest, note_tokens)
        places = self.id["place", 0] + self._places_of(score)
        return np.column_stack([places, voices])

    def _places_of(self, score: Score) -> np.ndarray:
        """(steps,) steps since the bar began, at most `places` - 1; _NO_BAR before any bar."""
        step = np.arange(score.length)
        bars = np.array(score.bars or [score.length])
        bar = np.searchsorted(bars, step, "right") - 1
        place = step - bars[bar]
        if bars[0] == 0 and len(bars) > 1 and score.meters:
            _, whole_bar = bar_of(score, 0)
            missing = max(0, whole_bar - int(bars[1]))  # of a pickup
            place[: bars[1]] += missing
        return np.where(bar < 0, _NO_BAR, np.minimum(place, self.places - 1))

    def read(self, tokens: Sequence[int]) -> tuple[Score, int]:
        """Any tokens -> the score, and how many could not be read: tokens outside of rows, no
        content in a voice's place, and holds of no note."""
        given = self._up_to_end(tokens)
        heads, rows, stray = self._cut(given)
        is_step = self.kinds[given[heads]] == "place"  # (rows,)
        steps_before = is_step.cumsum()[~is_step].tolist()
        changes = [self.tokens[head] for head in given[heads[~is_step]]]
        signatures = list(zip(steps_before, changes, strict=True))

        rows = rows[is_step]  # (steps, voices)
        places = given[heads[is_step]] - self.id["place", 0]
        kind = np.where(rows < self.size, rows // self.span, _OTHER)
        pitch = np.where(kind < _REST, self.low + rows % self.span, REST)
        first = np.full(self.voices, _NO_PITCH)
        pitch_before = np.vstack([first, pitch])[:-1]
        hold = kind == _HOLD
        goes_on = hold & (pitch == pitch_before)
        unread = stray + (kind == _OTHER).sum() + (hold & ~goes_on).sum()

        score = of_grid(
            pitch,
            ~goes_on,
            per_quarter=self.settings.per_quarter,
            bars=_bars_of(places),
            **metres_and_keys(signatures, len(rows)),
        )
        voices = tuple(
            _with_fermatas(notes, kind[:, voice]) for voice, notes in enumerate(score.voices)
        )
        return replace(score, voices=voices), int(unread)

    def token_table(self, tokens: Sequence[int]) -> np.ndarray:
        """(steps, voices): the voice's place in the row of the step; of a row that is too short its
        last token."""
        given = self._up_to_end(tokens)
        heads, _, _ = self._cut(given)
        next_heads = np.append(heads[1:], len(given))
        is_step = self.kinds[given[heads]] == "place"  # (rows,)
        places = heads[is_step, None] + np.arange(1, self.row_length)  # (steps, voices)
        return np.minimum(places, next_heads[is_step, None] - 1)

    def _up_to_end(self, tokens: Sequence[int]) -> np.ndarray:
        """The tokens before the first `end`, `mask` in the place of those that do not exist."""
        mask = self.id["mask",]  # the last token of the vocabulary
        end = self.id["end",]
        given = np.array([int(token) for token in tokens] + [end])
        given = np.where((given >= 0) & (given < mask), given, mask)
        return given[: np.argmax(given == end)]

    def _cut(self, given: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Tokens -> where rows begin, (rows,); the tokens of their voices, (rows, voices), `mask`
        where a row is too short; and how many tokens belong to no row that takes time."""
        kinds = self.kinds[given]
        heads = np.flatnonzero(np.isin(kinds, ("place", "meter", "key")))
        next_heads = np.append(heads[1:], len(given))
        slots = heads[:, None] + np.arange(1, self.row_length)  # (rows, voices) places in `given`
        present = slots < next_heads[:, None]
        padded = np.append(given, self.id["mask",])
        rows = padded[np.where(present, slots, len(given))]

        is_step = kinds[heads] == "place"
        stray = ~np.isin(kinds, AROUND)
        stray[heads] = False
        stray[slots[present & is_step[:, None]]] = False
        return heads, rows, int(stray.sum())


def _by_step(signature: tuple[int, Token]) -> int:
    return signature[0]


def _by_start_and_pitch(note: Note) -> tuple[int, int]:
    return note.start, note.pitch


def _bars_of(places: np.ndarray) -> tuple[int, ...]:
    """At which steps bars begin: at place 0, and at the first step of a pickup."""
    bars = np.flatnonzero(places == 0).tolist()
    if len(places) and places[0] > 0:
        bars.insert(0, 0)
    return tuple(bars)


def _with_fermatas(notes: Sequence[Note], kind: np.ndarray) -> tuple[Note, ...]:
    """The notes of a voice, a fermata on those that begin so. kind: (steps,)."""
    return tuple(note._replace(fermata=bool(kind[note.start] == _FERMATA)) for note in notes)


class JsbCodec(MusicCodec):
    """A row a sixteenth: the pitches of four voices."""

    bar_tokens = 64
    period = 64

    def vocabulary(self) -> tuple[list[Token], list[Token]]:
        """All pitches of each voice, and the rest. Raises GenwrightError unless there are four
        voices."""
        if self.voices != 4:
            raise GenwrightError(
                f"codec jsb is for four voices, and there are {self.voices}", "use codec.kind=grid"
            )
        self.span = self.high - self.low + 1
        self.first = np.arange(4) * self.span  # the token of each voice's lowest pitch
        content: list[Token] = []
        for voice in range(4):
            content += [("pitch", pitch, voice) for pitch in range(self.low, self.high + 1)]
        content.append(("rest",))
        return content, []

    def encode(self, score: Score) -> list[int]:
        """The pitches of all steps, soprano to bass. Raises GenwrightError."""
        self.check(score)
        pitch, _ = score.grid()  # (steps, 4)
        tokens = np.where(pitch == REST, self.id["rest",], pitch - self.low + self.first)
        return tokens.ravel().tolist()

    def read(self, tokens: Sequence[int]) -> tuple[Score, int]:
        """Any tokens -> the score, and how many are no content or of a row that is not whole."""
        content = [int(token) for token in tokens if 0 <= token < self.size]
        whole = len(content) // 4 * 4
        rows = np.array(content[:whole], int).reshape(-1, 4)
        around = (self.id["start",], self.id["none",])
        unread = sum(token not in around for token in tokens) - rows.size
        pitch = np.where(rows == self.id["rest",], REST, self.low + rows % self.span)
        return of_grid(pitch, per_quarter=self.settings.per_quarter), unread

    def token_table(self, tokens: Sequence[int]) -> np.ndarray:
        """(steps, 4): the tokens of content, four a step."""
        given = np.array([int(token) for token in tokens], np.int64)
        content = np.flatnonzero((given >= 0) & (given < self.size))
        whole = len(content) // 4 * 4
        return content[:whole].reshape(-1, 4)


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
