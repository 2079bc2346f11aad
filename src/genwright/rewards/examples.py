"""What rewards say of single examples, part by part: the lower half of `genwright inspect`, where a
recipe has rewards or a person names a function.

1. Real examples, held out where the data hold some out; of a recipe whose questions have answers,
   those.
2. Of a run, samples of its model: answers to the same questions, or where the run learned from no
   rewards, samples as `genwright sample` draws them.

Nothing is learned and nothing is written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genwright.core.content import Drawn, Measure, Opened, OwnMeasure, Sample
from genwright.core.dataset import Dataset
from genwright.evaluation.figure import number, shown
from genwright.objectives.policy import Policy
from genwright.objectives.terms import Rollout, Term
from genwright.recipe.schema import Recipe
from genwright.rewards.before_after import POSITION
from genwright.rewards.floors import real_samples
from genwright.rewards.guard import values_of
from genwright.rewards.measured import PATIENCE
from genwright.rewards.rollout import rollouts
from genwright.runs import assemble
from genwright.runs.content import Content, registered
from genwright.runs.run import Run, load
from genwright.training import checkpoint

COUNT = 3  # examples of each kind
PLACES = 8  # of a dense value, that are shown
CHARACTERS = 800  # of an example
REAL = "real"
SAMPLE = "sample"


class Said(NamedTuple):
    """What a term says of an example. value: NaN where nothing. earned: with its weight or target;
    NaN where it is no term of a recipe. places: (where, value), of a measure that says where."""

    name: str
    unit: str
    value: float
    earned: float
    places: list[tuple[str, float]]

    @property
    def text(self) -> str:
        """In words."""
        if math.isnan(self.value):
            words = "says nothing"
        else:
            words = shown(self.value, self.unit)
            if self.unit != "share":
                words += f" {self.unit}"
        if not math.isnan(self.earned):
            words += f", earns {number(self.earned)}"
        places = [f"{number(value)} at {where}" for where, value in self.places[:PLACES]]
        if len(self.places) > PLACES:
            places.append(f"and {len(self.places) - PLACES} places more")
        return f"{words}: {'; '.join(places)}" if places else words


class Example(NamedTuple):
    """title: which it is. text: as a terminal can show it, "" where it cannot."""

    title: str
    text: str
    said: list[Said]


@dataclass(frozen=True)
class Examples:
    """Printed, a page for a person."""

    heading: str
    examples: list[Example]

    def __str__(self) -> str:
        lines = [self.heading]
        for example in self.examples:
            lines += ["", example.title]
            text = example.text
            if len(text) > CHARACTERS:
                text = f"{text[:CHARACTERS]}..."
            lines += [f"  {line}" for line in text.splitlines()]
            width = max(len(said.name) for said in example.said)
            lines += [f"    {said.name:<{width}}  {said.text}" for said in example.said]
        return "\n".join(lines)


def run_of(word: Any) -> Run | None:
    """The run of this folder, if it is one that has a checkpoint."""
    if not isinstance(word, str | Path) or not (Path(word) / "recipe.yaml").is_file():
        return None
    if not checkpoint.steps(Path(word) / "checkpoints"):
        return None
    return load(word)


def examples_of(
    recipe: Recipe, own: Sequence[OwnMeasure], run: Run | None = None
) -> Examples | None:
    """What rewards say of some examples; None of a recipe without rewards where no function is
    named. own: a person's own measures, which are terms of the recipe already, where it has some.
    run: whose samples are looked at too. Raises GenwrightError where a measure fails."""
    if isinstance(recipe.objective, Policy):
        return _of_policy(recipe, own, run)
    if not own:
        return None
    content = registered(recipe.codec.content)
    dataset = _dataset(recipe, run)
    split = _split(recipe, dataset)
    real = [each._replace(prompt=None) for each in content.sampler.real(dataset, split, COUNT)]
    samples: list[Sample] = []
    if run is not None:
        events = content.sampler.draw(run.opened(), content.sampler_options(), n=COUNT)
        samples = [event.sample for event in events if isinstance(event, Drawn)]
    measures = {each.name: each.measure for each in own}
    seconds = PATIENCE * Rollout().time_limit
    return _examples(content, measures, {}, seconds, (real, samples), split, run)


def _of_policy(recipe: Recipe, own: Sequence[OwnMeasure], run: Run | None) -> Examples:
    """Of the terms of a recipe, on its questions."""
    dataset = _dataset(recipe, run)
    split = _split(recipe, dataset)
    if run is None:
        space = assemble.space_of(recipe, dataset.codec)
        recipe = assemble.resolve(recipe, space)
        objective = assemble.objective(recipe, space)
        opened = Opened(objective, dataset.codec, recipe.sampling, lambda: dataset, recipe.name)
    else:
        opened = run.opened()
    stream = rollouts(recipe, opened, split, own)
    first = torch.arange(COUNT) * stream.settings.candidates  # of a question each
    real = real_samples(stream, stream.asked(POSITION, first), dataset, split)
    samples: list[Sample] = []
    if run is not None:
        samples = stream.answers(run.objective, POSITION, first).samples
    seconds = PATIENCE * stream.settings.rollout.time_limit
    content = registered(recipe.codec.content)
    terms = stream.reward.terms
    return _examples(content, stream.reward.measures, terms, seconds, (real, samples), split, run)


def _dataset(recipe: Recipe, run: Run | None) -> Dataset:
    if run is not None:
        return run.dataset()
    dataset: Dataset = recipe.data.prepare(recipe.codec)
    return dataset


def _split(recipe: Recipe, dataset: Dataset) -> str:
    windows = dataset.held_out(lookahead=recipe.objective.lookahead).windows
    return "held_out" if windows else "train"


def _examples(
    content: Content,
    measures: Mapping[str, Measure],
    terms: Mapping[str, Term],
    seconds: float,
    both: tuple[Sequence[Sample], Sequence[Sample]],
    split: str,
    run: Run | None,
) -> Examples:
    """terms: of the measures, by name, where they are terms of a recipe. seconds: that each may
    take. both: real examples, and samples. Raises GenwrightError."""
    data = "held-out data" if split == "held_out" else "training data"
    heading = f"what rewards say of {data}"
    if run is not None:
        heading += f", and of samples of {run.folder} at step {run.step:,}"
    found = []
    for kind, of, samples in (
        (REAL, "the real data", both[0]),
        (SAMPLE, "the model's samples", both[1]),
    ):
        values = {
            name: values_of(name, measure, samples, seconds, of)
            for name, measure in measures.items()
        }
        for i, sample in enumerate(samples):
            said = []
            for name, measure in measures.items():
                said.append(_said(content, measure, name, terms.get(name), sample, values[name][i]))
            found.append(Example(_title(kind, i, sample), _text(content, sample), said))
    return Examples(heading, found)


def _said(
    content: Content, measure: Measure, name: str, term: Term | None, sample: Sample, value: Any
) -> Said:
    """value: as of `guard.values_of`."""
    places = []
    if isinstance(value, Mapping):
        for place, part in value.items():
            places.append((content.place_in_words(sample, place), part))
        value = math.fsum(value.values())
    earned = math.nan if term is None else term.worth(value) + 0.0  # no -0
    return Said(name, measure.unit, value, earned, places)


def _title(kind: str, number: int, sample: Sample) -> str:
    asked = ""
    if isinstance(sample.prompt, str) and sample.prompt:
        asked = f", to {sample.prompt!r}"
    return f"{kind} {number + 1}{asked}"


def _text(content: Content, sample: Sample) -> str:
    """An example for a terminal; of what none can show, its size."""
    text = content.in_words(sample)
    if not text and isinstance(sample.content, Tensor):
        return f"{' x '.join(map(str, sample.content.shape))} numbers"
    return text
