"""Whether samples are copies: those that lie nearer to one training example than fresh examples of the same data do.

How near is told by the distance to the nearest training example over the mean distance to the 50 nearest (Carlini et al., arXiv
2301.13188, section 5.1): a blurred picture is near to everything and no copy; a copy is much nearer to one example than to the next.
A sample counts as memorised when its ratio is at most the 5% quantile of held-out examples' ratios, so a generator that invents
reaches 5% (the floor), one that copies 100%.
"""

from __future__ import annotations

from torch import Tensor

from genwright.errors import GenwrightError
from genwright.evaluation.neighbours import nearest

QUANTILE, NEIGHBOURS = 0.05, 50


class Memory:
    """Made once from train (n, ...) and held_out (m, ...), pixels or features; measures any number of samples.
    threshold: the ratio below which a sample is memorised. floor: the share of held-out examples at or below it."""

    def __init__(self, train: Tensor, held_out: Tensor):
        if len(train) < 2 or not len(held_out):
            what = f"with {len(train)} training and {len(held_out)} held-out examples nothing tells a copy from a fresh one"
            raise GenwrightError(what, "hold out more, or give more data")
        self.train, self.k = train, min(NEIGHBOURS, len(train))
        fresh = self.ratios(held_out)
        self.threshold = float(fresh.sort().values[int(QUANTILE * len(fresh))])
        self.floor = float((fresh <= self.threshold).double().mean())

    def ratios(self, samples: Tensor) -> Tensor:
        """(n,)"""
        distance, _ = nearest(samples, self.train, self.k)
        return distance[:, 0] / distance.mean(1).clamp(min=1e-12)  # 0 / 0, copies of an example that is there 50 times: 0

    def share(self, samples: Tensor) -> float:
        """Share of samples that are memorised."""
        return float((self.ratios(samples) <= self.threshold).double().mean())
