"""Small corpora of documents for tests of near copies, and what there is to find in them, by plain
Python that compares every pair."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from test_minhash import plain_jaccard

from genwright.curation.store import SCHEMA


class Made(NamedTuple):
    """A document."""

    source: str
    text: str

    @property
    def id(self) -> bytes:
        return hashlib.blake2b(f"{self.source} {self.text}".encode(), digest_size=16).digest()

    @property
    def content(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()


def write_shard(path: Path, documents: list[Made]) -> Path:
    rows = []
    for made in documents:
        row = dict.fromkeys(SCHEMA.names, "")
        row |= {"id": made.id, "content": made.content, "source": made.source, "text": made.text}
        rows.append(row | {"bytes": len(made.text), "data": b""})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path, row_group_size=7)
    return path


def write_shards(folder: Path, documents: list[Made], size: int) -> list[Path]:
    """In shards of so many documents, named by what is in them."""
    paths = []
    for start in range(0, len(documents), size):
        part = documents[start : start + size]
        key = hashlib.sha256(b"".join(made.id for made in part)).hexdigest()[:32]
        paths.append(write_shard(folder / f"{key}.parquet", part))
    return paths


def corpus(seed: int, families: int = 12, words: int = 60) -> list[Made]:
    """Families of documents that were edited one from another (chains), exact copies, short texts,
    empty ones. No two documents are the same in source and text."""
    rng = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(500)]
    documents = [Made("a", ""), Made("b", ""), Made("a", "one two"), Made("b", "one  two")]
    for _ in range(families):
        text = rng.choices(vocabulary, k=words)
        for _ in range(rng.randint(1, 6)):
            documents.append(Made(rng.choice("abc"), " ".join(text)))
            if rng.random() < 0.3:
                documents.append(Made(rng.choice("abc"), " ".join(text)))
            text = list(text)
            for _ in range(rng.randint(0, 2)):
                text[rng.randrange(len(text))] = rng.choice(vocabulary)
    documents = list(dict.fromkeys(documents))
    rng.shuffle(documents)
    return documents


def expected(documents: list[Made], sources: str, similarity: float) -> dict[bytes, tuple]:
    """id -> (kept id, similarity, kind) of all that have copies or are one; by every pair."""
    order = sorted(documents, key=lambda made: (sources.index(made.source), made.id))
    kept: list[Made] = []
    first_of: dict[bytes, Made] = {}
    result: dict[bytes, tuple] = {}
    for made in order:
        if made.content in first_of:
            continue
        first_of[made.content] = made
        best = max(kept, key=lambda other: plain_jaccard(other.text, made.text), default=None)
        value = plain_jaccard(best.text, made.text) if best else 0.0
        if best and value >= similarity:
            result[made.id] = (best.id, value, "near")
        else:
            kept.append(made)
    for made in order:
        first = first_of[made.content]
        if first is made:
            continue
        result[made.id] = result.get(first.id, (first.id, 1.0, "exact"))
    for made in kept:
        if any(value[0] == made.id for value in result.values()):
            result[made.id] = (made.id, 1.0, "kept")
    return result
