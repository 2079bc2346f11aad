"""Quantiles and tails against scipy's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genwright.evaluation.probabilities import (
    beta_below,
    f_above,
    normal_quantile,
    t_above,
    t_quantile,
)

PROBABILITY = st.floats(1e-6, 1 - 1e-6)
FREEDOM = st.floats(0.5, 1e5)


@given(PROBABILITY)
def test_normal_quantile(probability):
    assert normal_quantile(probability) == pytest.approx(stats.norm.ppf(probability), abs=1e-9)


@given(st.floats(0, 1), st.floats(0.1, 1e4), st.floats(0.1, 1e4))
@settings(deadline=None)
def test_beta(x, a, b):
    assert beta_below(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), abs=1e-9)


@given(st.floats(0, 50), FREEDOM)
@settings(deadline=None)
def test_t_above(t, freedom):
    assert t_above(t, freedom) == pytest.approx(stats.t.sf(t, freedom), abs=1e-9)


@given(st.floats(0.0005, 0.9995), FREEDOM)
@settings(deadline=None)
def test_t_quantile(probability, freedom):
    exact = stats.t.ppf(probability, freedom)
    assert t_quantile(probability, freedom) == pytest.approx(exact, rel=1e-6, abs=1e-8)


def test_t_of_endless_freedom_is_normal():
    assert t_quantile(0.975, 1e12) == pytest.approx(1.959964, abs=1e-6)


@given(st.floats(0, 100), st.integers(1, 40), FREEDOM)
@settings(deadline=None)
def test_f_above(f, numerator, denominator):
    exact = stats.f.sf(f, numerator, denominator)
    assert f_above(f, numerator, denominator) == pytest.approx(exact, abs=1e-8)
