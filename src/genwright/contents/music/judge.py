"""What recognises attributes of pieces that only the data say (collection, composer, type) in
pieces that a model made: linear classifiers over short runs of notes.

A piece is words of these kinds: its metres; how many voices it has; of each voice how low and high
it goes, runs of one to three notes by their steps and lengths, the rhythm of each bar. Facts and
key signatures, which a sample may have been given, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from genwright.contents.music.known import examples, known
from genwright.contents.music.likeness import contour_of
from genwright.contents.music.score import Note, Score, edges
from genwright.core.content import Sample
from genwright.core.dataset import Dataset
from genwright.core.groups import Judge
from genwright.data.hashed_classifier import Features, features_of_words
from genwright.evaluation.linear_judge import Described, linear_judges

LONGEST = 3  # notes of a run


def judges(dataset: Dataset, attributes: Sequence[str]) -> dict[str, Judge]:
    """A judge of each of these attributes that can be recognised."""
    train = known(dataset, "train", attributes)
    held_out = known(dataset, "held_out", attributes)

    def of_split(split: str, numbers: np.ndarray) -> Features:
        return _of_samples(examples(dataset, split, numbers.tolist()))

    described = Described(of_split, _of_samples, "runs of notes and rhythms of bars")
    return linear_judges(train, held_out, attributes, described)


def _of_samples(samples: Sequence[Sample]) -> Features:
    return features_of_words(words_of(sample.content) for sample in samples)


def words_of(score: Score) -> Iterator[str]:
    """The words that a piece is described by; none of a piece without a note."""
    sounding = [voice for voice in score.voices if voice]
    if not sounding:
        return
    yield f"voices {len(sounding)}"
    for meter in score.meters:
        yield f"metre {meter.beats}/{meter.unit}"
    bars = edges(score)
    for voice in sounding:
        pitches = [note.pitch for note in voice]
        yield f"low {min(pitches)}"
        yield f"high {max(pitches)}"
        yield from _runs(voice, score.per_quarter)
        yield from _rhythms(voice, bars)


def _runs(voice: Sequence[Note], per_quarter: int) -> Iterator[str]:
    """Runs of notes, transposition left out."""
    steps = [
        f"{semitones}:{length / per_quarter:g}:{gap / per_quarter:g}"
        for semitones, length, gap in contour_of(voice)
    ]
    for size in range(1, LONGEST + 1):
        for start in range(len(steps) - size + 1):
            yield " ".join(steps[start : start + size])


def _rhythms(voice: Sequence[Note], bars: Sequence[int]) -> Iterator[str]:
    """Where in each bar notes begin."""
    starts = np.array(sorted({note.start for note in voice}))
    for first, end in zip(bars, bars[1:], strict=False):
        inside = starts[(starts >= first) & (starts < end)] - first
        yield f"bar {end - first}: {' '.join(map(str, inside.tolist()))}"
