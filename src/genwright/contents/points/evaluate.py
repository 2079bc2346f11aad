"""Every figure of a trained run that makes points, each beside what real points reach and what
needs no learning (`evaluation/arrays.py`); of a mixture with known means its modes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from genwright.contents.points.data import PointsDataset, points_of
from genwright.contents.points.options import EvaluateOptions
from genwright.contents.points.sampler import drawer_of
from genwright.evaluation import distances
from genwright.evaluation.arrays import (
    ComparedFigures,
    compared_sets,
    distance_figures,
    memorised_figures,
)
from genwright.evaluation.features import extractor
from genwright.evaluation.figure import Figure
from genwright.evaluation.pilot import SampleCounts
from genwright.runs.objective_figures import SEEN, held_out_figures, objective_figures

if TYPE_CHECKING:
    from genwright.runs.trained import TrainedRun

# drawn at most, unless another number is asked for: PacGAN's protocol (Lin et al., arXiv
# 1712.04086)
SAMPLES = 2500
LEAST = 64  # samples that are always drawn
PART = 64  # samples that are drawn at once


def evaluate_points(
    run: TrainedRun, options: EvaluateOptions, counts: SampleCounts
) -> list[Figure]:
    """Figures of a run. counts: how many samples are drawn; it is told how many were."""
    figures = held_out_figures(run, "point", None if options.whole else SEEN)
    figures += objective_figures(run, options.whole, SAMPLES, "point", "coordinates")
    drawer = drawer_of(run.opened())

    def draw(first: int, count: int) -> Tensor:
        return drawer(count, first=first)

    parts = counts.draw("samples", draw, least=LEAST, most=SAMPLES, part=PART)
    samples = torch.cat(parts).nan_to_num(0.0, 1e6, -1e6)
    return figures + compare(points_of(run.dataset()), samples)


def compare(dataset: PointsDataset, samples: Tensor) -> list[Figure]:
    """Figures of points (n, 2)."""
    sets = compared_sets(dataset, samples)
    features = extractor(dataset)
    figures = distance_figures(ComparedFigures(sets, "coordinates"), features)
    if dataset.means is not None:
        figures += mode_figures(samples, dataset.means, dataset.std)
    return figures + memorised_figures(dataset, sets, features)


def mode_figures(samples: Tensor, means: Tensor, std: float) -> list[Figure]:
    """How many of the modes (m, 2) have a sample (n, 2), and how evenly."""
    found = distances.mixture(samples, means, std)
    n = len(samples)
    modes = len(means)
    good = f"within 3 standard deviations ({std:g}) of the nearest of {modes} means"
    among = "of the modes of samples of high quality, to uniform"
    if not math.isfinite(found.kl):
        among += "; not finite, since no sample is of high quality"
    perfect = distances.kl_floor(modes, round(found.high_quality * n))
    return [
        Figure(
            "modes",
            found.modes,
            "modes",
            n,
            "samples",
            {},
            {"all": modes},
            "higher",
            f"with a sample {good}",
        ),
        Figure(
            "high quality",
            found.high_quality,
            "share",
            n,
            "samples",
            {},
            {"perfect": distances.PERFECT},
            "near",
            good,
        ),
        Figure(
            "reverse KL",
            found.kl,
            "nats",
            n,
            "samples",
            {"one mode": float(np.log(modes))},
            {"perfect": perfect},
            "lower",
            among,
        ),
    ]
