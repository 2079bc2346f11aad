"""The page of two audited runs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from genwright.audit.chart import Bars, bars_chart
from genwright.audit.compare import Compared, Comparison
from genwright.audit.kept import keep_earlier
from genwright.audit.page_run import table
from genwright.audit.prices import Price, price_cells
from genwright.audit.table import share_cells
from genwright.audit.table_compare import distance_text
from genwright.audit.table_run import placebo_of
from genwright.reporting import page
from genwright.reporting.fragments import alarms, soft

DRAWN = 30


def compare_page(found: Comparison, path: Path) -> Path:
    """Writes the page. Raises GenwrightError where that cannot be written."""
    parts = [
        f"<h1>{escape(found.before)} and {escape(found.after)}</h1>",
        f'<p class="lead">What changed in samples: {found.samples[0]:,} of the first run,'
        f" {found.samples[1]:,} of the second.</p>",
        alarms(found.remarks),
    ]
    parts += [_section(each, found) for each in found.groups]
    if found.prices:
        parts.append(f"<h2>What it cost</h2>{_prices(found.prices)}")
    title = f"{found.before} and {found.after}"
    keep_earlier(path)
    return page.write(path, title, "\n".join(part for part in parts if part))


def _section(each: Compared, found: Comparison) -> str:
    order = [row.group for row in each.changed][:DRAWN]
    before = Bars(found.before, {row.group: row.before for row in each.changed}, 0)
    after = Bars(found.after, {row.group: row.after for row in each.changed}, 1)
    chart = bars_chart(order, [before, after], None)
    lines = []
    for row in each.changed:
        change = row.change
        interval = f"{change.low:+.1%} to {change.high:+.1%}"
        lines.append(
            [
                escape(row.group),
                " ".join(share_cells(row.before)),
                " ".join(share_cells(row.after)),
                f"<b>{change.value:+.1%}</b> <small>{interval}</small>",
                placebo_of(row.placebo_low, row.placebo_high),
            ]
        )
    html = f"<h2>{escape(each.grouping)}</h2>{soft(escape(distance_text(each)))}"
    html += f'<div class="card wide">{chart}</div>'
    heads = ("group", found.before, found.after, "change", "placebo")
    html += table(heads, lines, "Shares in samples")
    if each.prices:
        html += _prices(each.prices)
    return html


def _prices(prices: Sequence[Price]) -> str:
    lines = []
    for row in prices:
        lines.append([escape(row.name), *(escape(cell) for cell in price_cells(row))])
    heads = ("figure", "before", "after", "worse by", "95% interval")
    return table(heads, lines, "What it cost")
