"""What was taken out of documents that are kept, counted by kind, with examples; and how texts are
shown on a page without what was replaced in them.

What an edit puts something else in place of, such as a mail address, is never shown: a page goes
from hand to hand. Whole lines that were taken out are shown, for they say whether the rule was
right; what is replaced inside them is not.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from genwright.core.corpus import Edit
from genwright.core.progress import track
from genwright.curation.build import Corpus
from genwright.curation.chance import chance, numbers_of
from genwright.curation.edits import joined
from genwright.curation.page_numbers import EXAMPLES, MEASURED, batches
from genwright.curation.store import Shard
from genwright.reporting import markup
from genwright.reporting.markup import Markup

SHOWN = 600  # characters of a text
LINES = 14  # of a text
AROUND = 160  # characters before and behind an edit
KINDS = 200  # different replacements that are counted by themselves
OTHER = "..."  # replacement of all others
CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in range(32) if chr(code) not in "\t\n"}


class EditKind(NamedTuple):
    """column: the attribute that gives it. text: what stands in its place, "" for nothing."""

    column: str
    text: str


class EditPlace(NamedTuple):
    """Where an edit is. number: of chance; those with the least are shown."""

    number: float
    key: str
    row: str
    edit: Edit


@dataclass
class Edits:
    """The edits of the documents that are kept. documents: that have any. characters: that were
    replaced or taken out."""

    documents: int = 0
    characters: int = 0
    kinds: dict[EditKind, int] = field(default_factory=dict)
    examples: dict[EditKind, list[EditPlace]] = field(default_factory=dict)

    def add(self, kind: EditKind, edit: Edit) -> EditKind:
        """Counts one. Gives the kind under which it is counted."""
        if kind not in self.kinds and len(self.kinds) >= KINDS:
            kind = EditKind(kind.column, OTHER)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.characters += edit.stop - edit.start
        return kind

    def show(self, kind: EditKind, place: EditPlace) -> None:
        """Keeps an example, where its number is among the least."""
        known = self.examples.setdefault(kind, [])
        if len(known) < EXAMPLES or place.number < known[-1].number:
            self.examples[kind] = heapq.nsmallest(EXAMPLES, [*known, place])


def columns_made(corpus: Corpus) -> list[str]:
    """The columns whose edits are made."""
    names = [name for each in corpus.recipe.rule_sets() for name in each.edits]
    return list(dict.fromkeys(names))


def count_edits(corpus: Corpus) -> Edits:
    """The edits of the documents that the mix keeps. Raises GenwrightError."""
    found = Edits()
    columns = columns_made(corpus)
    if not columns:
        return found
    for shard in track(corpus.shards, "counting edits"):
        for batch in batches(corpus, shard, (), columns):
            _count(found, batch, columns, shard)
    return found


def _count(found: Edits, batch: pa.Table, columns: Sequence[str], shard: Shard) -> None:
    """Counts the edits of a batch."""
    edited = np.zeros(len(batch), bool)
    for name in columns:
        edited |= pc.fill_null(pc.list_value_length(batch[MEASURED + name]), 0).to_numpy() > 0
    kept = batch["times"].to_numpy() > 0
    for place in np.flatnonzero(edited & kept).tolist():
        row = batch.slice(place, 1).to_pylist()[0]
        by_column = {name: _edits(row[MEASURED + name]) for name in columns}
        column_of: dict[Edit, str] = {}
        for name, edits in by_column.items():
            for edit in edits:
                column_of.setdefault(edit, name)
        own = joined(list(by_column.values()))
        found.documents += 1
        number = float(chance(numbers_of([row["id"]]), 0, "edits")[0])
        first: dict[EditKind, Edit] = {}
        for edit in own:
            kind = found.add(EditKind(column_of[edit], edit.text), edit)
            first.setdefault(kind, edit)
        for kind, edit in first.items():
            found.show(kind, EditPlace(number, shard.key, str(row["row"]), edit))


def _edits(given: Sequence[Mapping[str, Any]] | None) -> list[Edit]:
    return [Edit(**each) for each in given or ()]


# ---- texts as they are shown


class Piece(NamedTuple):
    """A piece of a text. kind: plain, gone (taken out) or instead (of what is not shown)."""

    kind: str
    text: str


def pieces(text: str, edits: Sequence[Edit], start: int, stop: int) -> list[Piece]:
    """Characters start to before stop of a text, with its edits. Whole lines that are taken out are
    gone; of any other edit only what stands in its place is there."""
    gone = np.zeros(stop - start, bool)
    hidden: dict[int, Edit] = {}
    for edit in edits:
        first = max(edit.start, start)
        last = min(edit.stop, stop)
        if last <= first:
            continue
        if not edit.text and _is_lines(text, edit):
            gone[first - start : last - start] = True
        else:
            for place in range(first, last):
                hidden.setdefault(place, edit)
    found: list[Piece] = []
    before: Edit | None = None
    for place in range(start, stop):
        edit_here = hidden.get(place)
        if edit_here is not None:
            if edit_here != before:
                found.append(Piece("instead", _instead(edit_here)))
        else:
            kind = "gone" if gone[place - start] else "plain"
            _append(found, kind, text[place])
        before = edit_here
    return found


def _append(found: list[Piece], kind: str, character: str) -> None:
    if found and found[-1].kind == kind:
        found[-1] = Piece(kind, found[-1].text + character)
    else:
        found.append(Piece(kind, character))


def _instead(edit: Edit) -> str:
    return edit.text or f"[{edit.stop - edit.start} characters taken out]"


def _is_lines(text: str, edit: Edit) -> bool:
    """Whether an edit takes whole lines."""
    inside = text[edit.start : edit.stop]
    begins = edit.start == 0 or text[edit.start - 1] == "\n" or inside.startswith("\n")
    ends = edit.stop >= len(text) or text[edit.stop] == "\n" or inside.endswith("\n")
    return begins and ends


def shown_text(text: str, edits: Sequence[Edit]) -> Markup:
    """The beginning of a text as HTML, without what edits replace. What they only take out is
    there."""
    beginning = text[:SHOWN]
    stop = len(beginning)
    lines = beginning.split("\n")
    if len(lines) > LINES:
        stop = len("\n".join(lines[:LINES]))
    hiding = [edit for edit in edits if edit.text]
    more = " ..." if stop < len(text) else ""
    return _html(pieces(text, hiding, 0, stop)) + more


def shown_edit(text: str, edits: Sequence[Edit], edit: Edit) -> Markup:
    """An edit in its surroundings, as HTML."""
    start = max(0, edit.start - AROUND)
    stop = min(len(text), edit.stop + AROUND, edit.start + SHOWN)
    before = "... " if start else ""
    more = " ..." if stop < len(text) else ""
    return markup.joined([before, _html(pieces(text, [edit, *edits], start, stop)), more])


TAGS = {
    "plain": Markup("{}"),
    "gone": Markup("<del>{}</del>"),
    "instead": Markup("<mark>{}</mark>"),
}


def _html(found: Sequence[Piece]) -> Markup:
    return markup.joined(TAGS[piece.kind].format(piece.text.translate(CONTROLS)) for piece in found)
