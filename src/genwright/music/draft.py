"""From a piece as its file writes it, at exact times, to a `Score` on a grid, with a count of what the grid loses.

What is not on a step moves to the nearest one (from the middle: the later), a note at least a step long; of notes that followed each other
and fall on one step the longer stays. Repeats are not expanded; where a repeat sign parts a bar in two, the halves are one bar again.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise, takewhile
from typing import NamedTuple

from genwright.music.score import Key, Meter, Note, Score, edges

LONGEST = 8_000  # quarter notes of a piece: more than an hour at 120 a minute
SEMITONES = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))


class BadMusic(Exception):
    """Why a file is no piece of music, to follow its name ("holds no note")."""


class Raw(NamedTuple):
    """start, length: quarter notes. tied: goes on from the note before it, if that has its pitch and ends where it starts."""

    start: Fraction
    length: Fraction
    pitch: int
    velocity: int = 80
    fermata: bool = False
    tied: bool = False
    tuplet: bool = False


@dataclass
class Draft:
    """What a reader fills in; times are quarter notes. by_height: the file's order of voices is none. bars: empty where the metres say it.
    meters: (start, beats, unit); keys: (start, sharps, mode). lost: kind -> how many were not read."""

    voices: list[tuple[str, list[Raw]]] = field(default_factory=list)
    bars: list[Fraction] = field(default_factory=list)
    meters: list[tuple[Fraction, int, int]] = field(default_factory=list)
    keys: list[tuple[Fraction, int, str]] = field(default_factory=list)
    end: Fraction = Fraction(0)
    tempo: float | None = None
    facts: dict[str, str] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    by_height: bool = False

    def score(self, per_quarter: int) -> tuple[Score, Counter[str]]:
        """The piece on a grid, and how many notes there were and what became of them. Raises BadMusic."""
        voices = [(name, _untie(notes)) for name, notes in self.voices if notes]
        if not voices:
            raise BadMusic("holds drums and no note with a pitch" if self.lost["unpitched notes"] else "holds no note")
        if self.by_height:
            voices.sort(key=lambda voice: -sum(note.pitch for note in voice[1]) / len(voice[1]))
        every = [note for _, notes in voices for note in notes]
        if any(note.start < 0 or note.length < 0 or not 0 <= note.pitch <= 127 for note in every):
            raise BadMusic("holds a note before it begins, or outside of MIDI's pitches")
        if self.tempo is not None and not 0 < self.tempo < 100_000:
            raise BadMusic("sets a tempo of 0, or one that is none")
        end = max(self.end, *(note.start + note.length for note in every))
        if end > LONGEST or end > 60 * (self.tempo or 100.0):
            raise BadMusic(f"is {float(end):,.0f} quarter notes long, more than the {LONGEST:,} or the hour that a piece may have")
        self.meters = [m for m in self.meters if 0 < m[1] < 256 and m[2] in (1, 2, 4, 8, 16, 32, 64)]
        counts = Counter(self.lost)
        placed = tuple(_place(notes, per_quarter, counts) for _, notes in voices)
        length = max(_step(end, per_quarter), *(note.start + note.length for notes in placed for note in notes))
        bars = tuple(dict.fromkeys(step for bar in self._bars(end) if (step := _step(bar, per_quarter)) < length))
        meters = _changes(Meter(_step(start, per_quarter), beats, unit) for start, beats, unit in self.meters)
        sure = ((start, sharps, mode if mode in ("major", "minor") else "") for start, sharps, mode in self.keys if abs(sharps) <= 7)
        keys = _changes(Key(_step(start, per_quarter), sharps, mode) for start, sharps, mode in sure)
        facts = {name: " ".join(text.split()) for name, text in self.facts.items() if text and text.strip()}
        score = Score(placed, length, per_quarter, bars, meters, keys, self.tempo or 100.0, tuple(n for n, _ in voices), facts)
        return (score if bars or not meters else replace(score, bars=tuple(edges(score)[:-1]))), counts

    def _bars(self, end: Fraction) -> list[Fraction]:
        sizes = {start: Fraction(4 * beats, unit) for start, beats, unit in self.meters}
        bars, kept = sorted({bar for bar in self.bars if bar < end}), list[Fraction]()
        for bar, stop in pairwise([*bars, end]):
            size = next((size for start, size in reversed(sizes.items()) if start < bar), None) if bar not in sizes else None
            if len(kept) < 2 or stop - kept[-1] != size:
                kept.append(bar)
        return kept


def _step(time: Fraction, per_quarter: int) -> int:
    return (2 * time.numerator * per_quarter + time.denominator) // (2 * time.denominator)


def _changes(items: Iterable) -> tuple:
    """By start, the last one of a step, without those that change nothing; the first holds from the beginning."""
    kept = list({item.start: item for item in sorted(items, key=lambda item: item.start)}.values())
    changed = (item for before, item in pairwise(kept) if item[1:] != before[1:])
    return (kept[0]._replace(start=0), *changed) if kept else ()


def _untie(notes: list[Raw]) -> list[Raw]:
    """By start and pitch, tied notes made one."""
    out: list[Raw] = []
    last: dict[int, int] = {}  # pitch -> where its latest note is
    for note in sorted(notes):
        i = last.setdefault(note.pitch, -1)
        if note.tied and i >= 0 and (before := out[i]).start + before.length == note.start:
            fermata, tuplet = before.fermata or note.fermata, before.tuplet or note.tuplet
            out[i] = before._replace(length=before.length + note.length, fermata=fermata, tuplet=tuplet)
        else:
            last[note.pitch] = len(out)
            out.append(note)
    return out


def _place(notes: list[Raw], per_quarter: int, counts: Counter[str]) -> tuple[Note, ...]:
    """A voice, notes by start, on the grid; counts what it loses."""
    placed: list[tuple[int, Fraction, Raw]] = []  # where it starts on the grid, where it ends exactly
    counts["notes"] += len(notes)
    for raw in notes:
        start, end = _step(raw.start, per_quarter), raw.start + raw.length
        counts["tuplets"] += raw.tuplet
        counts["notes moved"] += any(time.numerator * per_quarter % time.denominator for time in (raw.start, end))
        here = takewhile(lambda i: placed[i][0] == start, range(len(placed) - 1, -1, -1))  # noqa: B023
        if (i := next((i for i in here if placed[i][2].pitch == raw.pitch or placed[i][1] <= raw.start), -1)) >= 0:
            counts["notes merged" if placed[i][2].pitch == raw.pitch else "notes dropped"] += 1
            placed[i] = max(placed[i], (start, end, raw), key=lambda one: one[2].length)
        else:
            placed.append((start, end, raw))
    lengths = (max(1, _step(end, per_quarter) - start) for start, end, _ in placed)
    return tuple(sorted(Note(a, n, raw.pitch, raw.velocity, raw.fermata) for (a, _, raw), n in zip(placed, lengths, strict=True)))
