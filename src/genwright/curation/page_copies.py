"""What a corpus's page says of copies: how many there are, how similar pairs of documents are, and
the largest clusters with two of their documents side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from genwright.core.files import read_json
from genwright.core.progress import track
from genwright.curation.build import Corpus
from genwright.curation.copies import CLUSTERS, EXACT, NEAR, NEAR_FOLDER, PAIRS
from genwright.curation.groups import STAYS, Member, largest
from genwright.curation.look import edits_in, row_of, where
from genwright.curation.page_numbers import ROWS, Count, Numbers
from genwright.curation.page_shown import (
    COLUMNS,
    as_html,
    found_in_words,
    near_in_words,
    similarity_name,
    step_of,
)
from genwright.curation.store import Shard
from genwright.reporting.bars import Bound, Counts, histogram
from genwright.reporting.fragments import chapter, section_title, soft
from genwright.reporting.markup import Markup, Templates, joined
from genwright.reporting.svg import key

HTML = Templates("genwright.curation", "page.html")
LARGEST = 5  # clusters that are shown


@dataclass(frozen=True)
class Copies:
    """facts: of the search (near.json). pairs: (bins,) of similar documents that are no exact
    copies, by similarity from `floor` on, in steps of `step`. largest: the clusters with the most
    copies."""

    facts: Mapping[str, Any]
    floor: float
    step: float
    pairs: np.ndarray
    largest: list[list[Member]]


def count_copies(corpus: Corpus) -> Copies | None:
    """The copies of a corpus; None where none were looked for. In memory it takes 16 bytes for each
    cluster. Raises GenwrightError for a damaged file."""
    path = corpus.folder / NEAR_FOLDER / "near.json"
    if corpus.recipe.deduplicate is None or not path.is_file():
        return None
    facts = read_json(path.read_text(encoding="utf-8"), path, "build the corpus again")
    pairs_path = corpus.folder / PAIRS
    step = step_of(corpus.recipe.kind)
    with pq.ParquetFile(pairs_path) as file:
        columns = file.iter_batches(ROWS, columns=["similarity"])
        bins = np.zeros(round(1 / step), np.int64)
        for batch in track(columns, "counting pairs"):
            places = np.floor(batch["similarity"].to_numpy() / step + 1e-9).astype(np.int64)
            places = np.minimum(places, len(bins) - 1)
            bins += np.bincount(places, minlength=len(bins))
    found = np.flatnonzero(bins)
    first = min([*found.tolist(), round(facts["similarity"] / step)])
    clusters = largest(corpus.folder / CLUSTERS, LARGEST)
    return Copies(facts, first * step, step, bins[first:], clusters)


# ---- as HTML


def copies_section(
    corpus: Corpus, numbers: Numbers, copies: Copies | None, crossing: int
) -> Markup:
    """Exact and near copies. crossing: pairs of similar documents on both sides of the split."""
    heading = section_title("Copies")
    if copies is None:
        return heading + soft("Copies were not looked for (deduplicate: null).")
    parts = [heading, soft(sentence(corpus, numbers, copies, crossing))]
    parts.append(_pairs(corpus, copies))
    shown = [_side_by_side(corpus, members) for members in copies.largest]
    if shown:
        title = "The largest clusters: a document that stays, and its least similar copy"
        parts.append(chapter(title))
        parts += shown
    return joined(parts)


def sentence(corpus: Corpus, numbers: Numbers, copies: Copies, crossing: int) -> str:
    """How many copies there are, and how surely they were found; plain text."""
    counts = copies.facts["counts"]
    dropped = {}
    for reason in (EXACT, NEAR):
        dropped[reason] = numbers.reasons.get(reason, Count()).documents
    kind = corpus.recipe.kind
    near = near_in_words(kind, copies.facts["similarity"])
    found = found_in_words(kind, counts["expected"], counts["measured"])
    return (
        f"Exact copies of another document: {counts['exact']:,}. Near copies: {counts['near']:,};"
        f" {near} Dropped as copies: {dropped[EXACT]:,} exact and {dropped[NEAR]:,} near"
        f" ones; a rule had dropped the others, or what they resemble. {found}"
        f" Pairs of similar documents on both sides of the split: {crossing:,}."
    )


def _pairs(corpus: Corpus, copies: Copies) -> Markup:
    """The similarities of pairs."""
    edges = copies.floor + copies.step * np.arange(len(copies.pairs) + 1)
    wanted = copies.facts["similarity"]
    bound = Bound(wanted, f"near copies from {wanted:.4g}")
    counts = Counts("pairs", copies.pairs.tolist(), 0)
    name = similarity_name(corpus.recipe.kind)
    chart = histogram(edges.tolist(), [counts], [bound], label=name)
    if not chart:
        return soft("No two documents that differ are that similar, or nearly.")
    return HTML.half(key("pairs of documents", 0), chart)


def _side_by_side(corpus: Corpus, members: list[Member]) -> Markup:
    """The document of a cluster that stays, and its least similar copy."""
    by_id = {member.id: member for member in members}
    copies = [member for member in members if member.kind != STAYS]
    copy = min(copies, key=_unlike)
    stays = by_id.get(copy.kept)
    counted = f"{len(copies):,} copies"
    if len(copies) == 1:
        counted = "1 copy"
    title = f"{len(members):,} documents, {counted}; similarity {copy.similarity:.3f}"
    sides = [_side(corpus, member) for member in (stays, copy) if member is not None]
    return HTML.cluster(title, sides)


def _unlike(member: Member) -> tuple[float, bytes]:
    return member.similarity, member.id


def _side(corpus: Corpus, member: Member) -> Markup:
    shard = Shard(corpus.folder, member.shard)
    known = row_of(shard.documents, member.row, COLUMNS)
    name = where(known["source"], known["file"], known["place"])
    shown = as_html(corpus.recipe.kind, known, edits_in(corpus, shard, member.row))
    return HTML.side(name, shown)
