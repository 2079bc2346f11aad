"""Samples that are arrays, measured on the way of a run: what a `core.content.Watcher` of them
measures."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genwright.core.draws import Draws
from genwright.data.examples import ExampleDataset
from genwright.evaluation.arrays import NEAREST
from genwright.evaluation.distances import Memory, frechet, prdc
from genwright.evaluation.features import Extractor, of_split

# training examples, at most, among which copies are looked for while training; of more, `evaluate`
# sees the others' too
SEARCHED = 20_000


class ArrayMeasures:
    """dataset: what `prepare` returned. samples: how many are drawn. extractor: made when it is
    needed, at the first evaluation."""

    def __init__(
        self,
        dataset: ExampleDataset,
        samples: int,
        extractor: Callable[[], Extractor],
        seed: int = 0,
    ):
        self.dataset = dataset
        self.samples = samples
        self.extractor = functools.cache(extractor)
        self.seed = seed

    @cached_property
    def real(self) -> tuple[Tensor, Tensor | None]:
        """Training examples (n, *shape) that samples are compared with, picked by the seed, and
        conditions (samples, columns) of as many as there are samples."""
        train = self.dataset.split("train")
        chances = Draws(self.seed, 0, torch.arange(len(train))).uniform("watched", 1)[:, 0]
        order = chances.argsort()[: self.samples]
        again = order[torch.arange(self.samples) % len(order)]
        return train.x(order), train.condition(again)

    @cached_property
    def memory(self) -> Memory | None:
        """Where copies are looked for; None where there is too little to compare with."""
        train = self.dataset.split("train")
        held_out = self.dataset.split("held_out")
        if len(train) < 2 or not len(held_out):
            return None
        fresh = self.dataset.held_out().order[: max(100, self.samples)]
        features = self.extractor().features
        return Memory(features(of_split(train, SEARCHED)[0]), features(held_out.x(fresh)))

    def measured(self, samples: Tensor) -> dict[str, float]:
        """Metrics in the space of features; what a few examples cannot tell is left out."""
        samples = samples.nan_to_num(0.0, 1e6, -1e6)
        if min(len(samples), len(self.real[0])) <= NEAREST:
            return {}
        features = self.extractor().features
        real = features(self.real[0])
        drawn = features(samples)
        found = prdc(real, drawn, NEAREST) | {"frechet": frechet(real, drawn)}
        if self.memory:
            found["memorised"] = self.memory.share(drawn)
            found["memorised_floor"] = self.memory.floor
        return found


def watched_on(
    samples: int, summary: Mapping[str, Any], seen: int, weights: str = ""
) -> dict[str, str]:
    """Metric -> on how much it was measured, in words. summary: of the data, with the examples of
    its splits. seen: held-out examples that are measured. weights: which, as words to append."""
    train = summary.get("train", {}).get("examples", 0)
    held_out = summary.get("held_out", {}).get("examples", 0)
    real = min(samples, train)
    compared = f"{samples:,} samples against {real:,} training examples{weights}"
    found = dict.fromkeys(("precision", "recall", "density", "coverage", "frechet"), compared)
    searched = min(SEARCHED, train)
    found["memorised"] = f"{samples:,} samples among {searched:,} training examples{weights}"
    for name in ("modes", "high_quality", "reverse_kl"):
        found[name] = f"{samples:,} samples{weights}"
    found["loss"] = f"marks: {min(seen, held_out):,} held-out examples{weights}"
    return found
