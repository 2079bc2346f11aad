"""Two audited runs as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from genwright.audit.compare import Compared, Comparison
from genwright.audit.prices import Price, price_cells
from genwright.audit.table import plain_table, printed, share_cells
from genwright.audit.table_run import SHOWN, difference_cells, placebo_of


def compare_text(found: Comparison) -> str:
    """A comparison, printed."""
    parts: list[str | Text | Table] = [
        f"before: {found.before}, {found.samples[0]:,} samples;"
        f" after: {found.after}, {found.samples[1]:,} samples"
    ]
    for each in found.groups:
        parts += ["", _changes(each), distance_text(each)]
        if each.prices:
            parts.append(_prices(each.prices))
    if found.prices:
        parts += ["", _prices(found.prices)]
    return printed(parts, found.remarks)


def _changes(found: Compared) -> Table:
    out = plain_table(
        found.grouping,
        "group",
        "before",
        "95%",
        "after",
        "95%",
        "change",
        "95% interval",
        "placebo, 95%",
    )
    for row in found.changed[:SHOWN]:
        change = row.change
        out.add_row(
            Text(row.group),
            *share_cells(row.before),
            *share_cells(row.after),
            *difference_cells(change),
            placebo_of(row.placebo_low, row.placebo_high),
        )
    return out


def distance_text(found: Compared) -> str:
    """How much nearer samples are to the target."""
    if math.isnan(found.distance_before) or math.isnan(found.distance_after):
        return f"samples or data of one run say nothing of {found.grouping}: no distance is known"
    text = (
        f"total variation to {found.target}: {found.distance_before:.3f}"
        f"{_interval(found.low_before, found.high_before)} before,"
        f" {found.distance_after:.3f}{_interval(found.low_after, found.high_after)} after"
    )
    if not math.isnan(found.reduced):
        way = "less" if found.reduced >= 0 else "more"
        text += f", {abs(found.reduced):.0%} {way}"
    if not math.isnan(found.expected):
        text += f"; chance alone gives {found.expected:.3f}"
    return text


def _interval(low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return ""
    return f" [{low:.3f}, {high:.3f}]"


def _prices(prices: Sequence[Price]) -> Table:
    out = plain_table("what it cost", "figure", "before", "after", "worse by", "95% interval")
    for row in prices:
        out.add_row(Text(row.name), *price_cells(row))
    return out
