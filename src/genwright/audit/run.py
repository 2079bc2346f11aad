"""Audit of a model: which groups it makes, which it finds likely, beside those of its data.

1. The groups of its training data, and of samples that were asked for nothing. A group that only
   the data say is recognised by a judge, and its counts are corrected (`corrected`).
2. Amplification: a group's share in samples minus its share in the data.
3. By group: the loss on held-out examples, how well samples cover real ones, how many are copies.
4. Where the model follows conditions, what it makes when asked for each group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from genwright.audit.by_group import GroupLoss, GroupQuality
from genwright.audit.conditions import Asked, asked_for
from genwright.audit.data import found_in
from genwright.audit.drawn import drawn_samples
from genwright.audit.found import GroupsFound, changed_in_training, groups_found, plain, remarks_on
from genwright.audit.groups import (
    Grouping,
    Labelled,
    counted,
    groupings,
    labelled,
)
from genwright.audit.judged import Judged, judged_samples
from genwright.audit.measured import Measured
from genwright.audit.opened import Opening
from genwright.audit.placebo import Apart, apart
from genwright.audit.shown import Shown, examples_shown
from genwright.audit.targets import DATA, Wanted, check_names, target_of
from genwright.core.content import Sample
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, write_whole
from genwright.core.groups import Audited, Judge
from genwright.evaluation.intervals import Difference, Share, difference
from genwright.runs.run import load

FOLDER = "audits"  # of a run
SAMPLES = 1000  # that are drawn, where no number is given
CONDITIONED = 32  # samples of each condition, where no number is given
MEASURED = 2000  # held-out examples whose loss is measured, at most
REAL = 4000  # training examples that samples are compared with, at most
SAMPLED = "samples"


@dataclass(frozen=True)
class Amplified:
    """A group in data and in samples. difference: samples minus data."""

    group: str
    data: Share
    samples: Share
    difference: Difference


@dataclass(frozen=True)
class ModelGroups:
    """One grouping. apart: of samples and data, beside permuted labels. asked: what is made when a
    group is asked for. warnings: what the judge's counts should not be trusted for."""

    grouping: str
    data: GroupsFound
    samples: GroupsFound
    amplified: list[Amplified]
    apart: Apart | None
    losses: list[GroupLoss]
    quality: list[GroupQuality]
    asked: list[Asked]
    warnings: list[str]


@dataclass(frozen=True)
class RunAudit:
    """An audit of a run. loss: of all measured held-out examples, a unit; loss_unit: what it is;
    measured: how many examples. target: what was declared, in words."""

    run: str
    recipe: str
    step: int
    weights: str
    content: str
    thing: str
    samples: int
    seed: int
    target: str
    groups: list[ModelGroups]
    loss: float | None
    loss_unit: str
    measured: int
    remarks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found: dict[str, Any] = plain(self)
        return found


def audit_run(
    folder: str | Path,
    groups: Sequence[str],
    wanted: Wanted | None,
    count: int | None = None,
    conditioned: int | None = None,
    prompts: Sequence[str] = (),
    step: int | None = None,
    weights: str | None = None,
    samples: Sequence[Sample] | None = None,
) -> tuple[RunAudit, list[Shown]]:
    """The groups that a run's model makes; kept in the run's folder. count: samples that are
    drawn; conditioned: for each condition; prompts: that texts begin with. samples: that
    were drawn already. Also some samples of each group. Raises GenwrightError."""
    if count is not None and count < 1:
        raise GenwrightError(f"-n is {count}", "ask for at least one sample")
    run = load(folder, step, weights)
    of = Opening(run, run.kind, run.dataset(), run.opened(), run.recipe.seed)
    asked = groupings(groups, of.content, of.dataset)
    names = [grouping.name for grouping in asked]
    if wanted is not None and wanted != DATA:
        check_names(wanted, names)
    judges = _judges(of, asked)
    in_data = labelled(asked, of.content, of.dataset, "train")
    data_target = None if wanted == DATA else wanted
    data = found_in(asked, in_data, of.content, "training data", data_target, of.seed)
    if samples is None:
        samples = drawn_samples(of.opened, of.content, count or SAMPLES, prompts)
    measured = Measured.of(of, asked, samples, in_data)
    found = []
    remarks = changed_in_training(run.recipe.data)
    shown: list[Shown] = []

    def take(numbers: Sequence[int]) -> list[Sample]:
        return [samples[number] for number in numbers]

    for grouping, own in zip(asked, data, strict=True):
        judged = _judged(grouping, judges, samples, own)
        if judged is None:
            remarks.append(
                f"{grouping.name} is known of the data and recognised in no sample: nothing is said"
                " of the model"
            )
            continue
        rate = CONDITIONED if conditioned is None else conditioned
        asked_groups = asked_for(of.opened, of.content, grouping, judges, own, rate)
        found.append(
            ModelGroups(
                grouping.name,
                own,
                _samples_found(grouping, own, judged, wanted, of),
                _amplified(own, judged.shares),
                _apart(own, in_data, grouping, judged, of.seed),
                measured.losses_of(grouping, own, of.seed),
                measured.quality_of(grouping, own, judged, of.seed),
                asked_groups,
                judged.warnings,
            )
        )
        shown += examples_shown(own, judged.labels, take, of.content)
        remarks += judged.warnings
    if not found:
        raise GenwrightError(
            f"none of the groups {', '.join(names)} can be found in samples of {folder}",
            "name a measure that gives labels, or a list of words (--groups FILE.csv)",
        )
    remarks += remarks_on([each.data for each in found], of.content.thing)
    remarks += remarks_on([each.samples for each in found], "sample")
    result = _result(of, found, remarks, len(samples), wanted, measured)
    place = run.folder / FOLDER / f"step-{run.step:08d}-{run.weights}.json"
    place.parent.mkdir(exist_ok=True)
    write_whole(place, json_text(result.to_json(), indent=1) + "\n")
    return result, shown


def _result(
    of: Opening,
    found: list[ModelGroups],
    remarks: list[str],
    samples: int,
    wanted: Wanted | None,
    measured: Measured,
) -> RunAudit:
    return RunAudit(
        of.run.folder.name,
        of.run.recipe.name,
        of.run.step,
        of.run.weights,
        of.content.kind,
        of.content.thing,
        samples,
        of.seed,
        _in_words(wanted),
        found,
        measured.loss,
        str(of.opened.objective.metric_units.get("loss", "")),
        len(measured.numbers),
        remarks,
    )


def _in_words(wanted: Wanted | None) -> str:
    if wanted is None:
        return ""
    return wanted if isinstance(wanted, str) else ", ".join(wanted)


def _judges(of: Opening, asked: Sequence[Grouping]) -> dict[str, Judge]:
    said = [grouping.name for grouping in asked if grouping.rule is None]
    if not said or not isinstance(of.content, Audited):
        return {}
    return dict(of.content.judges(of.dataset, said))


def _judged(
    grouping: Grouping, judges: dict[str, Judge], samples: Sequence[Sample], own: GroupsFound
) -> Judged | None:
    """Samples by a rule, or by a judge; None where nothing recognises the groups."""
    if grouping.rule is None and grouping.name not in judges:
        return None
    order = [share.group for share in own.shares]
    return judged_samples(grouping, judges.get(grouping.name), samples, order)


def _samples_found(
    grouping: Grouping, own: GroupsFound, judged: Judged, wanted: Wanted | None, of: Opening
) -> GroupsFound:
    groups = judged.counts.groups
    target = None
    if wanted == DATA:
        target = {share.group: share.share for share in own.shares}
        target |= {group: 0.0 for group in groups if group not in target}
    elif wanted is not None:
        known = [share.group for share in own.shares]
        declared = target_of(wanted, grouping.name, known)
        if declared is not None:
            target = {group: declared.get(group, 0.0) for group in groups}
    found = groups_found(
        judged.counts,
        grouping=grouping.name,
        how=judged.how,
        of=SAMPLED,
        counted=grouping.counted or "samples",
        target=target,
        seed=of.seed,
    )
    # of judged samples: what the corrected counts are made of
    silent = sum(not own for own in judged.labels)
    return replace(found, shares=judged.shares, examples=len(judged.labels), silent=silent)


def _amplified(own: GroupsFound, shares: Sequence[Share]) -> list[Amplified]:
    made = {share.group: share for share in shares}
    found = []
    for share in own.shares:
        if share.group in made:
            sampled = made[share.group]
            found.append(Amplified(share.group, share, sampled, difference(sampled, share)))
    return found


def _apart(
    own: GroupsFound, in_data: Labelled, grouping: Grouping, judged: Judged, seed: int
) -> Apart | None:
    groups = judged.counts.groups
    data = counted(in_data.labels[grouping.name], in_data.clusters, groups)
    return apart(judged.counts, data, seed)
