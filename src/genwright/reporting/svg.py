"""Line charts and scales as inline SVG: no script, no external file, colours from CSS variables so
that light and dark both work.

Text and marks are classes of `page.STYLE`; every mark that can be hovered carries its own <title>.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from genwright.evaluation.figure import number

MARGIN = (14, 16, 40, 58)  # top, right, bottom, left, in pixels of the view box
COLOURS = 6  # --c0 .. --c5


@dataclass(frozen=True)
class Series:
    """One curve. kind: "line", "faint" (raw values behind their average) or "points" (a line with a
    mark at each value)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    kind: str = "line"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from low to high.

    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    return [
        round(i * step, 12)
        for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def short(value: float) -> str:
    """A number in a few characters: a tick's label, a count of parameters.

    >>> short(1500), short(20_000), short(3_154_944)
    ('1500', '20 k', '3.15 M')
    """
    sizes = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
    return next(
        (f"{value / size:.3g} {letter}" for size, letter in sizes if abs(value) >= max(size, 1e4)),
        f"{value:g}",
    )


def _onto(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Values from low to high -> pixels from start to end."""
    return lambda value: start + (value - low) / ((high - low) or 1) * (end - start)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float, title: str = "") -> str:
    said = f"<title>{escape(title)}</title>" if title else ""
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}">{said}</line>'


def _text(kind: str, x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def chart(
    series: Sequence[Series],
    floors: Mapping[str, float] | None = None,
    *,
    label: str,
    size: tuple[int, int] = (960, 360),
    zero: bool = False,
    across: str = "step",
) -> str:
    """An SVG line chart over steps, or what lies `across`. floors: name -> value, horizontal dashed
    lines with their names on them. label: of the values; `zero`: their axis begins there. Values
    that are not finite break a curve. An empty string where nothing can be drawn."""
    series = [s for s in series if any(map(math.isfinite, s.y))]
    if not series:
        return ""
    solid = [s for s in series if s.kind != "faint"] or series
    # others have no place
    floors = {name: value for name, value in (floors or {}).items() if math.isfinite(value)}
    values = [v for s in solid for v in s.y if math.isfinite(v)] + list(floors.values())
    pad = (max(values) - min(values)) * 0.06 or abs(values[0]) * 0.05 or 1.0
    low = 0.0 if zero or 0 <= min(values) <= pad else min(values) - pad
    high = max(values) + pad
    steps = (
        0.0 if across == "step" else min(v for s in series for v in s.x),
        max(v for s in series for v in s.x),
    )
    top = MARGIN[0]
    right = size[0] - MARGIN[1]
    bottom = size[1] - MARGIN[2]
    left = MARGIN[3]
    px = _onto(*steps, left, right)
    py = _onto(low, high, bottom, top)
    frame = left, top, right - left, bottom - top
    parts = [
        f'<svg class="chart" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{escape(label)} by {across}">'
    ]
    for t in ticks(low, high, frame[3] // 45):
        parts += [
            _line("grid", left, py(t), right, py(t)),
            _text("tick", left - 8, py(t) + 4, short(t), "end"),
        ]
    for t in ticks(*steps, frame[2] // 80):
        parts += [
            _line("axis", px(t), bottom, px(t), bottom + 4),
            _text("tick", px(t), bottom + 18, short(t)),
        ]
    parts += [
        _line("axis", left, bottom, right, bottom),
        _text("label", (left + right) / 2, bottom + 35, across),
    ]
    upright = f'transform="translate(14 {(top + bottom) / 2}) rotate(-90)"'
    parts.append(f'<text class="label" {upright} text-anchor="middle">{escape(label)}</text>')
    used = -math.inf
    for name, value in sorted(floors.items(), key=lambda item: -item[1]):
        at = py(value)
        # below its line where the label above is too near
        used = at - 5 if at - 5 - used >= 12 else at + 13
        parts += [
            _line("floor", left, at, right, at),
            _text("floor-name", right - 4, used, f"{name} {number(value)}", "end"),
        ]
    place = 'x="{}" y="{}" width="{}" height="{}" viewBox="{} {} {} {}"'.format(*frame, *frame)
    curves = (_curve(s, px, py) for s in sorted(series, key=lambda s: s.kind != "faint"))
    shown = (
        (s, x, y)
        for s in series
        if s.kind == "points"
        for x, y in zip(s.x, s.y, strict=True)
        if math.isfinite(y)
    )
    dots = (
        _dot(s.colour, px(x), py(y), 3.2, f"{s.name}: {number(y)} at {across} {x:g}")
        for s, x, y in shown
    )
    # what is inside is cut off at the frame
    return "".join([*parts, f"<svg {place}>", *curves, "</svg>", *dots, "</svg>"])


def _curve(s: Series, px: Callable[[float], float], py: Callable[[float], float]) -> str:
    pen = "M"
    path = ""
    for x, y in zip(s.x, s.y, strict=True):
        path += f"{pen}{px(x):.1f} {py(y):.1f}" if math.isfinite(y) else ""
        pen = "L" if math.isfinite(y) else "M"
    return f'<path class="{s.kind}" style="stroke:var(--c{s.colour % COLOURS})" d="{path}"/>'


def _dot(colour: int, x: float, y: float, radius: float, title: str = "") -> str:
    said = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle style="fill:var(--c{colour % COLOURS})" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{said}</circle>'


def scale(
    value: float,
    floors: Mapping[str, float],
    ceilings: Mapping[str, float],
    colour: int = 0,
    falling: bool = False,
) -> str:
    """A small horizontal scale: the value as a dot among ticks of its floors and ceilings;
    `falling`: the least on the right, so that better is always to the right. An empty string where
    there is nothing to compare with."""
    marks = [("floor-mark", *item) for item in floors.items()] + [
        ("ceiling-mark", *item) for item in ceilings.items()
    ]
    marks = [mark for mark in marks if math.isfinite(mark[2])]
    if not marks or not math.isfinite(value):
        return ""
    every = [value, *(v for _, _, v in marks)]
    at = _onto(min(every), max(every), *((192, 8) if falling else (8, 192)))
    drawn = "".join(
        _line(kind, at(v), 4, at(v), 16, f"{name} {number(v)}") for kind, name, v in marks
    )
    dot = _dot(colour, at(value), 10, 5.5)
    return f'<svg class="scale" viewBox="0 0 200 20" aria-hidden="true">{_line("axis", 8, 10, 192, 10)}{drawn}{dot}</svg>'
