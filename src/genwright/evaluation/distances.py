"""What sets of vectors say of each other: distances (Frechet, kernel, sliced Wasserstein), nearest
neighbours (precision, recall, density, coverage, copies), and which modes of a known distribution
are reached.

None means anything alone: print what a set of real examples of the same size reaches beside it.
Distances between points are in fp64 (|a|^2 + |b|^2 - 2ab loses half the digits, and points of a
narrow mixture are nearer than fp32 can tell) and computed in blocks, so memory is bounded whatever
the number of examples.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.objectives.transport import square_distances

# of `Memory`
QUANTILE = 0.05
NEIGHBOURS = 50
BLOCK = 2048  # rows of a block of distances: with 10,000 columns 160 MB
# share of a 2-D Gaussian within 3 standard deviations: what a perfect sampler reaches
PERFECT = 1 - math.exp(-4.5)


def _checked(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if min(len(a), len(b)) < 2:
        raise GenwrightError(
            f"a distance between sets of {len(a)} and {len(b)} examples says nothing",
            "measure at least 2 of each",
        )
    return a.flatten(1).double(), b.flatten(1).double()


def frechet(a: Tensor, b: Tensor) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to (n, d) and (m, d): |mean
    difference|^2 + tr(A + B - 2 (A B)^(1/2)) (Dowson and Landau 1982; Heusel et al., arXiv
    1706.08500). Biased upwards, the more so the fewer examples there are for d.

    With A = X^T X of centred rows, tr (A B)^(1/2) is the sum of the singular values of X Y^T. Roots
    of the eigenvalues of A B, the usual way, lose half of the digits where features depend on one
    another, and take many times as long."""
    a, b = _checked(a, b)
    first = _root_of_covariance(a)
    second = _root_of_covariance(b)
    between_means = (a.mean(0) - b.mean(0)).square().sum()
    traces = between_means + first.square().sum() + second.square().sum()
    cross = torch.linalg.svdvals(first @ second.T).sum()
    return float(traces - 2 * cross)


def _root_of_covariance(x: Tensor) -> Tensor:
    """(n, d) -> R (min(n, d), d), R^T R the covariance: the triangle of a QR decomposition of the
    centred rows."""
    centred = x - x.mean(0)
    return torch.linalg.qr(centred / math.sqrt(len(x) - 1), mode="r").R


def _mmd(a: Tensor, b: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy, kernel (x.y / d + 1)^3."""
    n = len(a)
    m = len(b)
    inside_a = _kernel_sum(a, a) - _kernel_of_itself(a)
    inside_b = _kernel_sum(b, b) - _kernel_of_itself(b)
    between = _kernel_sum(a, b)
    return inside_a / (n * (n - 1)) + inside_b / (m * (m - 1)) - 2 * between / (n * m)


def _kernel_sum(x: Tensor, y: Tensor) -> float:
    """Over all pairs of rows of (n, d) and (m, d)."""
    width = x.shape[1]
    return sum(float((part @ y.T / width + 1).pow(3).sum()) for part in x.split(BLOCK))


def _kernel_of_itself(x: Tensor) -> float:
    """Over the pairs of a row and itself."""
    return float((x.square().sum(1) / x.shape[1] + 1).pow(3).sum())


def kernel_distance(a: Tensor, b: Tensor, blocks: int = 10) -> tuple[float, float]:
    """Unbiased squared MMD with a cubic kernel (Binkowski et al., arXiv 1801.01401) of (n, d) and
    (m, d), and its standard error from disjoint blocks of both. May be below 0. Unlike Frechet's
    its expectation does not depend on the number of examples."""
    a, b = _checked(a, b)
    blocks = max(1, min(blocks, len(a) // 2, len(b) // 2))
    whole = _mmd(a, b)
    if blocks == 1:
        return whole, math.nan
    parts = torch.tensor([_mmd(a[i::blocks], b[i::blocks]) for i in range(blocks)])
    return whole, float(parts.std() / blocks**0.5)


def sliced_wasserstein(a: Tensor, b: Tensor, projections: int = 128, seed: int = 0) -> float:
    """Root mean square, over random directions, of the 2-Wasserstein distance of the projections of
    (n, d) and (m, d) (Bonneel et al. 2015). Exact on each direction, for unequal numbers too: the
    two quantile functions are steps, compared on all their pieces."""
    a, b = _checked(a, b)
    draws = Draws(seed, 0, torch.arange(projections))
    directions = draws.normal("directions", a.shape[1]).double().to(a.device)  # (projections, d)
    directions = directions / directions.norm(dim=1, keepdim=True)
    n = len(a)
    m = len(b)
    # ends of the pieces on which both quantile functions are constant, in 1 / (n m)
    steps = [torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]
    ends = torch.cat(steps).unique().to(a.device)
    widths = torch.diff(ends, prepend=ends.new_zeros(1)).double() / (n * m)
    place_in_a = (ends - 1) // m
    place_in_b = (ends - 1) // n
    total = a.new_zeros(())
    for part in directions.split(32):
        sorted_a = (a @ part.T).sort(0).values  # (n, 32)
        sorted_b = (b @ part.T).sort(0).values
        total += (widths @ (sorted_a[place_in_a] - sorted_b[place_in_b]).square()).sum()
    return float((total / projections).sqrt())


def nearest(queries: Tensor, points: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest points of every query: distances (n, k) float64, ascending, and indices (n, k).
    queries (n, ...), points (m, ...), flattened; m >= k."""
    queries = queries.flatten(1)
    points = points.flatten(1)
    centre = points[:BLOCK].double().mean(0)
    distances = []
    indices = []
    for part in queries.split(BLOCK):  # of both a block at a time: a whole set in fp64 may not fit
        distance, index = _nearest_of_block(part.double() - centre, points, centre, k)
        distances.append(distance)
        indices.append(index)
    return torch.cat(distances), torch.cat(indices)


def _nearest_of_block(
    queries: Tensor, points: Tensor, centre: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """queries (n, d): float64, less the centre, which is taken from the points here."""
    size = 4 * BLOCK
    squares = []
    indices = []
    for i, block in enumerate(points.split(size)):
        square = square_distances(queries, block.double() - centre)  # (n, size)
        near = square.topk(min(k, square.shape[1]), largest=False)
        squares.append(near.values)
        indices.append(near.indices + i * size)
    best, order = torch.cat(squares, 1).topk(k, largest=False)
    return best.sqrt(), torch.cat(indices, 1).gather(1, order)


def prdc(real: Tensor, fake: Tensor, k: int = 5) -> dict[str, float]:
    """Precision and recall (Kynkaanniemi et al., arXiv 1904.06991), density and coverage (Naeem et
    al., arXiv 2002.09797), of real (n, d) and fake (m, d) features.

    precision: share of fakes inside the ball of some real one, which reaches to its k-th nearest
    real neighbour; recall: the same, the other way round; density: of how many balls a fake is
    inside, over k; coverage: share of real balls that hold a fake. For equal distributions density
    is near 1 and coverage near 1 - 2**-k. Raises GenwrightError where a side has k examples or
    fewer."""
    if min(len(real), len(fake)) <= k:
        raise GenwrightError(
            f"{len(real)} real and {len(fake)} generated examples are too few for their {k} "
            "nearest neighbours",
            f"measure more than {k} of each",
        )
    centre = real.flatten(1).double().mean(0)
    real = real.flatten(1).double() - centre
    fake = fake.flatten(1).double() - centre
    # the nearest of all is the example itself
    real_radii = nearest(real, real, k + 1)[0][:, -1]
    fake_radii = nearest(fake, fake, k + 1)[0][:, -1]
    # balls: how many real ones each fake is inside
    balls = real.new_zeros(len(fake))
    recalled = 0
    covered = 0
    for part, radii in zip(real.split(BLOCK), real_radii.split(BLOCK), strict=True):
        distance = square_distances(part, fake).sqrt()
        inside = distance < radii[:, None]
        balls += inside.sum(0)
        recalled += int((distance < fake_radii).any(1).sum())
        covered += int(inside.any(1).sum())
    precision = float((balls > 0).double().mean())
    density = float(balls.mean()) / k
    return {
        "precision": precision,
        "recall": recalled / len(real),
        "density": density,
        "coverage": covered / len(real),
    }


class Memory:
    """Which samples are copies, made once from train (n, ...) and held_out (m, ...), values or
    features.

    How near is told by the distance to the nearest training example over the mean distance to the
    50 nearest (Carlini et al., arXiv 2301.13188, section 5.1): a blurred example is near to
    everything and no copy; a copy is much nearer to one example than to the next. A sample counts
    as memorised when its ratio is at most the 5% quantile of held-out examples' ratios, so a
    generator that invents reaches 5% (the floor), one that copies 100%. threshold: that ratio.
    floor: the share of held-out examples at or below it."""

    def __init__(self, train: Tensor, held_out: Tensor):
        if len(train) < 2 or not len(held_out):
            raise GenwrightError(
                f"with {len(train)} training and {len(held_out)} held-out examples nothing tells a "
                "copy from a fresh one",
                "hold out more, or give more data",
            )
        self.train = train
        self.k = min(NEIGHBOURS, len(train))
        fresh = self.ratios(held_out)
        self.threshold = float(fresh.sort().values[int(QUANTILE * len(fresh))])
        self.floor = float((fresh <= self.threshold).double().mean())

    def ratios(self, samples: Tensor) -> Tensor:
        """(n,) of samples (n, ...)."""
        distance, _ = nearest(samples, self.train, self.k)
        # 0 / 0, copies of an example that is there 50 times: 0
        return distance[:, 0] / distance.mean(1).clamp(min=1e-12)

    def copied(self, samples: Tensor) -> Tensor:
        """(n,) bool: which samples are memorised."""
        return self.ratios(samples) <= self.threshold

    def share(self, samples: Tensor) -> float:
        """Share of samples that are memorised."""
        return float(self.copied(samples).double().mean())


class Modes(NamedTuple):
    """How many modes samples reach, and how evenly, by the protocol of PacGAN (Lin et al., arXiv
    1712.04086, `MetricLogger` in its extensions.py): a sample belongs to its nearest mean, is of
    high quality when less than 3 standard deviations away from it, and a mode counts with one such
    sample. high_quality: share of samples. kl: nats from the shares of the modes *among samples of
    high quality* to uniform; infinite without one, and samples elsewhere do not lower it."""

    modes: int
    high_quality: float
    kl: float


def reverse_kl(counts: Tensor) -> float:
    """KL(shares || uniform) in nats of counts (modes,)."""
    if not counts.sum():
        return math.inf
    shares = counts.double() / counts.sum()
    return float(torch.special.xlogy(shares, shares * len(counts)).sum())


def kl_floor(modes: int, samples: int) -> float:
    """What `reverse_kl` is on average for `samples` from a uniform sampler (Miller 1955, first
    order)."""
    return (modes - 1) / (2 * max(samples, 1))


def mixture(samples: Tensor, means: Tensor, std: float) -> Modes:
    """samples (n, 2), means (modes, 2), one standard deviation for all."""
    distances = torch.cdist(
        samples.double(), means.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )  # (n, modes)
    distance, mode = distances.min(1)
    good = distance < 3 * std
    return _modes(torch.bincount(mode[good], minlength=len(means)), float(good.double().mean()))


def numbered_modes(mode: Tensor, count: int) -> Modes:
    """mode (n,) int64: which of `count` modes each sample is of, by a classifier, say. All samples
    count as of high quality."""
    return _modes(torch.bincount(mode, minlength=count), 1.0)


def _modes(counts: Tensor, high_quality: float) -> Modes:
    return Modes(int((counts > 0).sum()), high_quality, reverse_kl(counts))
