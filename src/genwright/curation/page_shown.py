"""How a document and the similarity of two are shown on a page: of texts the beginning, of other
kinds of content what these say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genwright.core.corpus import Edit
from genwright.core.corpus_content import BITS, ByFingerprints, corpus_content
from genwright.curation.near_kinds import alike_by, farthest
from genwright.curation.page_edits import shown_text
from genwright.reporting.markup import Markup, trusted

TEXT = Markup('<pre class="text">{}</pre>')
NO_TEXT = Markup('<span class="soft">(no text)</span>')
COLUMNS = ("text", "data", "source", "file", "place")  # of a row that is shown
STEP = 0.01  # of similarity, in a histogram


def as_html(kind: str, row: Mapping[str, Any], edits: Sequence[Edit]) -> Markup:
    """A document, without what edits replace in its text."""
    content = corpus_content(kind)
    if content is not None:
        return trusted(content.show(row["data"]))
    return TEXT.format(shown_text(row["text"], edits) or NO_TEXT)


def near_in_words(kind: str, similarity: float) -> str:
    """What near copies have in common with a document that stays; plain text."""
    alike = alike_by(kind)
    if isinstance(alike, ByFingerprints):
        return (
            f"{alike.alike} in at most {farthest(similarity)} of {BITS} bits from that of a"
            f" document that stays (a similarity of {similarity:.4g} or more)."
        )
    return (
        f"{alike.alike} a Jaccard similarity of at least {similarity:g} to those of a document that"
        " stays, which is computed and not estimated."
    )


def found_in_words(kind: str, expected: float, measured: float | None) -> str:
    """How surely near copies were found; plain text."""
    if isinstance(alike_by(kind), ByFingerprints):
        return "All pairs that are so similar are found."
    text = f"Of the pairs of just that similarity {expected:.1%} are expected to be found;"
    if measured is None or measured != measured:
        return f"{text} there are too few to measure it."
    return f"{text} {measured:.1%} of those up to .05 above it were, as two searches tell."


def step_of(kind: str) -> float:
    """The step of similarity in a histogram."""
    return 1 / BITS if isinstance(alike_by(kind), ByFingerprints) else STEP


def similarity_name(kind: str) -> str:
    """What the similarity is, below a histogram."""
    if isinstance(alike_by(kind), ByFingerprints):
        return f"similarity: 1 - bits that differ / {BITS}"
    return "Jaccard similarity"
