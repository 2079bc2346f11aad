"""Effective numbers and normalised PMI, against worked examples and loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.audit.diversity import effective_number, npmi


def test_equal_groups_count_as_many_as_they_are():
    for order in (1, 2):
        assert effective_number([7, 7, 7, 7, 0], order) == pytest.approx(4)
        assert effective_number([9], order) == 1


def test_worked_example():
    """Shares 1/2, 1/4, 1/4: entropy 1.5 ln 2, and 1 / (1/4 + 1/16 + 1/16)."""
    assert effective_number([2, 1, 1], 1) == pytest.approx(2**1.5)
    assert effective_number([2, 1, 1], 2) == pytest.approx(8 / 3)


def test_corrected_for_few_counts():
    shares = np.array([0.5, 0.3, 0.2])
    dice = np.random.default_rng(0)
    plain, corrected, pairs = [], [], []
    for numbers in dice.multinomial(20, shares, 4000):
        plain.append(math.log(effective_number(numbers, 1)))
        corrected.append(math.log(effective_number(numbers, 1, corrected=True)))
        pairs.append(1 / effective_number(numbers, 2, corrected=True))
    entropy = -(shares * np.log(shares)).sum()
    assert np.mean(plain) < entropy - 0.04
    assert np.mean(corrected) == pytest.approx(entropy, abs=0.01)
    assert np.mean(pairs) == pytest.approx((shares**2).sum(), abs=0.003)


def test_of_nothing_and_of_other_orders():
    assert math.isnan(effective_number([0, 0], 1))
    assert effective_number([1, 1], 2, corrected=True) == math.inf
    assert math.isnan(effective_number([1], 2, corrected=True))
    with pytest.raises(ValueError, match="order 3"):
        effective_number([1], 3)


def test_npmi_at_its_ends():
    apart = npmi([[50, 0], [0, 50]])
    assert apart == pytest.approx(np.array([[1, -1], [-1, 1]]))
    assert npmi([[20, 20], [30, 30]]) == pytest.approx(np.zeros((2, 2)), abs=1e-12)


@given(st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=2, max_size=4))
def test_npmi_is_a_loop(rows):
    found = npmi(rows)
    total = sum(map(sum, rows))
    for one, row in enumerate(rows):
        for other, count in enumerate(row):
            group, attribute = sum(row), sum(each[other] for each in rows)
            expected = group * attribute / total if total else 0
            value = found[one, other]
            if max(count, expected) < 5 or count == total:
                assert math.isnan(value)
            elif count == 0:
                assert value == -1
            else:
                pmi = math.log(count / expected)
                assert value == pytest.approx(pmi / -math.log(count / total), abs=1e-9)


def test_rare_pairs_say_nothing():
    found = npmi([[1, 0], [0, 999]])
    assert math.isnan(found[0, 0])  # 1 without a floor
    assert found[1, 1] > 0
