"""The numbers of a corpus's page, counted again from what is on disk, document by document: what
became of everything, by its labels; which documents stand as examples; what values the attributes
of rules have.

Shards are read in batches; what is held in memory grows with the number of different labels and
reasons, and not with the number of documents.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genwright.core.corpus import Rule
from genwright.core.errors import GenwrightError
from genwright.core.progress import track
from genwright.curation.attributes import columns_of, found_labels, needed, values_file
from genwright.curation.build import Corpus
from genwright.curation.chance import chance, numbers_in
from genwright.curation.look import list_of
from genwright.curation.page_values import Bins, Spread, bins_of
from genwright.curation.store import Shard
from genwright.data.cache import SPLITS

ROWS = 1 << 13  # of a batch
DROPPED = "dropped"
FATES = (*SPLITS, DROPPED)
DOCUMENT_LABELS = ("source", "licence", "language")
MEASURED = "measured "  # beginning of the names of attributes beside those of documents
DECIDED = ("row", "id", "split", "times", "read", "reason")  # columns of the list of a mix
EXAMPLES = 3  # documents of a reason, by chance


@dataclass
class Count:
    """Documents, and their bytes."""

    documents: int = 0
    bytes: int = 0

    def add(self, documents: int, size: int) -> None:
        """Counts more."""
        self.documents += documents
        self.bytes += size


Fates = dict[str, Count]  # what became of documents (FATES) -> how many


class Place(NamedTuple):
    """Where a document stands. number: of chance; of several places those with the least are shown.
    row: as text, so that places sort as in `look.dropped`."""

    number: float
    key: str
    row: str


@dataclass
class Numbers:
    """What a page says in numbers.

    by: label -> value -> what became of its documents: the labels of documents, as attributes say
    them, else as sources do; and other labels of attributes. attribute_of: label of documents ->
    the attribute that says it. reasons: reason -> documents that were dropped for it. breaking:
    likewise, documents that break the rule, whatever they were dropped for. examples: reason ->
    places. read: split -> bytes of its documents as they are read, with their edits. repeated:
    bytes that are read for training, with repetitions. spreads, bins: attribute -> its
    values."""

    by: dict[str, dict[str, Fates]] = field(default_factory=dict)
    attribute_of: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, Count] = field(default_factory=dict)
    breaking: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[Place]] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    repeated: int = 0
    spreads: dict[str, Spread] = field(default_factory=dict)
    bins: dict[str, Bins] = field(default_factory=dict)

    @property
    def fates(self) -> Fates:
        """What became of all documents."""
        return summed(self.by["source"].values())

    @property
    def total(self) -> Count:
        """All documents."""
        return total(self.fates)


def no_fates() -> Fates:
    """Nothing, of each fate."""
    return {fate: Count() for fate in FATES}


def summed(several: Iterable[Fates]) -> Fates:
    """Fates together."""
    found = no_fates()
    for fates in several:
        for fate, count in fates.items():
            found[fate].add(count.documents, count.bytes)
    return found


def total(fates: Fates) -> Count:
    """Whatever became of them."""
    found = Count()
    for count in fates.values():
        found.add(count.documents, count.bytes)
    return found


def rules_in(corpus: Corpus) -> list[Rule]:
    """The rules of the filters, in order."""
    return [rule for each in corpus.recipe.rule_sets() for rule in each.rules]


def labels_in(corpus: Corpus) -> list[str]:
    """The labels that attributes give, of the groups that the filters need."""
    found = []
    for group in needed(corpus.recipe.kind, corpus.recipe.rule_sets()):
        found += [column.name for column in group.columns if column.kind == "label"]
    return found


def numbers_of(corpus: Corpus) -> Numbers:
    """Counts a corpus as its mix left it. corpus: with the recipe of the mix. Raises
    GenwrightError where the mix is of other documents, or attributes are missing."""
    rules = rules_in(corpus)
    labels = labels_in(corpus)
    bounded: dict[str, list[Rule]] = {}  # attribute -> its rules
    for rule in rules:
        if rule.attribute not in labels:
            bounded.setdefault(rule.attribute, []).append(rule)
    of_documents = found_labels(corpus.recipe.kind, corpus.recipe.rule_sets())
    others = [MEASURED + label for label in labels if label not in of_documents.values()]
    found = Numbers(
        by={label: {} for label in (*DOCUMENT_LABELS, *others)},
        attribute_of=of_documents,
        breaking=dict.fromkeys((rule.reason for rule in rules), 0),
        spreads={name: Spread() for name in bounded},
    )
    by_reason: dict[str, list[Rule]] = {}
    for rule in rules:
        by_reason.setdefault(rule.reason, []).append(rule)
    wanted = [*labels, *bounded]
    for shard in track(corpus.shards, "counting"):
        for batch in batches(corpus, shard, ("bytes", *DOCUMENT_LABELS), wanted):
            _count(found, batch)
            _pick(found.examples, batch, shard)
            for name in bounded:
                found.spreads[name].add(batch[MEASURED + name].to_numpy())
            for reason, own in by_reason.items():
                found.breaking[reason] += _breaking(batch, own)
    for name, own in bounded.items():
        _, column = columns_of(corpus.recipe.kind)[name]
        found.bins[name] = bins_of(found.spreads[name], own, column)
    for shard in track(corpus.shards, "sorting values into bins"):
        for batch in batches(corpus, shard, (), list(bounded)):
            kept = batch["times"].to_numpy() > 0
            for name in bounded:
                found.bins[name].add(batch[MEASURED + name].to_numpy(), kept)
    return found


def batches(
    corpus: Corpus, shard: Shard, columns: Sequence[str], attributes: Sequence[str]
) -> Iterator[pa.Table]:
    """The rows of a shard, at most ROWS at once: columns of its documents, attributes (their names
    begin with MEASURED), and what the mix decided (DECIDED). Raises GenwrightError where these do
    not fit together."""
    by_path = {list_of(shard): list(DECIDED)}
    if columns:
        by_path[shard.documents] = list(columns)
    for name in attributes:
        group, _ = columns_of(corpus.recipe.kind)[name]
        by_path.setdefault(values_file(shard, group), []).append(name)
    files = [pq.ParquetFile(path) for path in by_path]
    try:
        if not set(DECIDED) <= set(files[0].schema_arrow.names):
            raise GenwrightError(
                f"the mix of {corpus.folder} was made by an earlier version, which did not count"
                " what is read",
                f"run genwright data mix {corpus.folder}",
            )
        if len({file.metadata.num_rows for file in files}) > 1:
            raise GenwrightError(
                f"the mix of {corpus.folder} is of other documents", "run genwright data mix again"
            )
        readers = [
            file.iter_batches(ROWS, columns=names)
            for file, names in zip(files, by_path.values(), strict=True)
        ]
        own = (list_of(shard), shard.documents)
        beginnings = ["" if path in own else MEASURED for path in by_path]
        for parts in zip(*readers, strict=True):
            merged = {}
            for beginning, part in zip(beginnings, parts, strict=True):
                for name, column in zip(part.schema.names, part.columns, strict=True):
                    merged[beginning + name] = column
            yield pa.table(merged)
    finally:
        for file in files:
            file.close()


def _breaking(batch: pa.Table, rules: Sequence[Rule]) -> int:
    """How many documents break one of the rules."""
    labels = {}
    if any(rule.otherwise for rule in rules):
        labels = {name: _labels(batch, name) for name in DOCUMENT_LABELS}
    broken = np.zeros(len(batch), bool)
    for rule in rules:
        name = MEASURED + rule.attribute
        if pa.types.is_floating(batch[name].type):
            values = batch[name].to_numpy()
        else:
            values = _labels(batch, name)
        broken |= rule.breaks(rule.asked(values, labels))
    return int(broken.sum())


def _labels(batch: pa.Table, name: str) -> np.ndarray:
    """(documents,) of str objects."""
    return np.array([value or "" for value in batch[name].to_pylist()], dtype=object)


def _count(found: Numbers, batch: pa.Table) -> None:
    """Adds a batch to the counts."""
    times = batch["times"].to_numpy()
    splits = np.array(batch["split"].to_pylist(), dtype=object)
    read = batch["read"].to_numpy()
    for split in SPLITS:
        found.read[split] += int(read[splits == split].sum())
    found.repeated += int((times * read)[splits == SPLITS[0]].sum())
    fates = np.where(times > 0, splits, DROPPED)
    table = batch.append_column("fate", pa.array(fates.tolist(), pa.string()))
    for label, name in found.attribute_of.items():
        values_found = _labels(batch, MEASURED + name)
        values_said = np.where(values_found == "", _labels(batch, label), values_found)
        column = pa.array(values_said.tolist(), pa.string())
        table = table.set_column(table.schema.get_field_index(label), label, column)
    for label, values in found.by.items():
        for value, fate, documents, size in _grouped(table, label, "fate"):
            values.setdefault(value, no_fates())[fate].add(documents, size)
    for reason, fate, documents, size in _grouped(table, "reason", "fate"):
        if fate == DROPPED:
            found.reasons.setdefault(reason, Count()).add(documents, size)


def _grouped(table: pa.Table, label: str, fate: str) -> Iterator[tuple[str, str, int, int]]:
    """(value, fate, documents, bytes) of each value of a label and each fate."""
    grouped = table.group_by([label, fate], use_threads=False)
    counted = grouped.aggregate([("bytes", "count"), ("bytes", "sum")])
    names = (label, fate, "bytes_count", "bytes_sum")
    for value, became, documents, size in zip(
        *(counted[name].to_pylist() for name in names), strict=True
    ):
        yield value or "", became, documents, size


def _pick(examples: dict[str, list[Place]], batch: pa.Table, shard: Shard) -> None:
    """Keeps the places of those dropped that have the least numbers, of each reason. The numbers
    are those of `look.dropped`, so that both show the same."""
    reasons = np.array(batch["reason"].to_pylist(), dtype=object)
    places = np.flatnonzero(reasons != "")
    if not len(places):
        return
    rows = batch["row"].to_numpy()
    numbers = chance(numbers_in(batch["id"]), 0, "shown")[places]
    taken: dict[str, int] = {}  # of this batch
    for nth in np.argsort(numbers, kind="stable").tolist():
        place = places[nth]
        reason = reasons[place]
        count = taken.get(reason, 0)
        if count < EXAMPLES:
            taken[reason] = count + 1
            new = Place(float(numbers[nth]), shard.key, str(rows[place]))
            examples[reason] = heapq.nsmallest(EXAMPLES, [*examples.get(reason, ()), new])
