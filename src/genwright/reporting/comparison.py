"""What a report of several runs begins with: the figures that lead side by side, the better of each
row marked, and the settings in which the runs differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.evaluation.figure import ARROWS, Figure, shown, unit_beside
from genwright.evaluation.telling import tells_nothing
from genwright.recipe.yaml_text import read_yaml
from genwright.reporting.fragments import chip, soft
from genwright.reporting.head import facts, leading
from genwright.reporting.markup import Markup, Templates
from genwright.reporting.page import RunData, plain
from genwright.reporting.provenance import differences

HTML = Templates("genwright.reporting", "comparison.html")
OPEN = 12  # settings that stand open
UNSET = "-"
MARKED = (
    "Better values are marked. Each is of one run: another seed would move it, so a small"
    " difference may be chance."
)
UNMARKED = "No value is marked as better, for the figures cannot be compared directly."


def comparison(runs: Sequence[RunData]) -> Markup:
    """The first part of a page about several runs; "" for one."""
    if len(runs) < 2:
        return Markup()
    comparable = not differences(runs)
    lines = []
    for name, unit in _names(runs):
        figures = [_figure(run, name, unit) for run in runs]
        lines.append(_figure_line(figures, comparable))
    of_runs = [facts(run) for run in runs]
    for name in dict.fromkeys(name for found in of_runs for name in found):
        lines.append(HTML.line(name, "", [(found.get(name, UNSET), False) for found in of_runs]))
    settings = [HTML.line(name, "", cells) for name, cells in settings_that_differ(runs)]
    return HTML.comparison(
        heads=[chip(index, run) for index, run in enumerate(runs)],
        note=soft(MARKED if comparable else UNMARKED),
        lines=lines,
        settings=settings[:OPEN],
        more=settings[OPEN:],
    )


def _names(runs: Sequence[RunData]) -> list[tuple[str, str]]:
    """(name, unit) of the figures that lead any run."""
    names: dict[tuple[str, str], None] = {}
    for run in runs:
        for figure in leading(run.figures):
            names[figure.name, figure.unit] = None
    return list(names)


def _figure(run: RunData, name: str, unit: str) -> Figure | None:
    for figure in run.figures:
        if (figure.name, figure.unit) == (name, unit):
            return figure
    return None


def _figure_line(figures: Sequence[Figure | None], comparable: bool) -> Markup:
    """A figure of all runs. comparable: whether one may be better than another."""
    best = better(figures) if comparable else []
    cells = []
    for index, figure in enumerate(figures):
        text = shown(figure.value, figure.unit) if figure else "not measured"
        cells.append((text, index in best))
    first = next(figure for figure in figures if figure)
    about = f"{ARROWS[first.direction]} {unit_beside(first.unit)}".strip()
    return HTML.line(first.name, about, cells)


def better(figures: Sequence[Figure | None]) -> list[int]:
    """The places of the best value of one figure. None where it is not known what is better, where
    a figure says nothing, and where no two values differ as they are printed.

    Values that are best near real data are compared by how far they are from their first
    ceiling."""
    known = {}
    for index, figure in enumerate(figures):
        if figure is None or not math.isfinite(figure.value):
            continue
        if tells_nothing(figure) or (figure.direction == "near" and not figure.ceilings):
            return []
        known[index] = figure
    if len({shown(figure.value, figure.unit) for figure in known.values()}) < 2:
        return []
    worse = {index: _short_of(figure) for index, figure in known.items()}
    least = min(worse.values())
    printed = {shown(known[i].value, known[i].unit) for i in known if worse[i] == least}
    return [i for i in known if shown(known[i].value, known[i].unit) in printed]


def _short_of(figure: Figure) -> float:
    """How far a value is from what is wanted; only the order counts."""
    if figure.direction == "lower":
        return figure.value
    if figure.direction == "higher":
        return -figure.value
    return abs(figure.value - next(iter(figure.ceilings.values())))


def settings_that_differ(runs: Sequence[RunData]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """The dotted name of each setting in which recipes differ -> its text in each, "-" where a
    recipe has none of that name."""
    flat = [_flat(run.recipe) for run in runs]
    found = []
    for name in dict.fromkeys(name for settings in flat for name in settings):
        if name == "description":
            continue
        texts = [settings.get(name, UNSET) for settings in flat]
        if len(set(texts)) > 1:
            found.append((name, [(text, False) for text in texts]))
    return found


def _flat(recipe: str) -> dict[str, str]:
    """A resolved recipe as dotted names and texts; nothing of one that cannot be read."""
    try:
        values: Mapping[str, Any] = read_yaml(recipe, "recipe.yaml") if recipe else {}
    except GenwrightError:
        return {}
    return dict(_dotted(values, ""))


def _dotted(values: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    found = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            found += _dotted(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", UNSET if value is None else plain(value)))
    return found
