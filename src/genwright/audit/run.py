"""Audit of a model: which groups it makes, which it finds likely, beside those of its data.

1. The groups of its training data, and of samples that were asked for nothing. A group that only
   the data say is recognised by a judge, and its counts are corrected (`corrected`).
2. Amplification: a group's share in samples minus its share in the data.
3. By group: the loss on held-out examples, how well samples cover real ones, how many are copies.
4. Where the model follows conditions, what it makes when asked for each group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genwright.audit.by_group import GroupLoss, GroupQuality, group_losses, group_quality
from genwright.audit.conditions import Asked, asked_for
from genwright.audit.data import found_in
from genwright.audit.drawn import drawn_samples, features_of
from genwright.audit.found import GroupsFound, groups_found, plain, remarks_on
from genwright.audit.groups import (
    Grouping,
    Labelled,
    Labels,
    counted,
    groupings,
    labelled,
)
from genwright.audit.intervals import Difference, Share, difference
from genwright.audit.judged import Judged, judged_samples
from genwright.audit.losses import Losses, losses
from genwright.audit.placebo import Apart, apart
from genwright.audit.shown import Shown, examples_shown
from genwright.audit.targets import DATA, Wanted, check_names, target_of
from genwright.core.content import Opened, Sample
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, write_whole
from genwright.core.groups import Audited, GroupCounts, Judge
from genwright.evaluation.distances import Memory
from genwright.runs.content import Content
from genwright.runs.run import Run, load

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

    def __str__(self) -> str:
        from genwright.audit.table_run import run_text

        return run_text(self)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found: dict[str, Any] = plain(self)
        return found


@dataclass(frozen=True)
class _Opened:
    """What is audited."""

    run: Run
    content: Content
    dataset: Dataset
    opened: Opened
    seed: int


def audit_run(
    folder: str | Path,
    groups: Sequence[str],
    wanted: Wanted | None,
    count: int | None = None,
    conditioned: int | None = None,
    prompts: Sequence[str] = (),
    step: int | None = None,
    weights: str | None = None,
) -> tuple[RunAudit, list[Shown]]:
    """The groups that a run's model makes; kept in the run's folder. count: samples that are
    drawn; conditioned: for each condition; prompts: that texts begin with. Also some samples of
    each group. Raises GenwrightError."""
    if count is not None and count < 1:
        raise GenwrightError(f"-n is {count}", "ask for at least one sample")
    run = load(folder, step, weights)
    dataset = run.dataset()
    of = _Opened(run, run.kind, dataset, run.opened(), run.recipe.seed)
    asked = groupings(groups, of.content, dataset)
    names = [grouping.name for grouping in asked]
    if wanted is not None and wanted != DATA:
        check_names(wanted, names)
    judges = _judges(of, asked)
    in_data = labelled(asked, of.content, dataset, "train")
    data_target = None if wanted == DATA else wanted
    data = found_in(asked, in_data, of.content, "training data", data_target, of.seed)
    samples = drawn_samples(of.opened, of.content, count or SAMPLES, prompts)
    held_out, in_held_out, measured = _held_out(of, asked)
    features = _Features.of(of, samples, in_data)
    found = []
    remarks = []
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
        shown += examples_shown(own, judged.labels, take, of.content)
        rate = CONDITIONED if conditioned is None else conditioned
        found.append(
            ModelGroups(
                grouping.name,
                own,
                _samples_found(grouping, own, judged, wanted, of),
                _amplified(own, judged.shares),
                _apart(own, in_data, grouping, judged, of.seed),
                _losses(measured, held_out, in_held_out, grouping, own, of.seed),
                features.by_group(grouping, own, in_data, judged, of.seed),
                asked_for(of.opened, of.content, grouping, judges, own, rate),
                judged.warnings,
            )
        )
        remarks += judged.warnings
    if not found:
        raise GenwrightError(
            f"none of the groups {', '.join(names)} can be found in samples of {folder}",
            "name a measure that gives labels, or a list of words (--groups FILE.csv)",
        )
    remarks += remarks_on([each.data for each in found], of.content.thing)
    remarks += remarks_on([each.samples for each in found], "sample")
    loss = None
    if measured is not None and measured.count.sum():
        loss = float(measured.total.sum() / measured.count.sum())
    result = RunAudit(
        run.folder.name,
        run.recipe.name,
        run.step,
        run.weights,
        of.content.kind,
        of.content.thing,
        len(samples),
        of.seed,
        _in_words(wanted),
        found,
        loss,
        str(of.opened.objective.metric_units.get("loss", "")),
        len(held_out),
        remarks,
    )
    place = run.folder / FOLDER / f"step-{run.step:08d}-{run.weights}.json"
    place.parent.mkdir(exist_ok=True)
    write_whole(place, json_text(result.to_json(), indent=1) + "\n")
    return result, shown


def _in_words(wanted: Wanted | None) -> str:
    if wanted is None:
        return ""
    return wanted if isinstance(wanted, str) else ", ".join(wanted)


def _judges(of: _Opened, asked: Sequence[Grouping]) -> dict[str, Judge]:
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
    grouping: Grouping, own: GroupsFound, judged: Judged, wanted: Wanted | None, of: _Opened
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
    return judged.corrected(found)


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


# ---- held-out examples


def _held_out(
    of: _Opened, asked: Sequence[Grouping]
) -> tuple[list[int], Labelled | None, Losses | None]:
    """Which held-out examples were measured, their groups, their losses."""
    if not isinstance(of.content, Audited):
        return [], None, None
    examples = labelled(asked, of.content, of.dataset, "held_out")
    many = len(examples.names)
    if not many:
        return [], None, None
    size = min(many, MEASURED)
    numbers = (np.arange(size) * many // size).tolist()
    found = of.content.examples(of.dataset, "held_out", numbers)
    fitting = of.content.measurable(found, of.opened)
    return numbers, examples, losses(of.opened, of.content.sampler, fitting, of.seed)


def _losses(
    measured: Losses | None,
    numbers: Sequence[int],
    examples: Labelled | None,
    grouping: Grouping,
    own: GroupsFound,
    seed: int,
) -> list[GroupLoss]:
    if measured is None or examples is None:
        return []
    labels = [examples.labels[grouping.name][number] for number in numbers]
    groups = [share.group for share in own.shares]
    counts: GroupCounts = counted(labels, np.arange(len(labels)), groups)
    return group_losses(measured, counts.counts, groups, seed)


# ---- features


@dataclass(frozen=True)
class _Features:
    """Features of samples and of training examples, where the content has any. numbers: which
    training examples."""

    made: Any
    real: Any
    numbers: Sequence[int]
    memory: Memory | None

    @classmethod
    def of(cls, of: _Opened, samples: Sequence[Sample], in_data: Labelled) -> _Features:
        """Features of all samples and of as many training examples as are compared."""
        nothing = cls(None, None, (), None)
        made = features_of(of.content, of.dataset, samples)
        if made is None or not isinstance(of.content, Audited):
            return nothing
        many = len(in_data.names)
        size = min(many, REAL)
        numbers = (np.arange(size) * many // size).tolist()
        real = features_of(
            of.content, of.dataset, of.content.examples(of.dataset, "train", numbers)
        )
        memory = None
        held = of.content.known(of.dataset, "held_out", [])
        if len(held.names):
            places = list(range(len(held.names)))
            fresh = features_of(
                of.content, of.dataset, of.content.examples(of.dataset, "held_out", places)
            )
            memory = Memory(real, fresh)
        return cls(made, real, numbers, memory)

    def by_group(
        self,
        grouping: Grouping,
        own: GroupsFound,
        in_data: Labelled,
        judged: Judged,
        seed: int,
    ) -> list[GroupQuality]:
        """How well each group is covered; nothing where there are no features."""
        if self.made is None or grouping.mentions:
            return []
        groups = [share.group for share in own.shares]
        labels = in_data.labels[grouping.name]
        real = _places([labels[number] for number in self.numbers], groups)
        made = _places(judged.labels, groups)
        return group_quality(self.real, real, self.made, made, groups, self.memory, seed)


def _places(labels: Labels, groups: Sequence[str]) -> np.ndarray:
    """(n,) int64: the group of each example, -1 of none or of several."""
    places = {group: place for place, group in enumerate(groups)}
    found = []
    for own in labels:
        found.append(places.get(own[0], -1) if len(own) == 1 else -1)
    return np.array(found, np.int64)
