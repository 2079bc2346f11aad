"""The jobs of a mix, shard by shard: which rule drops each document, which are copies, what is
taken and how often.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from genwright.core.corpus import RuleSet
from genwright.core.drafts import draft_beside
from genwright.core.kept_files import open_kept
from genwright.curation.attributes import found_labels, values_of
from genwright.curation.chance import chance, numbers_in
from genwright.curation.copies import (
    EXACT,
    Range,
    broken_kept,
    copies_of,
    drop_copies,
)
from genwright.curation.edits import bytes_read, edits_of
from genwright.curation.settings import LABELS, Filter, Mix, rule_sets
from genwright.curation.store import Shard, read_table
from genwright.data.cache import SPLITS, writing
from genwright.data.selection import MIX, SELECTION, write_selection
from genwright.data.sorted_runs import array_in
from genwright.data.workers import Work

DRAFT = "mix.draft"  # folder of a mix that is not done
DECIDED = "decided"  # folder in it, of reasons
SIDES = "sides"  # file in it: the number of each row of the clusters (`mix_sides.sides_of`)
UNWANTED = "mix.weight"  # reason of documents whose weight is 0
BUDGET = "mix.budget"  # of those that the budget leaves out


@dataclass(frozen=True)
class _Settings:
    """What a job needs of a recipe."""

    content: str
    sets: list[RuleSet]
    mix: Mix


def _recipe(shard: Shard, values: Mapping[str, Any]) -> _Settings:
    open_kept(shard.folder)
    filters = [Filter(**each) for each in values["filters"]]
    content = values["kind"]
    return _Settings(content, rule_sets(content, filters), Mix(**values["mix"]))


def decide(folder: str, key: str, recipe: dict[str, Any], copies: Range) -> list[str]:
    """Writes the first rule that each document of a shard breaks. Gives the ids, in hexadecimal as
    everywhere here, of documents that would stay as the kept ones of their copies, and break a
    rule. copies: as of `copies_of`."""
    shard = Shard(Path(folder), key)
    settings = _recipe(shard, recipe)
    table = read_table(shard.documents, ["id", *_labels_asked(settings)])
    labels = _labels_in(table)
    reasons = broken_rules(shard, settings.content, settings.sets, labels, len(table))
    if settings.mix.weights:
        weights = weights_of(settings.mix, _with_found(shard, settings, labels))
        reasons[(reasons == "") & (weights == 0)] = UNWANTED
    _write_reasons(shard, reasons)
    if not recipe["deduplicate"]:
        return []
    return broken_kept(copies_of(shard.folder, copies), table["id"], reasons)


def broken_rules(
    shard: Shard,
    content: str,
    sets: Sequence[RuleSet],
    labels: Mapping[str, np.ndarray],
    count: int,
) -> np.ndarray:
    """(documents,) of str objects: the reason of the first rule that each document breaks, ""
    for none. labels: of the documents, (documents,) each; count: of documents."""
    reasons = np.full(count, "", dtype=object)
    unbroken = np.ones(count, bool)
    rules = [rule for each in sets for rule in each.rules]
    values = values_of(shard, content, [rule.attribute for rule in rules])
    for rule in rules:
        broken = rule.breaks(rule.asked(values[rule.attribute], labels))
        reasons[broken & unbroken] = rule.reason
        unbroken &= ~broken
    return reasons


def weights_of(settings: Mix, labels: Mapping[str, np.ndarray]) -> np.ndarray:
    """How often each document is taken, on average, without a budget: (documents,), or (1,) where
    all have the same. labels: (documents,) of those that have weights."""
    weights = np.ones(1)
    for label, by_value in settings.weights.items():
        weights = weights * [by_value.get(value, 1.0) for value in labels[label].tolist()]
    return weights


def _labels_asked(settings: _Settings) -> list[str]:
    """The labels that weights and rules ask for."""
    of_rules = [rule.otherwise for each in settings.sets for rule in each.rules if rule.otherwise]
    return list(dict.fromkeys([*settings.mix.weights, *of_rules]))


def _labels_in(table: pa.Table) -> dict[str, np.ndarray]:
    """Of each label that was read: (documents,) of str objects."""
    found = {}
    for name in LABELS:
        if name in table.column_names:
            found[name] = np.array(table[name].to_pylist(), dtype=object)
    return found


def _with_found(
    shard: Shard, settings: _Settings, labels: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Labels as weights ask for them: what an attribute says of a document, where one is computed
    and says something, else what the source says. labels: (documents,) each, of the source."""
    found = dict(labels)
    attributes = found_labels(settings.content, settings.sets)
    wanted = {label: name for label, name in attributes.items() if label in settings.mix.weights}
    values = values_of(shard, settings.content, wanted.values())
    for label, name in wanted.items():
        found[label] = np.where(values[name] == "", labels[label], values[name])
    return found


def drop(
    folder: str, key: str, recipe: dict[str, Any], copies: Range, gone: list[str]
) -> tuple[float, list[tuple[str, str, float]]]:
    """Drops the copies of a shard. Gives the bytes of what is left (where there is a budget: of
    what training would read), times their weights, and the near copies that stay because what they
    resemble does not (`copies.Promoted`). gone: ids of documents that a rule drops, of those that
    the shard's copies resemble."""
    shard = Shard(Path(folder), key)
    if not _decided(shard).is_file():  # the last mix knew the result
        decide(folder, key, recipe, copies)
    settings = _recipe(shard, recipe)
    columns = dict.fromkeys(["bytes", "content", *settings.mix.weights])
    table = read_table(shard.documents, list(columns))
    sizes = table["bytes"].to_numpy()
    if settings.mix.tokens is not None:  # else nobody asks
        sizes = bytes_read(shard, sizes, edits_of(shard, settings.content, settings.sets))
        numbers = _numbers(shard, copies, table["content"], settings.mix)
        sizes[numbers < settings.mix.held_out] = 0  # a budget is of what is trained on
    labels = _with_found(shard, settings, _labels_in(table))
    weight = sizes * weights_of(settings.mix, labels)
    reasons = _reasons(shard)
    promoted = []
    if recipe["deduplicate"]:
        rows = drop_copies(copies_of(shard.folder, copies), reasons, gone)
        _write_reasons(shard, reasons)
        if rows:
            named = read_table(shard.documents, ["id", "content"])
            for row in rows:
                names = (named["id"][row].as_py().hex(), named["content"][row].as_py().hex())
                promoted.append((*names, float(weight[row])))
    return float(weight[reasons == ""].sum()), promoted


def select(
    folder: str,
    key: str,
    recipe: dict[str, Any],
    copies: Range,
    gone: list[str],
    scale: float,
    again: list[str],
    share: float,
) -> dict[str, Any]:
    """Writes the list and the selections of a shard. Gives its counts. gone: as of `drop`; scale:
    what weights are multiplied by; again: ids of documents that equal others which stay;
    share: that is held out."""
    shard = Shard(Path(folder), key)
    if not _decided(shard).is_file():  # the last mix knew the result
        drop(folder, key, recipe, copies, gone)
    settings = _recipe(shard, recipe)
    columns = dict.fromkeys(["id", "content", "bytes", "source", *settings.mix.weights])
    table = read_table(shard.documents, list(columns))
    place = shard.folder / DRAFT
    reasons = _reasons(shard)
    if again:
        ids = pa.array(list(map(bytes.fromhex, again)), pa.binary(16))
        equal = pc.is_in(table["id"], value_set=ids).to_numpy()
        reasons[equal & (reasons == "")] = EXACT
    held_out = _numbers(shard, copies, table["content"], settings.mix) < share
    labels = _with_found(shard, settings, _labels_in(table))
    expected = np.full(len(table), scale) * weights_of(settings.mix, labels)
    expected[held_out] = 1.0  # once: what is held out is measured, not repeated
    whole = np.floor(expected)
    more = chance(numbers_in(table["id"]), settings.mix.seed, "times") < expected - whole
    times = (whole + more).astype(np.int64)
    reasons[(reasons == "") & (times == 0)] = BUDGET
    times[reasons != ""] = 0
    split = np.where(held_out, SPLITS[1], SPLITS[0])
    edits = edits_of(shard, settings.content, settings.sets)
    edits = {row: own for row, own in edits.items() if times[row]}
    sizes = table["bytes"].to_numpy()
    read = np.where(times > 0, bytes_read(shard, sizes, edits), 0)
    listed = pa.table(
        {
            "row": pa.array(np.arange(len(times)), pa.int64()),
            "id": table["id"],
            "split": pa.array(split.tolist(), pa.string()),
            "times": pa.array(times, pa.int64()),
            "read": pa.array(read, pa.int64()),
            "reason": pa.array(reasons.tolist(), pa.string()),
        }
    )
    write_table(place / "list" / f"{key}.parquet", listed)
    for number, name in enumerate(SPLITS):
        taken = np.flatnonzero((times > 0) & (held_out == bool(number)))
        if not len(taken):
            continue
        path = place / name / f"{key}{SELECTION}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_selection(path, shard.documents, taken, times[taken], edits, lasting=False)
    made = sum(len(own) for own in edits.values())
    return _counts(labels["source"], sizes, read, times, split, reasons, made)


def _numbers(shard: Shard, copies: Range, content: pa.ChunkedArray, settings: Mix) -> np.ndarray:
    """(documents,) float64: a document is held out where its number is below the share. Equal
    documents have one number, by chance, and so has a cluster of near copies, whether or not copies
    are dropped. content: (documents,) of bytes."""
    numbers = chance(numbers_in(content), settings.seed, "side")
    rows = copies_of(shard.folder, copies).rows
    of_clusters = array_in(shard.folder / DRAFT / SIDES, np.float64)
    numbers[rows] = of_clusters[copies[0] : copies[1]]
    return numbers


def least(folder: str, key: str, recipe: dict[str, Any], copies: Range) -> list[list[float]]:
    """The two least numbers (`_numbers`) of clusters and texts of a shard: of those of which the
    mix that is made takes something, and of all."""
    shard = Shard(Path(folder), key)
    path = Path(DRAFT) / "list" / f"{key}.parquet"
    if not (shard.folder / path).is_file():  # as it was in the last mix
        path = Path(MIX) / path.relative_to(DRAFT)
    times = read_table(shard.folder / path, ["times"])["times"].to_numpy()
    content = read_table(shard.documents, ["content"])["content"]
    numbers = _numbers(shard, copies, content, Mix(**recipe["mix"]))
    return [np.unique(own)[:2].tolist() for own in (numbers[times > 0], numbers)]


def _counts(
    sources: np.ndarray,
    size: np.ndarray,
    read: np.ndarray,
    times: np.ndarray,
    split: np.ndarray,
    reasons: np.ndarray,
    edits: int,
) -> dict[str, Any]:
    """What `MixCounts.add` takes. sources, size (bytes that are stored),
    read (bytes that are read each time, 0 of what is dropped), ...: (documents,) each."""
    kept = times > 0
    by_source: dict[str, dict[str, int]] = {}
    for source in sorted(set(sources.tolist())):
        own = sources == source
        by_source[source] = {
            "documents": int(own.sum()),
            "bytes": int(size[own].sum()),
            "kept": int((own & kept).sum()),
            "kept bytes": int(read[own].sum()),
        }
    return {
        "documents": len(size),
        "bytes": int(size.sum()),
        "kept": {name: int((kept & (split == name)).sum()) for name in SPLITS},
        "kept_bytes": {name: int(read[split == name].sum()) for name in SPLITS},
        "repeated_bytes": int((read * times).sum()),
        "edits": edits,
        "dropped": dict(sorted(Counter(reasons[reasons != ""].tolist()).items())),
        "by_source": by_source,
    }


def _objects(column: pa.ChunkedArray) -> np.ndarray:
    """(documents,) of Python's objects."""
    return np.array(column.to_pylist(), dtype=object)


def _decided(shard: Shard) -> Path:
    """The file of a shard's reasons, while a mix is made."""
    return shard.folder / DRAFT / DECIDED / f"{shard.key}.parquet"


def _write_reasons(shard: Shard, reasons: np.ndarray) -> None:
    reason = pa.array(reasons.tolist(), pa.string())
    write_table(_decided(shard), pa.table({"reason": reason}))


def _reasons(shard: Shard) -> np.ndarray:
    return _objects(read_table(_decided(shard))["reason"])


def write_table(path: Path, table: pa.Table) -> None:
    """Writes a table, whole or not at all. It is not flushed to the disk: whoever keeps it does
    that."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = draft_beside(path)
        try:
            pq.write_table(table, draft, compression="zstd")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def _documents(job: dict[str, Any]) -> list[str]:
    return [str(Shard(Path(job["folder"]), job["key"]).documents)]


DECIDE = Work(decide, "deciding", _documents)
DROP = Work(drop, "dropping copies", _documents)
SELECT = Work(select, "mixing", _documents)
LEAST = Work(least, "looking for what is held out", _documents)
