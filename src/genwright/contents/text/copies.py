"""How many documents of prepared text equal an earlier one, how many of those held out equal one
that is trained on, and the sums of their digests on each side; counted once, and kept in the cache.

    <cache>/copies/KEY.json   KEY: a digest of the names of the shards, in order
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genwright.core.files import json_text, write_whole
from genwright.data.cache import SPLITS, digest_of, writing
from genwright.data.content import MODULUS
from genwright.data.npy import blocks_of, mapped
from genwright.data.sorted_runs import RunWriter, records_in

AT_ONCE = 1 << 16  # documents that are looked at together
NAMES = ("copies", "copies across the split")
SUMS = "sums modulo 2^128"


class Counted(NamedTuple):
    """copies: the counts, by NAMES. sums: of the digests of the documents on each side, modulo 2 to
    the 128."""

    copies: dict[str, int]
    sums: dict[str, int]


def copies_of(cache: Path, shards: Mapping[str, Any] | Sequence[str], scratch: Path) -> Counted:
    """What is counted of shards: their names, in order. scratch: a folder for what need not
    stay."""
    keys = list(shards)
    kept = cache / "copies" / f"{digest_of(keys)}.json"
    try:
        known = json.loads(kept.read_text(encoding="utf-8"))
        copies = {name: int(known[name]) for name in NAMES}
        return Counted(copies, {split: int(known[SUMS][split], 16) for split in SPLITS})
    except (OSError, ValueError, KeyError, TypeError):  # to be counted
        tables = [cache / "shards" / key / "documents.npy" for key in keys]
        with writing(scratch):
            found = _counted(tables, scratch)
    sums = {split: f"{total:032x}" for split, total in found.sums.items()}
    with suppress(OSError):  # it is counted again
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, json_text({**found.copies, SUMS: sums}))
    return found


def _counted(tables: Sequence[Path], scratch: Path) -> Counted:
    """tables: the documents of each shard."""
    sums = dict.fromkeys(SPLITS, 0)
    writer = RunWriter(scratch, "digests", AT_ONCE)
    documents = 0
    records = 0
    for path in tables:
        for halves, held in _documents(path):
            digests = halves[:, 0]
            documents += len(digests)
            for side, split in enumerate(SPLITS):
                sums[split] = (sums[split] + _sum(halves[held == side])) % MODULUS
            # of each digest and side, how many: the side is the lowest bit of the value
            found, number = np.unique(np.stack([digests, held], 1), axis=0, return_inverse=True)
            count = np.bincount(number.reshape(-1))
            writer.add(found[:, 0], 2 * count.astype(np.uint64) + found[:, 1])
            records += len(found)
    writer.close()
    distinct = 0
    across = 0
    parts = max(1, -(-records // AT_ONCE))
    for part in range(parts):
        low = part * 2**64 // parts
        high = (part + 1) * 2**64 // parts
        digests, values = records_in([scratch], "digests", low, high)
        distinct += len(np.unique(digests))
        held = (values & np.uint64(1)).astype(bool)
        again = np.isin(digests[held], digests[~held])
        across += int((values[held][again] >> np.uint64(1)).sum())
    copies = dict(zip(NAMES, (documents - distinct, across), strict=True))
    return Counted(copies, sums)


def _sum(halves: np.ndarray) -> int:
    """The sum of digests, with all that is carried. halves: (n, 2) uint64, the upper one first; n
    below 2 to the 32."""
    quarters = halves.astype("<u8").view("<u4")  # (n, 4), of each half the lower one first
    second, first, fourth, third = map(int, quarters.sum(0, dtype=np.uint64))
    return (first << 96) + (second << 64) + (third << 32) + fourth


def _documents(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(digests, sides) of the documents of a shard, some at a time: uint64 (n, 2), two halves of
    each digest, and (n,). Of one that was cut, or is read several times in a row, the first entry
    counts."""
    before = None  # the last document
    for table in blocks_of(mapped(path), AT_ONCE):
        table = np.array(table[table["continued"] == 0])
        places = table[["source", "row"]]
        first = np.ones(len(table), bool)
        first[1:] = places[1:] != places[:-1]
        if before is not None and len(table):
            first[0] = places[0] != before
        if len(table):
            before = places[-1]
        table = table[first]
        halves = np.frombuffer(table["digest"].tobytes(), "<u8").reshape(-1, 2)
        yield halves, table["split"].astype(np.uint64)
