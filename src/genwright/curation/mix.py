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
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genwright.core.corpus_content import corpus_content
from genwright.core.errors import GenwrightError
from genwright.core.files import digest, flush, json_text, write_whole
from genwright.curation.attributes import needed
from genwright.curation.clusters import stored
from genwright.curation.copies import (
    CLUSTERS,
    NEAR_FOLDER,
    PAIRS,
    Promoted,
    Range,
    equal_ones,
    ranges_of,
)
from genwright.curation.engines import Map
from genwright.curation.mix_jobs import DECIDE, DRAFT, DROP, SELECT, SIDES, write_table
from genwright.curation.settings import CorpusRecipe, Mix
from genwright.curation.store import Shard, read_table
from genwright.data.cache import SPLITS, digest_of
from genwright.data.selection import MIX
from genwright.data.workers import Work, parallel

COUNTS = "counts.json"
FORMAT = 1  # raise it when the same corpus would be mixed in another way
FEW = 500  # shards that are mixed in this process
BYTES_A_TOKEN = 4  # about, of English text and a vocabulary of some thousands


@dataclass
class MixCounts:
    """What a mix has of everything. by_source: source -> counts; dropped: reason -> documents.
    crossing: pairs that were found to be similar, somewhat less than copies are, of which one is
    held out and the other trained on."""

    documents: int = 0
    bytes: int = 0
    kept: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    kept_bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    repeated_bytes: int = 0
    edits: int = 0
    crossing: int = 0
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
    key = _key(folder, recipe, shards)
    if (folder / MIX / COUNTS).is_file() and counts_of(folder)["key"] == key:
        return _counts_again(folder)
    if len(shards) < FEW:
        spread = _in_turn
    draft = folder / DRAFT
    shutil.rmtree(draft, ignore_errors=True)  # of a mix that was stopped
    common = {"folder": str(folder), "recipe": _plain(recipe)}
    ranges = ranges_of(folder)
    jobs = []
    for shard in shards:
        jobs.append(common | {"key": shard.key, "copies": ranges.get(shard.key, (0, 0))})
    broken: list[bytes] = []
    for _, ids in spread(DECIDE, jobs):
        broken += ids
    _write_sides(draft / SIDES, sides_before(folder, ranges, {shard.key for shard in shards}))
    left = 0.0  # bytes, times their weights
    promoted: list[Promoted] = []
    for _, found in spread(DROP, [job | {"broken": broken} for job in jobs]):
        left += found[0]
        promoted += [Promoted(*each) for each in found[1]]
    again = equal_ones(promoted)
    if recipe.mix.tokens is not None and corpus_content(recipe.kind) is not None:
        raise GenwrightError(
            f"mix.tokens is a budget of text, and this is a corpus of {recipe.kind}",
            "leave it out; a weight below 1 takes a share of its documents",
        )
    scale = _scale(recipe.mix, left - sum(again.values()))
    counts = MixCounts()
    more = {"scale": scale, "again": list(again)}
    counted = dict(spread(SELECT, [job | more for job in jobs]))
    for number in range(len(jobs)):
        counts.add(counted[number])
    if not counts.kept["train"]:
        raise _nothing(counts)
    rules = [[rule.reason, rule.detail] for each in sets for rule in each.rules]
    counts.crossing = crossing(folder, draft / "list", recipe)
    told = counts.__dict__ | {
        "rules": rules,
        "scale": scale,
        "recipe": _plain(recipe),
        "key": key,
    }
    shutil.rmtree(draft / "decided")
    (draft / SIDES).unlink()
    write_whole(draft / COUNTS, json_text(told, indent=1))
    os.sync()  # once: to wait for each file would take longer than the work
    _replace(folder / MIX, draft)
    return counts


def _in_turn(work: Work, jobs: Sequence[dict[str, Any]]) -> Iterable[tuple[int, Any]]:
    """Jobs in this process: to start others would take longer."""
    return parallel(work, jobs, 1)


def _key(folder: Path, recipe: CorpusRecipe, shards: Sequence[Shard]) -> str:
    """A digest of all that a mix depends on, but for the sides of clusters in the one before."""
    groups = [[group.name, group.version] for group in needed(recipe.kind, recipe.rule_sets())]
    rules = [
        [rule.reason, rule.attribute, rule.at_least, rule.at_most]
        for each in recipe.rule_sets()
        for rule in each.rules
    ]
    found = ""
    if recipe.deduplicate is not None and (folder / NEAR_FOLDER / "near.json").is_file():
        found = digest(folder / CLUSTERS)
    keys = [shard.key for shard in shards]
    return digest_of(FORMAT, _plain(recipe), groups, rules, found, keys)


def _counts_again(folder: Path) -> MixCounts:
    """The counts of a mix that is there."""
    known = counts_of(folder)
    return MixCounts(**{each.name: known[each.name] for each in fields(MixCounts)})


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
    return recipe.model_dump(mode="json", include={"kind", "filters", "mix", "deduplicate"})


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


def sides_before(
    folder: Path, ranges: Mapping[str, Range], shards: Collection[str]
) -> dict[int, str]:
    """Cluster -> the side that the last mix has put members of it on: trained on, where any was.
    ranges: of the clusters, by shard; shards: keys of those that there are now."""
    path = folder / CLUSTERS
    if not path.is_file():
        return {}
    members = read_table(path, ["row", "id", "cluster"])
    rows = members["row"].to_numpy()
    clusters = members["cluster"].to_numpy()
    trained: set[int] = set()
    held_out: set[int] = set()
    for listed in sorted((folder / MIX / "list").glob("*.parquet")):
        if listed.stem in shards:
            own = slice(*ranges.get(listed.stem, (0, 0)))
            if own.start == own.stop:
                continue
            split = read_table(listed, ["split"])["split"]
            is_held_out = pc.equal(split, SPLITS[1]).to_numpy()[rows[own]]
            held_out.update(clusters[own][is_held_out].tolist())
            trained.update(clusters[own][~is_held_out].tolist())
        else:  # its documents may be in other shards now
            known = read_table(listed, ["id", "split"])
            for split, found in zip(SPLITS, (trained, held_out), strict=True):
                ids = known.filter(pc.equal(known["split"], split))["id"]
                same = pc.is_in(members["id"], value_set=ids.combine_chunks())
                found.update(clusters[same.to_numpy()].tolist())
    return dict.fromkeys(held_out, SPLITS[1]) | dict.fromkeys(trained, SPLITS[0])


def _write_sides(path: Path, sides: Mapping[int, str]) -> None:
    clusters = sorted(sides)
    columns = {
        "cluster": pa.array(clusters, pa.uint64()),
        "held_out": pa.array([sides[cluster] == SPLITS[1] for cluster in clusters], pa.bool_()),
    }
    write_table(path, pa.table(columns))


def crossing(folder: Path, lists: Path, recipe: CorpusRecipe) -> int:
    """Pairs of documents that nearly are near copies, and are both kept, on two sides. lists: the
    folder of the list."""
    path = folder / PAIRS
    if not path.is_file() or recipe.deduplicate is None:
        return 0
    near = read_table(path, ["later", "earlier"])
    pairs = np.stack([near["later"].to_numpy(), near["earlier"].to_numpy()])  # (2, pairs)
    numbers, places = np.unique(pairs.astype(np.int64), return_inverse=True)
    sides = np.zeros(len(numbers), np.int8)  # 0: not kept, 1: trained on, 2: held out
    known = stored(folder / NEAR_FOLDER)
    bounds = np.searchsorted(numbers, known.starts).tolist()
    for number, key in enumerate(known.shards):
        own = slice(bounds[number], bounds[number + 1])
        if own.start == own.stop:
            continue
        listed = read_table(lists / f"{key}.parquet", ["split", "times"])
        rows = numbers[own] - known.starts[number]
        is_held_out = pc.equal(listed["split"], SPLITS[1]).to_numpy()[rows]
        is_kept = listed["times"].to_numpy()[rows] > 0
        sides[own] = np.where(is_kept, 1 + is_held_out, 0)
    one, other = sides[places].reshape(2, -1)
    return int(((one > 0) & (other > 0) & (one != other)).sum())


def counts_of(folder: Path) -> dict[str, Any]:
    """What the last mix wrote. Raises GenwrightError."""
    path = folder / MIX / COUNTS
    if not path.is_file():
        raise GenwrightError(f"{folder} has no mix yet", "run genwright data mix")
    return dict(json.loads(path.read_text(encoding="utf-8")))
