"""Distances between two sets of vectors: Frechet, kernel, sliced Wasserstein. None means anything alone: print the distance between two
sets of real examples of the same sizes beside it.
"""

import torch
from torch import Tensor

from genwright.draws import Draws
from genwright.errors import GenwrightError


def _checked(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if min(len(a), len(b)) < 2:
        raise GenwrightError(f"a distance between sets of {len(a)} and {len(b)} examples says nothing", "measure at least 2 of each")
    return a.flatten(1).double(), b.flatten(1).double()


def frechet(a: Tensor, b: Tensor) -> float:
    """Squared 2-Wasserstein distance of the Gaussians fitted to (n, d) and (m, d): |mean difference|^2 + tr(A + B - 2 (A B)^(1/2))
    (Dowson and Landau 1982; Heusel et al., arXiv 1706.08500). Biased upwards, the more so the fewer examples there are for d."""
    a, b = _checked(a, b)
    first, second = (torch.cov(x.T).reshape(x.shape[1], -1) for x in (a, b))
    cross = torch.linalg.eigvals(first @ second).real.clamp(min=0).sqrt().sum()  # tr (A B)^(1/2): A B has no others but real ones
    return float((a.mean(0) - b.mean(0)).square().sum() + first.trace() + second.trace() - 2 * cross)


def _mmd(a: Tensor, b: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy, kernel (x.y / d + 1)^3."""

    def total(x: Tensor, y: Tensor) -> float:
        return sum(float((part @ y.T / x.shape[1] + 1).pow(3).sum()) for part in x.split(2048))

    n, m = len(a), len(b)
    inside = [total(x, x) - float((x.square().sum(1) / x.shape[1] + 1).pow(3).sum()) for x in (a, b)]
    return inside[0] / (n * (n - 1)) + inside[1] / (m * (m - 1)) - 2 * total(a, b) / (n * m)


def kernel_distance(a: Tensor, b: Tensor, blocks: int = 10) -> tuple[float, float]:
    """Unbiased squared MMD with a cubic kernel (Binkowski et al., arXiv 1801.01401) of (n, d) and (m, d), and its standard error from
    disjoint blocks of both. May be below 0. Unlike Frechet's its expectation does not depend on the number of examples."""
    a, b = _checked(a, b)
    blocks = max(1, min(blocks, len(a) // 2, len(b) // 2))
    parts = torch.tensor([_mmd(a[i::blocks], b[i::blocks]) for i in range(blocks)])
    return _mmd(a, b), float(parts.std() / blocks**0.5) if blocks > 1 else float("nan")


def sliced_wasserstein(a: Tensor, b: Tensor, projections: int = 128, seed: int = 0) -> float:
    """Root mean square, over random directions, of the 2-Wasserstein distance of the projections of (n, d) and (m, d) (Bonneel et al.
    2015). Exact on each direction, for unequal numbers too: the two quantile functions are steps, compared on all their pieces."""
    a, b = _checked(a, b)
    directions = Draws(seed, 0, torch.arange(projections)).normal("directions", a.shape[1]).double().to(a.device)
    directions = directions / directions.norm(dim=1, keepdim=True)
    n, m = len(a), len(b)
    ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique().to(a.device)  # of pieces, in 1 / (n m)
    widths = torch.diff(ends, prepend=ends.new_zeros(1)).double() / (n * m)
    total = a.new_zeros(())
    for part in directions.split(32):
        low, high = (a @ part.T).sort(0).values, (b @ part.T).sort(0).values
        total += (widths @ (low[(ends - 1) // m] - high[(ends - 1) // n]).square()).sum()
    return float((total / projections).sqrt())
