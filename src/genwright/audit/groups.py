"""Groupings: what gives the groups of examples, by the names that a person gives.

A name is, in this order:

1. a file of words with their groups (`core/lexicon.py`): each listed word of a text counts;
2. a measure of the content that gives a label (a key, a mode, a main hue), or
   an attribute of corpora that is a label (a text's language): the rule looks at what is there;
3. what the data say of their examples (a tone of skin, a document's source). In samples it is
   recognised by a judge, whose counts are corrected by what it makes of held-out examples.

The same rule is used for data and samples, so that their shares can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genwright.core.content import Measure, Sample
from genwright.core.corpus import attributes_of
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.groups import NONE, Audited, GroupCounts, Known
from genwright.core.lexicon import Lexicon, is_list, read_lexicon
from genwright.core.progress import task
from genwright.core.registry import kinds, measures_of
from genwright.runs.content import Content

AT_ONCE = 512  # examples that are decoded together

Labels = Sequence[tuple[str, ...]]  # of each example its groups, one as often as it stands there
Rule = Callable[[Sequence[Sample]], Labels]


@dataclass(frozen=True)
class Grouping:
    """What gives the groups of one kind. name; how: for a person. rule: of samples; None for what
    only the data say. order: the groups that there can be, where that is known beforehand.
    mentions: whether an example may have a group several times. counted: what is counted, in the
    plural, "" for the examples themselves."""

    name: str
    how: str
    rule: Rule | None
    order: tuple[str, ...] = ()
    mentions: bool = False
    counted: str = ""


def groupings(names: Sequence[str], content: Content, dataset: Dataset) -> list[Grouping]:
    """The groupings of these names; without any, all that the data say of their examples, and if
    that is nothing, all rules that give labels. Raises GenwrightError for a name that is none, or
    is given twice."""
    rules = _rules(content)
    known = _known_attributes(content, dataset)
    if not names:
        names = known or list(rules)
        if not names:
            raise GenwrightError(
                f"nothing gives groups of {content.thing}s of these data",
                "give --groups FILE.csv, a list of words with their groups,"
                " or data with attributes (attributes.csv)",
            )
    found = []
    for name in names:
        if is_list(name):
            found.append(_of_words(read_lexicon(name), content))
        elif name in rules:
            found.append(rules[name])
        elif name in known:
            found.append(Grouping(name, "what the data say", None))
        else:
            raise GenwrightError(
                f"{name!r} gives no groups of these data", did_you_mean(name, [*known, *rules])
            )
    twice = {each.name for each in found if sum(other.name == each.name for other in found) > 1}
    if twice:
        raise GenwrightError(f"{min(twice)} is given twice in --groups", "leave one of them out")
    return found


def _known_attributes(content: Content, dataset: Dataset) -> list[str]:
    if isinstance(content, Audited):
        return list(content.known_attributes(dataset))
    return []


def _rules(content: Content) -> dict[str, Grouping]:
    """Name -> what gives labels by a rule."""
    found = {}
    for name, measure in measures_of(content.kind).items():
        if isinstance(measure, Measure) and measure.gives == "label":
            how = measure.detail or f"{name}, by the {content.thing} itself"
            found[name] = Grouping(name, how, _by_measure(measure))
    if content.kind not in kinds("corpus"):  # whose documents are texts
        for group in attributes_of(content.kind).values():
            for column in group.columns:
                if column.kind == "label" and group.of is not None:
                    rule = _by_attribute(group.of, column.name, content)
                    found[column.name] = Grouping(column.name, column.detail, rule)
    return found


def _blind(samples: Sequence[Sample]) -> list[Sample]:
    """The samples without what was asked for: a rule judges what is there."""
    return [sample._replace(condition=None) for sample in samples]


def _by_measure(measure: Measure) -> Rule:
    def rule(samples: Sequence[Sample]) -> Labels:
        found: list[tuple[str, ...]] = []
        for label in measure.values(_blind(samples)):
            says_nothing = label is None or label != label
            found.append(() if says_nothing else (str(label),))
        return found

    return rule


def _by_attribute(of: Any, column: str, content: Content) -> Rule:
    def rule(samples: Sequence[Sample]) -> Labels:
        labels = of([content.as_text(sample) for sample in samples])[column]
        return [(label,) if label else () for label in labels]

    return rule


def _of_words(lexicon: Lexicon, content: Content) -> Grouping:
    """Raises GenwrightError for content that is no text."""
    if type(content).as_text is Content.as_text:
        raise GenwrightError(
            f"{lexicon.name} is a list of words, and {content.thing}s have none",
            "name an attribute of the data instead",
        )

    def rule(samples: Sequence[Sample]) -> Labels:
        found = []
        for sample in samples:
            words = lexicon.found(content.as_text(sample))
            found.append(tuple(group for _, _, group in words))
        return found

    how = f"{len(lexicon.words)} listed words"
    return Grouping(lexicon.name, how, rule, lexicon.groups, mentions=True, counted="words")


# ---- the groups of data


@dataclass(frozen=True)
class Labelled:
    """The examples of a split with their groups. names: of the examples. clusters: (n,). labels:
    name of a grouping -> of each example its groups."""

    names: Sequence[str]
    clusters: np.ndarray
    labels: dict[str, Labels]


def labelled(found: Sequence[Grouping], content: Content, dataset: Dataset, split: str) -> Labelled:
    """Every example of a split with its groups, in memory that holds names and groups alone."""
    said = [grouping.name for grouping in found if grouping.rule is None]
    ruled = [grouping for grouping in found if grouping.rule is not None]
    if not isinstance(content, Audited):
        return _of_few(ruled, content, dataset, split)
    known: Known = content.known(dataset, split, said)
    labels: dict[str, Any] = {name: known.values[name] for name in said}
    labels |= {grouping.name: [] for grouping in ruled}
    count = len(known.names)
    if ruled:
        with task(f"finding groups of {content.thing}s", count) as part:
            for samples in _in_parts(content, dataset, split, count):
                for grouping in ruled:
                    assert grouping.rule is not None
                    labels[grouping.name] += grouping.rule(samples)
                part.advance(len(samples))
    ordered = {grouping.name: labels[grouping.name] for grouping in found}
    return Labelled(known.names, known.clusters, ordered)


def _in_parts(
    content: Audited, dataset: Dataset, split: str, count: int
) -> Iterator[Sequence[Sample]]:
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        yield content.examples(dataset, split, list(numbers))


def _of_few(ruled: Sequence[Grouping], content: Content, dataset: Dataset, split: str) -> Labelled:
    """Of content of which a sampler alone gives real examples, all at once."""
    many = dataset.held_out(split=split).windows
    samples = content.sampler.real(dataset, split, many)
    labels = {}
    for grouping in ruled:
        assert grouping.rule is not None
        labels[grouping.name] = grouping.rule(samples)
    names = [f"{content.thing} {number}" for number in range(len(samples))]
    return Labelled(names, np.arange(len(samples)), labels)


def groups_in(labels: Labels, order: Sequence[str] = ()) -> tuple[str, ...]:
    """The groups that labels name: those of `order` first, the others sorted."""
    seen: set[str] = set()
    for own in labels:
        seen.update(own)
    return (*order, *sorted(seen - set(order)))


def counted(labels: Labels, clusters: np.ndarray, groups: Sequence[str]) -> GroupCounts:
    """Labels as counts. groups: that are counted; labels of others say nothing."""
    places = {group: place for place, group in enumerate(groups)}
    counts = np.zeros((len(labels), len(groups)), np.int64)
    for row, own in zip(counts, labels, strict=True):
        for label in own:
            place = places.get(label)
            if place is not None:
                row[place] += 1
    return GroupCounts(tuple(groups), counts, np.asarray(clusters, np.int64))


def without_none(groups: Sequence[str]) -> tuple[str, ...]:
    """The groups that say something."""
    return tuple(group for group in groups if group != NONE)
