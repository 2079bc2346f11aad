"""Pictures as a kind of content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genwright.contents.images import known
from genwright.contents.images.evaluate import evaluate_images
from genwright.contents.images.gallery import gallery
from genwright.contents.images.sampler import PictureSampler
from genwright.contents.images.view import PictureView
from genwright.contents.images.watcher import PictureWatcher
from genwright.core.content import FirstBatch, FirstSeen, Opened, Sample, Section
from genwright.core.dataset import Dataset
from genwright.core.groups import Judge, Known
from genwright.core.registry import register
from genwright.evaluation.array_watcher import watched_on
from genwright.evaluation.features import extractor
from genwright.evaluation.figure import Figure
from genwright.evaluation.pilot import SampleCounts
from genwright.reporting.png import picture_sections
from genwright.runs.content import SEEN, Content, averaged_words

if TYPE_CHECKING:
    from genwright.recipe.schema import Recipe
    from genwright.runs.checkpoint_figures import Evaluation
    from genwright.runs.trained import TrainedRun


class PictureContent(Content):
    """Squares of grey or RGB, as pixels or as the codes of a VQ run."""

    kind = "image"
    thing = "picture"
    sampler = PictureSampler()
    view = PictureView()
    held_out_seen = SEEN

    def evaluate(
        self, run: TrainedRun, options: Any, counts: SampleCounts
    ) -> tuple[list[Figure], list[dict[str, Any]]]:
        """Figures of pictures; none are kept for the report, whose gallery is drawn anew."""
        return evaluate_images(run, options, counts), []

    def sections(self, run: TrainedRun, evaluation: Evaluation) -> list[Section]:
        """The first picture of the gallery, which shows samples, and the others; no section where
        the run has none."""
        return picture_sections(gallery(run))

    def first_seen(self, first: FirstBatch) -> FirstSeen:
        """The chosen rows as the stream gave them; nothing where the batch holds codes and no
        pictures (n, C, H, W)."""
        x = first.batch.get("x")
        if x is None or x.ndim != 4:
            return FirstSeen()
        return FirstSeen(rasters=x[: len(first.rows)])

    def watcher(self, opened: Opened, samples: int, seed: int) -> PictureWatcher:
        """Draws `samples` pictures at each evaluation, all of one seed, so that they can be
        compared."""
        return PictureWatcher(opened, samples, seed)

    def watched_on(self, recipe: Recipe, summary: Mapping[str, Any]) -> dict[str, str]:
        """Says of precision, recall and the like how many samples were compared with how many real
        pictures."""
        return watched_on(recipe.watching.samples, summary, SEEN, averaged_words(recipe))

    # ---- audits (`core.groups.Audited`)

    def known_attributes(self, dataset: Dataset) -> Sequence[str]:
        """What the data say of pictures."""
        return known.known_attributes(dataset)

    def known(self, dataset: Dataset, split: str, attributes: Sequence[str]) -> Known:
        """Of every picture of a split."""
        return known.known(dataset, split, attributes)

    def examples(self, dataset: Dataset, split: str, numbers: Sequence[int]) -> list[Sample]:
        """Pictures of a split."""
        return known.examples(dataset, split, numbers)

    def judges(self, dataset: Dataset, attributes: Sequence[str]) -> Mapping[str, Judge]:
        """Networks that recognise attributes of which a picture has one value at most."""
        return known.judges(dataset, attributes)

    def measurable(self, samples: Sequence[Sample], opened: Opened) -> list[Sample]:
        """Pictures as they are; nothing is said of them, whatever is known."""
        columns = opened.codec.space.columns
        if not columns:
            return list(samples)
        return [sample._replace(condition=torch.zeros(columns)) for sample in samples]

    def features(self, dataset: Dataset, samples: Sequence[Sample]) -> Tensor:
        """Of the network that figures of evaluations are made with."""
        pictures = known.originals_of(dataset)
        x = torch.stack([sample.content for sample in samples])
        return extractor(pictures, pictures.settings.cache).features(x)


register("content", PictureContent.kind, PictureContent())
