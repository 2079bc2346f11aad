"""Pictures of one seed, drawn and measured while a run trains."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from genwright.contents.images import drawing
from genwright.contents.images.data import picture_data
from genwright.contents.images.sampler import drawer_of
from genwright.core.content import Opened
from genwright.evaluation.array_watcher import ArrayMeasures
from genwright.evaluation.features import extractor
from genwright.reporting.png import write

SHOWN = 64  # pictures in a grid
ACROSS = 8


class PictureWatcher:
    """See `core.content.Watcher`. Samples are asked for what training pictures have."""

    def __init__(self, opened: Opened, samples: int, seed: int):
        self.opened = opened
        self.samples = samples
        dataset = picture_data(opened.dataset())
        cache = dataset.settings.cache
        self.measures = ArrayMeasures(dataset, samples, lambda: extractor(dataset, cache), seed)

    def draw(self) -> Tensor | None:
        """(samples, C, H, W), on the CPU."""
        drawer = drawer_of(self.opened)
        if not drawer.draws:
            return None
        conditions = self.measures.real[1] if drawer.conditional else None
        return drawer(self.samples, conditions)

    def write(self, samples: Tensor, path: Path) -> None:
        """A PNG of the first 64 pictures, eight in a row."""
        write(path.with_suffix(".png"), drawing.grid(samples[:SHOWN], ACROSS))

    def measured(self, samples: Tensor) -> dict[str, float]:
        """Precision, recall, density, coverage, Frechet distance and memorising, of samples (n, C,
        H, W)."""
        return self.measures.measured(samples)
