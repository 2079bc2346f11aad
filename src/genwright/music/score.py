"""A piece of symbolic music on a grid of equal steps: what sources read, codecs encode, and pictures, sound and figures are made of.

Time is counted in steps from 0, `per_quarter` steps a quarter note. What a score loses when it is put on the grid is counted by who
reads it (`data/source_music.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

REST = -1  # in an array of pitches


class Note(NamedTuple):
    """start, length: steps, length >= 1. pitch: MIDI, 0 to 127, 60 is middle C. fermata: a phrase ends here."""

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
    """From `start` on, `sharps` sharps (negative: flats), -7 to 7; mode: "major" or "minor", "" where it is not said."""

    start: int
    sharps: int
    mode: str = ""


@dataclass(frozen=True)
class Score:
    """voices: from the highest to the lowest, notes by start, then by pitch; a voice may hold chords. length: of the piece. bars: where
    each bar starts (the first, a pickup, may be shorter). meters, keys: the first of each starts at 0 where there is one. tempo: quarter
    notes a minute. facts: title, composer, collection, licence, tune type and the like, as words."""

    voices: tuple[tuple[Note, ...], ...]
    length: int
    per_quarter: int = 4
    bars: tuple[int, ...] = ()
    meters: tuple[Meter, ...] = ()
    keys: tuple[Key, ...] = ()
    tempo: float = 100.0
    names: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """(length, voices) int16 pitches, REST where a voice is silent, and (length, voices) bool: a note starts here. Of a chord the
        highest note counts."""
        pitch, onset = np.full((self.length, len(self.voices)), REST, np.int16), np.zeros((self.length, len(self.voices)), bool)
        for v, notes in enumerate(self.voices):
            for note in sorted(notes, key=lambda n: (n.start, n.pitch)):
                stop = min(self.length, note.start + note.length)
                pitch[note.start : stop, v] = note.pitch
                onset[note.start : stop, v] = False
                onset[note.start, v] = True
        return pitch, onset


def of_json(data: Mapping[str, Any]) -> Score:
    """The inverse of `Score.__dict__` as JSON."""
    made = {name: tuple(cls(*its) for its in data[name]) for name, cls in (("meters", Meter), ("keys", Key))}
    made |= {name: tuple(data[name]) for name in ("bars", "names")} | {"voices": tuple(tuple(Note(*n) for n in v) for v in data["voices"])}
    return Score(**{**data, **made})


def of_grid(pitch: np.ndarray, onset: np.ndarray | None = None, **about) -> Score:
    """(length, voices) pitches -> a score. onset: where notes start; None: wherever the pitch changes. about: Score's other fields."""
    length, count = pitch.shape
    voices = []
    for v in range(count):
        begins = np.r_[True, (pitch[1:, v] != pitch[:-1, v]) | (False if onset is None else onset[1:, v])]
        starts = np.flatnonzero(begins[:length])
        stops = [*starts[1:], length][: len(starts)]
        pairs = zip(starts, stops, strict=True)
        voices.append(tuple(Note(int(a), int(b - a), int(pitch[a, v])) for a, b in pairs if pitch[a, v] != REST))
    return Score(tuple(voices), length, **about)
