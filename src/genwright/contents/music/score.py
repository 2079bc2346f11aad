"""A piece of symbolic music on a grid of equal steps: what sources read, codecs encode, and
pictures, sound and figures are made of.

Time is counted in steps from 0, `per_quarter` steps a quarter note. What a score loses when it is
put on the grid is counted by who reads it (`draft`, `sources`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import chain, pairwise
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

REST = -1  # in an array of pitches


class Note(NamedTuple):
    """A note. start, length: steps, length >= 1. pitch: MIDI, 0 to 127, 60 is middle C. velocity:
    0 to 127. fermata: a phrase ends here."""

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
    if semitones % 12 == 0:
        return key
    sharps = key.sharps + 7 * semitones  # a semitone is seven fifths, octaves aside
    return key._replace(sharps=(sharps + 5) % 12 - 5)


Change = TypeVar("Change", Meter, Key, Tempo)


@dataclass(frozen=True)
class Score:
    """A piece of music; times are steps.

    voices: from the highest to the lowest, notes by start, then by pitch; a voice may hold chords.
    length: of the piece.
    per_quarter: steps of a quarter note.
    bars: where each bar starts (the first, a pickup, may be shorter); empty where the metres say
        it.
    meters, keys: the first of each starts at 0 where there is one.
    tempo: quarter notes a minute at the beginning; tempos: where it changes after that.
    names: of the voices.
    facts: title, composer, collection, licence, tune type and the like, as words."""

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
        for voice, notes in enumerate(self.voices):
            for note in sorted(notes, key=lambda note: (note.start, note.pitch)):
                stop = min(self.length, note.start + note.length)
                pitch[note.start : stop, voice] = note.pitch
                onset[note.start : stop, voice] = False
                onset[note.start, voice] = True
        return pitch, onset


def notes_of(score: Score) -> list[Note]:
    """All notes, voice by voice."""
    return list(chain.from_iterable(score.voices))


def of_grid(pitch: np.ndarray, onset: np.ndarray | None = None, **about: Any) -> Score:
    """(length, voices) pitches, REST where a voice is silent -> a score. onset: (length, voices)
    bool, where notes start; None: wherever the pitch changes. about: Score's other fields."""
    length, count = pitch.shape
    voices = []
    for voice in range(count):
        voice_onset = None if onset is None else onset[:, voice]
        voices.append(_voice_of(pitch[:, voice], voice_onset))
    return Score(tuple(voices), length, **about)


def _voice_of(pitch: np.ndarray, onset: np.ndarray | None) -> tuple[Note, ...]:
    """The notes of one voice. pitch, onset: (length,)."""
    length = len(pitch)
    begins = pitch[1:] != pitch[:-1]
    if onset is not None:
        begins = begins | onset[1:]
    starts = np.flatnonzero(np.append(True, begins)[:length]).tolist()
    notes = []
    for start, stop in pairwise([*starts, length]):
        if pitch[start] != REST:
            notes.append(Note(start, stop - start, int(pitch[start])))
    return tuple(notes)


def at(changes: Sequence[Change], time: int, default: Change) -> Change:
    """The metre, key or tempo that holds at a step; `default` before the first."""
    for change in reversed(changes):
        if change.start <= time:
            return change
    return default


def bar_of(score: Score, time: int) -> tuple[Meter, int]:
    """The metre at a step (4/4 where there is none), and the steps of its bar."""
    meter = at(score.meters, time, Meter(0, 4, 4))
    return meter, max(1, meter.beats * 4 * score.per_quarter // meter.unit)


def edges(score: Score) -> list[int]:
    """Where each bar starts, and the end; by the metre (4/4 where there is none) where the score
    does not say."""
    ends = [note.start + note.length for note in notes_of(score)]
    end = max([score.length, *ends])
    starts = {0, *score.bars}
    if not score.bars:
        starts.update(_metric_bars(score, end))
    return [*sorted(start for start in starts if 0 <= start < end), end]


def _metric_bars(score: Score, end: int) -> list[int]:
    """Where bars start by the metres: each is as long as its metre says, and a change of metre
    begins one."""
    starts = []
    time = 0
    while time < end:
        starts.append(time)
        _, whole_bar = bar_of(score, time)
        next_meters = [meter.start for meter in score.meters if meter.start > time]
        time = min([time + whole_bar, *next_meters])
    return starts


def first_number(score: Score) -> int:
    """The number of the first bar: 0 for a pickup, else 1; of an empty piece 1."""
    if not score.length:
        return 1
    first_bar = edges(score)[1]
    _, whole_bar = bar_of(score, 0)
    return 1 if first_bar >= whole_bar else 0


def seconds(score: Score) -> np.ndarray:
    """(steps + 1,) float64: when each step begins, in seconds from the beginning; the last is the
    whole duration."""
    steps = np.arange(edges(score)[-1] + 1)
    tempos = [Tempo(0, score.tempo)]
    tempos += [tempo for tempo in score.tempos if 0 < tempo.start < len(steps)]
    starts = np.array([tempo.start for tempo in tempos])
    step_lengths = np.array([60 / tempo.per_minute / score.per_quarter for tempo in tempos])
    durations = np.diff(starts) * step_lengths[:-1]  # of the tempos but the last
    begins = np.append(0.0, np.cumsum(durations))  # when each tempo begins
    which = np.searchsorted(starts, steps, side="right") - 1  # the tempo of each step
    return begins[which] + (steps - starts[which]) * step_lengths[which]


def apart(voice: Iterable[Note]) -> list[Note]:
    """The notes of a voice by start, no two of one pitch sounding at once, as one instrument plays
    them: what sounds still ends where its pitch begins anew, and of two that begin together the
    longer stays."""
    notes: list[Note] = []
    latest: dict[int, int] = {}  # pitch -> where its latest note is in `notes`
    for note in sorted(voice):
        place = latest.get(note.pitch)
        if place is not None:
            before = notes[place]
            if before.start == note.start:
                # sorted: the longer one is the later one
                notes[place] = note._replace(fermata=before.fermata or note.fermata)
                continue
            if before.start + before.length > note.start:
                notes[place] = before._replace(length=note.start - before.start)
        latest[note.pitch] = len(notes)
        notes.append(note)
    return notes


def to_plain(score: Score) -> dict[str, Any]:
    """A score as plain data, which JSON can hold."""
    plain = {part.name: getattr(score, part.name) for part in fields(score)}
    plain["facts"] = dict(score.facts)
    return plain


def from_plain(data: Mapping[str, Any]) -> Score:
    """The inverse of `to_plain`, after JSON too. Raises TypeError for what no score has."""
    types = get_type_hints(Score)
    return Score(**{name: _typed(types.get(name), value) for name, value in data.items()})


def _typed(kind: Any, value: Any) -> Any:
    """Lists as the tuples and named tuples that they were. kind: the type of a field."""
    if get_origin(kind) is tuple:
        item_kind = get_args(kind)[0]
        return tuple(_typed(item_kind, item) for item in value)
    if isinstance(kind, type) and issubclass(kind, tuple):
        return kind(*value)
    return value
