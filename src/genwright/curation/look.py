"""What became of a corpus, to look at: what was dropped and why, and where a document comes
from."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from genwright.core.corpus import Edit, Rule, edited
from genwright.core.corpus_content import corpus_content
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.files import digest
from genwright.curation.attributes import (
    columns_of,
    found_labels,
    needed,
    values_file,
    values_of,
)
from genwright.curation.build import Corpus
from genwright.curation.chance import chance, numbers_in
from genwright.curation.copies import EXACT, NEAR
from genwright.curation.edits import joined
from genwright.curation.mix import counts_of
from genwright.curation.resembled import Resembled, resembled
from genwright.curation.store import Shard, read_table
from genwright.data.selection import MIX, SELECTION

COPIES = (EXACT, NEAR)  # reasons
SHOWN = 200  # characters of a document, in a list
EDITS = 20  # lines about the edits of a document
SHORTEST = 6  # digits of an id that name a document


@dataclass(frozen=True)
class DroppedDocument:
    """One document that was dropped. why: the value that broke the rule, with its bound; of a copy
    what it resembles, and how much."""

    id: str
    source: str
    file: str
    place: str
    reason: str
    why: str
    text: str

    def __str__(self) -> str:
        place = where(self.source, self.file, self.place)
        why = f"{self.reason}: {self.why}" if self.why else self.reason
        return f"{self.id[:12]}  {place}\n  {why}\n  {shortened(self.text)}"


@dataclass(frozen=True)
class Dropped:
    """Documents of those that were dropped, chosen by chance, always the same. total: how many
    there are."""

    documents: list[DroppedDocument]
    total: int
    reason: str

    def __str__(self) -> str:
        what = f"for {self.reason}" if self.reason else "in all"
        shown = len(self.documents)
        if self.total == 1:
            head = f"1 document was dropped {what}:"
        elif shown == self.total:
            head = f"{self.total:,} documents were dropped {what}:"
        else:
            head = f"{self.total:,} documents were dropped {what}; {shown} by chance:"
        lines = [head]
        return "\n".join([*lines, *map(str, self.documents)])


def where(source: str, file: str, place: str) -> str:
    """Where a document stands, for a person."""
    name = file if file == source else f"{source}/{file}"  # a source of one file has its name
    if place:
        name += f", {place}"
    return name


def in_words(corpus: Corpus, shard: Shard, number: int, row: Mapping[str, Any]) -> str:
    """A document for a terminal: its text, or what it is. What edits put something else in place
    of, such as a mail address, is not shown; lines that are only taken out are. number: of the row
    of a shard; row: its values."""
    content = corpus_content(corpus.recipe.kind)
    if content is not None:
        return content.in_words(row["data"])
    return _hidden(row["text"], edits_in(corpus, shard, number))


def _hidden(text: str, edits: Sequence[Edit]) -> str:
    """A text without what edits put something else in place of."""
    return edited(text, joined([[edit for edit in edits if edit.text]]))


def edits_in(corpus: Corpus, shard: Shard, row: int) -> list[Edit]:
    """All edits that are known of a document, also those that are not made."""
    several: list[Edit] = []
    for group in needed(corpus.recipe.kind, corpus.recipe.rule_sets()):
        names = [column.name for column in group.columns if column.kind == "edits"]
        if names:
            values = row_of(values_file(shard, group), row, names)
            for name in names:
                several += [Edit(**each) for each in values[name] or ()]
    return several


def shortened(text: str, length: int = SHOWN) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else f"{line[:length]} ..."


def dropped(corpus: Corpus, reason: str = "", n: int = 20) -> Dropped:
    """Documents that were dropped. reason: this one alone, or all of one set of rules. Raises
    GenwrightError for a reason that no document was dropped for."""
    counted = counts_of(corpus.folder)["dropped"]
    wanted = [name for name in counted if name == reason or name.startswith(f"{reason}.")]
    if not reason:
        wanted = list(counted)
    elif not wanted:
        raise GenwrightError(
            f"no document was dropped for {reason!r}",
            did_you_mean(reason, counted) if counted else "none was dropped at all",
        )
    chosen: list[tuple[float, str, str]] = []  # (chance, shard, row) of those with the least
    for shard in corpus.shards:
        table = read_table(list_of(shard), ["id", "reason"])
        reasons = np.array(table["reason"].to_pylist(), dtype=object)
        rows = np.flatnonzero(np.isin(reasons, wanted))
        if not len(rows):
            continue
        numbers = chance(numbers_in(table["id"]), 0, "shown")[rows]
        for number, row in zip(numbers.tolist(), rows.tolist(), strict=True):
            chosen.append((number, shard.key, str(row)))
        chosen = heapq.nsmallest(n, chosen)
    places = [(key, int(row)) for _, key, row in chosen]
    originals = resembled(corpus.folder, set(places))
    found = []
    for key, row in places:
        each = dropped_document(corpus, Shard(corpus.folder, key), row)
        if each.reason in COPIES and (key, row) in originals:
            each = replace(each, why=_resembles(corpus, each.reason, originals[key, row]))
        found.append(each)
    return Dropped(found, sum(counted[name] for name in wanted), reason)


def list_of(shard: Shard) -> Path:
    """The file that says what became of a shard's documents. Raises GenwrightError."""
    path = shard.folder / MIX / "list" / f"{shard.key}.parquet"
    if not path.is_file():
        raise GenwrightError(
            f"{shard.folder} has no mix yet", f"run genwright data mix {shard.folder}"
        )
    return path


def dropped_document(corpus: Corpus, shard: Shard, row: int, noted: bool = True) -> DroppedDocument:
    """A document that was dropped, with the value that broke the rule. noted: with what is noted
    of it, which may quote the text."""
    known = row_of(shard.documents, row)
    reason = _decision(shard, row)["reason"]
    return DroppedDocument(
        known["id"].hex(),
        known["source"],
        known["file"],
        known["place"],
        reason,
        _why(corpus, shard, row, reason, noted),
        in_words(corpus, shard, row, known),
    )


def row_of(path: Path, row: int, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """A row of a Parquet file of a corpus, of which only the rows around it are read. columns:
    these alone."""
    first = 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if row < first + count:
                names = None if columns is None else list(columns)
                table = file.read_row_group(group, names).slice(row - first, 1)
                found: dict[str, Any] = table.to_pylist()[0]
                return found
            first += count
    raise IndexError(f"row {row} of {first}")


def _decision(shard: Shard, row: int) -> dict[str, Any]:
    found: dict[str, Any] = read_table(list_of(shard)).slice(row, 1).to_pylist()[0]
    return found


def _why(corpus: Corpus, shard: Shard, row: int, reason: str, noted: bool = True) -> str:
    """The value that broke a rule, with its bound and, where `noted`, what is noted of it; "" where
    it was no rule."""
    for each in corpus.recipe.rule_sets():
        for rule in each.rules:
            if rule.reason != reason:
                continue
            values = values_of(shard, corpus.recipe.kind, [rule.attribute])
            value = values[rule.attribute][row : row + 1]
            name = rule.attribute
            if rule.otherwise and value[0] == "":
                name = rule.otherwise
                value = np.array([row_of(shard.documents, row, [name])[name]], dtype=object)
            if rule.breaks(value)[0]:
                between = "; wanted:" if rule.at_least is None and rule.at_most is None else ","
                why = f"{name} is {_written(value[0])}{between} {bounds_of(rule)}"
                note = _note(corpus, shard, row, rule) if noted else ""
                return f"{why}: {note}" if note else why
    return ""


def _resembles(corpus: Corpus, reason: str, original: Resembled) -> str:
    """What a copy was dropped for. original: what it is a copy of."""
    columns = ["source", "file", "place"]
    row = row_of(Shard(corpus.folder, original.shard).documents, original.row, columns)
    name = f"{original.id.hex()[:12]}  {where(row['source'], row['file'], row['place'])}"
    if original.is_equal:
        return f"equal to {name}"
    if reason == EXACT:  # that one was dropped, and of its equal copies the first stays
        return f"equal to another near copy of {name}"
    return f"similarity {original.similarity:.3f} to {name}"


def _note(corpus: Corpus, shard: Shard, row: int, rule: Rule) -> str:
    """What is noted of a document beside the attribute of a rule."""
    if not rule.note:
        return ""
    group, _ = columns_of(corpus.recipe.kind)[rule.note]
    found = row_of(values_file(shard, group), row, [rule.note])
    return str(found[rule.note] or "")


def _written(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def bounds_of(rule: Rule) -> str:
    """The bounds of a rule, in words."""
    parts = []
    if rule.at_least is not None:
        parts.append(f"at least {rule.at_least:,.6g}")
    if rule.at_most is not None:
        parts.append(f"at most {rule.at_most:,.6g}")
    if not parts:
        return rule.detail
    return " and ".join(parts)


# ---- one document


@dataclass(frozen=True)
class Trace:
    """Where a document comes from, and what became of it. edits: a line each, or for those with one
    replacement. text: see `in_words`."""

    facts: dict[str, str]
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    edits: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        width = max(map(len, [*self.facts, *self.attributes]))
        lines = [f"{name:<{width}}  {value}" for name, value in self.facts.items()]
        lines += [f"{name:<{width}}  {value}" for name, value in self.attributes.items()]
        if self.edits:
            lines += ["", *self.edits[:EDITS]]
        if len(self.edits) > EDITS:
            lines.append(f"and {len(self.edits) - EDITS:,} more")
        return "\n".join([*lines, "", shortened(self.text, 600)])


def trace(corpus: Corpus, word: str) -> Trace:
    """A document by its id (its first digits are enough), or as a batch of a run names it,
    SHARD.selection:ROW. Raises GenwrightError."""
    shard, row = find(corpus, word)
    known = row_of(shard.documents, row)
    decision = _decision(shard, row)
    path, state = _raw_file(shard, known)
    facts = {
        "document": known["id"].hex(),
        "source": known["source"],
        "raw file": path,
        "in it": known["place"] or "all of it",
        "sha256 of the file": f"{known['file_digest']} ({state})",
        "licence": known["licence"] or "not known",
        "date": known["date"] or "not known",
        "language": known["language"] or "not known",
        "bytes": f"{known['bytes']:,}",
        "shard": f"{shard.key}, row {row}",
        "mix": _became(decision),
    }
    why = _why(corpus, shard, row, decision["reason"])
    if decision["reason"] in COPIES:
        for original in resembled(corpus.folder, {(shard.key, row)}).values():
            why = _resembles(corpus, decision["reason"], original)
    if why:
        facts["why"] = why
    values: dict[str, Any] = {}
    for group in needed(corpus.recipe.kind, corpus.recipe.rule_sets()):
        values |= row_of(values_file(shard, group), row)
    for label, name in found_labels(corpus.recipe.kind, corpus.recipe.rule_sets()).items():
        if values[name]:
            facts[label] = f"{values[name]}, as it says; its source says {known[label] or 'none'}"
    attributes = {}
    for name, value in values.items():
        attributes[name] = _counted(value) if isinstance(value, list) else _written(value)
    edits = _edits_in_words(known["text"], edits_in(corpus, shard, row))
    return Trace(facts, attributes, in_words(corpus, shard, row, known), edits)


def _counted(edits: Sequence[Any]) -> str:
    return "1 edit" if len(edits) == 1 else f"{len(edits)} edits"


def _edits_in_words(text: str, edits: Sequence[Edit]) -> list[str]:
    """The edits of a document: how many of each replacement, and not what is replaced; and what is
    only taken out, without what is replaced in it."""
    counts = Counter(edit.text for edit in edits if edit.text)
    lines = [f"replaced by {word}: {count:,}" for word, count in sorted(counts.items())]
    for edit in sorted(edits):
        if edit.text:
            continue
        inside = []
        for each in edits:
            if each.text and each.start < edit.stop and each.stop > edit.start:
                start = max(each.start, edit.start) - edit.start
                stop = min(each.stop, edit.stop) - edit.start
                inside.append(Edit(start, stop, each.text))
        line = shortened(_hidden(text[edit.start : edit.stop], inside), 100)
        lines.append(f"taken out: {line}" if line else "taken out: an empty line")
    return lines


def _became(decision: dict[str, Any]) -> str:
    if decision["reason"]:
        return f"dropped for {decision['reason']}"
    return f"{decision['split'].replace('_', ' ')}, {decision['times']} times"


def _raw_file(shard: Shard, known: dict[str, Any]) -> tuple[str, str]:
    """The path of a document's raw file, and whether it is still what was read."""
    for name, sha, path in shard.facts["files"]:
        if name == known["file"] and sha == known["file_digest"]:
            if not Path(path).is_file():
                return path, "the file is gone"
            return path, "unchanged" if digest(Path(path)) == sha else "the file has changed since"
    return known["file"], "not listed"


def find(corpus: Corpus, word: str) -> tuple[Shard, int]:
    """The shard and the row of a document; see `trace`. Raises GenwrightError."""
    name, _, row = word.rpartition(":")
    key = Path(name).name.removesuffix(SELECTION)
    for shard in corpus.shards:
        if shard.key == key and row.isdecimal():
            if int(row) >= shard.facts["documents"]:
                break
            return shard, int(row)
    beginning = word.lower()
    if len(beginning) >= SHORTEST and set(beginning) <= set("0123456789abcdef"):
        matches = list(_matches(corpus, beginning))
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise GenwrightError(
                f"{len(matches)} documents begin with {word}", "give more digits of the id"
            )
    raise GenwrightError(
        f"{corpus.folder} has no document {word!r}",
        f"give an id (at least {SHORTEST} digits), as genwright data dropped shows it, or"
        " SHARD:ROW, as a batch of a run names it",
    )


def _matches(corpus: Corpus, beginning: str) -> Iterator[tuple[Shard, int]]:
    for shard in corpus.shards:
        ids = read_table(shard.documents, ["id"])["id"].to_pylist()
        for row, own in enumerate(ids):
            if own.hex().startswith(beginning):
                yield shard, row
