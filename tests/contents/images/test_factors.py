"""The mutual information gap on cases whose answer is known."""

import math

import torch

from genwright.core.draws import Draws
from genwright.evaluation.likelihood import factor_figure as figure
from genwright.evaluation.likelihood import information, mutual_information_gap

# two independent factors of 8 values
GRID = torch.cartesian_prod(torch.arange(8), torch.arange(8)).repeat(20, 1)


def test_units_that_are_the_factors_reach_one_in_any_order():
    means = torch.stack(
        [
            Draws(0, 0, torch.arange(len(GRID))).normal("idle") * 0,
            GRID[:, 1] * -3.0,
            GRID[:, 0] + 7.0,
        ],
        1,
    )
    gap, each = mutual_information_gap(means, GRID)
    assert abs(gap - 1) < 1e-6 and torch.allclose(each, torch.ones(2).double())


def test_rotated_units_share_and_reach_nearly_nothing():
    turned = GRID.double() @ torch.tensor([[1.0, 1.0], [1.0, -1.0]]).double()
    gap, _ = mutual_information_gap(turned, GRID)
    assert gap < 0.05
    partly = GRID.double() @ torch.tensor([[1.0, 0.15], [-0.15, 1.0]]).double()
    assert gap < mutual_information_gap(partly, GRID)[0] < 1


def test_information_against_a_case_counted_by_hand():
    """One unit tells the upper from the lower half of 4 values: ln 2 of ln 4."""
    factor = torch.arange(4).repeat(5)[:, None]
    table, entropy = information((factor >= 2).double(), factor)
    assert (
        abs(float(table[0, 0]) - math.log(2)) < 1e-9 and abs(float(entropy[0]) - math.log(4)) < 1e-9
    )
    assert abs(mutual_information_gap((factor >= 2).double(), factor)[0] - 0.5) < 1e-9


def test_duplicated_units_leave_no_gap_and_idle_factors_do_not_count():
    assert mutual_information_gap(GRID[:, [0, 0]].double(), GRID[:, :1])[0] == 0
    still = torch.cat([GRID[:, :1], torch.zeros_like(GRID[:, :1])], 1)
    assert abs(mutual_information_gap(GRID[:, :1].double(), still)[0] - 1) < 1e-6


def test_the_figure_stands_beside_shuffled_factors():
    found = figure(GRID.double(), GRID, ("x", "y"))
    assert (
        found.value > 0.99 and found.floors["shuffled"] < 0.1 and "x 1.00, y 1.00" in found.detail
    )
