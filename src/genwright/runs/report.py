"""The data of a report: what a page says of runs, from what lies in their folders."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.core.registry import kinds
from genwright.evaluation.group_shares import grouping_name, is_share, share_name
from genwright.recipe.schema import Recipe
from genwright.reporting.lead import Lead
from genwright.reporting.page import RunData
from genwright.reporting.provenance import (
    data_facts,
    differences,
    own_description,
    run_names,
    trained_on,
)
from genwright.reporting.report import write_report
from genwright.runs.checkpoint_figures import Evaluation, latest
from genwright.runs.content import averaged_words, kind_of
from genwright.runs.evaluate import evaluate
from genwright.runs.trained import TrainedRun

log = logging.getLogger(__name__)


def write(runs: Sequence[TrainedRun], path: Path) -> Path:
    """The report of runs; what was not evaluated yet is, first. Raises GenwrightError."""
    path = _page_at(path)
    names = run_names([run.folder for run in runs])
    data = []
    for run, name in zip(runs, names, strict=True):
        evaluation = latest(run) or evaluate(run, kind_of(run).evaluate_options())
        data.append(run_data(run, name, evaluation))
    for text in differences(data):
        log.warning(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_report(data, path)


def _page_at(path: Path) -> Path:
    """Where a page can be written: a new file, a regular one that it replaces, or what a link leads
    to. Raises GenwrightError."""
    place = path.resolve() if path.is_symlink() else path
    if not place.name or (place.exists() and not place.is_file()):
        raise GenwrightError(
            f"{path} cannot be written: it is no regular file", "choose another place with --output"
        )
    return place


def lead_of(run: TrainedRun) -> Lead:
    """What stands first on the page of a run that learned from a stream of its kind (family
    "page"); nothing of one that learned its data."""
    make = kinds("page").get(run.recipe.objective.streams)
    if make is None:
        return Lead()
    found: Lead = make(run)
    return found


def _with_bands(lead: Lead, recipe: Recipe) -> Lead:
    """With the bands of groups as lines in the curves of their shares."""
    beside = dict(lead.beside)
    for key, bands in recipe.watching.groups.items():
        for group, (low, high) in bands.items():
            name = share_name(group, grouping_name(key))
            beside[name] = {"band, from": low, "band, to": high}
    return replace(lead, beside=beside)


def _shares_watched(records: Sequence[Mapping[str, Any]], recipe: Recipe) -> dict[str, str]:
    """Metric of a group's share -> of how many samples it is, in words."""
    of = f"{recipe.watching.samples:,} samples{averaged_words(recipe)}"
    found = {}
    for record in records:
        for name in record.get("held_out", {}):
            if is_share(name):
                found[name] = of
    return found


def run_data(run: TrainedRun, name: str, evaluation: Evaluation) -> RunData:
    """What the report says of a run, under this name."""
    recipe = run.recipe
    kind = kind_of(run)
    records = run.records
    environment = dict(run.environment)
    data = environment.pop("data", {})
    summary = data.get("summary", {})
    weights = f"{evaluation.weights} weights"
    modules = run.objective.modules.values()
    parameters = sum(p.numel() for module in modules for p in module.parameters())
    sizes: dict[str, Any] = {
        "parameters": parameters,
        "checkpoint": f"step {evaluation.step}, {weights}",
        **kind.sizes(run),
    }
    last = max((record["step"] for record in records), default=0)
    steps = recipe.training.steps
    status = "finished" if last >= steps else f"stopped at step {last} of {steps}"
    if evaluation.step < last:
        status += f", shown as of step {evaluation.step}"
    first = _with_bands(lead_of(run), recipe)
    return RunData(
        name=name,
        trained_on=trained_on(recipe, summary, kind.thing),
        recipe_name=recipe.name,
        description=own_description(recipe, environment.get("overrides", {})),
        recipe=recipe.dump(),
        records=records,
        figures=[*first.figures, *evaluation.figures],
        measured_at=f"step {evaluation.step:,}, {weights}",
        watched=_shares_watched(records, recipe) | kind.watched_on(recipe, summary),
        sections=kind.sections(run, evaluation),
        data=data_facts(recipe, data),
        sizes=sizes,
        environment=environment,
        status=status,
        lead=first,
    )
