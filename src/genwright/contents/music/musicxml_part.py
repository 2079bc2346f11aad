"""One part of a MusicXML score, measure by measure.

Time goes on with each note but those of a chord, back by <backup>, on by <forward>; it is counted
in `divisions` of a quarter note, which may change. Pitches are written ones: <transpose> makes them
sounding ones, while <octave-shift> changes what is printed alone. A voice is what a staff calls so,
for two staves may both have a voice 1; where a voice only crosses between staves, so that its notes
never sound together, it is one (`join_voices`). A tempo is <sound tempo>, else what <metronome>
says of one beat.
"""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from genwright.contents.music.draft import SEMITONES, BadMusic, Draft, Raw
from genwright.contents.music.score import Key, moved_key

MOST_VOICES = 64  # of one part; `join_voices` compares each with all others
# a number that is larger is as good as this one: a Fraction of "1e999999" would take forever
MOST = 1e15
SHORT_DECIMAL = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?", re.ASCII)
BEATS = re.compile(r"\d{1,4}(\s*\+\s*\d{1,4})*", re.ASCII)
UNIT = re.compile(r"[1-9]\d{0,3}", re.ASCII)
VALUES = (
    *("1024th", "512th", "256th", "128th", "64th", "32nd", "16th"),
    *("eighth", "quarter", "half", "whole", "breve", "long", "maxima"),
)
# a note's value -> quarter notes
QUARTERS = {name: Fraction(2) ** power for power, name in enumerate(VALUES, -8)}
JUMPS = ("dacapo", "dalsegno")  # what <sound> may say of a repeat

Voice = tuple[str, str]  # staff, voice


@lru_cache(4096)
def number(text: str | None) -> Fraction:
    """What an element says; 0 where there is none. Raises BadMusic for what is no number."""
    words = (text or "0").strip()
    if SHORT_DECIMAL.fullmatch(words):
        return Fraction(words)
    try:
        value = float(words)
    except ValueError:
        raise BadMusic(f"says {words[:20]!r} where a number belongs") from None
    if math.isnan(value):
        raise BadMusic("says 'nan' where a number belongs")
    return Fraction(max(-MOST, min(MOST, value)))


class Value(NamedTuple):
    """How a note is printed. kind: of VALUES, None where it is not said."""

    kind: str | None
    dots: int


@dataclass
class PartReader:
    """What the measures of a part hold; times are quarter notes.

    drums: its pitches are none. repeats: how many are asked for. keys: of the sounding pitches.
    transposed: staff, "" for those that are not named -> semitones. now: where the next note
    begins.
    Of the latest note, which a chord goes on with: onset, place (staff and voice), value, lasts
    (how long it sounds)."""

    draft: Draft
    drums: bool = False
    voices: dict[Voice, list[Raw]] = field(default_factory=dict)
    meters: list[tuple[Fraction, int, int]] = field(default_factory=list)
    keys: list[tuple[Fraction, int, str]] = field(default_factory=list)
    tempos: list[tuple[Fraction, float]] = field(default_factory=list)
    repeats: int = 0
    divisions: Fraction = Fraction(1)
    transposed: dict[str, int] = field(default_factory=dict)
    now: Fraction = Fraction(0)
    onset: Fraction = Fraction(0)
    place: Voice = ("1", "1")
    value: Value = Value(None, 0)
    lasts: Fraction = Fraction(0)

    def measure(self, start: Fraction, elements: ET.Element) -> Fraction:
        """Reads one that starts there, and gives where it ends. Raises BadMusic."""
        self.now = start
        self.onset = start
        end = start
        for element in elements:
            if element.tag == "note":
                self._note(element)
            elif element.tag == "forward":
                self.now += self._length(element)
            elif element.tag == "backup":
                self._back(self._length(element), start)
            elif element.tag == "attributes":
                self._attributes(element)
            elif element.tag in ("direction", "sound"):
                self._direction(element)
            elif element.tag == "barline":
                self._barline(element)
            elif element.tag == "harmony":
                self.draft.lost["chord symbols"] += 1
            end = max(end, self.now)
        return end

    def _length(self, element: ET.Element) -> Fraction:
        """The duration of a note or of a step forward or back."""
        return number(element.findtext("duration")) / self.divisions

    def _back(self, length: Fraction, start: Fraction) -> None:
        """start: of the bar, behind which nothing goes back."""
        if self.now - length < start:
            self.draft.lost["steps back behind a bar's start"] += 1
        self.now = max(start, self.now - length)

    def _barline(self, element: ET.Element) -> None:
        for repeat in element.findall("repeat"):
            if repeat.get("direction") == "backward":
                self.repeats += 1

    def _note(self, element: ET.Element) -> None:
        """A note, a rest, or another note of a chord."""
        lost = self.draft.lost
        if element.find("grace") is not None:
            lost["grace notes"] += 1
            return
        length = self._take_time(element)
        if element.find("rest") is not None:
            return
        pitch = element.find("pitch")
        if element.find("cue") is not None:
            lost["cue notes"] += 1
        elif pitch is None or self.drums:
            lost["unpitched notes"] += 1
        else:
            self._sound(element, self._pitch(pitch, self.place[0]), length)

    def _take_time(self, element: ET.Element) -> Fraction:
        """Goes on by a note, if it is none of a chord, and gives how long it sounds."""
        length = self._length(element)
        staff = (element.findtext("staff") or "").strip()
        voice = (element.findtext("voice") or "").strip()
        value = Value(element.findtext("type"), len(element.findall("dot")))
        if element.find("chord") is None:
            self.onset = self.now
            self.now += length
            self.place = (staff or "1", voice or "1")
            self.value = value
            self.lasts = length
            return length
        # what a chord's note does not say is as of the one before; some programs forget dots and
        # tuplets in its duration
        self.place = (staff or self.place[0], voice or self.place[1])
        if value == self.value and value.kind:
            return self.lasts
        return length

    def _sound(self, element: ET.Element, pitch: int, length: Fraction) -> None:
        """Adds a note to its voice. pitch: MIDI. Raises BadMusic for too many voices."""
        marks = list(element)
        for notations in element.findall("notations"):
            marks += notations
        tied = False
        fermata = False
        for mark in marks:
            if mark.tag in ("tie", "tied"):
                tied = tied or mark.get("type") in ("stop", "continue")
            elif mark.tag == "fermata":
                fermata = True
        tuplet = element.find("time-modification") is not None
        if self.place not in self.voices and len(self.voices) == MOST_VOICES:
            raise BadMusic(
                f"has a part of more than {MOST_VOICES} voices, more than any instrument plays"
            )
        notes = self.voices.setdefault(self.place, [])
        notes.append(Raw(self.onset, length, pitch, 80, fermata, tied, tuplet))

    def _pitch(self, pitch: ET.Element, staff: str) -> int:
        """The MIDI pitch as it sounds. Raises BadMusic."""
        step = (pitch.findtext("step") or "").strip()
        octave = number(pitch.findtext("octave") or "?")
        if step not in SEMITONES or octave.denominator > 1:
            raise BadMusic(
                f"holds a note of step {step[:20]!r} and octave {float(octave):g}, "
                "which is no pitch"
            )
        alter = number(pitch.findtext("alter"))
        if alter.denominator > 1:
            self.draft.lost["pitches between semitones"] += 1
        transposed = self.transposed.get(staff, self.transposed.get("", 0))
        return 12 + 12 * int(octave) + SEMITONES[step] + round(alter) + transposed

    def _attributes(self, element: ET.Element) -> None:
        """What holds from here on: divisions, transposition, key, metre."""
        divisions = number(element.findtext("divisions"))
        if divisions > 0:
            self.divisions = divisions
        for change in element.findall("transpose"):
            self._transpose(change)
        for style in element.findall("measure-style/measure-repeat"):
            if style.get("type") == "start":
                self.repeats += 1
        for key in element.findall("key")[:1]:  # the others are those of further staves
            self._key(key)
        for time in element.findall("time")[:1]:
            self._meter(time)

    def _transpose(self, element: ET.Element) -> None:
        """Of one staff, or of all of them."""
        octaves = number(element.findtext("octave-change"))
        semitones = 12 * octaves + number(element.findtext("chromatic"))
        if "number" not in element.attrib:
            self.transposed.clear()
        self.transposed[element.get("number", "")] = round(semitones)
        if element.find("double") is not None:
            self.draft.lost["doublings at the octave"] += 1

    def _key(self, element: ET.Element) -> None:
        """A key, as it sounds."""
        fifths = element.findtext("fifths")
        if fifths is None:  # steps and alterations of its own
            self.draft.lost["keys that are none"] += 1
            return
        key = Key(0, int(number(fifths)), (element.findtext("mode") or "").strip())
        if abs(key.sharps) <= 7:
            key = moved_key(key, self.transposed.get("", 0))
        self.keys.append((self.now, key.sharps, key.mode))

    def _meter(self, element: ET.Element) -> None:
        """The sum of an additive one, in its smallest unit: 3/8 + 2/8 + 3/4 is 11/8."""
        beats = [(beats.text or "").strip() for beats in element.findall("beats")]
        units = [(unit.text or "").strip() for unit in element.findall("beat-type")]
        if not beats and element.find("senza-misura") is not None:
            return  # bars are as long as their notes
        meter = _sum_of_meters(beats, units)
        if meter is None:
            self.draft.lost["metres that are none"] += 1
        else:
            self.meters.append((self.now, *meter))

    def _direction(self, element: ET.Element) -> None:
        """A tempo, or a jump back; both may stand where the offset says."""
        sound = element if element.tag == "sound" else element.find("sound")
        time = max(Fraction(0), self.now + self._offset(element, sound))
        if sound is not None:
            if any(jump in sound.attrib for jump in JUMPS):
                self.repeats += 1
            if "tempo" in sound.attrib:
                self.tempos.append((time, _tempo(sound.attrib["tempo"])))
                return
        for metronome in element.findall("direction-type/metronome"):
            tempo = metronome_tempo(metronome)
            if tempo is None:
                self.draft.lost["metronome marks without a number"] += 1
            else:
                self.tempos.append((time, tempo))

    def _offset(self, element: ET.Element, sound: ET.Element | None) -> Fraction:
        """How much later than where it stands a direction is heard."""
        offset = element.find("offset")
        of_print_alone = (
            offset is not None and element.tag == "direction" and offset.get("sound") != "yes"
        )
        if of_print_alone:
            offset = None
        if offset is None and sound is not None:
            offset = sound.find("offset")
        if offset is None:
            return Fraction(0)
        return number(offset.text) / self.divisions


def _sum_of_meters(beats: Sequence[str], units: Sequence[str]) -> tuple[int, int] | None:
    """(beats, unit) of metres that are added; None where they are none. beats: such as "3+2"."""
    if not beats or len(beats) != len(units):
        return None
    if not all(map(BEATS.fullmatch, beats)) or not all(map(UNIT.fullmatch, units)):
        return None
    unit = max(map(int, units))
    total = Fraction(0)
    for some_beats, some_unit in zip(beats, units, strict=True):
        count = sum(map(int, some_beats.split("+")))
        total += Fraction(unit * count, int(some_unit))
    if total.denominator > 1:
        return None
    return int(total), unit


def _tempo(text: str) -> float:
    """nan for what is no number, which is refused when the piece is made."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def metronome_tempo(element: ET.Element) -> float | None:
    """Quarter notes a minute; None for a metric modulation (a beat that equals another) and for
    words. Of "96-104" and "ca. 96" the first number counts."""
    units = element.findall("beat-unit")
    found = re.search(r"\d{1,6}(\.\d{1,6})?", element.findtext("per-minute") or "", re.ASCII)
    values = [unit.text or "" for unit in units]
    if len(values) != 1 or found is None or values[0].strip() not in QUARTERS:
        return None
    beat = _dotted(values[0], len(element.findall("beat-unit-dot")))
    for tied in element.findall("beat-unit-tied"):
        beat += _dotted(tied.findtext("beat-unit") or "", len(tied.findall("beat-unit-dot")))
    return float(Fraction(found[0]) * beat)


def _dotted(value: str, dots: int) -> Fraction:
    """Quarter notes of a note's value; 0 for one that is unknown."""
    return QUARTERS.get(value.strip(), Fraction(0)) * (2 - Fraction(1, 2 ** min(dots, 9)))


def join_voices(voices: dict[Voice, list[Raw]]) -> list[list[Raw]]:
    """The notes by voices, those of one staff before those of the next. A voice that two staves
    share is one where its notes never sound together; else each staff has its own."""
    joined: dict[Voice, list[Raw]] = {}
    for staff, voice in sorted(voices, key=_by_number):
        notes = voices[staff, voice]
        crossed = _crossed(joined, voice, notes)
        if crossed is None:
            joined[staff, voice] = list(notes)
        else:
            crossed += notes
    return list(joined.values())


def _by_number(place: Voice) -> list[tuple[int, str]]:
    """So that staff and voice 2 come before 10."""
    return [(len(word), word) for word in place]


def _crossed(joined: dict[Voice, list[Raw]], voice: str, notes: Sequence[Raw]) -> list[Raw] | None:
    """The notes of the same voice in another staff, where they never sound together with these."""
    for (_, other_voice), others in joined.items():
        if other_voice == voice and not _together(others, notes):
            return others
    return None


def _together(some: Sequence[Raw], others: Sequence[Raw]) -> bool:
    """Whether a note of the one sounds while a note of the other does."""
    sounds = [(note.start, 0, note.start + note.length) for note in some]
    sounds += [(note.start, 1, note.start + note.length) for note in others]
    ends = [Fraction(0), Fraction(0)]  # of the notes of each so far
    for start, which, end in sorted(sounds):
        if start < ends[1 - which]:
            return True
        ends[which] = max(ends[which], end)
    return False


def join_ties(voices: list[list[Raw]]) -> list[list[Raw]]:
    """What a tie joins across the voices of a part becomes one note of the first; what it joins
    within a voice `Draft.score` joins."""
    order = []  # (start, voice, which of its notes)
    for voice, notes in enumerate(voices):
        order += [(note.start, voice, place) for place, note in enumerate(notes)]
    # pitch, time -> (voice, place) of the notes that end then
    ending: dict[tuple[int, Fraction], list[tuple[int, int]]] = {}
    dropped: set[tuple[int, int]] = set()
    for start, voice, place in sorted(order):
        note = voices[voice][place]
        stays = (voice, place)  # the note that this one is or goes on with
        before = ending.get((note.pitch, start), []) if note.tied and note.length else []
        if before and all(other != voice for other, _ in before):
            dropped.add(stays)
            stays = before.pop()
            first_voice, first_place = stays
            first = voices[first_voice][first_place]
            voices[first_voice][first_place] = first._replace(
                length=first.length + note.length, fermata=first.fermata or note.fermata
            )
        ending.setdefault((note.pitch, start + note.length), []).append(stays)
    kept = []
    for voice, notes in enumerate(voices):
        kept.append([note for place, note in enumerate(notes) if (voice, place) not in dropped])
    return kept
