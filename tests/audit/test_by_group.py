"""Figures by group: losses and coverage, against plain computations."""

import numpy as np
import pytest
import torch
from scipy import stats

from genwright.audit.by_group import EQUAL, group_losses, group_quality
from genwright.audit.losses import Losses
from genwright.evaluation.distances import Memory


def test_a_groups_loss_is_its_mean_a_unit_with_students_interval() -> None:
    rng = np.random.default_rng(0)
    total = rng.normal(2.0, 0.5, 40)
    found = Losses(total, np.ones(40))
    counts = np.zeros((40, 2), np.int64)
    counts[:30, 0] = 1
    counts[30:34, 1] = 1
    one, other = group_losses(found, counts, ("often", "seldom"), 0)
    low, high = stats.t.interval(0.95, 29, total[:30].mean(), stats.sem(total[:30]))
    assert one.mean == pytest.approx(total[:30].mean())
    assert (one.low, one.high) == pytest.approx((low, high), rel=1e-6)
    assert one.placebo_low is not None and one.placebo_high is not None
    assert one.placebo_low < total.mean() < one.placebo_high
    # 4 examples are too few for a rate
    assert (other.examples, other.mean, other.low) == (4, None, None)


def test_a_group_that_samples_do_not_reach_is_covered_less() -> None:
    torch.manual_seed(0)
    centre = torch.tensor([[0.0] * 8, [6.0] * 8])
    real_groups = np.repeat([0, 1], 150)
    made_groups = np.repeat([0, 1], 80)
    real = torch.randn(300, 8) + centre[torch.from_numpy(real_groups)]
    made = torch.randn(160, 8) + centre[torch.from_numpy(made_groups)]
    made[80:] = centre[1]  # all alike
    good, bad = group_quality(real, real_groups, made, made_groups, ("a", "b"), None, 0)
    assert good.equal == bad.equal == EQUAL
    assert (good.samples, bad.samples) == (80, 80)
    assert good.coverage > 0.85 > bad.coverage
    assert good.copies is None


def test_coverage_does_not_depend_on_how_many_samples_there_are() -> None:
    torch.manual_seed(1)
    real = torch.randn(400, 8)
    few = torch.randn(60, 8)
    many = torch.randn(3000, 8)
    groups = np.zeros(400, np.int64)
    of_few = group_quality(real, groups, few, np.zeros(60, np.int64), ("a",), None, 0)[0]
    of_many = group_quality(real, groups, many, np.zeros(3000, np.int64), ("a",), None, 0)[0]
    assert of_few.coverage == pytest.approx(of_many.coverage, abs=0.05)


def test_groups_of_too_few_are_left_out_and_copies_are_counted() -> None:
    torch.manual_seed(2)
    train = torch.randn(200, 8)
    held_out = torch.randn(200, 8)
    groups = np.zeros(200, np.int64)
    made = train[:100] + 1e-4  # copies
    made_groups = np.array([0] * 95 + [1] * 5)
    memory = Memory(train, held_out)
    found = group_quality(train, groups, made, made_groups, ("a", "b"), memory, 0)
    assert [row.group for row in found] == ["a"]
    assert found[0].copies == 1.0


def test_losses_of_examples_in_clusters_have_intervals_that_hold() -> None:
    rng = np.random.default_rng(4)
    clusters = np.repeat(np.arange(40), 8)  # alike within
    of = np.repeat(np.arange(40) % 2, 8)
    counts = np.eye(2, dtype=np.int64)[of]
    missed = 0
    outside = 0
    for turn in range(60):
        total = 5 + rng.normal(size=40)[clusters] + 0.2 * rng.normal(size=320)
        one, _ = group_losses(Losses(total, np.ones(320)), counts, ("a", "b"), turn, clusters)
        assert one.mean is not None and one.low is not None and one.high is not None
        assert one.placebo_low is not None and one.placebo_high is not None
        missed += not one.low <= 5 <= one.high
        outside += not one.placebo_low <= one.mean <= one.placebo_high
    assert missed <= 9 and outside <= 9  # 3 are expected; half of them where clusters are ignored


def test_a_group_of_one_cluster_has_no_rate() -> None:
    found = Losses(np.arange(8.0), np.ones(8))
    counts = np.ones((8, 1), np.int64)
    (own,) = group_losses(found, counts, ("a",), 0, np.zeros(8, np.int64))
    assert (own.examples, own.mean, own.low) == (8, None, None)


def test_every_figure_and_copies_stand_beside_those_of_any_group() -> None:
    torch.manual_seed(3)
    real = torch.randn(240, 8)
    groups = np.repeat([0, 1], 120)
    real[groups == 1] += 4
    made = torch.randn(240, 8)
    made[groups == 1] += 4
    made[:60] = real[:60]  # copies of the first group
    memory = Memory(real, torch.randn(200, 8))
    one, other = group_quality(real, groups, made, groups, ("a", "b"), memory, 0)
    assert set(one.placebos) == {"precision", "recall", "density", "coverage"}
    assert one.placebos == other.placebos and one.placebos["coverage"] == one.placebo
    assert one.copies is not None and one.copies_placebo_high is not None
    assert other.copies is not None and other.copies_placebo_low is not None
    share = (one.copies + other.copies) / 2
    assert one.copies_placebo_low is not None
    assert one.copies_placebo_low < share < one.copies_placebo_high < one.copies
    assert other.copies < other.copies_placebo_low


@pytest.mark.parametrize(("real_ones", "samples"), [(40, 40), (300, 300), (100, 1000)])
def test_the_error_of_a_figure_is_how_much_it_varies(real_ones: int, samples: int) -> None:
    figures = []
    errors = []
    for turn in range(40):
        rng = torch.Generator().manual_seed(turn)
        real = torch.randn(real_ones, 8, generator=rng)
        made = torch.randn(samples, 8, generator=rng) * 0.8 + 0.3
        of_real = np.zeros(real_ones, np.int64)
        of_made = np.zeros(samples, np.int64)
        (found,) = group_quality(real, of_real, made, of_made, ("a",), None, turn)
        figures.append([found.precision, found.recall, found.coverage])
        errors.append([found.errors[name] for name in ("precision", "recall", "coverage")])
    varied = np.std(figures, axis=0, ddof=1)
    expected = np.sqrt(np.mean(np.square(errors), axis=0))
    assert (expected > 0.7 * varied).all() and (expected < 2.5 * varied).all()
