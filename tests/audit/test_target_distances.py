"""Distances to a target: against sums written out, closed forms, and planted shares."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genwright.audit import distances
from genwright.audit.distances import distances_to, divergence, total_variation
from genwright.core.errors import GenwrightError
from genwright.core.groups import GroupCounts


def counts_of(numbers, groups="abc", copies=1):
    """Examples of one group each. copies: of each in its cluster."""
    rows = np.repeat(np.eye(len(groups), dtype=np.int64), numbers, axis=0)
    clusters = np.arange(len(rows))
    return GroupCounts(tuple(groups), np.repeat(rows, copies, axis=0), np.repeat(clusters, copies))


def test_distances_worked_by_hand():
    p, q = [0.5, 0.5, 0], [0.25, 0.25, 0.5]
    assert total_variation(p, q) == pytest.approx(0.5)
    assert divergence(p, q) == pytest.approx(math.log(2))
    assert divergence(q, p) == math.inf
    assert divergence(p, p) == 0


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)), min_size=1, max_size=8))
def test_divergence_is_scipys(pairs):
    p, q = np.array(pairs).T
    p, q = p / p.sum(), q / q.sum()
    assert divergence(p, q) == pytest.approx(stats.entropy(p, q), abs=1e-9)


def test_what_chance_gives_is_exact_for_two_groups():
    """Of 20 with a target of a half: |x - 10| / 20, over the binomial."""
    found = distances_to(counts_of([13, 7], "ab"), {"a": 0.5, "b": 0.5})
    sizes = np.arange(21)
    chances = stats.binom.pmf(sizes, 20, 0.5)
    exact = (chances * np.abs(sizes - 10) / 20).sum()
    assert found.tv.expected == pytest.approx(exact, abs=0.004)
    assert found.tv.value == pytest.approx(0.15)
    assert found.tv.most == pytest.approx(0.2)  # P(|x - 10| > 4) is 4.1%, P(|x - 10| > 3) 11.5%
    assert found.tv.low == 0 == found.kl.low


def test_what_chance_gives_divergence_is_chi_square():
    """2 n KL is a chi-square variable of groups - 1 degrees of freedom."""
    found = distances_to(counts_of([500, 300, 200]), {"a": 0.5, "b": 0.3, "c": 0.2})
    assert found.kl.expected == pytest.approx(2 / 2000, rel=0.1)
    assert found.kl.most == pytest.approx(stats.chi2.ppf(0.95, 2) / 2000, rel=0.1)
    assert found.kl.value == pytest.approx(0, abs=1e-12)
    assert 0 < found.kl.high < 0.01


def test_same_for_the_same_seed():
    target = {"a": 0.2, "b": 0.3, "c": 0.5}
    counts = counts_of([30, 40, 50])
    assert distances_to(counts, target, 3) == distances_to(counts, target, 3)


def test_clusters_make_chance_larger():
    target = {"a": 0.5, "b": 0.3, "c": 0.2}
    alone = distances_to(counts_of([50, 30, 20]), target)
    alike = distances_to(counts_of([50, 30, 20], copies=4), target)
    assert alike.effective == pytest.approx(alone.effective, rel=0.05)
    assert alike.tv.most == pytest.approx(alone.tv.most, abs=0.01)


def test_infinite_divergence_is_said():
    found = distances_to(counts_of([5, 5, 1]), {"a": 0.5, "b": 0.5})
    assert found.kl.value == found.kl.high == math.inf
    assert math.isfinite(found.kl.most) and found.tv.value == pytest.approx(1 / 11)


def test_groups_that_are_not_counted_were_never_seen():
    found = distances_to(counts_of([5, 5, 0]), {"a": 0.25, "b": 0.25, "d": 0.5})
    assert found.tv.value == pytest.approx(0.5)
    assert found.kl.value == pytest.approx(math.log(2))


def test_one_group():
    found = distances_to(counts_of([9], "a"), {"a": 1.0})
    assert found.tv.value == found.kl.value == found.kl.high == 0


def test_bad_targets():
    counts = counts_of([5, 5, 1])
    for target in ({"a": 0.5, "b": 0.4}, {"a": -0.5, "b": 1.5}, {"a": math.nan}, {}):
        with pytest.raises(GenwrightError, match="shares of the target are no shares"):
            distances_to(counts, target)
    with pytest.raises(GenwrightError, match="nothing is of any group"):
        distances_to(counts_of([0, 0, 0]), {"a": 1.0})


@given(st.lists(st.integers(0, 40), min_size=3, max_size=3), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_intervals_hold_the_value(numbers, copies):
    if not sum(numbers):
        return
    found = distances_to(counts_of(numbers, copies=copies), {"a": 0.6, "b": 0.3, "c": 0.1})
    for each in (found.tv, found.kl):
        assert 0 <= each.low <= each.value <= each.high
        assert 0 <= each.expected <= each.most


def test_intervals_hold_the_truth_at_and_away_from_the_target(monkeypatch):
    monkeypatch.setattr(distances, "SIMULATED", 500)
    target = {"a": 0.5, "b": 0.3, "c": 0.2}
    wanted = np.array(list(target.values()))
    for truth in ([0.5, 0.3, 0.2], [0.55, 0.3, 0.15], [0.8, 0.1, 0.1]):
        held = np.zeros(2)
        for seed in range(60):
            numbers = np.random.default_rng(seed).multinomial(200, truth)
            found = distances_to(counts_of(numbers), target, seed)
            tv, kl = total_variation(truth, wanted), divergence(truth, wanted)
            held += [
                found.tv.low <= tv <= found.tv.high + 1e-9,
                found.kl.low <= kl <= found.kl.high + 1e-9,
            ]
        assert (held >= 53).all()  # of 60; with a coverage of 95%, fewer in 1 of 300 seeds
