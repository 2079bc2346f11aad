"""Measures of a piece of music (`core.content.Measure`): what it is like, what key it is in, where
its voices are led badly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genwright.contents.music.descriptors import descriptors, histograms, key_of
from genwright.contents.music.figures import DESCRIBED, FAULTS, FRAMES, frames_of
from genwright.contents.music.score import Score
from genwright.contents.music.shared import OfScores
from genwright.contents.music.voice_floors import changed
from genwright.contents.music.voice_leading import faults, marks
from genwright.core.content import Measure, Sample, add_measures

TONICS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")


def _described(scores: Sequence[Score]) -> list[dict[str, float]]:
    return [descriptors(score) for score in scores]


descriptors_of = OfScores(_described)


def described(name: str) -> Measure:
    """A descriptor of `descriptors.py`."""

    def of_all(samples: Sequence[Sample]) -> list[float]:
        return [row[name] for row in descriptors_of(samples)]

    def of(sample: Sample) -> float:
        return of_all([sample])[0]

    detail = "the mean over pieces"
    return Measure(name, of, DESCRIBED[name], counted="pieces", detail=detail, of_all=of_all)


def fault_rate(name: str) -> Measure:
    """Faults of voice-leading in 64 sixteenths, of a piece of four voices; NaN of others."""

    def of(sample: Sample) -> float:
        score: Score = sample.content
        if len(score.voices) != 4:
            return float("nan")
        grid = frames_of(score)
        found = marks(grid)
        total = sum(int(found[kind].sum()) for kind in FAULTS[name])
        return FRAMES * total / max(1, len(grid))

    return Measure(name, of, "per 64 frames", "near", "pieces", "frames are sixteenths")


def note_changes(sample: Sample) -> float:
    """The share of a voice's sixteenths at which its pitch is new."""
    grid = frames_of(sample.content)
    return float(changed(grid).mean()) if grid.size else float("nan")


def key_label(sample: Sample) -> str:
    """The key whose profile fits best ("G major"), by how long each pitch class sounds."""
    weight = np.zeros(12)
    for voice in sample.content.voices:
        for note in voice:
            weight[note.pitch % 12] += note.length
    found = key_of(weight)
    mode = "minor" if found >= 12 else "major"
    return f"{TONICS[found % 12]} {mode}"


def mode_label(sample: Sample) -> str:
    """ "major" or "minor", by the key whose profile fits best."""
    return key_label(sample).rpartition(" ")[2]


def metre_label(sample: Sample) -> str:
    """The metre that the piece begins in ("3/4"); "none" where it says none."""
    meters = sample.content.meters
    return f"{meters[0].beats}/{meters[0].unit}" if meters else "none"


def faults_by_bar(sample: Sample) -> dict[str, float]:
    """ "bar 3, soprano and alto: parallel fifth" -> 1, for each fault of four voices."""
    score: Score = sample.content
    if len(score.voices) != 4:
        return {}
    names = ("soprano", "alto", "tenor", "bass")
    found = {}
    for fault in faults(score):
        voices = " and ".join(names[voice] for voice in fault.voices)
        found[f"bar {fault.bar} beat {fault.beat:g}, {voices}: {fault.kind}"] = 1.0
    return found


def pitch_histogram(sample: Sample) -> np.ndarray:
    """(128,) shares of the notes, by MIDI pitch."""
    return histograms([sample.content])["pitch"][0]


add_measures(
    "music",
    *(described(name) for name in DESCRIBED),
    *(fault_rate(name) for name in FAULTS),
    Measure("note changes", note_changes, counted="pieces"),
    Measure("key", key_label, "", gives="label"),
    Measure("mode", mode_label, "", gives="label"),
    Measure("metre", metre_label, "", gives="label"),
    Measure("faults of voice-leading", faults_by_bar, "faults", gives="parts"),
    Measure("pitches", pitch_histogram, "share", gives="vector"),
)
