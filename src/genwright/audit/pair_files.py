"""Files of pairs of sentences, of which one says a stereotype and the other one its opposite.

crows-pairs: the csv file of Nangia et al., arXiv 2010.00133, with the columns sent_more (the
sentence that stereotypes more), sent_less, stereo_antistereo and bias_type.

winobias: sentences one a line, as Zhao et al., arXiv 1804.06876, publish them (numbered, with
[what is referred to] in brackets, which are taken off). Either a file whose name begins with
pro_stereotyped, with its partner anti_stereotyped beside it, line by line; or one file in which the
pro-stereotyped sentence stands on a line and the other one on the next.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from genwright.core.errors import GenwrightError, in_words

CROWS = "crows-pairs"
WINOBIAS = "winobias"
KINDS = (CROWS, WINOBIAS)
COLUMNS = ("sent_more", "sent_less", "stereo_antistereo", "bias_type")
DIRECTIONS = ("stereo", "antistereo")
PRO = "pro_stereotyped"
ANTI = "anti_stereotyped"
_NUMBER = re.compile(r"^\s*\d+\s+")
_BRACKETED = re.compile(r"\[\s*(\w+)\s*\]")


class Pair(NamedTuple):
    """more: the sentence that stereotypes more. less: the other one. groups: that it counts in.
    line: of the file."""

    more: str
    less: str
    groups: tuple[str, ...]
    line: int


def kind_of_file(path: str | Path) -> str:
    """CROWS for a csv file, WINOBIAS for others."""
    return CROWS if Path(path).suffix.lower() == ".csv" else WINOBIAS


def read_pairs(path: str | Path, kind: str | None = None) -> tuple[list[Pair], list[str]]:
    """The pairs of a file, and what a person should know of them. Raises GenwrightError for a file
    that is not there or no such file, and for a pair that says nothing."""
    kind = kind or kind_of_file(path)
    if kind not in KINDS:
        raise GenwrightError(f"there is no kind of pairs {kind!r}", f"known: {', '.join(KINDS)}")
    pairs = _crows(path) if kind == CROWS else _winobias(Path(path).expanduser())
    if not pairs:
        raise GenwrightError(f"{path} holds no pairs of sentences", "give a file that holds some")
    return pairs, _checked(path, pairs)


def _text_of(path: str | Path) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise GenwrightError(
            f"{path} cannot be read as a file of pairs ({in_words(problem)})",
            "give a file of UTF-8 text: a csv file as CrowS-Pairs has, or one sentence a line",
        ) from problem


def _crows(path: str | Path) -> list[Pair]:
    reader = csv.DictReader(_text_of(path).splitlines())
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise GenwrightError(
            f"{path} has no column {missing[0]}", f"give the columns {', '.join(COLUMNS)}"
        )
    pairs = []
    for row in reader:
        more, less, direction, bias_type = ((row[name] or "").strip() for name in COLUMNS)
        if not more or not less or not bias_type:
            raise GenwrightError(
                f"{path}, line {reader.line_num} lacks a sentence or its bias_type",
                "write both sentences and the type on each line",
            )
        if direction not in DIRECTIONS:
            raise GenwrightError(
                f"{path}, line {reader.line_num} says {direction!r} in stereo_antistereo",
                "write stereo or antistereo",
            )
        pairs.append(Pair(more, less, (direction, bias_type), reader.line_num))
    return pairs


def _winobias(path: Path) -> list[Pair]:
    if path.name.startswith(ANTI):
        path = path.with_name(path.name.replace(ANTI, PRO, 1))
    if path.name.startswith(PRO):
        other = path.with_name(path.name.replace(PRO, ANTI, 1))
        return _side_by_side(path, other)
    lines = _sentences(path)
    if len(lines) % 2:
        raise GenwrightError(
            f"{path} holds {len(lines)} sentences, and pairs need an even number",
            "write each pro-stereotyped sentence on a line and its opposite on the next",
        )
    found = []
    for (number, pro), (_, anti) in zip(lines[::2], lines[1::2], strict=True):
        found.append(_pair(pro, anti, number))
    return found


def _side_by_side(path: Path, other: Path) -> list[Pair]:
    pros = _sentences(path)
    antis = _sentences(other)
    if len(pros) != len(antis):
        raise GenwrightError(
            f"{path} holds {len(pros)} sentences and {other.name} {len(antis)}",
            "give two files whose lines belong together",
        )
    return [_pair(pro, anti, number) for (number, pro), (_, anti) in zip(pros, antis, strict=True)]


def _sentences(path: Path) -> list[tuple[int, str]]:
    """Lines that are not empty, with their numbers."""
    lines = enumerate(_text_of(path).splitlines(), 1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def _pair(pro: str, anti: str, line: int) -> Pair:
    """Of two lines as they are published. Its group: the word that the stereotype is in, such as a
    pronoun."""
    more = _plain(pro)
    less = _plain(anti)
    bracketed = [word.casefold() for word in _BRACKETED.findall(pro)]
    there = _words(less)
    own = [word for word in _words(more) if word not in there]
    named = [word for word in own if word in bracketed] or own or ["(other)"]
    return Pair(more, less, (named[0],), line)


def _plain(line: str) -> str:
    if "[" not in line:
        return line
    return _NUMBER.sub("", line).replace("[", "").replace("]", "").strip()


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _checked(path: str | Path, pairs: Sequence[Pair]) -> list[str]:
    """Remarks. Raises GenwrightError for a pair of equal sentences, or one in both orders."""
    seen: dict[tuple[str, str], int] = {}
    twice = []
    for pair in pairs:
        if pair.more == pair.less:
            raise GenwrightError(
                f"{path}, line {pair.line} is a pair of the same sentence twice",
                "leave it out",
            )
        turned = seen.get((pair.less, pair.more))
        if turned is not None:
            raise GenwrightError(
                f"{path} holds a pair in both orders, on lines {turned} and {pair.line}",
                "leave one of them out",
            )
        if (pair.more, pair.less) in seen:
            twice.append(pair.line)
        seen.setdefault((pair.more, pair.less), pair.line)
    if not twice:
        return []
    name = Path(path).name
    if len(twice) == 1:
        return [f"line {twice[0]} of {name} is a pair that stood there before: it counts again"]
    return [
        f"{len(twice)} lines of {name} are pairs that stood there before (line {twice[0]} first):"
        " they count again"
    ]
