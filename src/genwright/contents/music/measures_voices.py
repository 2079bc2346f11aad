"""Voice-leading and harmony of four voices as measures for rewards: each fault where it is, how
phrases end, which chords follow each other.

A place is (step of the score's grid, voice; 0 is the soprano). A fault stands at the lower of its
two voices, which a codec of rows writes last, so that the token there is the one that completes it.
What is asked of a piece that has not four voices is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from genwright.contents.music.figures import frames_of
from genwright.contents.music.progressions import ChordChange, chord_changes
from genwright.contents.music.score import REST, Score
from genwright.contents.music.shared import OfScores
from genwright.contents.music.voice_leading import (
    BASS,
    FAULTS,
    PAIRS,
    PARALLELS,
    cadences,
    marks,
)
from genwright.core.content import Direction, Measure, Sample, add_measures

Parts = dict[tuple[int, int], float]
NOTHING: Parts = {(0, 0): math.nan}  # of a piece without four voices
KINDS = {kind: (kind,) for kind in FAULTS} | {"parallels": PARALLELS}  # measure -> faults
LOWER = np.array([lower for _, lower in PAIRS])
ENDINGS = {"authentic": 1.0, "half": 0.0, "plagal": 0.0, "other": -1.0}


def has_four_voices(score: Score) -> bool:
    """Whether there is voice-leading to speak of."""
    return len(score.voices) == 4


def _marked(scores: Sequence[Score]) -> list[dict[str, np.ndarray] | None]:
    """`marks` of the sixteenths of each piece; None where it has not four voices."""
    return [marks(frames_of(score)) if has_four_voices(score) else None for score in scores]


marks_of = OfScores(_marked)


def fault_measure(name: str, kinds: Iterable[str]) -> Measure:
    """Faults of these kinds: at each place how many are completed there."""

    def of_all(samples: Sequence[Sample]) -> list[Parts]:
        found = []
        for sample, marked in zip(samples, marks_of(samples), strict=True):
            if marked is None:
                found.append(dict(NOTHING))
            else:
                found.append(_located(sample.content, marked, kinds))
        return found

    return _of_parts(name, of_all, "faults", "lower")


def _located(score: Score, marked: dict[str, np.ndarray], kinds: Iterable[str]) -> Parts:
    """(step, voice) -> faults. marked: of the sixteenths."""
    each = max(1, score.per_quarter // 4)  # steps of a frame
    found: Parts = {}
    for kind in kinds:
        for frame, column in np.argwhere(marked[kind]).tolist():
            voice = column if kind == "range" else int(LOWER[column])
            place = (frame * each, voice)
            found[place] = found.get(place, 0.0) + 1.0
    return found


def _of_parts(
    name: str,
    of_all: Callable[[Sequence[Sample]], list[Parts]],
    unit: str,
    direction: Direction,
    detail: str = "",
) -> Measure:
    def of(sample: Sample) -> Parts:
        return of_all([sample])[0]

    return Measure(name, of, unit, direction, "places", detail, gives="parts", of_all=of_all)


# ---- the ends of phrases


def cadence_points(samples: Sequence[Sample]) -> list[Parts]:
    """Where a fermata begins, in the bass: 1 for an authentic cadence, -1 for none that has a name,
    0 for a half or plagal one."""
    return [_at_fermatas(sample.content, ENDINGS) for sample in samples]


def phrase_ends(samples: Sequence[Sample]) -> list[Parts]:
    """1 where a fermata begins, in the bass."""
    return [_at_fermatas(sample.content, dict.fromkeys(ENDINGS, 1.0)) for sample in samples]


def _at_fermatas(score: Score, points: Mapping[str, float]) -> Parts:
    """points: of each kind of cadence."""
    if not has_four_voices(score):
        return dict(NOTHING)
    return {(end.step, BASS): points[end.kind] for end in cadences(score)}


def rests(samples: Sequence[Sample]) -> list[Parts]:
    """1 at each sixteenth in which a voice rests. Voices that rest make no faults."""
    found: list[Parts] = []
    for sample in samples:
        score: Score = sample.content
        if not has_four_voices(score):
            found.append(dict(NOTHING))
            continue
        each = max(1, score.per_quarter // 4)  # steps of a frame
        silent = np.argwhere(frames_of(score) == REST).tolist()
        found.append({(frame * each, voice): 1.0 for frame, voice in silent})
    return found


def authentic_share(sample: Sample) -> float:
    """The share of fermatas that are authentic cadences; NaN without a fermata."""
    score: Score = sample.content
    if not has_four_voices(score):
        return math.nan
    kinds = [end.kind for end in cadences(score)]
    if not kinds:
        return math.nan
    return kinds.count("authentic") / len(kinds)


def fermatas_per_64(sample: Sample) -> float:
    """Fermatas in 64 sixteenths, those of several voices at once being one: a piece that is
    rewarded for its cadences may make too many of them, or none."""
    score: Score = sample.content
    frames = frames_of(score)
    if not has_four_voices(score) or not len(frames):
        return math.nan
    return 64 * len(cadences(score)) / len(frames)


# ---- chords


def _judged(scores: Sequence[Score]) -> list[list[ChordChange]]:
    """The chord changes of each piece that the table says anything about."""
    return [[change for change in chord_changes(score) if change.judged] for score in scores]


judged_of = OfScores(_judged)


def common_shares(samples: Sequence[Sample]) -> list[float]:
    """The share of chord changes between degrees of the key that are common practice."""
    found = []
    for changes in judged_of(samples):
        common = [change.common for change in changes]
        found.append(float(np.mean(common)) if common else math.nan)
    return found


def common_share(sample: Sample) -> float:
    """`common_shares` of one piece."""
    return common_shares([sample])[0]


def uncommon_changes(samples: Sequence[Sample]) -> list[Parts]:
    """1 at each chord change between degrees of the key that is none of common practice, where it
    is heard whole, in the lowest voice."""
    found = []
    for sample, changes in zip(samples, judged_of(samples), strict=True):
        score: Score = sample.content
        lowest = max(0, len(score.voices) - 1)
        found.append({(change.step, lowest): 1.0 for change in changes if not change.common})
    return found


CHORD_DETAIL = "by Piston's table of usual root progressions"
add_measures(
    "music",
    *(fault_measure(name, kinds) for name, kinds in KINDS.items()),
    _of_parts("cadence points", cadence_points, "points", "near", "authentic 1, no cadence -1"),
    _of_parts("phrase ends", phrase_ends, "fermatas", "near"),
    _of_parts("rests", rests, "sixteenths", "near", "in which a voice rests"),
    Measure("authentic cadences", authentic_share, "share", "near", "pieces", "of fermatas"),
    Measure("fermatas", fermatas_per_64, "per 64 frames", "near", "pieces"),
    Measure(
        "common chord changes",
        common_share,
        "share",
        "near",
        "pieces",
        CHORD_DETAIL,
        of_all=common_shares,
    ),
    _of_parts("uncommon chord changes", uncommon_changes, "changes", "lower", CHORD_DETAIL),
)
