"""A kind of content: its sampler, its view and its measures, joined; and what each kind gets for
nothing.

A room of `contents/`, or an installed package, makes one subclass and registers one instance:

    class TableContent(Content):
        kind = "table"
        thing = "row"
        sampler = TableSampler()
        view = TableView()

    register("content", TableContent.kind, TableContent())

What it does not say itself is done here: figures are the held-out loss and every registered measure
beside real data and noise; a report shows some samples; `inspect` prints sizes and cost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from genwright.core.content import (
    Drawn,
    FirstBatch,
    FirstSeen,
    Mark,
    Measure,
    Opened,
    Sample,
    Sampler,
    Section,
    SetMeasure,
    View,
    Watcher,
)
from genwright.core.dataset import Dataset
from genwright.core.groups import Judge
from genwright.core.options import Options
from genwright.core.registry import content_of, measures_of, options_of
from genwright.evaluation.figure import Figure
from genwright.evaluation.measures import measure_figures
from genwright.evaluation.pilot import SampleCounts
from genwright.recipe.options import read_options
from genwright.recipe.schema import Recipe
from genwright.reporting.markup import joined, trusted
from genwright.runs.checkpoint_figures import Evaluation
from genwright.runs.objective_figures import SEEN, held_out_figures, objective_figures
from genwright.runs.trained import TrainedRun
from genwright.sampling.options import SampleCount

SAMPLES = 256  # of which figures are made, at most, unless another number is asked for
LEAST = 16  # samples that are always drawn
PART = 16  # samples that are drawn at once
COMPARED = 1000  # real samples that samples are compared with
SHOWN = 8  # samples in a report


class Exporter(NamedTuple):
    """A format of `genwright export`. write: writes a run into a new folder. of: what it is for."""

    write: Callable[[TrainedRun, Path], None]
    of: str


class Content:
    """A kind of content. kind: as codecs and data name it. thing: what one example is called."""

    kind: ClassVar[str] = ""
    thing: ClassVar[str] = "example"
    sampler: Sampler
    view: View
    # held-out examples that the objective measures while training; None: all
    held_out_seen: ClassVar[int | None] = None
    # formats of `genwright export`, by name
    exporters: ClassVar[Mapping[str, Exporter]] = {}

    @property
    def measures(self) -> Mapping[str, Measure | SetMeasure]:
        """The registered measures, by name."""
        return measures_of(self.kind)

    # ---- evaluate

    def evaluate(
        self, run: TrainedRun, options: Any, counts: SampleCounts
    ) -> tuple[list[Figure], list[dict[str, Any]]]:
        """Figures, and samples that a report shows, as plain data. counts: how many samples are
        drawn; it is told how many were."""
        figures = held_out_figures(run, self.thing, None)
        figures += objective_figures(run, False, COMPARED, self.thing, "values")
        opened = run.opened()
        sample_options = self.sampler_options()

        def draw(first: int, count: int) -> list[Sample]:
            events = self.sampler.draw(opened, sample_options, n=count, first=first)
            return [event.sample for event in events if isinstance(event, Drawn)]

        parts = counts.draw("samples", draw, least=LEAST, most=SAMPLES, part=PART)
        samples = [sample for part in parts for sample in part]
        dataset = run.dataset()
        split = "held_out" if dataset.held_out(run.recipe.objective.lookahead).windows else "train"
        real = self.sampler.real(dataset, split, COMPARED)
        noise = self.sampler.noise(real[: len(samples)], run.recipe.seed)
        figures += measure_figures(self.measures, samples, real, noise, split)
        return figures, []

    def sampler_options(self, **given: Any) -> Options:
        """Options of `genwright sample` for this kind of content. Raises GenwrightError."""
        cls: type[Options] = self.sampler.options
        named = {cls.aliases.get(name, name): value for name, value in given.items()}
        return read_options(cls, named)

    def evaluate_options(self, **given: Any) -> Options:
        """Options of `genwright evaluate` for this kind of content. Raises GenwrightError."""
        cls: type[Options] = options_of("evaluate").get(self.kind, SampleCount)
        return read_options(cls, given)

    # ---- audits

    def judges(self, dataset: Dataset, attributes: Sequence[str]) -> Mapping[str, Judge]:
        """What recognises attributes of the data in samples (`core.groups.Audited`): nothing, where
        what a sample shows of itself is found by rules."""
        return {}

    # ---- rewards

    def plain(self, sample: Sample) -> Any:
        """What a person's own measure is given of a sample."""
        return sample.content

    # ---- report

    def sections(self, run: TrainedRun, evaluation: Evaluation) -> list[Section]:
        """What a report shows of a run beside its figures: some samples."""
        events = self.sampler.draw(run.opened(), self.sampler_options(), n=SHOWN)
        shown = [event.sample for event in events if isinstance(event, Drawn)]
        return [Section("Samples", joined(trusted(self.view.show(one).html) for one in shown))]

    def sizes(self, run: TrainedRun) -> dict[str, Any]:
        """Sizes of the model that a report names beside its parameters."""
        return {}

    def as_text(self, sample: Sample) -> str:
        """A sample as a text that a log can hold and a terminal show; "" where it is none."""
        return sample.content if isinstance(sample.content, str) else ""

    def in_words(self, sample: Sample) -> str:
        """A sample as lines of text for a terminal; "" where that shows none."""
        return self.as_text(sample)

    def place_in_words(self, sample: Sample, place: Any) -> str:
        """A place that measures of this content give, for a person."""
        return str(place)

    def mark(self, sample: Sample, place: Any, kind: str, note: str) -> Mark | None:
        """A mark, as its view shows it, at a place that its measures give; None where its view
        shows none."""
        return None

    # ---- inspect

    def first_seen(self, first: FirstBatch) -> FirstSeen:
        """What `genwright inspect` shows of the first batch, and facts of this kind of content in
        place of those that every run has."""
        return FirstSeen()

    def split_remarks(self, summary: Mapping[str, Any]) -> list[str]:
        """What a person should know of the held-out split, beside equal examples on both sides:
        near copies, as this kind of content counts them. summary: of the data."""
        return []

    # ---- while training

    def watcher(self, opened: Opened, samples: int, seed: int) -> Watcher | None:
        """What draws and measures `samples` samples on the schedule of held-out evaluations; None
        where nothing is drawn while training."""
        return None

    def watched_on(self, recipe: Recipe, summary: Mapping[str, Any]) -> dict[str, str]:
        """Metric of a held-out evaluation in training -> on how much it was measured, in words: for
        whoever shows it beside figures of `evaluate`, which are of more samples. summary: of the
        data, with the examples of its splits."""
        return {"loss": f"marks: the whole held-out split{averaged_words(recipe)}"}


def kind_of(run: TrainedRun) -> Content:
    """What kind of content a run makes. Raises GenwrightError where the registry knows none of that
    name."""
    return registered(run.codec.content)


def registered(content: str) -> Content:
    """The kind of content of this name. Raises GenwrightError for an unknown one."""
    found: Content = content_of(content)
    return found


def averaged_words(recipe: Recipe) -> str:
    """Whether held-out figures in training are of averaged weights, as words to append."""
    return ", averaged weights" if recipe.training.ema else ""


__all__ = ["SEEN", "Content", "Exporter", "averaged_words", "kind_of", "registered"]
