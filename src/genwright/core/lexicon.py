"""A person's list of words with their groups: `word,group` lines of a csv or tsv file.

    word,group
    she,female
    he,male

The first line may be a heading (`word,group`, in any order). A word may be several words, with one
space between them. Case does not matter.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from genwright.core.errors import GenwrightError, in_words

HEADINGS = ("word", "group")
LISTS = (".csv", ".tsv")  # suffixes of lists of words


def is_list(name: str | Path) -> bool:
    """Whether a name is of a file that is a list of words."""
    return Path(name).suffix.lower() in LISTS


@dataclass(frozen=True)
class Lexicon:
    """Words with their groups. name: of the grouping. words: in small letters -> group. groups: in
    the order of the file."""

    name: str
    words: Mapping[str, str]
    groups: tuple[str, ...]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.words, key=len, reverse=True)
        every = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest_first)
        return re.compile(rf"(?<![\w])(?:{every})(?![\w])", re.IGNORECASE)

    def found(self, text: str) -> list[tuple[int, int, str]]:
        """(start, stop, group) of each word of the list in a text, in order and apart; of words
        that begin at one place the longest."""
        found = []
        for match in self._pattern.finditer(text):
            word = " ".join(match.group().casefold().split())
            group = self.words.get(word)  # an "İ" matches "i", and folds to something else
            if group is not None:
                found.append((match.start(), match.end(), group))
        return found

    def counts(self, text: str) -> list[int]:
        """How often words of each group stand in a text."""
        out = [0] * len(self.groups)
        for _, _, group in self.found(text):
            out[self.groups.index(group)] += 1
        return out


def read_lexicon(path: str | Path) -> Lexicon:
    """The list of a file, named by the file without its suffix. Raises GenwrightError for a file
    that is not there or is no such list, for a word that is listed twice, and for a list of fewer
    than two groups."""
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise GenwrightError(
            f"{path} cannot be read as a list of words ({in_words(problem)})",
            "give a file of UTF-8 text with word,group on each line",
        ) from problem
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    words: dict[str, str] = {}
    lines: dict[str, int] = {}
    columns = (0, 1)
    for number, row in enumerate(csv.reader(text.splitlines(), delimiter=delimiter), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if number == 1 and sorted(cell.casefold() for cell in cells) == sorted(HEADINGS):
            folded = [cell.casefold() for cell in cells]
            columns = (folded.index("word"), folded.index("group"))
            continue
        if len(cells) != 2 or not all(cells):
            raise GenwrightError(
                f"{path}, line {number} is {delimiter.join(row)!r}, and no word with its group",
                "write word,group on each line",
            )
        word = " ".join(cells[columns[0]].casefold().split())
        group = cells[columns[1]]
        if word in words:
            raise GenwrightError(
                f"{path} lists {word!r} twice, on lines {lines[word]} and {number}",
                "leave one of them out",
            )
        words[word] = group
        lines[word] = number
    groups = tuple(dict.fromkeys(words.values()))
    if len(groups) < 2:
        raise GenwrightError(
            f"{path} lists words of {len(groups)} group{'s' if len(groups) != 1 else ''}",
            "list words of two groups or more",
        )
    return Lexicon(file.stem, words, groups)
