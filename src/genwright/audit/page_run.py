"""The tables of an audited run's page, by grouping."""

from __future__ import annotations

from collections.abc import Sequence

from genwright.audit.by_group import GroupLoss, GroupQuality
from genwright.audit.conditions import Asked
from genwright.audit.cut import CutFound
from genwright.audit.run import Amplified, ModelGroups
from genwright.audit.run_crossed import CrossedCell, CrossedRun
from genwright.audit.table import CUT_HEADS, cut_cells, cut_line, share_cells
from genwright.audit.table_run import (
    QUALITIES,
    copies_cells,
    crossed_run_lines,
    difference_cells,
    lines_of,
    placebo_of,
    quality_cell,
)
from genwright.evaluation.intervals import Share
from genwright.reporting.fragments import plain_table, soft
from genwright.reporting.markup import Markup, Templates, joined

HTML = Templates("genwright.audit", "page.html")
BESIDE = Markup("{} <small>{}</small>")  # a figure, and what stands beside it
STRONG = Markup("<b>{}</b> <small>{}</small>")
BOLD = Markup("<b>{}</b>")

PLACEBO = (
    "The placebo is the same with permuted labels: a difference inside of it is no difference."
)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> Markup:
    """A table under its title."""
    return HTML.table(title, plain_table(heads, rows, wide=True))


def cut_section(found: CutFound) -> Markup:
    """What the length of a window cuts off, by group."""
    rows = [cut_cells(row) for row in found.groups]
    title = f"Longer than a window, by {found.grouping}"
    if found.left_out:
        title = f"Prompts that are too long, by {found.grouping}"
    return table(CUT_HEADS, rows, title) + soft(cut_line(found))


def model_section(found: ModelGroups) -> Markup:
    """What was found of one grouping."""
    html = joined(soft(line) for line in lines_of(found))
    html += _amplified(found.amplified)
    if found.losses:
        html += _losses(found.losses) + soft(PLACEBO)
    if found.quality:
        html += _quality(found.quality)
    if found.asked:
        html += _asked(found.asked)
    return html


def _amplified(rows: Sequence[Amplified]) -> Markup:
    lines: list[list[str]] = []
    for row in rows:
        value, interval = difference_cells(row.difference)
        said, around = share_cells(row.samples)
        lines.append(
            [
                row.group,
                data_cell(row.data),
                STRONG.format(said, around),
                BESIDE.format(value, interval),
                placebo_of(row.placebo_low, row.placebo_high),
            ]
        )
    heads = ("group", "training data", "samples", "samples - data", "placebo")
    return table(heads, lines, "What it adds")


def data_cell(share: Share) -> str:
    """A share of training data; of data that say nothing none."""
    if not share.total:
        return "-"
    return BESIDE.format(f"{share.share:.1%}", f"of {share.total:,}")


def _losses(rows: Sequence[GroupLoss]) -> Markup:
    lines: list[list[str]] = []
    for row in rows:
        if row.mean is None:
            lines.append([row.group, f"{row.examples:,}", "too few", ""])
            continue
        lines.append(
            [
                row.group,
                f"{row.examples:,}",
                STRONG.format(f"{row.mean:.4f}", f"{row.low:.4f} to {row.high:.4f}"),
                f"{row.placebo_low:.4f} to {row.placebo_high:.4f}",
            ]
        )
    return table(("group", "examples", "loss", "placebo"), lines, "Loss on held-out examples")


def _quality(rows: Sequence[GroupQuality]) -> Markup:
    lines: list[list[str]] = []
    for row in rows:
        cells: list[str] = [row.group]
        for name in QUALITIES:
            value, _, placebo = quality_cell(row, name).partition(" ")
            cells.append(STRONG.format(value, placebo))
        said, around, placebo = copies_cells(row)
        cells += [BESIDE.format(said, around), placebo or "-"]
        lines.append(cells)
    heads = ("group", *QUALITIES, "near copies", "placebo of copies")
    title = f"Samples beside real ones, {rows[0].equal} of each"
    note = "In brackets, and of copies in the last column: of as many of any group, the placebo."
    return table(heads, lines, title) + soft(note)


def _asked(rows: Sequence[Asked]) -> Markup:
    lines: list[list[str]] = []
    for row in rows:
        share = row.right / max(1, row.samples)
        lines.append(
            [
                row.group,
                f"{row.samples}",
                BESIDE.format(f"{share:.1%}", f"{row.low:.1%} to {row.high:.1%}"),
            ]
        )
    title = "Asked for a group: whether it does as it is told, which is no rate of its own"
    return table(("group", "samples", "recognised as it"), lines, title)


def crossed_section(cells: CrossedRun) -> Markup:
    """An intersection of samples as a table, beside that of the data; empty cells are marked."""
    first = list(dict.fromkeys(cell.groups[0] for cell in cells.cells))
    second = list(dict.fromkeys(cell.groups[1] for cell in cells.cells))
    by_groups = {cell.groups: cell for cell in cells.cells}
    rows = []
    for one in first:
        own = [_crossed_cell(by_groups[one, other]) for other in second]
        rows.append([BOLD.format(one), *own])
    lines = joined(soft(line) for line in crossed_run_lines(cells))
    title = "Shares of samples, with their intervals, beside those of the training data"
    shown = lines + table(["", *second], rows, title)
    return HTML.part(" and ".join(cells.names), shown)


def _crossed_cell(cell: CrossedCell) -> Markup:
    data = "no data" if not cell.data.total else f"data {cell.data.share:.1%}"
    if not cell.samples.count:
        return HTML.empty_of_samples(data if cell.data.count else "")
    return HTML.share_of_samples(*share_cells(cell.samples), data)
