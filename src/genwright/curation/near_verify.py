"""Near copies, stage 3: the true similarity of each candidate pair.

Of each shard, whose documents are the later ones of its pairs:

1. its pairs, each once, from all runs; those whose similarity is known from an earlier build are
   not looked at again;
2. the sets of shingles of documents that occur in the others, from their texts, into files;
   Where documents have fingerprints, these are read in their place;
3. the similarities: records (row, id of the earlier one, similarity), in order, of all pairs that
   are candidates now. They stay for the next build.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from genwright.core.corpus_content import BITS, ByShingles, Shingles
from genwright.curation.minhash import jaccard
from genwright.curation.near_kinds import alike_by, bytes_in, column_of, distances
from genwright.curation.near_pairs import PAIR, Exchange, opened
from genwright.curation.near_signatures import BYTES
from genwright.curation.store import batches_of
from genwright.data.sorted_runs import array_in, count_in, keep_heap, records_in, whole_folder
from genwright.data.workers import Work

VERIFIED = np.dtype(
    [("row", "<u8"), ("high", "<u8"), ("low", "<u8"), ("similarity", "<f8")]
)  # high, low: the id of the earlier document
PAIRS = np.dtype([("later", "<u8"), ("earlier", "<u8")])
FOUND = np.dtype(
    [("later", "<u8"), ("earlier", "<u8"), ("similarity", "<f8"), ("halves", "<u8")]
)  # halves: bit 0 where the first half of the bands has it, bit 1 the second
SHINGLES = "shingles"  # the folder of sets
SET_FILES = 200  # files that are open at once


def blocks(exchange: Exchange, shard: int) -> Iterator[tuple[int, int]]:
    """Ranges of the documents of a shard whose pairs fit in memory; a document alone has at most
    GROUP pairs a band."""
    folders = candidate_folders(exchange)
    limit = exchange.memory / PAIR / 2

    def split(start: int, stop: int) -> Iterator[tuple[int, int]]:
        if stop - start <= 1 or count_in(folders, "pairs", start, stop) <= limit:
            yield start, stop
            return
        middle = (start + stop) // 2
        yield from split(start, middle)
        yield from split(middle, stop)

    yield from split(exchange.starts[shard], exchange.starts[shard + 1])


def candidate_folders(exchange: Exchange) -> list[Path]:
    """What the jobs of candidates wrote."""
    folder = exchange.folder / "candidates"
    return sorted(path for path in folder.iterdir() if path.name.isdigit())


def _candidates(exchange: Exchange, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """(pairs,) PAIRS of a range of later documents, each once, in order of numbers; (pairs,) uint64
    in which halves of the bands each was found."""
    later, coded = records_in(candidate_folders(exchange), "pairs", start, stop)
    order = np.lexsort((coded, later))
    pairs = np.empty(len(order), PAIRS)
    pairs["later"] = later[order]
    coded = coded[order]
    pairs["earlier"] = coded >> np.uint64(1)
    distinct = np.ones(len(pairs), bool)
    distinct[1:] = pairs[1:] != pairs[:-1]
    halves = np.uint64(1) + (coded & np.uint64(1))
    if len(pairs):
        halves = np.bitwise_or.reduceat(halves, np.flatnonzero(distinct))
    return pairs[distinct], halves


def _known(exchange: Exchange, shard: int, pairs: np.ndarray) -> np.ndarray:
    """(pairs,) similarities from an earlier build, NaN where it is not known. pairs: of a shard, in
    order."""
    found = np.full(len(pairs), np.nan)
    path = exchange.verified[shard]
    if not len(pairs) or not path.is_file():
        return found
    begin = np.uint64(exchange.starts[shard])
    kept = array_in(path, VERIFIED)
    rows = pairs["later"] - begin
    first, last = np.searchsorted(kept["row"], [rows[0], rows[-1] + np.uint64(1)])
    kept = np.array(kept[first:last])
    if not len(kept):
        return found
    identity = exchange.identity()[pairs["earlier"].astype(np.int64)]
    sought = _mixed(rows, identity[:, 1], identity[:, 2])
    keys = _mixed(kept["row"], kept["high"], kept["low"])
    order = np.argsort(keys)
    at = np.minimum(np.searchsorted(keys[order], sought), len(keys) - 1)
    match = kept[order[at]]
    same = (match["row"] == rows) & (match["high"] == identity[:, 1])
    same &= match["low"] == identity[:, 2]
    found[same] = match["similarity"][same]
    return found


def _mixed(*numbers: np.ndarray) -> np.ndarray:
    """(n,) uint64 of several, spread evenly."""
    mixed = np.zeros(len(numbers[0]), np.uint64)
    for each in numbers:
        mixed ^= each
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def list_wanted(folder: str, shard: int) -> None:
    """Writes the documents of a shard's pairs whose similarity is not known."""
    exchange = opened(folder)
    with (
        whole_folder(Path(folder) / "wanted" / str(shard)) as draft,
        open(draft / "documents", "wb") as documents,
    ):
        for start, stop in blocks(exchange, shard):
            pairs, _ = _candidates(exchange, start, stop)
            unknown = np.isnan(_known(exchange, shard, pairs))
            both = np.concatenate([pairs["later"][unknown], pairs["earlier"][unknown]])
            np.unique(both).tofile(documents)


def mark_needed(exchange: Exchange) -> list[int]:
    """Marks the documents whose shingles are needed. Returns the shards that have some."""
    count = exchange.starts[-1]
    path = exchange.folder / "needed"
    with open(path, "wb") as file:
        for start in range(0, count, 1 << 20):
            np.zeros(min(1 << 20, count - start), np.uint8).tofile(file)
    if not count:
        return []
    needed = np.memmap(path, np.uint8, "r+")
    for shard in range(len(exchange.documents)):
        documents = array_in(exchange.folder / "wanted" / str(shard) / "documents")
        for start in range(0, len(documents), 1 << 16):
            needed[documents[start : start + (1 << 16)].astype(np.int64)] = 1
    bounds = zip(exchange.starts[:-1], exchange.starts[1:], strict=True)
    return [
        shard
        for shard, (start, stop) in enumerate(bounds)
        if stop > start and needed[start:stop].any()
    ]


def write_sets(folder: str, shard: int, content: str = "") -> None:
    """Writes the sets of shingles of the documents of a shard that are needed: `hashes` one set
    after another, ascending and distinct; `ends` of the sets of all documents, of which those that
    are not needed have none. content: the kind of the corpus."""
    keep_heap()
    alike = alike_by(content)
    assert isinstance(alike, ByShingles)
    exchange = opened(folder)
    needed = array_in(exchange.folder / "needed", np.uint8)
    needed = needed[exchange.starts[shard] : exchange.starts[shard + 1]]
    sizes = [np.zeros(0, np.int64)]  # of the sets, in order
    with whole_folder(Path(folder) / SHINGLES / str(shard)) as draft:
        with open(draft / "hashes", "wb") as hashes:
            for contents in _contents(exchange.documents[shard], needed, column_of(content)):
                distinct, own_ends = distinct_hashes(alike.of(contents))
                distinct.tofile(hashes)
                sizes.append(np.diff(own_ends, prepend=0))
        every = np.zeros(len(needed), np.int64)
        every[needed != 0] = np.concatenate(sizes)
        np.cumsum(every).tofile(draft / "ends")


def join_ends(exchange: Exchange) -> None:
    """Writes where the set of each document ends, by number, so that it is found at once."""
    draft = exchange.folder / "ends.tmp"
    with open(draft, "wb") as joined:
        for shard, (start, stop) in enumerate(pairwise(exchange.starts)):
            path = exchange.folder / SHINGLES / str(shard) / "ends"
            if path.is_file():
                joined.write(path.read_bytes())
            else:
                np.zeros(stop - start, np.int64).tofile(joined)
    draft.replace(exchange.folder / "ends")


def distinct_hashes(found: Shingles) -> tuple[np.ndarray, np.ndarray]:
    """The sets of shingles of some documents: (hashes,) one set after another, each ascending and
    distinct; (documents,) where each ends. Sorts `found.hashes`."""
    hashes, offsets = found
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        hashes[start:stop].sort()
    first = np.ones(len(hashes), bool)
    first[1:] = hashes[1:] != hashes[:-1]
    first[offsets[:-1][offsets[:-1] < len(hashes)]] = True
    counted = np.zeros(len(hashes) + 1, np.int64)
    np.cumsum(first, out=counted[1:])
    return hashes[first], counted[offsets[1:]]


def _contents(documents: Path, needed: np.ndarray, compared: str) -> Iterator[list[bytes]]:
    """What is compared of documents that are needed, some at once. needed: (rows,) 0 or 1;
    compared: the column."""
    row = 0
    for batch in batches_of(documents, [compared]):
        here = np.flatnonzero(needed[row : row + len(batch)])
        row += len(batch)
        column = bytes_in(batch.column(compared))
        contents: list[bytes] = []
        size = 0
        for at in here.tolist():  # `take` would load all functions of Arrow, 60 MB
            contents.append(column[at].as_py())
            size += len(contents[-1])
            if size >= BYTES:
                yield contents
                contents = []
                size = 0
        if contents:
            yield contents


class _Sets:
    """The sets of shingles of one corpus, read one by one."""

    def __init__(self, exchange: Exchange):
        self.starts = np.array(exchange.starts)
        self.folder = exchange.folder / SHINGLES
        self.ends = exchange.folder / "ends"
        self.opened = lru_cache(SET_FILES)(self._open)

    def _open(self, shard: int) -> BinaryIO:
        return open(self.folder / str(shard) / "hashes", "rb", buffering=0)

    def places(self, documents: np.ndarray) -> np.ndarray:
        """(documents, 3) int64: shard, first and last hash of each set."""
        ends = array_in(self.ends, np.int64)
        found = np.zeros((len(documents), 3), np.int64)
        found[:, 0] = np.searchsorted(self.starts, documents, "right") - 1
        found[:, 2] = ends[documents]
        later = np.flatnonzero(documents > self.starts[found[:, 0]])  # none is the first of a shard
        found[later, 1] = ends[documents[later] - 1]
        return found

    def read(self, shard: int, start: int, stop: int) -> np.ndarray:
        """One set."""
        data = os.pread(self.opened(shard).fileno(), 8 * (stop - start), 8 * start)
        return np.frombuffer(data, np.uint64)


def _similarities(exchange: Exchange, sets: _Sets, pairs: np.ndarray) -> np.ndarray:
    """(pairs,) float64, true."""
    fingerprints = exchange.fingerprints()
    if fingerprints is not None:
        one = fingerprints[pairs["later"].astype(np.int64)]
        other = fingerprints[pairs["earlier"].astype(np.int64)]
        return 1 - distances(one, other) / BITS
    later = sets.places(pairs["later"].astype(np.int64)).tolist()
    earlier = sets.places(pairs["earlier"].astype(np.int64)).tolist()
    found = np.zeros(len(pairs))
    before: list[int] = []
    for number, place in enumerate(later):
        if place != before:
            own = sets.read(*place)
            before = place
        found[number] = jaccard(own, sets.read(*earlier[number]))
    return found


def verify(folder: str, shard: int, floor: float) -> None:
    """Writes the similarities of all pairs of a shard: `all` as VERIFIED, and those of at least
    `floor` as FOUND in `pairs`."""
    exchange = opened(folder)
    sets = _Sets(exchange)
    with (
        whole_folder(Path(folder) / "found" / str(shard)) as draft,
        open(draft / "all", "wb") as every,
        open(draft / "pairs", "wb") as found,
    ):
        for start, stop in blocks(exchange, shard):
            pairs, halves = _candidates(exchange, start, stop)
            similarity = _known(exchange, shard, pairs)
            unknown = np.isnan(similarity)
            similarity[unknown] = _similarities(exchange, sets, pairs[unknown])
            _records(exchange, shard, pairs, similarity).tofile(every)
            high = similarity >= floor
            _found(pairs[high], similarity[high], halves[high]).tofile(found)


def _records(
    exchange: Exchange, shard: int, pairs: np.ndarray, similarity: np.ndarray
) -> np.ndarray:
    """(pairs,) VERIFIED, in order."""
    records = np.empty(len(pairs), VERIFIED)
    earlier = exchange.identity()[pairs["earlier"].astype(np.int64)]
    records["row"] = pairs["later"] - np.uint64(exchange.starts[shard])
    records["high"] = earlier[:, 1]
    records["low"] = earlier[:, 2]
    records["similarity"] = similarity
    return records[np.lexsort((records["low"], records["high"], records["row"]))]


def _found(pairs: np.ndarray, similarity: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """(pairs,) FOUND."""
    found = np.empty(len(pairs), FOUND)
    found["later"] = pairs["later"]
    found["earlier"] = pairs["earlier"]
    found["similarity"] = similarity
    found["halves"] = halves
    return found


def _files(job: dict[str, Any]) -> list[str]:
    return []


WANTED = Work(list_wanted, "comparing with what is known", _files)
SETS = Work(write_sets, "reading candidates", _files)
VERIFY = Work(verify, "comparing candidates", _files)
