"""A reward, looked at before anything is learned: `genwright reward check RUN RECIPE`.

1. Samples of the model, drawn as training would draw them, with as many candidates of a question.
2. Real data that were held out, no longer than a sample may be; or the answers to the questions.
3. Noise of the shape of those real data, which needs no learning.

Each term is measured on all three. What noise gets without learning can be gamed; what does not
vary on the model's samples cannot be learned from.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from genwright.core.content import Measure, Opened, OwnMeasure, Question, Sample
from genwright.core.contracts import Objective
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, write_whole
from genwright.core.progress import task, track
from genwright.evaluation.figure import ARROWS, number, shown
from genwright.objectives.policy import MODEL, Policy
from genwright.objectives.terms import Term
from genwright.recipe.schema import Recipe
from genwright.rewards.floors import noise_samples, real_samples
from genwright.rewards.guard import values_of
from genwright.rewards.reward import numbers
from genwright.rewards.rollout import Rollouts, rollouts
from genwright.rewards.user_file import own_measures, with_terms
from genwright.runs import assemble
from genwright.runs.run import load
from genwright.runs.start import check_codec, from_weights
from genwright.training.engine import Engine
from genwright.training.modules import into_module

FOLDER = "reward_checks"  # of a run
SAMPLES = 64  # of each kind, where no number is given
DEAD = 0.5  # share of questions without variance from which on a remark is made
PATIENCE = 10.0  # time limits that a measure may take for real data, which may be longer


@dataclass(frozen=True)
class Spread:
    """Values of some samples. mean; spread: their standard deviation; count: how many a measure
    says something of, among `samples`. NaN of none."""

    mean: float
    spread: float
    count: int
    samples: int


@dataclass(frozen=True)
class Checked:
    """A term. real, model, noise: what its measure gives; earned: the mean that real data, model
    and noise earn by it. best: the most that there can be, where it is known. milliseconds: a
    sample. remarks: what a person should know."""

    name: str
    weight: float
    unit: str
    direction: str
    real: Spread
    model: Spread
    noise: Spread
    earned: tuple[float, float, float]
    best: float | None
    milliseconds: float
    remarks: list[str]


@dataclass(frozen=True)
class Check:
    """What `reward check` found; printed, it is a table with remarks. dead: the share of questions
    whose candidates all earned the same. split: of the real data."""

    run: str
    recipe: str
    terms: list[Checked]
    candidates: int
    dead: float
    split: str
    remarks: list[str]

    def __str__(self) -> str:
        console = Console(width=160)
        with console.capture() as captured:
            console.print(self._table())
        lines = [captured.get().rstrip(), ""]
        for term in self.terms:
            lines += [f"{term.name}: {remark}." for remark in term.remarks]
        lines += [f"{remark}." for remark in self.remarks]
        return "\n".join(lines).rstrip()

    def _table(self) -> Table:
        title = f"rewards of {self.recipe} on {self.run}, mean ± standard deviation"
        out = Table(
            title=title,
            title_justify="left",
            header_style="bold",
            box=None,
            pad_edge=False,
            padding=(0, 2, 0, 0),
        )
        out.add_column("term")
        out.add_column("", no_wrap=True)
        for column in ("weight", "real", "model", "noise", "at best", "ms a sample"):
            out.add_column(column, justify="right", no_wrap=True)
        out.add_column("on")
        for term in self.terms:
            best = "-" if term.best is None else shown(term.best, term.unit)
            out.add_row(
                Text(term.name),
                ARROWS[term.direction],
                number(term.weight),
                cell(term.real, term.unit),
                Text(cell(term.model, term.unit), "bold"),
                cell(term.noise, term.unit),
                best,
                f"{term.milliseconds:.3g}",
                f"{term.real.samples}, {term.model.samples}, {term.noise.samples}",
            )
        return out

    def to_json(self) -> dict[str, Any]:
        """Plain data; a number that is not finite becomes None, which JSON can hold."""
        plain: dict[str, Any] = _finite(asdict(self))
        return plain


def _finite(value: Any) -> Any:
    """Plain data without numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def cell(found: Spread, unit: str) -> str:
    """A mean with its spread, and of how many samples where it is not of all."""
    if not found.count:
        return "says nothing"
    text = f"{shown(found.mean, unit)} ± {shown(found.spread, unit)}"
    if found.count < found.samples:
        text += f" ({found.count} of {found.samples})"
    return text


def spread_of(values: Sequence[float]) -> Spread:
    """Of values, of which NaN says nothing."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Spread(math.nan, math.nan, 0, len(values))
    return Spread(statistics.fmean(known), statistics.pstdev(known), len(known), len(values))


# ---- what is checked


def check(folder: str | Path, recipe: Recipe, words: Sequence[str], count: int | None) -> Check:
    """Checks the rewards of a recipe on the model of a run, and keeps what it found in the run's
    folder. words: FILE:NAME of measures of a person's own. count: samples of the model. Raises
    GenwrightError."""
    if count is not None and count < 1:
        raise GenwrightError(f"-n is {count}", "ask for at least one sample")
    load(folder)
    own = own_measures(words, recipe)
    recipe = with_terms(recipe, own)
    if not isinstance(recipe.objective, Policy):
        raise GenwrightError(
            f"recipe {recipe.name} rewards nothing: its objective is {recipe.objective.kind}",
            "give one whose objective is policy, for example folk-phrases",
        )
    stream, objective, dataset, split = opened_stream(str(folder), recipe, own)
    model, questions = drawn_samples(stream, objective, count or SAMPLES)
    real = real_samples(stream, questions, dataset, split)
    noise = noise_samples(stream, real, recipe.seed)
    found = checked(stream, (real, model, noise), split)
    result = Check(str(folder), recipe.name, *found)
    place = Path(folder) / FOLDER / f"{recipe.name}.json"
    place.parent.mkdir(exist_ok=True)
    write_whole(place, json_text(result.to_json(), indent=1) + "\n")
    return result


def opened_stream(
    source: str, recipe: Recipe, own: Sequence[OwnMeasure]
) -> tuple[Rollouts, Objective, Dataset, str]:
    """The rollouts of a recipe that goes on from a run, its objective with the weights of that, the
    data, and the split that questions and real data are of. Raises GenwrightError."""
    recipe, weights, _ = from_weights(source, recipe)
    dataset: Dataset = recipe.data.prepare(recipe.codec)
    check_codec(source, dataset.codec)
    space = assemble.space_of(recipe, dataset.codec)
    recipe = assemble.resolve(recipe, space)
    objective = assemble.objective(recipe, space)
    into_module(objective.modules[MODEL], weights[MODEL], source)
    device = Engine(recipe.training.device).device
    objective.modules[MODEL].to(device).eval()

    def the_dataset() -> Dataset:
        return dataset

    opened = Opened(objective, dataset.codec, recipe.sampling, the_dataset, source)
    windows = dataset.held_out(lookahead=recipe.objective.lookahead).windows
    split = "held_out" if windows else "train"
    return rollouts(recipe, opened, split, own), objective, dataset, split


def drawn_samples(
    stream: Rollouts, objective: Objective, count: int
) -> tuple[list[Sample], list[Question]]:
    """At least `count` samples of the model, all candidates of each question; and the questions, of
    each sample."""
    found: list[Sample] = []
    every: list[Question] = []
    position = 0
    with task("drawing samples", count) as shown_task, torch.no_grad():
        while len(found) < count:
            missing = count - len(found)
            size = min(stream.size, _whole(missing, stream.settings.candidates))
            examples = torch.arange(size)
            answers = stream.answers(objective, position, examples)
            found += answers.samples
            every += answers.questions
            position += 1
            shown_task.advance(min(size, missing))
    return found, every


def _whole(count: int, candidates: int) -> int:
    """A number of samples that is a whole number of questions."""
    return -(-count // candidates) * candidates


# ---- what is found

Three = tuple[Sequence[Sample], Sequence[Sample], Sequence[Sample]]  # real, model, noise


def checked(
    stream: Rollouts, samples: Three, split: str
) -> tuple[list[Checked], int, float, str, list[str]]:
    """The terms, candidates of a question, share of questions without variance, split, remarks."""
    terms = []
    totals = [0.0] * len(samples[1])
    for name, term in track(list(stream.reward.terms.items()), "measuring rewards"):
        measure = stream.reward.measures[name]
        found, seconds = measured(stream, name, measure, samples)
        earned = [[term.worth(value) for value in values] for values in found]
        totals = [total + part for total, part in zip(totals, earned[1], strict=True)]
        spreads = [spread_of(values) for values in earned]
        real, model, noise = (spread_of(values) for values in found)
        terms.append(
            Checked(
                name,
                term.weight,
                measure.unit,
                measure.direction,
                real,
                model,
                noise,
                (spreads[0].mean, spreads[1].mean, spreads[2].mean),
                best_of(term, measure),
                1000 * seconds / max(1, len(samples[1])),
                remarks_on(term, measure, (real, model, noise), spreads),
            )
        )
    candidates = stream.settings.candidates
    dead = dead_share(totals, candidates)
    remarks = []
    if dead >= DEAD:
        remarks.append(
            f"of {dead:.0%} of the questions all {candidates} candidates earn the same, so nothing"
            " is learned from them"
        )
    if len(terms) > 1 and sum(term.earned[2] for term in terms) > sum(t.earned[0] for t in terms):
        remarks.append("by all terms together noise earns more than real data")
    return terms, candidates, dead, split, remarks


def measured(
    stream: Rollouts, name: str, measure: Measure, samples: Three
) -> tuple[list[list[float]], float]:
    """What a measure gives of real data, model and noise, and the seconds that the model's samples
    took. Raises GenwrightError."""
    limit = stream.settings.rollout.time_limit
    of_model = limit * max(1.0, len(samples[1]) / stream.size)
    found = []
    seconds = 0.0
    for which, some, most in (
        ("the real data", samples[0], PATIENCE * limit),
        ("the model's samples", samples[1], of_model),
        ("the noise", samples[2], PATIENCE * limit),
    ):
        began = time.perf_counter()
        values = values_of(name, measure, some, most, which)
        if some is samples[1]:
            seconds = time.perf_counter() - began
        found.append(numbers(values))
    return found, seconds


def best_of(term: Term, measure: Measure) -> float | None:
    """The value with which a term earns most, where it is known: its target, or an end of the range
    of a share."""
    if term.target is not None:
        return term.target
    if measure.unit != "share" or measure.gives != "number":
        return None
    return 1.0 if term.weight > 0 else 0.0


def dead_share(totals: Sequence[float], candidates: int) -> float:
    """The share of questions whose candidates all earned the same. totals: of each sample,
    candidates side by side."""
    dead = 0
    for first in range(0, len(totals), candidates):
        part = totals[first : first + candidates]
        dead += max(part) - min(part) <= 1e-9
    return dead / max(1, len(totals) // candidates)


def remarks_on(
    term: Term, measure: Measure, found: Sequence[Spread], earned: Sequence[Spread]
) -> list[str]:
    """What a person should know of a term. found, earned: of real data, model and noise."""
    real, model, noise = found
    remarks = []
    beaten = compared(earned[2], earned[0])
    if measure.floor == "noise" and beaten in ("more", "as much"):
        than = "more than" if beaten == "more" else "as much as"
        remarks.append(
            f"noise earns {than} real data by it ({number(earned[2].mean)} against"
            f" {number(earned[0].mean)}), so it can be gamed"
        )
    if model.count and model.spread == 0:
        remarks.append("it does not vary on the model's samples, so nothing is learned from it")
    if model.count < model.samples and term.otherwise is None:
        remarks.append(
            f"it says nothing of {model.samples - model.count} of {model.samples} samples of the"
            " model, which stops a run: give the term a value for them (otherwise: 0)"
        )
    if not real.count:
        remarks.append("it says nothing of real data")
    elif compared(earned[1], earned[0]) == "more":
        remarks.append("the model earns more than real data by it already")
    remarks += _of_direction(term, measure, real)
    return remarks


def compared(one: Spread, other: Spread) -> str:
    """Whether one kind of samples earns "more" than another, "as much" or "less": by more than two
    standard errors; "" where nothing is said of one of them."""
    if not one.count or not other.count:
        return ""
    error = math.sqrt(one.spread**2 / one.count + other.spread**2 / other.count)
    apart = one.mean - other.mean
    if abs(apart) <= 2 * error:
        return "as much"
    return "more" if apart > 0 else "less"


def _of_direction(term: Term, measure: Measure, real: Spread) -> list[str]:
    """Whether a term asks for what its measure calls better."""
    if term.target is not None:
        return []
    if measure.direction == "near":
        way = "more" if term.weight > 0 else "less"
        remedy = f" (target: {number(real.mean)})" if real.count else ""
        return [f"it is best near real data{remedy}, and {way} and {way} of it is rewarded"]
    wanted = "higher" if term.weight > 0 else "lower"
    if measure.direction != wanted:
        return [
            f"{measure.direction} is better, and its weight of {number(term.weight)} rewards"
            f" what is {wanted}"
        ]
    return []
