"""pass@k: the chance that at least one of k samples solves a problem.

Of n samples of a problem c are right. k of them, drawn without replacement, hold no right one with
probability C(n - c, k) / C(n, k); one minus that is unbiased for any k up to n (Chen et al. 2021,
arXiv:2107.03374, equation 1). What is often printed instead, 1 - (1 - c / n)^k, is too low.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def pass_at_k(samples: int, right: int, k: int) -> float:
    """The unbiased estimate for one problem, in [0, 1]. samples: how many were drawn; right: how
    many of them solve it; k: from 1 to `samples`. Raises ValueError for numbers that cannot be."""
    if not 1 <= k <= samples:
        raise ValueError(f"k is {k}, and {samples} samples were drawn")
    if not 0 <= right <= samples:
        raise ValueError(f"{right} of {samples} samples are right")
    wrong = samples - right
    if k > wrong:
        return 1.0  # any k samples hold a right one
    none_right = 1.0
    for drawn in range(k):
        none_right *= (wrong - drawn) / (samples - drawn)
    return 1.0 - none_right


def mean_pass_at_k(samples: int, right: Sequence[int], k: int) -> float:
    """The mean over problems. right: of each problem, how many of its `samples` solve it, at least
    one problem. Raises ValueError."""
    if not right:
        raise ValueError("there is no problem to take the mean over")
    return math.fsum(pass_at_k(samples, each, k) for each in right) / len(right)
