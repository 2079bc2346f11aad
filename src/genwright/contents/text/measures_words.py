"""Measures of a text's words and tokens: how many there are, and how many are of a list."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from genwright.contents.text.measures import text_of
from genwright.core.content import Measure, MeasureKind, Sample, add_measure_kinds, add_measures
from genwright.core.errors import GenwrightError
from genwright.core.registry import Settings

WORD = re.compile(r"\w+(?:['\N{RIGHT SINGLE QUOTATION MARK}-]\w+)*")


def words(sample: Sample) -> float:
    """How many words the text has, without its prompt."""
    return float(sum(1 for _ in WORD.finditer(text_of(sample))))


def tokens(sample: Sample) -> float:
    """How many tokens were drawn, the end token included."""
    return float(len(sample.tokens))


class Lexicon(Settings):
    """A list of words."""

    words: tuple[Annotated[str, Field(min_length=1)], ...]
    """The words that are looked for, in any case: "ohne" finds "Ohne"."""


def lexicon(settings: Lexicon) -> Measure:
    """What share of the words are of the list: at the last character of each such word one over the
    number of all words. Raises GenwrightError for an empty list, and for what is no single word."""
    if not settings.words:
        raise GenwrightError("the list of words is empty", "give options.words, a list of words")
    for word in settings.words:
        if not WORD.fullmatch(word):
            raise GenwrightError(
                f"options.words has {word!r}, which is no single word",
                "give words of letters and digits, without spaces around them",
            )
    listed = {word.casefold() for word in settings.words}

    def of(sample: Sample) -> dict[int, float]:
        found = list(WORD.finditer(text_of(sample)))
        share = {}
        for word in found:
            if word.group().casefold() in listed:
                share[word.end() - 1] = 1.0 / len(found)
        return share

    named = ", ".join(settings.words[:3])
    return Measure(f"words of a list ({named})", of, "share", detail="of all words", gives="parts")


add_measures(
    "text",
    Measure("words", words, "words", detail="without the prompt"),
    Measure("tokens", tokens, "tokens", detail="drawn, the end token included"),
)
add_measure_kinds(
    "text", MeasureKind("lexicon", Lexicon, lexicon, "share of the words that are of a list")
)
