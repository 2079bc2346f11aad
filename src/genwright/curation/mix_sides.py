"""On which side of the split the clusters of a mix are, and which similar documents are on two."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genwright.curation.chance import chance
from genwright.curation.clusters import stored
from genwright.curation.copies import NEAR_FOLDER, PAIRS, EveryCopy
from genwright.curation.settings import Mix
from genwright.curation.store import read_table
from genwright.data.cache import SPLITS
from genwright.data.selection import MIX

NOT_KEPT, TRAINED, HELD_OUT = range(3)
ALWAYS = -1.0  # number of a cluster that was held out before: below every share
NEVER = 1.0  # of one that was trained on


def sides_of(folder: Path, settings: Mix, copies: EveryCopy, shards: Collection[str]) -> np.ndarray:
    """(copies,) float64: each is held out where its number is below the share that is held out. A
    cluster has the side that its members had in the last mix, else one by chance. folder: of the
    corpus; shards: keys of those that there are."""
    numbers = chance(copies.clusters.byteswap(), settings.seed, "side")
    if settings.held_out and len(copies.rows):
        before = _sides_before(folder / MIX / "list", copies, shards)
        numbers[np.isin(copies.clusters, before[HELD_OUT])] = ALWAYS
        numbers[np.isin(copies.clusters, before[TRAINED])] = NEVER  # where any member was
    return numbers


def raised_share(least: Iterable[Sequence[float]]) -> float | None:
    """The share with which just one cluster or text is held out, where there are at least two and
    one may be: the one with the least number. least: of each shard, as of `mix_jobs.least`."""
    numbers = sorted({number for own in least for number in own})
    if len(numbers) < 2 or numbers[0] >= NEVER:
        return None
    return float(np.nextafter(numbers[0], NEVER))


def _sides_before(lists: Path, copies: EveryCopy, shards: Collection[str]) -> dict[int, np.ndarray]:
    """The clusters that have members on each side in the last mix: TRAINED, HELD_OUT -> uint64.
    lists: the folder of its lists."""
    found: dict[int, list[np.ndarray]] = {TRAINED: [], HELD_OUT: []}
    raw = pa.py_buffer(np.ascontiguousarray(copies.ids))
    ids = pa.Array.from_buffers(pa.binary(16), len(copies.ids), [None, raw])
    for listed in sorted(lists.glob("*.parquet")):
        if listed.stem in shards:
            own = slice(*copies.range_of(listed.stem))
            if own.start == own.stop:
                continue
            split = read_table(listed, ["split"])["split"]
            was_held_out = pc.equal(split, SPLITS[1]).to_numpy()[copies.rows[own]]
            found[HELD_OUT].append(copies.clusters[own][was_held_out])
            found[TRAINED].append(copies.clusters[own][~was_held_out])
        else:  # its documents may be in other shards now
            known = read_table(listed, ["id", "split"])
            for side, name in zip((TRAINED, HELD_OUT), SPLITS, strict=True):
                had = known.filter(pc.equal(known["split"], name))["id"].combine_chunks()
                found[side].append(copies.clusters[pc.is_in(ids, value_set=had).to_numpy(False)])
    nothing = np.zeros(0, np.uint64)
    return {side: np.unique(np.concatenate([nothing, *parts])) for side, parts in found.items()}


def crossing(folder: Path, lists: Path) -> int:
    """Pairs of documents that nearly are near copies, and are both kept, on two sides. folder: of
    the corpus; lists: the folder of the list."""
    if not (folder / PAIRS).is_file():
        return 0
    near = read_table(folder / PAIRS, ["later", "earlier"])
    pairs = np.stack([near["later"].to_numpy(), near["earlier"].to_numpy()])  # (2, pairs)
    numbers, places = np.unique(pairs.astype(np.int64), return_inverse=True)
    sides = np.full(len(numbers), NOT_KEPT, np.int8)  # of each document that is in a pair
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
        sides[own] = np.where(is_kept, np.where(is_held_out, HELD_OUT, TRAINED), NOT_KEPT)
    one, other = sides[places].reshape(2, -1)
    both_kept = (one != NOT_KEPT) & (other != NOT_KEPT)
    return int((both_kept & (one != other)).sum())
