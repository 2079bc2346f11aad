"""A measure of pictures that takes settings: the probability of an attribute's value, by a
classifier of the project's own.

The classifier learns the attributes of the training pictures of a run, once (about a minute), and
is kept in the cache; it is a function of those pictures (`evaluation/features.py`). It has a seed
of its own: `evaluate` names what pictures show by another one, which has learned nothing of what
this one can be made to believe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from pydantic import Field
from torch import Tensor

from genwright.contents.images.data import picture_data
from genwright.contents.images.measures import pictures_of
from genwright.core.attributes import spans
from genwright.core.content import Measure, MeasureKind, Sample, add_measure_kinds
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import Settings
from genwright.evaluation.features import Extractor, extractor

SEED = 1  # of the classifier; `evaluate` has that of seed 0


class RecognisedSettings(Settings):
    """Settings of the measure `recognised`."""

    run: str = Field(min_length=1)
    """The folder of a run; the classifier learns what is known of its training pictures."""
    attribute: str = Field(min_length=1)
    """Which attribute of them."""
    value: str = ""
    """Which value; "": those that each picture was asked for."""


def recognised_measure(settings: RecognisedSettings) -> Measure:
    """The probability that a picture has a value of an attribute. Raises GenwrightError where the
    run has no such pictures."""
    classifier, shape = classifier_of(settings)
    columns = spans(classifier.attributes)[settings.attribute]
    values = classifier.attributes[settings.attribute]
    fixed: Tensor | None = None
    if settings.value:
        fixed = torch.zeros(len(values), dtype=torch.bool)
        fixed[values.index(settings.value)] = True

    def of_all(samples: Sequence[Sample]) -> list[float]:
        if not samples:
            return []
        x = pictures_of(samples)
        _check_shape(tuple(x.shape[1:]), shape, settings.run)
        chances = classifier.predict(x)[:, columns]  # (n, values)
        found = []
        for chance, sample in zip(chances, samples, strict=True):
            wanted = asked_of(sample, columns) if fixed is None else fixed
            found.append(_chance(chance, wanted, classifier.single[settings.attribute]))
        return found

    def of(sample: Sample) -> float:
        return of_all([sample])[0]

    return Measure(
        f"recognised {settings.attribute}={settings.value or 'as asked'}",
        of,
        "share",
        "higher",
        "pictures",
        f"the mean probability; {classifier.describe()}",
        of_all=of_all,
    )


def asked_of(sample: Sample, columns: slice) -> Tensor:
    """(values,) bool: which values of an attribute a sample was asked for; none where it was asked
    for nothing."""
    if sample.condition is None:
        return torch.zeros(columns.stop - columns.start, dtype=torch.bool)
    return sample.condition[columns] > 0


def _chance(chance: Tensor, wanted: Tensor, single: bool) -> float:
    """The probability of the wanted values, of (values,) each: that it is any of them where there
    is one value a picture, else the mean over them; NaN where none is wanted."""
    if not wanted.any():
        return math.nan
    own = chance[wanted]
    return float(own.sum() if single else own.mean())


def _check_shape(found: tuple[int, ...], known: tuple[int, ...], run: str) -> None:
    """Raises GenwrightError for pictures that the classifier was not made for."""
    if found == known:
        return
    shown = " x ".join(map(str, found))
    taught = " x ".join(map(str, known))
    raise GenwrightError(
        f"measure recognised: pictures of {shown} values, and those of {run} have {taught}",
        "name a run over pictures of the same size and colours",
    )


def classifier_of(settings: RecognisedSettings) -> tuple[Extractor, tuple[int, ...]]:
    """The classifier, and the shape of the pictures that it knows. Raises GenwrightError."""
    from genwright.runs.run import load

    run = load(settings.run)
    if run.codec.content != "image":
        raise GenwrightError(
            f"measure recognised: {settings.run} is a run of {run.codec.content}",
            "name a run of pictures with attributes",
        )
    dataset = picture_data(run.dataset())
    attributes = dataset.originals.codec.space.attributes
    if settings.attribute not in attributes:
        remedy = "name a run of pictures with attributes"
        if attributes:
            remedy = did_you_mean(settings.attribute, attributes)
        raise GenwrightError(
            f"measure recognised: the pictures of {settings.run} have no attribute "
            f"{settings.attribute!r}",
            remedy,
        )
    values = attributes[settings.attribute]
    if settings.value and settings.value not in values:
        raise GenwrightError(
            f"measure recognised: {settings.attribute} is never {settings.value!r} in "
            f"{settings.run}",
            did_you_mean(settings.value, values),
        )
    found = extractor(dataset, run.recipe.data.cache, seed=SEED)
    return found, tuple(dataset.originals.codec.space.shape)


add_measure_kinds(
    "image",
    MeasureKind(
        "recognised",
        RecognisedSettings,
        recognised_measure,
        "the probability of an attribute's value by a classifier of a run's training pictures",
    ),
)
