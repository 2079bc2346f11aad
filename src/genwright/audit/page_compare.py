"""The page of two audited runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genwright.audit.chart import Bars, bars_chart
from genwright.audit.compare import Compared, Comparison
from genwright.audit.kept import keep_earlier
from genwright.audit.page_run import STRONG, table
from genwright.audit.prices import Price, price_cells
from genwright.audit.table import share_cells
from genwright.audit.table_compare import distance_text
from genwright.audit.table_run import difference_cells, placebo_of
from genwright.reporting import page
from genwright.reporting.fragments import alarms
from genwright.reporting.markup import Markup, Templates, joined

DRAWN = 30
HTML = Templates("genwright.audit", "page.html")


def compare_page(found: Comparison, path: Path) -> Path:
    """Writes the page. Raises GenwrightError where that cannot be written."""
    parts = [
        HTML.head(
            f"{found.before} and {found.after}",
            f"What changed in samples: {found.samples[0]:,} of the first run,"
            f" {found.samples[1]:,} of the second.",
        ),
        alarms(found.remarks),
    ]
    parts += [_section(each, found) for each in found.groups]
    if found.prices:
        parts.append(HTML.part("What it cost", _prices(found.prices)))
    title = f"{found.before} and {found.after}"
    keep_earlier(path)
    return page.write(path, title, joined([part for part in parts if part], "\n"))


def _section(each: Compared, found: Comparison) -> Markup:
    order = [row.group for row in each.changed][:DRAWN]
    before = Bars(found.before, {row.group: row.before for row in each.changed}, 0)
    after = Bars(found.after, {row.group: row.after for row in each.changed}, 1)
    chart = bars_chart(order, [before, after], None)
    lines = []
    for row in each.changed:
        change = row.change
        value, interval = difference_cells(change)
        lines.append(
            [
                row.group,
                " ".join(share_cells(row.before)),
                " ".join(share_cells(row.after)),
                STRONG.format(value, interval),
                placebo_of(row.placebo_low, row.placebo_high),
            ]
        )
    html = HTML.grouping(each.grouping, distance_text(each), chart)
    heads = ("group", found.before, found.after, "change", "placebo")
    html += table(heads, lines, "Shares in samples")
    if each.prices:
        html += _prices(each.prices)
    return html


def _prices(prices: Sequence[Price]) -> Markup:
    lines = []
    for row in prices:
        lines.append([row.name, *price_cells(row)])
    heads = ("figure", "before", "after", "worse by", "95% interval")
    return table(heads, lines, "What it cost")
