"""Audit of data: which groups the examples of a recipe are of, and how far that is from what was
declared."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations

import numpy as np

from genwright.audit.crossed import MOST_CELLS, Crossed, crossed
from genwright.audit.cut import cut_found, prompts_left_out
from genwright.audit.diversity import npmi
from genwright.audit.found import (
    DataAudit,
    GroupsFound,
    changed_in_training,
    clusters_in,
    groups_found,
    remarks_on,
)
from genwright.audit.groups import (
    Grouping,
    Labelled,
    Labels,
    counted,
    groupings,
    groups_in,
    labelled,
)
from genwright.audit.shown import Shown, examples_shown
from genwright.audit.targets import Wanted, check_names, target_of
from genwright.core.errors import GenwrightError
from genwright.core.groups import Audited
from genwright.recipe.schema import Recipe
from genwright.reporting.provenance import data_in_words
from genwright.runs.content import Content, registered

SPLITS = ("train", "held_out")
NAMES = {"train": "training data", "held_out": "held-out data"}


def audit_data(
    recipe: Recipe, groups: Sequence[str], wanted: Wanted | None, split: str = "train"
) -> tuple[DataAudit, list[Shown]]:
    """The groups of a split of a recipe's data, and some examples of each. groups: names as
    `groupings` takes them; wanted: the declared target, None for none. Raises GenwrightError."""
    if split not in SPLITS:
        raise GenwrightError(f"there is no split {split!r}", f"give one of {', '.join(SPLITS)}")
    dataset = recipe.data.prepare(recipe.codec)
    content = registered(dataset.codec.content)
    asked = groupings(groups, content, dataset)
    names = [grouping.name for grouping in asked]
    if wanted is not None:
        check_names(wanted, names)
    examples = labelled(asked, content, dataset, split)
    found = found_in(asked, examples, content, NAMES[split], wanted, recipe.seed)
    both = crossings(asked, examples)
    associated = [npmi(_table(cells)).tolist() for cells in both]
    shown: list[Shown] = []
    if isinstance(content, Audited):
        for own in found:
            labels = examples.labels[own.grouping]
            take = partial(content.examples, dataset, split)
            shown += examples_shown(own, labels, take, content)
    rollout = getattr(recipe.objective, "rollout", None)  # of objectives that sample
    remarks = remarks_on(found, content.thing)
    if split == "train":
        remarks = changed_in_training(dataset.summary) + remarks
    audit = DataAudit(
        recipe.name,
        data_in_words(recipe, dataset.summary, content.thing),
        split,
        content.kind,
        content.thing,
        len(examples.names),
        clusters_in(examples.clusters),
        found,
        both,
        associated,
        remarks,
        [
            *cut_found(asked, examples, content, dataset, split, NAMES[split]),
            *prompts_left_out(asked, examples, content, dataset, split, rollout),
        ],
    )
    return audit, shown


def found_in(
    asked: Sequence[Grouping],
    examples: Labelled,
    content: Content,
    of: str,
    wanted: Wanted | None,
    seed: int,
) -> list[GroupsFound]:
    """The groups of examples, of each grouping. of: what the examples are."""
    found = []
    for grouping in asked:
        labels = examples.labels[grouping.name]
        groups = groups_in(labels, grouping.order)
        target = None if wanted is None else target_of(wanted, grouping.name, groups)
        counts = counted(labels, examples.clusters, groups)
        found.append(
            groups_found(
                counts,
                grouping=grouping.name,
                how=grouping.how,
                of=of,
                counted=grouping.counted or _counted(labels, grouping.name, content.thing),
                target=target,
                seed=seed,
            )
        )
    return found


def _counted(labels: Labels, name: str, thing: str) -> str:
    """What shares are of: the examples, or, where some have several values, those."""
    if any(len(own) > 1 for own in labels):
        return f"values of {name}"
    return f"{thing}s"


def crossings(asked: Sequence[Grouping], examples: Labelled) -> list[Crossed]:
    """The intersections of every two groupings, but of those that nothing is known of, or that
    have too many groups."""
    found = []
    for one, other in combinations(asked, 2):
        both = []
        for grouping in (one, other):
            labels = examples.labels[grouping.name]
            groups = groups_in(labels, grouping.order)
            both.append(counted(labels, examples.clusters, groups))
        cells = len(both[0].groups) * len(both[1].groups)
        if 0 < cells <= MOST_CELLS:
            found.append(crossed(both, (one.name, other.name)))
    return found


def _table(cells: Crossed) -> np.ndarray:
    """(groups of one, groups of the other) int64, how many examples are of both."""
    first = list(dict.fromkeys(cell.groups[0] for cell in cells.cells))
    counts = [cell.share.count for cell in cells.cells]
    return np.array(counts, np.int64).reshape(len(first), -1)
