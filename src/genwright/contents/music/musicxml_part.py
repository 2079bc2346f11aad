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

from genwright.contents.music.draft import SEMITONES, BadMusic, Draft, Raw
from genwright.contents.music.score import Key, moved_key

MOST_VOICES = 64  # of one part; `join_voices` compares each with all others
# a number that is larger is as good as this one: a Fraction of "1e999999" would take forever
MOST = 1e15
SHORT_DECIMAL = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?", re.ASCII)
BEATS = re.compile(r"\d{1,4}(\s*\+\s*\d{1,4})*", re.ASCII)
UNIT = re.compile(r"[1-9]\d{0,3}", re.ASCII)
VALUES = (
    "1024th",
    "512th",
    "256th",
    "128th",
    "64th",
    "32nd",
    "16th",
    "eighth",
    "quarter",
    "half",
    "whole",
    "breve",
    "long",
    "maxima",
)
# a note's value -> quarter notes
QUARTERS = {name: Fraction(2) ** power for power, name in enumerate(VALUES, -8)}
JUMPS = ("dacapo", "dalsegno")  # what <sound> may say of a repeat

Voice = tuple[str, str]  # staff, voice


@lru_cache(4096)
def number(text: str | None) -> Fraction:
    """0 where there is none. Raises BadMusic for what is no number."""
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


@dataclass
class PartReader:
    """What the measures of a part hold. drums: its pitches are none. repeats: how many are asked
    for; keys are of the sounding pitches."""

    draft: Draft
    drums: bool = False
    voices: dict[Voice, list[Raw]] = field(default_factory=dict)
    meters: list[tuple[Fraction, int, int]] = field(default_factory=list)
    keys: list[tuple[Fraction, int, str]] = field(default_factory=list)
    tempos: list[tuple[Fraction, float]] = field(default_factory=list)
    repeats: int = 0
    divisions: Fraction = Fraction(1)
    # staff, "" for those that are not named -> semitones
    transposed: dict[str, int] = field(default_factory=dict)
    now: Fraction = Fraction(0)
    onset: Fraction = Fraction(0)  # of the latest note, which a chord shares
    place: Voice = ("1", "1")  # of the latest note
    value: tuple[str | None, int] = (None, 0)  # type and dots of the note that a chord begins with
    lasts: Fraction = Fraction(0)  # how long that one is

    def measure(self, start: Fraction, elements: ET.Element) -> Fraction:
        """Reads one that starts there, and gives where it ends. Raises BadMusic."""
        self.now = self.onset = end = start
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
                self.repeats += sum(
                    repeat.get("direction") == "backward" for repeat in element.findall("repeat")
                )
            elif element.tag == "harmony":
                self.draft.lost["chord symbols"] += 1
            end = max(end, self.now)
        return end

    def _length(self, element: ET.Element) -> Fraction:
        return number(element.findtext("duration")) / self.divisions

    def _back(self, length: Fraction, start: Fraction) -> None:
        if self.now - length < start:
            self.draft.lost["steps back behind a bar's start"] += 1
        self.now = max(start, self.now - length)

    def _note(self, element: ET.Element) -> None:
        lost = self.draft.lost
        if element.find("grace") is not None:
            lost["grace notes"] += 1
            return
        length = self._length(element)
        staff, voice = ((element.findtext(tag) or "").strip() for tag in ("staff", "voice"))
        value = element.findtext("type"), len(element.findall("dot"))
        if element.find("chord") is None:
            self.onset = self.now
            self.now += length
            self.place = staff or "1", voice or "1"
            self.value = value
            self.lasts = length
        # what a chord's note does not say is as of the one before; some programs forget dots and
        # tuplets in its duration
        else:
            self.place = staff or self.place[0], voice or self.place[1]
            length = self.lasts if value == self.value and value[0] else length
        if element.find("rest") is not None:
            return
        pitch = element.find("pitch")
        if element.find("cue") is not None:
            lost["cue notes"] += 1
        elif pitch is None or self.drums:
            lost["unpitched notes"] += 1
        else:
            marks = [mark for notations in element.findall("notations") for mark in notations]
            tied = any(
                mark.tag in ("tie", "tied") and mark.get("type") in ("stop", "continue")
                for mark in (*element, *marks)
            )
            fermata = any(mark.tag == "fermata" for mark in marks)
            tuplet = element.find("time-modification") is not None
            note = Raw(
                self.onset, length, self._pitch(pitch, self.place[0]), 80, fermata, tied, tuplet
            )
            if self.place not in self.voices and len(self.voices) == MOST_VOICES:
                raise BadMusic(
                    f"has a part of more than {MOST_VOICES} voices, more than any instrument plays"
                )
            self.voices.setdefault(self.place, []).append(note)

    def _pitch(self, pitch: ET.Element, staff: str) -> int:
        """As MIDI counts it, sounding."""
        step = (pitch.findtext("step") or "").strip()
        octave = number(pitch.findtext("octave") or "?")
        if step not in SEMITONES or octave.denominator > 1:
            raise BadMusic(
                f"holds a note of step {step[:20]!r} and octave {float(octave):g}, which is no pitch"
            )
        alter = number(pitch.findtext("alter"))
        if alter.denominator > 1:
            self.draft.lost["pitches between semitones"] += 1
        transposed = self.transposed.get(staff, self.transposed.get("", 0))
        return 12 + 12 * int(octave) + SEMITONES[step] + round(alter) + transposed

    def _attributes(self, element: ET.Element) -> None:
        divisions = number(element.findtext("divisions"))
        if divisions > 0:
            self.divisions = divisions
        for change in element.findall("transpose"):
            semitones = 12 * number(change.findtext("octave-change")) + number(
                change.findtext("chromatic")
            )
            if "number" not in change.attrib:
                self.transposed.clear()
            self.transposed[change.get("number", "")] = round(semitones)
            if change.find("double") is not None:
                self.draft.lost["doublings at the octave"] += 1
        for style in element.findall("measure-style/measure-repeat"):
            self.repeats += style.get("type") == "start"
        for key in element.findall("key")[:1]:  # the others are those of further staves
            self._key(key)
        for time in element.findall("time")[:1]:
            self._meter(time)

    def _key(self, element: ET.Element) -> None:
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
        known = (
            len(beats) == len(units) > 0
            and all(map(BEATS.fullmatch, beats))
            and all(map(UNIT.fullmatch, units))
        )
        if not known:
            self.draft.lost["metres that are none"] += 1
            return
        unit = max(map(int, units))
        total = sum(
            Fraction(unit * sum(map(int, count.split("+"))), int(kind))
            for count, kind in zip(beats, units, strict=True)
        )
        if Fraction(total).denominator > 1:
            self.draft.lost["metres that are none"] += 1
        else:
            self.meters.append((self.now, int(total), unit))

    def _direction(self, element: ET.Element) -> None:
        """A tempo, or a jump back; both may stand where the offset says."""
        sound = element if element.tag == "sound" else element.find("sound")
        offset = element.find("offset")
        if offset is not None and element.tag == "direction" and offset.get("sound") != "yes":
            offset = None  # of what is printed alone
        if offset is None and sound is not None:
            offset = sound.find("offset")
        shift = Fraction(0) if offset is None else number(offset.text) / self.divisions
        time = max(Fraction(0), self.now + shift)
        if sound is not None:
            self.repeats += any(jump in sound.attrib for jump in JUMPS)
        if sound is not None and "tempo" in sound.attrib:
            self.tempos.append((time, _tempo(sound.attrib["tempo"])))
            return
        for metronome in element.findall("direction-type/metronome"):
            tempo = metronome_tempo(metronome)
            if tempo is None:
                self.draft.lost["metronome marks without a number"] += 1
            else:
                self.tempos.append((time, tempo))


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
    for staff, voice in sorted(voices, key=lambda key: [(len(word), word) for word in key]):
        notes = voices[staff, voice]
        crossed = next(
            (key for key in joined if key[1] == voice and not _together(joined[key], notes)), None
        )
        if crossed is None:
            joined[staff, voice] = list(notes)
        else:
            joined[crossed] += notes
    return list(joined.values())


def _together(some: Sequence[Raw], others: Sequence[Raw]) -> bool:
    """Whether a note of the one sounds while a note of the other does."""
    order = sorted(
        (note.start, which, note.start + note.length)
        for which, notes in enumerate((some, others))
        for note in notes
    )
    ends = [Fraction(0), Fraction(0)]
    for start, which, end in order:
        if start < ends[1 - which]:
            return True
        ends[which] = max(ends[which], end)
    return False


def join_ties(voices: list[list[Raw]]) -> list[list[Raw]]:
    """What a tie joins across the voices of a part becomes one note of the first; what it joins
    within a voice `Draft.score` joins."""
    # pitch, time -> (voice, note) that end then
    ending: dict[tuple[int, Fraction], list[tuple[int, int]]] = {}
    dropped: set[tuple[int, int]] = set()
    order = sorted(
        (note.start, v, i) for v, notes in enumerate(voices) for i, note in enumerate(notes)
    )
    for start, v, i in order:
        note = voices[v][i]
        before = ending.get((note.pitch, start), []) if note.tied and note.length else []
        if before and all(voice != v for voice, _ in before):
            voice, place = before.pop()
            first = voices[voice][place]
            joined = first._replace(
                length=first.length + note.length, fermata=first.fermata or note.fermata
            )
            voices[voice][place] = joined
            ending.setdefault((note.pitch, start + note.length), []).append((voice, place))
            dropped.add((v, i))
        else:
            ending.setdefault((note.pitch, start + note.length), []).append((v, i))
    return [
        [note for i, note in enumerate(notes) if (v, i) not in dropped]
        for v, notes in enumerate(voices)
    ]
