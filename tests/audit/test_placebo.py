"""What chance makes of two sets of groups, and of single groups."""

import numpy as np
import pytest

from genwright.audit.placebo import permuted, permuted_shares
from genwright.core.groups import GroupCounts
from genwright.evaluation.intervals import shares

NAMES = ("a", "b", "c")
TRUE = (0.5, 0.3, 0.2)


def counts_of(labels: np.ndarray, clusters: np.ndarray) -> GroupCounts:
    return GroupCounts(NAMES, np.eye(3, dtype=np.int64)[labels], clusters)


def test_data_in_clusters_are_no_further_apart_than_chance_says() -> None:
    rng = np.random.default_rng(0)
    above = 0
    values = []
    expected = []
    for turn in range(100):
        samples = counts_of(rng.choice(3, 500, p=TRUE), np.arange(500))
        # 60 clusters of 10 alike
        data = counts_of(np.repeat(rng.choice(3, 60, p=TRUE), 10), np.repeat(np.arange(60), 10))
        found = permuted(samples, data, turn)
        assert found is not None
        above += found.apart.value > found.apart.most
        values.append(found.apart.value)
        expected.append(found.apart.expected)
    assert above <= 12  # 5 are expected
    assert np.mean(values) == pytest.approx(np.mean(expected), rel=0.15)


def test_independent_labels_are_permuted_as_they_are() -> None:
    one = counts_of(np.repeat([0, 1], [30, 10]), np.arange(40))
    other = counts_of(np.repeat([0, 1], [20, 20]), np.arange(40))
    found = permuted(one, other, 0)
    assert found is not None
    rng = np.random.default_rng(1)
    every = np.repeat([0, 1], [50, 30])
    by_hand = []
    for _ in range(4000):
        order = rng.permutation(every)
        by_hand.append((order[:40] == 0).mean() - (order[40:] == 0).mean())
    assert found.apart.value == 0.25
    assert found.apart.expected == pytest.approx(np.abs(by_hand).mean(), abs=0.01)
    low, high = np.quantile(by_hand, [0.025, 0.975])
    assert (found.low[0], found.high[0]) == pytest.approx((low, high), abs=0.03)
    assert found.low[2] == found.high[2] == 0  # that neither has


def test_shares_give_what_their_counts_do() -> None:
    one = counts_of(np.repeat([0, 1, 2], [30, 10, 5]), np.arange(45))
    other = counts_of(np.repeat([0, 1, 2], [20, 20, 9]), np.arange(49))
    by_counts = permuted(one, other, 3)
    by_shares = permuted_shares(shares(one), shares(other), 3)
    assert by_counts is not None and by_shares is not None
    assert by_shares.apart == by_counts.apart


def test_nothing_is_said_of_a_set_that_says_nothing() -> None:
    one = counts_of(np.array([0, 1]), np.arange(2))
    nothing = GroupCounts(NAMES, np.zeros((4, 3), np.int64), np.arange(4))
    assert permuted(one, nothing, 0) is None
    assert permuted_shares(shares(one), shares(nothing), 0) is None
