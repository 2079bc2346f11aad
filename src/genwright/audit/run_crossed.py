"""Intersections of what a model makes: of every two groupings that samples are judged by, beside
the same of the training data.

A rule is right by definition, and so are its counts. What judges say of two attributes at once is
counted as it is said: the confusion matrix of one attribute does not tell how often two judges are
wrong together. Such an intersection says that it is not corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from genwright.audit.crossed import MOST_CELLS, Crossed, crossed
from genwright.audit.groups import Grouping, Labelled, Labels, counted
from genwright.audit.judged import Judged
from genwright.core.groups import GroupCounts
from genwright.evaluation.intervals import Difference, Share, difference

EXACT = "each is counted by its rule"


@dataclass(frozen=True)
class CrossedCell:
    """One group of each of two groupings. All intervals of a table hold together. difference:
    samples minus data."""

    groups: tuple[str, ...]
    data: Share
    samples: Share
    difference: Difference


@dataclass(frozen=True)
class CrossedRun:
    """Two groupings, crossed. how: what the counts of samples are worth. corrected: whether they
    are right but for chance. of_data, of_samples: examples that are of one group of each;
    left_out: samples that are not."""

    names: tuple[str, ...]
    how: str
    corrected: bool
    cells: list[CrossedCell]
    of_data: int
    of_samples: int
    left_out: int

    @property
    def empty(self) -> list[tuple[str, ...]]:
        """Combinations that neither data nor samples have."""
        return [cell.groups for cell in self.cells if not cell.samples.count + cell.data.count]

    @property
    def never_made(self) -> list[tuple[str, ...]]:
        """Combinations that the data have, and no sample."""
        return [cell.groups for cell in self.cells if cell.data.count and not cell.samples.count]


def crossed_run(
    asked: Sequence[Grouping], judged: Mapping[str, Judged], in_data: Labelled
) -> list[CrossedRun]:
    """Every two groupings that samples are judged by; none of more than `MOST_CELLS` cells."""
    told = [grouping for grouping in asked if grouping.name in judged]
    found = []
    for pair in combinations(told, 2):
        groups = [judged[grouping.name].counts.groups for grouping in pair]
        if not 0 < len(groups[0]) * len(groups[1]) <= MOST_CELLS:
            continue
        of_data = [in_data.labels[grouping.name] for grouping in pair]
        of_samples = [judged[grouping.name].labels for grouping in pair]
        every = np.arange(len(of_samples[0]))
        names = tuple(grouping.name for grouping in pair)
        data = crossed(_counts(of_data, in_data.clusters, groups), names)
        samples = crossed(_counts(of_samples, every, groups), names)
        found.append(_beside(pair, data, samples))
    return found


def _counts(
    labels: Sequence[Labels], clusters: np.ndarray, groups: Sequence[Sequence[str]]
) -> list[GroupCounts]:
    return [counted(own, clusters, named) for own, named in zip(labels, groups, strict=True)]


def _beside(pair: Sequence[Grouping], data: Crossed, samples: Crossed) -> CrossedRun:
    cells = []
    for one, other in zip(data.cells, samples.cells, strict=True):
        change = difference(other.share, one.share)
        cells.append(CrossedCell(one.groups, one.share, other.share, change))
    said = [grouping.name for grouping in pair if grouping.rule is None]
    how = EXACT
    if said:
        how = (
            f"{' and '.join(said)} of samples as the judge says, which is not corrected here: the"
            " intervals hold what chance does, and not what the judge gets wrong"
        )
    return CrossedRun(
        data.names, how, not said, cells, data.examples, samples.examples, samples.left_out
    )
