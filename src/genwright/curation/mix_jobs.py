"""The jobs of a mix, shard by shard: which rule drops each document, which are copies, what is
taken and how often.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genwright.core.corpus import RuleSet
from genwright.core.errors import GenwrightError
from genwright.core.files import flush
from genwright.curation.attributes import values_of
from genwright.curation.copies import EXACT, broken_kept, copies_of, drop_copies
from genwright.curation.edits import edits_of
from genwright.curation.settings import Filter, Mix, rule_sets
from genwright.curation.store import Shard, read_table
from genwright.data.cache import SPLITS, writing
from genwright.data.selection import SELECTION, write_selection
from genwright.data.workers import Work

DRAFT = "mix.draft"  # folder of a mix that is not done
SIDES = "sides.parquet"  # of clusters, in the mix of before
UNWANTED = "mix.weight"  # reason of documents whose weight is 0
BUDGET = "mix.budget"  # of those that the budget leaves out
LABELS = ("source", "licence", "language")


@dataclass(frozen=True)
class _Settings:
    """What a job needs of a recipe."""

    content: str
    sets: list[RuleSet]
    mix: Mix


def _recipe(values: Mapping[str, Any]) -> _Settings:
    filters = [Filter(**each) for each in values["filters"]]
    content = values["kind"]
    return _Settings(content, rule_sets(content, filters), Mix(**values["mix"]))


def decide(folder: str, key: str, recipe: dict[str, Any]) -> list[bytes]:
    """Writes the first rule that each document of a shard breaks. Gives the ids of documents that
    would stay as the kept ones of their copies, and break a rule."""
    shard = Shard(Path(folder), key)
    settings = _recipe(recipe)
    rows = _metadata(shard)
    reasons = broken_rules(shard, recipe["kind"], settings.sets, rows)
    reasons[(reasons == "") & (weights_of(settings.mix, rows) == 0)] = UNWANTED
    _write_reasons(shard, reasons)
    if not recipe["deduplicate"]:
        return []
    return broken_kept(copies_of(shard.folder, key), rows["id"], reasons)


def broken_rules(
    shard: Shard, content: str, sets: Sequence[RuleSet], rows: Mapping[str, np.ndarray]
) -> np.ndarray:
    """(documents,) of str objects: the reason of the first rule that each document breaks, ""
    for none. rows: the labels of the documents, among others."""
    reasons = np.full(len(rows["bytes"]), "", dtype=object)
    rules = [rule for each in sets for rule in each.rules]
    values = values_of(shard, content, [rule.attribute for rule in rules])
    for rule in rules:
        broken = rule.breaks(rule.asked(values[rule.attribute], rows))
        reasons[broken & (reasons == "")] = rule.reason
    return reasons


def weights_of(settings: Mix, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """(documents,) how often each is taken, on average, without a budget."""
    count = len(rows["bytes"])
    weights = np.ones(count)
    for label, by_value in settings.weights.items():
        if label not in LABELS:
            raise GenwrightError(
                f"mix.weights names {label!r}", f"it must be one of {', '.join(LABELS)}"
            )
        weights *= [by_value.get(value, 1.0) for value in rows[label].tolist()]
    return weights


def drop(
    folder: str, key: str, recipe: dict[str, Any], broken: list[bytes]
) -> tuple[float, list[tuple[bytes, bytes, float]]]:
    """Drops the copies of a shard. Gives the bytes of what is left, times their weights, and the
    near copies that stay because what they resemble does not (`copies.Promoted`)."""
    shard = Shard(Path(folder), key)
    settings = _recipe(recipe)
    rows = _metadata(shard)
    reasons = _reasons(shard)
    promoted = []
    weight = rows["bytes"] * weights_of(settings.mix, rows)
    if recipe["deduplicate"]:
        for row in drop_copies(copies_of(shard.folder, key), reasons, broken):
            promoted.append((rows["id"][row], rows["content"][row], float(weight[row])))
        _write_reasons(shard, reasons)
    return float(weight[reasons == ""].sum()), promoted


def select(
    folder: str, key: str, recipe: dict[str, Any], scale: float, again: list[bytes]
) -> dict[str, Any]:
    """Writes the list and the selections of a shard. Gives its counts. again: ids of documents that
    equal others which stay."""
    shard = Shard(Path(folder), key)
    settings = _recipe(recipe)
    rows = _metadata(shard)
    place = shard.folder / DRAFT
    reasons = _reasons(shard)
    if again:
        equal = np.isin(rows["id"], np.array(again, dtype=object))
        reasons[equal & (reasons == "")] = EXACT
    held_out = _held_out(shard, rows["content"], settings.mix)
    expected = weights_of(settings.mix, rows) * scale
    expected[held_out] = 1.0  # once: what is held out is measured, not repeated
    whole = np.floor(expected)
    more = chance(rows["id"], settings.mix.seed, "times") < expected - whole
    times = (whole + more).astype(np.int64)
    reasons[(reasons == "") & (times == 0)] = BUDGET
    times[reasons != ""] = 0
    split = np.where(held_out, SPLITS[1], SPLITS[0])
    listed = pa.table(
        {
            "row": pa.array(np.arange(len(times)), pa.int64()),
            "id": pa.array(rows["id"].tolist(), pa.binary(16)),
            "split": pa.array(split.tolist(), pa.string()),
            "times": pa.array(times, pa.int64()),
            "reason": pa.array(reasons.tolist(), pa.string()),
        }
    )
    write_table(place / "list" / f"{key}.parquet", listed)
    edits = edits_of(shard, settings.content, settings.sets)
    made = 0
    for number, name in enumerate(SPLITS):
        taken = np.flatnonzero((times > 0) & (held_out == bool(number)))
        if not len(taken):
            continue
        own = [edits[row] if edits is not None else [] for row in taken.tolist()]
        made += sum(map(len, own))
        path = place / name / f"{key}{SELECTION}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_selection(path, shard.documents, taken, times[taken], own)
    return _counts(rows, times, split, reasons, made)


def _held_out(shard: Shard, content: np.ndarray, settings: Mix) -> np.ndarray:
    """(documents,) bool. Equal documents have one side, and all of a cluster of near copies,
    whether or not copies are dropped: the side that its members had before, else one by chance."""
    names = content.copy()
    copies = copies_of(shard.folder, shard.key)
    for row, cluster in zip(copies.rows.tolist(), copies.clusters.tolist(), strict=True):
        names[row] = cluster.to_bytes(8, "big")
    held_out = chance(names, settings.seed, "side") < settings.held_out
    if not settings.held_out or not len(copies.rows):
        return held_out
    recorded = read_table(shard.folder / DRAFT / SIDES)
    known = recorded["cluster"].to_numpy()
    place = np.searchsorted(known, copies.clusters)
    found = np.flatnonzero(np.isin(copies.clusters, known))
    sides = recorded["held_out"].to_numpy(zero_copy_only=False)
    held_out[copies.rows[found]] = sides[place[found]]
    return held_out


def _counts(
    rows: Mapping[str, np.ndarray],
    times: np.ndarray,
    split: np.ndarray,
    reasons: np.ndarray,
    edits: int,
) -> dict[str, Any]:
    """What `MixCounts.add` takes."""
    size = rows["bytes"]
    kept = times > 0
    by_source: dict[str, dict[str, int]] = {}
    for source in sorted(set(rows["source"].tolist())):
        own = rows["source"] == source
        by_source[source] = {
            "documents": int(own.sum()),
            "bytes": int(size[own].sum()),
            "kept": int((own & kept).sum()),
            "kept bytes": int(size[own & kept].sum()),
        }
    return {
        "documents": len(size),
        "bytes": int(size.sum()),
        "kept": {name: int((kept & (split == name)).sum()) for name in SPLITS},
        "kept_bytes": {name: int(size[kept & (split == name)].sum()) for name in SPLITS},
        "repeated_bytes": int((size * times).sum()),
        "edits": edits,
        "dropped": dict(sorted(Counter(reasons[reasons != ""].tolist()).items())),
        "by_source": by_source,
    }


def chance(names: np.ndarray, seed: int, use: str) -> np.ndarray:
    """(documents,) numbers in [0, 1) that the documents' own bytes decide, the seed, and what the
    number is for. names: of bytes objects, at least eight each, themselves digests."""
    first = np.array([int.from_bytes(name[:8], "little") for name in names.tolist()], np.uint64)
    salt = int.from_bytes(f"{seed} {use}".encode()[:32].ljust(8, b"\0"), "little")
    with np.errstate(over="ignore"):
        mixed = first ^ np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
        # the finaliser of splitmix64 (Steele et al., "Fast splittable pseudorandom number
        # generators", 2014)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53


def _metadata(shard: Shard) -> dict[str, np.ndarray]:
    """Of each document: bytes (int64), labels (str), id and content (bytes, as objects)."""
    columns = ["id", "content", "bytes", *LABELS]
    table = read_table(shard.documents, columns)
    found: dict[str, np.ndarray] = {"bytes": table["bytes"].to_numpy()}
    for name in ("id", "content", *LABELS):
        found[name] = np.array(table[name].to_pylist(), dtype=object)
    return found


def _write_reasons(shard: Shard, reasons: np.ndarray) -> None:
    path = shard.folder / DRAFT / "decided" / f"{shard.key}.parquet"
    reason = pa.array(reasons.tolist(), pa.string())
    write_table(path, pa.table({"reason": reason}), lasting=False)


def _reasons(shard: Shard) -> np.ndarray:
    path = shard.folder / DRAFT / "decided" / f"{shard.key}.parquet"
    return np.array(read_table(path)["reason"].to_pylist(), dtype=object)


def write_table(path: Path, table: pa.Table, lasting: bool = True) -> None:
    """Writes a table, whole or not at all. lasting: waits until it is on the disk."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            pq.write_table(table, draft, compression="zstd")
            if lasting:
                flush(draft)
            draft.replace(path)
            if lasting:
                flush(path.parent)
        finally:
            draft.unlink(missing_ok=True)


def _documents(job: dict[str, Any]) -> list[str]:
    return [str(Shard(Path(job["folder"]), job["key"]).documents)]


DECIDE = Work(decide, "deciding", _documents)
DROP = Work(drop, "dropping copies", _documents)
SELECT = Work(select, "mixing", _documents)
