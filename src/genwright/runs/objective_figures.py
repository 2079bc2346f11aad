"""Figures of the held-out split that the objective decides, whatever the content is: what it
measures, beside the untrained network; likelihoods of a variational one; the codes of a
codebook."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genwright.core.content import Direction
from genwright.core.contracts import Objective
from genwright.core.draws import Draws
from genwright.data.examples import ExampleDataset
from genwright.evaluation import likelihood
from genwright.evaluation.arrays import REFERENCE
from genwright.evaluation.features import of_split
from genwright.evaluation.figure import Figure
from genwright.evaluation.held_out import POSITION, UNTRAINED, measure
from genwright.objectives.quantised import QuantisedObjective, perplexity
from genwright.objectives.variational import VariationalObjective
from genwright.runs.assemble import untrained
from genwright.runs.trained import TrainedRun
from genwright.training.engine import Engine

SEEN = 1024  # held-out examples that the objective measures, here and while training
CODED = 2000  # held-out examples whose codes are counted
BOUND = 256  # examples whose likelihood is estimated
WEIGHTS = 128  # importance samples of each
WHOLE = 500  # importance samples where all examples are measured: the field's custom


def device_of(objective: Objective) -> torch.device:
    """Where the networks of an objective are."""
    parameters = (p for module in objective.modules.values() for p in module.parameters())
    return next(parameters).device


def unit_of(objective: Objective, metric: str, thing: str) -> str:
    """The unit of a held-out metric. thing: what an example is called ("point")."""
    units = objective.metric_units
    return units.get(metric, units["loss"]).replace("example", thing)


def held_out_figures(run: TrainedRun, thing: str, limit: int | None = SEEN) -> list[Figure]:
    """What the objective measures of held-out examples (the first `limit`), beside the untrained
    network. thing: what an example is called ("point")."""
    recipe = run.recipe
    windows = run.dataset().held_out(recipe.objective.lookahead)
    if not windows.windows:
        return []
    device = device_of(run.objective)
    common: dict[str, Any] = {
        "batch": 64,
        "seed": recipe.seed,
        "engine": Engine.alone(device),
        "limit": limit,
    }
    trained = measure(run.objective, windows, **common)
    before = measure(untrained(run, device), windows, **common, task_name=UNTRAINED)
    figures = []
    for name, value in trained.items():
        falls = name in ("loss", "reconstruction")
        direction: Direction = "lower" if falls else "near"
        figures.append(
            Figure(
                f"held-out {name.replace('_', ' ')}",
                value,
                unit_of(run.objective, name, thing),
                min(limit or windows.windows, windows.windows),
                "held out",
                {"untrained": before[name]},
                {},
                direction,
                "as training measures it",
            )
        )
    return figures


class HeldOutLikelihood:
    """Likelihoods of held-out examples under a variational objective."""

    def __init__(
        self,
        objective: VariationalObjective,
        dataset: ExampleDataset,
        seed: int,
        whole: bool,
        most: int,
    ):
        """seed: of the run. whole: all examples, WHOLE importance samples each; else the first
        BOUND of `most`."""
        self.objective = objective
        self.dataset = dataset
        self.seed = seed
        self.split = self.dataset.split("held_out")
        self.device = device_of(objective)
        self.order = self.dataset.held_out().order
        if not whole:
            self.order = self.order[:most]
        self.count = len(self.order) if whole else min(BOUND, len(self.order))
        self.weights = WHOLE if whole else WEIGHTS

    def examples(self, start: int, stop: int) -> dict[str, Tensor]:
        """A batch of examples, as the objective prepares them."""
        batch = self.split.batch(self.order[start:stop])
        found = {name: value.to(self.device) for name, value in batch.items()}
        numbers = torch.arange(start, start + len(found["x"]), device=self.device)
        draws = Draws(self.seed, POSITION, numbers)
        prepared = self.objective.prepare_held_out(found, draws, Engine.alone(self.device))
        return found | {"x": prepared["x"]}

    def figures(self, thing: str, values: str) -> list[Figure]:
        """Likelihood, bound, active units. thing, values: as of `objective_figures`."""
        seen = self.examples(0, BOUND)["x"].cpu()
        known = of_split(self.dataset.split("train"), REFERENCE)[0]
        if self.objective.settings.likelihood == "bernoulli":
            floor = likelihood.marginal_nll((known.mean(0) + 1) / 2, seen)
        else:
            floor = likelihood.histogram_nll(known, seen)
        floors = {f"independent {values}": floor}
        return likelihood.figures(
            self.objective, self.examples, self.count, self.weights, self.seed, floors, thing
        )

    def posterior_means(self) -> Tensor:
        """(n, units) of all examples in `order`."""
        estimate = likelihood.estimate(self.objective, self.examples, len(self.order), samples=1)
        return estimate.mean


def objective_figures(
    run: TrainedRun, whole: bool, most: int, thing: str, values: str
) -> list[Figure]:
    """What only this objective can say of held-out examples: likelihoods, or its codebook. thing,
    values: what an example, and the numbers that it is made of, are called ("point",
    "coordinates")."""
    objective = run.objective
    dataset = run.dataset()
    if not isinstance(dataset, ExampleDataset) or not len(dataset.split("held_out")):
        return []
    if isinstance(objective, VariationalObjective):
        likelihoods = HeldOutLikelihood(objective, dataset, run.recipe.seed, whole, most)
        return likelihoods.figures(thing, values)
    if isinstance(objective, QuantisedObjective):
        return [codebook_figure(objective, dataset)]
    return []


def codebook_figure(objective: QuantisedObjective, dataset: ExampleDataset) -> Figure:
    """How evenly the codes of held-out examples are used."""
    x = of_split(dataset.split("held_out"), CODED)[0]
    network = objective.model
    device = device_of(objective)
    with torch.no_grad():
        codes = torch.cat([network(part.to(device))[1].cpu() for part in torch.split(x, 64)])
    counts = torch.bincount(codes.flatten(), minlength=network.bottleneck.size)
    used = int((counts > 0).sum())
    detail = f"exp of the entropy of all codes together; {used:,} of {len(counts):,} are used"
    return Figure(
        "codebook perplexity",
        float(perplexity(counts)),
        "codes",
        len(x),
        "held out",
        {"collapsed": 1.0},
        {"all alike": float(len(counts))},
        "higher",
        detail,
    )
