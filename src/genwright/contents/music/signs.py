"""Notes on a grid as signs of notation: values with dots and tuplets, tied where no single sign
lasts as long.

What has no sign of its own (five sixteenths, a note over a bar line, voices within a voice) is tied
from what has, cut where the metre is strongest: pitches, starts and lengths stay exact.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from genwright.contents.music.score import Meter, Note, Score, apart, bar_of

TYPES = (
    *("breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th"),
    *("128th", "256th", "512th", "1024th"),
)
QUARTERS_OF_A_BREVE = 8


class Sign(NamedTuple):
    """What is printed at a step.

    notes: none for a rest; each with whether it goes on after `length` steps. kind: of TYPES, None:
    not said. tuplet: 3 for a triplet and so on, 1 for plain signs. beat: which beat, for beams and
    brackets."""

    start: int
    length: int
    notes: Sequence[tuple[Note, bool]]
    kind: int | None = None
    dots: int = 0
    tuplet: int = 1
    beat: int = 0


class Value(NamedTuple):
    """How long a sign lasts. kind: of TYPES, None where no sign is so short."""

    kind: int | None
    dots: int
    tuplet: int


class Span(NamedTuple):
    """Steps that one sign fills."""

    start: int
    stop: int
    value: Value


def normal_notes(tuplet: int) -> int:
    """How many plain notes last as long as the notes of a tuplet: 2 for 3, 4 for 5 to 7."""
    return 1 << (tuplet.bit_length() - 1)


def _odd_part(number: int) -> int:
    """A number without its factors of 2."""
    return number // (number & -number)


@cache
def _values(per_quarter: int) -> dict[int, dict[int, Value]]:
    """tuplet -> steps -> the sign that lasts so long, for all tuplets that a grid holds."""
    odd = _odd_part(per_quarter)
    tuplets = [number for number in range(1, odd + 1) if odd % number == 0]
    return {tuplet: dict(_values_of(tuplet, per_quarter)) for tuplet in tuplets}


def _values_of(tuplet: int, per_quarter: int) -> Iterator[tuple[int, Value]]:
    """(steps, sign) of all signs of a tuplet that last a whole number of steps."""
    for kind in range(len(TYPES)):
        for dots in range(3):
            # a dot adds a half: the length is 2 - 2^-dots times that without dots
            above = QUARTERS_OF_A_BREVE * per_quarter * normal_notes(tuplet) * ((2 << dots) - 1)
            below = tuplet << (kind + dots)
            if above % below == 0:
                yield above // below, Value(kind, dots, tuplet)


@cache
def _cut(start: int, stop: int, beat: int, per_quarter: int) -> list[Span]:
    """The signs that fill the steps from start to stop of a bar, as few as reading well allows.
    beat: steps."""
    for value in _values_that_fit(start, stop - start, per_quarter):
        if _reads_well(start, stop, beat, per_quarter, value):
            return [Span(start, stop, value)]
    if stop - start == 1:  # finer than any sign
        return [Span(start, stop, Value(None, 0, 1))]
    middle = _strongest_within(start, stop, beat, per_quarter)
    return _cut(start, middle, beat, per_quarter) + _cut(middle, stop, beat, per_quarter)


def _values_that_fit(start: int, length: int, per_quarter: int) -> Iterator[Value]:
    """The signs of a length, plain ones first; of tuplets where one of theirs may begin."""
    odd = _odd_part(per_quarter)
    for tuplet, values in _values(per_quarter).items():
        if length in values and start % (odd // tuplet) == 0:
            yield values[length]


def _reads_well(start: int, stop: int, beat: int, per_quarter: int, value: Value) -> bool:
    """Whether one sign may stand there. Within a beat any may. A plain sign passes a beat when it
    begins on one, or in a syncopation such as eighth, quarter, eighth; others do not."""
    if start // beat == (stop - 1) // beat:
        return True
    if value.tuplet > 1:
        return False
    length = stop - start
    simple = beat == per_quarter
    on_beat = start % beat == 0
    if simple:
        syncopation = not value.dots and start % max(1, length // 2) == 0
        return syncopation or on_beat
    return on_beat and length % beat == 0


def _strongest_within(start: int, stop: int, beat: int, per_quarter: int) -> int:
    """The step between start and stop where the metre is strongest."""
    simple = beat == per_quarter
    part = beat if simple else beat // 3
    levels = [beat << power for power in range(8, -1, -1)]
    levels += [part >> power for power in range(9)]
    levels.append(1)
    for level in levels:
        if level:
            step = (start // level + 1) * level
            if step < stop:
                return step
    raise AssertionError("a step of 1 lies within")


def _beat_of(meter: Meter, per_quarter: int) -> int:
    """The steps of a beat: three units of a compound metre, else a quarter note."""
    if meter.unit >= 8 and meter.beats % 3 == 0:
        return max(1, 12 * per_quarter // meter.unit)
    return per_quarter


def signs_of(score: Score, voice: Sequence[Note], bars: Sequence[int]) -> list[list[Sign]]:
    """The signs of one voice, by bars. A note that sounds still when its pitch begins anew ends
    there. bars: `edges` of the score."""
    voice = apart(voice)
    begins: dict[int, dict[int, Note]] = {}  # step -> pitch -> the note that begins
    for note in voice:
        begins.setdefault(note.start, {})[note.pitch] = note
    ends = {note.start + note.length for note in voice}
    signs: list[list[Sign]] = [[] for _ in bars[1:]]
    sounding: dict[int, Note] = {}  # pitch -> note
    bar = 0
    for start, stop in pairwise(sorted({*bars, *begins, *ends})):
        if start == bars[bar + 1]:
            bar += 1
        still = {pitch: n for pitch, n in sounding.items() if n.start + n.length > start}
        sounding = still | begins.get(start, {})
        begins_next = begins.get(stop, {})
        chord = []  # each note with whether it goes on
        for pitch, note in sorted(sounding.items()):
            goes_on = note.start + note.length > stop and pitch not in begins_next
            chord.append((note, goes_on))
        signs[bar] += _signs_within(score, chord, start, stop, bars, bar)
    return signs


def _signs_within(
    score: Score,
    chord: Sequence[tuple[Note, bool]],
    start: int,
    stop: int,
    bars: Sequence[int],
    bar: int,
) -> Iterator[Sign]:
    """The signs of what sounds from start to stop, all of it in one bar."""
    meter, whole_bar = bar_of(score, bars[bar])
    lasts_a_bar = (stop - start) * meter.unit == 4 * score.per_quarter * meter.beats
    if not chord and lasts_a_bar:
        yield Sign(start, stop - start, ())
        return
    beat = _beat_of(meter, score.per_quarter)
    origin = bars[bar]
    if bar == 0:  # a pickup is the end of a bar
        origin = min(0, bars[1] - whole_bar)
    end = stop - origin
    for span in _cut(start - origin, end, beat, score.per_quarter):
        notes = [(note, goes_on or span.stop < end) for note, goes_on in chord]
        length = span.stop - span.start
        yield Sign(span.start + origin, length, notes, *span.value, span.start // beat)
