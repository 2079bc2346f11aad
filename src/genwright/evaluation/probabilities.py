"""Quantiles and tails of the distributions that intervals need, without scipy.

Everything comes from the regularised incomplete beta function: Student's t and Fisher's F are
changes of its variable (Abramowitz and Stegun, 26.5.2, 26.6.2, 26.7.1). Correct to about 1e-9.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

STEPS = (
    10_000  # of the continued fraction, at most; it needs about the root of the larger parameter
)
TINY = 1e-300
CLOSE = 1e-15
NEAR = 1e-11
LARGE = 1e9  # degrees of freedom from which Student's t is the normal distribution


def normal_quantile(probability: float) -> float:
    """Of the standard normal distribution. probability: above 0, below 1."""
    return NormalDist().inv_cdf(probability)


def normal_below(value: float) -> float:
    """The probability that a standard normal variable is at most `value`."""
    return NormalDist().cdf(value)


def beta_below(x: float, a: float, b: float) -> float:
    """The probability that a beta(a, b) variable is at most x: the regularised incomplete beta
    function, by its continued fraction (Abramowitz and Stegun, 26.5.8, summed as Lentz does)."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):  # where the fraction converges fast on the other side
        return 1 - beta_below(1 - x, b, a)
    logarithm = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return math.exp(logarithm) / (a * _fraction(x, a, b))


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)), the continued fraction of `beta_below`."""
    value = 1.0
    above = 1.0
    below = 0.0
    for step in range(1, STEPS):
        half = step // 2
        if step % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        below = 1 / _apart(1 + term * below)
        above = _apart(1 + term / above)
        change = above * below
        value *= change
        if abs(change - 1) < CLOSE:
            break
    return value


def _apart(value: float) -> float:
    """The value, or a tiny number in place of 0, which Lentz's method divides by."""
    if abs(value) < TINY:
        return TINY
    return value


def t_above(t: float, freedom: float) -> float:
    """The probability that a variable of Student's t distribution is above t, which is 0 or
    more."""
    squared = t * t
    if squared < freedom:  # each of the two keeps the digits that the other loses
        return 0.5 * (1 - beta_below(squared / (freedom + squared), 0.5, freedom / 2))
    return 0.5 * beta_below(freedom / (freedom + squared), freedom / 2, 0.5)


@lru_cache(maxsize=4096)
def t_quantile(probability: float, freedom: float) -> float:
    """Of Student's t distribution. freedom: degrees of it, above 0, whole or not.

    By Newton's method from the normal quantile: that lies below the wanted one, and the probability
    of what is above is convex there, so each step comes nearer from below."""
    if freedom >= LARGE:
        return normal_quantile(probability)
    if probability < 0.5:
        return -t_quantile(1 - probability, freedom)
    wanted = 1 - probability
    t = normal_quantile(probability)
    for _ in range(STEPS):
        step = (t_above(t, freedom) - wanted) / _t_density(t, freedom)
        t += step
        if step <= NEAR * t:
            break
    return t


def _t_density(t: float, freedom: float) -> float:
    half = (freedom + 1) / 2
    logarithm = math.lgamma(half) - math.lgamma(freedom / 2) - half * math.log1p(t * t / freedom)
    return math.exp(logarithm) / math.sqrt(freedom * math.pi)


def f_above(f: float, numerator: float, denominator: float) -> float:
    """The probability that a variable of Fisher's F distribution with these degrees of freedom is
    at least f."""
    if f <= 0:
        return 1.0
    return beta_below(denominator / (denominator + numerator * f), denominator / 2, numerator / 2)
