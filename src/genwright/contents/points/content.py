"""Points in the plane as a kind of content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from genwright.contents.points.data import points_of
from genwright.contents.points.drawing import scatter
from genwright.contents.points.evaluate import evaluate_points
from genwright.contents.points.sampler import PointSampler, drawer_of
from genwright.contents.points.view import REAL, PointView
from genwright.core.content import Opened, Section
from genwright.core.progress import task
from genwright.core.registry import register
from genwright.evaluation.array_watcher import ArrayMeasures, watched_on
from genwright.evaluation.distances import mixture
from genwright.evaluation.features import extractor, of_split
from genwright.evaluation.figure import Figure
from genwright.evaluation.pilot import SampleCounts
from genwright.reporting.png import Picture, kept_on_the_way, picture_sections, write
from genwright.runs.content import SEEN, Content, averaged_words

if TYPE_CHECKING:
    from genwright.recipe.schema import Recipe
    from genwright.runs.checkpoint_figures import Evaluation
    from genwright.runs.trained import TrainedRun

SHOWN = 2000  # samples in a report


class PointWatcher:
    """Points of one seed, drawn and measured while a run trains; see `core.content.Watcher`."""

    def __init__(self, opened: Opened, samples: int, seed: int):
        self.opened = opened
        self.samples = samples
        self.dataset = points_of(opened.dataset())
        self.measures = ArrayMeasures(self.dataset, samples, lambda: extractor(self.dataset), seed)

    def draw(self) -> Tensor | None:
        """(samples, 2), on the CPU, asked for what training points have."""
        drawer = drawer_of(self.opened)
        conditions = self.measures.real[1] if drawer.conditional else None
        return drawer(self.samples, conditions)

    def write(self, samples: Tensor, path: Path) -> None:
        """A PNG of the samples (n, 2) over real points."""
        write(path.with_suffix(".png"), scatter(samples, self.measures.real[0]))

    def measured(self, samples: Tensor) -> dict[str, float]:
        """Distances to real points, and for a mixture of known means also its modes: how many are
        met, the share of samples near one, the reverse KL in nats. Non-finite coordinates count as
        far away."""
        found = self.measures.measured(samples)
        if self.dataset.means is not None:
            finite = samples.nan_to_num(0.0, 1e6, -1e6)
            modes = mixture(finite, self.dataset.means, self.dataset.std)
            found["modes"] = float(modes.modes)
            found["high_quality"] = modes.high_quality
            found["reverse_kl"] = modes.kl
        return found


class PointContent(Content):
    """Points of a distribution that is known."""

    kind = "points"
    thing = "point"
    sampler = PointSampler()
    view = PointView()
    held_out_seen = SEEN

    def evaluate(
        self, run: TrainedRun, options: Any, counts: SampleCounts
    ) -> tuple[list[Figure], list[dict[str, Any]]]:
        """Figures of points; none are kept for the report."""
        return evaluate_points(run, options, counts), []

    def sections(self, run: TrainedRun, evaluation: Evaluation) -> list[Section]:
        """Samples over real points, and how they came to be there."""
        with task("drawing points for the report", 1):
            samples = drawer_of(run.opened())(SHOWN)
            real, _ = of_split(points_of(run.dataset()).split("train"), REAL)
        caption = (
            "Samples in blue over real points in grey; "
            "a sample outside of the frame stands on its edge."
        )
        pictures = [Picture("Samples", caption, scatter(samples, real))]
        pictures += kept_on_the_way(run.folder / "samples")
        return picture_sections(pictures)

    def watcher(self, opened: Opened, samples: int, seed: int) -> PointWatcher:
        """Draws `samples` points at each evaluation, all of one seed, so that they can be
        compared."""
        return PointWatcher(opened, samples, seed)

    def watched_on(self, recipe: Recipe, summary: Mapping[str, Any]) -> dict[str, str]:
        """Says of precision, recall and the like how many samples were compared with how many real
        points."""
        return watched_on(recipe.watching.samples, summary, SEEN, averaged_words(recipe))


register("content", PointContent.kind, PointContent())
