"""What of a corpus is trained on: rules, copies, weights and a budget decide, last of all, over
what was computed before. Nothing is computed again when a bound or a weight changes.

    mix/list/KEY.parquet        by document: id, split, times (0: dropped), bytes read, reason
    mix/train/KEY.selection     what is trained on, with its edits (`data/selection.py`)
    mix/held_out/KEY.selection  what is held out
    mix/counts.json             what there is, and what became of it
    mix/shards.json             what was decided of each shard by what (`mix_parts.py`)

All is decided shard by shard; totals are all that is known of the whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.core.files import digest, flush, json_text, read_json, write_whole
from genwright.curation.attributes import needed
from genwright.curation.copies import CLUSTERS, NEAR_FOLDER, Promoted, equal_ones, every_copy
from genwright.curation.engines import Map
from genwright.curation.mix_jobs import DECIDE, DECIDED, DRAFT, DROP, LEAST, SELECT, SIDES
from genwright.curation.mix_parts import (
    PARTS,
    Part,
    gone_of,
    inputs_of,
    parts_before,
    parts_text,
    take_over,
)
from genwright.curation.mix_sides import crossing, raised_share, sides_of
from genwright.curation.settings import CorpusRecipe, Mix
from genwright.curation.store import AGAIN, Shard
from genwright.data.cache import SPLITS, digest_of
from genwright.data.selection import COUNTS, MIX
from genwright.data.workers import Work, parallel

FORMAT = 5  # raise it when the same corpus would be mixed in another way
FEW = 500  # shards that are mixed in this process
BYTES_A_TOKEN = 4  # about, of English text and a vocabulary of some thousands


@dataclass
class MixCounts:
    """What a mix has of everything. bytes: of all documents, as they are stored. kept_bytes: of
    those that are kept, as they are read, with their edits; repeated_bytes: likewise, each as often
    as it is taken. by_source: source -> counts; dropped: reason -> documents. crossing: pairs that
    were found to be similar, somewhat less than copies are, of which one is held out and the other
    trained on."""

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
    """Decides on every document of a corpus; it may be that nothing is left. Raises GenwrightError
    for a budget that is more than there is."""
    _bring_back(folder / MIX)
    key = _key(folder, recipe, shards)
    if (folder / MIX / COUNTS).is_file() and counts_of(folder)["key"] == key:
        before = parts_before(folder)
        if all(shard.key in before for shard in shards):  # none of its files is gone
            return _counts_again(folder)
    draft = folder / DRAFT
    shutil.rmtree(draft, ignore_errors=True)  # of a mix that was stopped
    parts, scale = _mix_shards(folder, recipe, shards, spread)
    counts = MixCounts()
    for part in parts:
        counts.add(part.counts)
    if recipe.deduplicate is not None:
        counts.crossing = crossing(folder, draft / "list")
    rules = [[rule.reason, rule.detail] for each in recipe.rule_sets() for rule in each.rules]
    told = counts.__dict__ | {
        "rules": rules,
        "scale": scale,
        "recipe": _plain(recipe),
        "key": key,
    }
    shutil.rmtree(draft / DECIDED, ignore_errors=True)
    (draft / SIDES).unlink()
    write_whole(draft / PARTS, parts_text(shards, parts))
    write_whole(draft / COUNTS, json_text(told, indent=1))
    os.sync()  # once: to wait for each file would take longer than the work
    _replace(folder / MIX, draft)
    return counts


def _mix_shards(
    folder: Path, recipe: CorpusRecipe, shards: Sequence[Shard], spread: Map
) -> tuple[list[Part], float]:
    """Writes the parts of all shards into the folder of the draft. Gives what is known of them, and
    by what weights were multiplied (`_scale`)."""
    copies = every_copy(folder)
    sides = sides_of(folder, recipe.mix, copies, {shard.key for shard in shards})
    (folder / DRAFT).mkdir()
    sides.tofile(folder / DRAFT / SIDES)
    held_out = sides < recipe.mix.held_out
    common = {"folder": str(folder), "recipe": _plain(recipe)}
    jobs: list[dict[str, Any]] = []
    for shard in shards:
        jobs.append(common | {"key": shard.key, "copies": copies.range_of(shard.key)})
    before = parts_before(folder)
    parts = []
    same = []
    inputs = inputs_of(_common_inputs(recipe), shards, copies, held_out)
    for shard, own in zip(shards, inputs, strict=True):
        known = before.get(shard.key)
        is_same = known is not None and known.inputs == own
        parts.append(known if known is not None and is_same else Part(own))
        same.append(is_same)

    for number, broken in _of_others(spread, DECIDE, jobs, same):
        parts[number].broken = broken
    every_broken = {each for part in parts for each in part.broken}

    for number, gone in enumerate(gone_of(shards, copies, every_broken)):
        same[number] = same[number] and parts[number].gone == gone
        parts[number].gone = gone
        jobs[number]["gone"] = gone
    for number, (left, promoted) in _of_others(spread, DROP, jobs, same):
        parts[number].left = left
        parts[number].promoted = promoted
    again = equal_ones([Promoted(*each) for part in parts for each in part.promoted])
    scale = _scale(recipe.mix, sum(part.left for part in parts) - sum(again.values()))

    for number, part in enumerate(parts):
        own_again = [each[0] for each in part.promoted if each[0] in again]
        share = recipe.mix.held_out
        is_decided_alike = part.scale == scale and part.again == own_again and part.share == share
        same[number] = same[number] and is_decided_alike
        part.scale = scale
        part.again = own_again
        part.share = share
        jobs[number] |= {"scale": scale, "again": own_again, "share": share}
    for number, counts in _of_others(spread, SELECT, jobs, same):
        parts[number].counts = counts
    if recipe.mix.held_out and not any(part.counts["kept"][SPLITS[1]] for part in parts):
        _hold_one_out(spread, jobs, parts, same)

    for number, part in enumerate(parts):
        if same[number]:
            take_over(folder / MIX, folder / DRAFT, shards[number].key, part.counts["kept"])
    return parts, scale


def _hold_one_out(
    spread: Map, jobs: Sequence[dict[str, Any]], parts: Sequence[Part], same: list[bool]
) -> None:
    """Where chance holds nothing out: holds out the one cluster or text with the least number, so
    that there is something to measure on. Shards that have any of it, also what they drop, are
    selected again: the next mix looks for its side there."""
    names = ("folder", "recipe", "key", "copies")
    wanted = [{name: job[name] for name in names} for job in jobs]
    found = dict(_of_others(spread, LEAST, wanted, [False] * len(jobs)))
    share = raised_share(of_taken for of_taken, _ in found.values())
    if share is None:
        return
    is_other = []
    for place, part in enumerate(parts):
        _, of_all = found[place]
        has_any = any(number < share for number in of_all)
        is_other.append(not has_any)
        if has_any:
            same[place] = False
            part.share = share
            jobs[place]["share"] = share
    for place, counts in _of_others(spread, SELECT, jobs, is_other):
        parts[place].counts = counts


def _of_others(
    spread: Map, work: Work, jobs: Sequence[dict[str, Any]], same: Sequence[bool]
) -> Iterator[tuple[int, Any]]:
    """(number of a job, its result) of the jobs that are not the same as in the mix before."""
    numbers = [number for number in range(len(jobs)) if not same[number]]
    wanted = [jobs[number] for number in numbers]
    if len(wanted) < FEW:  # to start other processes would take longer
        results = parallel(work, wanted, 1)
    else:
        results = spread(work, wanted)
    for at, result in results:
        yield numbers[at], result


def _key(folder: Path, recipe: CorpusRecipe, shards: Sequence[Shard]) -> str:
    """A digest of all that a mix depends on, but for the sides of clusters in the one before."""
    found = ""
    if recipe.deduplicate is not None and (folder / NEAR_FOLDER / "near.json").is_file():
        found = digest(folder / CLUSTERS)
    keys = [shard.key for shard in shards]
    return digest_of(*_common_inputs(recipe), found, keys)


def _common_inputs(recipe: CorpusRecipe) -> list[Any]:
    """What decides on the documents of every shard."""
    groups = [[group.name, group.version] for group in needed(recipe.kind, recipe.rule_sets())]
    rules = [
        [rule.reason, rule.attribute, rule.at_least, rule.at_most]
        for each in recipe.rule_sets()
        for rule in each.rules
    ]
    return [FORMAT, _plain(recipe), groups, rules]


def _counts_again(folder: Path) -> MixCounts:
    """The counts of a mix that is there."""
    known = counts_of(folder)
    return MixCounts(**{each.name: known[each.name] for each in fields(MixCounts)})


def _old(folder: Path) -> Path:
    """Where a mix stands while a new one is put in its place."""
    return folder.with_name(f"{folder.name}.old")


def _bring_back(folder: Path) -> None:
    """Puts a mix back that was stopped while another was put in its place: it knows which clusters
    are held out."""
    if _old(folder).is_dir() and not folder.exists():
        _old(folder).rename(folder)


def _replace(folder: Path, draft: Path) -> None:
    """Puts a new mix in the place of the old one."""
    old = _old(folder)
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
    if settings.tokens is None or left <= 0:
        return 1.0
    wanted = settings.tokens * BYTES_A_TOKEN
    if wanted > left:
        raise GenwrightError(
            f"mix.tokens asks for {settings.tokens:,.0f} tokens, and there are"
            f" {left / BYTES_A_TOKEN:,.0f}",
            "ask for fewer, raise weights (2: twice), or add sources",
        )
    return wanted / left


def counts_of(folder: Path) -> dict[str, Any]:
    """What the last mix wrote. Raises GenwrightError."""
    path = folder / MIX / COUNTS
    if not path.is_file():
        raise GenwrightError(f"{folder} has no mix yet", f"run genwright data mix {folder}")
    return dict(read_json(path.read_text(encoding="utf-8"), path, AGAIN))
