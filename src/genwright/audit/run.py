"""Audit of a model: which groups it makes, which it finds likely, beside those of its data.

1. The groups of its training data, and of samples that were asked for nothing, or for the values
   of an attribute in turn (`evenly`). A group that only the data say is recognised by a judge, and
   its counts are corrected (`corrected`).
2. Amplification: a group's share in samples minus its share in the data.
3. By group: the loss on held-out examples, how well samples cover real ones, how many are copies.
4. Where the model follows conditions, what it makes when asked for each group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from genwright.audit.by_group import GroupLoss, GroupQuality
from genwright.audit.conditions import Asked, asked_for
from genwright.audit.cut import CutFound
from genwright.audit.data import found_in
from genwright.audit.drawn import drawn_samples
from genwright.audit.evenly import KIND, check_evenly, remark_on
from genwright.audit.found import (
    GroupsFound,
    changed_in_training,
    groups_found,
    plain,
    remarks_on,
)
from genwright.audit.groups import (
    Grouping,
    Labelled,
    counted,
    groupings,
    labelled,
)
from genwright.audit.held_out import HeldOut, mean_of
from genwright.audit.judged import Judged
from genwright.audit.judges import judged_by, judges_of, unrecognised
from genwright.audit.kept import keep, kept_name
from genwright.audit.measured import Measured
from genwright.audit.opened import Opening
from genwright.audit.placebo import Apart, Permuted, bounds, permuted, permuted_shares
from genwright.audit.run_crossed import CrossedRun, crossed_run
from genwright.audit.shown import Shown, examples_shown
from genwright.audit.targets import DATA, Wanted, check_names, target_of
from genwright.core.content import Sample
from genwright.core.errors import GenwrightError
from genwright.core.groups import GroupCounts
from genwright.evaluation.intervals import Difference, Share, difference, shares
from genwright.runs.run import load

SAMPLES = 1000  # that are drawn, where no number is given
CONDITIONED = 32  # samples of each condition, where no number is given
SAMPLED = "samples"


@dataclass(frozen=True)
class Amplified:
    """A group in data and in samples. difference: samples minus data. placebo_low, placebo_high:
    where that lies in 95% of cases with labels permuted between the two; None where one of them
    says nothing."""

    group: str
    data: Share
    samples: Share
    difference: Difference
    placebo_low: float | None = None
    placebo_high: float | None = None


@dataclass(frozen=True)
class ModelGroups:
    """One grouping. amplified: of all groups that can be recognised in samples, whose shares in the
    data are among those. apart: of samples and data, beside permuted labels. asked: what is made
    when a group is asked for. warnings: what the judge's counts should not be trusted for. members:
    group -> which examples of `RunAudit.held_out` are of it."""

    grouping: str
    data: GroupsFound
    samples: GroupsFound
    amplified: list[Amplified]
    apart: Apart | None
    losses: list[GroupLoss]
    quality: list[GroupQuality]
    asked: list[Asked]
    warnings: list[str]
    members: Mapping[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class RunAudit:
    """An audit of a run. loss: of all measured held-out examples, a unit; loss_unit: what it is;
    measured: how many examples. target: what was declared, in words. crossed: intersections of two
    groupings. prompts: that samples begin with. evenly: attributes whose values they were asked for
    in turn, "tone,gender". held_out: losses of single examples. loss_low,
    loss_high: the interval of the loss. cut: held-out examples of which the beginning is
    measured."""

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
    crossed: list[CrossedRun] = field(default_factory=list)
    prompts: tuple[str, ...] = ()
    held_out: HeldOut | None = None
    loss_low: float | None = None
    loss_high: float | None = None
    cut: list[CutFound] = field(default_factory=list)
    evenly: str = ""

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
    evenly: str = "",
) -> tuple[RunAudit, list[Shown]]:
    """The groups that a run's model makes; kept in the run's folder. count: samples that are drawn;
    conditioned: for each condition; prompts: that texts begin with. samples: that were drawn
    already. evenly: attributes whose values samples are asked for in turn. Also some samples of
    each group. Raises GenwrightError."""
    _check_numbers(count, conditioned)
    run = load(folder, step, weights)
    of = Opening(run, run.kind, run.dataset(), run.opened(), run.recipe.seed)
    asked = groupings(groups, of.content, of.dataset)
    names = [grouping.name for grouping in asked]
    _check_request(of, names, wanted, prompts, evenly)
    judges, refused = judges_of(of, asked)
    if len(refused) == len(asked):
        raise next(iter(refused.values()))
    in_data = labelled(asked, of.content, of.dataset, "train")
    data_target = None if wanted == DATA else wanted
    data = found_in(asked, in_data, of.content, "training data", data_target, of.seed)
    if samples is None:
        samples = _drawn(of, count or SAMPLES, prompts, evenly)
    measured = Measured.of(of, asked, samples, in_data)
    rate = CONDITIONED if conditioned is None else conditioned
    found = []
    by_name: dict[str, Judged] = {}
    remarks = [*remark_on(evenly), *changed_in_training(of.dataset.summary)]
    shown: list[Shown] = []
    take = partial(_taken, samples)
    for grouping, own in zip(asked, data, strict=True):
        judged = judged_by(grouping, judges, samples, own)
        if judged is None:
            remarks.append(unrecognised(grouping.name, refused))
            continue
        by_name[grouping.name] = judged
        asked_groups = asked_for(of.opened, of.content, grouping, judges, own, rate)
        each = _model_groups(of, grouping, own, in_data, judged, wanted, measured, asked_groups)
        found.append(each)
        shown += examples_shown(own, judged.labels, take, of.content)
        remarks += each.warnings
    if not found:
        raise GenwrightError(
            f"none of the groups {', '.join(names)} can be found in samples of {folder}",
            "name a measure that gives labels, or a list of words (--groups FILE.csv)",
        )
    remarks += remarks_on([each.data for each in found], of.content.thing)
    remarks += remarks_on([each.samples for each in found], "sample")
    crossings = crossed_run(asked, by_name, in_data)
    result = _result(of, found, remarks, len(samples), wanted, measured, crossings, prompts)
    result = replace(result, evenly=evenly)
    keep(result.to_json(), run.folder, _name_of(result, names))
    return result, shown


def _drawn(of: Opening, count: int, prompts: Sequence[str], evenly: str) -> list[Sample]:
    if evenly:
        return drawn_samples(of.opened, of.content, count, evenly=evenly)
    return drawn_samples(of.opened, of.content, count, prompts)


def _name_of(result: RunAudit, names: Sequence[str]) -> str:
    """Of an audit's file. names: of its groupings."""
    if result.evenly:
        by = [*names, f"asked for {result.evenly}"]
        return kept_name(KIND, result.step, result.weights, by)
    return kept_name("step", result.step, result.weights, names)


def _taken(samples: Sequence[Sample], numbers: Sequence[int]) -> list[Sample]:
    return [samples[number] for number in numbers]


def _check_numbers(count: int | None, conditioned: int | None) -> None:
    """Raises GenwrightError for numbers of samples that are none."""
    if count is not None and count < 1:
        raise GenwrightError(f"-n is {count}", "ask for at least one sample")
    if conditioned is not None and conditioned < 0:
        raise GenwrightError(
            f"conditions is {conditioned}", "ask for 0 samples of each condition, or for some"
        )


def _check_request(
    of: Opening, names: Sequence[str], wanted: Wanted | None, prompts: Sequence[str], evenly: str
) -> None:
    """Raises GenwrightError for a target of other groups, and for samples that cannot be asked."""
    if wanted is not None and wanted != DATA:
        check_names(wanted, names)
    if evenly:
        check_evenly(of.content, evenly, prompts)


def _model_groups(
    of: Opening,
    grouping: Grouping,
    own: GroupsFound,
    in_data: Labelled,
    judged: Judged,
    wanted: Wanted | None,
    measured: Measured,
    asked: list[Asked],
) -> ModelGroups:
    """What is found of one grouping. own: of the data."""
    groups = judged.counts.groups
    beside = counted(in_data.labels[grouping.name], in_data.clusters, groups)
    by_chance = permuted(judged.counts, beside, of.seed)
    if grouping.rule is None:  # whose counts round corrected shares
        by_chance = permuted_shares(judged.shares, shares(beside), of.seed)
    return ModelGroups(
        grouping.name,
        own,
        _samples_found(grouping, own, judged, beside, wanted, of),
        _amplified(judged.shares, shares(beside), by_chance),
        None if by_chance is None else by_chance.apart,
        measured.losses_of(grouping, own, of.seed),
        measured.quality_of(grouping, own, judged, of.seed),
        asked,
        [*judged.warnings, *_left_out(own, groups)],
        measured.members_of(grouping, own),
    )


def _left_out(own: GroupsFound, groups: Sequence[str]) -> list[str]:
    """What is to be said of groups of the data that are recognised in no sample."""
    rare = [share for share in own.shares if share.count and share.group not in groups]
    if not rare:
        return []
    named = ", ".join(share.group for share in rare[:8])
    if len(rare) > 8:
        named += f" and {len(rare) - 8} more"
    part = sum(share.share for share in rare)
    return [
        f"{own.grouping}: {named} ({part:.1%} of the data) are too rare, or judged too unlike one"
        " another, to be recognised in samples; what is said of these is among the other groups"
    ]


def _result(
    of: Opening,
    found: list[ModelGroups],
    remarks: list[str],
    samples: int,
    wanted: Wanted | None,
    measured: Measured,
    crossings: list[CrossedRun],
    prompts: Sequence[str],
) -> RunAudit:
    single = measured.single
    low, high = None, None
    if single is not None:
        mean, half = mean_of(single)
        low, high = mean - half, mean + half
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
        crossings,
        tuple(prompts),
        single,
        low,
        high,
        list(measured.cut),
    )


def _in_words(wanted: Wanted | None) -> str:
    """ "gender=woman:0.5|man:0.5,tone=uniform"."""
    if wanted is None:
        return ""
    if isinstance(wanted, str):
        return wanted
    named = []
    for name, value in wanted.items():
        if isinstance(value, Mapping):
            value = "|".join(f"{group}:{share}" for group, share in value.items())
        named.append(f"{name}={value}")
    return ",".join(named)


def _samples_found(
    grouping: Grouping,
    own: GroupsFound,
    judged: Judged,
    beside: GroupCounts,
    wanted: Wanted | None,
    of: Opening,
) -> GroupsFound:
    """The groups of samples. own: of the data; beside: the counts of the data, of the groups that
    are recognised in samples."""
    found = groups_found(
        judged.counts,
        grouping=grouping.name,
        how=judged.how,
        of=SAMPLED,
        counted=grouping.counted or "samples",
        target=_target(grouping.name, own, beside, wanted),
        seed=of.seed,
        corrected=None if grouping.rule is not None else judged.shares,
    )
    # of judged samples: what the corrected counts are made of
    silent = sum(not own for own in judged.labels)
    return replace(found, examples=len(judged.labels), silent=silent)


def _target(
    name: str, own: GroupsFound, beside: GroupCounts, wanted: Wanted | None
) -> dict[str, float] | None:
    """The target of samples, among the groups that are recognised in them; None for none."""
    if wanted is None:
        return None
    if wanted == DATA:
        target = {share.group: share.share for share in shares(beside) if share.count}
    else:
        declared = target_of(wanted, name, [share.group for share in own.shares])
        target = dict(declared or {})
    within = {group: target.get(group, 0.0) for group in beside.groups}
    total = sum(within.values())
    if total <= 0:
        return None
    return {group: share / total for group, share in within.items()}


def _amplified(
    made: Sequence[Share], data: Sequence[Share], by_chance: Permuted | None
) -> list[Amplified]:
    """made, data: shares of the same groups, in the same order."""
    found = []
    for place, (sampled, share) in enumerate(zip(made, data, strict=True)):
        low, high = bounds(by_chance, place)
        found.append(Amplified(share.group, share, sampled, difference(sampled, share), low, high))
    return found
