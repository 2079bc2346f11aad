"""What is measured once of a run, for all groupings: losses of held-out examples, features of
samples and of training examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from genwright.audit.by_group import GroupLoss, GroupQuality, group_losses, group_quality
from genwright.audit.cut import CutFound, cut_found
from genwright.audit.drawn import features_of
from genwright.audit.found import GroupsFound
from genwright.audit.groups import Grouping, Labelled, Labels, counted, labelled
from genwright.audit.held_out import HeldOut, held_out_of
from genwright.audit.judged import Judged
from genwright.audit.losses import Losses, losses
from genwright.audit.opened import Opening
from genwright.core.content import Sample
from genwright.core.groups import Audited
from genwright.evaluation.distances import Memory

MEASURED = 2000  # held-out examples whose loss is measured, at most
REAL = 4000  # training examples that samples are compared with, at most


@dataclass(frozen=True)
class Features:
    """Features by which samples are compared. made: of samples; real: of training examples, and
    numbers: which; memory: tells copies, where something is held out."""

    made: Tensor
    real: Tensor
    numbers: Sequence[int]
    memory: Memory | None


@dataclass(frozen=True)
class Measured:
    """numbers: held-out examples that were measured; held_out: groups of all of them; in_data: of
    training examples. cut: held-out examples of which the beginning alone is measured."""

    numbers: Sequence[int]
    losses: Losses | None
    held_out: Labelled | None
    in_data: Labelled
    features: Features | None
    cut: Sequence[CutFound] = ()

    @classmethod
    def of(
        cls,
        of: Opening,
        asked: Sequence[Grouping],
        samples: Sequence[Sample],
        in_data: Labelled,
    ) -> Measured:
        """Measures a run."""
        if not isinstance(of.content, Audited):
            return cls((), None, None, in_data, None)
        features = _features(of, of.content, samples, in_data)
        held_out = labelled(asked, of.content, of.dataset, "held_out")
        numbers = _spread(len(held_out.names), MEASURED)
        if not numbers:
            return cls((), None, None, in_data, features)
        examples = of.content.examples(of.dataset, "held_out", numbers)
        fitting = of.content.measurable(examples, of.opened)
        found = losses(of.opened, of.content.sampler, fitting, of.seed)
        cut = cut_found(asked, held_out, of.content, of.dataset, "held_out", "held-out data")
        return cls(numbers, found, held_out, in_data, features, cut)

    @property
    def loss(self) -> float | None:
        """Over all measured examples, a unit; None where nothing was measured."""
        if self.losses is None or not self.losses.count.sum():
            return None
        return float(self.losses.total.sum() / self.losses.count.sum())

    @property
    def single(self) -> HeldOut | None:
        """Of each measured example; None where nothing was measured."""
        if self.losses is None or self.held_out is None:
            return None
        names = [self.held_out.names[number] for number in self.numbers]
        return held_out_of(self.losses, names, self.held_out.clusters[list(self.numbers)])

    def members_of(self, grouping: Grouping, own: GroupsFound) -> dict[str, list[int]]:
        """group -> which measured examples are of it. own: the groups of the data."""
        if self.losses is None or self.held_out is None:
            return {}
        members: dict[str, list[int]] = {share.group: [] for share in own.shares}
        labels = self.held_out.labels[grouping.name]
        for place, number in enumerate(self.numbers):
            for group in dict.fromkeys(labels[number]):
                if group in members:
                    members[group].append(place)
        return members

    def losses_of(self, grouping: Grouping, own: GroupsFound, seed: int) -> list[GroupLoss]:
        """The loss by group. own: the groups of the data."""
        if self.losses is None or self.held_out is None:
            return []
        labels = [self.held_out.labels[grouping.name][number] for number in self.numbers]
        groups = [share.group for share in own.shares]
        clusters = self.held_out.clusters[list(self.numbers)]
        counts = counted(labels, clusters, groups)
        return group_losses(self.losses, counts.counts, groups, seed, counts.clusters)

    def quality_of(
        self, grouping: Grouping, own: GroupsFound, judged: Judged, seed: int
    ) -> list[GroupQuality]:
        """How well each group is covered; nothing where there are no features, or an example may
        have several groups."""
        if self.features is None or grouping.mentions:
            return []
        groups = [share.group for share in own.shares]
        labels = self.in_data.labels[grouping.name]
        features = self.features
        real = _places([labels[number] for number in features.numbers], groups)
        made = _places(judged.labels, groups)
        return group_quality(
            features.real, real, features.made, made, groups, features.memory, seed
        )


def _features(
    of: Opening, content: Audited, samples: Sequence[Sample], in_data: Labelled
) -> Features | None:
    made = features_of(of.content, of.dataset, samples)
    if made is None:
        return None
    numbers = _spread(len(in_data.names), REAL)
    real = features_of(of.content, of.dataset, content.examples(of.dataset, "train", numbers))
    memory = None
    held = _spread(len(content.known(of.dataset, "held_out", []).names), REAL)
    if held and real is not None:
        examples = content.examples(of.dataset, "held_out", held)
        memory = Memory(real, features_of(of.content, of.dataset, examples))
    return Features(made, real, numbers, memory)


def _spread(many: int, most: int) -> list[int]:
    """Numbers of at most `most` of many examples, from all over."""
    size = min(many, most)
    return [number * many // size for number in range(size)]


def _places(labels: Labels, groups: Sequence[str]) -> np.ndarray:
    """(n,) int64: the group of each example, -1 of none or of several."""
    places = {group: place for place, group in enumerate(groups)}
    found = []
    for own in labels:
        found.append(places.get(own[0], -1) if len(own) == 1 else -1)
    return np.array(found, np.int64)
