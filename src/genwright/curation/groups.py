"""Clusters of copies, to look at: the largest ones, at the similarity of the recipe or at
another."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from genwright.core.errors import GenwrightError
from genwright.curation.build import Corpus
from genwright.curation.clusters import ClusterCounts, stored
from genwright.curation.copies import NEAR_FOLDER
from genwright.curation.look import in_words, row_of, shortened, where
from genwright.curation.near import clusters_at
from genwright.curation.store import Shard

ROWS = 1 << 15  # of a batch that is read
MEMBERS = 4  # of a cluster, that are shown
STAYS = "kept"  # kind of a member that is no copy


class Member(NamedTuple):
    """A document of a cluster. kept: the id of the document that it is a copy of; its own where it
    is none. similarity: to that one. kind: kept, exact or near."""

    id: bytes
    shard: str
    row: int
    kept: bytes
    similarity: float
    kind: str


def largest(path: Path, n: int) -> list[list[Member]]:
    """The members of the n clusters with the most copies, most first. path: of clusters.parquet. In
    memory it takes 16 bytes for each cluster."""
    names = np.zeros(0, np.uint64)
    counts = np.zeros(0, np.int64)
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS, columns=["cluster", "kind"]):
            is_copy = pc.not_equal(pc.cast(batch["kind"], pa.string()), STAYS)
            own = batch["cluster"].filter(is_copy).to_numpy()
            every = np.concatenate([names, own])
            weights = np.concatenate([counts, np.ones(len(own), np.int64)])
            names, places = np.unique(every, return_inverse=True)
            counts = np.bincount(places, weights, minlength=len(names)).astype(np.int64)
    order = np.lexsort((names, -counts))[:n]
    chosen = names[order].tolist()
    members: dict[int, list[Member]] = {cluster: [] for cluster in chosen}
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS):
            wanted = pc.is_in(batch["cluster"], value_set=pa.array(chosen, pa.uint64()))
            for row in batch.filter(wanted).to_pylist():
                cluster = row.pop("cluster")
                members[cluster].append(Member(**row))
    return list(members.values())


@dataclass(frozen=True)
class Clusters:
    """Copies at a similarity; printed, the largest clusters with where each document is from.
    texts: of each cluster (similarity, kind, place, text) of the document that stays and of its
    least similar copies. members: documents of each cluster."""

    similarity: float
    counts: ClusterCounts
    texts: list[list[tuple[float, str, str, str]]]
    members: list[int]

    def __str__(self) -> str:
        counts = self.counts
        lines = [
            f"at a similarity of {self.similarity:g}, {counts.exact:,} exact and {counts.near:,}"
            f" near copies of {counts.documents:,} documents go;"
            f" {counts.expected:.1%} of the pairs that are just so similar are expected to be found"
        ]
        for number, texts in enumerate(self.texts, start=1):
            lines.append(f"cluster {number}")
            for similarity, kind, place, text in texts:
                lines.append(f"  {kind:5}  {similarity:.3f}  {place}")
                lines.append(f"    {shortened(text, 100)}")
            more = self.members[number - 1] - len(texts)
            if more:
                lines.append(f"  and {more:,} more, at least as similar")
        return "\n".join(lines)


def clusters(corpus: Corpus, similarity: float | None = None, n: int = 5) -> Clusters:
    """The copies of a corpus, at another similarity without anything being computed of documents.
    Raises GenwrightError where none were looked for, and for a similarity below those that are
    stored."""
    folder = corpus.folder / NEAR_FOLDER
    if corpus.recipe.deduplicate is None:
        raise GenwrightError(
            f"copies were not looked for in {corpus.folder}",
            "set deduplicate in its corpus.yaml, and build it again",
        )
    wanted = corpus.recipe.deduplicate.similarity if similarity is None else similarity
    stored(folder)
    with tempfile.TemporaryDirectory() as temporary:
        path, counts = clusters_at(folder, wanted, Path(temporary) / "clusters.parquet")
        found = largest(path, n)
    texts = [_texts(corpus, members) for members in found]
    return Clusters(wanted, counts, texts, [len(members) for members in found])


def _texts(corpus: Corpus, members: list[Member]) -> list[tuple[float, str, str, str]]:
    """The documents of a cluster that are shown."""
    stays = [member for member in members if member.kind == STAYS]
    copies = sorted((m for m in members if m.kind != STAYS), key=lambda each: each.similarity)
    found = []
    for member in [*stays[:1], *copies[: MEMBERS - 1]]:
        shard = Shard(corpus.folder, member.shard)
        row = row_of(shard.documents, member.row)
        place = where(row["source"], row["file"], row["place"])
        words = in_words(corpus, shard, member.row, row)
        found.append((member.similarity, member.kind, place, words))
    return found
