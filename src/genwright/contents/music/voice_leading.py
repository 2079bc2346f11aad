"""Voice-leading of four voices: each fault and where it is, a chord label a quarter note, the
cadence at each fermata.

Faults are between neighbouring frames (sixteenths, where figures are to be compared), which do not
show repeated notes. Parallel: as in `music.rules`. Hidden: soprano and bass move the same way into
a fifth or octave from another interval, the soprano by more than a tone. Crossing (of any two
voices), spacing (over an octave between neighbours above the bass) and range count at every new
pitch they hold for.
"""

from bisect import bisect_right
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np

from genwright.contents.music.descriptors import key_of
from genwright.contents.music.rules import parallel
from genwright.contents.music.score import REST, Key, Score, at, bar_of, edges, first_number
from genwright.contents.music.spelling import spell
from genwright.core.errors import GenwrightError

PAIRS = tuple(combinations(range(4), 2))
RANGES = np.array(((57, 81), (53, 74), (48, 69), (36, 64)))  # of Bach's voices
PARALLELS = ("parallel fifth", "parallel octave", "parallel unison")
FAULTS = (*PARALLELS, "hidden fifth", "hidden octave", "crossing", "spacing", "range")
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
SYMBOLS = dict(zip(CHORDS, ("", "m", "7", "dim", "m7", "m7b5", "maj7", "dim7", "aug"), strict=True))


class Found(NamedTuple):
    """A fault, heard at frame `step` in `voices` (0: the soprano), or a cadence. bar: from 1, a
    pickup is 0. beat: of the metre, from 1."""

    kind: str
    step: int
    voices: tuple[int, ...]
    bar: int
    beat: float


def marks(pitch: np.ndarray) -> dict[str, np.ndarray]:
    """(frames, 4) pitches from the soprano down, -1 for rests -> for each of FAULTS (frames, 6
    PAIRS) bool, for "range" (frames, 4). Raises GenwrightError unless there are four voices."""
    if pitch.ndim != 2 or pitch.shape[1] != 4:
        raise GenwrightError(
            f"a piece of {pitch.shape[-1]} voices has no voice-leading of four",
            "give soprano, alto, tenor and bass",
        )
    pitch = pitch.astype(int)
    past = np.concatenate([np.full((1, 4), REST), pitch])[:-1]
    upper, lower = np.array(PAIRS).T
    sounds = pitch != REST
    new = (pitch != past) & (pitch != REST)
    step = np.where(sounds & (past != REST), pitch - past, 0)
    now = pitch[:, upper] - pitch[:, lower]
    before = past[:, upper] - past[:, lower]
    fifth = abs(now) % 12 == 7
    octave = now % 12 == 0
    unison = (now == 0) & (before == 0)
    same = parallel(past[:, upper], past[:, lower], pitch[:, upper], pitch[:, lower])
    hidden = (
        ~same
        & (step[:, upper] * step[:, lower] > 0)
        & (abs(step[:, upper]) > 2)
        & (upper == 0)
        & (lower == 3)
    )
    heard = sounds[:, upper] & sounds[:, lower] & (new[:, upper] | new[:, lower])
    spaced = heard & (now > 12) & (lower - upper == 1) & (lower < 3)
    beyond = new & ((pitch < RANGES[:, 0]) | (pitch > RANGES[:, 1]))
    found = (
        same & fifth,
        same & octave & ~unison,
        same & unison,
        hidden & fifth,
        hidden & octave,
        heard & (now < 0),
        spaced,
        beyond,
    )
    return dict(zip(FAULTS, found, strict=True))


def faults(score: Score) -> list[Found]:
    """Of a piece, by time."""
    found = [
        (kind, t, column)
        for kind, mark in marks(score.grid()[0]).items()
        for t, column in np.argwhere(mark).tolist()
    ]
    voices = {kind: ((0,), (1,), (2,), (3,)) if kind == "range" else PAIRS for kind in FAULTS}
    return [
        Found(kind, t, voices[kind][column], *place(score, t))
        for kind, t, column in sorted(found, key=lambda f: f[1])
    ]


def place(score: Score, step: int) -> tuple[int, float]:
    """(bar, beat) of a step. The last beat of a pickup is the metre's last."""
    bars, (meter, size) = edges(score), bar_of(score, step)
    bar = bisect_right(bars, step) - 1
    since = step - (bars[bar] if bar else min(0, bars[1] - size))
    return first_number(score) + bar, 1 + since * meter.unit / (4 * score.per_quarter)


def chords(score: Score) -> list[tuple[int, str]]:
    """(root 0 to 11, one of CHORDS) of each quarter note, (-1, "") of silence, without regard to
    key, spelling or neighbours: what has most of the sound inside it and least outside, less a
    little for what it lacks and for a seventh, and more for its root in the bass."""
    pitch = score.grid()[0]
    names = list(CHORDS)
    parts = [
        part[part != REST]
        for part in np.split(pitch, range(score.per_quarter, len(pitch), score.per_quarter))
    ]
    weight = np.stack([np.bincount(part % 12, minlength=12) / max(len(part), 1) for part in parts])
    bass = np.array([part.min(initial=127) % 12 for part in parts])
    tones = np.stack(
        [
            np.isin((np.arange(12) - root) % 12, chord)
            for chord in CHORDS.values()
            for root in range(12)
        ]
    )
    root = np.arange(len(tones)) % 12
    seventh = tones.sum(1) > 3
    # a root that is missing counts twice
    lacks = (weight == 0) @ tones.T.astype(int) + (weight[:, root] == 0)
    best = (
        (2 * weight @ tones.T - 0.15 * lacks - 0.3 * seventh + 0.1 * (root == bass[:, None]))
        .argmax(1)
        .tolist()
    )
    return [
        (b % 12, names[b // 12]) if len(part) else (-1, "")
        for part, b in zip(parts, best, strict=True)
    ]


def labels(score: Score) -> dict[int, str]:
    """step -> the chord as musicians write it, where it changes and at fermatas, there with the
    cadence; for `music.shown.notation_svg`."""
    out = dict[int, str]()
    ends = {
        end.step // score.per_quarter: "" if end.kind == "other" else f" ({end.kind})"
        for end in cadences(score)
    }
    for quarter, (before, (root, quality)) in enumerate(pairwise([(-1, ""), *chords(score)])):
        if quality and ((root, quality) != before or quarter in ends):
            step, alter, _ = spell(
                60 + root, at(score.keys, quarter * score.per_quarter, Key(0, 0))
            )
            name = step + "b" * -alter + "#" * alter + SYMBOLS[quality]
            out[quarter * score.per_quarter] = name + ends.get(quarter, "")
    return out


def cadences(score: Score) -> list[Found]:
    """By the chord of a fermata's quarter note, the last one before it on another root, and the key
    (`key_of`) since the last fermata.
    authentic: to a major or minor chord from a major or dominant seventh chord a fifth above, or a
    diminished one a semitone below, in any key. Else plagal: from the fourth degree to the first;
    half: to a major chord on the fifth degree; other."""
    pitch = score.grid()[0]
    labels = chords(score)
    out = []
    phrase = 0
    fermatas = {
        note.start // score.per_quarter: note.start
        for voice in reversed(score.voices)
        for note in voice
        if note.fermata
    }
    for quarter, step in sorted(fermatas.items()):
        heard, (root, quality) = pitch[phrase : step + score.per_quarter], labels[quarter]
        tonic = key_of(np.bincount(heard[heard != REST] % 12, minlength=12)) % 12
        last, was = next(
            (chord for chord in labels[:quarter][::-1] if chord[0] not in (root, -1)), (root, "")
        )
        rise = (root - last) % 12
        degree = (root - tonic) % 12
        dominant = (rise == 5 and was in ("major", "dominant seventh")) or (
            rise == 1 and "diminished" in was
        )
        other = (
            "plagal"
            if (rise, degree) == (7, 0)
            else "half"
            if (degree, quality) == (7, "major")
            else "other"
        )
        kind = "authentic" if dominant and quality in ("major", "minor") else other
        out.append(Found(kind, step, (), *place(score, step)))
        phrase = step + 1
    return out
