"""Figures for the terminal: every number beside its floor and ceiling, its unit and its count."""

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from genwright.evaluation.figure import Figure, shown

ARROWS = {"lower": "↓", "higher": "↑", "near": "≈"}


def marks(values: Mapping[str, float], unit: str) -> str:
    """{"unigram": 5.1, "bigram": 3.9} -> "unigram 5.1, bigram 3.9"."""
    return ", ".join(f"{name} {shown(value, unit)}" for name, value in values.items()) or "-"


def table(figures: Sequence[Figure], title: str = "") -> Table:
    """A rich table of figures. Names are shown as they are, never read as markup."""
    out = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("measure", "", "value", "unit", "floor", "ceiling", "on"):
        out.add_column(column, justify="right" if column == "value" else "left", no_wrap=column in ("", "value"))
    for f in figures:
        cells = (
            f.name, ARROWS[f.direction], shown(f.value, f.unit), f.unit, marks(f.floors, f.unit), marks(f.ceilings, f.unit),
            f"{f.count:,} {f.counted}",
        )  # fmt: skip
        out.add_row(*(Text(cell, "bold" if i == 2 else "") for i, cell in enumerate(cells)))
    return out


def details(figures: Sequence[Figure]) -> str:
    """How the figures were measured: a line for each way, after the names of those that it is of."""
    names: dict[str, list[str]] = {}
    for f in figures:
        if f.detail:
            names.setdefault(f.detail, []).append(f.name)
    return "\n".join(f"{', '.join(its)}: {detail}" for detail, its in names.items())
