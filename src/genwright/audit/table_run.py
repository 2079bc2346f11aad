"""What an audit of a model found, as tables for a terminal."""

from __future__ import annotations

import math

from rich.table import Table
from rich.text import Text

from genwright.audit.by_group import GroupLoss, GroupQuality
from genwright.audit.conditions import Asked
from genwright.audit.evenly import asked_in_words
from genwright.audit.run import Amplified, ModelGroups, RunAudit
from genwright.audit.run_crossed import CrossedCell, CrossedRun
from genwright.audit.table import (
    cut_line,
    cut_table,
    distance_line,
    named_cells,
    plain_table,
    printed,
    share_cells,
)
from genwright.audit.verdict import run_verdicts
from genwright.evaluation.intervals import Difference

SHOWN = 24
QUALITIES = ("precision", "recall", "density", "coverage")  # of samples beside real examples


def run_text(audit: RunAudit) -> str:
    """An audit of a run, printed."""
    head = (
        f"{audit.run}, step {audit.step:,} ({audit.weights} weights): {audit.samples:,} samples"
        f" of seed {audit.seed}, {asked_in_words(audit.evenly)}"
    )
    if audit.loss is not None:
        head += (
            f"; held-out loss {audit.loss:.4f} {audit.loss_unit} of {audit.measured:,}"
            f" {audit.thing}s"
        )
    parts: list[str | Text | Table] = [head, *run_verdicts(audit.groups)]
    for found in audit.groups:
        heading = Text(f"{found.grouping}: {found.samples.how}", "italic")
        parts += ["", heading, amplified_table(found), *lines_of(found), *more_tables(found)]
    for cells in audit.crossed:
        parts += ["", *crossed_run_lines(cells), crossed_run_table(cells)]
    for cut in audit.cut:
        parts += ["", cut_line(cut), cut_table(cut)]
    return printed(parts, audit.remarks)


def _by_data(row: Amplified) -> int:
    return -row.data.count


def difference_cells(change: Difference) -> list[str]:
    """A difference and its interval; of what is not known none."""
    if math.isnan(change.value):
        return ["-", ""]
    return [f"{change.value:+.1%}", f"{change.low:+.1%} to {change.high:+.1%}"]


def amplified_table(found: ModelGroups) -> Table:
    """Shares in data and samples, and what the model adds."""
    out = plain_table(
        "",
        "group",
        "training data",
        "samples",
        "95% interval",
        "samples - data",
        "95% interval",
        "placebo, 95%",
    )
    rows = sorted(found.amplified, key=_by_data)
    for row in rows[:SHOWN]:
        data = f"{row.data.share:.1%}" if row.data.total else "-"
        change = difference_cells(row.difference)
        out.add_row(
            Text(row.group),
            data,
            *share_cells(row.samples),
            *change,
            placebo_of(row.placebo_low, row.placebo_high),
        )
    if len(rows) > SHOWN:
        out.add_row(Text(f"{len(rows) - SHOWN} more"))
    return out


def placebo_of(low: float | None, high: float | None) -> str:
    """Where a difference lies with permuted labels, for a person."""
    if low is None or high is None:
        return "-"
    return f"{low:+.1%} to {high:+.1%}"


def lines_of(found: ModelGroups) -> list[str]:
    """What is said below the shares."""
    lines = []
    own = found.samples
    if own.silent or found.data.silent:
        in_data = found.data.silent / max(1, found.data.examples)
        in_samples = own.silent / max(1, own.examples)
        lines.append(
            f"{in_data:.1%} of the training data and {in_samples:.1%} of the samples say nothing"
            f" of {found.grouping}"
        )
    if found.apart is not None:
        lines.append(
            f"total variation between samples and data: {found.apart.value:.3f};"
            f" placebo (permuted labels) {found.apart.expected:.3f},"
            f" at most {found.apart.most:.3f}"
        )
    for name, distances in (("data", found.data.distances), ("samples", own.distances)):
        if distances is not None:
            lines.append(f"{name}: {distance_line('total variation', distances.tv)}")
            lines.append(f"{name}: {distance_line('KL divergence', distances.kl, ' nats')}")
    return lines


def crossed_run_lines(cells: CrossedRun) -> list[str]:
    """What is to be said of an intersection: what it is worth, and which combinations are empty."""
    lines = [
        f"{' and '.join(cells.names)}: {cells.how}. {cells.of_data:,} examples of the training data"
        f" and {cells.of_samples:,} samples have both; {cells.left_out:,} samples have not."
        " The intervals hold together, for all combinations"
    ]
    if cells.never_made:
        lines.append(f"in the data, and in no sample: {named_cells(cells.never_made)}")
    if cells.empty:
        lines.append(f"empty in both: {named_cells(cells.empty)}")
    return lines


def _by_change(cell: CrossedCell) -> float:
    change = cell.difference.value
    return 0.0 if math.isnan(change) else -abs(change)


def crossed_run_table(cells: CrossedRun) -> Table:
    """The combinations whose shares in data and samples differ most."""
    out = plain_table(
        "",
        "combination",
        "training data",
        "samples",
        "95% interval",
        "samples - data",
        "95% interval",
    )
    full = [cell for cell in cells.cells if cell.data.count or cell.samples.count]
    for cell in sorted(full, key=_by_change)[:SHOWN]:
        out.add_row(
            Text(" and ".join(cell.groups)),
            f"{cell.data.share:.1%}" if cell.data.total else "-",
            *share_cells(cell.samples),
            *difference_cells(cell.difference),
        )
    if len(full) > SHOWN:
        out.add_row(Text(f"{len(full) - SHOWN} more"))
    return out


def more_tables(found: ModelGroups) -> list[Table]:
    """Losses, coverage and conditions by group, where they were measured."""
    tables = []
    if found.losses:
        tables.append(_loss_table(found.losses))
    if found.quality:
        tables.append(_quality_table(found.quality))
    if found.asked:
        tables.append(_asked_table(found.asked))
    return tables


def _loss_table(losses: list[GroupLoss]) -> Table:
    out = plain_table("held-out loss by group", "group", "examples", "loss", "95%", "placebo, 95%")
    for row in losses[:SHOWN]:
        cells = ["too few", "", ""]
        if row.mean is not None:
            cells = [
                f"{row.mean:.4f}",
                f"{row.low:.4f} to {row.high:.4f}",
                f"{row.placebo_low:.4f} to {row.placebo_high:.4f}",
            ]
        out.add_row(Text(row.group), f"{row.examples:,}", *cells)
    return out


def _quality_table(quality: list[GroupQuality]) -> Table:
    title = f"samples beside real ones, {quality[0].equal} of each (in brackets: of any group)"
    out = plain_table(title, "group", *QUALITIES, "near copies")
    for row in quality:
        cells = [quality_cell(row, name) for name in QUALITIES]
        said, _, placebo = copies_cells(row)
        copies = f"{said} ({placebo})" if placebo else said
        out.add_row(Text(row.group), *cells, copies)
    return out


def quality_cell(row: GroupQuality, name: str) -> str:
    """A figure beside that of as many of any group."""
    value = getattr(row, name)
    by_chance = row.placebos.get(name)
    beside = "" if by_chance is None else f" ({_figure(name, by_chance)})"
    return f"{_figure(name, value)}{beside}"


def _figure(name: str, value: float) -> str:
    return f"{value:.2f}" if name == "density" else f"{value:.1%}"


def copies_cells(row: GroupQuality) -> list[str]:
    """The share of copies, its interval, and where that of as many samples of any group lies."""
    if row.copies is None:
        return ["-", "", ""]
    placebo = ""
    if row.copies_placebo_low is not None:
        placebo = f"{row.copies_placebo_low:.1%} to {row.copies_placebo_high:.1%}"
    return [
        f"{row.copies:.1%} of {row.samples:,}",
        f"{row.copies_low:.1%} to {row.copies_high:.1%}",
        placebo,
    ]


def _asked_table(asked: list[Asked]) -> Table:
    title = "asked for a group"
    out = plain_table(title, "group", "samples", "recognised as it", "95% interval")
    for row in asked:
        share = row.right / max(1, row.samples)
        out.add_row(
            Text(row.group), f"{row.samples}", f"{share:.1%}", f"{row.low:.1%} to {row.high:.1%}"
        )
    return out
