"""Shares with intervals: against scipy's Wilson, against enumeration, against worked examples."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from genwright.core.errors import GenwrightError
from genwright.core.groups import GroupCounts
from genwright.evaluation.intervals import (
    Share,
    clustered,
    design_effects,
    difference,
    paired,
    ratio,
    shares,
    wilson,
)


def counts_of(rows, clusters=None, groups="ab"):
    rows = np.array(rows, np.int64).reshape(-1, len(groups))
    if clusters is None:
        clusters = np.arange(len(rows))
    return GroupCounts(tuple(groups), rows, np.array(clusters, np.int64))


def labels(numbers, groups="ab"):
    """One row of counts for each label."""
    return np.eye(len(groups), dtype=np.int64)[list(numbers)]


def share(count, total, level=0.95):
    low, high = wilson(count, total, level)
    return Share("a", count, total, count / total, low, high, float(total), count, count < 5)


@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.5, 0.999))
def test_wilson_is_scipys(count, total, level):
    count = min(count, total)
    exact = stats.binomtest(count, total).proportion_ci(level, method="wilson")
    assert wilson(count, total, level) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_wilson_of_nothing_and_of_nonsense():
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=60), st.integers(0, 5))
def test_independent_examples_give_exactly_wilson(numbers, silent):
    rows = np.concatenate([labels(numbers, "abc"), np.zeros((silent, 3), np.int64)])
    for each in shares(counts_of(rows, groups="abc")):
        assert (each.low, each.high) == wilson(each.count, len(numbers))
        assert each.effective == each.total == len(numbers)


def test_small_groups_are_said_to_be_small():
    one, other = shares(counts_of(labels([0] * 4 + [1] * 20)))
    assert one.small and not other.small
    assert one.low < one.share < one.high


def test_words_of_one_example_are_one_example():
    one, _ = shares(counts_of([[9, 0], *[[0, 1]] * 20]))
    assert one.count == 9 and one.examples == 1 and one.small


def test_nothing_counted_says_nothing():
    for each in shares(counts_of(np.zeros((3, 2)))):
        assert math.isnan(each.share) and (each.low, each.high) == (0.0, 1.0)
    assert shares(GroupCounts((), np.zeros((0, 0), np.int64), np.zeros(0, np.int64))) == []


def test_all_of_a_cluster_alike_is_as_one():
    """Twenty documents of ten equal words each say about as much as twenty words."""
    alone = labels([0] * 8 + [1] * 12)
    alike, _ = shares(counts_of(alone * 10))
    assert alike.effective == pytest.approx(20, rel=0.06)
    narrow = wilson(80, 200)
    assert alike.low < narrow[0] and alike.high > narrow[1]


def test_design_effect_is_the_jackknifes():
    """Against shares that are computed again with each cluster left out."""
    dice = np.random.default_rng(0)
    rows = dice.integers(1, 6, (12, 2))
    total = rows.sum()
    share = rows[:, 0].sum() / total
    left_out = []
    for place in range(12):
        others = np.delete(rows, place, 0)
        left_out.append(others[:, 0].sum() / others.sum())
    variance = 11 / 12 * ((np.array(left_out) - share) ** 2).sum()
    effect = variance / (share * (1 - share) / total)
    largest = (rows.sum(1) ** 2).sum() / total
    shown_by = min((rows[:, 0] > 0).sum(), (rows[:, 1] > 0).sum())
    expected = max(1, (shown_by * effect + largest / 2) / (shown_by + 0.5))
    assert design_effects(clustered(counts_of(rows)))[0] == pytest.approx(expected)


def test_one_cluster_says_as_much_as_one_count():
    one, _ = shares(counts_of([[5, 5], [3, 7]], [1, 1]))
    assert one.effective == 1
    assert one.low < 0.02 and one.high > 0.98


def test_a_group_that_no_cluster_has_is_no_point():
    rows = np.zeros((30, 2), np.int64)
    rows[:, 1] = 10
    none, every = shares(counts_of(rows))
    assert none.low == 0 and none.effective == pytest.approx(30)
    assert 0.1 < none.high < 0.15
    assert every.high == 1 and every.low == pytest.approx(1 - none.high)


@given(st.data())
def test_any_counts_give_intervals_that_hold_the_share(data):
    size = data.draw(st.integers(0, 30))
    row = st.lists(st.integers(0, 6), min_size=3, max_size=3)
    rows = data.draw(st.lists(row, min_size=size, max_size=size))
    clusters = data.draw(st.lists(st.integers(-3, 3), min_size=size, max_size=size))
    counts = counts_of(rows, clusters, "abc")
    together = shares(counts, simultaneous=True)
    for each, wider in zip(shares(counts), together, strict=True):
        assert 0 <= wider.low <= each.low <= each.high <= wider.high <= 1
        assert 0 <= each.effective <= each.total
        if each.total:
            assert each.low <= each.share <= each.high
            assert each.high > each.low


def test_simultaneous_is_goodmans():
    """Goodman's (1965) are Wilson's with the quantile of chi-square at 1 - (1 - level) / groups."""
    found = shares(
        counts_of(labels([0] * 10 + [1] * 20 + [2] * 30, "abc"), groups="abc"), 0.9, True
    )
    a = stats.chi2.ppf(1 - 0.1 / 3, 1)
    for each in found:
        n, x = 60, each.count
        root = math.sqrt(a * (a + 4 * x * (n - x) / n))
        expected = ((a + 2 * x - root) / (2 * (n + a)), (a + 2 * x + root) / (2 * (n + a)))
        assert (each.low, each.high) == pytest.approx(expected, abs=1e-8)


def test_difference_is_newcombes_example():
    """Newcombe (1998), table II, method 10: 56/70 - 48/80 and 9/10 - 3/10."""
    found = difference(share(56, 70), share(48, 80))
    assert astuple(found) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    found = difference(share(9, 10), share(3, 10))
    assert astuple(found) == pytest.approx((0.6, 0.1705, 0.8090), abs=5e-5)


def test_difference_to_nothing_says_nothing():
    nothing = Share("a", 0, 0, math.nan, 0.0, 1.0, 0.0, 0, True)
    found = difference(nothing, share(1, 2))
    assert math.isnan(found.value) and (found.low, found.high) == (-1, 1)
    found = ratio(nothing, share(1, 2))
    assert math.isnan(found.value) and (found.low, found.high) == (0, math.inf)


def test_ratio_of_zero():
    zero, some = share(0, 100), share(20, 100)
    assert ratio(zero, some).value == 0 and ratio(zero, some).low == 0
    assert 0.1 < ratio(zero, some).high < 0.4
    assert ratio(some, zero).value == math.inf == ratio(some, zero).high
    assert ratio(some, zero).low == pytest.approx(1 / ratio(zero, some).high)
    assert math.isnan(ratio(zero, zero).value)


@given(st.integers(1, 60), st.integers(1, 60))
def test_ratio_turned_over(one, other):
    """The interval of b / a is that of a / b turned over."""
    a, b = share(one, 80), share(other, 70)
    forth, back = ratio(a, b), ratio(b, a)
    assert forth.low < forth.value < forth.high
    assert forth.low == pytest.approx(1 / back.high)
    assert forth.high == pytest.approx(1 / back.low)


def test_paired_is_students():
    before, after = [0.5, 0.6, 0.55, 0.61], [0.3, 0.45, 0.41, 0.33]
    exact = stats.ttest_rel(after, before).confidence_interval(0.9)
    found = paired(after, before, 0.9)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert found.value == pytest.approx(np.mean(np.subtract(after, before)))


def test_one_pair_gives_no_interval():
    with pytest.raises(GenwrightError, match="1 pair of seeds give no interval; give two"):
        paired([0.3], [0.2])
