"""The groups of what a model makes, watched while it trains (`watching.groups`).

On the schedule of evaluations samples are drawn; of each grouping the shares of its groups are
recorded with their 95% intervals, of those samples that have a group. Groups are told as audits
tell them: by a list of words, a measure that gives labels, or, for what only the data say, by a
judge that sees the sample alone and whose counts are corrected by what it makes of held-out
examples. An alarm rings where a share is out of its band, interval and all (`runs/alarms.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property

from genwright.audit.groups import (
    Grouping,
    groupings,
    groups_in,
    labelled,
)
from genwright.audit.judged import judged_samples
from genwright.core.content import Opened, Sample
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.groups import Audited, Judge
from genwright.core.registry import register
from genwright.evaluation.group_shares import metrics_of
from genwright.runs.content import Content
from genwright.training.settings import Watching

log = logging.getLogger(__name__)

REAL = 1000  # training examples, at most, whose groups are always recorded


class WatchedGroups:
    """What tells the groups of samples in training. Raises GenwrightError for a name that gives no
    groups, a band of a group that the data lack, and what nothing can tell in samples."""

    def __init__(self, opened: Opened, content: Content, watching: Watching):
        self.content = content
        self.dataset = opened.dataset()
        names = list(watching.groups)
        self.groupings = groupings(names, content, self.dataset)
        self.order: dict[str, tuple[str, ...]] = {}
        self.named: dict[str, tuple[str, ...]] = {}  # groups with a band
        for grouping, bands in zip(self.groupings, watching.groups.values(), strict=True):
            self.order[grouping.name] = self._groups(grouping, list(bands))
            self.named[grouping.name] = tuple(bands)

    def _groups(self, grouping: Grouping, named: Sequence[str]) -> tuple[str, ...]:
        """The groups that are recorded even where no sample is of them. named: those with a
        band."""
        known = grouping.order
        if not known:
            known = self._of_data(grouping, REAL)
        unknown = [group for group in named if group not in known]
        if unknown and grouping.rule is not None and not grouping.order:
            known = self._of_data(grouping, None)
            unknown = [group for group in named if group not in known]
        if unknown:
            raise GenwrightError(
                f"watching.groups gives {grouping.name} a band for {unknown[0]!r}, and the data"
                " have no such group",
                did_you_mean(unknown[0], known),
            )
        return known

    def _of_data(self, grouping: Grouping, most: int | None) -> tuple[str, ...]:
        """The groups of training examples. most: that are looked at, of a rule."""
        if grouping.rule is not None and most is not None:
            samples = self.content.sampler.real(self.dataset, "train", most)
            return groups_in(grouping.rule(samples))
        found = labelled([grouping], self.content, self.dataset, "train")
        return groups_in(found.labels[grouping.name])

    @cached_property
    def judges(self) -> Mapping[str, Judge]:
        """Of what only the data say, learned where they are not there yet."""
        wanted = [grouping.name for grouping in self.groupings if grouping.rule is None]
        if not wanted:
            return {}
        found: Mapping[str, Judge] = {}
        if isinstance(self.content, Audited):
            found = self.content.judges(self.dataset, wanted)
        for name in wanted:
            if name not in found:
                raise GenwrightError(
                    f"nothing tells the {name} of a {self.content.thing} that was made",
                    "leave it out of watching.groups, or name a measure or a list of words",
                )
            for group in self.named[name]:
                if group not in found[name].groups:
                    raise GenwrightError(
                        f"too few examples are {group} ({name}) for a network to learn that",
                        f"leave the band of {group} out of watching.groups",
                    )
        return found

    def measured(self, samples: Sequence[Sample]) -> dict[str, float]:
        """The shares of all groups with their intervals, as metrics; nothing of a grouping that no
        sample has a group of."""
        blind = [sample._replace(condition=None) for sample in samples]
        found: dict[str, float] = {}
        for grouping in self.groupings:
            judge = self.judges[grouping.name] if grouping.rule is None else None
            order = self.order[grouping.name]
            try:
                judged = judged_samples(grouping, judge, blind, order)
            except GenwrightError as problem:  # of figures alone: the training goes on
                log.warning("shares of %s are not known: %s", grouping.name, problem)
                continue
            if not judged.counts.total:
                continue
            for each in judged.shares:
                found |= metrics_of(each.group, grouping.name, each.share, each.low, each.high)
        return found


register("group_watch", "groups", WatchedGroups)
