"""How pitches are spelled: step, alteration and octave, and which accidentals a bar needs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from genwright.contents.music.score import Key, Note, at

SIGNS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}
FIFTHS = "FCGDAEB"  # the steps on the line of fifths, which is also the order of sharps


class Spelling(NamedTuple):
    """step: A to G. alter: -2 to 2 semitones. octave: 4 from middle C on."""

    step: str
    alter: int
    octave: int


def spell(pitch: int, key: Key) -> Spelling:
    """A MIDI pitch by a name near the key on the line of fifths: Eb to G# in C major, Bb to D# in
    A minor."""
    flattest = key.sharps - (2 if key.mode == "minor" else 3)
    fifths = flattest + (7 * pitch - flattest) % 12 + 1  # steps on the line of fifths, from F
    alter = fifths // 7
    return Spelling(FIFTHS[fifths % 7], alter, (pitch - alter) // 12 - 1)


def signature_alter(step: str, key: Key) -> int:
    """By how many semitones a key signature alters a step."""
    return (key.sharps + 6 - FIFTHS.index(step)) // 7


def accidentals(
    bar: Iterable[tuple[int, Note]], keys: Sequence[Key], key: Key
) -> dict[tuple[int, int], str]:
    """(start, pitch) -> the accidental that a note needs, one of SIGNS. An accidental holds on its
    line until the bar ends.

    bar: what is printed in a bar of one staff, (step, note), from left to right; a note that is
    tied to one before stands there again, and needs none. keys: of the piece; key: printed before
    the bar."""
    needed: dict[tuple[int, int], str] = {}
    held: dict[tuple[str, int], int] = {}  # (step, octave) -> alteration
    for step, note in bar:
        if note.start != step:
            continue
        spelling = spell(note.pitch, at(keys, note.start, Key(0, 0)))
        line = (spelling.step, spelling.octave)
        if spelling.alter != held.get(line, signature_alter(spelling.step, key)):
            needed[note.start, note.pitch] = SIGNS[spelling.alter]
            held[line] = spelling.alter
    return needed
