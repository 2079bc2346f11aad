"""Whether pictures that were asked for are what they were asked to be: figures of a classifier of
the data's attributes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from genwright.core.attributes import spans
from genwright.data.examples import Split
from genwright.evaluation.arrays import REFERENCE, ComparedSets, beside
from genwright.evaluation.features import Extractor, fit, of_split, right
from genwright.evaluation.figure import Figure

TAUGHT = 20_000  # pictures that a classifier sees, when it learns from samples
LARGEST = 3  # changes of balance that are named


def taught(
    x: Tensor, condition: Tensor, extractor: Extractor, test: Split, seen: int
) -> dict[str, tuple[float, int]]:
    """A fresh classifier that learns from x (n, *shape) and condition (n, columns) alone: attribute
    -> (accuracy on `test`, how many)."""
    own = Split(
        np.arange(len(x)),
        lambda numbers: x[torch.from_numpy(numbers)],
        str,
        condition.numpy().astype(np.uint8),
    )
    network = fit(own, x.shape[1:], extractor.attributes, extractor.single, seen)
    classifier = Extractor(network, "", extractor.attributes, extractor.single)
    real, wanted = of_split(test, REFERENCE)
    assert wanted is not None
    return right(classifier.predict(real), wanted, extractor.attributes)


def attribute_figures(
    dataset: Any, samples: Tensor, asked: Tensor, sets: ComparedSets, extractor: Extractor
) -> list[Figure]:
    """Whether samples are what they were asked to be, teach a classifier as real ones do, and hold
    values as often as the data. samples: (n, *shape); asked: (n, columns)."""
    split = beside(dataset).replace("_", "-")
    how = f"asked for what {split} pictures have; {extractor.describe()}"
    figures = _recognised(samples, asked, extractor, how)
    if len(dataset.split("held_out")):
        figures += _teaching(dataset, samples, asked, extractor)
    return figures + _balance(samples, sets, extractor, how)


def _recognised(samples: Tensor, asked: Tensor, extractor: Extractor, how: str) -> list[Figure]:
    guess = extractor.predict(samples)
    figures = []
    for name, (value, count) in right(guess, asked, extractor.attributes).items():
        floors = {"most frequent value": extractor.majority.get(name, 0.0)}
        ceilings = {}
        if name in extractor.accuracy:
            ceilings["real"] = extractor.accuracy[name][0]
        title = f"recognised {name}"
        figures.append(
            Figure(title, value, "share", count, "samples", floors, ceilings, "higher", how)
        )
    return figures


def _teaching(dataset: Any, samples: Tensor, asked: Tensor, extractor: Extractor) -> list[Figure]:
    """A classifier that learned from samples, beside one that learned from as many real ones."""
    real, known = of_split(dataset.split("train"), len(samples))
    assert known is not None
    held_out = dataset.split("held_out")
    learned = taught(samples, asked, extractor, held_out, TAUGHT)
    ceiling = taught(real, known, extractor, held_out, TAUGHT)
    detail = (
        f"a classifier that saw {len(samples):,} samples, on held-out real ones; "
        "ceiling: one that saw as many real ones"
    )
    figures = []
    for name, (value, count) in learned.items():
        floors = {"most frequent value": extractor.majority.get(name, 0.0)}
        ceilings = {"trained on real": ceiling[name][0]}
        title = f"train on samples, {name}"
        figures.append(
            Figure(title, value, "share", count, "held out", floors, ceilings, "higher", detail)
        )
    return figures


def _balance(samples: Tensor, sets: ComparedSets, extractor: Extractor, how: str) -> list[Figure]:
    """How far the shares of an attribute's values are from those of training examples."""
    reference = extractor.predict(sets.reference).double().mean(0)
    drawn = extractor.predict(samples).double().mean(0)
    figures = []
    for name, columns in spans(extractor.attributes).items():
        real_share = _shares(reference, columns)
        drawn_share = _shares(drawn, columns)
        change = drawn_share - real_share
        values = extractor.attributes[name]
        largest = change.abs().argsort(descending=True)[:LARGEST].tolist()
        named = [
            f"{values[i]} {float(drawn_share[i]):.1%} for {float(real_share[i]):.1%}"
            for i in largest
        ]
        ceilings = {}
        if len(sets.real):
            real_ones = _shares(extractor.predict(sets.real).double().mean(0), columns)
            ceilings["real"] = float((real_ones - real_share).abs().sum() / 2)
        figures.append(
            Figure(
                f"balance of {name}",
                float(change.abs().sum() / 2),
                "total variation",
                len(samples),
                "samples",
                {"one value": 1 - float(real_share.max())},
                ceilings,
                "lower",
                f"{', '.join(named)}; {how}",
            )
        )
    return figures


def _shares(mean: Tensor, columns: slice) -> Tensor:
    """Mean probabilities of an attribute's values, of sum 1."""
    own = mean[columns]
    return own / own.sum().clamp(min=1e-12)
