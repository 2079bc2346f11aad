"""Sets of samples that are arrays of one shape, compared with real ones.

Three sets of one size are compared with one reference of training examples, by the same functions:
samples; real examples that are not in the reference (the ceiling, since no model can be nearer to
it than more of the same data); and examples whose every value comes from another one (the floor:
right at each place, and nothing else).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from genwright.core.content import Direction
from genwright.core.draws import Draws
from genwright.data.examples import ExampleDataset
from genwright.evaluation.distances import (
    NEIGHBOURS,
    QUANTILE,
    Memory,
    frechet,
    kernel_distance,
    prdc,
    sliced_wasserstein,
)
from genwright.evaluation.features import Extractor, of_split, spread
from genwright.evaluation.figure import Figure, number

NEAREST = 5  # neighbours of precision, recall, density, coverage
REFERENCE = 5000  # training examples that samples are compared with
FRESH = 100  # held-out examples without which every second training example takes their place
# numbers of training examples among which copies are looked for: a GiB, all of most data
SEARCHED = 2**28


class ComparedSets(NamedTuple):
    """Sets of one size (n, *shape), and the training examples (m, *shape) that they are compared
    with. held_out: whether the real ones are held out; else they are half of the training ones."""

    samples: Tensor
    real: Tensor
    shuffled: Tensor
    reference: Tensor
    held_out: bool

    def of(self, change: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Name -> a set, changed."""
        return {
            "samples": change(self.samples),
            "real": change(self.real),
            "shuffled": change(self.shuffled),
        }


def shuffled_values(x: Tensor, count: int, seed: int = 0) -> Tensor:
    """(count, ...) whose every value is that of another example at the same place."""
    draws = Draws(seed, 0, torch.arange(count))
    rows = draws.integers("row", len(x), x[0].numel())
    return x.flatten(1).gather(0, rows).view(count, *x.shape[1:])


def beside(dataset: ExampleDataset) -> str:
    """The split of real examples that stand beside samples, and whose conditions these are asked
    for: a model that copied what it was trained on would be right about the training examples'."""
    return "held_out" if len(dataset.split("held_out")) >= FRESH else "train"


def compared_sets(dataset: ExampleDataset, samples: Tensor) -> ComparedSets:
    """The sets that samples (n, *shape) of a dataset are compared in."""
    reference, _ = of_split(dataset.split("train"), REFERENCE)
    held_out = beside(dataset) == "held_out"
    if held_out:
        real, _ = of_split(dataset.split("held_out"), len(samples))
    else:
        real = reference[1::2]
        reference = reference[::2]
    n = min(len(samples), len(real))
    return ComparedSets(
        samples[spread(len(samples), n)],
        real[spread(len(real), n)],
        shuffled_values(reference, n),
        reference,
        held_out,
    )


class ComparedFigures:
    """Figures of sets beside each other. values: what an example's values are called
    ("coordinates")."""

    def __init__(self, sets: ComparedSets, values: str):
        self.sets = sets
        self.values = values
        self.count = len(sets.samples)

    def figure(
        self, name: str, unit: str, values: Mapping[str, float], direction: Direction, detail: str
    ) -> Figure:
        """values: name of a set -> its value."""
        floors = {f"independent {self.values}": values["shuffled"]}
        ceilings = {"real": values["real"]}
        return Figure(
            name,
            values["samples"],
            unit,
            self.count,
            "samples",
            floors,
            ceilings,
            direction,
            detail,
        )

    def sizes(self, dimensions: int, examples: str = "training examples") -> str:
        """On how many, and whether that is too few for so many dimensions."""
        few = ""
        if self.count < dimensions:
            few = f"fewer samples than the {dimensions} dimensions: far too high; "
        return f"{self.count:,} samples against {len(self.sets.reference):,} {examples}; {few}"


def distance_figures(compared: ComparedFigures, extractor: Extractor) -> list[Figure]:
    """How far each of the sets is from the reference, in features and in the values themselves;
    none where there are too few."""
    sets = compared.sets
    if min(compared.count, len(sets.reference)) < 2:
        return []
    how = extractor.describe()
    features = sets.of(extractor.features)
    real = extractor.features(sets.reference)
    figures = _neighbour_figures(compared, features, real, how)
    sizes = compared.sizes(real.shape[1])
    distances = {name: frechet(real, found) for name, found in features.items()}
    figures.append(compared.figure("Frechet distance", "squared", distances, "lower", sizes + how))
    kernel = {name: kernel_distance(real, found) for name, found in features.items()}
    errors = {name: error for name, (_, error) in kernel.items()}
    samples, real_ones = [number(float(f"{errors[name]:.2g}")) for name in ("samples", "real")]
    error = f"standard error {samples}, of real {real_ones}; "
    detail = compared.sizes(0) + error + how
    values = {name: value for name, (value, _) in kernel.items()}
    figures.append(compared.figure("kernel distance", "squared MMD", values, "lower", detail))
    sliced = sets.of(lambda x: x)
    values = {name: sliced_wasserstein(sets.reference, x) for name, x in sliced.items()}
    detail = "128 directions, on the values themselves"
    figures.append(compared.figure("sliced Wasserstein", "of values", values, "lower", detail))
    return figures


def _neighbour_figures(
    compared: ComparedFigures, features: Mapping[str, Tensor], real: Tensor, how: str
) -> list[Figure]:
    """Precision, recall, density, coverage; none where there are too few."""
    if compared.count <= NEAREST or len(real) <= NEAREST:
        return []
    # as many as samples: more could not all be covered
    few = real[torch.linspace(0, len(real) - 1, min(compared.count, len(real))).long()]
    found = {name: prdc(few, x, NEAREST) for name, x in features.items()}
    detail = (
        f"{compared.count:,} samples against {len(few):,} training examples, k = {NEAREST}; {how}"
    )
    figures = []
    for name in found["real"]:
        values = {kind: row[name] for kind, row in found.items()}
        unit = "per ball" if name == "density" else "share"
        direction: Direction = "near" if name == "density" else "higher"
        figures.append(compared.figure(name, unit, values, direction, detail))
    return figures


def memorised_figures(
    dataset: ExampleDataset, sets: ComparedSets, extractor: Extractor
) -> list[Figure]:
    """The share of samples that lie too near to a training example, by values and by features;
    none without held-out examples to compare them with."""
    train = dataset.split("train")
    if not sets.held_out or len(train) < 2:
        return []
    size = sets.samples[0].numel()
    searched = of_split(train, max(REFERENCE, SEARCHED // size))[0]
    figures = [_memorised("values", torch.Tensor.cpu, sets, searched, len(train))]
    if extractor.network:
        figures.append(_memorised("features", extractor.features, sets, searched, len(train)))
    return figures


def _memorised(
    space: str,
    change: Callable[[Tensor], Tensor],
    sets: ComparedSets,
    searched: Tensor,
    examples: int,
) -> Figure:
    """examples: of the whole training split, of which `searched` may be some."""
    samples = change(sets.samples)
    memory = Memory(change(searched), change(sets.real))
    among = f"{len(searched):,}"
    if examples > len(searched):
        among += f" of the {examples:,}"
    near = f"nearest over mean of {NEIGHBOURS} nearest of {among} training examples, in {space}"
    detail = f"{near}, below the {QUANTILE:.0%} quantile of held-out ones"
    return Figure(
        f"memorised, by {space}",
        memory.share(samples),
        "share",
        len(samples),
        "samples",
        {"copies": 1.0},
        {"real": memory.floor},
        "lower",
        detail,
    )
