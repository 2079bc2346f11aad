"""Measures of samples as figures: a measure's mean over samples, beside its mean over real samples
and over noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from genwright.core.content import Measure, Sample, SetMeasure
from genwright.core.progress import track
from genwright.evaluation.figure import Figure


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


def measure_figures(
    measures: Mapping[str, Measure | SetMeasure],
    samples: Sequence[Sample],
    real: Sequence[Sample],
    noise: Sequence[Sample],
    split: str,
) -> list[Figure]:
    """A figure for each measure that gives numbers. split: of the real samples. Set measures
    compare half of the real samples with the other half for their ceiling."""
    figures = []
    for measure in track(list(measures.values()), "measuring samples"):
        if isinstance(measure, SetMeasure):
            figures.append(_set_figure(measure, samples, real, noise, split))
        elif measure.gives in ("number", "parts"):
            value = mean_of(measure, samples)
            ceiling = mean_of(measure, real)
            floor = mean_of(measure, noise)
            figures.append(_figure(measure, value, floor, ceiling, len(samples), split))
    return figures


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
