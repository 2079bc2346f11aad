"""How probable a variational model finds examples: negative log-likelihood by importance sampling,
its lower bound, units in use; and what single units of the latent know of known factors.

The encoder runs once an example; the decoder runs on a block of examples and samples at once, of a
size that fits the processor's caches; weights are kept and summed in float64. Latents are a pure
function of (seed, example, sample).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from genwright.core.draws import Draws
from genwright.core.progress import track
from genwright.evaluation.figure import Figure
from genwright.objectives.likelihoods import importance_bound
from genwright.objectives.variational import ACTIVE, VariationalObjective

# (start, stop) -> batch with "x" as `prepare` leaves it, and "condition" if any
Examples = Callable[[int, int], dict[str, Tensor]]


class Estimate(NamedTuple):
    """Per example, nats, on the processor. nll: (n,) upper estimate of -log p(x). elbo: (n,) the
    mean over the same samples. kl: (n, units). mean: (n, units) of the posterior."""

    nll: Tensor
    elbo: Tensor
    kl: Tensor
    mean: Tensor


@torch.no_grad()
def estimate(
    objective: VariationalObjective,
    examples: Examples,
    count: int,
    samples: int = 500,
    seed: int = 0,
    block: int = 2000,
) -> Estimate:
    """-log p(x) of `count` examples with `samples` importance samples each (Burda et al., arXiv
    1509.00519). block: examples times samples that are decoded at once; memory grows with it. The
    estimate is high in expectation, and falls as samples grow."""
    rows = max(1, block // samples)
    at_once = min(samples, block)
    parts = []
    for begin in track(range(0, count, rows), "estimating likelihoods"):
        batch = examples(begin, min(count, begin + rows))
        parts.append(_estimate(objective, batch, begin, samples, seed, at_once))
    columns = [torch.cat(column).cpu() for column in zip(*parts, strict=True)]
    return Estimate(*columns)


def _estimate(
    objective: VariationalObjective,
    batch: dict[str, Tensor],
    begin: int,
    samples: int,
    seed: int,
    at_once: int,
) -> Estimate:
    """Of one batch, whose first example is number `begin`; at_once: samples of each."""
    network = objective.network
    units = objective.latent[0]
    x = batch["x"]
    given = objective.given(batch.get("condition"))
    state = network(x, given)
    without_noise = x.new_zeros(len(x), 1, units)
    mean = network(None, given, state=state, noise=without_noise).latent[:, 0]
    numbers = torch.arange(begin, begin + len(x), device=x.device)
    draws = Draws(seed, 0, numbers)
    log_weights = []
    kl = torch.zeros(())
    for first in range(0, samples, at_once):
        k = min(at_once, samples - first)
        noise = draws.normal("importance", k, units, first=first * units)
        sampled = network(None, given, state=state, noise=noise)
        log_weights.append(objective.log_likelihood(sampled.parameters, x) - sampled.log_ratio)
        kl = kl + sampled.kl * (k / samples)
    weights = torch.cat(log_weights, 1).double()  # (n, samples)
    return Estimate(-importance_bound(weights), weights.mean(1), kl, mean)


def active_units(mean: Tensor) -> int:
    """Units whose posterior mean varies over the data by more than 0.01 (Burda et al., 1509.00519):
    mean (n, units)."""
    return int((mean.double().var(0, correction=0) > ACTIVE).sum())


def marginal_nll(train: Tensor, x: Tensor) -> float:
    """Mean nats of x (n, *shape) of 0 and 1 under independent values with the training set's means
    (in [0, 1], `train` (*shape)), the floor of a Bernoulli model that learns nothing more."""
    p = train.double().clamp(1e-4, 1 - 1e-4)
    x = x.double()
    log_probability = x * p.log() + (1 - x) * (1 - p).log()
    return -float(log_probability.flatten(1).sum(1).mean())


def histogram_nll(train: Tensor, x: Tensor) -> float:
    """Mean nats of x (n, *shape) of 256 levels in [-1, 1] under independent values, each
    with the histogram that it has in `train` (m, *shape), mixed with a uniform share of 1/256: the
    floor of a model of levels that learns nothing more."""
    levels = _levels(train)  # (m, values)
    seen = _levels(x)  # (n, values)
    once = torch.ones(levels.shape, dtype=torch.float64)
    counts = torch.zeros(256, levels.shape[1], dtype=torch.float64).scatter_add_(0, levels, once)
    p = counts / len(levels) * (255 / 256) + 1 / 256**2  # (256, values)
    return -float(p.log().gather(0, seen).sum(1).mean())


def _levels(x: Tensor) -> Tensor:
    """(n, *shape) in [-1, 1] -> (n, values) int64, 0 .. 255."""
    return ((x.flatten(1) + 1) * 127.5).round().long()


def information(means: Tensor, factors: Tensor, bins: int = 20) -> tuple[Tensor, Tensor]:
    """(units, factors) mutual information and (factors,) entropies, nats, of the empirical joint
    distribution. means (n, units), in bins of equal width (Locatello et al., arXiv 1811.12359);
    factors (n, factors) int64 from 0."""
    low, high = means.double().aminmax(dim=0)
    share = (means - low) / (high - low).clamp(min=1e-12)  # of each unit's range
    binned = (share * bins).long().clamp(max=bins - 1)  # (n, units)
    values = int(factors.max()) + 1
    # a pair of unit and factor has bins x values cells; which one each example is in
    cells = (binned[:, :, None] * values + factors[:, None, :]).flatten(1)  # (n, units * factors)
    once = torch.ones(cells.shape).double()
    counts = torch.zeros(bins * values, cells.size(1), dtype=torch.float64)
    counts = counts.scatter_add_(0, cells, once)
    joint = (counts / len(means)).view(bins, values, means.size(1), factors.size(1))
    of_unit = _entropy(joint.sum(1), 0)  # (units, factors)
    of_factor = _entropy(joint.sum(0), 0)  # (units, factors), each row the same
    return of_unit + of_factor - _entropy(joint, (0, 1)), of_factor[0]


def _entropy(p: Tensor, dims: int | tuple[int, ...]) -> Tensor:
    """Nats of distributions along some dimensions."""
    return -torch.special.xlogy(p, p).sum(dims)


def mutual_information_gap(means: Tensor, factors: Tensor, bins: int = 20) -> tuple[float, Tensor]:
    """Whether single units have found the known factors (Chen et al., arXiv 1802.04942, eq. 6):
    (mean over factors, gap of each). A gap is the mutual information of the best unit less the
    second best's, over the factor's entropy: 1 where one unit alone knows the factor, 0 where two
    know it equally. A factor that never varies has none and does not count. It falls with finer
    bins, and rises with fewer examples, so both are stated."""
    table, entropies = information(means, factors, bins)
    # of one unit alone the second best knows 0
    nothing = torch.zeros(1, table.size(1), dtype=table.dtype)
    best, second = torch.cat([table, nothing]).topk(2, 0).values
    varies = entropies > 1e-9
    gaps = torch.where(varies, (best - second) / entropies.clamp(min=1e-9), 0.0)
    if not varies.any():
        return 0.0, gaps
    return float(gaps[varies].mean()), gaps


def factor_figure(
    means: Tensor, factors: Tensor, names: Sequence[str], bins: int = 20, thing: str = "example"
) -> Figure:
    """The gap, with each factor's in the detail, beside the gap to shuffled factors. thing: what an
    example is called."""
    gap, gaps = mutual_information_gap(means, factors, bins)
    order = Draws(0, 0, torch.arange(len(factors))).bits("shuffle").argsort()
    shuffled, _ = mutual_information_gap(means, factors[order], bins)
    each = [f"{name} {float(value):.2f}" for name, value in zip(names, gaps, strict=True)]
    return Figure(
        "mutual information gap",
        gap,
        "of 0 to 1",
        len(means),
        f"{thing}s",
        {"shuffled": shuffled},
        {"aligned": 1.0},
        "higher",
        f"of posterior means in {bins} bins; {', '.join(each)}",
    )


def figures(
    objective: VariationalObjective,
    examples: Examples,
    count: int,
    samples: int = 500,
    seed: int = 0,
    floors: Mapping[str, float] | None = None,
    thing: str = "example",
) -> list[Figure]:
    """Negative log-likelihood, ELBO and active units of `count` examples, given their attributes
    where the run is conditional, and then without them too. floors: of the likelihood
    (`marginal_nll`); thing: what an example is called."""
    floors = floors or {}
    if objective.given(examples(0, 1).get("condition")) is None:
        found = estimate(objective, examples, count, samples, seed)
        return _figures(objective, found, "", samples, floors, thing)

    def without_condition(start: int, stop: int) -> dict[str, Tensor]:
        batch = examples(start, stop)
        return batch | {"condition": batch["condition"] * 0}

    known = estimate(objective, examples, count, samples, seed)
    unknown = estimate(objective, without_condition, count, samples, seed)
    given = _figures(objective, known, ", given its attributes", samples, floors, thing)
    return given + _figures(objective, unknown, "", samples, floors, thing)


def _figures(
    objective: VariationalObjective,
    found: Estimate,
    given: str,
    samples: int,
    floors: Mapping[str, float],
    thing: str,
) -> list[Figure]:
    """given: what the names say of the condition."""
    count = len(found.nll)
    error = 0.0
    if count > 1:
        error = float(found.nll.std() / count**0.5)
    how = f"{samples} importance samples a {thing}; standard error over {thing}s {error:.2f}"
    nll = Figure(
        f"negative log-likelihood{given}",
        float(found.nll.mean()),
        f"nats/{thing}",
        count,
        f"{thing}s",
        floors,
        detail=how,
    )
    elbo = Figure(
        f"negative ELBO{given}",
        -float(found.elbo.mean()),
        f"nats/{thing}",
        count,
        f"{thing}s",
        floors,
        detail="-ELBO, beta 1, the mean over the same samples",
    )
    units = Figure(
        f"active units{given}",
        active_units(found.mean),
        "units",
        count,
        f"{thing}s",
        {"collapsed": 0.0},
        {"all": float(objective.latent[0])},
        "near",
        f"posterior mean varies over {thing}s by more than 0.01",
    )
    return [nll, elbo, units]
