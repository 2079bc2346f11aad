"""The table of a report: every figure beside its floors and ceilings, runs side by side."""

from collections.abc import Sequence
from html import escape

from genwright.evaluation.figure import ARROWS, Figure, marks, shown
from genwright.evaluation.telling import tells_nothing
from genwright.reporting.fragments import chip, sentence_case, soft
from genwright.reporting.page import RunData
from genwright.reporting.svg import scale

WAY = {"lower": "lower is better", "higher": "higher is better", "near": "like real data is best"}
# near what real data reaches, which is not known
UNDECIDED = "neither up nor down is better by itself"
NOTE = soft(
    'Beside each value: <span class="floors">floors</span>, what needs no learning reaches, and '
    '<span class="ceilings">ceilings</span>, what real data reaches.'
)


def figure_table(runs: Sequence[RunData]) -> str:
    """The figures of some runs, as HTML; "" where none has any."""
    tables = []
    names: dict[tuple[str, str], None] = {}
    for run in runs:
        table = {(figure.name, figure.unit): figure for figure in run.figures}
        tables.append(table)
        names.update(dict.fromkeys(table))
    if not names:
        return ""
    lines = []
    for name in names:
        lines.append(_line([table.get(name) for table in tables]))
    head = f"<tr><th>measure</th>{_heads(runs)}</tr>"
    table_of_all = f'<div class="card"><table>{head}{"".join(lines)}</table></div>'
    return f"<h2>Figures</h2>{NOTE}{_checkpoints(runs)}{table_of_all}"


def _heads(runs: Sequence[RunData]) -> str:
    if len(runs) == 1:
        return "<th>value</th><th></th>"
    return "".join(f'<th colspan="2">{chip(i, run)}</th>' for i, run in enumerate(runs))


def _checkpoints(runs: Sequence[RunData]) -> str:
    """Which checkpoints the figures are of."""
    texts = []
    for run in runs:
        if run.measured_at and len(runs) > 1:
            texts.append(f"{run.name} at {run.measured_at}")
        elif run.measured_at:
            texts.append(f"At {run.measured_at}")
    if not texts:
        return ""
    return soft(f"{escape('; '.join(texts))}.")


def _line(figures: Sequence[Figure | None]) -> str:
    """One figure of all runs; None: not measured."""
    measured = [figure for figure in figures if figure]
    first = measured[0]
    measured_alike = len({figure.detail for figure in measured}) == 1
    way = WAY[first.direction]
    if first.direction == "near" and not first.ceilings:
        way = UNDECIDED
    about = f"{ARROWS[first.direction]} {way}"
    if measured_alike and first.detail:
        about += f"; {first.detail}"
    cells = ""
    for colour, figure in enumerate(figures):
        if figure is None:
            cells += '<td class="soft" colspan="2">not measured</td>'
        else:
            cells += _cells(figure, colour, "" if measured_alike else figure.detail)
    return f"<tr><td>{escape(first.name)}<small>{escape(about)}</small></td>{cells}</tr>"


def _cells(figure: Figure, colour: int, detail: str) -> str:
    """The value, and what stands beside it. detail: how it was measured; of runs that were measured
    differently, each under its own value."""
    count = f"<small>on {figure.count:,} {escape(figure.counted)}</small>"
    number = f"<b>{shown(figure.value, figure.unit)}</b> {escape(figure.unit)}{count}"
    beside = scale(figure.value, figure.floors, figure.ceilings, colour, _falls(figure))
    for kind, values in (("floors", figure.floors), ("ceilings", figure.ceilings)):
        if values:
            beside += f'<small class="{kind}">{escape(marks(values, figure.unit))}</small>'
    reason = tells_nothing(figure)
    if reason:
        beside += f"<small><b>{escape(sentence_case(reason))}.</b></small>"
    if detail:
        beside += f"<small><details><summary>how</summary>{escape(detail)}</details></small>"
    return f'<td class="value">{number}</td><td>{beside}</td>'


def _falls(figure: Figure) -> bool:
    """Whether better is less: then its scale has the least on the right."""
    if figure.direction == "near" and figure.ceilings and figure.floors:
        return min(figure.ceilings.values()) < min(figure.floors.values())
    return figure.direction == "lower"
