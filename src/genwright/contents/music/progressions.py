"""Which chord changes are common practice, by the degrees of their roots.

The table is Piston's of usual root progressions (Harmony, 1941, chapter 3): of each degree those
that usually follow it, those that sometimes do, those that seldom do. He gives one for both modes;
a degree of a minor key is of its natural scale or the raised seventh. Chords are those of `chords`,
the key is the piece's at that place where the score says one, else the one that fits all of it
(`key_of`). A chord whose root is no degree of the key (a dominant of another one, say) is not
judged.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genwright.contents.music.chords import Chord, chords
from genwright.contents.music.descriptors import key_of
from genwright.contents.music.score import REST, Key, Score, at

MAJOR_DEGREES = {0: 1, 2: 2, 4: 3, 5: 4, 7: 5, 9: 6, 11: 7}  # semitones over the tonic -> degree
MINOR_DEGREES = {0: 1, 2: 2, 3: 3, 5: 4, 7: 5, 8: 6, 10: 7, 11: 7}
USUAL = {1: (4, 5), 2: (5,), 3: (6,), 4: (5,), 5: (1,), 6: (2, 5), 7: (1, 3)}
SOMETIMES = {1: (6,), 2: (4, 6), 3: (4,), 4: (1, 2), 5: (4, 6), 6: (3, 4), 7: (6,)}
NO_KEY = Key(0, 0)


class ChordChange(NamedTuple):
    """step: of the score, the last one of the new chord's quarter note, when it is known. before,
    after: degrees, 1 to 7; 0: the root is no degree of the key."""

    step: int
    before: int
    after: int

    @property
    def judged(self) -> bool:
        """Whether the table says anything about it."""
        return bool(self.before and self.after)

    @property
    def common(self) -> bool:
        """Whether it is usual, or sometimes done."""
        return self.after in USUAL[self.before] or self.after in SOMETIMES[self.before]


def chord_changes(score: Score) -> list[ChordChange]:
    """The places where the root of the chord changes from one quarter note to the next, without
    silence between."""
    found = []
    piece_chords = chords(score)
    fitting = _fitting_key(score)
    for quarter, (before, after) in enumerate(_pairs(piece_chords), start=1):
        if before.root == after.root or not before.quality or not after.quality:
            continue
        start = quarter * score.per_quarter
        tonic, is_minor = _key_at(score, start, fitting)
        degrees = MINOR_DEGREES if is_minor else MAJOR_DEGREES
        first = degrees.get((before.root - tonic) % 12, 0)
        second = degrees.get((after.root - tonic) % 12, 0)
        if first == second and first:
            continue  # the natural and the raised seventh
        found.append(ChordChange(start + score.per_quarter - 1, first, second))
    return found


def _pairs(piece_chords: Sequence[Chord]) -> list[tuple[Chord, Chord]]:
    return list(zip(piece_chords, piece_chords[1:], strict=False))


def _fitting_key(score: Score) -> int:
    """The key that fits the whole piece, 0 to 23 (`key_of`)."""
    pitch, _ = score.grid()
    return key_of(np.bincount(pitch[pitch != REST] % 12, minlength=12))


def _key_at(score: Score, step: int, fitting: int) -> tuple[int, bool]:
    """Tonic, 0 to 11, and whether the mode is minor. fitting: the key that fits the piece, which
    holds where the score says none, or a signature without a mode."""
    key = at(score.keys, step, NO_KEY)
    if not key.mode:
        return fitting % 12, fitting >= 12
    is_minor = key.mode == "minor"
    major_tonic = 7 * key.sharps % 12
    if is_minor:
        return (major_tonic + 9) % 12, True
    return major_tonic, False
