"""How probable a variational model finds pictures: negative log-likelihood by importance sampling,
its lower bound, and units in use.

The encoder runs once a picture; the decoder runs on a block of pictures and samples at once, of a
size that fits the processor's caches; weights are kept and summed in float64. Latents are a pure
function of (seed, picture, sample).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genwright.core.draws import Draws
from genwright.core.progress import track
from genwright.evaluation.figure import Figure
from genwright.objectives.likelihoods import importance_bound
from genwright.objectives.variational import ACTIVE

# (start, stop) -> batch with "x" as `prepare` leaves it, and "condition" if any
Pictures = Callable[[int, int], dict[str, Tensor]]


class Estimate(NamedTuple):
    """Per picture, nats, on the processor. nll: (n,) upper estimate of -log p(x). elbo: (n,) of the
    same samples, their mean.
    kl: (n, units). mean: (n, units) of the posterior."""

    nll: Tensor
    elbo: Tensor
    kl: Tensor
    mean: Tensor


@torch.no_grad()
def estimate(
    objective: Any,
    pictures: Pictures,
    count: int,
    samples: int = 500,
    seed: int = 0,
    block: int = 2000,
) -> Estimate:
    """-log p(x) of `count` pictures with `samples` importance samples each (Burda et al., arXiv
    1509.00519). block: pictures times samples that are decoded at once; memory grows with it. The
    estimate is high in expectation, and falls as samples grow."""
    network = objective.network
    units = objective.latent[0]
    rows = max(1, block // samples)
    at_once = min(samples, block)
    parts: list[tuple[Tensor, ...]] = []
    for begin in track(range(0, count, rows), "estimating likelihoods"):
        batch = pictures(begin, min(count, begin + rows))
        x = batch["x"]
        given = objective.given(batch.get("condition"))
        state = network(x, given)
        mean = network(None, given, state=state, noise=x.new_zeros(len(x), 1, units)).latent[:, 0]
        examples = torch.arange(begin, begin + len(x), device=x.device)
        weights = []
        kl = torch.zeros(())
        for first in range(0, samples, at_once):
            k = min(at_once, samples - first)
            noise = Draws(seed, 0, examples).normal("importance", k, units, first=first * units)
            sampled = network(None, given, state=state, noise=noise)
            weights.append(objective.log_likelihood(sampled.parameters, x) - sampled.log_ratio)
            kl = kl + sampled.kl * (k / samples)
        w = torch.cat(weights, 1).double()
        parts.append((-importance_bound(w), w.mean(1), kl, mean))
    return Estimate(*(torch.cat(column).cpu() for column in zip(*parts, strict=True)))


def active_units(mean: Tensor) -> int:
    """Units whose posterior mean varies over the data by more than 0.01 (Burda et al., 1509.00519):
    mean (n, units)."""
    return int((mean.double().var(0, correction=0) > ACTIVE).sum())


def marginal_nll(train: Tensor, x: Tensor) -> float:
    """Mean nats of x (n, *shape) of 0 and 1 under independent pixels with the training set's means
    (in [0, 1], `train` (*shape)), the floor of a Bernoulli model that learns nothing more."""
    p = train.double().clamp(1e-4, 1 - 1e-4)
    return float(
        -(x.double() * p.log() + (1 - x.double()) * (1 - p).log()).flatten(1).sum(1).mean()
    )


def histogram_nll(train: Tensor, x: Tensor) -> float:
    """Mean nats of pictures x (n, *shape) of 256 levels in [-1, 1] under independent values, each
    with the histogram that it has in `train` (m, *shape), mixed with a uniform share of 1/256: the
    floor of a model of levels that learns nothing more."""
    levels, seen = (((v.flatten(1) + 1) * 127.5).round().long() for v in (train, x))
    counts = torch.zeros(256, levels.shape[1], dtype=torch.float64).scatter_add_(
        0, levels, torch.ones(levels.shape, dtype=torch.float64)
    )
    p = counts / len(levels) * (255 / 256) + 1 / 256**2
    return float(-p.log().gather(0, seen).sum(1).mean())


def information(means: Tensor, factors: Tensor, bins: int = 20) -> tuple[Tensor, Tensor]:
    """(units, factors) mutual information and (factors,) entropies, nats, of the empirical joint
    distribution. means (n, units), in bins of equal width (Locatello et al., arXiv 1811.12359);
    factors (n, factors) int64 from 0."""
    low, high = means.double().aminmax(dim=0)
    binned = ((means - low) / (high - low).clamp(min=1e-12) * bins).long().clamp(max=bins - 1)
    values = int(factors.max()) + 1
    # (n, units * factors): one cell of bins x values each
    cells = (binned[:, :, None] * values + factors[:, None, :]).flatten(1)
    counts = torch.zeros(bins * values, cells.size(1), dtype=torch.float64).scatter_add_(
        0, cells, torch.ones(cells.shape).double()
    )
    joint = (counts / len(means)).view(bins, values, means.size(1), factors.size(1))

    def entropy(p, dims):
        return -torch.special.xlogy(p, p).sum(dims)

    of_unit = entropy(joint.sum(1), 0)
    of_factor = entropy(joint.sum(0), 0)
    return of_unit + of_factor - entropy(joint, (0, 1)), of_factor[0]


def mutual_information_gap(means: Tensor, factors: Tensor, bins: int = 20) -> tuple[float, Tensor]:
    """Whether single units have found the known factors (Chen et al., arXiv 1802.04942, eq. 6):
    (mean over factors, gap of each). A gap is the mutual information of the best unit less the
    second best's, over the factor's entropy: 1 where one unit alone knows the factor, 0 where two
    know it equally. A factor that never varies has none and does not count. It falls with finer
    bins, and rises with fewer pictures, so both are stated."""
    table, entropies = information(means, factors, bins)
    # one unit alone: the second knows 0
    best = torch.cat([table, torch.zeros(1, table.size(1), dtype=table.dtype)]).topk(2, 0).values
    varies = entropies > 1e-9
    gaps = torch.where(varies, (best[0] - best[1]) / entropies.clamp(min=1e-9), 0.0)
    return float(gaps[varies].mean()) if varies.any() else 0.0, gaps


def factor_figure(means: Tensor, factors: Tensor, names: Sequence[str], bins: int = 20) -> Figure:
    """The gap, with each factor's in the detail, beside the gap to shuffled factors."""
    gap, gaps = mutual_information_gap(means, factors, bins)
    floor, _ = mutual_information_gap(
        means, factors[Draws(0, 0, torch.arange(len(factors))).bits("shuffle").argsort()], bins
    )
    each = ", ".join(f"{name} {float(value):.2f}" for name, value in zip(names, gaps, strict=True))
    how = f"of posterior means in {bins} bins; {each}"
    ends = ({"shuffled": floor}, {"aligned": 1.0})
    return Figure(
        "mutual information gap", gap, "of 0 to 1", len(means), "pictures", *ends, "higher", how
    )


def figures(
    objective: Any,
    pictures: Pictures,
    count: int,
    samples: int = 500,
    seed: int = 0,
    floor: float | None = None,
) -> list[Figure]:
    """Negative log-likelihood, ELBO and active units of `count` pictures, given their attributes
    where the run is conditional, and then without them too. floor: `marginal_nll`."""
    conditional = objective.given(pictures(0, 1).get("condition")) is not None
    floors = {} if floor is None else {"independent pixels": floor}
    out: list[Figure] = []
    bound = "-ELBO, beta 1, the mean over the same samples"
    used = "posterior mean varies over pictures by more than 0.01"
    ends = {"collapsed": 0.0}, {"all": float(objective.latent[0])}
    for known, given in ((1, ", given its attributes"), (0, "")) if conditional else ((1, ""),):

        def shown(a, b):
            return {k: v * known if k == "condition" else v for k, v in pictures(a, b).items()}  # noqa: B023, E731

        e = estimate(objective, shown, count, samples, seed)
        error = float(e.nll.std() / count**0.5) if count > 1 else 0.0
        how = f"{samples} importance samples a picture; standard error over pictures {error:.2f}"
        out.append(
            Figure(
                f"negative log-likelihood{given}",
                float(e.nll.mean()),
                "nats/picture",
                count,
                "pictures",
                floors,
                detail=how,
            )
        )
        out.append(
            Figure(
                f"negative ELBO{given}",
                -float(e.elbo.mean()),
                "nats/picture",
                count,
                "pictures",
                floors,
                detail=bound,
            )
        )
        out.append(
            Figure(
                f"active units{given}",
                active_units(e.mean),
                "units",
                count,
                "pictures",
                *ends,
                "near",
                used,
            )
        )
    return out
