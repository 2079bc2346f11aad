"""What the length of a window cuts off, by group: examples that no window holds whole, and how much
of them lies beyond the first one, which is all that an audit measures of an example.

Training goes on in the next window, so nothing is lost to it; but what stands there is learned
without what stands before it, and a group whose examples are longer has more of that. Rates have
intervals that heed clusters, and stand beside the rate of the other groups: 1 in the interval of
their ratio, and nothing is shown. `genwright data removed` says the same of the filters of a
corpus.

Where a policy learns from prompts that documents begin with (`rollout.cut_after`), those that leave
no room for a sample are left out altogether: `prompts_left_out`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from genwright.audit.groups import Grouping, Labelled, counted, groups_in
from genwright.core.dataset import Dataset
from genwright.core.groups import GroupCounts, Lengths, Lengthy, Prompting
from genwright.evaluation.intervals import FEWEST, Ratio, Share, ratio, shares
from genwright.objectives.terms import Rollout
from genwright.runs.content import Content


@dataclass(frozen=True)
class CutGroup:
    """A group. longer: the share of its examples that are longer than a window. others: the same of
    examples of other groups alone; ratio: of the two, None where one is of too few examples.
    beyond: the share of the group's tokens that lie beyond the first window; NaN of prompts."""

    group: str
    longer: Share
    others: Share
    ratio: Ratio | None
    beyond: float


@dataclass(frozen=True)
class CutFound:
    """A grouping. limit: tokens of a window; setting: what says so. of: the set. every: the share
    of all its examples that are longer. left_out: these are prompts, and longer ones are left out
    of rollouts."""

    grouping: str
    limit: int
    setting: str
    of: str
    every: Share
    groups: list[CutGroup]
    left_out: bool = False


def cut_found(
    asked: Sequence[Grouping],
    examples: Labelled,
    content: Content,
    dataset: Dataset,
    split: str,
    of: str,
) -> list[CutFound]:
    """Of each grouping; nothing of content that has no windows, and where none is longer. of: what
    the examples are."""
    if not isinstance(content, Lengthy):
        return []
    lengths = content.lengths(dataset, split)
    if not (lengths.tokens > lengths.limit).any():
        return []
    found = []
    for grouping in asked:
        labels = examples.labels[grouping.name]
        counts = counted(labels, examples.clusters, groups_in(labels, grouping.order))
        found.append(cut_by_group(counts, lengths, grouping.name, of))
    return found


def prompts_left_out(
    asked: Sequence[Grouping],
    examples: Labelled,
    content: Content,
    dataset: Dataset,
    split: str,
    rollout: Rollout | None,
) -> list[CutFound]:
    """The same of the prompts that examples give to rollouts; nothing where they give none."""
    if rollout is None or not isinstance(content, Prompting):
        return []
    lengths = content.prompt_lengths(dataset, split, rollout)
    if lengths is None:
        return []
    gives = lengths.tokens >= 0  # (examples,)
    kept = lengths._replace(tokens=lengths.tokens[gives])
    found = []
    for grouping in asked:
        labels = examples.labels[grouping.name]
        counts = counted(labels, examples.clusters, groups_in(labels, grouping.order))
        own = GroupCounts(counts.groups, counts.counts[gives], counts.clusters[gives])
        cut = cut_by_group(own, kept, grouping.name, "prompts")
        groups = [replace(group, beyond=math.nan) for group in cut.groups]
        found.append(replace(cut, groups=groups, left_out=True))
    return found


def cut_by_group(counts: GroupCounts, lengths: Lengths, grouping: str, of: str) -> CutFound:
    """counts: of the examples that have these lengths. of: what they are."""
    longer = lengths.tokens > lengths.limit
    past = np.maximum(lengths.tokens - lengths.limit, 0)
    has = counts.counts > 0  # (examples, groups)
    groups = []
    for place, group in enumerate(counts.groups):
        mine = has[:, place]
        if not mine.any():
            continue
        own = _share(group, longer, counts.clusters, mine)
        others = _share(group, longer, counts.clusters, has.any(1) & ~mine)
        both = None if own.small or others.small else ratio(own, others)
        total = int(lengths.tokens[mine].sum())
        beyond = float(past[mine].sum()) / max(1, total)
        groups.append(CutGroup(group, own, others, both, beyond))
    every = _share("all", longer, counts.clusters, np.ones(len(longer), bool))
    return CutFound(grouping, lengths.limit, lengths.setting, of, every, groups)


def _share(group: str, longer: np.ndarray, clusters: np.ndarray, rows: np.ndarray) -> Share:
    """Of some examples, how many are longer; too small where the examples are few."""
    sides = np.stack([longer[rows], ~longer[rows]], 1).astype(np.int64)
    own = shares(GroupCounts((group, ""), sides, clusters[rows]))[0]
    few = int(rows.sum())
    return Share(
        group, own.count, own.total, own.share, own.low, own.high, own.effective, few, few < FEWEST
    )
