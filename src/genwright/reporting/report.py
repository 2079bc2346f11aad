"""report.html: what was trained, on what, and how good it is, for a person who never saw the
terminal. One run, or several compared.

One self-contained file: inline SVG, no script (its Content-Security-Policy forbids them), every
text from a run escaped by its templates (`markup`).
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from genwright.core.content import Section
from genwright.core.errors import GenwrightError
from genwright.reporting import page
from genwright.reporting.comparison import comparison
from genwright.reporting.curves import curves
from genwright.reporting.figure_table import figure_table
from genwright.reporting.fragments import alarms, chapter, chip, headed, recipe_of, table_of
from genwright.reporting.head import head
from genwright.reporting.markup import Markup, joined, trusted
from genwright.reporting.page import RunData
from genwright.reporting.provenance import differences

TITLE = Markup("<h1>{}</h1>")


def write_report(runs: Sequence[RunData], path: str | Path) -> Path:
    """Writes one HTML file about one run, or several compared. Raises GenwrightError without runs
    or where it cannot be written."""
    if not runs:
        raise GenwrightError("a report needs a run", "name at least one run's folder")
    title = _title([run.name for run in runs])
    return page.write(Path(path), title, _body(runs, title))


def _title(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _body(runs: Sequence[RunData], title: str) -> Markup:
    # what stands before each run's part of a section
    chips = [Markup()]
    if len(runs) > 1:
        chips = [chapter(chip(i, run)) for i, run in enumerate(runs)]
    parts = [TITLE.format(title), alarms(differences(runs)), comparison(runs)]
    for name, run in zip(chips, runs, strict=True):
        parts.append(name + head(run))
    parts += _sections([run.lead.sections for run in runs], chips)
    parts += _sections([_at_a_glance(run, True) for run in runs], chips)
    parts.append(curves(runs))
    parts.append(figure_table(runs))
    parts += _sections([_at_a_glance(run, False) for run in runs], chips)
    makers: dict[str, Callable[[RunData], Markup]] = {
        "Data": _data,
        "Speed": _speed,
        "Recipe": _recipe,
        "Environment": _environment,
    }
    for heading, make in makers.items():
        parts.append(headed(heading, Markup(), [make(run) for run in runs], chips))
    return joined([part for part in parts if part], "\n")


def _at_a_glance(run: RunData, wanted: bool) -> list[Section]:
    """The sections of what was sampled that stand before the curves, or those behind."""
    return [section for section in run.sections if section.at_a_glance == wanted]


def _sections(of_runs: Sequence[Sequence[Section]], chips: Sequence[Markup]) -> list[Markup]:
    """Sections of runs, those of one heading together."""
    notes: dict[str, Markup] = {}
    found: dict[str, list[Markup]] = {}
    for index, sections in enumerate(of_runs):
        for section in sections:
            notes.setdefault(section.heading, trusted(section.note))
            own = found.setdefault(section.heading, [Markup()] * len(of_runs))
            own[index] += trusted(section.html)
    return [headed(heading, notes[heading], own, chips) for heading, own in found.items()]


def _data(run: RunData) -> Markup:
    return table_of({**run.data, "model": run.sizes})


def _environment(run: RunData) -> Markup:
    return table_of(run.environment)


def _speed(run: RunData) -> Markup:
    """Medians leave out the first tenth of the steps, which compiles and warms up."""
    steps = []
    for record in run.records:
        if "held_out" not in record and record.get("seconds"):
            steps.append(record)
    if not steps:
        return Markup()
    steady = steps[len(steps) // 10 :]
    seconds = statistics.median(record["seconds"] for record in steady)
    values: dict[str, Any] = {
        "steps": len(steps),
        "training": timedelta(seconds=round(sum(record["seconds"] for record in steps))),
        "a step, median": f"{seconds:.1f} s" if seconds >= 10 else f"{seconds * 1e3:,.4g} ms",
    }
    speeds: dict[str, list[float]] = {}
    for record in steady:
        for name, value in record.items():
            if name.endswith("_per_second"):
                found = speeds.setdefault(name.removesuffix("_per_second"), [])
                if value:
                    found.append(value)
    for unit, found in speeds.items():
        values[f"{unit} a second, median"] = round(statistics.median(found))
    for part, share in _shares(steady).items():
        values[f"{part}, of a step"] = f"{share:.0%}"
    memory = [record["memory_mb"] for record in steps if record.get("memory_mb")]
    if memory:
        values["memory at most"] = f"{max(memory):,.0f} MB"
    return table_of(values)


def _shares(steps: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The share of the time that parts of a step took, of those that records name NAME_seconds."""
    every: dict[str, list[float]] = {}
    for record in steps:
        for name, seconds in record.items():
            if name.endswith("_seconds"):
                every.setdefault(name.removesuffix("_seconds"), []).append(seconds)
    total = sum(record["seconds"] for record in steps)
    return {part: sum(found) / total for part, found in every.items()}


def _recipe(run: RunData) -> Markup:
    if not run.recipe:
        return Markup()
    return recipe_of(run.recipe, "the resolved recipe; it runs again to the same losses")
