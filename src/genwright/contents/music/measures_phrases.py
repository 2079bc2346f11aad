"""Form of a melody as measures for rewards: bars that come again (`phrases`), and a contour that is
to be followed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydantic import Field, model_validator

from genwright.contents.music.phrases import Bar, bars_of, repeated_bars, said_twice
from genwright.contents.music.score import REST, Score
from genwright.core.content import (
    Measure,
    MeasureKind,
    Sample,
    add_measure_kinds,
    add_measures,
)
from genwright.core.registry import Settings

MELODY_VOICE = 0
SHAPES = {  # shape -> heights
    "rise": (0, 1),
    "fall": (1, 0),
    "arch": (0, 1, 2, 1, 0),
    "valley": (2, 1, 0, 1, 2),
    "waves": (0, 2, 0, 2, 0),
}
Parts = dict[tuple[int, int], float]


def phrase_repetition(sample: Sample) -> float:
    """The share of bars that stood in the piece before, and not right before; NaN of a piece of one
    bar."""
    bars = bars_of(sample.content)
    if len(bars) < 2:
        return math.nan
    return float(np.mean(repeated_bars(bars)[1:]))


def repeated_places(sample: Sample) -> Parts:
    """1 at the last note of each bar that stood in the piece before. (Not its share of all bars: a
    place's value must not depend on what comes after it, which would go without the credit.)"""
    bars = bars_of(sample.content)
    return _at_last_notes(bars, repeated_bars(bars))


def twice_places(sample: Sample) -> Parts:
    """1 at the last note of each bar that is as the one right before it: a cheap way to repeat."""
    bars = bars_of(sample.content)
    return _at_last_notes(bars, said_twice(bars))


def bar_places(sample: Sample) -> Parts:
    """1 at the last note of each bar: against rewards for bars, so that longer pieces earn no more
    than others."""
    bars = bars_of(sample.content)
    return _at_last_notes(bars, [True] * len(bars))


def _at_last_notes(bars: Sequence[Bar], marked: Sequence[bool]) -> Parts:
    found: Parts = {}
    for bar, is_marked in zip(bars, marked, strict=True):
        if is_marked:
            found[bar.last, MELODY_VOICE] = 1.0
    return found


class Contour(Settings):
    """What a melody is to follow: a shape, or steps."""

    shape: str = ""
    """rise, fall, arch, valley or waves."""
    steps: tuple[float, ...] = Field((), max_length=256)
    """How far it goes up or down from each part of the piece to the next, in any unit: 1, 1, -2."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Contour:
        if bool(self.shape) == bool(self.steps):
            raise ValueError("give a shape or steps, and not both")
        if self.shape and self.shape not in SHAPES:
            raise ValueError(f"a shape is one of {', '.join(SHAPES)}")
        if self.steps and not any(self.steps):
            raise ValueError("a contour goes up or down somewhere")
        return self

    def heights(self) -> np.ndarray:
        """(parts,) how high each part of the piece is to be."""
        if self.shape:
            return np.array(SHAPES[self.shape], float)
        return np.cumsum([0.0, *self.steps])


def part_heights(score: Score, parts: int) -> np.ndarray:
    """(parts,) the mean pitch of the first voice in each of as many equal parts of the piece; NaN
    where one is silent."""
    pitch = score.grid()[0][:, MELODY_VOICE].astype(float)
    heard = np.where(pitch == REST, np.nan, pitch)
    found = []
    for part in np.array_split(heard, parts):
        sounding = part[~np.isnan(part)]
        found.append(float(sounding.mean()) if sounding.size else math.nan)
    return np.array(found)


def contour_measure(settings: Contour) -> Measure:
    """The correlation of a piece's heights with those asked for, -1 to 1; 0 where the melody stays
    at one height, NaN where a part is silent."""
    wanted = settings.heights()
    deviation = wanted - wanted.mean()

    def of(sample: Sample) -> float:
        heights = part_heights(sample.content, len(wanted))
        if np.isnan(heights).any():
            return math.nan
        own = heights - heights.mean()
        size = float(np.linalg.norm(own) * np.linalg.norm(deviation))
        if size < 1e-9:
            return 0.0
        return float(own @ deviation) / size

    name = f"contour {settings.shape or list(settings.steps)}"
    return Measure(name, of, "correlation", "higher", "pieces", "of mean pitches of equal parts")


add_measures(
    "music",
    Measure("phrase repetition", phrase_repetition, "share", "near", "pieces", "of bars"),
    Measure("repeated bars", repeated_places, "bars", "near", "places", gives="parts"),
    Measure("bars said twice", twice_places, "bars", "near", "places", gives="parts"),
    Measure("bars", bar_places, "bars", "near", "places", gives="parts"),
)
add_measure_kinds(
    "music",
    MeasureKind("contour", Contour, contour_measure, "how well a melody follows a contour"),
)
