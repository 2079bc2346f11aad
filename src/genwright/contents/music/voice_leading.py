"""Voice-leading of four voices: each fault and where it is, and the cadence at each fermata.

Faults are between neighbouring frames (sixteenths, where figures are to be compared), which do not
show repeated notes. Parallel: as in `rules`. Hidden: soprano and bass move the same way into a
fifth or octave from another interval, the soprano by more than a tone. Crossing (of any two
voices), spacing (over an octave between neighbours above the bass) and range count at every new
pitch they hold for. Chords are those of `chords`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from genwright.contents.music.chords import SYMBOLS, Chord, chords
from genwright.contents.music.descriptors import key_of
from genwright.contents.music.rules import parallel
from genwright.contents.music.score import REST, Key, Score, at, bar_of, edges, first_number
from genwright.contents.music.spelling import spell
from genwright.core.errors import GenwrightError

SOPRANO = 0
BASS = 3
PAIRS = tuple(combinations(range(4), 2))  # (upper, lower) voices
RANGES = np.array(((57, 81), (53, 74), (48, 69), (36, 64)))  # of Bach's voices
TONE = 2  # semitones
FIFTH = 7
OCTAVE = 12
PARALLELS = ("parallel fifth", "parallel octave", "parallel unison")
FAULTS = (*PARALLELS, "hidden fifth", "hidden octave", "crossing", "spacing", "range")


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
    past = np.concatenate([np.full((1, 4), REST), pitch])[:-1]  # (frames, 4) the frame before
    sounds = pitch != REST
    is_new = sounds & (pitch != past)  # (frames, 4)

    # of pairs of voices: (frames, 6)
    upper, lower = np.array(PAIRS).T
    interval = pitch[:, upper] - pitch[:, lower]
    past_interval = past[:, upper] - past[:, lower]
    is_fifth = abs(interval) % OCTAVE == FIFTH
    is_octave = interval % OCTAVE == 0
    is_unison = (interval == 0) & (past_interval == 0)
    is_parallel = parallel(past[:, upper], past[:, lower], pitch[:, upper], pitch[:, lower])
    is_hidden = ~is_parallel & _hidden(pitch, past)
    both_sound = sounds[:, upper] & sounds[:, lower]
    one_is_new = is_new[:, upper] | is_new[:, lower]
    heard = both_sound & one_is_new
    neighbours = (lower - upper == 1) & (lower < BASS)
    out_of_range = (pitch < RANGES[:, 0]) | (pitch > RANGES[:, 1])
    return {
        "parallel fifth": is_parallel & is_fifth,
        "parallel octave": is_parallel & is_octave & ~is_unison,
        "parallel unison": is_parallel & is_unison,
        "hidden fifth": is_hidden & is_fifth,
        "hidden octave": is_hidden & is_octave,
        "crossing": heard & (interval < 0),
        "spacing": heard & (interval > OCTAVE) & neighbours,
        "range": is_new & out_of_range,
    }


def _hidden(pitch: np.ndarray, past: np.ndarray) -> np.ndarray:
    """(frames, 6 PAIRS) bool: soprano and bass move the same way, the soprano by more than a tone.

    pitch, past: (frames, 4) of each frame and of the one before."""
    sounds_on = (pitch != REST) & (past != REST)
    motion = np.where(sounds_on, pitch - past, 0)  # (frames, 4) semitones
    upper, lower = np.array(PAIRS).T
    same_way = motion[:, upper] * motion[:, lower] > 0
    by_leap = abs(motion[:, upper]) > TONE
    outer = (upper == SOPRANO) & (lower == BASS)
    return same_way & by_leap & outer


def faults(score: Score) -> list[Found]:
    """The faults of a piece, by time."""
    pitch, _ = score.grid()
    found = []
    for kind, marked in marks(pitch).items():
        for step, column in np.argwhere(marked).tolist():
            voices = (column,) if kind == "range" else PAIRS[column]
            found.append(Found(kind, step, voices, *place(score, step)))
    return sorted(found, key=lambda fault: fault.step)


def place(score: Score, step: int) -> tuple[int, float]:
    """(bar, beat) of a step. The last beat of a pickup is the metre's last."""
    bars = edges(score)
    meter, whole_bar = bar_of(score, step)
    bar = bisect_right(bars, step) - 1
    begins = bars[bar]
    if bar == 0:  # a pickup is the end of a bar
        begins = min(0, bars[1] - whole_bar)
    beat = 1 + (step - begins) * meter.unit / (4 * score.per_quarter)
    return first_number(score) + bar, beat


def labels(score: Score) -> dict[int, str]:
    """step -> the chord as musicians write it, where it changes and at fermatas, there with the
    cadence; for `engraving.notation_svg`."""
    kinds = {end.step // score.per_quarter: end.kind for end in cadences(score)}  # by quarter note
    written: dict[int, str] = {}
    before = Chord(-1, "")
    for quarter, chord in enumerate(chords(score)):
        changes = chord != before
        before = chord
        if not chord.quality or not (changes or quarter in kinds):
            continue
        step = quarter * score.per_quarter
        label = _chord_name(chord, at(score.keys, step, Key(0, 0)))
        kind = kinds.get(quarter, "other")
        if kind != "other":
            label += f" ({kind})"
        written[step] = label
    return written


def _chord_name(chord: Chord, key: Key) -> str:
    """Bbm7, spelled near the key."""
    letter, alter, _ = spell(60 + chord.root, key)
    accidental = "#" * alter if alter > 0 else "b" * -alter
    return letter + accidental + SYMBOLS[chord.quality]


def cadences(score: Score) -> list[Found]:
    """The cadence at each fermata: by the chord of its quarter note, the last one before it on
    another root, and the key (`key_of`) since the last fermata.

    authentic: to a major or minor chord from a major or dominant seventh chord a fifth above, or a
    diminished one a semitone below, in any key. Else plagal: from the fourth degree to the first;
    half: to a major chord on the fifth degree; other."""
    pitch, _ = score.grid()  # (steps, 4)
    piece_chords = chords(score)
    found = []
    phrase = 0  # the step at which it begins
    for quarter, step in sorted(_fermatas(score).items()):
        heard = pitch[phrase : step + score.per_quarter]
        weight = np.bincount(heard[heard != REST] % 12, minlength=12)
        tonic = key_of(weight) % 12
        kind = _cadence_kind(piece_chords[: quarter + 1], tonic)
        found.append(Found(kind, step, (), *place(score, step)))
        phrase = step + 1
    return found


def _fermatas(score: Score) -> dict[int, int]:
    """Quarter note -> the step of a fermata in it; of several voices the highest one's."""
    fermatas = {}
    for voice in reversed(score.voices):
        for note in voice:
            if note.fermata:
                fermatas[note.start // score.per_quarter] = note.start
    return fermatas


def _cadence_kind(heard: Sequence[Chord], tonic: int) -> str:
    """See `cadences`. heard: chords up to that of the fermata, which is the last."""
    final = heard[-1]
    before = Chord(final.root, "")
    for chord in heard[-2::-1]:
        if chord.root not in (final.root, -1):
            before = chord
            break
    rise = (final.root - before.root) % 12
    degree = (final.root - tonic) % 12
    from_dominant = rise == 5 and before.quality in ("major", "dominant seventh")
    from_leading_tone = rise == 1 and "diminished" in before.quality
    if (from_dominant or from_leading_tone) and final.quality in ("major", "minor"):
        return "authentic"
    if rise == 7 and degree == 0:
        return "plagal"
    if degree == 7 and final.quality == "major":
        return "half"
    return "other"
