"""The chord of each quarter note, by what sounds in it, without regard to key, spelling or
neighbours."""

from functools import cache
from typing import NamedTuple

import numpy as np

from genwright.contents.music.score import REST, Score

CHORDS = {  # semitones over the root, what is common first
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "dominant seventh": (0, 4, 7, 10),
    "diminished": (0, 3, 6),
    "minor seventh": (0, 3, 7, 10),
    "half-diminished": (0, 3, 6, 10),
    "major seventh": (0, 4, 7, 11),
    "diminished seventh": (0, 3, 6, 9),
    "augmented": (0, 4, 8),
}
SYMBOLS = {
    "major": "",
    "minor": "m",
    "dominant seventh": "7",
    "diminished": "dim",
    "minor seventh": "m7",
    "half-diminished": "m7b5",
    "major seventh": "maj7",
    "diminished seventh": "dim7",
    "augmented": "aug",
}
# How a chord is scored: sound inside it counts twice what is outside, less or more for
LACKING = 0.15  # each of its tones that does not sound; a root counts twice
SEVENTH = 0.3  # having four tones
ROOT_IN_BASS = 0.1


class Chord(NamedTuple):
    """root: a pitch class, 0 to 11; quality: one of CHORDS. (-1, "") is silence."""

    root: int
    quality: str


SILENCE = Chord(-1, "")


def chords(score: Score) -> list[Chord]:
    """The chord of each quarter note: what has most of the sound inside it and least outside, less
    a little for what it lacks and for a seventh, and more for its root in the bass."""
    pitch, _ = score.grid()  # (steps, voices)
    every_quarter = range(score.per_quarter, len(pitch), score.per_quarter)
    quarters = [quarter[quarter != REST] for quarter in np.split(pitch, every_quarter)]
    # (quarters, 12) how much of the sound each pitch class has
    weight = np.stack(
        [np.bincount(heard % 12, minlength=12) / max(len(heard), 1) for heard in quarters]
    )
    bass = np.array([heard.min(initial=127) % 12 for heard in quarters])  # (quarters,)

    tones = _tones()  # (chords, 12)
    root = np.arange(len(tones)) % 12
    has_seventh = tones.sum(1) > 3
    silent = weight == 0
    lacking = silent @ tones.T.astype(int) + silent[:, root]  # (quarters, chords)
    points = 2 * weight @ tones.T - LACKING * lacking - SEVENTH * has_seventh
    points = points + ROOT_IN_BASS * (root == bass[:, None])
    best = points.argmax(1).tolist()

    names = list(CHORDS)
    found = []
    for heard, chord in zip(quarters, best, strict=True):
        quality, chord_root = divmod(chord, 12)
        found.append(Chord(chord_root, names[quality]) if len(heard) else SILENCE)
    return found


@cache
def _tones() -> np.ndarray:
    """(chords, 12) bool: the pitch classes of each of CHORDS on each root. Made once."""
    rows = []
    for intervals in CHORDS.values():
        for root in range(12):
            over_root = (np.arange(12) - root) % 12
            rows.append(np.isin(over_root, intervals))
    tones = np.stack(rows)
    tones.flags.writeable = False
    return tones
