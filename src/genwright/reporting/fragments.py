"""Small pieces of HTML that several parts of a report are made of. Texts are escaped by their
template."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from genwright.reporting.markup import Markup, Templates, joined
from genwright.reporting.page import RunData, rows
from genwright.reporting.svg import key

HTML = Templates("genwright.reporting", "fragments.html")
ROWS = 16  # of a table that stand open; a corpus may have thousands of shards
KEY = re.compile(r"([ -]*)([\w.-]+):(.*)", re.DOTALL)  # a line of YAML that begins with a key


def chip(index: int, run: RunData) -> Markup:
    """The name of a run beside its colour."""
    return HTML.chip(key(run.name, index))


def table_of(values: Mapping[str, Any]) -> Markup:
    """A nested mapping as a table; "" where it is empty."""
    lines = list(rows(values))
    if not lines:
        return Markup()
    return facts_of(lines, ROWS)


def facts_of(lines: Sequence[tuple[str, str]], open_rows: int) -> Markup:
    """Names and their values as a table, of which so many rows stand open."""
    return HTML.table_of(lines[:open_rows], lines[open_rows:])


def plain_table(heads: Sequence[str], lines: Sequence[Sequence[str]], wide: bool = False) -> Markup:
    """A table of cells under its heads. wide: over the whole page."""
    return HTML.plain_table(heads, lines, wide)


def alarms(texts: Sequence[str]) -> Markup:
    """What a person should not overlook."""
    return HTML.alarms(texts)


def headed(text: str, note: Markup, of_runs: Sequence[Markup], chips: Sequence[Markup]) -> Markup:
    """A section, of each run that has something to show; "" where none has. text: its
    heading. note: below it. chips: what stands before the part of each run."""
    shown = joined(name + html for name, html in zip(chips, of_runs, strict=True) if html)
    if not shown:
        return Markup()
    return HTML.headed(text, note, shown)


def page_title(name: str) -> Markup:
    """The heading of a page."""
    return HTML.title(name)


def section_title(text: str) -> Markup:
    """The heading of a section."""
    return HTML.heading(text)


def lead_text(text: str) -> Markup:
    """The sentence that a page begins with."""
    return HTML.lead(text)


def card_grid(cards: Iterable[Markup]) -> Markup:
    """Cards side by side."""
    return HTML.grid(cards)


def soft(text: str) -> Markup:
    """A paragraph in a soft colour."""
    return HTML.soft(text)


def chapter(name: str) -> Markup:
    """A heading below that of a section."""
    return HTML.chapter(name)


def sentence_case(text: str) -> str:
    """With its first letter in upper case."""
    return text[:1].upper() + text[1:]


def tile(value: str, name: str, unit: str = "") -> Markup:
    """A figure that leads, in large letters."""
    return HTML.tile(value, name, unit)


def tiles(found: Iterable[Markup]) -> Markup:
    """Tiles side by side."""
    return HTML.tiles(found)


def recipe_of(text: str, summary: str) -> Markup:
    """A recipe in YAML, its keys marked, which opens under a summary."""
    lines = []
    for line in text.split("\n"):
        found = KEY.fullmatch(line)
        lines.append(found.groups() if found else ("", "", line))
    return HTML.recipe(lines, summary)
