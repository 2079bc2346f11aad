"""Corpora of music: which files are read, what is wrong with those that are not, by what two pieces
are alike, and how one is shown.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator

from genwright.contents.music.corpus_measures import KIND
from genwright.contents.music.documents import form_of, score_of, tunes_in
from genwright.contents.music.musicxml import LARGEST
from genwright.contents.music.score import Score, edges
from genwright.contents.music.sources import SUFFIXES, guarded
from genwright.contents.music.tune_shingles import GRID, shingles
from genwright.core.corpus import Document, Unread
from genwright.core.corpus_content import ByShingles, CorpusContent, add_corpus_content
from genwright.core.errors import GenwrightError

BARS = 4  # of a piece, that a page shows


def is_wanted(path: str) -> bool:
    """Whether a file of a folder is music."""
    return path.lower().endswith(SUFFIXES)


def documents(name: str, data: bytes) -> Iterator[Document | Unread]:
    """The pieces of a file, or why they cannot be read."""
    found = guarded("", lambda: tunes_in(data))
    if isinstance(found, GenwrightError):
        yield _unread("", found)
        return
    for number, tune in enumerate(found, start=1):
        place = f"tune {number}" if len(found) > 1 else ""
        read = _scored(tune)
        if isinstance(read, GenwrightError):
            yield _unread(place, read)
        else:
            yield Document("", place, data=tune)


def _scored(data: bytes) -> Score | GenwrightError:
    """The piece of a document, or why it is none."""

    def score() -> Score:
        found, _ = score_of(data, GRID)
        return found

    return guarded("", score)


def _unread(place: str, problem: GenwrightError) -> Unread:
    return Unread(place, problem.what.strip())


def in_words(data: bytes) -> str:
    """What a piece is: its title, its size, its format."""
    score, _ = score_of(data, GRID)
    parts = [score.facts["title"]] if score.facts.get("title") else []
    parts.append(_counted(len(edges(score)) - 1, "bar"))
    parts.append(_counted(len(score.voices), "voice"))
    parts.append(form_of(data))
    return ", ".join(parts)


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def shown(data: bytes) -> str:
    """The first bars as HTML, through the view of music."""
    from genwright.contents.music.compose import first_bars
    from genwright.contents.music.view import excerpt

    score, _ = score_of(data, GRID)
    return excerpt(in_words(data), first_bars(score, BARS))


CONTENT = CorpusContent(
    KIND,
    "music",
    is_wanted,
    documents,
    LARGEST,
    ByShingles(
        shingles,
        "their sets of five successive steps of a melody, in whatever key and note values, have",
    ),
    in_words,
    shown,
)
add_corpus_content(CONTENT)
