"""The tables of an audited run's page, by grouping."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from genwright.audit.by_group import GroupLoss, GroupQuality
from genwright.audit.conditions import Asked
from genwright.audit.run import Amplified, ModelGroups
from genwright.audit.run_crossed import CrossedCell, CrossedRun
from genwright.audit.table import share_cells
from genwright.audit.table_run import (
    QUALITIES,
    copies_cells,
    crossed_run_lines,
    difference_cells,
    lines_of,
    placebo_of,
    quality_cell,
)
from genwright.reporting.fragments import soft

PLACEBO = (
    "The placebo is the same with permuted labels: a difference inside of it is no difference."
)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> str:
    """A table. heads, title: texts; rows: HTML."""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = ""
    for row in rows:
        body += f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
    heading = f"<h3>{escape(title)}</h3>"
    return f'{heading}<div class="card wide"><table><tr>{head}</tr>{body}</table></div>'


def model_section(found: ModelGroups) -> str:
    """What was found of one grouping."""
    html = "".join(soft(escape(line)) for line in lines_of(found))
    html += _amplified(found.amplified)
    if found.losses:
        html += _losses(found.losses) + soft(PLACEBO)
    if found.quality:
        html += _quality(found.quality)
    if found.asked:
        html += _asked(found.asked)
    return html


def _amplified(rows: Sequence[Amplified]) -> str:
    lines = []
    for row in rows:
        value, interval = difference_cells(row.difference)
        said, around = share_cells(row.samples)
        samples = f"<b>{said}</b> <small>{around}</small>"
        lines.append(
            [
                escape(row.group),
                f"{row.data.share:.1%} <small>of {row.data.total:,}</small>",
                samples,
                f"{value} <small>{interval}</small>",
                placebo_of(row.placebo_low, row.placebo_high),
            ]
        )
    heads = ("group", "training data", "samples", "samples - data", "placebo")
    return table(heads, lines, "What it adds")


def _losses(rows: Sequence[GroupLoss]) -> str:
    lines = []
    for row in rows:
        if row.mean is None:
            lines.append([escape(row.group), f"{row.examples:,}", "too few", ""])
            continue
        lines.append(
            [
                escape(row.group),
                f"{row.examples:,}",
                f"<b>{row.mean:.4f}</b> <small>{row.low:.4f} to {row.high:.4f}</small>",
                f"{row.placebo_low:.4f} to {row.placebo_high:.4f}",
            ]
        )
    return table(("group", "examples", "loss", "placebo"), lines, "Loss on held-out examples")


def _quality(rows: Sequence[GroupQuality]) -> str:
    lines = []
    for row in rows:
        cells = [escape(row.group)]
        for name in QUALITIES:
            value, _, placebo = quality_cell(row, name).partition(" ")
            cells.append(f"<b>{value}</b> <small>{placebo}</small>")
        said, around, placebo = copies_cells(row)
        cells += [f"{said} <small>{around}</small>", placebo or "-"]
        lines.append(cells)
    heads = ("group", *QUALITIES, "near copies", "placebo of copies")
    title = f"Samples beside real ones, {rows[0].equal} of each"
    note = "In brackets, and of copies in the last column: of as many of any group, the placebo."
    return table(heads, lines, title) + soft(note)


def _asked(rows: Sequence[Asked]) -> str:
    lines = []
    for row in rows:
        share = row.right / max(1, row.samples)
        lines.append(
            [
                escape(row.group),
                f"{row.samples}",
                f"{share:.1%} <small>{row.low:.1%} to {row.high:.1%}</small>",
            ]
        )
    title = "Asked for a group: whether it does as it is told, which is no rate of its own"
    return table(("group", "samples", "recognised as it"), lines, title)


def crossed_section(cells: CrossedRun) -> str:
    """An intersection of samples as a table, beside that of the data; empty cells are marked."""
    first = list(dict.fromkeys(cell.groups[0] for cell in cells.cells))
    second = list(dict.fromkeys(cell.groups[1] for cell in cells.cells))
    by_groups = {cell.groups: cell for cell in cells.cells}
    rows = []
    for one in first:
        own = [_crossed_cell(by_groups[one, other]) for other in second]
        rows.append([f"<b>{escape(one)}</b>", *own])
    lines = "".join(soft(escape(line)) for line in crossed_run_lines(cells))
    title = "Shares of samples, with their intervals, beside those of the training data"
    heading = f"<h2>{escape(' and '.join(cells.names))}</h2>"
    return f"{heading}{lines}{table(['', *second], rows, title)}"


def _crossed_cell(cell: CrossedCell) -> str:
    data = "no data" if not cell.data.total else f"data {cell.data.share:.1%}"
    if not cell.samples.count:
        if not cell.data.count:
            return "<b>empty</b>"
        return f"<b>empty</b><br><small>{data}</small>"
    said, around = share_cells(cell.samples)
    return f"{said} <small>{around}<br>{data}</small>"
