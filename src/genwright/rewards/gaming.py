"""Gaming: a policy that finds how to be rewarded without doing what was meant.

No reward says all that a person wants. While a policy learns, what nobody rewarded is watched as
well, and a rise of the reward that goes with a fall of the rest ends the run. The rule is a pure
function of the records of the steps so far:

1. What the model of before is like: means of the first steps, as long as the policy has hardly
   moved (`MOVED` nats a sample). How much a step's mean varies by chance: from the differences of
   one step to the next among the first `FIRST` steps, which a slow drift does not widen.
2. Each figure has a band around that (`band_of`): its noise, and a margin that honest learning
   needs (`training.settings.Bands`). Watched measures may lie anywhere between the model of before
   and real data, or the spread of real data beyond. Entropy, distinct 4-grams and length may change
   by a share. So may the surprise, what a token of the policy costs the model of before (entropy +
   kl, in nats): a policy that keeps to the likely part of what it knew surprises no more than
   before, one that writes what it never would have does. The loss on real held-out data, which is
   measured on the schedule of evaluations, may rise by a share, and a large one: it rises wherever
   a policy keeps to a part of the data.
3. A figure has left where its mean over the last `WINDOW` steps is out of its band. A term has
   risen where its mean over them is above that of before by more than its noise.
4. Gaming is both at once. The term that is named is the one that added most to the reward.
5. The last good step is the last at which all figures were inside narrower bands, of half the
   margin. The run's result is the last scheduled checkpoint up to there.

The usual margins were chosen on runs of `benchmarks/rewards_gaming.py` with seeds that it does not
report. What the rule cannot see: what no figure of it measures, and what was there from the first
step on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from typing import Any, NamedTuple

from genwright.evaluation.figure import number
from genwright.objectives.terms import OFF, Term
from genwright.training.settings import Bands

FIRST = 20  # steps by which noise is known
WINDOW = 8  # last steps whose mean is judged
RECENT = 4  # last steps whose mean tells whether a step is good
MOVED = 0.02  # nats a sample from the reference, up to which a policy is still the model of before
SURE = 4.0  # standard errors that a figure may be off by chance
LEAST_SPREAD = 0.1  # of a measure that is a share
HELD_OUT = "held_out.loss"
WATCHED = "watched/"
OF_POLICY = ("distinct_4", "entropy", "length", "surprise")  # figures that every policy has

Row = Mapping[str, float]  # of a step: its numbers by name
Rows = Sequence[Row]  # of steps, oldest first


class Real(NamedTuple):
    """A watched measure of real data. mean, spread: of samples of them; the spread is a standard
    deviation."""

    mean: float
    spread: float


class Band(NamedTuple):
    """Where a figure may be. before: its value of the model of before."""

    before: float
    low: float
    high: float


class Left(NamedTuple):
    """A figure that is out of its band."""

    name: str
    now: float
    band: Band

    @property
    def text(self) -> str:
        """Where it went, and by how much too far."""
        before, low, high = self.band
        went = "rose" if self.now > high else "fell"
        beyond = self.now - high if self.now > high else low - self.now
        side = "above" if self.now > high else "below"
        allowed = f"{number(low)} to {number(high)}"
        if math.isinf(low):
            allowed = f"at most {number(high)}"
        return (
            f"{self.name} {went} from {number(before)} to {number(self.now)}, which is"
            f" {number(beyond)} {side} its band ({allowed}, by {setting_of(self.name)})"
        )


class Risen(NamedTuple):
    """A term that is better than before. gain: what that adds to the reward."""

    name: str
    before: float
    now: float
    gain: float


@dataclass(frozen=True)
class Verdict:
    """What is gamed: the term that has gained most, and the figures that have left."""

    term: Risen
    left: Sequence[Left]

    @property
    def text(self) -> str:
        """What was found: the term, what it was paid with, and how far that has gone."""
        term = self.term
        rose = "rose" if term.now > term.before else "fell, as it shall,"
        figures = ", and ".join(each.text for each in self.left)
        return (
            f"{term.name} {rose} from {number(term.before)} to {number(term.now)} while {figures}"
        )


def setting_of(name: str) -> str:
    """The setting that says how far a figure may go."""
    if name == HELD_OUT:
        return "watching.bands.held_out_loss"
    if name in OF_POLICY:
        return f"watching.bands.{name}"
    return "watching.bands.measures"


# ---- what the model of before is like


class History:
    """What the rule needs of the records so far. steps: how many there were. first: rows of the
    first steps; last: of the last ones. before, now: the first and the last loss on real held-out
    data, NaN where there is none yet."""

    def __init__(self, rows: Rows = ()):
        """rows: of step 0, which has no more than an evaluation, of step 1, and so on."""
        self.steps = -1
        self.first: list[Row] = []
        self.last: deque[Row] = deque(maxlen=WINDOW)
        self.before = math.nan
        self.now = math.nan
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """The row of one step more."""
        self.steps += 1
        loss = row.get(HELD_OUT, math.nan)
        if math.isfinite(loss):
            self.now = loss
            if math.isnan(self.before):
                self.before = loss
        if self.steps == 0:
            return
        self.last.append(row)
        if len(self.first) < FIRST:
            self.first.append(row)


def values_of(rows: Iterable[Row], name: str) -> list[float]:
    """A figure of the steps that have it."""
    found = []
    for row in rows:
        value = row.get(name, math.nan)
        if math.isfinite(value):
            found.append(value)
    return found


def mean(values: Sequence[float]) -> float:
    """NaN of none."""
    if not values:
        return math.nan
    return math.fsum(values) / len(values)


def noise_of(values: Sequence[float]) -> float:
    """The standard deviation of a step by chance, from differences of one step to the next (von
    Neumann et al. 1941); 0 of fewer than two."""
    squares = [(after - before) ** 2 for before, after in pairwise(values)]
    if not squares:
        return 0.0
    return math.sqrt(mean(squares) / 2)


def unmoved(first: Rows) -> int:
    """How many of the first steps are of the model of before, at least 1."""
    count = 1
    for row in first[1:]:
        moved = row.get("kl", 0.0) * row.get("length", 1.0)
        if not moved <= MOVED:
            break
        count += 1
    return count


@dataclass(frozen=True)
class Early:
    """A figure in the first steps. before: its mean of the model of before, over `count` of them;
    noise: the standard deviation of a step by chance."""

    before: float
    count: int
    noise: float

    def error(self, window: int) -> float:
        """The standard error of the difference between a mean over `window` steps and `before`."""
        return self.noise * math.sqrt(1 / self.count + 1 / window)


def early(first: Rows, name: str) -> Early | None:
    """What a figure was in the first steps; None where it was not measured."""
    every = values_of(first, name)
    still = values_of(first[: unmoved(first)], name) or every[:1]
    if not still:
        return None
    return Early(mean(still), len(still), noise_of(every))


# ---- bands


def band_of(
    history: History,
    name: str,
    real: Mapping[str, Real],
    bands: Bands,
    window: int = WINDOW,
    share: float = 1.0,
) -> Band | None:
    """The band of a figure; None where too little is known. window: steps whose mean is held
    against it. share: of the margin that honest learning needs."""
    if name == HELD_OUT:
        before = history.before
        return Band(before, -math.inf, before + share * bands.held_out_loss * abs(before))
    found = early(history.first, name)
    if found is None:
        return None
    by_chance = SURE * found.error(window)
    if name in OF_POLICY:
        down, up = margins(bands)[name]
        low = found.before * (1 - share * down) - by_chance
        high = found.before * (1 + share * up) + by_chance
        return Band(found.before, low, high)
    usual = real.get(name)
    if usual is None or not usual.spread > 0:
        return None
    margin = share * bands.measures * usual.spread + by_chance
    low = min(found.before, usual.mean) - margin
    high = max(found.before, usual.mean) + margin
    return Band(found.before, low, high)


def margins(bands: Bands) -> dict[str, tuple[float, float]]:
    """Name of a figure that every policy has -> the shares that it may fall and rise by."""
    return {
        "distinct_4": bands.distinct_4,
        "entropy": bands.entropy,
        "length": bands.length,
        "surprise": (math.inf, bands.surprise),
    }


def now_of(history: History, name: str, window: int) -> float:
    """A figure over the last `window` steps, NaN where more than half of them lack it; of what is
    measured on the schedule of evaluations, the last value."""
    if name == HELD_OUT:
        return history.now
    values = values_of(list(history.last)[-window:], name)
    if 2 * len(values) < window:
        return math.nan
    return mean(values)


class Rule:
    """The rule of a run. terms: what is rewarded. real: watched measures of real data, by the name
    of their figure. may_change: names of figures that may leave their bands. bands: the margins."""

    def __init__(
        self,
        terms: Sequence[Term],
        real: Mapping[str, Real],
        may_change: Iterable[str] = (),
        bands: Bands = Bands(),  # noqa: B008 - settings do not change
    ):
        self.terms = terms
        self.real = real
        self.bands = bands
        free = set(may_change)
        self.figures = []
        for name in (*OF_POLICY, HELD_OUT, *real):
            if name not in free and name.removeprefix(WATCHED) not in free:
                self.figures.append(name)

    def verdict(self, history: History) -> Verdict | None:
        """What is gamed at the last of these steps; None where nothing is."""
        if history.steps < self.bands.first_step:
            return None
        left = self.left(history, WINDOW, 1.0)
        if not left:
            return None
        risen = self.risen(history)
        if not risen:
            return None
        return Verdict(max(risen, key=attrgetter("gain")), left)

    def is_good(self, history: History) -> bool:
        """Whether all figures are well inside their bands at the last of these steps; so is step 0,
        and it is not known of the first steps after it."""
        if history.steps < self.bands.first_step:
            return history.steps == 0
        return not self.left(history, RECENT, 0.5)

    def left(self, history: History, window: int, share: float) -> list[Left]:
        """The figures that are out of their bands; window, share: as of `band_of`."""
        found = []
        for name in self.figures:
            band = band_of(history, name, self.real, self.bands, window, share)
            now = now_of(history, name, window)
            if band is not None and (now < band.low or now > band.high):
                found.append(Left(name, now, band))
        return found

    def risen(self, history: History) -> list[Risen]:
        """The terms that add more to the reward than before, and more than chance would."""
        found = []
        for term in self.terms:
            name = f"reward/{term.title}"
            weight = term.weight
            if term.target is not None:
                name += OFF
                weight = -weight
            first = early(history.first, name)
            now = now_of(history, name, WINDOW)
            if first is None or math.isnan(now):
                continue
            gain = weight * (now - first.before)
            # A reward that nobody had earned yet did not vary: its first success is no rise.
            noise = max(first.noise, noise_of(values_of(history.last, name)))
            error = replace(first, noise=noise).error(WINDOW)
            if gain > abs(weight) * SURE * error:
                found.append(Risen(name.removeprefix("reward/"), first.before, now, gain))
        return found


# ---- rows from records


def row_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record, those of its evaluation as "held_out.NAME"."""
    row = _numbers(record)
    if "kl" in row and "entropy" in row:
        row["surprise"] = row["kl"] + row["entropy"]
    for name, value in _numbers(record.get("held_out", {})).items():
        row[f"held_out.{name}"] = value
    return row


def rows_of(records: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """A row for each step, from step 0 on: lines of a step and of its evaluation together."""
    rows: list[dict[str, float]] = [{}]
    for record in records:
        step = record.get("step")
        if not isinstance(step, int):
            continue
        while len(rows) <= step:
            rows.append({})
        rows[step].update(row_of(record))
    return rows


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in record.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def measured_of(values: Mapping[str, Sequence[float]], shares: Iterable[str]) -> dict[str, Real]:
    """Name -> mean and spread over samples; what says nothing of any of them is left out. shares:
    names of those that are shares, whose spread is at least LEAST_SPREAD."""
    of_shares = set(shares)
    found = {}
    for name, every in values.items():
        known = [value for value in every if math.isfinite(value)]
        if not known:
            continue
        centre = mean(known)
        spread = math.sqrt(mean([(value - centre) ** 2 for value in known]))
        if name in of_shares:
            spread = max(spread, LEAST_SPREAD)
        found[name] = Real(centre, spread)
    return found
