"""What a model makes when it is asked for each group of a grouping, where it follows conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from genwright.audit.drawn import drawn_samples
from genwright.audit.found import GroupsFound
from genwright.audit.groups import Grouping
from genwright.audit.judged import judged_samples
from genwright.core.content import Opened
from genwright.core.groups import Judge
from genwright.evaluation.intervals import wilson
from genwright.runs.content import Content

MOST = 12  # groups that are asked for, at most


@dataclass(frozen=True)
class Asked:
    """Samples that were asked for a group. right: how many were judged to be of it. These are no
    rates of the model by itself: they say whether it does as it is told."""

    group: str
    samples: int
    right: int
    low: float
    high: float


def asked_for(
    opened: Opened,
    content: Content,
    grouping: Grouping,
    judges: Mapping[str, Judge],
    own: GroupsFound,
    count: int,
) -> list[Asked]:
    """`count` samples of each group that the model knows as a condition; nothing where it knows
    none, or more than `MOST`."""
    known = opened.codec.space.attributes.get(grouping.name, ())
    groups = [share.group for share in own.shares if share.group in known]
    if not count or not groups or len(groups) > MOST:
        return []
    found = []
    order = [share.group for share in own.shares]
    for group in groups:
        condition = f"{grouping.name}={group.replace(',', ',,')}"
        samples = drawn_samples(opened, content, count, condition=condition)
        judged = judged_samples(grouping, judges.get(grouping.name), samples, order)
        right = sum(label == (group,) for label in judged.labels)
        found.append(Asked(group, len(samples), right, *wilson(right, len(samples))))
    return found
