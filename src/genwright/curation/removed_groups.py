"""What gives the groups of a corpus's documents, by the names that a person gives.

A name is, in this order:

1. a file of words with their groups (`core/lexicon.py`): a document has every group of which a
   listed word stands in its text, as it was read, before edits;
2. a label of documents: source, licence, language. Where an attribute says it too, what it says
   counts, and else what the source says, as everywhere in a corpus;
3. another attribute that is a label, and that the corpus has computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from genwright.core.corpus_content import corpus_content
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.lexicon import Lexicon, is_list, read_lexicon
from genwright.curation.attributes import found_labels, needed, values_of
from genwright.curation.build import Corpus
from genwright.curation.settings import LABELS
from genwright.curation.store import Shard, batches_of, read_table


@dataclass(frozen=True)
class DocumentGroups:
    """What gives the groups of one kind. name; how: for a person. label, attribute: which say it,
    "" for none. lexicon: in their place."""

    name: str
    how: str
    label: str = ""
    attribute: str = ""
    lexicon: Lexicon | None = None


class Members(NamedTuple):
    """The groups of some documents. groups: their names. rows, codes: (members,) int64, each a
    document and its group; a document has none, one or several, each once."""

    groups: Sequence[str]
    rows: np.ndarray
    codes: np.ndarray


def document_groups(corpus: Corpus, names: Sequence[str]) -> list[DocumentGroups]:
    """What the names mean. corpus: with the recipe of its mix. Raises GenwrightError for a name
    that gives no groups, or that is given twice."""
    kind = corpus.recipe.kind
    said = found_labels(kind, corpus.recipe.rule_sets())
    measured = _label_attributes(corpus)
    found = []
    for name in names:
        if is_list(name):
            found.append(_of_words(name, corpus))
        elif name in LABELS:
            how = "what the document says, else its source" if name in said else "of documents"
            found.append(DocumentGroups(name, how, name, said.get(name, "")))
        elif name in measured:
            found.append(DocumentGroups(name, measured[name], attribute=name))
        else:
            raise GenwrightError(
                f"{name!r} gives no groups of the documents of {corpus.folder}",
                f"{did_you_mean(name, [*LABELS, *measured])}, or give a list of words (FILE.csv)",
            )
    seen: set[str] = set()
    for each in found:
        if each.name in seen:
            raise GenwrightError(f"{each.name} is given twice in --groups", "leave one of them out")
        seen.add(each.name)
    return found


def _label_attributes(corpus: Corpus) -> dict[str, str]:
    """Attributes that are labels and are computed -> what they are, for a person."""
    found = {}
    for group in needed(corpus.recipe.kind, corpus.recipe.rule_sets()):
        for column in group.columns:
            if column.kind == "label":
                found[column.name] = column.detail or "an attribute"
    return found


def _of_words(path: str, corpus: Corpus) -> DocumentGroups:
    """Raises GenwrightError for a list that is none, and for documents that are no texts."""
    content = corpus_content(corpus.recipe.kind)
    if content is not None:
        raise GenwrightError(
            f"{path} is a list of words, and {content.thing}s have none",
            f"name a label: {', '.join(LABELS)}",
        )
    lexicon = read_lexicon(path)
    how = f"documents in which any of {len(lexicon.words):,} listed words stand"
    return DocumentGroups(lexicon.name, how, lexicon=lexicon)


def members_of(corpus: Corpus, shard: Shard, groups: DocumentGroups) -> Iterator[Members]:
    """The groups of the documents of a shard, in parts. Raises GenwrightError where an attribute is
    not computed."""
    if groups.lexicon is not None:
        yield from _by_words(shard, groups.lexicon)
        return
    names = np.zeros(0, dtype=object)  # (documents,)
    if groups.label:
        names = _texts(read_table(shard.documents, [groups.label])[groups.label].to_pylist())
    if groups.attribute:
        values = values_of(shard, corpus.recipe.kind, [groups.attribute])[groups.attribute]
        values = _texts(values.tolist())
        names = np.where(values == "", names, values) if groups.label else values
    known = np.flatnonzero(names != "")
    found, codes = np.unique(names[known].astype(str), return_inverse=True)
    yield Members(found.tolist(), known, codes.reshape(-1))


def _texts(values: Sequence[str | None]) -> np.ndarray:
    """(documents,) of str objects; "" where nothing is known."""
    return np.array([value or "" for value in values], dtype=object)


def _by_words(shard: Shard, lexicon: Lexicon) -> Iterator[Members]:
    """A part for each batch of the texts, of which one is held at a time."""
    places = {group: place for place, group in enumerate(lexicon.groups)}
    first = 0
    for batch in batches_of(shard.documents, ["text"]):
        rows = []
        codes = []
        for row, text in enumerate(batch.column("text").to_pylist(), first):
            for group in {group for _, _, group in lexicon.found(text)}:
                rows.append(row)
                codes.append(places[group])
        yield Members(lexicon.groups, np.array(rows, np.int64), np.array(codes, np.int64))
        first += len(batch)
