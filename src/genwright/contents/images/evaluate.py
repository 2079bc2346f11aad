"""Every figure of a trained run that makes pictures, each beside what real pictures reach and what
needs no learning (`evaluation/arrays.py`). Samples of a conditional run are asked for what held-out
pictures have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from genwright.contents.images import inception
from genwright.contents.images.data import ImagesData, picture_data
from genwright.contents.images.options import EvaluateOptions
from genwright.contents.images.recognised import attribute_figures
from genwright.contents.images.sampler import PictureDrawer, drawer_of
from genwright.contents.images.source_sprites import FACTORS, Sprites
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.evaluation import distances, likelihood
from genwright.evaluation.arrays import (
    ComparedFigures,
    ComparedSets,
    beside,
    compared_sets,
    distance_figures,
    memorised_figures,
)
from genwright.evaluation.distances import frechet
from genwright.evaluation.features import ROTATIONS, Extractor, extractor, of_split
from genwright.evaluation.figure import Figure
from genwright.evaluation.pilot import SampleCounts
from genwright.objectives.variational import VariationalObjective
from genwright.runs.objective_figures import (
    SEEN,
    HeldOutLikelihood,
    held_out_figures,
    objective_figures,
)

if TYPE_CHECKING:
    from genwright.runs.trained import TrainedRun

SAMPLES = 2000  # drawn at most, unless another number is asked for
LEAST = 64  # samples that are always drawn
PART = 64  # samples that are drawn at once


def evaluate_images(
    run: TrainedRun, options: EvaluateOptions, counts: SampleCounts
) -> list[Figure]:
    """Figures of a run. counts: how many samples are drawn; it is told how many were. Some minutes
    on two cores. Raises GenwrightError for a run that draws none and is asked for a number."""
    dataset = picture_data(run.dataset())
    drawer = drawer_of(run.opened())
    if counts.given and not drawer.draws:
        raise GenwrightError(
            "this run turns pictures into codes and back, and draws none of its own",
            "leave --samples out",
        )
    figures = held_out_figures(run, "picture", None if options.whole else SEEN)
    figures += objective_figures(run, options.whole, SAMPLES, "picture", "pixels")
    figures += _factors(run, options.whole)
    if not drawer.draws:
        return figures
    samples, asked = drawn_samples(dataset, drawer, counts)
    if run.recipe.data.stacked:
        figures += stacked_figures(run.recipe.data, dataset, samples)
    features = extractor(dataset, run.recipe.data.cache)
    return figures + compare(dataset, samples, asked, features, options.inception)


def drawn_samples(
    dataset: Any, drawer: PictureDrawer, counts: SampleCounts
) -> tuple[Tensor, Tensor | None]:
    """Samples (n, *shape), and what they were asked for (n, columns): what other examples are, in a
    drawn order, again and again."""
    others = dataset.split(beside(dataset))
    order = Draws(0, 0, torch.arange(len(others))).uniform("asked", 1)[:, 0].argsort()

    def asked_of(first: int, count: int) -> Tensor | None:
        if not drawer.conditional:
            return None
        numbers = torch.arange(first, first + count) % len(order)
        return others.condition(order[numbers])

    def draw(first: int, count: int) -> Tensor:
        return drawer(count, asked_of(first, count), first=first)

    most = min(SAMPLES, len(dataset.split("train")))
    parts = counts.draw("samples", draw, least=min(LEAST, most), most=most, part=PART)
    samples = torch.cat(parts).nan_to_num(0.0, 1e6, -1e6)
    return samples, asked_of(0, len(samples))


def compare(
    dataset: Any,
    samples: Tensor,
    asked: Tensor | None,
    features: Extractor,
    inception_weights: str | Path | None = None,
) -> list[Figure]:
    """Figures of samples (n, *shape), which were asked to be `asked` (n, columns)."""
    sets = compared_sets(dataset, samples)
    compared = ComparedFigures(sets, "pixels")
    figures = distance_figures(compared, features)
    if inception_weights and figures:
        figures.append(_fid(compared, inception_weights))
    figures += memorised_figures(dataset, sets, features)
    if asked is not None and ROTATIONS not in features.attributes:
        figures += attribute_figures(dataset, samples, asked, sets, features)
    return figures


def _fid(compared: ComparedFigures, weights: str | Path) -> Figure:
    """The Frechet distance of the user's Inception network."""
    network = inception.load(weights)
    sets: ComparedSets = compared.sets
    real = inception.features(network, sets.reference)
    found = sets.of(lambda x: inception.features(network, x))
    values = {name: frechet(real, features) for name, features in found.items()}
    few = ""
    if compared.count < real.shape[1]:
        few = f"fewer samples than the {real.shape[1]} dimensions: far too high; "
    detail = (
        f"{few}Inception weights of the user; "
        f"{compared.count:,} samples against {len(sets.reference):,} training pictures"
    )
    return compared.figure("FID", "squared", values, "lower", detail)


def _factors(run: TrainedRun, whole: bool) -> list[Figure]:
    """Of sprites, whose factors are known, the mutual information gap of a variational run."""
    objective = run.objective
    if not isinstance(objective, VariationalObjective):
        return []
    dataset = picture_data(run.dataset())
    split = dataset.split("held_out")
    if dataset.settings.source != "sprites" or not len(split):
        return []
    held_out = HeldOutLikelihood(objective, dataset, run.recipe.seed, whole, SAMPLES)
    factors = Sprites.factors(split.numbers[held_out.order])
    means = held_out.posterior_means()
    return [likelihood.factor_figure(means, torch.from_numpy(factors), FACTORS, thing="picture")]


def stacked_modes(labels: Tensor) -> distances.Modes:
    """labels (n, 3): the digit that a classifier sees in each channel; every sample is of one of
    1,000 modes."""
    mode = labels @ torch.tensor([100, 10, 1], device=labels.device)
    return distances.numbered_modes(mode, 1000)


def stacked_figures(settings: ImagesData, dataset: Any, samples: Tensor) -> list[Figure]:
    """The modes of three digits, each named by a classifier of single ones; nothing where the
    digits have no labels."""
    single = settings.model_copy(update={"stacked": False})
    codec = dataset.originals.codec
    grey = codec.settings.model_copy(update={"channels": 1})
    classifier = extractor(single.prepare(grey), single.cache)
    if len(classifier.attributes.get("label", ())) != 10:
        return []

    def modes_of(x: Tensor) -> distances.Modes:
        digits = x.reshape(-1, 1, *x.shape[2:])  # (3 n, 1, height, width)
        return stacked_modes(classifier.predict(digits).argmax(1).view(-1, 3))

    n = len(samples)
    found = modes_of(samples)
    real = modes_of(of_split(dataset.split("held_out"), n)[0])
    how = f"of 1,000, which {n:,} samples cannot all reach; {classifier.describe()}"
    return [
        Figure(
            "modes",
            found.modes,
            "modes",
            n,
            "samples",
            {"one mode": 1},
            {"real": real.modes},
            "higher",
            how,
        ),
        Figure(
            "reverse KL",
            found.kl,
            "nats",
            n,
            "samples",
            {"one mode": float(np.log(1000))},
            {"real": real.kl, "perfect": distances.kl_floor(1000, n)},
            "lower",
            f"to uniform; {how}",
        ),
    ]
