"""Bars: what a figure of a benchmark has to reach, and whether it does.

A bar finds its figure in the figures of a result, by the keys that lead to it or by a function. So
results that are kept in files can be held against it too. Where keys fit several figures, the worst
of them counts, and one that is no number is the worst. A bar whose figure was not measured is
neither met nor missed; a result passes where every bar was measured and is met.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

Value = float | bool | None
Figures = Mapping[str, Any]
OVERRIDES = "GENWRIGHT_BARS"  # variable of the environment: JSON, name of a bar -> bound

LARGE = 10_000  # from here on figures are written without a fraction


@dataclass(frozen=True)
class Bar:
    """A figure and its bound, of which there is exactly one.

    figure: keys that lead to it, or a function of all figures, which gives None where there is
        nothing to measure. A key with a * stands for all that fit it (a list is indexed by "0",
        "1", ...).
    """

    name: str
    figure: tuple[str, ...] | Callable[[Figures], Value]
    at_least: float | None = None
    at_most: float | None = None
    equal: float | bool | None = None

    def __post_init__(self) -> None:
        bounds = (self.at_least, self.at_most, self.equal)
        if sum(bound is not None for bound in bounds) != 1:
            raise ValueError(f"bar {self.name!r} needs exactly one bound")

    @property
    def text(self) -> str:
        """The bound as it is printed: >= 0.9."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return written(self.equal)

    def bounded(self, bound: float | bool) -> Bar:
        """The same bar with another bound."""
        if self.at_least is not None:
            return replace(self, at_least=bound)
        if self.at_most is not None:
            return replace(self, at_most=bound)
        return replace(self, equal=bound)

    def holds(self, value: float | bool) -> bool:
        """Whether a figure meets the bound; what is no number never does."""
        if self.at_least is not None:
            return value >= self.at_least
        if self.at_most is not None:
            return value <= self.at_most
        return value == self.equal

    def measured(self, figures: Figures) -> Value:
        """The figure, the worst one where there are several; None where there is none."""
        if callable(self.figure):
            return self.figure(figures)
        found = [value for value in places(figures, self.figure) if value is not None]
        if not found:
            return None
        if self.equal is not None:
            missed = [value for value in found if not self.holds(value)]
            return (missed or found)[0]
        return worst(found, min if self.at_least is not None else max)

    def judged(self, figures: Figures) -> dict[str, Any]:
        """{"name", "bar", "figure", "met"}; met is None where nothing was measured."""
        value = self.measured(figures)
        met = None if value is None else bool(self.holds(value))
        return {"name": self.name, "bar": self.text, "figure": value, "met": met}


def worst(values: Iterable[Value], of: Callable[..., Any]) -> Value:
    """The largest or the smallest figure (of: max or min). NaN where there is one, which meets no
    bar; else None where one was not measured, or there are none."""
    found = list(values)
    if any(value is not None and math.isnan(value) for value in found):
        return math.nan
    if not found or None in found:
        return None
    return of(found)


def places(tree: Any, keys: Sequence[str]) -> Iterator[Any]:
    """What lies under these keys: none, one, or several where a key has a *."""
    if not keys:
        yield tree
        return
    key, *rest = keys
    for name, child in children(tree):
        if name == key or "*" in key and fnmatchcase(name, key):
            yield from places(child, rest)


def children(tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for name, child in tree.items():
            yield str(name), child
    elif isinstance(tree, list | tuple):
        for number, child in enumerate(tree):
            yield str(number), child


def place(tree: Any, *keys: str) -> Any:
    """What lies under keys without a *, or None."""
    return next(places(tree, keys), None)


def ratio(one: Sequence[str], other: Sequence[str]) -> Callable[[Figures], Value]:
    """A figure: what lies in one place over what lies in another."""

    def found(figures: Figures) -> Value:
        above = place(figures, *one)
        below = place(figures, *other)
        if above is None or below is None:
            return None
        return above / below if below else math.nan

    return found


def off_by(keys: Sequence[str]) -> Callable[[Figures], Value]:
    """A figure: the largest of some figures without their signs."""

    def found(figures: Figures) -> Value:
        every = places(figures, keys)
        return worst((None if value is None else abs(value) for value in every), max)

    return found


def count(keys: Sequence[str]) -> Callable[[Figures], Value]:
    """A figure: how many things a list has, or several lists together."""

    def found(figures: Figures) -> Value:
        lists = list(places(figures, keys))
        return sum(map(len, lists)) if lists else None

    return found


def overridden(bars: Sequence[Bar], bounds: Mapping[str, float | bool]) -> list[Bar]:
    """Bars with other bounds, by name, first these and then those of the environment. Raises
    ValueError for a name that no bar has."""
    bounds = dict(bounds) | json.loads(os.environ.get(OVERRIDES, "{}"))
    unknown = set(bounds) - {bar.name for bar in bars}
    if unknown:
        raise ValueError(f"no such bar: {', '.join(sorted(unknown))}")
    return [bar.bounded(bounds[bar.name]) if bar.name in bounds else bar for bar in bars]


def passed(judged: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether every bar is met: False where one is missed or none was measured, None where some
    were not measured and the others are met."""
    every = [each["met"] for each in judged]
    met = [value for value in every if value is not None]
    if not met or not all(met):
        return False
    return None if None in every else True


def verdict(met: bool | None) -> str:
    """met, MISSED, or not measured."""
    if met is None:
        return "not measured"
    return "met" if met else "MISSED"


def written(value: Value) -> str:
    """A figure for a person: yes and no, four digits."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and abs(value) < LARGE:
        return f"{value:.4g}"
    return f"{value:,.0f}"
