"""Whether single latent units have found the known factors of the data: the mutual information gap (Chen et al., arXiv 1802.04942, eq. 6).

For each factor, the mutual information with every unit, over the factor's entropy: the gap is the best unit's less the second best's; 1
where one unit alone knows the factor, 0 where two know it equally. Units are posterior means in equal-width bins (Locatello et al.,
1811.12359), which needs no density; a gap falls with finer bins and rises with fewer pictures, so both are stated.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from genwright.draws import Draws
from genwright.evaluation.figure import Figure


def information(means: Tensor, factors: Tensor, bins: int = 20) -> tuple[Tensor, Tensor]:
    """(units, factors) mutual information and (factors,) entropies, nats, of the empirical joint distribution. means (n, units); factors
    (n, factors) int64 from 0."""
    means = means.double()
    low, high = means.min(0).values, means.max(0).values
    binned = ((means - low) / (high - low).clamp(min=1e-12) * bins).long().clamp(max=bins - 1)
    values = int(factors.max()) + 1
    cells = (binned[:, :, None] * values + factors[:, None, :]).flatten(1)  # (n, units * factors): one cell of bins x values each
    counts = torch.zeros(bins * values, cells.size(1), dtype=torch.float64).scatter_add_(0, cells, torch.ones(cells.shape).double())
    joint = (counts / len(means)).view(bins, values, means.size(1), factors.size(1))
    entropy = lambda p, dims: -torch.special.xlogy(p, p).sum(dims)  # noqa: E731
    of_unit, of_factor = entropy(joint.sum(1), 0), entropy(joint.sum(0), 0)
    return of_unit + of_factor - entropy(joint, (0, 1)), of_factor[0]


def mutual_information_gap(means: Tensor, factors: Tensor, bins: int = 20) -> tuple[float, Tensor]:
    """(mean over factors, gap of each). A factor that never varies has no gap and does not count."""
    table, entropies = information(means, factors, bins)
    best = torch.cat([table, torch.zeros(1, table.size(1), dtype=table.dtype)]).topk(2, 0).values  # one unit alone: the second knows 0
    varies = entropies > 1e-9
    gaps = torch.where(varies, (best[0] - best[1]) / entropies.clamp(min=1e-9), 0.0)
    return float(gaps[varies].mean()) if varies.any() else 0.0, gaps


def figure(means: Tensor, factors: Tensor, names: Sequence[str], bins: int = 20) -> Figure:
    """The gap, with each factor's in the detail, beside the gap to shuffled factors."""
    gap, gaps = mutual_information_gap(means, factors, bins)
    order = Draws(0, 0, torch.arange(len(factors))).bits("shuffle").argsort()
    floor, _ = mutual_information_gap(means, factors[order], bins)
    each = ", ".join(f"{name} {float(value):.2f}" for name, value in zip(names, gaps, strict=True))
    how, ends = f"of posterior means in {bins} bins; {each}", ({"shuffled": floor}, {"aligned": 1.0})
    return Figure("mutual information gap", gap, "of 0 to 1", len(means), "pictures", *ends, "higher", how)
