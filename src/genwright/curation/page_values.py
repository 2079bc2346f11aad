"""The values of an attribute as a histogram: what there is (`Spread`) decides the bins, then every
value is counted (`Bins`), of documents that are kept and of those that are dropped.

Two passes over the values, in memory that does not grow with them: what is kept of the first are
the least, the largest, counts of values rounded to two digits, for the quantiles, and counts of the
values themselves while few are different, for the median.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from genwright.core.corpus import Column, Rule

BINS = 40  # of a histogram, about
FINE = 64  # steps of a power of two to which values are rounded
TAIL = 30.0  # how far the largest may be above the median on a linear axis
DIFFERENT = 1 << 16  # values of which each is counted
CUT = 0.005  # share of the values on either side that a linear axis of signed values leaves out
SHARE = "share"  # unit of values from 0 to 1


@dataclass
class Spread:
    """What values there are. low, high: of the finite ones. missing: NaN. whole: all are whole
    numbers. rounded: value, rounded -> how many. exact: value -> how many; None where more than
    DIFFERENT are different."""

    count: int = 0
    missing: int = 0
    low: float = math.inf
    high: float = -math.inf
    least_positive: float = math.inf
    whole: bool = True
    rounded: Counter[float] = field(default_factory=Counter)
    exact: Counter[float] | None = field(default_factory=Counter)

    def add(self, values: np.ndarray) -> None:
        """Counts more. values: (documents,) float64."""
        self.count += len(values)
        self.missing += int(np.isnan(values).sum())
        finite = values[np.isfinite(values)]
        if not len(finite):
            return
        self.low = min(self.low, float(finite.min()))
        self.high = max(self.high, float(finite.max()))
        positive = finite[finite > 0]
        if len(positive):
            self.least_positive = min(self.least_positive, float(positive.min()))
        self.whole = self.whole and bool((finite == np.floor(finite)).all())
        mantissa, exponent = np.frexp(finite)
        near = np.ldexp(np.round(mantissa * FINE) / FINE, exponent)
        different, counts = np.unique(near, return_counts=True)
        self.rounded.update(dict(zip(different.tolist(), counts.tolist(), strict=True)))
        if self.exact is not None:
            different, counts = np.unique(finite, return_counts=True)
            self.exact.update(dict(zip(different.tolist(), counts.tolist(), strict=True)))
            if len(self.exact) > DIFFERENT:
                self.exact = None

    def median(self) -> float | None:
        """The median of the finite values; None where so many are different that it is not known
        exactly, or there are none."""
        if not self.exact:
            return None
        values = sorted(self.exact)
        before = np.cumsum([self.exact[value] for value in values])  # values up to each
        count = int(before[-1])
        lower = values[int(np.searchsorted(before, (count - 1) // 2, side="right"))]
        upper = values[int(np.searchsorted(before, count // 2, side="right"))]
        return (lower + upper) / 2

    def quantile(self, share: float, above: float = -math.inf) -> float:
        """A quantile of the finite values above a limit, to about two digits; NaN without any."""
        values = sorted(value for value in self.rounded if value > above)
        if not values:
            return math.nan
        before = np.cumsum([self.rounded[value] for value in values])
        return values[int(np.searchsorted(before, share * before[-1]))]


@dataclass
class Bins:
    """Counts of values. edges: (bins + 1,), rising; what lies beyond is in the outer bins. log: the
    axis is logarithmic, and what is 0 or less is counted apart. kept, dropped: (bins,); zeros,
    missing: (kept, dropped)."""

    edges: np.ndarray
    log: bool
    kept: np.ndarray
    dropped: np.ndarray
    zeros: list[int] = field(default_factory=lambda: [0, 0])
    missing: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, values: np.ndarray, kept: np.ndarray) -> None:
        """Counts more. values: (documents,) float64; kept: (documents,) bool."""
        for number, (chosen, counts) in enumerate(((kept, self.kept), (~kept, self.dropped))):
            own = values[chosen]
            missing = np.isnan(own)
            self.missing[number] += int(missing.sum())
            own = own[~missing]
            if self.log:
                self.zeros[number] += int((own <= 0).sum())
                own = own[own > 0]
            if len(counts):
                places = np.searchsorted(self.edges, own, side="right") - 1
                places = np.clip(places, 0, len(counts) - 1)
                counts += np.bincount(places, minlength=len(counts))


def bins_of(spread: Spread, rules: Sequence[Rule], column: Column) -> Bins:
    """Bins for the values there are, in which the bounds of rules have a place."""
    bounds = []
    for rule in rules:
        bounds += [bound for bound in (rule.at_least, rule.at_most) if bound is not None]
    if spread.low > spread.high:
        return _empty(np.zeros(1), log=False)
    low = min([spread.low, *bounds])
    high = max([spread.high, *bounds])
    if low < 0:
        low = min([spread.quantile(CUT), *bounds])
        high = max([spread.quantile(1 - CUT), *bounds])
    elif column.unit != SHARE and high > TAIL * spread.quantile(0.5, above=0):
        return _empty(_log_edges(spread, high, bounds), log=True)
    return _empty(_linear_edges(low, high, spread.whole), log=False)


def _empty(edges: np.ndarray, log: bool) -> Bins:
    count = len(edges) - 1
    return Bins(edges, log, np.zeros(count, np.int64), np.zeros(count, np.int64))


def _linear_edges(low: float, high: float, whole: bool) -> np.ndarray:
    """Edges from low to high; of whole numbers half way between them."""
    if whole:
        low = math.floor(low)  # a bound need not be whole
        step = max(1, math.ceil((high - low + 1) / BINS))
        count = math.ceil((high - low + 1) / step)
        return low - 0.5 + step * np.arange(count + 1)
    if not high > low:
        width = abs(low) * 0.05 or 0.5
        return np.array([low - width, low + width])
    return np.linspace(low, high, BINS + 1)


def _log_edges(spread: Spread, high: float, bounds: Sequence[float]) -> np.ndarray:
    """Edges from the least positive value to high, each a factor above the last; of whole numbers
    half way between them."""
    low = min([spread.least_positive, *(bound for bound in bounds if bound > 0)])
    edges = np.geomspace(low, high, BINS + 1)
    if not spread.whole:
        return edges
    between = np.unique(np.ceil(edges[:-1]) - 0.5)
    return np.append(between, math.floor(high) + 0.5)
