"""Flow matching against what is known in closed form: Gaussians, one Euler step, solver orders,
guidance, pairing over ranks."""

import math

import pytest
import torch
from torch import nn

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.objectives.flow import Flow, paired, solve, spread_times
from genwright.sampling.drawing import Drawing

LABELS = Space(shape=(2,), attributes={"label": ("a", "b")})
PLAIN = Space(shape=(2,))


class Alone:
    rank, size = 0, 1

    def sum(self, tensor):
        return tensor

    def gather(self, tensor):
        return tensor


class Known(nn.Module):
    """A network that is a formula, and remembers how large its batches were."""

    def __init__(self, formula):
        super().__init__()
        self.formula, self.sizes = formula, []

    def forward(self, x, time, condition=None):
        self.sizes.append(len(x))
        return self.formula(x, time[:, None], condition)


def gaussian(mean, sd):
    """E[x1 - x0 | x_t] for x0 ~ N(0, 1) and x1 ~ N(mean, sd^2), by regression of jointly normal
    variables."""

    def velocity(x, t, condition=None):
        variance = (1 - t) ** 2 + (t * sd) ** 2
        return mean + (t * sd**2 - (1 - t)) / variance * (x - t * mean)

    return velocity


def flow(formula, space=PLAIN, **settings):
    return Flow(**settings).build({"model": Known(formula)}, space)


def prepared(objective, x, seed=0, **more):
    return objective.prepare({"x": x} | more, Draws(seed, 0, torch.arange(len(x))), Alone())


def loss(objective, x):
    out = objective.loss(prepared(objective, x))
    assert out.total.shape == (len(x),) and torch.equal(out.count, torch.ones(len(x)))
    return float(out.total.mean())


def test_loss_is_least_at_the_conditional_expectation_and_there_the_conditional_variance():
    mean, sd = 1.5, 0.5
    x = mean + sd * torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0))
    best = loss(flow(gaussian(mean, sd)), x)
    # Var[x1 - x0 | x_t] = sd^2 / ((1 - t)^2 + t^2 sd^2), averaged over t
    t = (torch.arange(100_000).double() + 0.5) / 100_000
    assert best == pytest.approx(float((sd**2 / ((1 - t) ** 2 + (t * sd) ** 2)).mean()), rel=0.01)
    for off in (
        lambda x, t, c: 0.1 + gaussian(mean, sd)(x, t),
        lambda x, t, c: 1.1 * gaussian(mean, sd)(x, t),
    ):
        assert loss(flow(off), x) > best + 0.005


def test_decode_makes_the_target_and_invert_finds_the_latent():
    objective = flow(gaussian(1.5, 0.5))
    z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
    x = objective.decode(z, None, None, Drawing(steps=200))
    assert torch.allclose(x, 1.5 + 0.5 * z, atol=1e-3)  # the flow between normals is affine
    assert torch.allclose(
        objective.invert(x, None, Draws(0, 0, torch.arange(1000)), Drawing(steps=200)), z, atol=2e-3
    )
    less = Drawing(steps=200, truncation=0.5)
    assert torch.allclose(objective.decode(z, None, None, less), 1.5 + 0.25 * z, atol=1e-3)
    assert torch.allclose(
        objective.invert(1.5 + 0.25 * z, None, Draws(0, 0, torch.arange(1000)), less), z, atol=4e-3
    )
    with pytest.raises(GenwrightError, match="truncation 0"):
        objective.invert(x, None, Draws(0, 0, torch.arange(1000)), Drawing(truncation=0))


def test_one_euler_step_leads_every_point_to_the_mean():
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    x = flow(gaussian(1.5, 0.5)).decode(z, None, None, Drawing(steps=1, solver="euler"))
    assert torch.allclose(x, torch.full_like(x, 1.5), atol=1e-6)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_order_of_the_solvers(solver, order):
    """dx/dt = x cos(4 t), whose solution is x exp(sin(4) / 4): halving the step divides the error
    by 2^order."""
    x = torch.ones(1, 1, dtype=torch.float64)
    error = [
        abs(
            float(solve(lambda x, t: x * math.cos(4 * t), x, 0.0, 1.0, n, solver))
            - math.exp(math.sin(4) / 4)
        )
        for n in (64, 128)
    ]
    assert math.log2(error[0] / error[1]) == pytest.approx(order, abs=0.1)


def test_guidance():
    """A network whose velocity is constant and says the condition: x = z + what was asked for."""
    shift = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    objective = flow(lambda x, t, c: c @ shift, LABELS)
    z, a, b = (
        torch.zeros(3, 2),
        torch.tensor([1.0, 0.0]).expand(3, 2),
        torch.tensor([0.0, 1.0]).expand(3, 2),
    )

    def drawn(condition, negative, guidance):
        return objective.decode(
            z, condition, negative, Drawing(steps=2, solver="euler", guidance=guidance)
        )[0].tolist()

    assert drawn(a, None, 1) == [2, 0]
    assert drawn(a, None, 0) == [0, 0]
    assert drawn(a, b, 0) == [0, 3]
    assert drawn(a, b, 1) == [2, 0]
    assert drawn(a, None, 3) == [6, 0]
    assert drawn(a, b, 3) == [6, -6]
    assert drawn(None, b, 2) == [0, -3]
    assert drawn(None, None, 2) == [0, 0]
    objective.modules["model"].sizes.clear()
    drawn(a, b, 3)
    assert objective.modules["model"].sizes == [6, 6]  # both in one call, twice
    objective.modules["model"].sizes.clear()
    # nothing is asked for: half the work
    assert drawn(0 * a, None, 3) == [0, 0] and objective.modules["model"].sizes == [3, 3]


def test_times_are_uniform_and_evenly_spread():
    t = spread_times(Draws(3, 7, torch.arange(1000))).sort().values
    # independent ones leave gaps of 0.007
    assert t[0] >= 0 and t[-1] < 1 and float(t.diff().max()) < 0.003
    first = torch.cat(
        [spread_times(Draws(0, p, torch.zeros(1, dtype=torch.int64))) for p in range(2000)]
    )
    assert float(first.mean()) == pytest.approx(0.5, abs=0.02) and float(
        first.var()
    ) == pytest.approx(1 / 12, abs=0.005)
    logit = prepared(flow(None, times="logit-normal"), torch.zeros(5000, 2))["time"].double()
    assert float((logit / (1 - logit)).log().std()) == pytest.approx(1, abs=0.05)
    ends = prepared(flow(None, times="arcsine"), torch.zeros(5000, 2))["time"]
    assert float((ends < 0.1).double().mean()) == pytest.approx(
        2 / math.pi * math.asin(0.1**0.5), abs=0.005
    )


def test_randomness_is_a_function_of_the_example():
    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
    condition = torch.eye(2).repeat(6, 1)
    objective = flow(None, LABELS, drop=0.5)
    whole = prepared(objective, x, condition=condition)
    rows = torch.arange(1, 12, 2)
    part = objective.prepare(
        {"x": x[rows], "condition": condition[rows]}, Draws(0, 0, rows), Alone()
    )
    for name, values in part.items():
        assert torch.equal(values, whole[name][rows]), name
    assert 0 < whole["condition"].sum() < 12


def test_optimal_transport_pairs_the_whole_batch_on_any_number_of_ranks():
    x = 5 * torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    objective = flow(None, pairing="optimal-transport")
    whole = prepared(objective, x)
    noise = Draws(0, 0, torch.arange(16)).normal("noise", 2)
    # the same noise, in another order
    assert torch.equal(whole["start"].sort(0).values, noise.sort(0).values)
    assert (whole["start"] - x).square().sum() < (noise - x).square().sum()

    class Half:
        rank, size = 1, 2

        def gather(self, tensor):
            full = {torch.int64: torch.arange(16)}.get(tensor.dtype)
            return full if full is not None else noise if torch.equal(tensor, noise[1::2]) else x

    half = objective.prepare({"x": x[1::2]}, Draws(0, 0, torch.arange(1, 16, 2)), Half())
    assert torch.equal(half["start"], whole["start"][1::2])


def test_pairs_are_made_within_equal_conditions():
    x = torch.tensor([[0.0], [10.0], [0.0], [10.0]])
    start = torch.tensor([[10.0], [0.0], [20.0], [30.0]])
    condition = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert paired(start, x, condition).tolist() == [1, 0, 2, 3]
    assert (
        start[paired(start, x, None)][:, 0].tolist()
        != start[paired(start, x, condition)][:, 0].tolist()
    )


def test_a_stream_of_pairs_starts_where_it_says():
    start = torch.randn(8, 2)
    assert torch.equal(prepared(flow(None), torch.zeros(8, 2), start=start)["start"], start)


def test_sequences_are_refused():
    with pytest.raises(GenwrightError, match="sequence"):
        Flow().needs(Space(vocabulary=10))
    assert Flow().needs(PLAIN) == {"model": ("velocity", {})}
