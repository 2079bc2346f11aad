"""What an audit found, as tables for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from genwright.audit.crossed import Cell, Crossed
from genwright.audit.cut import CutFound, CutGroup
from genwright.audit.distances import Distance
from genwright.audit.found import DataAudit, GroupsFound
from genwright.audit.verdict import data_verdicts
from genwright.evaluation.intervals import Share

WIDTH = 110
SHOWN = 24  # groups of a grouping that a terminal shows, the commonest first
EMPTY = 12  # empty cells that are named
RAREST = 3  # cells that are named


def data_text(audit: DataAudit) -> str:
    """An audit of data, printed."""
    parts: list[str | Text | Table] = [
        f"{audit.name}: {audit.data}. Audited: {audit.examples:,} {audit.thing}s of the"
        f" {audit.split.replace('_', '-')} split, in {audit.clusters:,} clusters.",
        *data_verdicts(audit.groups),
    ]
    for found in audit.groups:
        heading = Text(f"{found.grouping}: {found.how}", "italic")
        parts += ["", heading, groups_table(found), *lines_of(found)]
    for cells in audit.crossed:
        parts += ["", *crossed_lines(cells)]
    for cut in audit.cut:
        parts += ["", cut_line(cut), cut_table(cut)]
    return printed(parts, audit.remarks)


def printed(parts: Sequence[str | Text | Table], remarks: Sequence[str]) -> str:
    """Texts and tables for a terminal, with remarks below them."""
    console = Console(width=WIDTH)
    with console.capture() as captured:
        for part in parts:
            console.print(Text(part) if isinstance(part, str) else part)
        if remarks:
            console.print()
        for remark in remarks:
            console.print(Text(f"note: {remark}"))
    return captured.get().rstrip()


def plain_table(title: str, first: str, *columns: str) -> Table:
    """An empty table; its first column is text, the others are numbers. title: of few words, or
    none: a table is no wider for it."""
    out = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    out.add_column(first)
    for column in columns:
        out.add_column(column, justify="right")
    return out


def groups_table(found: GroupsFound) -> Table:
    """The shares of a grouping."""
    out = plain_table("", "group", found.counted, "share", "95% interval")
    if found.target is not None:
        out.add_column("target", justify="right")
    ordered = sorted(found.shares, key=_by_count)
    for share in ordered[:SHOWN]:
        cells: list[str | Text] = [Text(share.group), f"{share.count:,}", *share_cells(share)]
        if found.target is not None:
            cells.append(f"{found.target.get(share.group, 0.0):.1%}")
        out.add_row(*cells)
    if len(ordered) > SHOWN:
        rest = sum(share.count for share in ordered[SHOWN:])
        out.add_row(Text(f"{len(ordered) - SHOWN} more"), f"{rest:,}", "", "")
    return out


def _by_count(share: Share) -> int:
    return -share.count


def share_cells(share: Share) -> list[str]:
    """A share and its interval; of a group that is too small no rate."""
    if math.isnan(share.share):
        return ["not known", ""]
    if share.small:
        return ["too few", ""]
    return [f"{share.share:.1%}", f"{share.low:.1%} to {share.high:.1%}"]


def lines_of(found: GroupsFound) -> list[str]:
    """What is said below the shares."""
    total = sum(share.count for share in found.shares)
    if not total:
        return [f"none of {found.examples:,} examples says anything of {found.grouping}"]
    silent = ""
    if found.silent:
        silent = f"; {found.silent:,} of {found.examples:,} say nothing"
    lines = [
        f"{total:,} {found.counted} of {len(found.shares)} groups, as different as"
        f" {_effective(found.shannon)} (Shannon) or {_effective(found.simpson)} (Simpson) equal"
        f" ones{silent}"
    ]
    if found.distances is not None:
        lines.append(distance_line("total variation", found.distances.tv))
        lines.append(distance_line("KL divergence", found.distances.kl, " nats"))
    return lines


def _effective(number: float) -> str:
    return f"{number:.2f}" if math.isfinite(number) else "not known"


def distance_line(name: str, distance: Distance, unit: str = "") -> str:
    """A distance to the target, beside what chance makes of a sample of this size."""
    if math.isinf(distance.value):
        return f"{name} to the target: infinite, for there are groups that should not be"
    interval = f" [{distance.low:.3f}, {distance.high:.3f}]"
    if math.isnan(distance.low):
        interval = ""
    return (
        f"{name} to the target: {distance.value:.3f}{unit}{interval};"
        f" chance alone gives {distance.expected:.3f} at this size, at most {distance.most:.3f}"
    )


def crossed_lines(cells: Crossed) -> list[str]:
    """What is to be said of an intersection: its rarest cells, and those that are empty."""
    names = " and ".join(cells.names)
    full = [cell for cell in cells.cells if cell.share.count]
    lines = [
        f"{names}: {len(full)} of {len(cells.cells)} combinations in {cells.examples:,} examples"
        f" that have both; {cells.left_out:,} have not"
    ]
    for cell in sorted(full, key=_count_in)[:RAREST]:
        said = " (too few)" if cell.share.small else f" ({cell.share.share:.1%})"
        lines.append(f"  fewest: {' and '.join(cell.groups)}: {cell.share.count:,}{said}")
    if cells.empty:
        lines.append(f"  empty: {named_cells(cells.empty)}")
    return lines


def named_cells(cells: Sequence[tuple[str, ...]]) -> str:
    """Combinations of groups in words, the first ones by name."""
    named = "; ".join(" and ".join(groups) for groups in cells[:EMPTY])
    if len(cells) > EMPTY:
        named += f"; and {len(cells) - EMPTY} more"
    return named


CUT_HEADS = ("group", "examples", "longer", "95% interval", "others", "times as often", "beyond")


def cut_line(found: CutFound) -> str:
    """What a window cuts off, in a sentence."""
    if found.left_out:
        return (
            f"{found.every.count:,} of {found.every.total:,} prompts that documents give to"
            f" rollouts are longer than {found.setting} = {found.limit:,} tokens and are left"
            f" out, by {found.grouping}"
        )
    return (
        f"{found.every.count:,} of {found.every.total:,} examples of the {found.of} are longer than"
        f" a window ({found.setting} = {found.limit:,} tokens), by {found.grouping}; beyond: the"
        " share of a group's tokens behind its first window, which no audit measures"
    )


def cut_cells(row: CutGroup) -> list[str]:
    """A group, as `CUT_HEADS` says."""
    times = "-"
    if row.ratio is not None and math.isfinite(row.ratio.value):
        high = "more" if math.isinf(row.ratio.high) else f"{row.ratio.high:.2f}"
        times = f"{row.ratio.value:.2f} ({row.ratio.low:.2f} to {high})"
    others = share_cells(row.others)[0] if row.others.total else "-"
    return [
        row.group,
        f"{row.longer.total:,}",
        *share_cells(row.longer),
        others,
        times,
        "-" if math.isnan(row.beyond) else f"{row.beyond:.1%}",
    ]


def cut_table(found: CutFound) -> Table:
    """Which groups a window cuts, the largest groups first."""
    out = plain_table("", *CUT_HEADS)
    rows = sorted(found.groups, key=_examples_of)
    for row in rows[:SHOWN]:
        group, *cells = cut_cells(row)
        out.add_row(Text(group), *cells)
    if len(rows) > SHOWN:
        out.add_row(Text(f"{len(rows) - SHOWN} more"))
    return out


def _examples_of(row: CutGroup) -> int:
    return -row.longer.total


def _count_in(cell: Cell) -> int:
    return cell.share.count
