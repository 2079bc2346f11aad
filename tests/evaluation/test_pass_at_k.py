"""pass@k: against every choice of k samples, and by hand."""

from itertools import combinations

import pytest

from genwright.evaluation.pass_at_k import mean_pass_at_k, pass_at_k


@pytest.mark.parametrize("samples", range(1, 8))
def test_it_is_the_share_of_all_choices_that_hold_a_right_sample(samples):
    for right in range(samples + 1):
        drawn = [True] * right + [False] * (samples - right)
        for k in range(1, samples + 1):
            choices = list(combinations(drawn, k))
            share = sum(map(any, choices)) / len(choices)
            assert pass_at_k(samples, right, k) == pytest.approx(share, abs=1e-12)


def test_by_hand():
    assert pass_at_k(64, 16, 1) == pytest.approx(0.25)
    assert pass_at_k(4, 1, 2) == pytest.approx(0.5)
    assert pass_at_k(10_000, 1, 10_000) == 1.0
    assert pass_at_k(64, 0, 16) == 0.0
    assert mean_pass_at_k(4, [1, 4, 0], 2) == pytest.approx(0.5)


@pytest.mark.parametrize("samples, right, k", [(4, 1, 0), (4, 1, 5), (4, 5, 1), (4, -1, 1)])
def test_numbers_that_cannot_be_are_refused(samples, right, k):
    with pytest.raises(ValueError):
        pass_at_k(samples, right, k)


def test_no_problem_has_no_mean():
    with pytest.raises(ValueError):
        mean_pass_at_k(4, [], 1)
