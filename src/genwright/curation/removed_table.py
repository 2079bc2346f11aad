"""What was removed by group, as a table for a terminal, as CSV, and as a part of a corpus's
page."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from genwright.curation.removed import ALL, Removal, RemovedOf
from genwright.evaluation.intervals import FEWEST, Ratio, Share
from genwright.reporting.markup import Markup

SMALL = Markup("{}<small>{}</small>")
STRONG = Markup("<b>{}</b>")
GROUPS = 20  # that a table shows, those of most documents
REASONS = 5  # columns of a page, those of most documents
HEADS = ("removed by", "group", "came to it", "removed", "rate", "95%", "beside others", "95%")
COLUMNS = (
    "groups",
    "removed by",
    "group",
    "came to it",
    "removed",
    "rate",
    "rate low",
    "rate high",
    "others came to it",
    "others removed",
    "ratio to others",
    "ratio low",
    "ratio high",
)
NOTE = (
    "The rate is of the documents that came to a step, which no step before it had removed; others"
    " are the documents of the other groups. Each interval holds with 95% by itself, with copies"
    " counted by cluster."
)


@dataclass(frozen=True)
class Removed:
    """What was removed, by groups of several kinds; printed, tables."""

    parts: tuple[RemovedOf, ...]

    def __str__(self) -> str:
        return "\n\n".join([*map(_table, self.parts), NOTE])

    def csv(self) -> str:
        """All of it, a line for each step and group; what is not known is empty."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for part in self.parts:
            for row in part.rows:
                writer.writerow([part.name, *_cells(row)])
        return out.getvalue()


def _cells(row: Removal) -> list[str]:
    rate = row.rate
    cells = [row.step, row.group, str(rate.total), str(rate.count)]
    if rate.small:
        cells += ["", "", ""]
    else:
        cells += [f"{value:.6g}" for value in (rate.share, rate.low, rate.high)]
    cells += [str(row.others.total), str(row.others.count)]
    if row.ratio is None:
        return [*cells, "", "", ""]
    for value in (row.ratio.value, row.ratio.low, row.ratio.high):
        cells.append(f"{value:.6g}" if math.isfinite(value) else "")
    return cells


# ---- for a terminal


def _table(part: RemovedOf) -> str:
    lines = [heading(part)]
    shown = set(part.groups[:GROUPS])
    cells = [list(HEADS)]
    for row in part.rows:
        if row.group in shown:
            cells.append(_words(row))
    if not part.rows:
        return "\n".join([*lines, "  nothing was removed" if part.groups else "  no groups"])
    widths = [max(len(line[place]) for line in cells) for place in range(len(HEADS))]
    for line in cells:
        parts = []
        for place, (cell, width) in enumerate(zip(line, widths, strict=True)):
            parts.append(cell.ljust(width) if place < 2 else cell.rjust(width))
        lines.append(f"  {'  '.join(parts).rstrip()}")
    more = len(part.groups) - len(shown)
    if more:
        lines.append(f"  and {more:,} more, of fewer documents; --csv FILE has all")
    return "\n".join(lines)


def heading(part: RemovedOf) -> str:
    """What gives the groups, and how many documents have none."""
    text = f"by {part.name} ({part.how})"
    if part.silent:
        text += f": {part.silent:,} of {part.documents:,} documents have none"
    return text


def _words(row: Removal) -> list[str]:
    rate = row.rate
    cells = [row.step, row.group, f"{rate.total:,}", f"{rate.count:,}"]
    if rate.small:
        return [*cells, "too few", "", "", ""]
    cells += [f"{rate.share:.1%}", interval_of(rate)]
    if row.ratio is None:
        return [*cells, "", ""]
    return [*cells, times(row.ratio), f"{_number(row.ratio.low)} to {_number(row.ratio.high)}"]


def interval_of(rate: Share) -> str:
    """In percent."""
    return f"{rate.low:.1%} to {rate.high:.1%}"


def times(ratio: Ratio) -> str:
    """A ratio, for a person."""
    if math.isnan(ratio.value):
        return "-"
    return f"{_number(ratio.value)} times"


def _number(value: float) -> str:
    if math.isinf(value):
        return "any"
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


# ---- for a page


def columns_of(part: RemovedOf) -> list[str]:
    """The steps that a page shows: all together, and those that removed most, in their order."""
    removed: dict[str, int] = {}
    for row in part.rows:
        removed[row.step] = removed.get(row.step, 0) + row.rate.count
    most = sorted((step for step in removed if step != ALL), key=lambda step: -removed[step])
    shown = {ALL, *most[:REASONS]}
    return [step for step in removed if step in shown]


def lines_of(part: RemovedOf, steps: Sequence[str]) -> list[list[str]]:
    """A line for each group, with a cell for each step, as HTML."""
    by_place = {(row.step, row.group): row for row in part.rows}
    lines = []
    for group in part.groups[:GROUPS]:
        line: list[str] = [group]
        line += [_cell(by_place[step, group]) for step in steps]
        lines.append(line)
    return lines


def _cell(row: Removal) -> Markup:
    rate = row.rate
    if rate.small:
        return SMALL.format("too few", f"fewer than {FEWEST} documents")
    text = SMALL.format(f"{rate.share:.1%}", interval_of(rate))
    if row.ratio is None or math.isnan(row.ratio.value):
        return text
    between = f"{_number(row.ratio.low)} to {_number(row.ratio.high)}"
    beside = f"{times(row.ratio)} the others ({between})"
    if row.ratio.low > 1 or row.ratio.high < 1:
        beside = STRONG.format(beside)
    return SMALL.format(text, beside)
