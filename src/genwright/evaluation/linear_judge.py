"""A judge of an attribute that only the data say, over hashed features of examples.

1. Groups are the values that enough training examples have, and `NONE` where enough have none.
2. Two thirds of the training split's clusters are learned from: one linear classifier of each group
   against the others (`data/hashed_classifier.py`).
3. What they make of the other third and of the held-out split is kept with the judge: counts are
   corrected by that, and the more examples it rests on, the narrower are their intervals.

Probabilities are the softmax of the classifiers' logits. How well they are calibrated does not
matter, for they are corrected by what they make of examples whose groups are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from genwright.core.content import Sample
from genwright.core.groups import NONE, Judge, Known
from genwright.core.progress import task
from genwright.data.hashed_classifier import Features, Linear, joined, trained
from genwright.data.split import mixed

LEAST = 50  # training examples of a group that is recognised
MOST = 5_000  # examples that are learned from, and as many of those that are not
GROUPS = 24  # that are recognised, the commonest ones
PARTS = 3  # of the training split, of which the judge learns from all but one
AT_ONCE = 500
SEED = 2  # of the clusters that are not learned from


@dataclass(frozen=True)
class Described:
    """What features are made of. split: of examples of a split, by their places in `Known`;
    samples: of samples; by: what they are, for a person ("words and pairs of words")."""

    split: Callable[[str, np.ndarray], Features]
    samples: Callable[[Sequence[Sample]], Features]
    by: str


def linear_judges(
    train: Known, held_out: Known, attributes: Sequence[str], described: Described
) -> dict[str, Judge]:
    """A judge of each attribute of which an example has one value at most and of which two groups
    are frequent enough; the others are left out. Clusters of both splits are numbered together."""
    groups = {}
    for attribute in attributes:
        own = frequent(train.values[attribute])
        if own:
            groups[attribute] = own
    found: dict[str, Judge] = {}
    if not groups:
        return found
    apart = held_apart(train.clusters)
    learned = _chosen(np.flatnonzero(~apart))
    checked = _chosen(np.flatnonzero(apart))
    beside = _chosen(np.arange(len(held_out.names)))
    clusters = np.concatenate([train.clusters[checked], held_out.clusters[beside]])
    of_learned = _in_parts(described.split, "train", learned)
    of_checked = _in_parts(described.split, "train", checked)
    if len(beside):
        of_checked = joined([of_checked, _in_parts(described.split, "held_out", beside)])
    for attribute, names in groups.items():
        values = train.values[attribute]
        truth = _truth([values[number] for number in learned.tolist()], names)
        classifiers = _trained(attribute, names, of_learned, truth)
        others = [values[number] for number in checked.tolist()]
        others += [held_out.values[attribute][number] for number in beside.tolist()]
        own_truth = _truth(others, names)
        kept = own_truth >= 0
        found[attribute] = Judge(
            names,
            _judging(classifiers, described.samples),
            f"linear classifiers that learned {attribute} from {PARTS - 1} of {PARTS} parts of the"
            f" training split, by {described.by} alone",
            own_truth[kept],
            probabilities(classifiers, of_checked)[kept],
            clusters[kept],
        )
    return found


def frequent(values: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The groups that can be recognised, the commonest first, `NONE` last; () where an example has
    several values, or fewer than two groups are frequent. values: of each training example."""
    if any(len(own) > 1 for own in values):
        return ()
    counts = Counter(own[0] if own else NONE for own in values)
    without = counts.pop(NONE, 0)
    names = [name for name, count in counts.most_common(GROUPS) if count >= LEAST]
    if without >= LEAST:
        names.append(NONE)
    return tuple(names) if len(names) > 1 else ()


def held_apart(clusters: np.ndarray, seed: int = SEED) -> np.ndarray:
    """(n,) bool, of training examples: which a judge does not learn from, whole clusters."""
    every = np.unique(clusters)
    order = np.random.default_rng(seed).permutation(len(every))
    return np.isin(clusters, every[order[: len(every) // PARTS]])


def probabilities(classifiers: Sequence[Linear], features: Features) -> np.ndarray:
    """(examples, groups) float64 of sum 1, one classifier a group; NaN of one without a feature."""
    columns = [features.times(each.weights) + each.bias for each in classifiers]
    logits = np.stack(columns, 1) if len(columns[0]) else np.zeros((0, len(columns)))
    shifted = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
    found = shifted / shifted.sum(1, keepdims=True)
    found[np.diff(features.first) == 0] = np.nan
    return found


def _chosen(numbers: np.ndarray) -> np.ndarray:
    """MOST of some examples, by a hash of their numbers; rising."""
    order = np.argsort(mixed(numbers.astype(np.uint64)), kind="stable")
    return np.sort(numbers[order[:MOST]])


def _in_parts(
    features: Callable[[str, np.ndarray], Features], split: str, numbers: np.ndarray
) -> Features:
    """The features of examples, some at a time."""
    parts = [features(split, numbers[:0])]
    with task("reading examples for a judge", len(numbers)) as part:
        for start in range(0, len(numbers), AT_ONCE):
            some = numbers[start : start + AT_ONCE]
            parts.append(features(split, some))
            part.advance(len(some))
    return joined(parts)


def _truth(values: Sequence[tuple[str, ...]], groups: Sequence[str]) -> np.ndarray:
    """(n,) int64: which group each example is of; -1 of one that is too rare."""
    places = {name: place for place, name in enumerate(groups)}
    return np.array([places.get(own[0] if own else NONE, -1) for own in values], np.int64)


def _trained(
    attribute: str, groups: Sequence[str], features: Features, truth: np.ndarray
) -> list[Linear]:
    """One classifier of each group against the others. Examples of rare groups are left out."""
    kept = np.flatnonzero(truth >= 0)
    own = features.of(kept)
    labels = truth[kept]
    classifiers = []
    with task(f"learning to recognise {attribute}", len(groups)) as part:
        for place in range(len(groups)):
            classifiers.append(trained(own, labels == place))
            part.advance(1)
    return classifiers


def _judging(
    classifiers: Sequence[Linear], features: Callable[[Sequence[Sample]], Features]
) -> Callable[[Sequence[Sample]], np.ndarray]:
    """What judges samples."""

    def of(samples: Sequence[Sample]) -> np.ndarray:
        return probabilities(classifiers, features(samples))

    return of
