"""The quality and repetition rules of Gopher: Rae et al., "Scaling Language Models: Methods,
Analysis & Insights from Training Gopher", 2021, arXiv 2112.11446, section A.1.1 and table A1.

Words, lines, paragraphs: as `corpus_quality_pieces` says. Duplicates: as `corpus_quality_repeats`.

Where the paper leaves something open, and where datatrove 0.10 does otherwise:
- Shares of characters are of the characters in words (n-grams) or in lines (lines, paragraphs), so
  that white space does not count and no share is above 1. datatrove divides by all characters.
- "Taking care not to count characters that occur in overlapping n-grams more than once": each
  character counts once. datatrove jumps over n words after each duplicate and misses the rest of a
  repetition that is longer than n words but not a multiple of it; and it counts the overlapping
  occurrences of the most frequent n-gram several times.
- An n-gram that occurs once is no repetition. datatrove counts it.
- A stop word counts in any case of letters.
- "..." is counted as Python counts substrings: four to five dots are one ellipsis, six are two.
"""

from __future__ import annotations

import numpy as np

from genwright.contents.text.corpus_quality_pieces import (
    BULLET,
    LETTER,
    Pieces,
    share,
    sums_before,
)
from genwright.contents.text.corpus_quality_repeats import (
    duplicate_characters,
    ngrams,
    stood_before,
    top_characters,
)
from genwright.core.corpus import Column, Rule, RuleSet, add_rules

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
ELLIPSES = ("...", "\N{HORIZONTAL ELLIPSIS}")
TOP = {2: 0.20, 3: 0.18, 4: 0.16}  # n -> most of the characters in the most frequent n-gram
DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}  # n -> in duplicate n-grams

COLUMNS = (
    Column("words", unit="words"),
    Column("mean-word-length", unit="characters"),
    Column("hashes-to-words", detail="# over the number of words"),
    Column("ellipses-to-words", detail="... and its one character over the number of words"),
    Column("bullet-lines", unit="share", detail="of lines that begin with a bullet"),
    Column("ellipsis-lines", unit="share", detail="of lines that end in an ellipsis"),
    Column("words-with-letter", unit="share", detail="of words with a letter in them"),
    Column("stop-words", unit="words", detail=f"how many of {', '.join(STOP_WORDS)}"),
    Column("duplicate-lines", unit="share", detail="of lines that stood before"),
    Column("duplicate-line-characters", unit="share", detail="of characters of lines"),
    Column("duplicate-paragraphs", unit="share", detail="of paragraphs that stood before"),
    Column("duplicate-paragraph-characters", unit="share", detail="of characters of lines"),
    *(Column(f"top-{n}-gram", unit="share", detail="of characters of words") for n in TOP),
    *(
        Column(f"duplicate-{n}-grams", unit="share", detail="of characters of words")
        for n in DUPLICATE
    ),
)


def gopher(pieces: Pieces) -> dict[str, np.ndarray]:
    """COLUMNS of documents. NaN: a share of nothing."""
    return {**_of_words(pieces), **_of_lines(pieces), **_repetition(pieces)}


def _of_words(pieces: Pieces) -> dict[str, np.ndarray]:
    hashes = np.array([text.count("#") for text in pieces.texts])
    ellipses = np.zeros(len(pieces.texts), np.int64)
    for ellipsis in ELLIPSES:
        ellipses += np.array([text.count(ellipsis) for text in pieces.texts], np.int64)
    return {
        "words": pieces.words.astype(float),
        "mean-word-length": share(pieces.word_characters, pieces.words),
        "hashes-to-words": share(hashes, pieces.words),
        "ellipses-to-words": share(ellipses, pieces.words),
        "words-with-letter": share(_words_with_letter(pieces), pieces.words),
        "stop-words": _stop_words(pieces).astype(float),
    }


def _words_with_letter(pieces: Pieces) -> np.ndarray:
    """(documents,) how many words have a letter."""
    has_letter = (pieces.flags[pieces.word_start] & LETTER) != 0
    others = np.flatnonzero(~has_letter)  # most words begin with one
    if len(others):
        edges = np.stack([pieces.word_start[others], pieces.word_stop[others]], 1).ravel()
        marks = np.bitwise_or.reduceat(pieces.flags, edges)[::2]
        has_letter[others] = (marks & LETTER) != 0
    return pieces.by_document(sums_before(has_letter), pieces.first_word)


def _stop_words(pieces: Pieces) -> np.ndarray:
    """(documents,) how many of the stop words occur."""
    longest = max(map(len, STOP_WORDS))
    length = pieces.word_stop - pieces.word_start
    short = np.flatnonzero((length > 1) & (length <= longest))
    start = pieces.word_start[short]
    # (short words,) their characters in small letters, a byte each: 0 behind them, 255 for what is
    # not of ASCII
    packed = np.zeros(len(short), np.uint32)
    for at in range(longest):
        character = pieces.characters[np.minimum(start + at, len(pieces.characters) - 1)]
        is_capital = (character >= ord("A")) & (character <= ord("Z"))
        character = np.where(is_capital, character + 32, character)
        character = np.where((character > 0) & (character < 128), character, 255)
        character = np.where(at < length[short], character, 0)
        packed |= character.astype(np.uint32) << np.uint32(8 * at)
    document = pieces.word_document[short]
    found = np.zeros(len(pieces.texts), np.int64)
    for word in STOP_WORDS:
        number = int.from_bytes(word.encode(), "little")
        has = np.zeros(len(pieces.texts), bool)
        has[document[packed == number]] = True
        found += has
    return found


def _of_lines(pieces: Pieces) -> dict[str, np.ndarray]:
    bullets = (pieces.flags[pieces.line_begin] & BULLET) != 0
    bullets_of = pieces.by_document(sums_before(bullets), pieces.first_line)
    ends = _ends_in_ellipsis(pieces)
    ends_of = pieces.by_document(sums_before(ends), pieces.first_line)
    return {
        "bullet-lines": share(bullets_of, pieces.lines),
        "ellipsis-lines": share(ends_of, pieces.lines),
    }


def _ends_in_ellipsis(pieces: Pieces) -> np.ndarray:
    """(lines,) bool"""
    end = pieces.line_end
    last = pieces.characters[end - 1]
    dots = (last == ord(".")) & (pieces.line_length >= 3)
    for back in (2, 3):
        dots &= pieces.characters[np.maximum(end - back, 0)] == ord(".")
    return dots | (last == ord("\N{HORIZONTAL ELLIPSIS}"))


def _repetition(pieces: Pieces) -> dict[str, np.ndarray]:
    found = {}
    line_again = stood_before(pieces.line_hash)
    line_characters = pieces.by_document(sums_before(pieces.line_length), pieces.first_line)
    for name, again, lengths, first in (
        ("line", line_again, pieces.line_length, pieces.first_line),
        (
            "paragraph",
            stood_before(pieces.paragraph_hash),
            pieces.paragraph_length,
            pieces.first_paragraph,
        ),
    ):
        count = pieces.by_document(sums_before(again), first)
        characters = pieces.by_document(sums_before(again * lengths), first)
        found[f"duplicate-{name}s"] = share(count, np.diff(first))
        found[f"duplicate-{name}-characters"] = share(characters, line_characters)
    for n, grams in ngrams(pieces):
        if n in TOP:
            characters = top_characters(pieces, n, grams)
            found[f"top-{n}-gram"] = share(characters, pieces.word_characters)
        if n in DUPLICATE:
            characters = duplicate_characters(pieces, n, grams)
            found[f"duplicate-{n}-grams"] = share(characters, pieces.word_characters)
    return found


def _most(attribute: str, at_most: float, detail: str) -> Rule:
    return Rule(f"gopher.{attribute}", attribute, at_most=at_most, detail=detail)


RULES = RuleSet(
    "gopher",
    (
        Rule("gopher.words", "words", 50, 100_000, "50 to 100,000 words"),
        Rule(
            "gopher.mean-word-length",
            "mean-word-length",
            3,
            10,
            "words of 3 to 10 characters on average",
        ),
        _most("hashes-to-words", 0.1, "at most one # in 10 words"),
        _most("ellipses-to-words", 0.1, "at most one ellipsis in 10 words"),
        _most("bullet-lines", 0.9, "at most 90% of lines begin with a bullet"),
        _most("ellipsis-lines", 0.3, "at most 30% of lines end in an ellipsis"),
        Rule(
            "gopher.words-with-letter",
            "words-with-letter",
            0.8,
            detail="at least 80% of words have a letter",
        ),
        Rule("gopher.stop-words", "stop-words", 2, detail="two of eight frequent English words"),
        _most("duplicate-lines", 0.3, "at most 30% of lines stood before"),
        _most("duplicate-paragraphs", 0.3, "at most 30% of paragraphs stood before"),
        _most("duplicate-line-characters", 0.2, "at most 20% of characters in such lines"),
        _most("duplicate-paragraph-characters", 0.2, "at most 20% in such paragraphs"),
        *(
            _most(f"top-{n}-gram", most, f"at most {most:.0%} of characters in one {n}-gram")
            for n, most in TOP.items()
        ),
        *(
            _most(
                f"duplicate-{n}-grams", most, f"at most {most:.0%} in {n}-grams that stood before"
            )
            for n, most in DUPLICATE.items()
        ),
    ),
    ("quality",),
    source="Rae et al. 2021, arXiv 2112.11446, section A.1.1 and table A1",
)

add_rules("text", RULES)
