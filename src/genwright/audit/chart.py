"""Shares of groups as bars with intervals, as inline SVG: one row a group, a bar a set of examples,
and a mark where the target is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from genwright.evaluation.intervals import Share
from genwright.reporting.svg import COLOURS, hover, key, line, onto, ticks, words

WIDTH = 900
LEFT = 190  # where bars begin
RIGHT = 60
ROW = 12  # height of a bar
GAP = 10  # between groups
TOP = 8
BOTTOM = 34
NAME = 28  # letters of a group's name that are shown


@dataclass(frozen=True)
class Bars:
    """One set of examples. shares: by group."""

    name: str
    shares: Mapping[str, Share]
    colour: int


def bars_chart(
    groups: Sequence[str], several: Sequence[Bars], target: Mapping[str, float] | None
) -> str:
    """The chart with its legend. groups: in the order of the rows. "" where there are none."""
    if not groups:
        return ""
    most = _most(groups, several, target)
    height = TOP + BOTTOM + len(groups) * (len(several) * ROW + GAP)
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" aria-label="shares">',
        *_axis(most, height),
    ]
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
    parts.append("</svg>")
    return f'<div class="legend">{_legend(several, target)}</div>{"".join(parts)}'


def _legend(several: Sequence[Bars], target: Mapping[str, float] | None) -> str:
    names = "".join(key(bars.name, bars.colour) for bars in several)
    if target is not None:
        names += "<span><b>|</b> target</span>"
    return names


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


def _axis(most: float, height: int) -> list[str]:
    parts = []
    bottom = height - BOTTOM
    for tick in ticks(0, most, 6):
        x = _x(tick, most)
        parts.append(line("grid", x, TOP - 4, x, bottom))
        parts.append(words("tick", x, bottom + 16, f"{tick:.0%}" if most > 0.1 else f"{tick:.1%}"))
    parts.append(line("axis", LEFT, bottom, WIDTH - RIGHT, bottom))
    parts.append(words("label", (LEFT + WIDTH - RIGHT) / 2, bottom + 31, "share, 95% interval"))
    return parts


def _bar(bars: Bars, group: str, y: float, most: float) -> list[str]:
    share = bars.shares.get(group)
    if share is None:
        return []
    title = f"{bars.name}, {group}: {share.count:,}"
    if share.small:
        return [words("tick", LEFT + 4, y + ROW - 2, f"{share.count} (too few)", "start")]
    title += f", {share.share:.1%} [{share.low:.1%}, {share.high:.1%}]"
    end = _x(share.share, most)
    place = f'x="{LEFT}" y="{y + 1:.1f}" width="{max(0.5, end - LEFT):.1f}" height="{ROW - 2}"'
    style = f"fill:var(--c{bars.colour % COLOURS})"
    middle = y + ROW / 2
    low = _x(share.low, most)
    high = _x(share.high, most)
    return [
        f'<rect style="{style}" {place}>{hover(title)}</rect>',
        line("axis", low, middle, high, middle, title),
        line("axis", low, middle - 3, low, middle + 3),
        line("axis", high, middle - 3, high, middle + 3),
    ]


def _mark(x: float, top: float, bottom: float, title: str) -> str:
    return (
        f'<line style="stroke:var(--ink);stroke-width:2" x1="{x:.1f}" x2="{x:.1f}"'
        f' y1="{top:.1f}" y2="{bottom:.1f}"><title>{escape(title)}</title></line>'
    )
