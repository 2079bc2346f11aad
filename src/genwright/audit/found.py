"""What an audit found, as plain data: the groups of one set of examples, each share with its
interval, how far they are from a target, how different they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

from genwright.audit.crossed import Crossed
from genwright.audit.cut import CutFound
from genwright.audit.distances import Distances, distances_to
from genwright.audit.diversity import effective_number
from genwright.core.groups import GroupCounts
from genwright.evaluation.intervals import FEWEST, Share, shares


@dataclass(frozen=True)
class GroupsFound:
    """One grouping in one set of examples.

    grouping; how: as of `Grouping`. of: the set ("training data", "samples"). counted: what
    shares are of, in the plural. examples: in the set; silent: how many of them say nothing.
    shares: of each group among what says something. shannon, simpson: the effective number of
    groups. target, distances: None where none is declared."""

    grouping: str
    how: str
    of: str
    counted: str
    examples: int
    silent: int
    shares: list[Share]
    shannon: float
    simpson: float
    target: Mapping[str, float] | None = None
    distances: Distances | None = None

    def share(self, group: str) -> Share | None:
        """Of a group; None where there is no such group."""
        for each in self.shares:
            if each.group == group:
                return each
        return None


def groups_found(
    counts: GroupCounts,
    *,
    grouping: str,
    how: str,
    of: str,
    counted: str,
    target: Mapping[str, float] | None,
    seed: int = 0,
    corrected: Sequence[Share] | None = None,
) -> GroupsFound:
    """What is found of counts. corrected: shares, where counts are made from them, and round
    them."""
    each = shares(counts) if corrected is None else list(corrected)
    total = counts.counts.sum(0)
    exact = None
    if corrected is not None and total.sum():
        exact = np.array([share.share for share in corrected])
    different = total if exact is None else exact
    distances = None
    if target is not None and total.sum():
        distances = distances_to(counts, target, seed, exact=exact)
    return GroupsFound(
        grouping,
        how,
        of,
        counted,
        len(counts.counts),
        counts.silent,
        each,
        effective_number(different, 1),
        effective_number(different, 2),
        target,
        distances,
    )


@dataclass(frozen=True)
class DataAudit:
    """An audit of data. name: of the recipe. data: what was read, in words. split: of it. content:
    the kind. thing: one example, for a person. clusters: of the examples. groups: of each grouping.
    crossed: intersections of two groupings. associated: of each intersection its normalised
    pointwise mutual information, (groups of one, groups of the other); NaN of what is too
    rare. cut: by the length of a window."""

    name: str
    data: str
    split: str
    content: str
    thing: str
    examples: int
    clusters: int
    groups: list[GroupsFound]
    crossed: list[Crossed]
    associated: list[list[list[float]]]
    remarks: list[str] = field(default_factory=list)
    cut: list[CutFound] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found: dict[str, Any] = plain(self)
        return found


def plain(value: Any) -> Any:
    """Plain data of what an audit found: every value by its name."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def clusters_in(clusters: np.ndarray) -> int:
    """How many clusters examples are of."""
    return int(len(np.unique(clusters)))


def remarks_on(found: Sequence[GroupsFound], thing: str) -> list[str]:
    """What a person should know: groups that are too small, and what says nothing."""
    remarks = []
    for each in found:
        which = f"{thing}s" if each.of == f"{thing}s" else f"{thing}s of {each.of}"
        small = [share for share in each.shares if share.small and share.examples < FEWEST]
        if small:
            named = ", ".join(f"{share.group} ({share.examples})" for share in small[:8])
            if len(small) > 8:
                named += f" and {len(small) - 8} more"
            remarks.append(
                f"{each.grouping}: fewer than {FEWEST} {which} are {named}, too few to give a rate"
            )
        unknown = bool(each.shares) and all(math.isnan(share.share) for share in each.shares)
        if unknown and each.silent < each.examples:
            remarks.append(
                f"{each.grouping}: with what the judge gets wrong taken away, none of"
                f" {each.of} is surely of any group, so no rate is given"
            )
        if each.examples and each.silent == each.examples:
            remarks.append(f"{each.grouping}: none of the {which} says anything")
    return remarks


def changed_in_training(summary: Mapping[str, Any]) -> list[str]:
    """What is to be said of shares of training data that are not trained on as often as they are
    there. summary: of a dataset."""
    said = list(summary.get("balance", ()))
    if not said:
        return []
    return [
        "shares of training data count each example once (a swapped twin is one, too), however"
        f" often it is trained on: {'; '.join(said)}"
    ]
