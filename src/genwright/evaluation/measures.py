"""Measures of samples as figures, each beside what real samples and noise reach:

1. of a number, or of numbers at parts: its mean;
2. of a label: the total variation between how often samples and real ones have each label;
3. of a vector: the distance between the means of samples and of real ones;
4. of a set measure: what it says itself.

What compares with real samples (2 to 4) has half of them as its reference; the other half, compared
with the same, is the ceiling.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from genwright.core.content import Measure, Sample, SetMeasure
from genwright.core.progress import track
from genwright.evaluation.figure import Figure

LISTED = 8  # labels whose shares are said


def values_of(measure: Measure, samples: Sequence[Sample]) -> list[float]:
    """What a measure gives of each sample: its number, or the mean over its parts. What says
    nothing (NaN, no parts) is left out."""
    found = []
    for sample in samples:
        value = measure.of(sample)
        if measure.gives == "parts":
            numbers = [float(number) for number in value.values()]
            value = sum(numbers) / len(numbers) if numbers else math.nan
        if not math.isnan(value):
            found.append(float(value))
    return found


def mean_of(measure: Measure, samples: Sequence[Sample]) -> float:
    """Its mean over samples; NaN where it says nothing about any of them."""
    values = values_of(measure, samples)
    return math.fsum(values) / len(values) if values else math.nan


def labels_of(measure: Measure, samples: Sequence[Sample]) -> list[str]:
    """The labels that a measure gives; what says nothing (None, NaN) is left out."""
    given = [measure.of(sample) for sample in samples]
    return [str(label) for label in given if label is not None and label == label]


def vectors_of(measure: Measure, samples: Sequence[Sample]) -> np.ndarray:
    """(n, width) float64, the vectors that a measure gives; what says nothing (a NaN in it) is left
    out. (0, 0) where none is left."""
    given = [np.asarray(measure.of(sample), np.float64).ravel() for sample in samples]
    finite = [vector for vector in given if np.isfinite(vector).all()]
    return np.stack(finite) if finite else np.zeros((0, 0))


def shares_of(labels: Sequence[str]) -> dict[str, float]:
    """Label -> share of the labels, the commonest first."""
    counts = Counter(labels)
    return {label: count / len(labels) for label, count in counts.most_common()}


def total_variation(some: Sequence[str], others: Sequence[str]) -> float:
    """Half the sum of |share in one - share in the other| over all labels: 0 where they are as
    often, 1 where no label is in both. NaN where there are no labels."""
    if not some or not others:
        return math.nan
    ours = shares_of(some)
    theirs = shares_of(others)
    labels = {*ours, *theirs}
    return math.fsum(abs(ours.get(x, 0.0) - theirs.get(x, 0.0)) for x in labels) / 2


def mean_distance(some: np.ndarray, others: np.ndarray) -> float:
    """The Euclidean distance between the means of vectors (n, width) and (m, width); NaN where
    there are none."""
    if not len(some) or not len(others):
        return math.nan
    return float(np.linalg.norm(some.mean(0) - others.mean(0)))


def measure_figures(
    measures: Mapping[str, Measure | SetMeasure],
    samples: Sequence[Sample],
    real: Sequence[Sample],
    noise: Sequence[Sample],
    split: str,
) -> list[Figure]:
    """A figure for each measure; none for labels and vectors where there is nothing real to compare
    with. split: of the real samples."""
    figures = []
    for measure in track(list(measures.values()), "measuring samples"):
        if isinstance(measure, SetMeasure):
            figures.append(_set_figure(measure, samples, real, noise, split))
        elif measure.gives in ("number", "parts"):
            value = mean_of(measure, samples)
            ceiling = mean_of(measure, real)
            floor = mean_of(measure, noise)
            figures.append(_figure(measure, value, floor, ceiling, len(samples), split))
        elif len(real):
            if measure.gives == "label":
                compared = _of_labels(measure, samples, real)
            else:
                compared = _of_vectors(measure)
            figure = _set_figure(compared, samples, real, noise, split)
            if not math.isnan(figure.value):
                figures.append(figure)
    return figures


def _of_labels(measure: Measure, samples: Sequence[Sample], real: Sequence[Sample]) -> SetMeasure:
    """How differently samples and real ones are labelled, as a measure of sets."""

    def apart(some: Sequence[Sample], others: Sequence[Sample]) -> float:
        return total_variation(labels_of(measure, some), labels_of(measure, others))

    ours = _listed(labels_of(measure, samples))
    theirs = _listed(labels_of(measure, real))
    shares = f"samples: {ours}; real: {theirs}"
    return _compared(measure, apart, "total variation", "share", shares)


def _of_vectors(measure: Measure) -> SetMeasure:
    """How far the mean of samples is from that of real ones, as a measure of sets."""

    def apart(some: Sequence[Sample], others: Sequence[Sample]) -> float:
        return mean_distance(vectors_of(measure, some), vectors_of(measure, others))

    return _compared(measure, apart, "distance of means", measure.unit, "Euclidean")


def _compared(
    measure: Measure,
    apart: Callable[[Sequence[Sample], Sequence[Sample]], float],
    what: str,
    unit: str,
    detail: str,
) -> SetMeasure:
    """what: is measured between the sets. detail: beside the measure's own."""
    details = "; ".join(filter(None, [measure.detail, detail]))
    name = f"{measure.name}: {what}"
    return SetMeasure(name, apart, unit, "lower", measure.counted, details)


def _listed(labels: Sequence[str]) -> str:
    """The commonest labels with their shares: "cat 60%, dog 40%"."""
    shares = shares_of(labels)
    listed = [f"{label} {share:.0%}" for label, share in list(shares.items())[:LISTED]]
    if len(shares) > LISTED:
        listed.append(f"and {len(shares) - LISTED:,} more")
    return ", ".join(listed) or "none"


def _set_figure(
    measure: SetMeasure,
    samples: Sequence[Sample],
    real: Sequence[Sample],
    noise: Sequence[Sample],
    split: str,
) -> Figure:
    reference = real[::2]
    others = real[1::2]
    value = measure.of(samples, reference)
    floor = measure.of(noise, reference)
    ceiling = measure.of(others, reference) if others else math.nan
    return _figure(measure, value, floor, ceiling, len(samples), split)


def _figure(
    measure: Measure | SetMeasure,
    value: float,
    floor: float,
    ceiling: float,
    count: int,
    split: str,
) -> Figure:
    real = "held-out data" if split == "held_out" else "training data"
    if isinstance(measure, Measure) and measure.floor == "none":
        floor = math.nan
    return Figure(
        measure.name,
        value,
        measure.unit,
        count,
        measure.counted,
        {} if math.isnan(floor) else {"noise": floor},
        {} if math.isnan(ceiling) else {real: ceiling},
        measure.direction,
        measure.detail,
    )
