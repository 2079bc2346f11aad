"""What the filters, the search for copies, the weights and the budget of a corpus removed, by group
of documents: does a step hit one group more often than the others?

1. The steps are the reasons of a mix in their order: rules, then weights, copies, the budget. Of
   each the rate of a group is what it removed of the documents of the group that came to it, that
   is, that no step before had removed. `all` is of all steps together.
2. Beside each rate stands its ratio to the rate of the others: of the documents that have a group,
   and not this one. So the two are apart, and the interval of the ratio is made of the limits of
   both (`evaluation.intervals.ratio`). 1 in the interval: nothing is shown.
3. Each interval holds with 95% by itself. Copies are not independent (`removed_rates.py`); other
   documents are taken to be.

Groups of fewer than 5 documents have no rate. Everything is counted shard by shard from what the
mix wrote; memory depends on the numbers of groups and reasons alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.progress import track
from genwright.curation.build import Corpus
from genwright.curation.chance import chance
from genwright.curation.copies import EXACT, NEAR, copies_of, ranges_of
from genwright.curation.look import list_of
from genwright.curation.mix import counts_of
from genwright.curation.mix_jobs import BUDGET, UNWANTED
from genwright.curation.recipe_file import as_mixed
from genwright.curation.removed_groups import DocumentGroups, Members, document_groups, members_of
from genwright.curation.removed_rates import ALONE, BINS, SIZE, no_counts, removal_rate
from genwright.curation.settings import LABELS
from genwright.curation.store import Shard, read_table
from genwright.evaluation.intervals import Ratio, Share, ratio

ALL = "all"  # the step that is all of them together
STAYS = ""  # reason of documents that are kept
EVERY = ""  # group of all documents that have one
AFTER_RULES = (UNWANTED, EXACT, NEAR, BUDGET)  # steps, in order


class Step(NamedTuple):
    """A step, or several in a row. reasons: for which it removes documents. before: those of
    earlier steps."""

    name: str
    reasons: tuple[str, ...]
    before: tuple[str, ...]


class Removal(NamedTuple):
    """What a step removed of a group. rate: of its documents that came to the step. others: the
    same of the documents of other groups. ratio: of the two; None where one of them is of too few
    documents."""

    step: str
    group: str
    rate: Share
    others: Share
    ratio: Ratio | None


@dataclass(frozen=True)
class RemovedOf:
    """What was removed by groups of one kind. groups: their names, that of most documents first.
    documents: of the corpus; silent: of them without a group. rows: by step, then by group."""

    name: str
    how: str
    groups: tuple[str, ...]
    documents: int
    silent: int
    rows: tuple[Removal, ...]

    def row(self, step: str, group: str) -> Removal:
        """What a step removed of a group. Raises KeyError."""
        for row in self.rows:
            if (row.step, row.group) == (step, group):
                return row
        raise KeyError(f"{step}, {group}")


# ---- the steps


def steps_of(counts: Mapping[str, object], reason: str = "") -> list[Step]:
    """The steps of a mix that removed something, in order, after all of them together. counts: as
    the mix wrote them. reason: this one alone, or those of one set of rules. Raises GenwrightError
    for a reason that no document was dropped for."""
    dropped = counts["dropped"]
    rules = counts["rules"]
    assert isinstance(dropped, dict) and isinstance(rules, list)
    order = list(dict.fromkeys([*(rule[0] for rule in rules), *AFTER_RULES, *sorted(dropped)]))
    order = [name for name in order if name in dropped]
    wanted = order
    if reason:
        wanted = [name for name in order if name == reason or name.startswith(f"{reason}.")]
        if not wanted:
            raise GenwrightError(
                f"no document was dropped for {reason!r}",
                did_you_mean(reason, dropped) if dropped else "none was dropped at all",
            )
    found = []
    if not reason:
        found.append(Step(ALL, tuple(order), ()))
    elif wanted != [reason]:
        first = order.index(wanted[0])
        found.append(Step(reason, tuple(wanted), tuple(order[:first])))
    for name in wanted:
        found.append(Step(name, (name,), tuple(order[: order.index(name)])))
    return found


# ---- counting


@dataclass
class Sums:
    """Documents by group and by reason. by: group -> reason -> (SIZE,) of documents, see
    `removed_rates`. silent: of no group."""

    by: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    silent: int = 0
    documents: int = 0

    def add(self, members: Members, reasons: np.ndarray, places: np.ndarray) -> None:
        """Counts documents. reasons: (documents,) of str objects; places: (documents,) below
        SIZE."""
        self._add(members.groups, members.rows, members.codes, reasons, places)
        any_group = np.unique(members.rows)
        self._add([EVERY], any_group, np.zeros_like(any_group), reasons, places)

    def _add(
        self,
        groups: Sequence[str],
        rows: np.ndarray,
        codes: np.ndarray,
        reasons: np.ndarray,
        places: np.ndarray,
    ) -> None:
        if not len(rows):
            return
        names, of_rows = np.unique(reasons[rows].astype(str), return_inverse=True)
        cells = codes * len(names) + of_rows.reshape(-1)  # (members,)
        keys, counts = np.unique(cells * SIZE + places[rows], return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            cell, place = divmod(key, SIZE)
            code, of_name = divmod(cell, len(names))
            by_reason = self.by.setdefault(groups[code], {})
            name = str(names[of_name])
            if name not in by_reason:
                by_reason[name] = no_counts()
            by_reason[name][place] += count

    def groups(self) -> tuple[str, ...]:
        """Their names, that of most documents first."""
        sizes = {}
        for group, by_reason in self.by.items():
            if group != EVERY:
                sizes[group] = sum(int(counts.sum()) for counts in by_reason.values())
        return tuple(sorted(sizes, key=lambda group: (-sizes[group], group)))

    def of(self, group: str, reasons: Sequence[str]) -> np.ndarray:
        """(SIZE,) documents of a group with one of these reasons."""
        by_reason = self.by.get(group, {})
        found = no_counts()
        for reason in reasons:
            found += by_reason.get(reason, 0)
        return found

    def came(self, group: str, step: Step) -> np.ndarray:
        """(SIZE,) documents of a group that came to a step."""
        return self.of(group, list(self.by.get(group, {}))) - self.of(group, step.before)

    def removal(self, step: Step, group: str) -> Removal:
        """What a step removed of a group, beside the others."""
        removed = self.of(group, step.reasons)
        came = self.came(group, step)
        rate = removal_rate(group, removed, came)
        removed_of_others = self.of(EVERY, step.reasons) - removed
        others = removal_rate("others", removed_of_others, self.came(EVERY, step) - came)
        beside = None
        if not rate.small and not others.small:
            beside = ratio(rate, others)
        return Removal(step.name, group, rate, others, beside)


def places_of(corpus: Corpus, shard: Shard, rows: tuple[int, int], documents: int) -> np.ndarray:
    """(documents,) where each document of a shard is counted: see `removed_rates`. rows: of the
    shard in the clusters."""
    places = np.full(documents, ALONE)
    copies = copies_of(corpus.folder, rows)
    # the highest bits of a cluster's number are those of a digest
    numbers = chance(copies.clusters.byteswap(), 0, "removed")
    places[copies.rows] = 1 + (numbers * BINS).astype(np.int64)
    return places


def removed_of(corpus: Corpus, several: Sequence[DocumentGroups]) -> list[Sums]:
    """Counts the documents of a corpus by groups, of each kind of them. corpus: with the recipe of
    its mix. Raises GenwrightError where the mix is of other documents."""
    found = [Sums() for _ in several]
    ranges = ranges_of(corpus.folder) if corpus.recipe.deduplicate is not None else {}
    for shard in track(corpus.shards, "counting what was removed"):
        listed = read_table(list_of(shard), ["reason"])["reason"].to_pylist()
        reasons = np.array(listed, dtype=object)
        if len(reasons) != shard.facts["documents"]:
            raise GenwrightError(
                f"the mix of {corpus.folder} is of other documents", "run genwright data mix again"
            )
        places = places_of(corpus, shard, ranges.get(shard.key, (0, 0)), len(reasons))
        for sums, groups in zip(found, several, strict=True):
            has_group = np.zeros(len(reasons), bool)
            for members in members_of(corpus, shard, groups):
                sums.add(members, reasons, places)
                has_group[members.rows] = True
            sums.silent += int((~has_group).sum())
            sums.documents += len(reasons)
    return found


def removals(
    corpus: Corpus, names: Sequence[str] = LABELS, reason: str = ""
) -> tuple[RemovedOf, ...]:
    """What was removed of a corpus by its last mix, by groups of each name. reason: of this one
    alone, or of all of one set of rules. Raises GenwrightError."""
    counts = counts_of(corpus.folder)
    mixed = Corpus(corpus.folder, as_mixed(corpus.recipe, counts), corpus.shards)
    steps = steps_of(counts, reason)
    several = document_groups(mixed, names)
    found = []
    for groups, sums in zip(several, removed_of(mixed, several), strict=True):
        names_found = sums.groups()
        rows = []
        for step in steps:
            rows += [sums.removal(step, group) for group in names_found]
        found.append(
            RemovedOf(
                groups.name, groups.how, names_found, sums.documents, sums.silent, tuple(rows)
            )
        )
    return tuple(found)
