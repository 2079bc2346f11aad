"""A voice of an ABC tune as it is read: what its signs mean over time, by ABC 2.1, section 4.

1. A note's pitch is its letter, altered by its own accidental, by one before it in the bar, or by
   the key. An accidental holds until the bar line for its letter in all octaves
   (`%%propagate-accidentals pitch`, the standard's default, 11.3), one of a grace note too; a note
   tied over a bar line keeps its pitch.
2. A note's length is what is written times the unit note length, times those of a tuplet and of a
   broken rhythm. Spaces, slurs, decorations, chord symbols, grace notes and ties stand between a
   note and its > or < without effect (4.4, 4.12).
3. A chord lasts as long as its first note, and so do all its notes (4.17); where others are written
   longer or shorter, it is counted.
4. & goes back by a bar line and begins a temporary voice, which lasts as many bars (7.4): a voice
   of its own in the draft.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from genwright.contents.music.abc_fields import FREE, Metre, Properties, signature
from genwright.contents.music.abc_tokens import Broken, Chord, Note, Tuplet
from genwright.contents.music.draft import LONGEST, SEMITONES, BadMusic, Raw

_MIDDLE_C = 60
# p notes in the time of q; those of 5, 7, 9 are by the metre (4.13)
_TIME_OF = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}


@dataclass
class Setting:
    """What the header of a tune sets, and the fields of a voice change. unit: whole notes.
    propagate: pitch, octave or not."""

    metre: Metre = FREE
    unit: Fraction = Fraction(1, 8)
    alterations: dict[str, int] = field(default_factory=lambda: signature(0))
    propagate: str = "pitch"
    octave: int = 0
    clef_octave: int = 0
    semitones: int = 0
    unpitched: bool = False

    def take(self, properties: Properties) -> None:
        """Changes what the properties of a K: or V: field name."""
        if properties.octave is not None:
            self.octave = properties.octave
        if properties.clef_octave is not None:
            self.clef_octave = properties.clef_octave
        if properties.semitones is not None:
            self.semitones = properties.semitones
        if properties.unpitched is not None:
            self.unpitched = properties.unpitched


@dataclass
class Layer:
    """Notes of the voice itself, or of an overlay. tied: (letter, octave) -> pitch of notes that a
    tie follows."""

    notes: list[Raw] = field(default_factory=list)
    tied: dict[tuple[str, int], int] = field(default_factory=dict)


@dataclass
class Event:
    """The latest note, chord or rest of a layer. length: in quarter notes; first: index of its
    first Raw; bars: how many bar lines came before it; keys: what of it can be tied, and the
    pitches of that."""

    length: Fraction
    first: int
    bars: int
    keys: list[tuple[str, int]]
    pitches: list[int]


class Voice:
    """Notes, bar lines and what is lost of one voice; times are quarter notes."""

    def __init__(self, setting: Setting):
        self.setting = setting
        self.now = Fraction(0)
        self.end = Fraction(0)
        self.bars: list[Fraction] = []
        self._starts = [Fraction(0)]  # of bars, each once
        self.layers = [Layer()]
        self.lost: Counter[str] = Counter()
        self.fermata = False
        self._layer = 0  # which of `layers` is being read
        self._bars_left = 0  # of the overlay
        self._bar_end = Fraction(0)  # the latest end of the layers of this bar
        self._before: dict[tuple[str, int], int] = {}  # accidentals of the bar
        self._last: Event | None = None
        self._broken: Broken | None = None  # waits for its second note
        self._ratio = Fraction(1)  # of the tuplet
        self._left = 0  # notes of the tuplet
        self._tuplet_is_new = False

    def note(self, note: Note) -> None:
        """A note on its own."""
        self._sound((note,), note.length)

    def chord(self, chord: Chord) -> None:
        """Notes that begin together, with the ties inside the brackets."""
        self.lost["chords of unequal notes"] += chord.unequal
        self._sound(chord.notes, chord.length)
        if chord.ties:
            self._tie(chord.ties)

    def grace(self, notes: tuple[Note, ...]) -> None:
        """Grace notes: they take no time and are left out, but their accidentals hold."""
        self.lost["grace notes"] += len(notes)
        for note in notes:
            self._remember(note)

    def rest(self, length: Fraction) -> None:
        """length: in unit note lengths."""
        self._sound((), length)

    def rest_bars(self, bars: int) -> None:
        """A rest of whole bars of the metre."""
        if not self.setting.metre.beats:
            raise BadMusic("holds a rest of bars (Z) where no metre says how long a bar is")
        self._end_pairs()
        bar = 4 * self.setting.metre.bar
        start = self.now
        self._advance(bars * bar)
        if self._layer == 0:
            for i in range(1, bars):
                self._begin_bar(start + i * bar)
        self._last = None
        self._current.tied.clear()

    def broken(self, sign: Broken) -> None:
        """> or < between two notes: it takes effect when the second one comes."""
        if self._last is None or self._broken:
            self.lost["broken rhythms not applied"] += 1
        else:
            self._broken = sign

    def _second_of_broken(self, length: Fraction) -> Fraction:
        """By what > or < multiplies the note that comes now, of `length` quarter notes: one of the
        two is shorter by 1/2, 1/4 or 1/8, the other longer by as much. Between unequal notes its
        effect is undefined (4.4): there is none, and it is counted."""
        sign = self._broken
        last = self._last
        self._broken = None
        if sign is None:
            return Fraction(1)
        if last is None or last.length != length:
            self.lost["broken rhythms not applied"] += 1
            return Fraction(1)
        shorter = Fraction(1, 2**sign.signs)
        longer = 2 - shorter
        first = longer if sign.longer_first else shorter
        second = shorter if sign.longer_first else longer
        self._stretch(last, first)
        return second

    def _stretch(self, last: Event, factor: Fraction) -> None:
        """Makes the latest note or chord longer, and what comes after it later."""
        moved = last.length * (factor - 1)
        notes = self._current.notes
        for i in range(last.first, len(notes)):
            notes[i] = notes[i]._replace(length=notes[i].length * factor)
        for i in range(last.bars, len(self.bars)):  # bar lines between the two
            self.bars[i] += moved
        if self._starts[-1] == self.now:
            self._starts[-1] += moved
        self.now += moved

    def tuplet(self, sign: Tuplet) -> None:
        """The next r notes, chords and rests last q / p of what is written; grace notes are not
        counted."""
        if self._left and not self._tuplet_is_new:
            raise BadMusic(f"holds the tuplet {sign.text!r} inside another")
        self.lost["signs not understood"] += self._left > 0  # a tuplet sign twice
        time_of = sign.q or self._time_of(sign.p)
        if time_of is None:
            raise BadMusic(f"holds the tuplet {sign.text!r}, which does not say in what time it is")
        self._ratio = Fraction(time_of, sign.p)
        self._left = sign.r or sign.p
        self._tuplet_is_new = True

    def _time_of(self, notes: int) -> int | None:
        """In the time of how many a tuplet of so many notes stands, where it does not say."""
        if notes in (5, 7, 9):
            return 3 if self.setting.metre.compound else 2
        return _TIME_OF.get(notes)

    def tie(self) -> None:
        """A hyphen after a note or chord."""
        if self._last is None or not self._last.keys:
            self.lost["ties without a note"] += 1
        else:
            self._tie(range(len(self._last.keys)))

    def bar_line(self) -> None:
        """Any bar line: accidentals end, and an overlay may."""
        self._before.clear()
        if self._layer:
            self._bars_left -= 1
            if self._bars_left > 0:
                return
            self.now = max(self._bar_end, self.now)
            self._layer = 0
            self._last = None
        self._begin_bar(self.now)

    def _begin_bar(self, start: Fraction) -> None:
        self.bars.append(start)
        if start > self._starts[-1]:
            self._starts.append(start)

    def overlay(self, bars: int) -> None:
        """& signs: back by as many bar lines, into a temporary voice."""
        self._end_pairs()
        if bars > len(self._starts):
            raise BadMusic(
                f"holds {'&' * min(bars, 20)!r}, which goes back to before the beginning"
            )
        if self._layer:
            self._bar_end = max(self.now, self._bar_end)
        else:
            self._bar_end = self.now
        self.now = self._starts[-bars]
        self._bars_left = bars
        self._layer += 1
        if self._layer == len(self.layers):
            self.layers.append(Layer())
        self._before.clear()
        self._last = None

    def changed_key(self) -> None:
        """After a key: the accidentals of the bar end."""
        self._before.clear()

    def finish(self) -> None:
        """At the end of the tune."""
        self._end_pairs()

    @property
    def _current(self) -> Layer:
        return self.layers[self._layer]

    def _end_pairs(self) -> None:
        """Counts a broken rhythm or a tuplet that is not complete."""
        self.lost["broken rhythms not applied"] += self._broken is not None
        self.lost["tuplets cut short"] += self._left > 0
        self._broken = None
        self._left = 0

    def _sound(self, notes: tuple[Note, ...], length: Fraction) -> None:
        """A note, chord or rest; length: in unit note lengths."""
        unit = self.setting.unit
        length = _in_quarters(
            unit.numerator, unit.denominator, length.numerator, length.denominator
        )
        in_tuplet = self._left > 0
        if in_tuplet:
            length *= self._ratio
            self._left -= 1
            self._tuplet_is_new = False
        if self._broken:
            length *= self._second_of_broken(length)
        layer = self._current
        pitches = [self._pitch(note) for note in notes]
        first = len(layer.notes)
        tied = set(layer.tied.values())
        if self.setting.unpitched:
            self.lost["unpitched notes"] += len(notes)
        else:
            for pitch in pitches:
                layer.notes.append(
                    Raw(self.now, length, pitch, 80, self.fermata, pitch in tied, in_tuplet)
                )
        self.fermata = self.fermata and not notes
        layer.tied.clear()
        keys = [(note.letter, note.octave) for note in notes]
        self._last = Event(length, first, len(self.bars), keys, pitches)
        self._advance(length)

    def _pitch(self, note: Note) -> int:
        """The MIDI pitch of a note as it sounds; remembers its accidental until the bar line."""
        setting = self.setting
        written = note.letter, note.octave
        if note.alteration is not None:
            self._remember(note)
            alteration = note.alteration
        elif written in self._current.tied:
            return self._current.tied[written]
        else:
            alteration = self._before.get(self._place(note), setting.alterations[note.letter])
        octaves = note.octave + setting.octave + setting.clef_octave
        return _MIDDLE_C + 12 * octaves + SEMITONES[note.letter] + alteration + setting.semitones

    def _remember(self, note: Note) -> None:
        """The accidental of a note, for those that follow in the bar."""
        if note.alteration is not None and self.setting.propagate != "not":
            self._before[self._place(note)] = note.alteration

    def _place(self, note: Note) -> tuple[str, int]:
        """For which notes its accidental holds: those of its letter, or of its letter and
        octave."""
        if self.setting.propagate == "octave":
            return note.letter, note.octave
        return note.letter, 0

    def _tie(self, which: Iterable[int]) -> None:
        """which: of the latest notes."""
        assert self._last is not None
        for i in which:
            self._current.tied[self._last.keys[i]] = self._last.pitches[i]

    def _advance(self, length: Fraction) -> None:
        self.now += length
        if self.now <= self.end:
            return
        if self.now > LONGEST:
            raise BadMusic(
                f"is more than {LONGEST:,} quarter notes long, the most that a piece may have"
            )
        self.end = self.now


@lru_cache(maxsize=4096)
def _in_quarters(unit: int, unit_part: int, length: int, length_part: int) -> Fraction:
    """A length in quarter notes. unit / unit_part: the unit note length, in whole notes. length /
    length_part: in unit note lengths. (Hashes of whole numbers are quick, those of fractions are
    not.)"""
    return 4 * Fraction(unit, unit_part) * Fraction(length, length_part)
