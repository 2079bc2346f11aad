"""Assignments against enumeration, scipy, and a case that is known."""

import itertools

import numpy as np
import pytest
import torch

from genwright.objectives.transport import assignment, square_distances


def total(cost, columns):
    assert sorted(columns.tolist()) == list(range(len(cost)))
    return float(cost.double()[torch.arange(len(cost)), columns].sum())


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("kind", ["normal", "ties", "points"])
def test_least_of_all_permutations(n, kind):
    for seed in range(6):
        g = torch.Generator().manual_seed(100 * n + seed)
        cost = {
            "normal": torch.randn(n, n, generator=g),
            "ties": torch.randint(0, 3, (n, n), generator=g).double(),
            "points": square_distances(
                torch.randn(n, 2, generator=g), torch.randn(n, 2, generator=g)
            ),
        }[kind]
        rows = cost.tolist()
        least = min(
            sum(rows[i][j] for i, j in enumerate(p)) for p in itertools.permutations(range(n))
        )
        assert total(cost, assignment(cost)) == pytest.approx(least, abs=1e-5)


def test_dual_certificate_at_a_real_size():
    """Sorted points on a line are paired in order: the optimum is known at any size."""
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(200, generator=g).double(), 3 * torch.randn(200, generator=g).double() + 1
    cost = square_distances(a[:, None], b[:, None])
    assert total(cost, assignment(cost)) == pytest.approx(
        float((a.sort().values - b.sort().values).square().sum()), rel=1e-9
    )


def test_all_costs_equal_and_costs_apart_by_orders_of_magnitude():
    assert sorted(assignment(torch.ones(40, 40)).tolist()) == list(range(40))
    planted = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    cost = torch.full((60, 60), 1e9).double()
    cost[torch.arange(60), planted] = 1e-3
    assert torch.equal(assignment(cost), planted)


def test_as_scipy():
    optimize = pytest.importorskip("scipy.optimize")
    cost = torch.randn(120, 120, generator=torch.Generator().manual_seed(2)).double()
    rows, columns = optimize.linear_sum_assignment(cost.numpy())
    assert total(cost, assignment(cost)) == pytest.approx(
        float(cost.numpy()[rows, columns].sum()), abs=1e-9
    )


@pytest.mark.parametrize("cost", [torch.zeros(2, 3), torch.tensor([[0.0, np.inf], [0.0, 1.0]])])
def test_refuses_what_is_no_cost_matrix(cost):
    with pytest.raises(ValueError, match="square and finite"):
        assignment(cost)
