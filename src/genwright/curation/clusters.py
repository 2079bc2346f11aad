"""Which documents stay and which are copies, at any similarity: from the stored pairs, without
looking at a text again.

1. In order (the source that comes first, then the smallest id) a document is dropped if its
   similarity to one that was *kept* is at least the threshold; otherwise it is kept. A chain drops
   nothing: where A resembles B and B resembles C alone, C stays.
2. Of several kept ones it is a copy of the most similar; of equally similar ones, of the first.
3. An exact copy goes with the document that it is a copy of.
4. A cluster is what stored pairs join, chains too, and what a split must not cut; one of more than
   `CAP` documents is cut into each kept document with its copies.

Arrays of all documents are files that are mapped; edges are read `memory / EDGE` at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genwright.core.drafts import draft_beside
from genwright.core.errors import GenwrightError
from genwright.core.files import read_json
from genwright.curation.minhash import expected_recall, recall_between
from genwright.curation.near_pairs import NONE
from genwright.data.sorted_runs import array_in

CAP = 1000  # documents of a cluster, at most
MEMORY = 256e6  # bytes that making clusters may take, where nothing is said
EDGE = 400  # bytes that a pair takes while clusters are made
ROWS = 1 << 15  # of a batch that is written
BELOW = 0.1  # pairs are stored down to this much below the similarity asked for
KEPT, DROPPED, UNDECIDED = 0, 1, 2
PAIRS = pa.schema(
    [
        ("later", pa.uint64()),
        ("earlier", pa.uint64()),
        ("later_id", pa.binary(16)),
        ("earlier_id", pa.binary(16)),
        ("similarity", pa.float64()),
        ("halves", pa.uint64()),
    ]
)
CLUSTERS = pa.schema(
    [
        ("shard", pa.dictionary(pa.int32(), pa.string())),
        ("row", pa.int64()),
        ("id", pa.binary(16)),
        ("cluster", pa.uint64()),
        ("kept", pa.binary(16)),
        ("similarity", pa.float64()),
        ("kind", pa.dictionary(pa.int32(), pa.string())),
    ]
)
KINDS = ("kept", "exact", "near")
STAYS, EXACT, NEAR = range(3)


class Stored(NamedTuple):
    """What the search left in a folder. shards: keys, in order; starts: number at which each
    begins, and how many documents there are; similarity, bands, rows: what was asked for, and how
    it was looked for (no rows: all pairs were found); below: how much below that similarity pairs
    are stored."""

    folder: Path
    shards: list[str]
    starts: list[int]
    similarity: float
    bands: int
    rows: int
    below: float = BELOW

    @property
    def floor(self) -> float:
        """The similarity from which pairs are stored."""
        return max(0.0, round(self.similarity - self.below, 9))

    def identity(self) -> np.ndarray:
        """(documents, 3) uint64, mapped: place of the source, id."""
        return array_in(self.folder / "identity", width=3)

    def copies(self) -> np.ndarray:
        """(documents,) uint64, mapped: what each is an exact copy of, or NONE."""
        return array_in(self.folder / "copies")


class ClusterCounts(NamedTuple):
    """documents: all; exact, near: copies that are dropped; cut: clusters that had more than CAP;
    expected: share of the pairs of this similarity that the bands find; measured: share of the
    pairs of this similarity to .05 above that were found, estimated from how many each half of the
    bands found alone (NaN: there are too few, or all
    pairs were found)."""

    documents: int
    exact: int
    near: int
    cut: int
    expected: float
    measured: float


def stored(folder: str | Path) -> Stored:
    """What a search left. Raises GenwrightError where none came to its end."""
    path = Path(folder) / "near.json"
    if not path.is_file():
        raise GenwrightError(
            f"{folder} holds no near copies", "look for them: genwright data build corpus.yaml"
        )
    values = read_json(path.read_text(encoding="utf-8"), path, "build the corpus again")
    known = {name: values[name] for name in Stored._fields[1:] if name in values}
    return Stored(Path(folder), **known)


class _State(NamedTuple):
    """Of all documents, mapped: state (KEPT, DROPPED, UNDECIDED), kept (number of the document that
    each is a copy of, its own where it is kept), similarity to it, parent (of a tree of documents
    that belong together), member (whether a stored pair or a copy has it)."""

    state: np.ndarray
    kept: np.ndarray
    similarity: np.ndarray
    parent: np.ndarray
    member: np.ndarray


def write_clusters(
    found: Stored, similarity: float, path: Path, memory: float = MEMORY
) -> ClusterCounts:
    """Decides at a similarity, and writes the documents that have copies or resemble others to a
    Parquet file with the columns CLUSTERS: shard and row; cluster, a number; kept, the id of what
    it is a copy of (its own where it stays); similarity to that; kind. memory: bytes. Raises
    GenwrightError for a similarity below what is stored."""
    if similarity < found.floor:
        raise GenwrightError(
            f"pairs are stored from a similarity of {found.floor:g}, not from {similarity:g}",
            "lower deduplicate.similarity in corpus.yaml, and build again",
        )
    count = found.starts[-1]
    with tempfile.TemporaryDirectory(dir=found.folder, prefix="clusters-") as scratch:
        state = _begin(Path(scratch), count)
        edges = _edges(found, Path(scratch))
        limit = max(1, int(memory / EDGE))
        _join(edges, state, limit)
        _decide(found, edges, similarity, state, limit)
        _nearest(found, edges, similarity, state, limit)
        labels, cut = _labels(found, state, Path(scratch))
        counts = _write(found, state, labels, path)
        halves = _found_by(edges, similarity, limit)
    expected = expected_recall(similarity, found.bands, found.rows)
    measured = recall_between(*halves) if found.rows else float("nan")
    return ClusterCounts(count, *counts, cut, expected, measured)


def _begin(scratch: Path, count: int) -> _State:
    """All documents, kept."""

    def mapped(name: str, dtype: np.typing.DTypeLike) -> np.ndarray:
        return np.memmap(scratch / name, dtype, "w+", shape=(max(count, 1),))

    state = _State(
        mapped("state", np.uint8),
        mapped("kept", np.int64),
        mapped("similarity", np.float64),
        mapped("parent", np.int64),
        mapped("member", np.uint8),
    )
    for start in range(0, count, 1 << 16):
        stop = min(start + (1 << 16), count)
        state.kept[start:stop] = np.arange(start, stop)
        state.parent[start:stop] = np.arange(start, stop)
        state.similarity[start:stop] = 1
    return state


EDGES = np.dtype([("later", "<i8"), ("earlier", "<i8"), ("similarity", "<f8"), ("halves", "<i8")])


def _edges(found: Stored, scratch: Path) -> np.ndarray:
    """(pairs,) EDGES, mapped, by later."""
    with open(scratch / "edges", "wb") as file, pq.ParquetFile(found.folder / "pairs.parquet") as q:
        for batch in q.iter_batches(ROWS, columns=list(EDGES.names or ())):
            edges = np.empty(len(batch), EDGES)
            for name in EDGES.names or ():
                edges[name] = batch.column(name).to_numpy()
            edges.tofile(file)
    return array_in(scratch / "edges", EDGES)


def _chunks(edges: np.ndarray, limit: int) -> Iterator[np.ndarray]:
    """About `limit` edges at once, in memory; all of one later document together."""
    start = 0
    while start < len(edges):
        stop = min(start + limit, len(edges))
        if stop < len(edges):
            last = edges["later"][stop - 1]
            stop = int(np.searchsorted(edges["later"], last, "right"))
        yield np.array(edges[start:stop])
        start = stop


def _begins(later: np.ndarray) -> np.ndarray:
    """Where each later document begins."""
    begins = np.ones(len(later), bool)
    begins[1:] = later[1:] != later[:-1]
    return np.flatnonzero(begins)


def _join(edges: np.ndarray, state: _State, limit: int) -> None:
    """Makes trees of the documents that stored pairs join (union-find with halving of paths)."""
    parent = memoryview(state.parent.data)

    def root(document: int) -> int:
        while parent[document] != document:
            parent[document] = parent[parent[document]]
            document = parent[document]
        return document

    for chunk in _chunks(edges, limit):
        state.member[chunk["later"]] = 1
        state.member[chunk["earlier"]] = 1
        pairs = zip(chunk["later"].tolist(), chunk["earlier"].tolist(), strict=True)
        for later, earlier in pairs:
            one = root(later)
            other = root(earlier)
            if one != other:
                parent[max(one, other)] = min(one, other)


def _decide(found: Stored, edges: np.ndarray, similarity: float, state: _State, limit: int) -> None:
    """Which documents stay. Passes over the edges settle all whose earlier documents are settled,
    until the others fit in memory; those are settled in order."""
    for chunk in _chunks(edges, limit):
        near = chunk["similarity"] >= similarity
        state.state[chunk["later"][near]] = UNDECIDED
    left = len(edges)
    while left > limit:
        left = sum(_settle(chunk, similarity, state) for chunk in _chunks(edges, limit))
    rest = [np.zeros(0, EDGES)]
    for chunk in _chunks(edges, limit):
        near = chunk["similarity"] >= similarity
        rest.append(chunk[near & (state.state[chunk["later"]] == UNDECIDED)])
    _settle_in_order(found, np.concatenate(rest), state)


def _settle(chunk: np.ndarray, similarity: float, state: _State) -> int:
    """One pass over some edges. Returns how many have a later document that is undecided still."""
    undecided = state.state[chunk["later"]] == UNDECIDED
    near = chunk[undecided & (chunk["similarity"] >= similarity)]
    if not len(near):
        return 0
    begins = _begins(near["later"])
    before = state.state[near["earlier"]]
    has_kept = np.logical_or.reduceat(before == KEPT, begins)
    has_undecided = np.logical_or.reduceat(before == UNDECIDED, begins)
    after = np.where(has_undecided, UNDECIDED, KEPT)
    after[has_kept] = DROPPED
    state.state[near["later"][begins]] = after
    return int((state.state[near["later"]] == UNDECIDED).sum())


def _settle_in_order(found: Stored, edges: np.ndarray, state: _State) -> None:
    """Settles the later documents of edges, the first in order first. edges: in memory."""
    identity = found.identity()[edges["later"]]
    edges = edges[np.lexsort((*identity.T[::-1],))]
    states = memoryview(state.state.data)
    pairs = zip(edges["later"].tolist(), edges["earlier"].tolist(), strict=True)
    for later, earlier in pairs:
        if states[later] == UNDECIDED:
            states[later] = KEPT  # until one of its edges says otherwise
        if states[earlier] == KEPT:
            states[later] = DROPPED


def _nearest(
    found: Stored, edges: np.ndarray, similarity: float, state: _State, limit: int
) -> None:
    """Of each dropped document the most similar kept one; exact copies go with theirs."""
    for chunk in _chunks(edges, limit):
        usable = state.state[chunk["later"]] == DROPPED
        usable &= state.state[chunk["earlier"]] == KEPT
        near = chunk[usable & (chunk["similarity"] >= similarity)]
        identity = found.identity()[near["earlier"]]
        near = near[np.lexsort((*identity.T[::-1], -near["similarity"], near["later"]))]
        best = near[_begins(near["later"])]
        state.kept[best["later"]] = best["earlier"]
        state.similarity[best["later"]] = best["similarity"]
    copies = found.copies()
    for start in range(0, len(copies), 1 << 16):
        part = copies[start : start + (1 << 16)]
        own = np.flatnonzero(part != NONE)
        first = part[own].astype(np.int64)
        own += start
        state.member[own] = 1
        state.member[first] = 1
        state.kept[own] = state.kept[first]
        state.similarity[own] = state.similarity[first]
        state.parent[own] = first
        state.state[own] = DROPPED


def _labels(found: Stored, state: _State, scratch: Path) -> tuple[np.ndarray, int]:
    """(documents,) uint64, mapped: the cluster of each, the smallest first half of an id in it,
    which no order of documents changes; and how many were cut."""
    count = len(state.parent)
    labels = np.memmap(scratch / "labels", np.uint64, "w+", shape=(count,))
    sizes = np.memmap(scratch / "sizes", np.int64, "w+", shape=(count,))
    identity = found.identity()
    labels[:] = NONE
    for own in _members(state):
        roots = _roots(state.parent, own)
        np.minimum.at(labels, roots, identity[own, 1])
        np.add.at(sizes, roots, 1)
    cut = 0
    for own in _members(state):
        roots = _roots(state.parent, own)
        names = labels[roots]
        large = sizes[roots] > CAP
        names[large] = identity[state.kept[own[large]], 1]
        # the label of a root is read again by others, which is the same unless it is cut
        labels[own] = names
        cut += int(np.count_nonzero(large & (roots == own)))
    return labels, cut


def _members(state: _State) -> Iterator[np.ndarray]:
    """The numbers of documents that have copies or resemble others, some at once."""
    for start in range(0, len(state.member), ROWS):
        own = np.flatnonzero(state.member[start : start + ROWS])
        if len(own):
            yield own + start


def _roots(parent: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """The roots of the trees of documents."""
    at = parent[documents]
    while True:
        above = parent[at]
        if (above == at).all():
            return at
        at = above


def _write(found: Stored, state: _State, labels: np.ndarray, path: Path) -> tuple[int, int]:
    """Writes the members, by shard and row. Returns how many are exact copies and near ones."""
    shards = pa.array(found.shards, pa.string())
    starts = np.array(found.starts)
    identity = found.identity()
    copies = found.copies()
    counts = np.zeros(len(KINDS), np.int64)
    draft = draft_beside(path)
    try:
        with pq.ParquetWriter(draft, CLUSTERS, compression="zstd") as writer:
            for own in _members(state):
                kept = state.kept[own]
                kinds = np.where(copies[own] == kept.astype(np.uint64), EXACT, NEAR)
                kinds[kept == own] = STAYS
                counts += np.bincount(kinds, minlength=len(KINDS))
                shard = np.searchsorted(starts, own, "right") - 1
                here = slice(int(shard[0]), int(shard[-1]) + 1)
                of_these = (shard - shard[0]).astype(np.int32)
                columns = [
                    pa.DictionaryArray.from_arrays(of_these, shards[here]),
                    pa.array(own - starts[shard]),
                    id_column(identity[own]),
                    pa.array(np.array(labels[own])),
                    id_column(identity[kept]),
                    pa.array(np.array(state.similarity[own])),
                    pa.DictionaryArray.from_arrays(kinds.astype(np.int32), pa.array(KINDS)),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=CLUSTERS))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return int(counts[EXACT]), int(counts[NEAR])


def id_column(identity: np.ndarray) -> pa.Array:
    """Ids as bytes. identity: (n, 3) uint64, as `Stored.identity` has them."""
    raw = identity[:, 1:].astype(">u8").tobytes()
    return pa.Array.from_buffers(pa.binary(16), len(identity), [None, pa.py_buffer(raw)])


def _found_by(edges: np.ndarray, similarity: float, limit: int) -> tuple[int, int, int]:
    """How many pairs of this similarity to .05 above were found by the first half of the bands, by
    the second, by both."""
    counts = np.zeros(4, np.int64)
    for chunk in _chunks(edges, limit):
        near = chunk["similarity"] >= similarity
        near &= chunk["similarity"] < similarity + 0.05
        counts += np.bincount(chunk["halves"][near], minlength=4)
    _, first, second, both = counts.tolist()
    return first + both, second + both, both
