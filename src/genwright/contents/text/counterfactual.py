"""Counterfactual texts: the same text with the words of a swap list exchanged (Zhao et al., arXiv
1804.06876; Lu et al., arXiv 1807.11714).

1. A list holds pairs, one a line: `he,she`, `king,queen`, `John,Mary`. Each word is written in the
   place of the other one.
2. Case is kept: He -> She, HE -> SHE. A pair in which a word begins with a capital is of names: it
   is found with a capital alone, so that `Mark,Mary` leaves "to mark" as it is.
3. Agreement is kept. English "her" is two words (him, his), and "his" as well (her, hers). Which is
   meant is told by the words around it (`agreement.py`): before a noun it is mostly the determiner.
   A list that pairs any of these forms means all three pairs.

Swapping twice gives the text back, but where "her" can be read in two ways: of "saw him duck" and
"saw his duck" the twin is one, "saw her duck".

What it leaves out: words that no space or sign parts from others (Chinese), and grammar beyond
these pronouns (endings of adjectives in French). Worker processes import this module: it must not
import torch.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from genwright.contents.text.agreement import begins_noun, is_determiner
from genwright.core.errors import GenwrightError, in_words

VERSION = 2  # raise it when the same text would get another twin
REMEDY = "write two words on each line, as in he,she"
# of English: the forms that two pairs share
AGREEING = (("him", "her"), ("his", "her"), ("his", "hers"))
# form -> what stands in its place before a noun, and otherwise
AGREEMENT = {
    "her": ("his", "him"),
    "his": ("her", "hers"),
    "him": ("her", "her"),
    "hers": ("his", "his"),
}
_CHUNK = re.compile(r"\w+")


@dataclass(frozen=True)
class Swaps:
    """Pairs of words that are written in place of each other, as they are listed."""

    pairs: tuple[tuple[str, str], ...]


class _Entry(NamedTuple):
    """A listed word in one of its cases. whole: what finds it; to: what stands in its place."""

    whole: re.Pattern[str]
    to: str


class _Table(NamedTuple):
    """What `swapped` looks words up in. words: a word as it stands in a text -> what stands in its
    place; longer: the first word of what is several -> its entries, the longest first; partner: in
    small letters; agreeing: whether forms are chosen by what follows."""

    words: Mapping[str, str]
    longer: Mapping[str, list[_Entry]]
    partner: Mapping[str, str]
    agreeing: bool


def swapped(text: str, swaps: Swaps) -> str:
    """A text with every listed word exchanged for its partner; the text itself where it holds
    none."""
    pieces = []
    done = 0
    for start, stop, to in _found(text, _table(swaps)):
        pieces += [text[done:start], to]
        done = stop
    if not pieces:
        return text
    pieces.append(text[done:])
    return "".join(pieces)


def _found(text: str, table: _Table) -> Iterator[tuple[int, int, str]]:
    """(start, stop, what is written there), in order and apart."""
    done = 0
    for match in _CHUNK.finditer(text):
        start, stop = match.span()
        if start < done:
            continue
        word = match.group()
        for entry in table.longer.get(word, ()):
            longer = entry.whole.match(text, start)
            if longer:
                done = longer.end()
                yield start, done, _spaced_as(entry.to, longer.group())
                break
        else:
            to = table.words.get(word)
            if to is not None:
                if table.agreeing and word.casefold() in AGREEMENT:
                    to = _agreeing(word, text, start, stop, table)
                yield start, stop, to


def _agreeing(word: str, text: str, start: int, stop: int, table: _Table) -> str:
    """The form that stands in place of a pronoun, which stands between `start` and `stop`."""
    folded = word.casefold()
    before_noun, otherwise = AGREEMENT[folded]
    if folded == "her":
        is_before_noun = is_determiner(text, start, stop, table.partner)
    else:
        is_before_noun = begins_noun(text, stop, table.partner)
    return _cased_as(word, before_noun if is_before_noun else otherwise)


def _cased_as(word: str, to: str) -> str:
    """A pronoun in the case of another one."""
    if word.isupper():
        return to.upper()
    if word[0].isupper():
        return _capital(to)
    return to


def _capital(word: str) -> str:
    return word[0].upper() + word[1:]


def _spaced_as(to: str, found: str) -> str:
    """Words with the spaces (line ends, too) of those whose place they take, if they are as
    many."""
    spaces = re.findall(r"\s+", found)
    words = to.split(" ")
    if len(spaces) != len(words) - 1:
        return to
    return words[0] + "".join(space + word for space, word in zip(spaces, words[1:], strict=True))


@lru_cache(4)
def _table(swaps: Swaps) -> _Table:
    words: dict[str, str] = {}
    longer: dict[str, list[_Entry]] = {}
    partner: dict[str, str] = {}
    agreeing = False
    for pair in swaps.pairs:
        names = any(word[0].isupper() for word in pair)
        agreeing = agreeing or _agrees(pair)
        for word, to in (pair, pair[::-1]):
            partner.setdefault(word.casefold(), to.casefold())
            for form, written in _forms(word, to, names):
                if _CHUNK.fullmatch(form):
                    words.setdefault(form, written)
                    continue
                spaced = re.escape(form).replace(r"\ ", r"\s+")
                entry = _Entry(re.compile(rf"{spaced}(?!\w)"), written)
                first = _CHUNK.search(form)
                assert first is not None  # `read_swaps` says so
                longer.setdefault(first.group(), []).append(entry)
    if agreeing:
        for word in AGREEMENT:
            for form, written in _forms(word, AGREEMENT[word][0], names=False):
                words[form] = written
    for entries in longer.values():
        entries.sort(key=_length, reverse=True)
    return _Table(words, longer, partner, agreeing)


def _length(entry: _Entry) -> int:
    return len(entry.whole.pattern)


def _forms(word: str, to: str, names: bool) -> list[tuple[str, str]]:
    """(word, what stands in its place) as listed, with a capital, and in capitals."""
    forms = [(_capital(word), _capital(to)), (word.upper(), to.upper())]
    if not names:
        forms.insert(0, (word, to))
    return forms


def _agrees(pair: tuple[str, str]) -> bool:
    """Whether a pair is of forms that `AGREEMENT` chooses from."""
    folded = {word.casefold() for word in pair}
    return any(folded == set(forms) for forms in AGREEING)


# ---- lists of a person


def read_swaps(path: str | Path) -> Swaps:
    """The pairs of a csv or tsv file; empty lines and those that begin with # are passed over.
    Raises GenwrightError for a file that is not there or holds no pairs, for a word that is paired
    with itself, for one in two pairs, and for pairs that go round in a circle."""
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise GenwrightError(
            f"{path} cannot be read as a list of pairs ({in_words(problem)})",
            "give a file of UTF-8 text with two words on each line, as in he,she",
        ) from problem
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    pairs: dict[frozenset[str], tuple[str, str]] = {}  # by their words in small letters
    lines: dict[frozenset[str], int] = {}
    for number, row in enumerate(csv.reader(text.splitlines(), delimiter=delimiter), 1):
        cells = [" ".join(cell.split()) for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if len(cells) != 2 or not all(_CHUNK.match(cell) for cell in cells):
            raise GenwrightError(
                f"{path}, line {number} is {delimiter.join(row)!r}, and no pair of words", REMEDY
            )
        first, second = cells
        folded = frozenset((first.casefold(), second.casefold()))
        if len(folded) == 1:
            raise GenwrightError(
                f"{path}, line {number} pairs {first!r} with itself", "leave the line out"
            )
        pairs.setdefault(folded, (first, second))
        lines.setdefault(folded, number)
    if not pairs:
        raise GenwrightError(f"{path} holds no pairs of words", REMEDY)
    _check(path, lines)
    return Swaps(tuple(pairs.values()))


def _check(path: str | Path, lines: Mapping[frozenset[str], int]) -> None:
    """Raises GenwrightError for a word in two pairs. lines: pair -> the line that it stands on."""
    partners: dict[str, dict[str, int]] = {}  # word -> partner -> line
    for pair, line in lines.items():
        first, second = sorted(pair)
        if _agrees((first, second)):
            continue
        partners.setdefault(first, {})[second] = line
        partners.setdefault(second, {})[first] = line
    for word, found in partners.items():
        if len(found) < 2:
            continue
        circle = _circle(word, partners)
        if circle:
            raise GenwrightError(
                f"the pairs of {path} go round in a circle: {', '.join(circle)}, {word}",
                "pair each word with one other word",
            )
        one, two = sorted(found.values())[:2]
        raise GenwrightError(
            f"{path} pairs {word!r} twice, on lines {one} and {two}",
            "pair each word with one other word",
        )


def _circle(word: str, partners: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The words of a circle that begins with this word; none where it is in none."""
    chain = [word]
    before = ""
    at = word
    while True:
        onward = [each for each in partners[at] if each != before]
        if not onward:
            return []
        before = at
        at = onward[0]
        if at == word:
            return chain
        if at in chain:
            return []
        chain.append(at)
