"""Music as events in the order of time: what a person plays, any number of voices, chords and
velocities.

`at` goes on to a step of the bar; `bar`, `meter`, `key` say what holds from there; a note is its
`pitch` and `length`, before it `voice` and `velocity` where they are not those of the note before
(0 and 80 at the start), behind it `fermata`. What is beyond the longest token is several that add
up; `at` counts anew from it. Velocities are kept to the nearest multiple of 4; empty voices after
the last are not kept.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from genwright.contents.music.codec import AROUND, MusicCodec, MusicSettings, Token, changes
from genwright.contents.music.score import Note, Score

_VELOCITIES = [1, *range(4, 128, 4), 127]
_AT_START = {"at": 0, "voice": 0, "velocity": 80}


class EventCodec(MusicCodec):
    rows = False

    def vocabulary(self) -> tuple[list[Token], list[Token]]:
        steps = range(1, self.settings.reach + 1)
        pitches = range(self.low, self.high + 1)
        values = {
            "pitch": pitches,
            "velocity": _VELOCITIES,
            "voice": range(self.voices),
            "at": steps,
            "length": steps,
        }
        return [
            *((kind, value) for kind, its in values.items() for value in its),
            ("bar",),
            ("fermata",),
            *self.changes,
        ], [("end",)]

    def _steps(self, kind: str, count: int) -> list[Token]:
        whole, rest = divmod(count, self.settings.reach)
        return [(kind, self.settings.reach)] * whole + [(kind, rest)] * (rest > 0)

    def encode(self, score: Score) -> list[int]:
        self.check(score)
        at: dict[int, list[Token]] = defaultdict(list, {score.length: []})
        for start, token in [(bar, ("bar",)) for bar in score.bars] + self.signs(score):
            at[start].append(token)
        state = dict(_AT_START)
        notes = [(note, v) for v, notes in enumerate(score.voices) for note in notes]
        for note, v in sorted(notes, key=lambda pair: (pair[0].start, pair[1], pair[0].pitch)):
            said = {"voice": v, "velocity": _VELOCITIES[min(32, (note.velocity + 2) // 4)]}
            at[note.start] += [
                (kind, value) for kind, value in said.items() if value != state[kind]
            ]
            at[note.start] += [("pitch", note.pitch), *self._steps("length", note.length)] + [
                ("fermata",)
            ] * note.fermata
            state |= said
        out = list[Token]()
        since = 0
        longest = self.settings.reach
        for time in sorted(at):
            out += (self._steps("at", time - since) if time > state["at"] else []) + at[time]
            state["at"], since = (
                time,
                time if ("bar",) in at[time] else time - (time - since) % longest,
            )
        return [self.id[token] for token in (*out, ("end",))]

    def read(self, tokens: Sequence[int]) -> tuple[Score, int]:
        # before: the kind of the token before; since: what `at` counts from
        state = dict(_AT_START)
        before = ""
        unread = 0
        since = 0
        voices = [list[Note]() for _ in range(self.voices)]
        signs = list[tuple[int, Token]]()
        for token in map(int, tokens):
            kind, *value = self.tokens[token] if 0 <= token < len(self.tokens) else ("unknown",)
            notes = voices[state["voice"]]
            if kind == "end":
                break
            if kind in ("voice", "velocity"):
                state[kind] = value[0]
            elif kind == "at" and since + value[0] > state["at"]:
                state["at"], since = (
                    since + value[0],
                    since + value[0] // self.settings.reach * self.settings.reach,
                )
            elif kind == "pitch":
                notes.append(Note(state["at"], 0, value[0], state["velocity"]))
            elif kind == "length" and before in ("pitch", "length"):
                notes[-1] = notes[-1]._replace(length=notes[-1].length + value[0])
            elif kind == "fermata" and before == "length":
                notes[-1] = notes[-1]._replace(fermata=True)
            elif kind in ("bar", "meter", "key"):
                signs.append((state["at"], (kind, *value)))
                since = state["at"] if kind == "bar" else since
            else:
                kind, unread = "", unread + (kind not in AROUND)
            before = kind
        unread += sum(not note.length for notes in voices for note in notes)
        length = max(
            [state["at"], *(note.start + note.length for notes in voices for note in notes)]
        )
        read = [
            tuple(sorted((n for n in notes if n.length), key=lambda n: (n.start, n.pitch)))
            for notes in voices
        ]
        used = max((v for v, notes in enumerate(read) if notes), default=0) + 1
        bars = tuple(
            sorted({start for start, token in signs if token == ("bar",) and start < length})
        )
        return Score(
            tuple(read[:used]), length, self.settings.per_quarter, bars, **changes(signs, length)
        ), unread


class Event(MusicSettings, family="codec"):
    """Music as notes, with durations and velocities, in the order of time."""

    codec: ClassVar[type[MusicCodec]] = EventCodec
    kind: Literal["event"] = "event"
    """Which codec: notes with durations and velocities in the order of time, as a person plays."""
    per_quarter: int = Field(12, ge=1, le=96)
    """Steps a quarter note."""
    reach: int = Field(48, ge=1, le=1024)
    """Steps of the token that reaches furthest; what lasts longer is several."""
