"""What is known of each shard's part of a mix: what has decided it, and what came of it. The next
mix does a step again only of the shards for which something of that is another.

    mix/shards.json    key of a shard -> `Part`

1. Rules look at a shard alone: the recipe, the shard, which of its documents are copies.
2. Of copies the shard must know which of the documents that they resemble a rule has dropped, in
   whatever shard those are.
3. The rest depends on the scale of a budget, and on which of its near copies stay though an equal
   one stays too.

What is the same is taken over as it is: its files become links to the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genwright.core.files import json_text, read_json
from genwright.curation.copies import EveryCopy
from genwright.curation.store import AGAIN, Shard
from genwright.data.cache import SPLITS, digest_of
from genwright.data.selection import MIX, SELECTION

PARTS = "shards.json"


@dataclass
class Part:
    """One shard's part of a mix; ids are in hexadecimal.

    inputs: a digest of all that decides and is of the corpus. broken: ids of kept documents that a
    rule drops. gone: of the documents that its copies resemble, those that a rule drops. left:
    bytes of what stays, times their weights. promoted: near copies that stay because what they
    resemble does not (`copies.Promoted`). scale, again, share: as of `mix_jobs.select`. counts:
    what came of it."""

    inputs: str
    broken: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    left: float = 0.0
    promoted: list[tuple[str, str, float]] = field(default_factory=list)
    scale: float = 1.0
    again: list[str] = field(default_factory=list)
    share: float = 0.0
    counts: dict[str, Any] = field(default_factory=dict)


def parts_before(folder: Path) -> dict[str, Part]:
    """The parts of the last mix, by shard; those whose files are all there. folder: of the
    corpus."""
    path = folder / MIX / PARTS
    if not path.is_file():
        return {}
    listed = read_json(path.read_text(encoding="utf-8"), path, AGAIN)
    found = {}
    for key, values in listed.items():
        part = Part(**values)
        files = files_of(key, part.counts["kept"])
        if all((folder / MIX / name).is_file() for name in files):
            found[key] = part
    return found


def parts_text(shards: Sequence[Shard], parts: Sequence[Part]) -> str:
    """As they are kept."""
    named = {shard.key: asdict(part) for shard, part in zip(shards, parts, strict=True)}
    return json_text(named)


def files_of(key: str, kept: Mapping[str, int]) -> list[str]:
    """The files of a part, in the folder of its mix. kept: documents by split."""
    selections = [f"{split}/{key}{SELECTION}" for split in SPLITS if kept[split]]
    return [f"list/{key}.parquet", *selections]


def take_over(folder: Path, draft: Path, key: str, kept: Mapping[str, int]) -> None:
    """Gives a new mix the files that the last one has of a shard. folder, draft: of the last mix,
    of the new one."""
    for name in files_of(key, kept):
        target = draft / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(folder / name, target)
        except OSError:  # not every file system has links
            shutil.copyfile(folder / name, target)


def inputs_of(
    recipe: Sequence[Any], shards: Sequence[Shard], copies: EveryCopy, held_out: np.ndarray
) -> list[str]:
    """Of each shard a digest of what decides its part, but for what others have come to. recipe:
    all that is the same for all shards; held_out: (copies,) bool."""
    common = digest_of(*recipe)
    found = []
    for shard in shards:
        own = slice(*copies.range_of(shard.key))
        known = hashlib.sha256(f"{common} {shard.key}".encode())
        for column in (copies.rows, copies.clusters, copies.kept, copies.stays, held_out):
            known.update(np.ascontiguousarray(column[own]).tobytes())
        found.append(known.hexdigest())
    return found


def gone_of(shards: Sequence[Shard], copies: EveryCopy, broken: set[str]) -> list[list[str]]:
    """Of each shard the documents that its copies resemble and that a rule drops, by id."""
    if not broken:
        return [[] for _ in shards]
    found = []
    for shard in shards:
        start, stop = copies.range_of(shard.key)
        rows = np.flatnonzero(~copies.stays[start:stop]) + start
        resembled = {copies.kept[row].tobytes().hex() for row in rows.tolist()}
        found.append(sorted(resembled & broken))
    return found
