"""The attribute group `score` and the rule set `scores`: pieces that are too short, nearly empty,
on one pitch, at an absurd tempo, or of too many notes at once.

    filters: [scores]
    filters: [{scores: {short: 16, dense: null}}]      # other bounds, or none

A piece without any note is not read at all, and is named. The bounds are this program's: wide ones,
which files break that hold a click track, a test of a sound card, or a recording that a program
turned into notes.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from genwright.contents.music.documents import score_of
from genwright.contents.music.score import Score, notes_of
from genwright.contents.music.tune_shingles import GRID
from genwright.core.corpus import Attributes, Column, Rule, RuleSet, add_attributes, add_rules
from genwright.core.registry import Settings

KIND = "music"  # of corpora
COLUMNS = (
    Column("quarters", unit="quarter notes", detail="of length"),
    Column("notes", detail="in all voices together"),
    Column("pitches", detail="that differ"),
    Column("silence", unit="share", detail="of the time, in which no voice sounds"),
    Column("slowest", unit="quarter notes a minute", detail="of all tempos"),
    Column("fastest", unit="quarter notes a minute", detail="of all tempos"),
    Column("voices"),
    Column("density", unit="notes a quarter note", detail="of all voices together"),
)
SOURCE = "this program's own bounds"


class ScoreBounds(Settings):
    """The bounds of the rule set `scores`; null: no such rule."""

    short: float | None = Field(8, ge=0)
    """Quarter notes of a piece, at least."""
    few: float | None = Field(8, ge=0)
    """Notes, at least."""
    monotone: float | None = Field(3, ge=0)
    """Pitches that differ, at least."""
    empty: float | None = Field(0.5, ge=0, le=1)
    """Share of the time in which nothing sounds, at most."""
    slow: float | None = Field(20, ge=0)
    """Quarter notes a minute at the slowest tempo, at least."""
    fast: float | None = Field(400, ge=0)
    """Quarter notes a minute at the fastest tempo, at most."""
    voices: float | None = Field(32, ge=1)
    """Voices, at most."""
    dense: float | None = Field(32, ge=0)
    """Notes a quarter note, of all voices together, at most."""


def scores(bounds: ScoreBounds) -> RuleSet:
    """The set with these bounds."""
    rules = (
        Rule("scores.short", "quarters", bounds.short, detail="it is no fragment"),
        Rule("scores.few", "notes", bounds.few, detail="it has some notes"),
        Rule("scores.monotone", "pitches", bounds.monotone, detail="it moves"),
        Rule("scores.empty", "silence", None, bounds.empty, "something sounds most of the time"),
        Rule("scores.slow", "slowest", bounds.slow, detail="its tempo can be played"),
        Rule("scores.fast", "fastest", None, bounds.fast, "its tempo can be played"),
        Rule("scores.voices", "voices", None, bounds.voices, "no more voices than an orchestra"),
        Rule("scores.dense", "density", None, bounds.dense, "no more notes than can be heard"),
    )
    bounded = [rule for rule in rules if (rule.at_least, rule.at_most) != (None, None)]
    return RuleSet("scores", tuple(bounded), ("score",), SOURCE)


def measured(documents: Sequence[bytes]) -> dict[str, Any]:
    """Name of a column -> (documents,) float64; NaN for what is no music."""
    rows = [_row(data) for data in documents]
    table = np.array(rows, np.float64).reshape(-1, len(COLUMNS))
    return {column.name: table[:, place] for place, column in enumerate(COLUMNS)}


def _row(data: bytes) -> list[float]:
    """The values of one piece."""
    try:
        score, _ = score_of(data, GRID)
    except Exception:  # readers trip over damaged data in many ways
        return [np.nan] * len(COLUMNS)
    notes = notes_of(score)
    quarters = score.length / score.per_quarter
    tempos = [score.tempo, *(tempo.per_minute for tempo in score.tempos)]
    return [
        quarters,
        len(notes),
        len({note.pitch for note in notes}),
        silence(score),
        min(tempos),
        max(tempos),
        len(score.voices),
        len(notes) / quarters if quarters else np.nan,
    ]


def silence(score: Score) -> float:
    """The share of the steps of a piece in which no voice sounds; NaN for a piece of none."""
    if not score.length:
        return float("nan")
    edges = np.zeros(score.length + 1, np.int64)
    for note in notes_of(score):
        edges[min(note.start, score.length)] += 1
        edges[min(note.start + note.length, score.length)] -= 1
    sounding = np.cumsum(edges[:-1]) > 0  # (steps,)
    return float(1 - sounding.mean())


add_attributes(KIND, Attributes("score", COLUMNS, measured))
add_rules(KIND, RuleSet("scores", (), (), SOURCE, settings=ScoreBounds, make=scores))
