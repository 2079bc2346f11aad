"""The words that an audit is made of, as types: groups, how often they stand in examples, what is
known of the data, who judges samples.

A *group* is a name that examples can have (a tone of skin, a key, a language, "female" of a list of
words); a *grouping* is what gives the groups of one kind. An example has a group once (an
attribute), or several times (words of a text), or none: then it says nothing, which is counted,
too. What is judged of a sample is judged from its content alone, never from what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from genwright.core.content import Opened, Sample
from genwright.core.dataset import Dataset

NONE = "(none)"  # group of what a judge recognises as having no value of an attribute


class GroupCounts(NamedTuple):
    """How often each group stands in each example.

    groups: their names. counts: (examples, groups) int64. clusters: (examples,) int64: examples of
    one cluster (of one file, of one drawing and its variants) are not independent of each other."""

    groups: tuple[str, ...]
    counts: np.ndarray
    clusters: np.ndarray

    @property
    def total(self) -> int:
        """Of all groups in all examples."""
        return int(self.counts.sum())

    @property
    def silent(self) -> int:
        """Examples that say nothing."""
        return int((self.counts.sum(1) == 0).sum())


class Known(NamedTuple):
    """What the data say of the examples of a split.

    names: of each example. clusters: as of `GroupCounts`. values: attribute -> of each example the
    values that it has; () where nothing is known."""

    names: Sequence[str]
    clusters: np.ndarray
    values: Mapping[str, Sequence[tuple[str, ...]]]


@dataclass(frozen=True)
class Judge:
    """What tells which group a sample is of, from its content alone.

    groups: their names. of: samples -> (samples, groups) float64, probabilities of sum 1 in each
    row; a row of NaN says nothing. how: for a person, in a few words. truth, judged: the same of
    real held-out examples, (m,) which group each is of and (m, groups) what was judged; None for a
    rule, which is right by definition. clusters: (m,) int64, of those examples."""

    groups: tuple[str, ...]
    of: Callable[[Sequence[Sample]], np.ndarray]
    how: str
    truth: np.ndarray | None = None
    judged: np.ndarray | None = None
    clusters: np.ndarray | None = None


@runtime_checkable
class Audited(Protocol):
    """What a kind of content has besides, where its data say more of an example than its content
    does: methods of a subclass of `runs.content.Content`."""

    def known_attributes(self, dataset: Dataset) -> Sequence[str]:
        """Names of what the data say of their examples."""

    def known(self, dataset: Dataset, split: str, attributes: Sequence[str]) -> Known:
        """What the data say of every example of a split, in order, of these attributes."""

    def examples(self, dataset: Dataset, split: str, numbers: Sequence[int]) -> list[Sample]:
        """Examples of a split as samples, by their places in `known`."""

    def judges(self, dataset: Dataset, attributes: Sequence[str]) -> Mapping[str, Judge]:
        """What recognises attributes of the data in samples, of those that can be recognised."""

    def measurable(self, samples: Sequence[Sample], opened: Opened) -> list[Sample]:
        """Examples as a model can measure them at once: of long ones the beginning."""


class Lengths(NamedTuple):
    """How long examples are beside what is seen of one at once. tokens: (n,) int64. limit: tokens
    of a window. setting: what says so."""

    tokens: np.ndarray
    limit: int
    setting: str


@runtime_checkable
class Lengthy(Protocol):
    """What a kind of content has besides, whose examples may be longer than a window."""

    def lengths(self, dataset: Dataset, split: str) -> Lengths:
        """Of every example of a split, in the order of `Audited.known`."""


@runtime_checkable
class Prompting(Protocol):
    """What a kind of content has besides, whose examples give prompts for rollouts: those that are
    too long are left out."""

    def prompt_lengths(self, dataset: Dataset, split: str, rollout: Any) -> Lengths | None:
        """Of every example of a split the tokens of its prompt, -1 of one that gives none; None
        where prompts are not taken from examples. rollout: an `objectives.terms.Rollout`."""


@runtime_checkable
class Featured(Protocol):
    """What a kind of content has besides, where features of its own tell samples apart better than
    any measure."""

    def features(self, dataset: Dataset, samples: Sequence[Sample]) -> Tensor:
        """(samples, width) float32."""
