"""Shares of groups as bars with intervals, as inline SVG: one row a group, a bar a set of examples,
and a mark where the target is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genwright.evaluation.intervals import Share
from genwright.reporting.bars import BAR
from genwright.reporting.markup import Markup, joined
from genwright.reporting.svg import COLOURS, hover, key, line, onto, ticks, words

WIDTH = 900
LEFT = 190  # where bars begin
RIGHT = 60
ROW = 12  # height of a bar
GAP = 10  # between groups
TOP = 8
BOTTOM = 34
NAME = 28  # letters of a group's name that are shown

CHART = Markup(
    '<div class="legend">{}</div>'
    '<svg class="chart" viewBox="0 0 {} {}" aria-label="shares">{}</svg>'
)
TARGET = Markup("<span><b>|</b> target</span>")
MARK = Markup(
    '<line style="stroke:var(--ink);stroke-width:2" x1="{0:.1f}" x2="{0:.1f}"'
    ' y1="{1:.1f}" y2="{2:.1f}">{3}</line>'
)


@dataclass(frozen=True)
class Bars:
    """One set of examples. shares: by group."""

    name: str
    shares: Mapping[str, Share]
    colour: int


def bars_chart(
    groups: Sequence[str], several: Sequence[Bars], target: Mapping[str, float] | None
) -> Markup:
    """The chart with its legend. groups: in the order of the rows. "" where there are none."""
    if not groups:
        return Markup()
    most = _most(groups, several, target)
    height = TOP + BOTTOM + len(groups) * (len(several) * ROW + GAP)
    parts = _axis(most, height)
    y = float(TOP)
    for group in groups:
        name = group if len(group) <= NAME else f"{group[: NAME - 1]}…"
        middle = y + len(several) * ROW / 2
        parts.append(words("tick", LEFT - 8, middle + 4, name, "end"))
        for place, bars in enumerate(several):
            parts += _bar(bars, group, y + place * ROW, most)
        if target is not None:
            x = _x(target.get(group, 0.0), most)
            title = f"target of {group}: {target.get(group, 0.0):.1%}"
            parts.append(_mark(x, y - 2, y + len(several) * ROW + 2, title))
        y += len(several) * ROW + GAP
    return CHART.format(_legend(several, target), WIDTH, height, joined(parts))


def _legend(several: Sequence[Bars], target: Mapping[str, float] | None) -> Markup:
    names = [key(bars.name, bars.colour) for bars in several]
    if target is not None:
        names.append(TARGET)
    return joined(names)


def _most(
    groups: Sequence[str], several: Sequence[Bars], target: Mapping[str, float] | None
) -> float:
    """The largest share that is drawn."""
    most = 0.01
    for group in groups:
        for bars in several:
            share = bars.shares.get(group)
            if share is not None and not share.small:
                most = max(most, share.high)
        if target is not None:
            most = max(most, target.get(group, 0.0))
    return min(1.0, most * 1.02)


def _x(share: float, most: float) -> float:
    return onto(min(share, most), 0, most, LEFT, WIDTH - RIGHT)


def _axis(most: float, height: int) -> list[Markup]:
    parts = []
    bottom = height - BOTTOM
    for tick in ticks(0, most, 6):
        x = _x(tick, most)
        parts.append(line("grid", x, TOP - 4, x, bottom))
        parts.append(words("tick", x, bottom + 16, f"{tick:.0%}" if most > 0.1 else f"{tick:.1%}"))
    parts.append(line("axis", LEFT, bottom, WIDTH - RIGHT, bottom))
    parts.append(words("label", (LEFT + WIDTH - RIGHT) / 2, bottom + 31, "share, 95% interval"))
    return parts


def _bar(bars: Bars, group: str, y: float, most: float) -> list[Markup]:
    share = bars.shares.get(group)
    if share is None:
        return []
    title = f"{bars.name}, {group}: {share.count:,}"
    if share.small:
        return [words("tick", LEFT + 4, y + ROW - 2, f"{share.count} (too few)", "start")]
    title += f", {share.share:.1%} [{share.low:.1%}, {share.high:.1%}]"
    end = _x(share.share, most)
    middle = y + ROW / 2
    low = _x(share.low, most)
    high = _x(share.high, most)
    return [
        BAR.format(bars.colour % COLOURS, LEFT, y + 1, max(0.5, end - LEFT), ROW - 2, hover(title)),
        line("axis", low, middle, high, middle, title),
        line("axis", low, middle - 3, low, middle + 3),
        line("axis", high, middle - 3, high, middle + 3),
    ]


def _mark(x: float, top: float, bottom: float, title: str) -> Markup:
    return MARK.format(x, top, bottom, hover(title))
