"""Line charts and scales as inline SVG: no script, no external file, colours from CSS variables so that light and dark both work.

Text and marks are classes of `page.STYLE`; every point that can be hovered carries its own <title>.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from genwright.evaluation.figure import number

MARGIN = (14, 16, 40, 58)  # top, right, bottom, left, in pixels of the view box
COLOURS = 6  # --c0 .. --c5


@dataclass(frozen=True)
class Series:
    """One curve. kind: "line", "faint" (raw values behind their average) or "points" (a line with a mark at each value)."""

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
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, and 2 and 5 times them while these are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if len(powers) > 4 else (1, 2, 5)
    return [t for p in powers for f in factors if low <= (t := f * 10.0**p) <= high]


def short(value: float) -> str:
    """A tick's label: 1500 -> "1.5k"."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):g}{letter}"
    return f"{value:g}"


class _Plane:
    """Data coordinates, within the ranges x and y -> pixels."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], size: tuple[int, int], log_x: bool):
        top, right, bottom, left = MARGIN
        self.left, self.right, self.top, self.bottom = left, size[0] - right, top, size[1] - bottom
        self.x, self.y, self.log_x = x, y, log_x

    def px(self, value: float) -> float:
        low, high, at = (math.log10(max(v, 1.0)) if self.log_x else v for v in (*self.x, value))
        return self.left + (at - low) / ((high - low) or 1) * (self.right - self.left)

    def py(self, value: float) -> float:
        low, high = self.y
        return self.bottom - (value - low) / ((high - low) or 1) * (self.bottom - self.top)


def chart(
    series: Sequence[Series], floors: Mapping[str, float] | None = None, *, name: str, x_label: str, y_label: str, log_x: bool = False,
    size: tuple[int, int] = (960, 360), zero: bool = False,
) -> str:  # fmt: skip
    """An SVG line chart. floors: name -> value, horizontal dashed lines with their names on them. `name` must be the chart's own on its
    page; `zero`: the axis begins there. Values that are not finite break a curve. An empty string where there is nothing to draw."""
    floors = floors or {}
    series = [s for s in series if any(map(math.isfinite, s.y))]
    if not series:
        return ""
    solid = [s for s in series if s.kind != "faint"] or series
    values = [v for s in solid for v in s.y if math.isfinite(v)] + list(floors.values())
    steps = [v for s in series for v in s.x] + ([] if log_x else [0.0])
    pad = (max(values) - min(values)) * 0.06 or abs(values[0]) * 0.05 or 1.0
    low = 0.0 if zero or 0 <= min(values) <= pad else min(values) - pad
    plane = _Plane((min(steps), max(steps)), (low, max(values) + pad), size, log_x)
    clip = f"clip-{escape(name, True)}"
    box = f'x="{plane.left}" y="{plane.top}" width="{plane.right - plane.left}" height="{plane.bottom - plane.top}"'
    parts = [
        f'<svg class="chart" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{escape(f"{y_label} over {x_label}", True)}">',
        f'<clipPath id="{clip}"><rect {box}/></clipPath>',
        *_axes(plane, x_label, y_label), *_floors(plane, floors),
        f'<g clip-path="url(#{clip})">', *(_curve(plane, s) for s in sorted(series, key=lambda s: s.kind != "faint")),
        "</g>", *(part for s in solid for part in _hovers(plane, s, x_label)), "</svg>",
    ]  # fmt: skip
    return "".join(parts)


def _axes(plane: _Plane, x_label: str, y_label: str) -> list[str]:
    parts, x = [], plane.x
    for t in ticks(*plane.y, about=(plane.bottom - plane.top) // 45):
        at = plane.py(t)
        parts.append(f'<line class="grid" x1="{plane.left}" x2="{plane.right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{plane.left - 8}" y="{at + 4:.1f}" text-anchor="end">{short(t)}</text>')
    for t in log_ticks(max(x[0], 1.0), max(x[1], 1.0)) if plane.log_x else ticks(*x, about=(plane.right - plane.left) // 80):
        at = plane.px(t)
        parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{plane.bottom}" y2="{plane.bottom + 4}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{plane.bottom + 18}" text-anchor="middle">{short(t)}</text>')
    middle = (plane.top + plane.bottom) / 2
    return [
        *parts,
        f'<line class="axis" x1="{plane.left}" x2="{plane.right}" y1="{plane.bottom}" y2="{plane.bottom}"/>',
        f'<text class="label" x="{(plane.left + plane.right) / 2}" y="{plane.bottom + 35}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text class="label" transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>',
    ]


def _floors(plane: _Plane, floors: Mapping[str, float]) -> list[str]:
    parts, used = [], -math.inf
    for name, value in sorted(floors.items(), key=lambda item: -item[1]):
        at = plane.py(value)
        text = at - 5 if at - 5 - used >= 12 else at + 13  # below its line where the label above is too near
        used = text
        parts.append(f'<line class="floor" x1="{plane.left}" x2="{plane.right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        said = f"{escape(name)} {number(value)}"
        parts.append(f'<text class="floor-name" x="{plane.right - 4}" y="{text:.1f}" text-anchor="end">{said}</text>')
    return parts


def _curve(plane: _Plane, s: Series) -> str:
    pen, path = "M", []
    for x, y in zip(s.x, s.y, strict=True):
        if not math.isfinite(y):
            pen = "M"
            continue
        path.append(f"{pen}{plane.px(x):.1f} {plane.py(y):.1f}")
        pen = "L"
    return f'<path class="{s.kind}" style="stroke:var(--c{s.colour % COLOURS})" d="{"".join(path)}"/>'


def _hovers(plane: _Plane, s: Series, x_label: str) -> list[str]:
    """A mark at each value of "points"; along lines some sixty that show only under the pointer."""
    count = len(s.x)
    every = 1 if s.kind == "points" and count <= 120 else max(1, count // 60)
    kind, radius = ("dot", 3.2) if s.kind == "points" else ("spot", 5)
    out = []
    for i in sorted({*range(0, count, every), count - 1}):
        if math.isfinite(s.y[i]):
            title = f"{s.name}: {number(s.y[i])} at {x_label} {s.x[i]:g}"
            place = f'cx="{plane.px(s.x[i]):.1f}" cy="{plane.py(s.y[i]):.1f}" r="{radius}"'
            out.append(f'<circle class="{kind}" style="fill:var(--c{s.colour % COLOURS})" {place}><title>{escape(title)}</title></circle>')
    return out


def scale(value: float, floors: Mapping[str, float], ceilings: Mapping[str, float], colour: int = 0, falling: bool = False) -> str:
    """A small horizontal scale: the value as a dot among ticks of its floors and ceilings; `falling`: the least on the right, so that
    better is always to the right. An empty string where there is nothing to compare with."""
    marks = [*floors.values(), *ceilings.values()]
    if not marks or not math.isfinite(value):
        return ""
    low, high = min(*marks, value), max(*marks, value)

    def at(v: float) -> float:
        share = (v - low) / ((high - low) or 1)
        return 8 + 184 * (1 - share if falling else share)

    parts = ['<svg class="scale" viewBox="0 0 200 20" aria-hidden="true"><line class="axis" x1="8" x2="192" y1="10" y2="10"/>']
    for kind, group in (("floor", floors), ("ceiling", ceilings)):
        for name, v in group.items():
            place = f'x1="{at(v):.1f}" x2="{at(v):.1f}" y1="4" y2="16"'
            parts.append(f'<line class="{kind}-mark" {place}><title>{escape(name)} {number(v)}</title></line>')
    return "".join([*parts, f'<circle style="fill:var(--c{colour % COLOURS})" cx="{at(value):.1f}" cy="10" r="5.5"/></svg>'])
