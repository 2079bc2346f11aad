"""Nearest neighbours, and what they say of samples: precision and recall (Kynkaanniemi et al., arXiv 1904.06991), density and coverage
(Naeem et al., arXiv 2002.09797), and whether they are copies: nearer to one training example than fresh examples of the same data are.

Distances are exact (fp64: |a|^2 + |b|^2 - 2ab loses half the digits, and points of a narrow mixture are nearer than fp32 can tell) and
computed in blocks, so memory is bounded whatever the number of examples.
"""

import torch
from torch import Tensor

from genwright.errors import GenwrightError
from genwright.objectives.transport import square_distances

QUANTILE, NEIGHBOURS = 0.05, 50  # of `Memory`
BLOCK = 2048  # rows of a block of distances: with 10,000 columns 160 MB


def nearest(queries: Tensor, points: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest points of every query: distances (n, k) float64, ascending, and indices (n, k). queries (n, ...), points (m, ...),
    flattened; m >= k."""
    queries, points = queries.flatten(1), points.flatten(1)
    centre, size = points[:BLOCK].double().mean(0), 4 * BLOCK
    found = []
    for part in queries.split(BLOCK):  # of both a block at a time: a whole set in fp64 may not fit
        squares = (square_distances(part.double() - centre, some.double() - centre) for some in points.split(size))
        near = [block.topk(min(k, block.shape[1]), largest=False) for block in squares]
        index = torch.cat([block.indices + i * size for i, block in enumerate(near)], 1)
        best, order = torch.cat([block.values for block in near], 1).topk(k, largest=False)
        found.append((best.sqrt(), index.gather(1, order)))
    return torch.cat([f[0] for f in found]), torch.cat([f[1] for f in found])


def prdc(real: Tensor, fake: Tensor, k: int = 5) -> dict[str, float]:
    """precision: share of fakes inside the ball of some real one, which reaches to its k-th nearest real neighbour; recall: the same,
    the other way round; density: of how many balls a fake is inside, over k; coverage: share of real balls that hold a fake.
    real (n, d), fake (m, d) features. For equal distributions density is near 1 and coverage near 1 - 2**-k.
    Raises GenwrightError where a side has k examples or fewer."""
    if min(len(real), len(fake)) <= k:
        what = f"{len(real)} real and {len(fake)} generated examples are too few for their {k} nearest neighbours"
        raise GenwrightError(what, f"measure more than {k} of each")
    centre = real.flatten(1).double().mean(0)
    real, fake = (x.flatten(1).double() - centre for x in (real, fake))
    real_radii, fake_radii = (nearest(x, x, k + 1)[0][:, -1] for x in (real, fake))  # the nearest of all is the example itself
    balls, recalled, covered = real.new_zeros(len(fake)), 0, 0  # balls: how many real ones each fake is inside
    for part, radii in zip(real.split(BLOCK), real_radii.split(BLOCK), strict=True):
        distance = square_distances(part, fake).sqrt()
        inside = distance < radii[:, None]
        balls += inside.sum(0)
        recalled += int((distance < fake_radii).any(1).sum())
        covered += int(inside.any(1).sum())
    precision, density = float((balls > 0).double().mean()), float(balls.mean()) / k
    return {"precision": precision, "recall": recalled / len(real), "density": density, "coverage": covered / len(real)}


class Memory:
    """Which samples are copies, made once from train (n, ...) and held_out (m, ...), pixels or features.

    How near is told by the distance to the nearest training example over the mean distance to the 50 nearest (Carlini et al., arXiv
    2301.13188, section 5.1): a blurred picture is near to everything and no copy; a copy is much nearer to one example than to the next.
    A sample counts as memorised when its ratio is at most the 5% quantile of held-out examples' ratios, so a generator that invents
    reaches 5% (the floor), one that copies 100%. threshold: that ratio. floor: the share of held-out examples at or below it."""

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
