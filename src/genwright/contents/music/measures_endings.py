"""How a melody ends."""

from __future__ import annotations

import math

from genwright.contents.music.score import Key, Score
from genwright.core.content import Measure, Sample, add_measures

MELODY_VOICE = 0
FIFTH = 7  # semitones
RELATIVE_MINOR = 9  # semitones above the tonic of the major key with the same signature


def tonic_of(key: Key) -> int | None:
    """The pitch class of a key's tonic, 0 (C) to 11; None where it is neither major nor minor."""
    major = FIFTH * key.sharps % 12
    if key.mode == "major":
        return major
    if key.mode == "minor":
        return (major + RELATIVE_MINOR) % 12
    return None


def ends_on_tonic(sample: Sample) -> float:
    """1 where the last note of the first voice is the tonic of the first key, 0 where it is
    another, NaN where there is no note, no key, or a key of another mode."""
    score: Score = sample.content
    if not score.voices or not score.voices[MELODY_VOICE] or not score.keys:
        return math.nan
    last = score.voices[MELODY_VOICE][-1]
    # The first key: whoever is rewarded could write another one just before the end.
    tonic = tonic_of(score.keys[0])
    if tonic is None:
        return math.nan
    return float(last.pitch % 12 == tonic)


add_measures(
    "music",
    Measure("ends on the tonic", ends_on_tonic, "share", "near", "pieces", "of the first voice"),
)
