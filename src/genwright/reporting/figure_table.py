"""The table of a report: every figure beside its floors and ceilings, runs side by side."""

from collections.abc import Mapping, Sequence

from genwright.evaluation.figure import ARROWS, Figure, marks, noted, shown, unit_beside
from genwright.evaluation.telling import tells_nothing
from genwright.reporting.fragments import chip, sentence_case, soft
from genwright.reporting.markup import Markup, Templates, joined
from genwright.reporting.page import RunData
from genwright.reporting.svg import scale

WAY = {"lower": "lower is better", "higher": "higher is better", "near": "like real data is best"}
# near what real data reaches, which is not known
UNDECIDED = "neither up nor down is better by itself"
HTML = Templates("genwright.reporting", "figure_table.html")


def figure_table(runs: Sequence[RunData], is_part: bool = False) -> Markup:
    """The figures of some runs; "" where none has any. is_part: of a section."""
    tables = []
    names: dict[tuple[str, str], None] = {}
    undecided: dict[tuple[str, str], None] = {}
    for run in runs:
        table = {(figure.name, figure.unit): figure for figure in run.figures}
        tables.append(table)
        for name, figure in table.items():
            last = figure.direction == "near" and not figure.ceilings
            (undecided if last else names)[name] = None
    names.update(undecided)  # last: of these nobody can say how good they are
    if not names:
        return Markup()
    every = [figure for table in tables for figure in table.values()]
    texts, notes = noted([figure.detail for figure in every])
    how = {figure.detail: text for figure, text in zip(every, texts, strict=True)}
    lines = []
    for name in names:
        lines.append(_line([table.get(name) for table in tables], how))
    chips = []
    if len(runs) > 1:
        chips = [chip(index, run) for index, run in enumerate(runs)]
    return HTML.figures(_checkpoints(runs), chips, joined(lines), is_part, notes)


def _checkpoints(runs: Sequence[RunData]) -> Markup:
    """Which checkpoints the figures are of."""
    texts = []
    for run in runs:
        if run.measured_at and len(runs) > 1:
            texts.append(f"{run.name} at {run.measured_at}")
        elif run.measured_at:
            texts.append(f"At {run.measured_at}")
    if not texts:
        return Markup()
    return soft(f"{'; '.join(texts)}.")


def _line(figures: Sequence[Figure | None], how: Mapping[str, str]) -> Markup:
    """One figure of all runs; None: not measured. how: detail -> the same with notes."""
    measured = [figure for figure in figures if figure]
    first = measured[0]
    measured_alike = len({figure.detail for figure in measured}) == 1
    way = WAY[first.direction]
    if first.direction == "near" and not first.ceilings:
        way = UNDECIDED
    about = f"{ARROWS[first.direction]} {way}"
    if measured_alike and first.detail:
        about += f"; {how[first.detail]}"
    cells = []
    for colour, figure in enumerate(figures):
        if figure is None:
            cells.append(HTML.not_measured())
        else:
            cells.append(_cells(figure, colour, "" if measured_alike else how[figure.detail]))
    return HTML.line(first.name, about, joined(cells))


def _cells(figure: Figure, colour: int, detail: str) -> Markup:
    """The value, and what stands beside it. detail: how it was measured; of runs that were measured
    differently, each under its own value."""
    beside = []
    for kind, values in (("floors", figure.floors), ("ceilings", figure.ceilings)):
        if values:
            beside.append((kind, marks(values, figure.unit)))
    return HTML.cells(
        value=shown(figure.value, figure.unit),
        unit=unit_beside(figure.unit),
        count=f"on {figure.count:,} {figure.counted}",
        scale=_scale(figure, colour),
        beside=beside,
        reason=sentence_case(tells_nothing(figure) or ""),
        detail=detail,
    )


def _scale(figure: Figure, colour: int) -> Markup:
    """A value among its floors and ceilings; "" where neither up nor down is better, for better is
    on the right."""
    if figure.direction == "near" and not figure.ceilings:
        return Markup()
    return scale(figure.value, figure.floors, figure.ceilings, colour, _falls(figure))


def _falls(figure: Figure) -> bool:
    """Whether better is less: then its scale has the least on the right."""
    if figure.direction == "near" and figure.ceilings and figure.floors:
        return min(figure.ceilings.values()) < min(figure.floors.values())
    return figure.direction == "lower"
