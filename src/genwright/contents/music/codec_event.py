"""Music as events in the order of time: what a person plays, any number of voices, chords and
velocities.

`at` goes on to a step of the bar; `bar`, `meter`, `key` say what holds from there; a note is its
`pitch` and `length`, before it `voice` and `velocity` where they are not those of the note before
(0 and 80 at the start), behind it `fermata`. What is beyond the longest token is several that add
up; `at` counts anew from it. Velocities are kept to the nearest multiple of 4; empty voices after
the last are not kept.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from genwright.contents.music.codec import MusicCodec, MusicSettings, metres_and_keys
from genwright.contents.music.codec_tokens import AROUND, Token
from genwright.contents.music.score import Note, Score

_VELOCITIES = [1, *range(4, 128, 4), 127]
_FIRST_VOICE = 0
_FIRST_VELOCITY = 80
_UNKNOWN: Token = ("unknown",)  # a number that is no token


class EventCodec(MusicCodec):
    """Events in the order of time."""

    rows = False

    def vocabulary(self) -> tuple[list[Token], list[Token]]:
        """All but `end` is content."""
        steps = range(1, self.settings.reach + 1)
        content: list[Token] = [("pitch", pitch) for pitch in range(self.low, self.high + 1)]
        content += [("velocity", velocity) for velocity in _VELOCITIES]
        content += [("voice", voice) for voice in range(self.voices)]
        content += [("at", step) for step in steps]
        content += [("length", step) for step in steps]
        content += [("bar",), ("fermata",), *self.changes]
        return content, [("end",)]

    def encode(self, score: Score) -> list[int]:
        """What happens at each step, with `at` between the steps. Raises GenwrightError."""
        self.check(score)
        events = self._events(score)
        tokens: list[Token] = []
        now = 0
        counted_from = 0  # the step that `at` counts from
        for step in sorted(events):
            if step > now:
                tokens += self._steps("at", step - counted_from)
                now = step
            tokens += events[step]
            if ("bar",) in events[step]:
                counted_from = step
            else:
                counted_from = step - (step - counted_from) % self.settings.reach
        tokens.append(("end",))
        return [self.id[token] for token in tokens]

    def _events(self, score: Score) -> dict[int, list[Token]]:
        """step -> what is said there: bars, metres, keys, then notes by voice and pitch. The end of
        the piece is a step, too."""
        events: dict[int, list[Token]] = defaultdict(list, {score.length: []})
        for bar in score.bars:
            events[bar].append(("bar",))
        for step, token in self.signatures(score):
            events[step].append(token)

        in_order = []  # (start, voice, pitch, note)
        for voice, notes in enumerate(score.voices):
            in_order += [(note.start, voice, note.pitch, note) for note in notes]
        in_order.sort(key=lambda entry: entry[:3])
        last_voice = _FIRST_VOICE
        last_velocity = _FIRST_VELOCITY
        for start, voice, pitch, note in in_order:
            here = events[start]
            velocity = _VELOCITIES[min(32, (note.velocity + 2) // 4)]
            if voice != last_voice:
                here.append(("voice", voice))
            if velocity != last_velocity:
                here.append(("velocity", velocity))
            here.append(("pitch", pitch))
            here += self._steps("length", note.length)
            if note.fermata:
                here.append(("fermata",))
            last_voice = voice
            last_velocity = velocity
        return events

    def _steps(self, kind: str, count: int) -> tuple[Token, ...]:
        """`count` steps as the longest tokens that add up to them."""
        return _steps(kind, count, self.settings.reach)

    def read(self, tokens: Sequence[int]) -> tuple[Score, int]:
        """Any tokens -> the score, and how many could not be read: those that say nothing where
        they stand, and pitches without a length."""
        reader = _Reader(self.voices, self.settings.reach)
        for token in self._up_to_end(tokens):
            reader.take(token)
        return reader.score(self.settings.per_quarter)

    def _up_to_end(self, tokens: Sequence[int]) -> Iterator[Token]:
        """The tokens before the first `end`."""
        for number in map(int, tokens):
            token = self.tokens[number] if 0 <= number < len(self.tokens) else _UNKNOWN
            if token[0] == "end":
                return
            yield token

    def token_table(self, tokens: Sequence[int]) -> np.ndarray:
        """(steps, voices): where a note begins, its last token (its length, or a fermata); at other
        steps what goes on beyond the step: the next `at`, or the end."""
        reader = _Reader(self.voices, self.settings.reach)
        passed: list[int] = []  # of each step so far the token that went beyond it
        notes: dict[tuple[int, int], int] = {}  # step, voice -> the last token of a note
        place = -1
        for place, token in enumerate(self._up_to_end(tokens)):
            reader.take(token)
            passed += [place] * (reader.step - len(passed))
            if reader.kind_before in ("length", "fermata"):
                note = reader.voices[reader.voice][-1]
                notes[note.start, reader.voice] = place
        score, _ = reader.score(self.settings.per_quarter)
        end = min(place + 1, len(tokens) - 1)  # the end, or the last token where there is none
        passed += [end] * (score.length - len(passed))
        table = np.tile(np.array(passed, np.int64)[:, None], (1, self.voices))
        for (step, voice), place in notes.items():
            table[step, voice] = place
        return table


@lru_cache(maxsize=4096)
def _steps(kind: str, count: int, reach: int) -> tuple[Token, ...]:
    """See `EventCodec._steps`. reach: of the longest token."""
    whole, rest = divmod(count, reach)
    tokens: list[Token] = [(kind, reach)] * whole
    if rest:
        tokens.append((kind, rest))
    return tuple(tokens)


class _Reader:
    """The state of reading events."""

    def __init__(self, voices: int, reach: int):
        self.reach = reach
        self.voices = [list[Note]() for _ in range(voices)]
        self.signatures: list[tuple[int, Token]] = []
        self.bars: set[int] = set()
        self.step = 0
        self.counted_from = 0  # the step that `at` counts from
        self.voice = _FIRST_VOICE
        self.velocity = _FIRST_VELOCITY
        self.kind_before = ""  # "" after what could not be read
        self.unread = 0

    def take(self, token: Token) -> None:
        """The next token, which is not `end`."""
        kind = token[0]
        notes = self.voices[self.voice]
        if kind == "pitch":
            notes.append(Note(self.step, 0, token[1], self.velocity))
        elif kind == "length" and self.kind_before in ("pitch", "length"):
            start, length, pitch, velocity, fermata = notes[-1]
            notes[-1] = Note(start, length + token[1], pitch, velocity, fermata)
        elif kind == "fermata" and self.kind_before == "length":
            notes[-1] = notes[-1]._replace(fermata=True)
        elif kind == "at" and self.counted_from + token[1] > self.step:
            self.step = self.counted_from + token[1]
            if token[1] == self.reach:
                self.counted_from = self.step
        elif kind == "voice":
            self.voice = token[1]
        elif kind == "velocity":
            self.velocity = token[1]
        elif kind == "bar":
            self.bars.add(self.step)
            self.counted_from = self.step
        elif kind in ("meter", "key"):
            self.signatures.append((self.step, token))
        else:
            self.unread += kind not in AROUND
            kind = ""
        self.kind_before = kind

    def score(self, per_quarter: int) -> tuple[Score, int]:
        """What was read, and how many tokens were not. Notes without a length are left out."""
        unread = self.unread
        length = self.step
        voices: list[tuple[Note, ...]] = []
        used = 1  # voices up to the last with a note; at least one
        for number, notes in enumerate(self.voices):
            whole = [note for note in notes if note.length]
            whole.sort(key=lambda note: (note.start, note.pitch))
            voices.append(tuple(whole))
            unread += len(notes) - len(whole)
            length = max([length, *(note.start + note.length for note in notes)])
            if whole:
                used = number + 1
        bars = tuple(sorted(bar for bar in self.bars if bar < length))
        signatures: dict[str, Any] = metres_and_keys(self.signatures, length)
        return Score(tuple(voices[:used]), length, per_quarter, bars, **signatures), unread


class Event(MusicSettings, family="codec"):
    """Music as notes, with durations and velocities, in the order of time."""

    codec: ClassVar[type[MusicCodec]] = EventCodec
    kind: Literal["event"] = "event"
    """Which codec: notes with durations and velocities in the order of time, as a person plays."""
    per_quarter: int = Field(12, ge=1, le=96)
    """Steps a quarter note."""
    reach: int = Field(48, ge=1, le=1024)
    """Steps of the token that reaches furthest; what lasts longer is several."""
