"""What of a corpus is trained on: rules, copies, weights and a budget decide, last of all, over
what was computed before. Nothing is computed again when a bound or a weight changes.

    mix/list/KEY.parquet        by document: id, split, times (0: dropped), reason
    mix/train/KEY.selection     what is trained on, with its edits (`data/selection.py`)
    mix/held_out/KEY.selection  what is held out
    mix/counts.json             what there is, and what became of it

All is decided shard by shard; totals are all that is known of the whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genwright.core.corpus import Edit, RuleSet
from genwright.core.errors import GenwrightError
from genwright.core.files import flush, json_text, write_whole
from genwright.curation.attributes import column_of, folder_of
from genwright.curation.engines import Map
from genwright.curation.settings import CorpusRecipe, Filter, Mix, rule_sets
from genwright.curation.store import Shard, batches_of
from genwright.data.cache import SPLITS, writing
from genwright.data.selection import MIX, SELECTION, write_selection
from genwright.data.workers import Work

DRAFT = "mix.draft"  # folder of a mix that is not done
COUNTS = "counts.json"
BYTES_A_TOKEN = 4  # about, of English text and a vocabulary of some thousands
UNWANTED = "mix.weight"  # reason of documents whose weight is 0
BUDGET = "mix.budget"  # of those that the budget leaves out
LABELS = ("source", "licence", "language")


@dataclass
class MixCounts:
    """What a mix has of everything. by_source: source -> counts; dropped: reason -> documents."""

    documents: int = 0
    bytes: int = 0
    kept: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    kept_bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    repeated_bytes: int = 0
    edits: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)

    def add(self, counts: Mapping[str, Any]) -> None:
        """Adds the counts of a shard."""
        for name in ("documents", "bytes", "repeated_bytes", "edits"):
            setattr(self, name, getattr(self, name) + counts[name])
        _add(self.kept, counts["kept"])
        _add(self.kept_bytes, counts["kept_bytes"])
        _add(self.dropped, counts["dropped"])
        for source, own in counts["by_source"].items():
            _add(self.by_source.setdefault(source, {}), own)


def _add(into: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        into[name] = into.get(name, 0) + count


def mix(folder: Path, recipe: CorpusRecipe, shards: Sequence[Shard], spread: Map) -> MixCounts:
    """Decides on every document of a corpus. Raises GenwrightError for a budget that is more than
    there is, and where nothing is left."""
    sets = recipe.rule_sets()
    draft = folder / DRAFT
    shutil.rmtree(draft, ignore_errors=True)  # of a mix that was stopped
    common = {"folder": str(folder), "recipe": _plain(recipe)}
    jobs = [common | {"key": shard.key} for shard in shards]
    left = 0.0  # bytes, times their weights
    for _, total in spread(DECIDE, jobs):
        left += total
    scale = _scale(recipe.mix, left)
    counts = MixCounts()
    found = dict(spread(SELECT, [job | {"scale": scale} for job in jobs]))
    for number in range(len(jobs)):
        counts.add(found[number])
    if not counts.kept["train"]:
        raise _nothing(counts)
    rules = [[rule.reason, rule.detail] for each in sets for rule in each.rules]
    told = counts.__dict__ | {"rules": rules, "scale": scale}
    shutil.rmtree(draft / "decided")
    write_whole(draft / COUNTS, json_text(told, indent=1))
    _replace(folder / MIX, draft)
    return counts


def _replace(folder: Path, draft: Path) -> None:
    """Puts a new mix in the place of the old one."""
    old = folder.with_name(f"{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _plain(recipe: CorpusRecipe) -> dict[str, Any]:
    """What a job is given of a recipe."""
    return recipe.model_dump(mode="json", include={"kind", "filters", "mix"})


def _scale(settings: Mix, left: float) -> float:
    """By what the weights are multiplied so that the budget is met. left: bytes that are kept,
    times their weights. Raises GenwrightError."""
    if settings.tokens is None:
        return 1.0
    wanted = settings.tokens * BYTES_A_TOKEN
    if wanted > left:
        raise GenwrightError(
            f"mix.tokens asks for {settings.tokens:,.0f} tokens, and there are"
            f" {left / BYTES_A_TOKEN:,.0f}",
            "ask for fewer, raise weights (2: twice), or add sources",
        )
    return wanted / left


def _nothing(counts: MixCounts) -> GenwrightError:
    """What to say where no document is left to train on."""
    most = sorted(counts.dropped.items(), key=lambda each: -each[1])[:3]
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in most)
    return GenwrightError(
        f"no document of {counts.documents:,} is left to train on ({reasons or 'there is none'})",
        "see genwright data dropped, and loosen a rule or the share held out",
    )


# ---- rules


def decide(folder: str, key: str, recipe: dict[str, Any]) -> float:
    """Writes the first rule that each document of a shard breaks. Gives the bytes of the others,
    times their weights."""
    shard = Shard(Path(folder), key)
    settings = _recipe(recipe)
    rows = _metadata(shard)
    reasons = broken_rules(shard, recipe["kind"], settings.sets, len(rows["bytes"]))
    weights = weights_of(settings.mix, rows)
    reasons[(reasons == "") & (weights == 0)] = UNWANTED
    path = shard.folder / DRAFT / "decided" / f"{key}.parquet"
    _write_table(path, pa.table({"reason": pa.array(reasons.tolist(), pa.string())}))
    kept = reasons == ""
    return float((rows["bytes"] * weights)[kept].sum())


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


def _metadata(shard: Shard) -> dict[str, np.ndarray]:
    """Of each document: bytes (int64), labels (str), id and content (bytes, as objects)."""
    columns = ["id", "content", "bytes", *LABELS]
    table = pq.read_table(shard.documents, columns=columns)
    found: dict[str, np.ndarray] = {"bytes": table["bytes"].to_numpy()}
    for name in ("id", "content", *LABELS):
        found[name] = np.array(table[name].to_pylist(), dtype=object)
    return found


def broken_rules(shard: Shard, content: str, sets: Sequence[RuleSet], documents: int) -> np.ndarray:
    """(documents,) of str objects: the reason of the first rule that each document breaks, ""
    for none."""
    reasons = np.full(documents, "", dtype=object)
    for each in sets:
        for rule in each.rules:
            broken = rule.breaks(values_of(shard, content, rule.attribute))
            reasons[broken & (reasons == "")] = rule.reason
    return reasons


def values_of(shard: Shard, content: str, attribute: str) -> np.ndarray:
    """(documents,) of an attribute of a shard: float64, or str objects of labels."""
    group, column = column_of(content, attribute)
    table = pq.read_table(shard.attributes(folder_of(group)), columns=[attribute])
    if column.kind == "number":
        return table[attribute].to_numpy()
    return np.array(table[attribute].to_pylist(), dtype=object)


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


# ---- what is taken


def select(folder: str, key: str, recipe: dict[str, Any], scale: float) -> dict[str, Any]:
    """Writes the list and the selections of a shard. Gives its counts."""
    shard = Shard(Path(folder), key)
    settings = _recipe(recipe)
    rows = _metadata(shard)
    place = shard.folder / DRAFT
    decided = pq.read_table(place / "decided" / f"{key}.parquet")
    reasons = np.array(decided["reason"].to_pylist(), dtype=object)
    held_out = chance(rows["content"], settings.mix.seed, "side") < settings.mix.held_out
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
    _write_table(place / "list" / f"{key}.parquet", listed)
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


def edits_of(shard: Shard, content: str, sets: Sequence[RuleSet]) -> list[list[Edit]] | None:
    """The edits of each document, of all sets together; None where no set makes any."""
    names = list(dict.fromkeys(name for each in sets for name in each.edits))
    if not names:
        return None
    by_column = []
    for name in names:
        group, _ = column_of(content, name)
        rows: list[list[Edit]] = []
        for batch in batches_of(shard.attributes(folder_of(group)), [name]):
            for given in batch.column(name).to_pylist():
                rows.append([Edit(**each) for each in given or ()])
        by_column.append(rows)
    return [joined(each) for each in zip(*by_column, strict=True)]


def joined(several: Sequence[Sequence[Edit]]) -> list[Edit]:
    """The edits of several lists as one, in order and apart. Where two meet the longer one stays: a
    line that is dropped takes what stands in it along; of two alike the one of the first list."""
    every = [edit for edits in several for edit in edits]
    found: list[Edit] = []
    for edit in sorted(every, key=lambda each: (each.start - each.stop, each.start)):
        if all(edit.stop <= other.start or other.stop <= edit.start for other in found):
            found.append(edit)
    return sorted(found)


def _write_table(path: Path, table: pa.Table) -> None:
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            pq.write_table(table, draft, compression="zstd")
            flush(draft)
            draft.replace(path)
            flush(path.parent)
        finally:
            draft.unlink(missing_ok=True)


def counts_of(folder: Path) -> dict[str, Any]:
    """What the last mix wrote. Raises GenwrightError."""
    path = folder / MIX / COUNTS
    if not path.is_file():
        raise GenwrightError(f"{folder} has no mix yet", "run genwright data mix")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _documents(job: dict[str, Any]) -> list[str]:
    return [str(Shard(Path(job["folder"]), job["key"]).documents)]


DECIDE = Work(decide, "deciding", _documents)
SELECT = Work(select, "mixing", _documents)
