"""What a corpus asks of a kind of content whose documents are bytes and no text: how files become
documents, by what two of them are alike, and how one is shown to a person.

A kind of content registers a `CorpusContent` in a file of its room whose name begins with `corpus`.
Documents of a kind that registers none are texts. Worker processes import this module and those:
they must not import torch when they are imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from genwright.core.corpus import Document, RawSource, Unread
from genwright.core.errors import GenwrightError
from genwright.core.registry import kinds, register

BITS = 64  # of a fingerprint
FARTHEST = 16  # bits that near copies may differ in: beyond it unrelated documents are near, too


class Shingles(NamedTuple):
    """Of a batch of documents. hashes: (shingles,) uint64, in the order of the document, repeated
    as they are there; offsets: (documents + 1,) int64, where those of each begin and end."""

    hashes: np.ndarray
    offsets: np.ndarray


class Fingerprints(NamedTuple):
    """Of a batch of documents. bits: (documents,) uint64. known: (documents,) bool, False for a
    document that has none: it resembles no other."""

    bits: np.ndarray
    known: np.ndarray


@dataclass(frozen=True)
class ByShingles:
    """Two documents are as similar as their sets of shingles: shared / all, the Jaccard index.

    of: the data of documents -> their shingles, a pure function of each document alone.
    similarity: from which near copies are dropped where a recipe does not say it. alike: what
    similar documents have, for a person, before "a Jaccard similarity of at least .8". version:
    raise it when the same document would get other shingles."""

    of: Callable[[Sequence[Any]], Shingles]
    alike: str
    similarity: float = 0.8
    version: int = 1

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What `deduplicate` says, in terms of similarity."""
        return {"similarity": self.similarity, **given}


@dataclass(frozen=True)
class ByFingerprints:
    """Two documents are as similar as their fingerprints: 1 - (bits that differ) / BITS.

    of: the data of documents -> their fingerprints, a pure function of each document alone.
    distance: bits in which near copies differ at most, where a recipe does not say it. alike: what
    similar documents have, for a person, before "in at most 4 of 64 bits". version: raise it when
    the same document would get another fingerprint."""

    of: Callable[[Sequence[Any]], Fingerprints]
    alike: str
    distance: int = 4
    version: int = 1

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What `deduplicate` says, in terms of similarity. Raises GenwrightError for a distance
        beside a similarity, and for bounds that no search reaches."""
        values = dict(given)
        distance = values.pop("distance", None)
        if distance is not None and "similarity" in values:
            raise GenwrightError(
                "deduplicate names a distance and a similarity",
                f"give one of them: the similarity is 1 - distance / {BITS}",
            )
        if distance is None and "similarity" not in values:
            distance = self.distance
        if distance is not None:
            if not isinstance(distance, int) or not 0 <= distance <= FARTHEST:
                raise GenwrightError(
                    f"deduplicate.distance is {distance!r}",
                    f"give a whole number of bits, 0 to {FARTHEST}",
                )
            values["similarity"] = 1 - distance / BITS
        least = 1 - FARTHEST / BITS
        similarity = values["similarity"]
        if isinstance(similarity, (int, float)) and similarity < least:
            raise GenwrightError(
                f"deduplicate.similarity is {similarity:g}, and fingerprints of documents that have"
                " nothing in common are nearly as similar",
                f"give {least:g} or more: {FARTHEST} of {BITS} bits",
            )
        return values


@dataclass(frozen=True)
class CorpusContent:
    """How corpora are made of a kind of content whose documents are bytes.

    - kind: as corpus.yaml says it. thing: one document, for a person.
    - wanted: the path of a file of a folder, or the name of an entry of an archive -> whether it is
      read.
    - documents: (name of a file or entry, its bytes) -> its documents, with `Document.data` and
      their place in it, or why they cannot be read; it raises nothing.
    - largest: bytes of a file or entry that is read.
    - version: raise it when the same bytes would give other documents.
    - near: by what two documents are alike.
    - in_words: the data of a document -> what it is, on one line.
    - show: the data of a document -> HTML of one self-contained fragment, for a page, every text of
      the document escaped in it; called in a process that may import torch. Neither raises for
      what `documents` has given."""

    kind: str
    thing: str
    wanted: Callable[[str], bool]
    documents: Callable[[str, bytes], Iterator[Document | Unread]]
    largest: int
    near: ByShingles | ByFingerprints
    in_words: Callable[[bytes], str]
    show: Callable[[bytes], str]
    version: int = 1


@runtime_checkable
class ReadsBytes(Protocol):
    """What the settings of a raw source have besides, where its files can be of any kind."""

    def of_bytes(self, content: CorpusContent) -> RawSource:
        """The same source, of documents of this kind."""


def add_corpus_content(content: CorpusContent) -> None:
    """Registers how corpora are made of a kind of content."""
    register("corpus", content.kind, content)


def corpus_content(kind: str) -> CorpusContent | None:
    """How corpora of a kind are made; None where documents are texts."""
    found: CorpusContent | None = kinds("corpus").get(kind)
    return found


def corpus_kinds() -> list[str]:
    """The kinds of which corpora are made."""
    with_attributes = {name.partition(" ")[0] for name in kinds("attributes")}
    return sorted({*kinds("corpus"), *with_attributes})
