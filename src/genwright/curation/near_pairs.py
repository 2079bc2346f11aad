"""Near copies, stage 2: which documents are exact copies, and which pairs are candidates.

Keys are exchanged through files: a job reads one range of the keys from the runs of all shards.

1. Exact copies: equal SHA-256 of the content. The first document in order stays: of the source that
   comes first, then of the smallest id. What is a copy takes no part in what follows.
2. Candidates: documents with an equal key of a band. In a group of more than `GROUP` each is paired
   with the first `GROUP` in order, which are those that are likely to stay: the pairs of a group
   grow with it and not with its square.

3. Where documents have fingerprints, nothing is left to chance: each document of a group is paired
   with the first one of each other fingerprint, and pairs that are too far apart are left out at
   once. That is enough, for of equal fingerprints only the first document can stay, and what drops
   it drops the others.

A pair is (later, earlier) in that order, of document numbers, and says in which half of the bands
it was found: from that follows how many were missed. Neither workers, nor shards, nor ranges decide
which pairs there are.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genwright.core.files import json_text, read_json
from genwright.curation.minhash import HALF_BIT
from genwright.curation.near_kinds import distances, farthest
from genwright.curation.near_signatures import FINGERPRINTS
from genwright.data.sorted_runs import RunWriter, array_in, records_in, whole_folder
from genwright.data.workers import Work

GROUP = 128  # of a group of equal keys, those that all others are compared with
RECORD = 150  # bytes that a record takes while it is grouped
PAIR = 100  # bytes that a pair takes while it is sorted
NONE = np.uint64(0xFFFFFFFFFFFFFFFF)  # no document


class Exchange(NamedTuple):
    """The folder of intermediate files of one corpus. starts: number at which each shard begins,
    and how many documents there are; signatures, documents, verified: of each shard; memory: bytes
    that a job may take."""

    folder: Path
    starts: list[int]
    signatures: list[Path]
    documents: list[Path]
    verified: list[Path]
    memory: float

    def identity(self) -> np.ndarray:
        """(documents, 3) uint64, mapped: place of the source, id; they compare in order."""
        return array_in(self.folder / "identity", width=3)

    def content(self) -> np.ndarray:
        """(documents, 4) uint64, mapped: SHA-256 of each."""
        return array_in(self.folder / "content", width=4)

    def copies(self) -> np.ndarray:
        """(documents,) uint64, mapped: what each is an exact copy of, or NONE."""
        return array_in(self.folder / "copies")

    def fingerprints(self) -> np.ndarray | None:
        """(documents,) uint64, mapped; None where documents are compared by shingles."""
        path = self.folder / FINGERPRINTS
        return array_in(path) if path.is_file() else None

    def write(self) -> None:
        """Keeps it for jobs."""
        values = {
            "starts": self.starts,
            "signatures": [str(path) for path in self.signatures],
            "documents": [str(path) for path in self.documents],
            "verified": [str(path) for path in self.verified],
            "memory": self.memory,
        }
        draft = self.folder / "exchange.tmp"
        draft.write_text(json_text(values), encoding="utf-8")
        draft.replace(self.folder / "exchange.json")


def opened(folder: str | Path) -> Exchange:
    """What `Exchange.write` kept."""
    path = Path(folder) / "exchange.json"
    values = read_json(path.read_text(encoding="utf-8"), path, "delete its folder")
    return Exchange(
        Path(folder),
        values["starts"],
        [Path(each) for each in values["signatures"]],
        [Path(each) for each in values["documents"]],
        [Path(each) for each in values["verified"]],
        values["memory"],
    )


def ranges(records: int, memory: float) -> list[tuple[int, int]]:
    """Ranges of keys, which are spread evenly, of so many records each that they fit."""
    # twice, for ranges differ
    number = max(1, -(-records * RECORD * 2 // int(memory)))
    bounds = [(1 << 64) * at // number for at in range(number + 1)]
    return list(zip(bounds[:-1], bounds[1:], strict=True))


def _numbered(exchange: Exchange, name: str, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """(keys, documents) of a range, of all shards."""
    found_keys = [np.zeros(0, np.uint64)]
    found_documents = [np.zeros(0, np.uint64)]
    for shard, start in zip(exchange.signatures, exchange.starts[:-1], strict=True):
        keys, rows = records_in([shard], name, low, high)
        found_keys.append(keys)
        found_documents.append(rows + np.uint64(start))
    return np.concatenate(found_keys), np.concatenate(found_documents)


def _repeated(keys: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(key, document) of documents whose key another one has too, by key."""
    order = np.argsort(keys)
    keys = keys[order]
    same = keys[1:] == keys[:-1]
    shared = np.zeros(len(keys), bool)
    shared[1:] |= same
    shared[:-1] |= same
    return keys[shared], documents[order[shared]]


def find_copies(folder: str, number: int, low: int, high: int) -> None:
    """Writes the exact copies whose content begins with a number of a range, as runs of (copy, what
    it is a copy of)."""
    exchange = opened(folder)
    _, documents = _repeated(*_numbered(exchange, "copies", low, high))
    at = documents.astype(np.int64)
    content = exchange.content()[at]
    identity = exchange.identity()[at]
    order = np.lexsort((*identity.T[::-1], *content.T[::-1]))
    content = content[order]
    documents = documents[order]
    begins = np.ones(len(documents), bool)
    begins[1:] = (content[1:] != content[:-1]).any(1)
    firsts = documents[begins]
    kept = firsts[np.cumsum(begins) - 1]
    with whole_folder(Path(folder) / "copies-found" / str(number)) as draft:
        writer = RunWriter(draft, "copies", max(len(documents), 1))
        writer.add(documents[~begins], kept[~begins])
        writer.close()


def find_candidates(folder: str, number: int, low: int, high: int, floor: float) -> None:
    """Writes the pairs with an equal key of a range, as runs of (later, earlier). floor: of
    fingerprints, from which similarity."""
    exchange = opened(folder)
    keys, documents = _repeated(*_numbered(exchange, "bands", low, high))
    single = exchange.copies()[documents.astype(np.int64)] == NONE
    keys = keys[single]
    documents = documents[single]
    identity = exchange.identity()[documents.astype(np.int64)]
    order = np.lexsort((*identity.T[::-1], keys))
    keys = keys[order]
    documents = documents[order]
    limit = int(exchange.memory / PAIR / 2)
    with whole_folder(Path(folder) / "candidates" / str(number)) as draft:
        writer = RunWriter(draft, "pairs", limit)
        fingerprints = exchange.fingerprints()
        if fingerprints is None:
            found = pairs_of(keys, documents, limit)
        else:
            own = fingerprints[documents.astype(np.int64)]
            found = close_pairs(keys, documents, own, farthest(floor), limit)
        for later, earlier, in_half in found:
            writer.add(later, earlier << np.uint64(1) | in_half)
        writer.close()


Found = Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]


def pairs_of(keys: np.ndarray, documents: np.ndarray, limit: int) -> Found:
    """(later, earlier, half of the bands) of the pairs with equal keys, at most about `limit` at
    once. keys: (n,) ascending; documents: (n,), of one key in order."""
    if not len(keys):
        return
    first = _group_starts(keys)
    counts = np.minimum(np.arange(len(keys)) - first, GROUP)
    for later, earlier in _expanded(first, counts, limit):
        in_half = keys[later] >= np.uint64(HALF_BIT)
        yield documents[later], documents[earlier], in_half


def close_pairs(
    keys: np.ndarray, documents: np.ndarray, fingerprints: np.ndarray, farthest: int, limit: int
) -> Found:
    """As `pairs_of`, of each document with the first one of each fingerprint of its group, where
    they differ in no more than so many bits. fingerprints: (n,) uint64, of the documents."""
    if not len(keys):
        return
    place = np.arange(len(keys))
    order = np.lexsort((place, fingerprints, keys))
    starts = np.ones(len(keys), bool)
    starts[1:] = keys[order[1:]] != keys[order[:-1]]
    starts[1:] |= fingerprints[order[1:]] != fingerprints[order[:-1]]
    is_first = np.zeros(len(keys), bool)
    is_first[order[starts]] = True
    firsts = np.flatnonzero(is_first)  # places of the first documents, group by group
    before = np.cumsum(is_first) - is_first  # (n,) first documents at places before
    first = before[_group_starts(keys)]  # (n,) where those of its group begin, in `firsts`
    for later, number in _expanded(first, before - first, limit):
        earlier = firsts[number]
        near = distances(fingerprints[later], fingerprints[earlier]) <= farthest
        later = later[near]
        earlier = earlier[near]
        in_half = keys[later] >= np.uint64(HALF_BIT)
        yield documents[later], documents[earlier], in_half


def _group_starts(keys: np.ndarray) -> np.ndarray:
    """(n,) where the group of equal keys of each begins. keys: (n,) ascending."""
    begins = np.ones(len(keys), bool)
    begins[1:] = keys[1:] != keys[:-1]
    firsts = np.flatnonzero(begins)
    found: np.ndarray = firsts[np.cumsum(begins) - 1]
    return found


def _expanded(
    first: np.ndarray, counts: np.ndarray, limit: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(place, partner) where each place has the partners `first` to `first` + `counts`, at most
    about `limit` pairs at once, those of one place together."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + limit, "right"))
        stop = max(stop, start + 1)
        own = counts[start:stop]
        within = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
        partner = np.repeat(first[start:stop], own) + within
        yield np.repeat(np.arange(start, min(stop, len(counts))), own), partner
        start = stop


def write_copies(exchange: Exchange, found: list[Path]) -> int:
    """Writes of each document what it is an exact copy of. Returns how many are."""
    path = exchange.folder / "copies"
    count = exchange.starts[-1]
    draft = path.with_suffix(".tmp")
    with open(draft, "wb") as file:
        for start in range(0, count, 1 << 16):
            np.full(min(1 << 16, count - start), NONE).tofile(file)
    copies = 0
    if count:
        kept = np.memmap(draft, np.uint64, "r+")
        for folder in found:
            keys = array_in(folder / "copies.keys")
            values = array_in(folder / "copies.values")
            for start in range(0, len(keys), 1 << 16):
                part = slice(start, start + (1 << 16))
                kept[keys[part].astype(np.int64)] = values[part]
            copies += len(keys)
        kept.flush()
    draft.replace(path)
    return copies


def _no_files(job: dict[str, Any]) -> list[str]:
    return []


COPIES = Work(find_copies, "finding exact copies", _no_files)
CANDIDATES = Work(find_candidates, "finding candidates", _no_files)
