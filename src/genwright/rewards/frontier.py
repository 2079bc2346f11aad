"""The frontier of a run that learned from rewards: what it earns against how far it went from the
model of before, beside everything that could have been done instead at a like price.

1. The model of before, its best of n samples, and its samples under the content's rules, where it
   has some that rule out tokens.
2. The run itself, and the same recipe with other weights of the divergence (`objective.kl`).
3. The same recipe as training on the best candidate alone (`objective.baseline=best`).
4. The recipe of the model of before, on its data, for as long by the clock.

Each is trained as any run is, in a folder of its own below RUN/frontier; what is there already goes
on, or is measured as it is. All are measured on the same questions, held out where the data hold
some out, with the same random numbers, at temperature 1 without truncation. A kl is in nats a
sample, over the whole vocabulary at each place that the model itself drew; that of best-of-n is a
bound.
"""

from __future__ import annotations

import logging
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genwright.core.content import OwnMeasure, RuledSampler
from genwright.core.contracts import Space
from genwright.core.draws import key
from genwright.core.errors import GenwrightError
from genwright.core.progress import showing
from genwright.objectives.language import CausalObjective
from genwright.objectives.policy import MODEL, REFERENCE, Policy
from genwright.recipe.schema import Recipe
from genwright.rewards.alternatives import Alternative, alternative, best_of_n, error_of
from genwright.rewards.frontier_points import Frontier, Kind, Point, write_frontier
from genwright.rewards.rollout import Rollouts, rollouts
from genwright.rewards.user_file import own_measures, with_measures
from genwright.runs import assemble
from genwright.runs.request import read_request
from genwright.runs.run import Run, load
from genwright.runs.start import from_weights
from genwright.runs.train import train_here
from genwright.training import checkpoint

log = logging.getLogger(__name__)

FOLDER = "frontier"
BEST_OF = (2, 4, 8, 16)
SAMPLES = 256
AT_ONCE = 64  # samples that are drawn together
WEIGHTS = (0.0, 0.01, 0.1)  # of the divergence, where none are named
GO_ON = {"watching.on_gaming": "warn"}  # a run beside this one is followed to its end


def frontier(
    folder: str | Path,
    weights: Sequence[float] | None = None,
    best_of: Sequence[int] | None = None,
    samples: int | None = None,
    train: bool = True,
    quiet: bool = False,
    reward: Sequence[str] = (),
) -> Frontier:
    """Measures a run that learned from rewards beside its alternatives, and writes
    RUN/frontier.json, anew after each.

    weights: of the divergence, of which each is trained. best_of: numbers of samples of which the
    best is kept. samples: drawn of each model, at least. None: the usual ones. train: False
    measures only what needs no training. quiet: shows no progress of training. reward: FILE:NAME of
    the measures of a person's own that the run was started with. Raises GenwrightError for a run of
    another objective, for samples that are too few, for other measures, and where the model of
    before is gone or has changed."""
    numbers = BEST_OF if best_of is None else best_of
    count = SAMPLES if samples is None else samples
    return _Work(load(folder), numbers, count, quiet, reward).all(weights, train)


class _Work:
    """The parts of `frontier`."""

    def __init__(
        self, run: Run, best_of: Sequence[int], samples: int, quiet: bool, reward: Sequence[str]
    ):
        if not isinstance(run.recipe.objective, Policy):
            raise GenwrightError(
                f"{run.folder} was trained with objective {run.recipe.objective.kind}",
                "name a run that learned from rewards, with objective policy",
            )
        self.run = run
        self.settings: Policy = run.recipe.objective
        self.best_of = sorted({n for n in best_of if n > 1})
        self.candidates = max(2, *self.best_of)
        if samples < self.candidates:
            raise GenwrightError(
                f"{samples} samples are too few to keep the best of {self.candidates}",
                f"draw at least {self.candidates}",
            )
        self.samples = samples
        self.quiet = quiet
        self.reward = reward
        self.reference: nn.Module = run.objective.modules[REFERENCE]
        self.space: Space = assemble.space_of(run.recipe, run.codec)
        own = own_measures(reward, run.recipe, run.environment.get("rewards", []))
        self.stream = questions_of(run, self.candidates, min(AT_ONCE, samples), own)
        split = self.stream.split
        self.found = Frontier(str(run.folder), run.step, samples, self.candidates, split)

    def all(self, weights: Sequence[float] | None, train: bool) -> Frontier:
        """Every point, in the order in which they cost more."""
        self.before()
        self.with_rules()
        self.add_run("policy", f"kl weight {self.settings.kl:g}", self.run, self.settings.kl)
        if not train:
            self.found.left_out.append("No run beside this one was trained.")
            self.write()
            return self.found
        start = self.start()
        for weight in WEIGHTS if weights is None else weights:
            if weight != self.settings.kl:
                changes: dict[str, Any] = {"objective.kl": weight}
                run = self.trained(f"kl-{weight:g}", self.run.recipe, changes, start)
                self.add_run("policy", f"kl weight {weight:g}", run, weight)
        changes = {"objective.baseline": "best", "objective.kl": 0.0}
        run = self.trained("best", self.run.recipe, changes, start)
        self.add_run("rejection", "trained on the best", run, None)
        self.supervised(start)
        return self.found

    # ---- points

    def before(self) -> None:
        """The model of before, and its best of n."""
        found = self.measured(self.reference)
        held_out = _held_out(self.run, 0)
        self.add(self.point("before", "before", found, held_out=held_out))
        for n in self.best_of:
            best = best_of_n(found.reward, n, found.parts)
            self.add(
                Point(
                    f"best of {n}",
                    "best-of-n",
                    best.reward,
                    best.error,
                    best.kl,
                    setting=n,
                    is_bound=True,
                    parts=best.parts,
                    held_out=held_out,
                    draws=n,
                )
            )

    def with_rules(self) -> None:
        """The model of before under the rules of its content."""
        constraint = None
        reason = "this kind of content has no rules that rule out tokens"
        if isinstance(self.stream.sampler, RuledSampler):
            constraint = self.stream.sampler.constraint(self.run.codec)
            lengths = {len(question.tokens) for question in self.stream.questions}
            if constraint is None:
                reason = "the tokens of this run's codec cannot be ruled out one by one"
            elif len(lengths) > 1:
                constraint = None
                reason = "rules need questions of one length"
        if constraint is None:
            self.found.left_out.append(f"Nothing was drawn under rules: {reason}.")
            return
        found = self.measured(self.reference, constraint)
        self.add(self.point("under rules", "rules", found, held_out=_held_out(self.run, 0)))

    def add_run(self, kind: Kind, name: str, run: Run, setting: float | None) -> None:
        """A trained run."""
        found = self.measured(run.objective.modules[MODEL])
        folder = ""
        if run is not self.run:
            folder = str(run.folder.relative_to(self.run.folder))
        point = self.point(
            name,
            kind,
            found,
            setting=setting,
            held_out=_held_out(run, run.step),
            seconds=_seconds(run),
            folder=folder,
        )
        self.add(point)

    def supervised(self, start: str) -> None:
        """The recipe of the model of before, on its data, for as long as the run took."""
        base = load(start) if (Path(start) / "recipe.yaml").is_file() else None
        if base is None or isinstance(base.recipe.objective, Policy):
            self.found.left_out.append(
                f"Supervised training did not go on: {start} is no run that learned from data."
            )
            self.write()
            return
        seconds = [line["seconds"] for line in base.records if "loss" in line]
        steps = max(1, round(_seconds(self.run) / statistics.median(seconds)))
        run = self.trained("supervised", base.recipe, {"training.steps": steps}, start)
        self.add_run("supervised", "supervised, as long", run, None)

    def point(self, name: str, kind: Kind, found: Alternative, **parts: Any) -> Point:
        """What was measured of a model."""
        best = {str(n): best_of_n(found.reward, n).reward for n in (1, *self.best_of)}
        means = {part: float(values.nanmean()) for part, values in found.parts.items()}
        return Point(
            name,
            kind,
            float(found.reward.mean()),
            error_of(found.reward.mean(1)),
            found.kl,
            kl_error=found.kl_error,
            kl_token=found.kl / found.length,
            parts=means,
            best_of=best,
            distinct_4=found.distinct_4,
            length=found.length,
            truncated=found.truncated,
            entropy=found.entropy,
            **parts,
        )

    def measured(self, network: nn.Module, constraint: Any = None) -> Alternative:
        policy = CausalObjective({MODEL: network}, self.space)
        with showing(self.quiet):
            return alternative(self.stream, policy, self.reference, self.samples, constraint)

    def add(self, point: Point) -> None:
        self.found.points.append(point)
        self.write()

    def write(self) -> None:
        write_frontier(self.run.folder, self.found)

    # ---- runs beside this one

    def start(self) -> str:
        """What the run began with, which must be there and be what it was. Raises
        GenwrightError."""
        source = str(self.run.environment.get("from", {}).get("source", ""))
        remedy = "bring it back, or measure without training (--no-train)"
        if not source or not Path(source).is_dir():
            raise GenwrightError(f"{self.run.folder} began with {source!r}, which is gone", remedy)
        _, weights, _ = from_weights(source, self.run.recipe)
        reference = self.reference.state_dict()
        for name, tensor in weights[MODEL].items():
            if name not in reference or not torch.equal(tensor, reference[name]):
                raise GenwrightError(
                    f"{source} has changed since {self.run.folder} began with it", remedy
                )
        return source

    def trained(self, name: str, recipe: Recipe, changes: Mapping[str, Any], start: str) -> Run:
        """A run below this one, trained to its end, now or before."""
        folder = self.run.folder / FOLDER / name
        is_policy = isinstance(recipe.objective, Policy)
        overrides = {**changes, **GO_ON} if is_policy else dict(changes)
        resume = (folder / "recipe.yaml").is_file()
        steps = overrides.get("training.steps", recipe.training.steps)
        if not resume or checkpoint.reached(folder / "checkpoints") < steps:
            log.info("training %s", folder)
            begin = None if resume else start
            request = read_request(recipe, overrides, folder, resume, None, begin, self.quiet)
            if is_policy:
                request = with_measures(request, self.reward)
            train_here(request)
            reached = checkpoint.reached(folder / "checkpoints")
            if reached < steps:
                raise GenwrightError(
                    f"the run in {folder} was stopped at step {reached} of {steps}",
                    "the same command goes on from there",
                )
        return load(folder)


def questions_of(
    run: Run,
    candidates: int,
    at_once: int = AT_ONCE,
    measures: Sequence[OwnMeasure] = (),
) -> Rollouts:
    """Questions of a run, held out where its data hold some out, with so many samples of each, and
    random numbers of their own. at_once: samples that are drawn together, at most, unless one
    question has more. measures: of a person's own. Raises GenwrightError."""
    held_out = run.kind.sampler.real(run.dataset(), "held_out", 1)
    split = "held_out" if held_out else "train"
    changes = {
        "objective.candidates": candidates,
        "training.batch_size": candidates * max(1, at_once // candidates),
        "seed": key(run.recipe.seed, FOLDER) & assemble.LARGEST_SEED,
    }
    return rollouts(run.recipe.overridden(changes), run.opened(), split, measures)


def _held_out(run: Run, step: int) -> float | None:
    """Nats a token of real held-out data at a step; None where that was not measured."""
    found = None
    for line in run.records:
        if line["step"] == step and "held_out" in line:
            found = line["held_out"].get("loss")
    return found


def _seconds(run: Run) -> float:
    """Of all steps, by the clock."""
    return sum(line["seconds"] for line in run.records if "loss" in line)
