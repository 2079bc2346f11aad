"""The groups of samples: by a rule, or by a judge, whose counts are corrected by its confusion
matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from genwright.audit.found import GroupsFound
from genwright.audit.groups import Grouping, Labels, counted, groups_in, without_none
from genwright.audit.intervals import Share, shares
from genwright.core.content import Sample
from genwright.core.groups import NONE, GroupCounts, Judge

AT_ONCE = 512


@dataclass(frozen=True)
class Judged:
    """Samples with their groups. labels: of each. counts: of them, as they were judged. shares:
    corrected, where a judge was right less than always. how: for a person."""

    labels: Labels
    counts: GroupCounts
    shares: list[Share]
    how: str
    warnings: list[str] = field(default_factory=list)

    def corrected(self, found: GroupsFound) -> GroupsFound:
        """What was found of the counts, with the corrected shares in place of theirs."""
        return replace(found, shares=self.shares)


def judged_samples(
    grouping: Grouping, judge: Judge | None, samples: Sequence[Sample], order: Sequence[str]
) -> Judged:
    """order: the groups of the data, which come first."""
    clusters = np.arange(len(samples))
    if grouping.rule is not None:
        labels: list[tuple[str, ...]] = []
        for start in range(0, len(samples), AT_ONCE):
            labels += grouping.rule(samples[start : start + AT_ONCE])
        counts = counted(labels, clusters, groups_in(labels, order))
        return Judged(labels, counts, shares(counts), grouping.how)
    assert judge is not None
    probabilities = judge.of(samples)
    best = probabilities.argmax(1)
    named = [judge.groups[place] for place in best.tolist()]
    labels = [() if name == NONE else (name,) for name in named]
    groups = without_none(judge.groups)
    counts = counted(labels, clusters, groups)
    return Judged(labels, counts, shares(counts), judge.how)
