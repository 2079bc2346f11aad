"""A figure: one measured number with all that is needed to judge it; and figures as a table for the
terminal."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text

from genwright.core.content import Direction

SAID_AGAIN = 300  # characters that a clause may take beyond its first place
ARROWS = {"lower": "↓", "higher": "↑", "near": "≈"}

# Names by which figures are found again, in reports and by other figures; never by their place or
# unit.
LOSS = "loss, held out"
MASKED_LOSS = "loss, held out, masked"
ACCURACY = "accuracy, held out"
MASKED_ACCURACY = "accuracy, held out, masked"
EXAMPLE_LOSS = "held-out loss"  # of content that is no sequence of tokens
TOKEN_LOSSES = (LOSS, MASKED_LOSS)  # nats a token; a run has one of them at most


@dataclass(frozen=True)
class Figure:
    """One number, with what is needed to judge it.

    unit: of the value ("nats/token"). count: how many of `counted` it was measured on.

    floors: name -> what is reached without learning. ceilings: name -> what real data reach.

    direction: which way is better; "near" means near the ceiling (diversity, copying), neither up
    nor down.

    detail: one sentence on how it was measured. headline: whether it stands at the head of a
    report, before the others.
    """

    name: str
    value: float
    unit: str
    count: int
    counted: str = "samples"
    floors: Mapping[str, float] = field(default_factory=dict)
    ceilings: Mapping[str, float] = field(default_factory=dict)
    direction: Direction = "lower"
    detail: str = ""
    headline: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data; a number that is not finite becomes None, which JSON can hold."""
        found = dataclasses.asdict(self)
        found["value"] = _or_none(self.value)
        for side in ("floors", "ceilings"):
            found[side] = {name: _or_none(value) for name, value in found[side].items()}
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Figure:
        """The inverse of `to_json`; what is None is not a number again. Raises TypeError for an
        unknown key."""
        values = dict(data)
        values["value"] = _or_nan(data["value"])
        for side in ("floors", "ceilings"):
            numbers = data.get(side, {})
            values[side] = {name: _or_nan(value) for name, value in numbers.items()}
        values.setdefault("headline", _led_before(data))
        return cls(**values)


def _led_before(data: Mapping[str, Any]) -> bool:
    """Whether a figure of a file that says nothing of headlines stood at the head of reports."""
    if data["name"] in (ACCURACY, MASKED_ACCURACY):
        return True
    if data["unit"] in ("nats/token", "bits/byte"):
        return True
    # a judgement of texts
    return data.get("direction") == "higher" and "token noise" in data.get("floors", {})


def _or_none(value: float) -> float | None:
    if math.isfinite(value):
        return value
    return None


def _or_nan(value: float | None) -> float:
    if value is None:
        return math.nan
    return float(value)


def named(figures: Sequence[Figure], *names: str) -> Figure | None:
    """The figure that has the first of `names` that any has; None where there is none."""
    for name in names:
        for figure in figures:
            if figure.name == name:
                return figure
    return None


def number(value: float) -> str:
    """A number for a person: four significant figures, thousands separated, no exponent in everyday
    ranges.

    >>> [number(v) for v in (1.88574, 0.00012345, 1234567.0, 12, 0.5)]
    ['1.886', '0.0001234', '1,234,567', '12', '0.5']
    """
    if value != value or value in (math.inf, -math.inf):
        return "not finite"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.2e}"
    return f"{value:.4g}"


def shown(value: float, unit: str) -> str:
    """A value as it is printed: shares in per cent, which needs no unit beside it.

    >>> shown(0.4123, "share"), shown(1.5, "nats/token")
    ('41.2%', '1.5')
    """
    if unit == "share" and math.isfinite(value):
        return f"{value:.1%}"
    return number(value)


def unit_beside(unit: str) -> str:
    """The unit that stands beside a value: none beside a share, which is printed in per cent."""
    return "" if unit == "share" else unit


def with_error(value: float, error: float, unit: str) -> tuple[str, str]:
    """A mean and its standard error as they are printed: to two figures of the error, for those
    behind it say nothing of the mean. Shares as always.

    >>> with_error(0.45231, 0.04927, "bars"), with_error(16.93, 0.295, "bars")
    (('0.452', '0.049'), ('16.93', '0.29'))
    """
    if unit == "share" or not (math.isfinite(value) and 0 < error < math.inf):
        return shown(value, unit), shown(error, unit)
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:,.{digits}f}", f"{error:,.{digits}f}"


def marks(values: Mapping[str, float], unit: str) -> str:
    """{"unigram": 5.1, "bigram": 3.9} -> "unigram 5.1, bigram 3.9"."""
    if not values:
        return "-"
    return ", ".join(f"{name} {shown(value, unit)}" for name, value in values.items())


def table(figures: Sequence[Figure], title: str = "") -> Table:
    """A rich table of figures. Names are shown as they are, never read as markup."""
    out = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    out.add_column("measure")
    out.add_column("", no_wrap=True)
    out.add_column("value", justify="right", no_wrap=True)
    for column in ("unit", "floor", "ceiling", "on"):
        out.add_column(column)
    for figure in figures:
        out.add_row(
            Text(figure.name),
            Text(ARROWS[figure.direction]),
            Text(shown(figure.value, figure.unit), "bold"),
            Text(figure.unit),
            Text(marks(figure.floors, figure.unit)),
            Text(marks(figure.ceilings, figure.unit)),
            Text(f"{figure.count:,} {figure.counted}"),
        )
    return out


def details(figures: Sequence[Figure]) -> str:
    """How the figures were measured: a line for each way, after the names of those that it is of,
    between semicolons, for names may hold commas; then the notes of `noted`."""
    texts, notes = noted([figure.detail for figure in figures])
    names_of: dict[str, list[str]] = {}
    for figure, text in zip(figures, texts, strict=True):
        if text:
            names_of.setdefault(text, []).append(figure.name)
    lines = [f"{'; '.join(names)}: {text}" for text, names in names_of.items()]
    return "\n".join([*lines, *notes])


def noted(ways: Sequence[str]) -> tuple[list[str], list[str]]:
    """How figures were measured, with what would be said again and again in notes: clauses (between
    semicolons) that together take more than SAID_AGAIN characters. (texts, notes); a text ends with
    the number of its note, [1]."""
    clauses = [way.split("; ") for way in ways]
    times = Counter(clause for each in clauses for clause in dict.fromkeys(each))
    again = {clause for clause, count in times.items() if len(clause) * (count - 1) > SAID_AGAIN}
    numbers: dict[tuple[str, ...], int] = {}
    texts = []
    for each in clauses:
        text = "; ".join(clause for clause in each if clause not in again)
        moved = tuple(clause for clause in each if clause in again)
        if moved:
            number = numbers.setdefault(moved, len(numbers) + 1)
            text = f"{text} [{number}]".strip()
        texts.append(text)
    return texts, [f"[{number}] {'; '.join(moved)}" for moved, number in numbers.items()]
