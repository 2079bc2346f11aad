"""The frontier of a run as a chart: what was earned against the way from the model of before."""

from __future__ import annotations

from collections.abc import Sequence

from genwright.evaluation.figure import number
from genwright.reporting.fragments import plain_table
from genwright.reporting.markup import Markup, Templates
from genwright.reporting.svg import Series, chart, legend
from genwright.rewards.frontier_points import Frontier, Kind, Point

KINDS: dict[Kind, str] = {
    "policy": "weights of the divergence (objective.kl)",
    "best-of-n": "best of n samples of the model of before",
    "rules": "model of before under rules",
    "rejection": "trained on the best samples",
    "supervised": "supervised training for as long",
    "before": "model of before",
}
HTML = Templates("genwright.rewards", "page.html")
ACROSS = "nats a sample from the model of before"


def frontier_html(found: Frontier, real: float) -> Markup:
    """Chart and table. real: the reward of real data, NaN where that is not known."""
    curves = [
        _series(kind, name, colour, found.points)
        for colour, (kind, name) in enumerate(KINDS.items())
    ]
    curves = [curve for curve in curves if curve.x]
    drawn = chart(curves, {"real data": real}, label="reward", across=ACROSS)
    about = (
        f"At step {found.step:,}, {found.samples:,} samples of each, questions of"
        f" {'held-out' if found.split == 'held_out' else 'training'} data. The way of best-of-n is"
        " a bound: it went no further."
    )
    heads = ("", "reward", ACROSS, "different 4-grams", "real held-out data", "cost")
    rows = [_cells(point) for point in found.points]
    return HTML.frontier(legend(curves), drawn, about, plain_table(heads, rows), found.left_out)


def _series(kind: Kind, name: str, colour: int, points: Sequence[Point]) -> Series:
    """The points of a kind, from near to far."""
    own = sorted((point for point in points if point.kind == kind), key=_way)
    x = [point.kl for point in own]
    y = [point.reward for point in own]
    return Series(name, x, y, colour, "points")


def _way(point: Point) -> float:
    return point.kl


def _cells(point: Point) -> list[str]:
    way = number(round(point.kl, 3))
    distinct = "-" if point.distinct_4 is None else f"{point.distinct_4:.1%}"
    held_out = "-" if point.held_out is None else f"{number(point.held_out)} nats/token"
    cost = f"{point.seconds:,.0f} s of training" if point.seconds else "-"
    if point.draws > 1:
        cost = f"{point.draws} draws a sample"
    return [
        point.name,
        HTML.mean(number(round(point.reward, 4)), number(round(point.error, 4)), ""),
        f"at most {way}" if point.is_bound else way,
        distinct,
        held_out,
        cost,
    ]
