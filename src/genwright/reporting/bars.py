"""Bars: shares of a whole side by side, as HTML, and histograms, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from genwright.reporting.markup import Markup, joined
from genwright.reporting.svg import COLOURS, drawing, hover, line, onto, short, ticks, words

SIZE = (460, 230)  # of a histogram, in pixels of its view box
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 24, 36
APART = 26  # width of what is drawn apart, on the left
LEAST = 1.5  # height of the smallest bar, so that one document is seen beside a million
STEEP = 20  # from this ratio of bars their heights are logarithmic

STACK = Markup('<div class="stack">{}</div>')
PIECE = Markup('<i style="width:{:.3%};background:var(--c{})" title="{}"></i>')
BAR = Markup(
    '<rect style="fill:var(--c{})" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">{}</rect>'
)


@dataclass(frozen=True)
class Part:
    """A part of a whole. colour: of `svg`."""

    name: str
    value: float
    colour: int


def stacked(parts: Sequence[Part]) -> Markup:
    """Parts of a whole as one bar; an empty bar where the whole is 0."""
    whole = sum(part.value for part in parts)
    pieces = []
    for part in parts:
        if part.value > 0:
            share = part.value / whole
            title = f"{part.name}: {share:.1%}"
            pieces.append(PIECE.format(share, part.colour % COLOURS, title))
    return STACK.format(joined(pieces))


@dataclass(frozen=True)
class Counts:
    """What is counted in a histogram's bins. counts: (bins,); apart: of values that have no place
    on its axis."""

    name: str
    counts: Sequence[int]
    colour: int
    apart: int = 0


@dataclass(frozen=True)
class Bound:
    """A line that is drawn at a value. title: shown when it is hovered."""

    value: float
    name: str
    title: str = ""


@dataclass(frozen=True)
class _Axes:
    """Where values and counts stand."""

    first: float
    last: float
    log: bool
    most: int
    steep: bool
    left: int

    def x(self, value: float) -> float:
        place = value
        first = self.first
        last = self.last
        if self.log:
            place = math.log10(max(value, self.first))
            first = math.log10(self.first)
            last = math.log10(self.last)
        place = min(max(place, first), last)
        return onto(place, first, last, self.left, SIZE[0] - RIGHT)

    def height(self, count: float) -> float:
        """Of a bar, in pixels."""
        room = SIZE[1] - TOP - BOTTOM
        if not count:
            return 0.0
        if self.steep:
            return max(LEAST, room * math.log10(1 + count) / math.log10(1 + self.most))
        return max(LEAST, room * count / self.most)


def histogram(
    edges: Sequence[float],
    several: Sequence[Counts],
    bounds: Sequence[Bound] = (),
    *,
    log: bool = False,
    label: str,
    apart: str = "",
) -> Markup:
    """A histogram; the bars of several counts stand side by side. edges: (bins + 1,), rising. log:
    of the values. label: of the values; apart: of those that are counted apart. An empty string
    where nothing is counted."""
    every = [one.apart for one in several]
    for one in several:
        every += list(one.counts)
    counted = sorted(count for count in every if count)
    if not counted:
        return Markup()
    steep = counted[-1] > STEEP * counted[len(counted) // 2]
    left = LEFT
    if apart:
        left += APART
    axes = _Axes(edges[0], edges[-1], log, counted[-1], steep, left)
    parts = [
        *_frame(axes, label),
        *_bars(axes, edges, several),
        *_apart(axes, several, apart),
        *_bounds(axes, bounds),
    ]
    return drawing(SIZE, f"histogram of {label}", parts)


def _frame(axes: _Axes, label: str) -> list[Markup]:
    """Grid, ticks and the name of the values."""
    bottom = SIZE[1] - BOTTOM
    right = SIZE[0] - RIGHT
    parts = []
    for count in _count_ticks(axes):
        y = bottom - axes.height(count)
        parts.append(line("grid", LEFT, y, right, y))
        parts.append(words("tick", LEFT - 6, y + 4, short(count), "end"))
    for value in _value_ticks(axes):
        x = axes.x(value)
        parts.append(line("axis", x, bottom, x, bottom + 4))
        parts.append(words("tick", x, bottom + 17, short(value)))
    parts.append(line("axis", LEFT, bottom, right, bottom))
    parts.append(words("label", (axes.left + right) / 2, bottom + 32, label))
    return parts


def _count_ticks(axes: _Axes) -> list[float]:
    if not axes.steep:
        return [tick for tick in ticks(0, axes.most, 4) if tick == round(tick)]
    powers = range(int(math.log10(axes.most)) + 1)
    return [0.0, *(10.0**power for power in powers)]


def _value_ticks(axes: _Axes) -> list[float]:
    if not axes.log:
        found = ticks(axes.first, axes.last, 6)
        if axes.first % 1 == 0.5:  # edges half way between whole numbers
            found = [tick for tick in found if tick == round(tick)]
        return found
    low = math.ceil(math.log10(axes.first) - 1e-9)
    high = math.floor(math.log10(axes.last) + 1e-9)
    step = max(1, (high - low) // 6)
    return [10.0**power for power in range(low, high + 1, step)]


def _bars(axes: _Axes, edges: Sequence[float], several: Sequence[Counts]) -> list[Markup]:
    parts = []
    for place in range(len(edges) - 1):
        begin = axes.x(edges[place])
        width = axes.x(edges[place + 1]) - begin
        each = max(1.0, (width - min(1.0, width / 4)) / len(several))
        for number, one in enumerate(several):
            span = f"{edges[place]:.4g} to {edges[place + 1]:.4g}"
            title = f"{one.name}: {one.counts[place]:,}, {span}"
            x = begin + number * each
            parts.append(_bar(axes, x, each, one.counts[place], one.colour, title))
    return parts


def _apart(axes: _Axes, several: Sequence[Counts], name: str) -> list[Markup]:
    """The bars of what has no place on the axis."""
    if not name:
        return []
    begin = LEFT + 4
    each = (APART - 12) / len(several)
    parts = [words("tick", begin + (APART - 12) / 2, SIZE[1] - BOTTOM + 17, name)]
    for number, one in enumerate(several):
        title = f"{one.name}: {one.apart:,}, {name}"
        parts.append(_bar(axes, begin + number * each, each, one.apart, one.colour, title))
    return parts


def _bar(axes: _Axes, x: float, width: float, count: int, colour: int, title: str) -> Markup:
    if not count:
        return Markup()
    height = axes.height(count)
    y = SIZE[1] - BOTTOM - height
    return BAR.format(colour % COLOURS, x, y, width, height, hover(title))


def _bounds(axes: _Axes, bounds: Sequence[Bound]) -> list[Markup]:
    """Dashed lines with their names above the bars, on the side where there is room."""
    parts = []
    for number, bound in enumerate(sorted(bounds, key=_value_of)):
        x = axes.x(bound.value)
        top = TOP - 4 - 11 * (number % 2)
        parts.append(line("floor", x, top, x, SIZE[1] - BOTTOM, bound.title))
        anchor = "start"
        away = 4
        if x > (axes.left + SIZE[0]) / 2:
            anchor = "end"
            away = -4
        parts.append(words("floor-name", x + away, top + 6, bound.name, anchor))
    return parts


def _value_of(bound: Bound) -> float:
    return bound.value
