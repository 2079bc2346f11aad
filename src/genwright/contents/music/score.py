"""A piece of symbolic music on a grid of equal steps: what sources read, codecs encode, and
pictures, sound and figures are made of.

Time is counted in steps from 0, `per_quarter` steps a quarter note. What a score loses when it is
put on the grid is counted by who reads it (`data/source_music.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

REST = -1  # in an array of pitches


class Note(NamedTuple):
    """start, length: steps, length >= 1. pitch: MIDI, 0 to 127, 60 is middle C. fermata: a phrase
    ends here."""

    start: int
    length: int
    pitch: int
    velocity: int = 80
    fermata: bool = False


class Meter(NamedTuple):
    """From `start` on, `beats` beats of 4 / `unit` quarter notes a bar."""

    start: int
    beats: int
    unit: int


class Key(NamedTuple):
    """From `start` on, `sharps` sharps (negative: flats), -7 to 7; mode: "major" or "minor", ""
    where it is not said."""

    start: int
    sharps: int
    mode: str = ""


class Tempo(NamedTuple):
    """From `start` on, `per_minute` quarter notes a minute."""

    start: int
    per_minute: float


def moved_key(key: Key, semitones: int) -> Key:
    """The key that many semitones higher, with 5 flats to 6 sharps unless it is the same key."""
    return (
        key
        if semitones % 12 == 0
        else key._replace(sharps=(key.sharps + 7 * semitones + 5) % 12 - 5)
    )


Change = TypeVar("Change", Meter, Key, Tempo)


@dataclass(frozen=True)
class Score:
    """voices: from the highest to the lowest, notes by start, then by pitch; a voice may hold
    chords. length: of the piece. bars: where each bar starts (the first, a pickup, may be shorter).
    meters, keys: the first of each starts at 0 where there is one. tempo: quarter notes a minute at
    the beginning; tempos: where it changes after that. facts: title, composer, collection, licence,
    tune type and the like, as words."""

    voices: tuple[tuple[Note, ...], ...]
    length: int
    per_quarter: int = 4
    bars: tuple[int, ...] = ()
    meters: tuple[Meter, ...] = ()
    keys: tuple[Key, ...] = ()
    tempo: float = 100.0
    names: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    tempos: tuple[Tempo, ...] = ()

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """(length, voices) int16 pitches, REST where a voice is silent, and (length, voices) bool:
        a note starts here. Of a chord the highest note counts."""
        pitch = np.full((self.length, len(self.voices)), REST, np.int16)
        onset = np.zeros((self.length, len(self.voices)), bool)
        for v, notes in enumerate(self.voices):
            for note in sorted(notes, key=lambda n: (n.start, n.pitch)):
                stop = min(self.length, note.start + note.length)
                pitch[note.start : stop, v] = note.pitch
                onset[note.start : stop, v] = False
                onset[note.start, v] = True
        return pitch, onset


def of_grid(pitch: np.ndarray, onset: np.ndarray | None = None, **about) -> Score:
    """(length, voices) pitches -> a score. onset: where notes start; None: wherever the pitch
    changes. about: Score's other fields."""
    length, count = pitch.shape
    voices = []
    for v in range(count):
        begins = np.r_[
            True, (pitch[1:, v] != pitch[:-1, v]) | (False if onset is None else onset[1:, v])
        ]
        pairs = pairwise([*np.flatnonzero(begins[:length]), length])
        voices.append(
            tuple(
                Note(int(a), int(b - a), int(pitch[a, v])) for a, b in pairs if pitch[a, v] != REST
            )
        )
    return Score(tuple(voices), length, **about)


def at(changes: Sequence[Change], time: int, default: Change) -> Change:
    """The metre or key that holds at a step."""
    return next((c for c in reversed(changes) if c.start <= time), default)


def bar_of(score: Score, time: int) -> tuple[Meter, int]:
    """The metre at a step, and the steps of its bar."""
    meter = at(score.meters, time, Meter(0, 4, 4))
    return meter, max(1, meter.beats * 4 * score.per_quarter // meter.unit)


def edges(score: Score) -> list[int]:
    """Where each bar starts, and the end; by the metre (4/4 where there is none) where the score
    does not say."""
    end = max([score.length, *(n.start + n.length for voice in score.voices for n in voice)])
    starts = {0, *score.bars}
    time = 0
    while not score.bars and time < end:
        starts.add(time)
        time = min(
            [time + bar_of(score, time)[1], *(m.start for m in score.meters if m.start > time)]
        )
    return [*sorted(start for start in starts if 0 <= start < end), end]


def first_number(score: Score) -> int:
    """Of the first bar: 0 for a pickup, else 1."""
    return int(edges(score)[1] >= bar_of(score, 0)[1])


def seconds(score: Score) -> np.ndarray:
    """(steps + 1,) float64: when each step begins, in seconds from the beginning; the last is the
    whole duration."""
    steps = np.arange(edges(score)[-1] + 1)
    changes = [
        Tempo(0, score.tempo),
        *(tempo for tempo in score.tempos if 0 < tempo.start < len(steps)),
    ]
    starts = np.array([tempo.start for tempo in changes])
    # seconds of a step
    lengths = np.array([60 / tempo.per_minute / score.per_quarter for tempo in changes])
    begins = np.r_[0.0, np.cumsum(np.diff(starts) * lengths[:-1])]
    which = np.searchsorted(starts, steps, side="right") - 1
    return begins[which] + (steps - starts[which]) * lengths[which]


def apart(voice: Iterable[Note]) -> list[Note]:
    """The notes of a voice by start, no two of one pitch sounding at once, as one instrument plays
    them: what sounds still ends where its pitch begins anew, and of two that begin together the
    longer stays."""
    out: list[Note] = []
    last: dict[int, int] = {}  # pitch -> where its latest note is in `out`
    for note in sorted(voice):
        i = last.get(note.pitch)
        before = None if i is None else out[i]
        if i is not None and before is not None and before.start == note.start:
            # sorted: the longer one is the later one
            out[i] = note._replace(fermata=before.fermata or note.fermata)
            continue
        if i is not None and before is not None and before.start + before.length > note.start:
            out[i] = before._replace(length=note.start - before.start)
        last[note.pitch] = len(out)
        out.append(note)
    return out


def to_plain(score: Score) -> dict[str, Any]:
    """A score as plain data, which JSON can hold."""
    return {part.name: getattr(score, part.name) for part in fields(score)} | {
        "facts": dict(score.facts)
    }


def from_plain(data: Mapping[str, Any]) -> Score:
    """The inverse of `to_plain`, after JSON too. Raises TypeError for what no score has."""
    kinds = get_type_hints(Score)
    return Score(**{name: _typed(kinds.get(name), value) for name, value in data.items()})


def _typed(kind: Any, value: Any) -> Any:
    """Lists as the tuples and named tuples that they were."""
    if get_origin(kind) is tuple:
        return tuple(_typed(get_args(kind)[0], part) for part in value)
    if isinstance(kind, type) and issubclass(kind, tuple):
        return kind(*value)
    return value
