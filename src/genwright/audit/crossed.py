"""Intersections: how many examples are of one group of each of several groupings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from genwright.core.groups import GroupCounts
from genwright.evaluation.intervals import LEVEL, Share, shares

BETWEEN = " × "
MOST_CELLS = 400  # of an intersection: a table of more says nothing to a person


@dataclass(frozen=True)
class Cell:
    """One group of each grouping, and how many examples are of them all. The interval of its share
    holds together with those of all other cells."""

    groups: tuple[str, ...]
    share: Share


@dataclass(frozen=True)
class Crossed:
    """Groupings that were crossed.

    names: of the groupings. cells: all that their groups allow, in order. examples: that are of
    one group of each. left_out: examples of no group or of several groups of a grouping."""

    names: tuple[str, ...]
    cells: list[Cell]
    examples: int
    left_out: int

    @property
    def empty(self) -> list[tuple[str, ...]]:
        """The cells that no example is in."""
        return [cell.groups for cell in self.cells if cell.share.count == 0]

    @property
    def small(self) -> list[tuple[str, ...]]:
        """The cells that some examples are in, too few to speak of."""
        return [cell.groups for cell in self.cells if cell.share.count and cell.share.small]


def crossed(
    counts: Sequence[GroupCounts], names: Sequence[str] = (), level: float = LEVEL
) -> Crossed:
    """The intersections of groupings of the same examples. names: of the groupings. The clusters
    are those of the first. Raises ValueError for counts of different examples, or of none."""
    if not counts:
        raise ValueError("there are no groupings to cross")
    many = {len(each.counts) for each in counts}
    if len(many) > 1:
        raise ValueError(f"groupings of different numbers of examples: {sorted(many)}")
    number = many.pop()
    whole = np.ones(number, bool)  # (examples,): of one group of each
    place = np.zeros(number, np.int64)  # (examples,): which cell
    for each in counts:
        has = each.counts > 0
        whole &= has.sum(1) == 1
        if len(each.groups):
            place = place * len(each.groups) + has.argmax(1)
    every = list(product(*(each.groups for each in counts)))
    in_cells = np.zeros((number, len(every)), np.int8)  # large; each is 0 or 1
    rows = np.flatnonzero(whole)
    in_cells[rows, place[rows]] = 1
    cells = GroupCounts(
        tuple(BETWEEN.join(groups) for groups in every), in_cells, counts[0].clusters
    )
    found = []
    for groups, share in zip(every, shares(cells, level, simultaneous=True), strict=True):
        found.append(Cell(groups, share))
    return Crossed(tuple(names), found, len(rows), number - len(rows))
