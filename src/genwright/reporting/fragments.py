"""Small pieces of HTML that several parts of a report are made of. Texts are escaped here."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from genwright.reporting.page import RunData, rows
from genwright.reporting.svg import key

ROWS = 16  # of a table that stand open; a corpus may have thousands of shards


def chip(index: int, run: RunData) -> str:
    """The name of a run beside its colour."""
    return f'<span class="legend">{key(run.name, index)}</span>'


def table_of(values: Mapping[str, Any]) -> str:
    """A nested mapping as a table; "" where it is empty."""
    lines = []
    for name, text in rows(values):
        cells = f'<td class="key">{escape(name)}</td><td class="text">{escape(text)}</td>'
        lines.append(f"<tr>{cells}</tr>")
    if not lines:
        return ""
    rest = ""
    if len(lines) > ROWS:
        summary = f"<summary>{len(lines) - ROWS} more</summary>"
        rest = f"<details>{summary}<table>{''.join(lines[ROWS:])}</table></details>"
    return f'<div class="card"><table>{"".join(lines[:ROWS])}</table>{rest}</div>'


def alarms(texts: Sequence[str]) -> str:
    """What a person should not overlook."""
    return "".join(f'<div class="alarm">{escape(text)}</div>' for text in texts)


def headed(heading: str, note: str, of_runs: Sequence[str], chips: Sequence[str]) -> str:
    """A section, of each run that has something to show; "" where none has. note: HTML below the
    heading. chips: what stands before the HTML of each run."""
    shown = ""
    for name, html in zip(chips, of_runs, strict=True):
        if html:
            shown += name + html
    if not shown:
        return ""
    return f"<h2>{heading}</h2>{note}{shown}"


def soft(text: str) -> str:
    """A paragraph in a soft colour. text: HTML."""
    return f'<p class="soft">{text}</p>'


def sentence_case(text: str) -> str:
    """With its first letter in upper case."""
    return text[:1].upper() + text[1:]


def tile(value: str, name: str, unit: str = "") -> str:
    """A figure that leads, in large letters."""
    return (
        f'<div class="tile"><b>{escape(value)}</b>'
        f"<span>{escape(name)}<br>{escape(unit)}</span></div>"
    )


def recipe_of(text: str, summary: str) -> str:
    """A recipe in YAML, its keys marked, which opens under a summary."""
    keys_marked = re.sub(r"(?m)^([ -]*)([\w.-]+):", r'\1<b class="key">\2</b>:', escape(text))
    heading = f"<summary>{escape(summary)}</summary>"
    return f'<details class="card">{heading}<pre>{keys_marked}</pre></details>'
