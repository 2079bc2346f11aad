"""The page of an audit: bars with intervals beside data and target, intersections, examples of each
group. One self-contained file, every text escaped; a CSV file of the shares stands beside it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from genwright.audit.chart import Bars, bars_chart
from genwright.audit.crossed import BETWEEN, Crossed
from genwright.audit.evenly import asked_in_words
from genwright.audit.found import DataAudit, GroupsFound
from genwright.audit.kept import set_aside
from genwright.audit.page_run import crossed_section, cut_section, model_section
from genwright.audit.run import RunAudit
from genwright.audit.shown import Shown
from genwright.audit.table import lines_of
from genwright.audit.verdict import data_verdicts, run_verdicts
from genwright.core.errors import GenwrightError
from genwright.core.files import write_whole
from genwright.data.own_output import COLUMNS, SHARES
from genwright.evaluation.intervals import Share
from genwright.reporting import page
from genwright.reporting.fragments import (
    alarms,
    lead_text,
    sentence_case,
    soft,
    tile,
    tiles,
)
from genwright.reporting.markup import Markup, Templates, joined

HTML = Templates("genwright.audit", "page.html")
DRAWN = 30  # groups of a chart, the commonest ones


def data_page(audit: DataAudit, shown: Sequence[Shown], path: Path) -> Path:
    """Writes the page of an audit of data. Raises GenwrightError where that cannot be written."""
    names = ", ".join(each.grouping for each in audit.groups)
    parts = [
        HTML.head(f"Groups in the data of {audit.name}", f"{sentence_case(audit.data)}."),
        *map(lead_text, data_verdicts(audit.groups)),
        _tiles(
            (f"{audit.examples:,}", f"{audit.thing}s audited", f"{audit.split.replace('_', '-')}"),
            (f"{audit.clusters:,}", "clusters", "whose members are not independent"),
            (f"{len(audit.groups)}", "groupings", names),
        ),
        alarms(audit.remarks),
    ]
    parts += [_section(found, shown) for found in audit.groups]
    for cells, associated in zip(audit.crossed, audit.associated, strict=True):
        parts.append(_crossed(cells, associated))
    parts += [cut_section(cut) for cut in audit.cut]
    rows = csv_rows(audit.groups)
    for cells in audit.crossed:
        name = BETWEEN.join(cells.names)
        for cell in cells.cells:
            own = BETWEEN.join(cell.groups)
            rows.append(_row(name, audit.groups[0].of, own, cell.share, ""))
    return _written(path, f"groups of {audit.name}", parts, rows)


def run_page(
    audit: RunAudit, shown: Sequence[Shown], path: Path, more: Markup | None = None
) -> Path:
    """Writes the page of an audit of a run. more: stands below it. Raises GenwrightError where that
    cannot be written."""
    loss = ("-", "held-out loss", "not measured")
    if audit.loss is not None:
        of = f"{audit.loss_unit}, {audit.measured:,} {audit.thing}s"
        loss = (f"{audit.loss:.4f}", "held-out loss", of)
    names = ", ".join(each.grouping for each in audit.groups)
    parts = [
        HTML.head(
            f"Groups that {audit.run} makes",
            f"{audit.samples:,} samples of step {audit.step:,} ({audit.weights}"
            f" weights, seed {audit.seed}) that were {asked_in_words(audit.evenly)}, beside the"
            " training data."
            " Samples are judged by what they are, never by what was asked for.",
        ),
        *map(lead_text, run_verdicts(audit.groups)),
        _tiles(
            (f"{audit.samples:,}", "samples", f"seed {audit.seed}"),
            loss,
            (f"{len(audit.groups)}", "groupings", names),
        ),
        alarms(audit.remarks),
    ]
    for found in audit.groups:
        order = ordered(found.data.shares)
        several = [bars_of(found.data, 0), bars_of(found.samples, 1)]
        target = found.samples.target or found.data.target
        chart = bars_chart(order[:DRAWN], several, target)
        parts.append(HTML.grouping(found.grouping, found.samples.how, chart))
        parts.append(model_section(found))
        parts.append(examples(found.grouping, shown))
    parts += [crossed_section(cells) for cells in audit.crossed]
    parts += [cut_section(cut) for cut in audit.cut]
    if more is not None:
        parts.append(more)
    every: list[GroupsFound] = []
    for found in audit.groups:
        every += [found.data, found.samples]
    rows = csv_rows(every)
    for both in audit.crossed:
        name = BETWEEN.join(both.names)
        for cell in both.cells:
            own = BETWEEN.join(cell.groups)
            rows.append(_row(name, "training data", own, cell.data, ""))
            rows.append(_row(name, "samples", own, cell.samples, ""))
    return _written(path, f"groups of {audit.run}", parts, rows)


def _tiles(*of: tuple[str, str, str]) -> Markup:
    return tiles(tile(*each) for each in of)


def _section(found: GroupsFound, shown: Sequence[Shown]) -> Markup:
    order = ordered(found.shares)
    chart = bars_chart(order[:DRAWN], [bars_of(found, 0)], found.target)
    parts = [HTML.grouping(found.grouping, found.how, chart)]
    if len(order) > DRAWN:
        parts.append(soft(f"and {len(order) - DRAWN:,} more groups, in the CSV file"))
    parts += [soft(line) for line in lines_of(found)]
    parts.append(examples(found.grouping, shown))
    return joined(parts)


def ordered(shares: Iterable[Share]) -> list[str]:
    """Groups, the commonest first."""
    return [share.group for share in sorted(shares, key=_count, reverse=True)]


def _count(share: Share) -> int:
    return share.count


def bars_of(found: GroupsFound, colour: int) -> Bars:
    """The shares of a set, as bars."""
    return Bars(found.of, {share.group: share for share in found.shares}, colour)


def examples(grouping: str, shown: Sequence[Shown]) -> Markup:
    """Some examples of each group of a grouping."""
    found = [each for each in shown if each.grouping == grouping]
    if not found:
        return Markup()
    return HTML.examples(found)


def _crossed(cells: Crossed, associated: Sequence[Sequence[float]]) -> Markup:
    """An intersection as a table: counts, empty cells marked, association in each."""
    first = list(dict.fromkeys(cell.groups[0] for cell in cells.cells))
    second = list(dict.fromkeys(cell.groups[1] for cell in cells.cells))
    by_groups = {cell.groups: cell.share for cell in cells.cells}
    rows = []
    for row, one in enumerate(first):
        row_cells = []
        for column, other in enumerate(second):
            row_cells.append(_cell(by_groups[one, other], associated[row][column]))
        rows.append((one, row_cells))
    note = (
        f"{cells.examples:,} examples have one group of each. Intervals hold together, for all"
        " cells. The small number is the normalised pointwise mutual information: 0 where the two"
        " have nothing to do with each other, 1 where one never stands without the other, below 0"
        " where they avoid each other."
    )
    return HTML.crossed(" and ".join(cells.names), note, second, rows)


def _cell(share: Share, associated: float) -> Markup:
    if not share.count:
        return HTML.empty_cell()
    title = f"{share.share:.1%} [{share.low:.1%}, {share.high:.1%}]"
    small = "too few" if share.small else f"{share.share:.1%}"
    if not math.isnan(associated):
        small += f", {round(associated, 2) + 0.0:+.2f}"  # no -0.00
    return HTML.cell(title, f"{share.count:,}", small)


def check_page(path: Path) -> None:
    """Raises GenwrightError for a page whose name is of another kind of file."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise GenwrightError(
            f"{path} is to hold a page of HTML", "give --output a name that ends in .html"
        )


def _written(
    path: Path, title: str, parts: Sequence[Markup], rows: Sequence[Sequence[str]]
) -> Path:
    table = table_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        set_aside(path, [table_of])
        write_whole(table, csv_of(rows))
    except OSError as problem:
        raise GenwrightError(
            f"{table} cannot be written ({problem.strerror})", "choose another place with --output"
        ) from problem
    return page.write(path, title, joined([part for part in parts if part], "\n"))


def table_of(page_path: Path) -> Path:
    """Where the shares of a page lie: never in a list of words that has the page's name."""
    return page_path.with_name(f"{page_path.stem}{SHARES}")


def csv_rows(found: Sequence[GroupsFound]) -> list[list[str]]:
    """All shares of groups, as lines of `COLUMNS`."""
    rows = []
    for each in found:
        for share in each.shares:
            target = "" if each.target is None else f"{each.target.get(share.group, 0.0):.6f}"
            rows.append(_row(each.grouping, each.of, share.group, share, target))
    return rows


def _row(grouping: str, of: str, group: str, share: Share, target: str) -> list[str]:
    rate = ["", "", ""]
    if not share.small and share.total:
        rate = [f"{value:.6f}" for value in (share.share, share.low, share.high)]
    note = "too few" if share.small else ""
    return [grouping, of, group, str(share.count), str(share.total), *rate, target, note]


def csv_of(rows: Iterable[Sequence[str]]) -> str:
    """Lines as CSV, below their heading."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return out.getvalue()
