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
from itertools import pairwise
from typing import NamedTuple, TypeVar

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
    """A note at exact times. start, length: quarter notes. tied: goes on from the note before it,
    if that has its pitch and ends where it starts."""

    start: Fraction
    length: Fraction
    pitch: int
    velocity: int = 80
    fermata: bool = False
    tied: bool = False
    tuplet: bool = False


class _InTicks(NamedTuple):
    """A `Raw` whose times are whole numbers, of ticks: sums and comparisons of fractions take most
    of the time of reading a piece."""

    start: int
    length: int
    pitch: int
    velocity: int
    fermata: bool
    tied: bool
    tuplet: bool


class _Voice(NamedTuple):
    """Notes by start, no more tied. ticks: of a quarter note."""

    name: str
    notes: list[_InTicks]
    ticks: int


Timed = TypeVar("Timed", Raw, _InTicks)


@dataclass
class Draft:
    """What a reader fills in; times are quarter notes.

    voices: (name, notes). by_height: the file's order of voices is none.
    bars: where each starts; empty where the metres say it.
    meters: (start, beats, unit). keys: (start, sharps, mode).
    end: of the piece, where that is after its last note.
    tempo: quarter notes a minute at the beginning, None where the file says none there; tempos:
        (start, quarter notes a minute) of the changes after it.
    facts: see `Score`. lost: kind -> how many were not read."""

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
        voices = self._voices()
        ends = [self.end]
        for voice in voices:
            last = max(note.start + note.length for note in voice.notes)
            ends.append(Fraction(last, voice.ticks))
        end = max(ends)
        self._check_length(end)

        counts = Counter(self.lost)
        placed = tuple(_place(voice, per_quarter, counts) for voice in voices)
        stops = [step_of(end, per_quarter)]
        for on_grid in placed:
            stops += [note.start + note.length for note in on_grid]
        length = max(stops)
        meters = self._placed_meters(per_quarter, counts)
        bars = self._placed_bars(end, per_quarter, length)
        keys = self._placed_keys(per_quarter, counts)
        first_tempo, *tempos = self._placed_tempos(per_quarter, length, counts)
        score = Score(
            placed,
            length,
            per_quarter,
            bars,
            meters,
            keys,
            tempo=first_tempo.per_minute,
            names=tuple(voice.name for voice in voices),
            facts=self._plain_facts(),
            tempos=tuple(tempos),
        )
        return score, counts

    def _voices(self) -> list[_Voice]:
        """The voices that have notes, tied notes made one, from the highest to the lowest where the
        file's order is none. Raises BadMusic."""
        voices = []
        for name, notes in self.voices:
            if notes:
                in_ticks, ticks = _in_ticks(notes)
                voices.append(_Voice(name, untie(in_ticks), ticks))
        if not voices:
            only_drums = self.lost["unpitched notes"] > 0
            raise BadMusic(
                "holds drums and no note with a pitch" if only_drums else "holds no note"
            )
        if self.by_height:
            voices.sort(key=lambda voice: -_mean_pitch(voice.notes))
        for voice in voices:
            for note in voice.notes:
                if note.start < 0 or note.length < 0 or not 0 <= note.pitch <= 127:
                    raise BadMusic("holds a note before it begins, or outside of MIDI's pitches")
        return voices

    def _plain_facts(self) -> dict[str, str]:
        """The facts that say anything, in one line each."""
        lines = {name: " ".join(text.split()) for name, text in self.facts.items() if text}
        return {name: line for name, line in lines.items() if line}

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
        elif later:
            first = later[0][1]
        else:
            first = USUAL_TEMPO
        return [(Fraction(0), first), *later]

    def _check_length(self, end: Fraction) -> None:
        """Raises BadMusic for a tempo that is none, and for a piece that is too long."""
        tempos = self._every_tempo()
        if not all(0 < tempo < 100_000 for _, tempo in tempos):
            raise BadMusic("sets a tempo of 0, or one that is none")
        quarters = f"{float(end):,.0f}" if end < 10**9 else "a thousand million or more"
        if end > LONGEST or _minutes(tempos, end) > 60:
            raise BadMusic(
                f"is {quarters} quarter notes long, more than the {LONGEST:,} or the hour that a "
                "piece may have"
            )

    def _placed_tempos(
        self, per_quarter: int, length: int, counts: Counter[str]
    ) -> tuple[Tempo, ...]:
        """The tempos on the grid; counts those that fall on one step with another."""
        tempos = [Tempo(step_of(start, per_quarter), tempo) for start, tempo in self._every_tempo()]
        heard = [tempo for tempo in tempos if tempo.start < length]
        for before, after in pairwise(heard):
            if before.start == after.start and before != after:
                counts["changes of tempo"] += 1
        return _changes(heard)

    def _placed_meters(self, per_quarter: int, counts: Counter[str]) -> tuple[Meter, ...]:
        """The metres on the grid. Also leaves out of `meters` what is none, and counts it."""
        known = [meter for meter in self.meters if 0 < meter[1] < 256 and meter[2] in UNITS]
        if len(known) < len(self.meters):
            counts["metres that are none"] += len(self.meters) - len(known)
        self.meters = sorted(known, key=lambda meter: meter[0])
        return _changes(
            Meter(step_of(start, per_quarter), beats, unit) for start, beats, unit in self.meters
        )

    def _placed_keys(self, per_quarter: int, counts: Counter[str]) -> tuple[Key, ...]:
        """The keys on the grid; counts those that are none."""
        known = [key for key in self.keys if abs(key[1]) <= 7]
        if len(known) < len(self.keys):
            counts["keys that are none"] += len(self.keys) - len(known)
        keys = []
        for start, sharps, mode in known:
            known_mode = mode if mode in ("major", "minor") else ""
            keys.append(Key(step_of(start, per_quarter), sharps, known_mode))
        return _changes(keys)

    def _placed_bars(self, end: Fraction, per_quarter: int, length: int) -> tuple[int, ...]:
        """Where bars start on the grid, each step once."""
        exact = self._whole_bars(end) if self.bars else metric_bars(self.meters, end)
        steps = dict.fromkeys(step_of(bar, per_quarter) for bar in exact)
        return tuple(step for step in steps if step < length)

    def _whole_bars(self, end: Fraction) -> list[Fraction]:
        """Where bars start; the halves that a repeat sign parts are one again."""
        starts = [start for start, _, _ in self.meters]
        sizes = [Fraction(4 * beats, unit) for _, beats, unit in self.meters]
        bars = sorted({bar for bar in self.bars if bar < end})
        kept: list[Fraction] = []
        for bar, stop in pairwise([*bars, end]):
            before = bisect_left(starts, bar)  # how many metres start before it
            changes = before < len(starts) and starts[before] == bar
            size = sizes[before - 1] if before and not changes else None
            if len(kept) < 2 or stop - kept[-1] != size:
                kept.append(bar)
        return kept


def _in_ticks(notes: Sequence[Raw]) -> tuple[list[_InTicks], int]:
    """Notes in the longest tick of which all their times are whole numbers, and how many of it a
    quarter note has."""
    denominators = {note.start.denominator for note in notes}
    denominators.update(note.length.denominator for note in notes)
    ticks = math.lcm(*denominators)
    found = []
    for start, length, pitch, velocity, fermata, tied, tuplet in notes:
        start_ticks = start.numerator * (ticks // start.denominator)
        length_ticks = length.numerator * (ticks // length.denominator)
        found.append(_InTicks(start_ticks, length_ticks, pitch, velocity, fermata, tied, tuplet))
    return found, ticks


def _mean_pitch(notes: Sequence[_InTicks]) -> float:
    return sum(note.pitch for note in notes) / len(notes)


def _minutes(tempos: Sequence[tuple[Fraction, float]], end: Fraction) -> float:
    """How long a piece lasts. tempos: (start, quarter notes a minute)."""
    within = [(float(min(start, end)), tempo) for start, tempo in tempos]
    spans = pairwise([*within, (float(end), 0.0)])
    return sum((stop - start) / tempo for (start, tempo), (stop, _) in spans)


def lost_of(counts: Mapping[str, int], per_quarter: int) -> str:
    """What a grid and a reader left out or changed, and of how many notes, for a person; empty
    where that is nothing.

    counts: kind -> how many, as `Draft.score` gives them, "notes" being all of them."""
    kinds = sorted(kind for kind in counts if counts[kind] and kind not in ("notes", "tuplets"))
    if not kinds:
        return ""
    each = ", ".join(f"{kind} {counts[kind]:,}" for kind in kinds)
    return f"of {counts.get('notes', 0):,} notes, on {per_quarter} steps a quarter note: {each}"


def step_of(time: Fraction, per_quarter: int) -> int:
    """The step that is nearest to a time in quarter notes; of two the later."""
    return _nearest_step(time.numerator, time.denominator, per_quarter)


def _nearest_step(time: int, ticks: int, per_quarter: int) -> int:
    """As `step_of`, of a time in ticks. ticks: of a quarter note."""
    # time / ticks * per_quarter + 1/2, rounded down, in whole numbers
    return (2 * time * per_quarter + ticks) // (2 * ticks)


def _changes(items: Iterable) -> tuple:
    """Metres, keys or tempos by start: the last one of a step, without those that change nothing;
    the first holds from the beginning."""
    by_start = {item.start: item for item in sorted(items, key=lambda item: item.start)}
    kept = list(by_start.values())
    if not kept:
        return ()
    changed = [kept[0]._replace(start=0)]
    for before, item in pairwise(kept):
        if item[1:] != before[1:]:
            changed.append(item)
    return tuple(changed)


def metric_bars(meters: Sequence[tuple[Fraction, int, int]], end: Fraction) -> list[Fraction]:
    """Where bars begin before `end`, each as long as its metre says; where a metre changes a bar
    begins. meters: (start, beats, unit) by start, the first of which holds from the beginning."""
    bars: list[Fraction] = []
    starts = [Fraction(0), *(start for start, _, _ in meters[1:])]
    stops = [*(min(end, start) for start in starts[1:]), end]
    for (_, beats, unit), start, stop in zip(meters, starts, stops, strict=False):
        size = Fraction(4 * beats, unit)
        count = math.ceil((stop - start) / size)
        bars += [start + size * bar for bar in range(count)]
    return bars


def untie(notes: list[Timed]) -> list[Timed]:
    """By start and pitch, tied notes made one."""
    joined: list[Timed] = []
    ending: dict[tuple[int, Fraction | int], list[int]] = {}  # pitch, time -> which end then
    for note in sorted(notes):
        before = ending.get((note.pitch, note.start)) if note.tied else None
        if before:
            place = before.pop()
            first = joined[place]
            joined[place] = first._replace(
                length=first.length + note.length,
                fermata=first.fermata or note.fermata,
                tuplet=first.tuplet or note.tuplet,
            )
        else:
            place = len(joined)
            joined.append(note)
        ending.setdefault((note.pitch, note.start + note.length), []).append(place)
    return joined


class _Placed(NamedTuple):
    """step: where a note starts on the grid; end: where it ends exactly, in ticks."""

    step: int
    end: int
    raw: _InTicks


def _place(voice: _Voice, per_quarter: int, counts: Counter[str]) -> tuple[Note, ...]:
    """A voice on the grid; counts what it loses."""
    _, notes, ticks = voice
    placed: list[_Placed] = []
    counts["notes"] += len(notes)
    counts["tuplets"] += sum(raw.tuplet for raw in notes)
    counts["notes moved"] += sum(_moves(raw, ticks, per_quarter) for raw in notes)
    for raw in notes:
        step = _nearest_step(raw.start, ticks, per_quarter)
        new = _Placed(step, raw.start + raw.length, raw)
        alone = not placed or placed[-1].step != step
        rival = None if alone else _rival(placed, new)
        if rival is None:
            placed.append(new)
            continue
        other = placed[rival]
        kind = "notes merged" if other.raw.pitch == raw.pitch else "notes dropped"
        counts[kind] += 1
        if raw.length > other.raw.length:
            placed[rival] = new
    on_steps = []
    for step, end, raw in placed:
        length = max(1, _nearest_step(end, ticks, per_quarter) - step)
        on_steps.append(Note(step, length, raw.pitch, raw.velocity, raw.fermata))
    return tuple(sorted(on_steps))


def _moves(raw: _InTicks, ticks: int, per_quarter: int) -> bool:
    """Whether a note begins or ends between steps, or has no length."""
    begins_between = raw.start * per_quarter % ticks != 0
    ends_between = (raw.start + raw.length) * per_quarter % ticks != 0
    return begins_between or ends_between or not raw.length


def _rival(placed: Sequence[_Placed], new: _Placed) -> int | None:
    """Which of the last notes, of those on the step of the new one, cannot stand beside it: it has
    its pitch, or it ended before."""
    for place in range(len(placed) - 1, -1, -1):
        other = placed[place]
        if other.step != new.step:
            break
        if other.raw.pitch == new.raw.pitch or other.end <= new.raw.start:
            return place
    return None
