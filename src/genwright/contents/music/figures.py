"""Figures of sets of pieces beside each other: samples, real music, noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from genwright.contents.music import tunes
from genwright.contents.music.chords import chords
from genwright.contents.music.descriptors import (
    densities,
    descriptors,
    histograms,
    overlap,
)
from genwright.contents.music.novelty import Novelty, novelty
from genwright.contents.music.score import Score
from genwright.contents.music.voice_floors import changed
from genwright.contents.music.voice_leading import PARALLELS, cadences, marks
from genwright.core.content import Direction
from genwright.evaluation.figure import Figure

HELD_OUT = "held-out music"  # sets of real pieces
TRAINING = "training music"
SAMPLES = "samples"
NOISE = "noise"
PARALLEL_FIGURE = "parallel fifths, octaves and unisons"
DESCRIBED = {  # descriptor -> its unit
    "pitch-class entropy": "bits",
    "scale consistency": "share",
    "groove consistency": "share",
}
FAULTS = {  # figure -> the faults of voice-leading that it counts
    PARALLEL_FIGURE: PARALLELS,
    "hidden fifths": ("hidden fifth",),
    "hidden octaves": ("hidden octave",),
    "crossings": ("crossing",),
    "wide spacings": ("spacing",),
    "notes out of range": ("range",),
}
FRAMES = 64  # sixteenths, of which faults are counted

Sets = Mapping[str, Sequence[Score]]


def reference_of(sets: Sets) -> str:
    """Which set of real pieces samples are compared with: held-out ones where there are any."""
    return HELD_OUT if HELD_OUT in sets else TRAINING


def beside(
    name: str,
    values: Mapping[str, float],
    unit: str,
    count: int,
    detail: str,
    counted: str = "pieces",
    direction: Direction = "near",
) -> Figure:
    """A figure of samples, with noise as its floor and real music as its ceilings. values: set ->
    value."""
    ceilings = {kind: value for kind, value in values.items() if kind not in (SAMPLES, NOISE)}
    floors = {NOISE: values[NOISE]}
    return Figure(name, values[SAMPLES], unit, count, counted, floors, ceilings, direction, detail)


def described_figures(sets: Sets, seed: int) -> list[Figure]:
    """What pieces are like, and how much of it they share with held-out music."""
    count = len(sets[SAMPLES])
    reference = reference_of(sets)
    described = {kind: _descriptor_table(scores) for kind, scores in sets.items()}
    tables = {kind: histograms(scores) for kind, scores in sets.items()}
    # what is compared -> set -> its rows and those of the reference
    pairs: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for name in tables[SAMPLES]:
        pairs[name] = {
            kind: (table[name], tables[reference][name]) for kind, table in tables.items()
        }
    figures = []
    for name, unit in DESCRIBED.items():
        values = {kind: table[name] for kind, table in described.items()}
        known = min(np.isfinite(row).sum() for row in values.values())
        if known:
            means = {kind: float(np.nanmean(row)) for kind, row in values.items()}
            figures.append(beside(name, means, unit, count, "the mean over pieces"))
        if known > 1:
            pairs[name] = {kind: densities(row, values[reference]) for kind, row in values.items()}
    for name, compared in pairs.items():
        figures.append(_overlap_figure(name, compared, reference, count, seed))
    return figures


def _descriptor_table(scores: Sequence[Score]) -> dict[str, np.ndarray]:
    """descriptor -> its value for each piece, (pieces,)."""
    rows = [descriptors(score) for score in scores]
    return {name: np.array([row[name] for row in rows]) for name in DESCRIBED}


def _overlap_figure(
    name: str,
    compared: Mapping[str, tuple[np.ndarray, np.ndarray]],
    reference: str,
    count: int,
    seed: int,
) -> Figure:
    """The area that a distribution shares with the reference's."""
    areas = {
        kind: overlap(own, real, seed)
        for kind, (own, real) in compared.items()
        if kind != reference
    }
    _, low, high = areas[SAMPLES]
    detail = (
        f"area shared with {reference}; 95% interval {low:.1%} to {high:.1%} "
        "(bootstrap over pieces)"
    )
    means = {kind: area for kind, (area, _, _) in areas.items()}
    return beside(f"overlap of {name}", means, "share", count, detail, direction="higher")


def frames_of(score: Score) -> np.ndarray:
    """(sixteenths, voices) pitches."""
    return score.grid()[0][:: max(1, score.per_quarter // 4)]


class _Led(NamedTuple):
    """Counts over pieces of four voices. frames: sixteenths. faults: kind -> how many. changes: of
    a voice's pitch, from one frame to the next."""

    frames: int
    faults: Counter[str]
    changes: int


def _led(scores: Sequence[Score]) -> _Led:
    frames = 0
    faults: Counter[str] = Counter()
    changes = 0
    for score in scores:
        pitch = frames_of(score)
        frames += len(pitch)
        changes += int(changed(pitch).sum())
        for kind, marked in marks(pitch).items():
            faults[kind] += int(marked.sum())
    return _Led(frames, faults, changes)


def led_figures(sets: Sets) -> list[Figure]:
    """Faults of voice-leading in 64 sixteenths, how often a voice changes its note, cadences and
    triads; of four voices."""
    led = {kind: _led(scores) for kind, scores in sets.items()}
    frames = led[SAMPLES].frames
    figures = []
    for name, faults in FAULTS.items():
        values = {}
        for kind, found in led.items():
            total = sum(found.faults[fault] for fault in faults)
            values[kind] = FRAMES * total / max(1, found.frames)
        detail = "frames are sixteenths"
        figures.append(beside(name, values, "per 64 frames", frames, detail, "frames"))
    moved = {kind: found.changes / max(1, 4 * found.frames) for kind, found in led.items()}
    detail = "of a voice's frames, its pitch is new"
    figures.append(beside("note changes", moved, "share", 4 * frames, detail, "notes"))
    figures += _share_figure("authentic cadences", sets, _are_authentic, "fermatas")
    figures += _share_figure("major and minor triads", sets, _are_triads, "quarter notes")
    return figures


def _are_authentic(score: Score) -> list[bool]:
    return [end.kind == "authentic" for end in cadences(score)]


def _are_triads(score: Score) -> list[bool]:
    return [quality in ("major", "minor") for _, quality in chords(score) if quality]


def _share_figure(
    name: str, sets: Sets, judge: Callable[[Score], list[bool]], counted: str
) -> list[Figure]:
    """A share of verdicts; none where a set has no verdict."""
    verdicts: dict[str, list[bool]] = {}
    for kind, scores in sets.items():
        verdicts[kind] = list(chain.from_iterable(map(judge, scores)))
    if not all(verdicts.values()):
        return []
    shares = {kind: float(np.mean(found)) for kind, found in verdicts.items()}
    detail = f"of {counted}, by the chord of the quarter note"
    return [beside(name, shares, "share", len(verdicts[SAMPLES]), detail, counted)]


def sung_figures(sets: Sets, seed: int) -> list[Figure]:
    """The statistics of RL Tuner, of melodies."""
    tables = {}
    for kind, scores in sets.items():
        tokens = np.stack([tunes.melody_tokens(score) for score in scores])
        tables[kind] = tunes.statistics(tokens)
    real = reference_of(sets)
    figures = []
    for name in tables[SAMPLES]:
        bands = {
            kind: tunes.value_and_band(*table[name], seed=seed) for kind, table in tables.items()
        }
        _, low, high = bands[real]
        detail = (
            f"first 32 sixteenths; {real} is within {low:.4g} to {high:.4g} "
            "(95%, bootstrap over pieces)"
        )
        unit = "correlation" if name.startswith("autocorrelation") else "share"
        values = {kind: band[0] for kind, band in bands.items()}
        figures.append(beside(name, values, unit, len(sets[SAMPLES]), detail))
    return [figure for figure in figures if np.isfinite(figure.value)]


def new_figures(sets: Sets, train: Sequence[Score]) -> list[Figure]:
    """How much of a piece stands in a training piece."""
    found = _novelty_of_sets(sets, train)
    longest = {}
    alike = {}
    for kind, rows in found.items():
        longest[kind] = float(np.mean([row.bars for row in rows]))
        alike[kind] = float(np.mean([row.share for row in rows]))
    count = len(sets[SAMPLES])
    most = max(row.bars for row in found[SAMPLES])
    copied = f"note for note, transposed or not; {most} at most"
    nearest = max(found[SAMPLES], key=lambda row: row.share)
    shared = "runs of five notes of the top voice"
    if nearest.share:
        title = train[nearest.nearest].facts["title"]
        shared += f"; at most {nearest.share:.0%}, of {title}"
    name = "share of the tune in the nearest training piece"
    return [
        beside("longest run of copied bars", longest, "bars", count, copied),
        beside(name, alike, "share", count, shared),
    ]


def _novelty_of_sets(sets: Sets, train: Sequence[Score]) -> dict[str, list[Novelty]]:
    """Of each piece of every set but the training pieces. All are asked about at once: most of the
    work is to look through the training pieces."""
    asked = {kind: scores for kind, scores in sets.items() if kind != TRAINING}
    every = novelty(list(chain.from_iterable(asked.values())), train)
    found = {}
    first = 0
    for kind, scores in asked.items():
        found[kind] = every[first : first + len(scores)]
        first += len(scores)
    return found
