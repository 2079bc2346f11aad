"""The rules of C4: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
Text-to-Text Transformer", JMLR 21, 2020, arXiv 1910.10683, section 2.2.

1. Citation markers ([1], [edit], [citation needed]) are removed.
2. A line stays if it then ends in a period, exclamation mark, question mark or end quotation mark,
   has five words or more, and had neither "javascript" nor one of six phrases of policy notices in
   it, in any case of letters. Lines that go, and markers in those that stay, are edits.
3. A page is dropped if what is left of it has fewer than three sentences, a "{", the phrase "lorem
   ipsum", or a word of the list of bad words, where one is given.

The bounds are the paper's and its code's: at least 5 words a line, at least 3 sentences a page. The
docstring of datatrove 0.10 says 3 words and 5 sentences, and these are its defaults.

The paper does not say what a sentence is; its code splits them by a trained model (Punkt). Here a
sentence ends at a word that ends in a period, question mark or exclamation mark, with at most two
closing quotation marks or brackets behind it, and at the end of a line. So "e.g." counts as one.

What only the code does is left out: lines that end in "..." are kept (they end in a period), and so
are lines with a word of more than 1,000 characters. The paper's last step, spans of three sentences
that occur elsewhere, is deduplication.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from genwright.contents.text.corpus_quality_pieces import (
    CLOSING,
    ENDING,
    STOP,
    Pieces,
    sums_before,
)
from genwright.core.corpus import Column, Edit, Rule, RuleSet

CITATION = re.compile(r"\[(?:\d*|edit|citation needed)\]")
SCRIPT = "javascript"
POLICY = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
PLACEHOLDER = "lorem ipsum"
CURLY = "{"
LEAST_WORDS = 5  # of a line
LEAST_SENTENCES = 3  # of a page
CLOSING_MARKS = 2  # behind the end of a sentence, at most

COLUMNS = (
    Column("c4-lines", "edits", detail="lines that C4 drops, and citation markers"),
    Column("c4-sentences", unit="sentences", detail="in what C4's line rules leave"),
    Column("c4-curly-brackets", unit="characters", detail="in what C4's line rules leave"),
    Column("c4-lorem-ipsum", unit="phrases", detail="in what C4's line rules leave"),
)
RULES = RuleSet(
    "c4",
    (
        Rule(
            "c4.sentences",
            "c4-sentences",
            at_least=LEAST_SENTENCES,
            detail="three sentences or more on lines that stay",
        ),
        Rule("c4.curly-bracket", "c4-curly-brackets", at_most=0, detail="no { on lines that stay"),
        Rule("c4.lorem-ipsum", "c4-lorem-ipsum", at_most=0, detail="no placeholder text"),
    ),
    ("quality",),
    source="Raffel et al. 2020, arXiv 1910.10683, section 2.2",
    edits=("c4-lines",),
)


class _Lines(NamedTuple):
    """What lines are like, without their citation markers: words, sentences: (lines,) how many;
    ended: (lines,) bool, by a mark."""

    words: np.ndarray
    sentences: np.ndarray
    ended: np.ndarray


def c4(pieces: Pieces) -> dict[str, Any]:
    """COLUMNS of documents."""
    lowered = [_lowered(text) for text in pieces.texts]
    citations = _citations(pieces)
    lines = _without_citations(pieces, _lines(pieces), citations)
    kept = lines.ended & (lines.words >= LEAST_WORDS)
    kept[_lines_at(pieces, _places(pieces, lowered, (SCRIPT, *POLICY)))] = False
    curly = _places(pieces, lowered, (CURLY,))
    placeholders = _places(pieces, lowered, (PLACEHOLDER,))
    sentences = sums_before(np.where(kept, lines.sentences, 0))
    return {
        "c4-lines": _edits(pieces, kept, citations),
        "c4-sentences": pieces.by_document(sentences, pieces.first_line).astype(float),
        "c4-curly-brackets": _on_lines(pieces, kept, curly),
        "c4-lorem-ipsum": _on_lines(pieces, kept, placeholders),
    }


def _lines(pieces: Pieces) -> _Lines:
    last = pieces.word_stop - 1
    stops = (pieces.flags[last] & STOP) != 0
    closed = np.flatnonzero(pieces.flags[last] & CLOSING)
    for back in range(1, CLOSING_MARKS + 1):  # before a word stands white space, which is no mark
        mark = pieces.flags[last[closed] - back]
        stops[closed[(mark & STOP) != 0]] = True
        closed = closed[(mark & CLOSING) != 0]
    stops[pieces.line_first_word[1:] - 1] = True  # a line's last word ends a sentence
    return _Lines(
        pieces.line_words,
        np.diff(sums_before(stops)[pieces.line_first_word]),
        (pieces.flags[pieces.line_end - 1] & ENDING) != 0,
    )


def _citations(pieces: Pieces) -> list[tuple[int, int]]:
    """Where citation markers begin and end, in order."""
    found = []
    for start, text in zip(pieces.start.tolist(), pieces.texts, strict=False):
        if "[" in text:
            for match in CITATION.finditer(text):
                found.append((start + match.start(), start + match.end()))
    return found


def _without_citations(
    pieces: Pieces, lines: _Lines, citations: Sequence[tuple[int, int]]
) -> _Lines:
    """Lines as they are without their citation markers."""
    if not citations:
        return lines
    places = np.array([start for start, _ in citations])
    cited = np.unique(_lines_at(pieces, places))
    texts = []
    for line in cited.tolist():
        document = pieces.line_document[line]
        offset = pieces.start[document]
        text = pieces.texts[document]
        begin = pieces.line_begin[line] - offset
        texts.append(CITATION.sub("", text[begin : pieces.line_end[line] - offset]))
    # each has one line, or none where nothing is left: those end in "]", and go in any case
    shorter = Pieces.of(texts)
    found = _lines(shorter)
    rest = cited[shorter.line_document]
    words = lines.words.copy()
    sentences = lines.sentences.copy()
    ended = lines.ended.copy()
    words[rest] = found.words
    sentences[rest] = found.sentences
    ended[rest] = found.ended
    return _Lines(words, sentences, ended)


def _places(pieces: Pieces, lowered: Sequence[str], phrases: Iterable[str]) -> np.ndarray:
    """(occurrences,) where phrases stand. lowered: (documents,) the texts in small letters."""
    found = []
    for start, text in zip(pieces.start.tolist(), lowered, strict=False):
        for phrase in phrases:
            at = text.find(phrase)
            while at >= 0:
                found.append(start + at)
                at = text.find(phrase, at + len(phrase))
    return np.array(found, np.int64)


def _lowered(text: str) -> str:
    """A text in small letters, character by character."""
    # the only capital whose small letter is two characters
    return text.replace("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "\0").lower()


def _lines_at(pieces: Pieces, places: np.ndarray) -> np.ndarray:
    """(places,) the line that each place is on; there is no white space at it."""
    return np.searchsorted(pieces.line_begin, places, side="right") - 1


def _on_lines(pieces: Pieces, kept: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(documents,) how many of some places are on lines that are kept."""
    lines = _lines_at(pieces, places)
    documents = pieces.line_document[lines[kept[lines]]]
    return np.bincount(documents, minlength=len(pieces.texts)).astype(float)


def _edits(
    pieces: Pieces, kept: np.ndarray, citations: Sequence[tuple[int, int]]
) -> list[list[Edit]]:
    """Of each document: lines that are dropped, with their ends, and markers in those that stay.
    kept: (lines,) bool."""
    found: list[list[Edit]] = [[] for _ in pieces.texts]
    dropped = np.ones(len(pieces.line_start) - 1, bool)  # (all lines,), blank ones too
    dropped[pieces.number_of_line[kept]] = False
    begins_document = np.zeros(len(dropped) + 1, bool)
    begins_document[np.searchsorted(pieces.line_start, pieces.start)] = True
    before = np.append(False, dropped[:-1]) & ~begins_document[:-1]
    after = np.append(dropped[1:], False) & ~begins_document[1:]
    start = pieces.line_start[:-1][dropped & ~before]  # (runs of dropped lines,)
    stop = pieces.line_start[1:][dropped & ~after]
    document = np.searchsorted(pieces.start, start, side="right") - 1
    offset = pieces.start[document]
    stop = np.minimum(stop, pieces.start[document + 1] - 1)  # without the line end between texts
    runs = zip(document.tolist(), (start - offset).tolist(), (stop - offset).tolist(), strict=True)
    for of, begin, end in runs:
        if begin < end:
            found[of].append(Edit(begin, end, ""))
    if citations:
        _add_citations(pieces, kept, citations, found)
    return found


def _add_citations(
    pieces: Pieces,
    kept: np.ndarray,
    citations: Sequence[tuple[int, int]],
    edits: list[list[Edit]],
) -> None:
    """Adds markers in lines that are kept to the edits of their documents."""
    lines = _lines_at(pieces, np.array([start for start, _ in citations]))
    changed = set()
    for line, (start, stop) in zip(lines.tolist(), citations, strict=True):
        if kept[line]:
            document = int(pieces.line_document[line])
            offset = int(pieces.start[document])
            edits[document].append(Edit(start - offset, stop - offset, ""))
            changed.add(document)
    for document in changed:
        edits[document].sort()
