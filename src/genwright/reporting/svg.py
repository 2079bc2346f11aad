"""Line charts and scales as inline SVG: no script, no external file, colours from CSS variables so
that light and dark both work.

Text and marks are classes of `page.css`; every mark that can be hovered carries its own <title>.
Shapes are formatted as `Markup`, which escapes texts (see `markup`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from genwright.evaluation.figure import number
from genwright.reporting.markup import Markup, joined

MARGIN = (14, 16, 40, 58)  # top, right, bottom, left, in pixels of the view box
# likewise, where the label stands above: a small chart has no height for a long one beside it
MARGIN_BELOW_LABEL = (36, 16, 40, 48)
COLOURS = 6  # --c0 .. --c5

KEY = Markup('<span><i class="{}" style="background:var(--c{})"></i>{}</span>')
LINE = Markup('<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}">{}</line>')
TITLE = Markup("<title>{}</title>")
TEXT = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
UPRIGHT = Markup(
    '<text class="label" transform="translate(14 {}) rotate(-90)" text-anchor="middle">{}</text>'
)
CHART = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
INSIDE = Markup('<svg x="{0}" y="{1}" width="{2}" height="{3}" viewBox="{0} {1} {2} {3}">{4}</svg>')
PATH = Markup('<path class="{}" style="stroke:var(--c{})" d="{}"/>')
DOT = Markup('<circle style="fill:var(--c{})" cx="{:.1f}" cy="{:.1f}" r="{}">{}</circle>')
SCALE = Markup('<svg class="scale" viewBox="0 0 200 20" aria-hidden="true">{}</svg>')


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
    step = 10 * power
    for factor in (1, 2, 5):
        if factor * power >= raw * 0.999:
            step = factor * power
            break
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


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


def key(name: str, colour: int, kind: str = "points") -> Markup:
    """A name beside its colour. kind: of `Series`."""
    return KEY.format(kind, colour % COLOURS, name)


def legend(series: Sequence[Series]) -> Markup:
    """The names of curves."""
    return joined(key(one.name, one.colour, one.kind) for one in series if one.kind != "faint")


def onto(value: float, low: float, high: float, start: float, end: float) -> float:
    """A value between low and high -> the pixel between start and end."""
    return start + (value - low) / ((high - low) or 1) * (end - start)


def line(kind: str, x1: float, y1: float, x2: float, y2: float, title: str = "") -> Markup:
    """A straight line. kind: its class; title: shown when it is hovered."""
    return LINE.format(kind, x1, x2, y1, y2, hover(title))


def hover(text: str) -> Markup:
    """What is shown when a mark is hovered."""
    if not text:
        return Markup()
    return TITLE.format(text)


def words(kind: str, x: float, y: float, text: str, anchor: str = "middle") -> Markup:
    """A text at a place. kind: its class; anchor: start, middle or end is at x."""
    return TEXT.format(kind, x, y, anchor, text)


def drawing(size: tuple[int, int], label: str, parts: Sequence[Markup]) -> Markup:
    """A chart of some parts. size: of its view box. label: what it shows."""
    return CHART.format(*size, label, joined(parts))


@dataclass(frozen=True)
class _Frame:
    """Where a chart's values stand. Pixels: left, top, right, bottom of the frame. low, high: of
    the values; first, last: of the steps, or what lies across."""

    left: int
    top: int
    right: int
    bottom: int
    low: float
    high: float
    first: float
    last: float

    def x(self, step: float) -> float:
        return onto(step, self.first, self.last, self.left, self.right)

    def y(self, value: float) -> float:
        return onto(value, self.low, self.high, self.bottom, self.top)


def chart(
    series: Sequence[Series],
    floors: Mapping[str, float] | None = None,
    *,
    label: str,
    size: tuple[int, int] = (960, 360),
    zero: bool = False,
    across: str = "step",
    label_above: bool = False,
) -> Markup:
    """An SVG line chart over steps, or what lies `across`. floors: name -> value, horizontal dashed
    lines with their names on them. label: of the values, upright beside their axis, or above the
    chart; `zero`: their axis begins there. Values that are not finite break a curve. An empty
    string where nothing can be drawn."""
    series = [one for one in series if any(map(math.isfinite, one.y))]
    if not series:
        return Markup()
    # others have no place
    floors = {name: value for name, value in (floors or {}).items() if math.isfinite(value)}
    low, high = _values_shown(series, floors, zero)
    top, right, bottom, left = MARGIN_BELOW_LABEL if label_above else MARGIN
    frame = _Frame(
        left=left,
        top=top,
        right=size[0] - right,
        bottom=size[1] - bottom,
        low=low,
        high=high,
        first=0.0 if across == "step" else min(min(one.x) for one in series),
        last=max(max(one.x) for one in series),
    )
    if label_above:
        named = words("label", 0, 14, label, "start")
    else:
        named = UPRIGHT.format((frame.top + frame.bottom) / 2, label)
    parts = [
        *_axes(frame, across),
        named,
        *_floors(frame, floors),
        *_curves(frame, series, across),
        *_floor_names(frame, floors),  # last: a curve would strike them through
    ]
    return drawing(size, f"{label} by {across}", parts)


def _values_shown(
    series: Sequence[Series], floors: Mapping[str, float], zero: bool
) -> tuple[float, float]:
    """The least and the largest value that a chart has room for; faint curves may leave it. zero:
    whether the least is 0."""
    solid = [one for one in series if one.kind != "faint"] or series
    values = []
    for one in solid:
        values += [value for value in one.y if math.isfinite(value)]
    values += floors.values()
    least = min(values)
    pad = (max(values) - least) * 0.06 or abs(values[0]) * 0.05 or 1.0
    if zero or 0 <= least <= pad:
        return 0.0, max(values) + pad
    return least - pad, max(values) + pad


def _axes(frame: _Frame, across: str) -> list[Markup]:
    """Grid, ticks and what lies across."""
    left = frame.left
    right = frame.right
    bottom = frame.bottom
    parts = []
    for tick in ticks(frame.low, frame.high, (bottom - frame.top) // 45):
        y = frame.y(tick)
        parts.append(line("grid", left, y, right, y))
        parts.append(words("tick", left - 8, y + 4, short(tick), "end"))
    for tick in ticks(frame.first, frame.last, (right - left) // 80):
        x = frame.x(tick)
        parts.append(line("axis", x, bottom, x, bottom + 4))
        parts.append(words("tick", x, bottom + 18, short(tick)))
    parts.append(line("axis", left, bottom, right, bottom))
    parts.append(words("label", (left + right) / 2, bottom + 35, across))
    return parts


def _floors(frame: _Frame, floors: Mapping[str, float]) -> list[Markup]:
    """Dashed lines."""
    parts = []
    for value in floors.values():
        y = frame.y(value)
        parts.append(line("floor", frame.left, y, frame.right, y))
    return parts


def _floor_names(frame: _Frame, floors: Mapping[str, float]) -> list[Markup]:
    """Names on the dashed lines."""
    parts = []
    above = -math.inf  # where the last name stands
    for name in sorted(floors, key=floors.__getitem__, reverse=True):
        y = frame.y(floors[name])
        if y - 5 - above >= 12:
            above = y - 5
        else:  # below its line, for the name above is too near
            above = y + 13
        text = f"{name} {number(floors[name])}"
        parts.append(words("floor-name", frame.right - 4, above, text, "end"))
    return parts


def _curves(frame: _Frame, series: Sequence[Series], across: str) -> list[Markup]:
    """Curves, cut off at the frame, faint ones behind the others; then the marks."""
    width = frame.right - frame.left
    height = frame.bottom - frame.top
    faint = [one for one in series if one.kind == "faint"]
    others = [one for one in series if one.kind != "faint"]
    paths = joined(_curve(one, frame) for one in faint + others)
    parts = [INSIDE.format(frame.left, frame.top, width, height, paths)]
    for one in series:
        if one.kind != "points":
            continue
        for x, y in zip(one.x, one.y, strict=True):
            if math.isfinite(y):
                title = f"{one.name}: {number(y)} at {across} {x:g}"
                parts.append(_dot(one.colour, frame.x(x), frame.y(y), 3.2, title))
    return parts


def _curve(series: Series, frame: _Frame) -> Markup:
    """A path; it is broken where a value is not finite."""
    path = ""
    pen = "M"
    for x, y in zip(series.x, series.y, strict=True):
        if math.isfinite(y):
            path += f"{pen}{frame.x(x):.1f} {frame.y(y):.1f}"
            pen = "L"
        else:
            pen = "M"
    return PATH.format(series.kind, series.colour % COLOURS, path)


def _dot(colour: int, x: float, y: float, radius: float, title: str = "") -> Markup:
    return DOT.format(colour % COLOURS, x, y, radius, hover(title))


def scale(
    value: float,
    floors: Mapping[str, float],
    ceilings: Mapping[str, float],
    colour: int = 0,
    falling: bool = False,
) -> Markup:
    """A small horizontal scale: the value as a dot among ticks of its floors and ceilings;
    `falling`: the least on the right, so that better is always to the right. An empty string where
    there is nothing to compare with."""
    marks = []
    for kind, values in (("floor-mark", floors), ("ceiling-mark", ceilings)):
        for name, known in values.items():
            if math.isfinite(known):
                marks.append((kind, name, known))
    if not marks or not math.isfinite(value):
        return Markup()
    every = [value, *(known for _, _, known in marks)]
    low = min(every)
    high = max(every)
    worst, best = (192, 8) if falling else (8, 192)
    if low == high:  # nothing is better
        worst = best = 192
    parts = [line("axis", 8, 10, 192, 10)]
    for kind, name, known in marks:
        x = onto(known, low, high, worst, best)
        parts.append(line(kind, x, 4, x, 16, f"{name} {number(known)}"))
    parts.append(_dot(colour, onto(value, low, high, worst, best), 10, 5.5))
    return SCALE.format(joined(parts))
