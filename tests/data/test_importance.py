import itertools
import subprocess
import sys

import numpy as np
import pytest

from genwright.data.balance import effective, importance_balance
from genwright.data.importance import (
    MOST,
    area_under_curve,
    folds_of,
    half_each,
    judged,
    logistic,
    rising,
)


def planted(share, count, rng):
    """(count, 2) points of two clouds, and which of them each is of: the second one by chance."""
    second = rng.random(count) < share
    return rng.normal(0, 1, (count, 2)) + 4 * second[:, None], second


def told(x, is_reference):
    def fit(learned, number):
        weights = half_each(is_reference[learned])
        found = logistic(x[learned], is_reference[learned], weights)
        return x @ found[:-1] + found[-1]

    return judged(is_reference, folds_of(np.arange(len(x))), fit)


def test_weights_bring_the_reference_back():
    rng = np.random.default_rng(0)
    data, second = planted(0.1, 4000, rng)
    reference, _ = planted(0.5, 400, rng)
    is_reference = np.arange(4400) >= 4000
    found = told(np.concatenate([data, reference]), is_reference)
    balance, said = importance_balance(
        found, found.logits[:4000], "sampling", "reference/", "points", "d"
    )
    assert balance is not None
    share = balance.weights[second].sum() / balance.weights.sum()
    assert 0.4 < share < 0.55  # 10% before; a little less than 50%, for few say little
    assert balance.weights[~second].mean() == pytest.approx(0.5 / 0.9, rel=0.2)
    assert balance.weights.mean() == pytest.approx(1)
    assert f"count like {effective(balance.weights):,.0f} equal ones" in said[0]
    assert balance.digest == "d"


def test_a_classifier_at_chance_says_nothing():
    rng = np.random.default_rng(1)
    data, _ = planted(0.3, 1000, rng)
    reference, _ = planted(0.3, 200, rng)
    is_reference = np.arange(1200) >= 1000
    found = told(np.concatenate([data, reference]), is_reference)
    assert not found.tells
    balance, said = importance_balance(
        found, found.logits[:1000], "sampling", "reference/", "points", "d"
    )
    assert balance is None
    assert "cannot be told from the data" in said[0]
    assert "all points count alike" in said[0]


def test_odds_are_bounded():
    x = np.concatenate([np.zeros((500, 1)), np.ones((500, 1))])
    found = told(x, np.arange(1000) >= 500)
    assert found.area == 1
    assert found.odds(found.logits).max() <= MOST
    assert found.odds(found.logits).min() >= 1 / MOST


def test_each_is_judged_by_one_that_did_not_learn_from_it():
    is_reference = np.arange(100) % 3 == 0
    folds = folds_of(np.arange(100) // 2)
    assert (folds[::2] == folds[1::2]).all()  # a cluster stays together
    learned_from = []

    def fit(learned, number):
        learned_from.append(learned)
        return np.full(100, float(number))

    found = judged(is_reference, folds, fit)
    assert np.array_equal(found.logits, folds)
    for number, learned in enumerate(learned_from):
        assert np.array_equal(~learned, folds == number)


def test_logistic_against_a_search():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(60, 1))
    is_first = rng.random(60) < 1 / (1 + np.exp(-2 * x[:, 0]))
    weights = half_each(is_first)
    slope, bias = logistic(x, is_first, weights, ridge=0.01)

    def loss(slope, bias):
        margin = np.where(is_first, 1, -1) * (slope * x[:, 0] + bias)
        return (weights * np.logaddexp(0, -margin)).sum() + 0.005 * slope**2

    for step in (1e-3, -1e-3):
        assert loss(slope, bias) < loss(slope + step, bias)
        assert loss(slope, bias) < loss(slope, bias + step)


def test_the_rising_curve():
    """Against all partitions of the row into steps, the likelihood of the best one that rises."""
    rng = np.random.default_rng(3)
    is_reference = rng.random(8) < np.linspace(0.1, 0.9, 8)
    begins, ratios = rising(np.arange(8.0), is_reference)
    best = None
    for cuts in itertools.product([False, True], repeat=7):
        step = np.concatenate([[0], np.cumsum(cuts)])
        count = np.bincount(step)
        share = np.bincount(step, is_reference) / count
        if (np.diff(share) <= 0).any():
            continue
        cost = np.square(is_reference - share[step]).sum()
        if best is None or cost < best[0]:
            best = (cost, np.flatnonzero(np.diff(step, prepend=-1)))
    assert begins.tolist() == best[1].tolist()
    assert (np.diff(ratios) > 0).all()


def test_area_by_pairs():
    scores = np.array([0.1, 0.4, 0.4, 0.9])
    is_good = np.array([False, True, False, True])
    assert area_under_curve(scores, is_good) == (1 + 0.5 + 1 + 1) / 4


def test_workers_need_no_torch():
    code = "import sys, genwright.data.importance; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
