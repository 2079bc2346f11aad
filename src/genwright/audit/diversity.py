"""How many groups there are in effect, and which groups stand with which attributes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

LEAST = 5  # counts of a cell, below which its association says nothing


def effective_number(counts: ArrayLike, order: int, corrected: bool = False) -> float:
    """As many equally large groups would be as diverse: Hill's number ("Diversity and evenness",
    1973) of order 1 (the exponential of Shannon's entropy) or 2 (Simpson's: one over the
    probability that two are of one group). counts: (groups,). NaN where nothing is counted.

    Plain, it is that of the shares as they were seen, which is too low for few counts. corrected:
    order 1 with Miller and Madow's (groups seen - 1) / (2 total) added to the entropy; order 2 from
    pairs of different counts, which is unbiased for the probability; infinite where no pair is of
    one group. Raises ValueError for another order."""
    values = np.asarray(counts, np.float64)
    total = float(values.sum())
    if order not in (1, 2):
        raise ValueError(f"there is no effective number of order {order} here: 1 or 2")
    if total == 0:
        return math.nan
    seen = values[values > 0]
    shares = seen / total
    if order == 1:
        entropy = -float((shares * np.log(shares)).sum())
        if corrected:
            entropy += (len(seen) - 1) / (2 * total)
        return math.exp(entropy)
    if not corrected:
        return 1 / float((shares**2).sum())
    if total < 2:
        return math.nan
    alike = float((seen * (seen - 1)).sum()) / (total * (total - 1))
    if alike == 0:
        return math.inf
    return 1 / alike


def npmi(joint: ArrayLike, least: float = LEAST) -> np.ndarray:
    """(groups, attributes) normalised pointwise mutual information (Bouma, "Normalized (pointwise)
    mutual information in collocation extraction", 2009): -1 never together, 0 independent, 1 only
    together. joint: (groups, attributes) how often each group stands with each attribute.

    NaN where both the count and the count that independence would give are below `least`: there,
    chance alone makes values near 1. A pair that is rarer than that, though it should be frequent,
    says something."""
    counts = np.asarray(joint, np.float64)
    total = counts.sum()
    if total == 0:
        return np.full(counts.shape, np.nan)
    together = counts / total
    apart = together.sum(1, keepdims=True) * together.sum(0, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.log(together / apart) / -np.log(together)
    values[(together == 0) & (apart > 0)] = -1.0
    values[np.maximum(counts, apart * total) < least] = np.nan
    values[together == 1] = np.nan  # all is one pair: both never apart, and independent
    return values
