"""Balance: how much each training example counts, so that groups have the shares that are wanted.

1. An attribute's groups have wanted shares among the examples whose group is known; they weigh as
   much as before together. Examples of which it is not known keep weight 1.
2. Shares of several attributes are met together by raking: weights are scaled to the shares of one
   attribute after another until all are met (iterative proportional fitting: Deming and Stephan,
   Annals of Mathematical Statistics 11, 1940). Of all weights that meet them these are nearest to 1
   in relative entropy.
3. `gender|occupation` wants shares of one attribute within each value of another one, whose own
   shares stay: what two marginals cannot say.
4. Examples are taken as often as they weigh (`Balance.taken`), or their losses are weighted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from genwright.core.draws import key
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.groups import NONE
from genwright.core.shares import UNIFORM, read_shares
from genwright.data.importance import Judged

SAMPLING = "sampling"  # how a balance is kept: examples are taken more or less often
WEIGHTS = "weights"  # their losses are weighted
WITHIN = "|"  # in the name of a balance: between two attributes
UNKNOWN = -1  # group of an example of which it is not known
PRECISION = 1e-9  # of the shares that raking meets
ROUNDS = 2000  # of raking, at most
TICKS = 1 << 20  # of one example in the table of `Balance`
EDGE = 0.381966  # where counts are rounded up
NAMED = 6  # groups that a sentence names
REMEDY = "write uniform, or a share of each value, as in {light: 0.5, dark: 0.5}"

Wanted = Mapping[str, Any]  # attribute -> "uniform", or value -> share


class Grouped(NamedTuple):
    """Examples by one attribute. groups: names; of: (n,) int64, which of them each example is of,
    or UNKNOWN; shares: (groups,) float64, wanted, of sum 1."""

    name: str
    groups: tuple[str, ...]
    of: np.ndarray
    shares: np.ndarray


def raked(columns: Sequence[np.ndarray], shares: Sequence[np.ndarray]) -> np.ndarray | None:
    """(n,) float64: weights of examples, by which every attribute has its shares; None where no
    weights meet them all.

    columns: of each attribute (n,) int64, the group of each example, or UNKNOWN. shares: of each
    attribute (groups,) float64, of sum 1."""
    cell_of, counts, cells = _cells(columns)
    totals = counts.astype(np.float64)  # (cells,) what their examples weigh together
    for _ in range(ROUNDS):
        worst = 0.0
        for own, wanted in zip(cells, shares, strict=True):
            known = own != UNKNOWN
            amount = counts[known].sum()
            found = np.bincount(own[known], totals[known], len(wanted))
            aim = wanted * amount
            worst = max(worst, float(np.abs(found - aim).max(initial=0) / max(1, amount)))
            factor = np.divide(aim, found, out=np.zeros_like(aim), where=found > 0)
            totals[known] *= factor[own[known]]
        if worst < PRECISION:
            return (totals / counts)[cell_of]
    return None


def _cells(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Of examples that are alike in all attributes: (n,) the cell of each example; (cells,) how
    many it has; of each attribute (cells,) the group."""
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        code = code * (int(column.max(initial=UNKNOWN)) + 2) + (column - UNKNOWN)
    _, first, cell_of, counts = np.unique(
        code, return_index=True, return_inverse=True, return_counts=True
    )
    return cell_of, counts, [column[first] for column in columns]


def effective(weights: np.ndarray) -> float:
    """How many examples of equal weight estimate a mean as well as these (Kish, Survey Sampling,
    1965)."""
    square = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / square if square else 0.0


class Balance:
    """How much each example of a training split counts.

    weights: (n,) float64, 0 or more. by: "sampling" or "weights". cells: (n,) int64, examples that
    are alike in all that is balanced have one number; None: all are alike. remarks: for a person.
    digest: of the weights and of how they are used; where weights are no exact figures, of what
    decides them. It takes 32 bytes an example."""

    def __init__(
        self,
        weights: np.ndarray,
        by: str,
        cells: np.ndarray | None = None,
        remarks: Sequence[str] = (),
        digest: str = "",
    ):
        self.weights = weights
        self.by = by
        self.remarks = tuple(remarks)
        count = len(weights)
        if cells is None:
            cells = np.zeros(count, np.int64)
        self.cells = cells
        content = by.encode() + np.round(weights, 9).astype("<f8").tobytes()
        self.digest = digest or hashlib.sha256(content).hexdigest()
        # those that are alike lie together, so that they have their share of every epoch
        self._order = np.argsort(cells, kind="stable")
        ends = np.cumsum(weights[self._order])  # (n,)
        self._ends = np.rint(ends * (count * TICKS / ends[-1])).astype(np.int64)
        self._ends[-1] = count * TICKS

    def of_parts(self, numbers: np.ndarray) -> Balance:
        """The balance of parts of the examples. numbers: (m,) int64, which example each is of."""
        return Balance(
            self.weights[numbers], self.by, self.cells[numbers], self.remarks, self.digest
        )

    def times(self, passes: float) -> np.ndarray:
        """(n,) int64: how often each example stands in a table of `passes` * n of them (rounded):
        in proportion to its weight, rounded up or down; examples that are alike have their sum, to
        less than one."""
        # in the order of the table; no simple fraction is at the edge of being rounded
        ends = np.floor(self._ends / TICKS * passes + EDGE).astype(np.int64)
        times = np.empty(len(ends), np.int64)
        times[self._order] = np.diff(ends, prepend=0)
        return times

    def taken(self, epochs: np.ndarray, slots: np.ndarray, seed: int) -> np.ndarray:
        """(k,) the examples that slots of epochs take. epochs, slots: (k,) int64, slots from 0 to
        before n.

        An epoch has n slots. An example of weight w (of mean 1) gets w of them, rounded up or down;
        examples that are alike get their sum, to less than one slot. Which are rounded up changes
        from epoch to epoch (systematic sampling: Madow, Annals of Mathematical Statistics 20,
        1949)."""
        found, index = np.unique(epochs, return_inverse=True)
        shifts = [key(seed, epoch, "balance") % TICKS for epoch in found.tolist()]
        points = slots * TICKS + np.array(shifts, np.int64)[index]
        return self._order[np.searchsorted(self._ends, points, side="right")]


def attributes_in(wanted: Wanted) -> list[str]:
    """The attributes that a balance names."""
    found: dict[str, None] = {}
    for name in wanted:
        found.update(dict.fromkeys(name.split(WITHIN)))
    return list(found)


def balance_of(
    wanted: Wanted,
    by: str,
    values: Mapping[str, Sequence[tuple[str, ...]]],
    unit: str,
    known: Sequence[str],
) -> Balance | None:
    """What balances a training split; None where every weight is 1.

    values: attribute -> of each example the values that it has. unit: what examples are called, in
    the plural. known: the attributes that there are. Raises GenwrightError for an attribute that
    there is not, or of which an example has several values; for shares that are none (see
    `core.shares`); and for those of several attributes that cannot be met together."""
    for name in attributes_in(wanted):
        if name not in values:
            raise GenwrightError(
                f"data.balance names {name!r}, and nothing is known of that", _one_of(name, known)
            )
    grouped = []
    for name, shares in wanted.items():
        inner, *outer = name.split(WITHIN)
        where = f"data.balance.{name}"
        if len(outer) > 1:
            raise GenwrightError(f"{where} names several attributes", "write it as in tone|class")
        own = _grouped(where, inner, shares, values[inner], unit)
        if outer:
            own = _within(where, own, _labels(where, outer[0], values[outer[0]], unit), unit)
        grouped.append(own)
    columns = [each.of for each in grouped]
    weights = raked(columns, [each.shares for each in grouped])
    if weights is None:
        names = " and ".join(wanted)
        raise GenwrightError(
            f"the shares of {names} in data.balance cannot be met together by these {unit}",
            "balance one of them, or give shares that groups of the data have in common",
        )
    if np.abs(weights - 1).max() < PRECISION:
        return None
    return Balance(weights, by, _cells(columns)[0], _remarks(grouped, weights, by, unit))


def importance_balance(
    found: Judged, logits: np.ndarray, by: str, reference: str, unit: str, digest: str
) -> tuple[Balance | None, list[str]]:
    """What balances a training split to a reference, and what a person is told; None where the
    reference cannot be told from the data. logits: (n,) of the training examples. reference: its
    path. digest: of all that decides the weights."""
    area = f"area under the ROC curve {found.area:.3f}, chance .5"
    if not found.tells:
        return None, [f"{reference} cannot be told from the data ({area}): all {unit} count alike"]
    weights = found.odds(logits)
    weights = weights / weights.mean()
    said = (
        f"{unit} are balanced to {reference} by {by} ({area}): {len(weights):,} {unit} count like"
        f" {effective(weights):,.0f} equal ones, {weights.min():.2g} to {weights.max():.3g} times"
    )
    return Balance(weights, by, remarks=[said], digest=digest), [said]


def both_balances() -> GenwrightError:
    """What to say of shares beside a reference."""
    return GenwrightError("data.balance and data.balance_to are both set", "leave out one of them")


def _one_of(name: str, known: Sequence[str]) -> str:
    if not known:
        return "leave data.balance out: these data have no attributes"
    return did_you_mean(name, known)


class _Labels(NamedTuple):
    """An attribute of examples. groups: names, sorted; of: (n,) int64, or UNKNOWN."""

    groups: tuple[str, ...]
    of: np.ndarray


def _labels(where: str, name: str, values: Sequence[tuple[str, ...]], unit: str) -> _Labels:
    """Raises GenwrightError for examples with several values."""
    several = next((own for own in values if len(own) > 1), None)
    if several:
        raise GenwrightError(
            f"{where}: some {unit} have several values of {name} ({', '.join(several)})",
            "balance an attribute of which each has one value",
        )
    groups = tuple(sorted({value for own in values for value in own}))
    places = {group: place for place, group in enumerate(groups)}
    of = np.full(len(values), UNKNOWN, np.int64)
    for number, own in enumerate(values):
        if own:
            of[number] = places[own[0]]
    return _Labels(groups, of)


def _grouped(
    where: str, name: str, wanted: Any, values: Sequence[tuple[str, ...]], unit: str
) -> Grouped:
    """The examples by an attribute. A share of NONE makes those of which it is not known a group of
    their own."""
    if isinstance(wanted, Mapping) and NONE in wanted:
        values = [own or (NONE,) for own in values]
    groups, of = _labels(where, name, values, unit)
    if len(groups) < 2:
        what = f"only {groups[0]}" if groups else "no value"
        raise GenwrightError(
            f"{where}: there is {what} among the {unit} that are trained on",
            "balance an attribute with two values or more",
        )
    if wanted == UNIFORM:
        wanted = dict.fromkeys(groups, 1 / len(groups))
    shares = read_shares(wanted, where, groups, REMEDY)
    return Grouped(name, groups, of, np.array(list(shares.values())))


def _within(where: str, inner: Grouped, outer: _Labels, unit: str) -> Grouped:
    """The examples by both attributes: the inner one has its shares within each value of the outer
    one. Raises GenwrightError for a value of one that never stands beside one of the other."""
    both = (inner.of != UNKNOWN) & (outer.of != UNKNOWN)
    count = len(inner.groups)
    cell = np.where(both, outer.of * count + inner.of, UNKNOWN)
    counts = np.bincount(cell[both], minlength=count * len(outer.groups))
    counts = counts.reshape(len(outer.groups), count)
    missing = np.argwhere((counts == 0) & (inner.shares > 0) & (counts.sum(1) > 0)[:, None])
    if len(missing):
        o, i = missing[0].tolist()
        raise GenwrightError(
            f"{where}: there are no {unit} of {outer.groups[o]} and {inner.groups[i]}",
            f"balance {inner.name} alone, or give data that have them",
        )
    shares = counts.sum(1, keepdims=True) / max(1, counts.sum()) * inner.shares
    names = [f"{first} {second}" for first in outer.groups for second in inner.groups]
    return Grouped(where.removeprefix("data.balance."), tuple(names), cell, shares.reshape(-1))


def _remarks(grouped: Sequence[Grouped], weights: np.ndarray, by: str, unit: str) -> list[str]:
    """What a person is told: the shares before and now, and what that costs."""
    out = []
    for each in grouped:
        known = each.of != UNKNOWN
        counts = np.bincount(each.of[known], minlength=len(each.groups))
        shares = []
        for place in np.argsort(-counts, kind="stable")[:NAMED].tolist():
            before = counts[place] / counts.sum()
            shares.append(f"{each.groups[place]} {before:.1%} -> {each.shares[place]:.1%}")
        if len(each.groups) > NAMED:
            shares.append(f"and {len(each.groups) - NAMED} more")
        own = weights[known]
        out.append(
            f"{each.name} is balanced by {by}: {', '.join(shares)}; {counts.sum():,} {unit} count"
            f" like {effective(own):,.0f} equal ones, at most {own.max():.3g} times each"
        )
    return out
