"""RL Tuner's rules as measures of a melody, step by step (`tune_rules`), and its statistics as
measures of one piece (`tunes`). All are of the first 32 sixteenths, in C major or A minor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genwright.contents.music.score import Score
from genwright.contents.music.shared import OfScores
from genwright.contents.music.tune_rules import rules
from genwright.contents.music.tunes import (
    Statistic,
    melody_steps,
    melody_tokens,
    statistics,
)
from genwright.core.content import Direction, Measure, Sample, add_measures

RULES = (
    "key",
    "tonic",
    "repeating",
    "autocorrelation",
    "motif",
    "repeated motif",
    "preferred intervals",
    "leaps",
    "unique highest",
    "unique lowest",
)
SUM = "sum"  # of all rules
STATISTICS = (
    "repeated",
    "not in key",
    "in motif",
    "in repeated motif",
    "starts with tonic",
    "starts with tonic of any octave",
    "unique highest",
    "unique lowest",
    "leaps resolved",
    "autocorrelation, lag 1",
    "autocorrelation, lag 2",
    "autocorrelation, lag 3",
)
MELODY_VOICE = 0
Parts = dict[tuple[int, int], float]  # (step of the score's grid, voice) -> what it earns


def _strings(scores: Sequence[Score]) -> np.ndarray:
    return np.stack([melody_tokens(score) for score in scores])


def _earned(scores: Sequence[Score]) -> dict[str, np.ndarray]:
    """rule -> (pieces, steps); and their sum."""
    found = rules(_strings(scores))
    total = np.stack(list(found.values())).sum(0)
    return found | {SUM: total}


def _steps(scores: Sequence[Score]) -> np.ndarray:
    return np.stack([melody_steps(score) for score in scores])


def _statistics(scores: Sequence[Score]) -> dict[str, Statistic]:
    return statistics(_strings(scores))


earned_of = OfScores(_earned)
steps_of = OfScores(_steps)
statistics_of = OfScores(_statistics)


def rule_measure(rule: str) -> Measure:
    """What a rule gives each step that it has anything for."""

    def of_all(samples: Sequence[Sample]) -> list[Parts]:
        if not samples:
            return []
        values = earned_of(samples)[rule]  # (pieces, steps)
        steps = steps_of(samples)
        return [_parts(*row) for row in zip(values, steps, strict=True)]

    def of(sample: Sample) -> Parts:
        return of_all([sample])[0]

    direction: Direction = "near" if rule == SUM else "higher"
    return Measure(
        f"RL Tuner {rule}",
        of,
        "points",
        direction,
        "steps",
        "first 32 sixteenths",
        gives="parts",
        of_all=of_all,
    )


def _parts(values: np.ndarray, steps: np.ndarray) -> Parts:
    """values, steps: (32,) what a step earns, and where it lies in the score."""
    found: Parts = {}
    for place in np.flatnonzero(values):
        found[int(steps[place]), MELODY_VOICE] = float(values[place])
    return found


def statistic_measure(name: str) -> Measure:
    """A statistic of one piece; NaN where it has nothing to count (no leap)."""

    def of_all(samples: Sequence[Sample]) -> list[float]:
        if not samples:
            return []
        counted, out_of = statistics_of(samples)[name]
        shares = np.where(out_of > 0, counted / np.maximum(out_of, 1), np.nan)
        return shares.tolist()

    def of(sample: Sample) -> float:
        return of_all([sample])[0]

    unit = "correlation" if name.startswith("autocorrelation") else "share"
    return Measure(name, of, unit, "near", "pieces", "first 32 sixteenths", of_all=of_all)


def measures() -> list[Any]:
    """All of this file."""
    found = [rule_measure(rule) for rule in (*RULES, SUM)]
    return found + [statistic_measure(name) for name in STATISTICS]


add_measures("music", *measures())
