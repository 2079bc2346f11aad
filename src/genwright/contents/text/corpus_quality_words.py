"""Documents by a person's own list of words: the rule set `words`.

    filters: [{words: lists/bad.txt}]          # drops documents in which any of them occurs
    filters: [{words: lists/dull.txt 2%}]      # in which they are more than 2% of the words

The list is a text file of UTF-8 with a word or a phrase on each line. It occurs where the same
characters stand, in any case of letters, with no letter, digit or underscore directly before or
behind them; between the words of a phrase there may be any white space.

1. A document is split into runs of letters, digits and underscores: its words here.
2. Only where one of them begins an entry of the list are those entries looked for.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from genwright.core.corpus import Attributes, Column, Rule, RuleSet, add_attributes, add_rules
from genwright.core.errors import GenwrightError
from genwright.core.kept_files import file_of

WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class WordList:
    """Words and phrases in small letters, sorted. name: for a person."""

    name: str
    entries: tuple[str, ...]

    @classmethod
    def read(cls, path: str) -> WordList:
        """The list of a file. Raises GenwrightError where there is none."""
        remedy = "give a text file of UTF-8 with a word or a phrase on each line"
        try:
            text = file_of(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as problem:
            raise GenwrightError(f"the list of words {path} cannot be read", remedy) from problem
        entries = {" ".join(line.lower().split()) for line in text.splitlines()}
        entries.discard("")
        if not entries:
            raise GenwrightError(f"the list of words {path} is empty", remedy)
        return cls(Path(path).stem, tuple(sorted(entries)))

    @property
    def digest(self) -> str:
        """Of its entries: lists that find the same have the same."""
        return hashlib.sha256("\n".join(self.entries).encode()).hexdigest()[:8]

    @cached_property
    def _by_first_word(self) -> dict[str, list[str]]:
        """First word -> the entries that have it, for entries that have words."""
        found: dict[str, list[str]] = {}
        for entry in self.entries:
            for word in WORD.findall(entry)[:1]:
                found.setdefault(word, []).append(entry)
        return found

    @cached_property
    def _without_words(self) -> list[str]:
        """Entries of symbols alone."""
        return [entry for entry in self.entries if not WORD.search(entry)]

    def occurrences(self, text: str) -> tuple[int, int, int]:
        """How often entries occur, the longest first and none inside another; how many words stand
        in them; how many words the text has."""
        lowered = text.lower()
        words = WORD.findall(lowered)
        present = [entry for entry in self._without_words if entry in lowered]
        for word in self._by_first_word.keys() & set(words):
            present += self._by_first_word[word]
        if not present:
            return 0, 0, len(words)
        found = _pattern(present).findall(lowered)
        inside = sum(len(WORD.findall(entry)) for entry in found)
        return len(found), inside, len(words)


def _pattern(entries: Sequence[str]) -> re.Pattern[str]:
    """What finds entries, the longest first."""
    longest_first = sorted(entries, key=lambda entry: (-len(entry), entry))
    alternatives = []
    for entry in longest_first:
        alternatives.append(r"\s+".join(re.escape(part) for part in entry.split()))
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)")


def word_list_attributes(listed: WordList) -> Attributes:
    """The attributes of a list, by its digest: NAME-occurrences and NAME-share."""
    name = f"words-{listed.digest}"
    columns = (
        Column(f"{name}-occurrences", unit="occurrences", detail=f"of the list {listed.name}"),
        Column(f"{name}-share", unit="share", detail=f"of words that are of {listed.name}"),
    )
    return Attributes(name, columns, partial(_measured, listed))


def _measured(listed: WordList, texts: Sequence[str]) -> dict[str, Any]:
    """See `word_list_attributes`; a text without a word has no share."""
    counts = [listed.occurrences(text) for text in texts]
    table = np.array(counts, float).reshape(-1, 3)
    occurrences, inside, words = table.T
    shares = np.full(len(texts), math.nan)
    np.divide(inside, words, out=shares, where=words > 0)
    name = f"words-{listed.digest}"
    return {f"{name}-occurrences": occurrences, f"{name}-share": shares}


def rules_of_list(option: str) -> RuleSet:
    """The set `words` for a list, whose attributes it registers, in each process that is to compute
    them. option: PATH, or PATH and the largest share of words: "bad.txt 0.01", "bad.txt 1%".
    Raises GenwrightError."""
    path, most = _path_and_share(option)
    listed = WordList.read(path)
    attributes = word_list_attributes(listed)
    add_attributes("text", attributes)
    reason = f"words.{listed.name}"
    if most is None:
        rule = Rule(reason, attributes.columns[0].name, at_most=0, detail=f"no word of {path}")
    else:
        detail = f"at most {most:.4g} of the words are of {path}"
        rule = Rule(reason, attributes.columns[1].name, at_most=most, detail=detail)
    return RuleSet("words", (rule,), (attributes.name,), source=path, files=(path,))


def _path_and_share(option: str) -> tuple[str, float | None]:
    """What an option says. Raises GenwrightError."""
    if not option.strip():
        raise GenwrightError(
            "the filter words has no list", "write {words: PATH}, a file with a word on each line"
        )
    path, _, last = option.strip().rpartition(" ")
    number = re.fullmatch(r"(\d*\.?\d+)(%?)", last)
    if not path or not number or file_of(option.strip()).exists():
        return option.strip(), None
    share = float(number[1])
    if number[2]:
        share /= 100
    if share >= 1:
        raise GenwrightError(
            f"the filter words has the share {last}", "give one below 1, such as 0.01 or 1%"
        )
    return path.strip(), share


add_rules("text", RuleSet("words", (), (), source="a person's own list", make=rules_of_list))
