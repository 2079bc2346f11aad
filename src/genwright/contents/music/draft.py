"""From a piece as its file writes it, at exact times, to a `Score` on a grid, with a count of what
the grid loses.

What is not on a step moves to the nearest one (from the middle: the later), a note at least a step
long; of notes that followed each other and fall on one step the longer stays. Repeats are not
expanded; where a repeat sign parts a bar in two, the halves are one bar again.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, takewhile
from typing import NamedTuple

from genwright.contents.music.score import Key, Meter, Note, Score, Tempo

LONGEST = 8_000  # quarter notes of a piece: more than an hour at 120 a minute
USUAL_TEMPO = 100.0  # quarter notes a minute, where neither the file nor its format says one
UNITS = (1, 2, 4, 8, 16, 32, 64)  # what a metre may count
SEMITONES = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))


class BadMusic(Exception):
    """Why a file is no piece of music, to follow its name ("holds no note"), and what to do about
    it."""

    def __init__(self, what: str, remedy: str = "mend the file, or go without it"):
        super().__init__(what)
        self.remedy = remedy


class Raw(NamedTuple):
    """start, length: quarter notes. tied: goes on from the note before it, if that has its pitch
    and ends where it starts."""

    start: Fraction
    length: Fraction
    pitch: int
    velocity: int = 80
    fermata: bool = False
    tied: bool = False
    tuplet: bool = False


@dataclass
class Draft:
    """What a reader fills in; times are quarter notes. by_height: the file's order of voices is
    none. bars: empty where the metres say it.
    meters: (start, beats, unit); keys: (start, sharps, mode). tempo: quarter notes a minute at the
    beginning, None where the file says none there; tempos: (start, quarter notes a minute) of the
    changes after it. lost: kind -> how many were not read."""

    voices: list[tuple[str, list[Raw]]] = field(default_factory=list)
    bars: list[Fraction] = field(default_factory=list)
    meters: list[tuple[Fraction, int, int]] = field(default_factory=list)
    keys: list[tuple[Fraction, int, str]] = field(default_factory=list)
    end: Fraction = Fraction(0)
    tempo: float | None = None
    tempos: list[tuple[Fraction, float]] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    by_height: bool = False

    def score(self, per_quarter: int) -> tuple[Score, Counter[str]]:
        """The piece on a grid, and how many notes there were and what became of them. Raises
        BadMusic."""
        voices = [(name, untie(notes)) for name, notes in self.voices if notes]
        if not voices:
            raise BadMusic(
                "holds drums and no note with a pitch"
                if self.lost["unpitched notes"]
                else "holds no note"
            )
        if self.by_height:
            voices.sort(key=lambda voice: -sum(note.pitch for note in voice[1]) / len(voice[1]))
        every = [note for _, notes in voices for note in notes]
        if any(note.start < 0 or note.length < 0 or not 0 <= note.pitch <= 127 for note in every):
            raise BadMusic("holds a note before it begins, or outside of MIDI's pitches")
        end = max(self.end, *(note.start + note.length for note in every))
        self._check_length(end)
        counts = Counter(self.lost)
        placed = tuple(_place(notes, per_quarter, counts) for _, notes in voices)
        length = max(
            _step(end, per_quarter),
            *(note.start + note.length for notes in placed for note in notes),
        )
        meters = self._placed_meters(per_quarter, counts)
        exact = self._bars(end) if self.bars else metric_bars(self.meters, end)
        bars = tuple(
            dict.fromkeys(step for bar in exact if (step := _step(bar, per_quarter)) < length)
        )
        keys = self._placed_keys(per_quarter, counts)
        tempo, *tempos = self._placed_tempos(per_quarter, length, counts)
        facts = {
            name: " ".join(text.split())
            for name, text in self.facts.items()
            if text and text.strip()
        }
        names = tuple(name for name, _ in voices)
        return Score(
            placed,
            length,
            per_quarter,
            bars,
            meters,
            keys,
            tempo.per_minute,
            names,
            facts,
            tuple(tempos),
        ), counts

    def _every_tempo(self) -> list[tuple[Fraction, float]]:
        """By start, the first at 0: what is said at the beginning, else what is said first, else
        the usual one."""
        changes = sorted(self.tempos, key=lambda change: change[0])
        later = [change for change in changes if change[0] > 0]
        at_start = [tempo for start, tempo in changes if start <= 0]
        if at_start:
            first = at_start[-1]
        elif self.tempo is not None:
            first = self.tempo
        else:
            first = later[0][1] if later else USUAL_TEMPO
        return [(Fraction(0), first), *later]

    def _check_length(self, end: Fraction) -> None:
        """Raises BadMusic for a tempo that is none, and for a piece that is too long."""
        tempos = self._every_tempo()
        if not all(0 < tempo < 100_000 for _, tempo in tempos):
            raise BadMusic("sets a tempo of 0, or one that is none")
        quarters = f"{float(end):,.0f}" if end < 10**9 else "a thousand million or more"
        if end > LONGEST:
            raise BadMusic(
                f"is {quarters} quarter notes long, more than the {LONGEST:,} or the hour that a piece may have"
            )
        within = [(float(min(start, end)), tempo) for start, tempo in tempos]
        spans = pairwise([*within, (float(end), 0.0)])
        if sum((stop - start) / tempo for (start, tempo), (stop, _) in spans) > 60:
            raise BadMusic(
                f"is {quarters} quarter notes long, more than the {LONGEST:,} or the hour that a piece may have"
            )

    def _placed_tempos(
        self, per_quarter: int, length: int, counts: Counter[str]
    ) -> tuple[Tempo, ...]:
        tempos = [Tempo(_step(start, per_quarter), tempo) for start, tempo in self._every_tempo()]
        heard = [tempo for tempo in tempos if tempo.start < length]
        if merged := sum(
            before.start == after.start and before != after for before, after in pairwise(heard)
        ):
            counts["changes of tempo"] += merged
        return _changes(heard)

    def _placed_meters(self, per_quarter: int, counts: Counter[str]) -> tuple[Meter, ...]:
        """Also leaves out of `meters` what is none."""
        known = [meter for meter in self.meters if 0 < meter[1] < 256 and meter[2] in UNITS]
        if len(known) < len(self.meters):
            counts["metres that are none"] += len(self.meters) - len(known)
        self.meters = sorted(known, key=lambda meter: meter[0])
        return _changes(
            Meter(_step(start, per_quarter), beats, unit) for start, beats, unit in self.meters
        )

    def _placed_keys(self, per_quarter: int, counts: Counter[str]) -> tuple[Key, ...]:
        known = [key for key in self.keys if abs(key[1]) <= 7]
        if len(known) < len(self.keys):
            counts["keys that are none"] += len(self.keys) - len(known)
        modes = ("major", "minor")
        return _changes(
            Key(_step(start, per_quarter), sharps, mode if mode in modes else "")
            for start, sharps, mode in known
        )

    def _bars(self, end: Fraction) -> list[Fraction]:
        """Where bars start; the halves that a repeat sign parts are one again."""
        starts = [start for start, _, _ in self.meters]
        sizes = [Fraction(4 * beats, unit) for _, beats, unit in self.meters]
        bars = sorted({bar for bar in self.bars if bar < end})
        kept = list[Fraction]()
        for bar, stop in pairwise([*bars, end]):
            before = bisect_left(starts, bar)  # how many metres start before it
            changes = before < len(starts) and starts[before] == bar
            size = sizes[before - 1] if before and not changes else None
            if len(kept) < 2 or stop - kept[-1] != size:
                kept.append(bar)
        return kept


def lost_of(counts: Mapping[str, int], per_quarter: int) -> str:
    """What a grid and a reader left out or changed, and of how many notes, for a person; empty
    where that is nothing.

    counts: kind -> how many, as `Draft.score` gives them, "notes" being all of them."""
    kinds = sorted(kind for kind in counts if counts[kind] and kind not in ("notes", "tuplets"))
    if not kinds:
        return ""
    each = ", ".join(f"{kind} {counts[kind]:,}" for kind in kinds)
    return f"of {counts.get('notes', 0):,} notes, on {per_quarter} steps a quarter note: {each}"


def _step(time: Fraction, per_quarter: int) -> int:
    return (2 * time.numerator * per_quarter + time.denominator) // (2 * time.denominator)


def _changes(items: Iterable) -> tuple:
    """By start, the last one of a step, without those that change nothing; the first holds from the
    beginning."""
    kept = list({item.start: item for item in sorted(items, key=lambda item: item.start)}.values())
    changed = (item for before, item in pairwise(kept) if item[1:] != before[1:])
    return (kept[0]._replace(start=0), *changed) if kept else ()


def metric_bars(meters: Sequence[tuple[Fraction, int, int]], end: Fraction) -> list[Fraction]:
    """Where bars begin before `end`, each as long as its metre says; where a metre changes a bar
    begins. meters: (start, beats, unit) by start, the first of which holds from the beginning."""
    bars: list[Fraction] = []
    for i, (start, beats, unit) in enumerate(meters):
        first = start if i else Fraction(0)
        until = min(end, meters[i + 1][0]) if i + 1 < len(meters) else end
        size = Fraction(4 * beats, unit)
        bars += [first + size * bar for bar in range(math.ceil((until - first) / size))]
    return bars


def untie(notes: list[Raw]) -> list[Raw]:
    """By start and pitch, tied notes made one."""
    out: list[Raw] = []
    ending: dict[tuple[int, Fraction], list[int]] = {}  # pitch, time -> which of `out` end then
    for note in sorted(notes):
        before = ending.get((note.pitch, note.start)) if note.tied else None
        if before:
            place = before.pop()
            first = out[place]
            fermata = first.fermata or note.fermata
            tuplet = first.tuplet or note.tuplet
            out[place] = first._replace(
                length=first.length + note.length, fermata=fermata, tuplet=tuplet
            )
        else:
            place = len(out)
            out.append(note)
        ending.setdefault((note.pitch, note.start + note.length), []).append(place)
    return out


def _place(notes: list[Raw], per_quarter: int, counts: Counter[str]) -> tuple[Note, ...]:
    """A voice, notes by start, on the grid; counts what it loses."""
    # where it starts on the grid, where it ends exactly
    placed: list[tuple[int, Fraction, Raw]] = []
    counts["notes"] += len(notes)
    for raw in notes:
        start = _step(raw.start, per_quarter)
        end = raw.start + raw.length
        counts["tuplets"] += raw.tuplet
        off = any(time.numerator * per_quarter % time.denominator for time in (raw.start, end))
        counts["notes moved"] += off or not raw.length
        here = takewhile(lambda i: placed[i][0] == start, range(len(placed) - 1, -1, -1))  # noqa: B023
        if (
            i := next(
                (i for i in here if placed[i][2].pitch == raw.pitch or placed[i][1] <= raw.start),
                -1,
            )
        ) >= 0:
            counts["notes merged" if placed[i][2].pitch == raw.pitch else "notes dropped"] += 1
            placed[i] = max(placed[i], (start, end, raw), key=lambda one: one[2].length)
        else:
            placed.append((start, end, raw))
    lengths = (max(1, _step(end, per_quarter) - start) for start, end, _ in placed)
    return tuple(
        sorted(
            Note(a, n, raw.pitch, raw.velocity, raw.fermata)
            for (a, _, raw), n in zip(placed, lengths, strict=True)
        )
    )
