"""The page of a corpus: what became of everything and why, for a person who never saw the terminal.

One self-contained file as reports of runs are: inline SVG, no script, every text escaped. Its
numbers are counted again from the decisions on disk, document by document, and must be those of
the mix.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from genwright.core.corpus_content import corpus_content
from genwright.core.errors import GenwrightError
from genwright.core.version import __version__
from genwright.curation.attributes import needed
from genwright.curation.build import Corpus
from genwright.curation.built import remarks
from genwright.curation.look import where
from genwright.curation.mix import BYTES_A_TOKEN, counts_of
from genwright.curation.page_copies import Copies, copies_section, count_copies
from genwright.curation.page_edits import Edits, count_edits
from genwright.curation.page_numbers import DROPPED, FATES, Numbers, numbers_of
from genwright.curation.page_parts import (
    edits_section,
    in_bytes,
    reasons,
    removed_section,
    share,
    table,
    tables,
    values,
)
from genwright.curation.recipe_file import as_mixed, dumped
from genwright.curation.removed import RemovedOf, removals
from genwright.curation.settings import CorpusRecipe
from genwright.data.cache import SPLITS
from genwright.reporting import page
from genwright.reporting.fragments import (
    alarms,
    lead_text,
    page_title,
    recipe_of,
    section_title,
    soft,
    table_of,
    tile,
    tiles,
)
from genwright.reporting.markup import Markup, Templates, joined
from genwright.reporting.svg import short

HTML = Templates("genwright.curation", "page.html")
PAGE = "report.html"
LEADING = 3  # reasons in the first sentence
LISTED = 30  # of what could not be read


def write_page(corpus: Corpus, path: Path) -> Path:
    """Writes the page of a corpus as its last mix left it. Raises GenwrightError where there is no
    mix, where it is of other documents, or where the page cannot be written."""
    counts = counts_of(corpus.folder)
    recipe = as_mixed(corpus.recipe, counts)
    mixed = Corpus(corpus.folder, recipe, corpus.shards)
    numbers = numbers_of(mixed)
    edits = count_edits(mixed)
    copies = count_copies(mixed)
    _check(corpus, numbers, edits, counts)
    found = _Found(mixed, numbers, edits, copies, counts.get("crossing", 0), removals(corpus))
    return page.write(path, recipe.name, _body(found, _remarks(corpus, recipe, counts)))


def _remarks(corpus: Corpus, mixed: CorpusRecipe, counts: Mapping[str, Any]) -> list[str]:
    """What a reader should know before the numbers."""
    found = []
    if corpus.recipe != mixed:
        found.append(
            "corpus.yaml was edited since the mix was made. This page shows what was decided"
            " before; genwright data mix decides again."
        )
    for remark in remarks(counts):
        found.append(f"{remark[0].upper()}{remark[1:]}.")
    return found


def _check(corpus: Corpus, numbers: Numbers, edits: Edits, counts: Mapping[str, Any]) -> None:
    """Raises GenwrightError where what was counted is not what the mix counted."""
    total = numbers.total
    counted = {
        "documents": total.documents,
        "bytes": total.bytes,
        "kept": {split: numbers.fates[split].documents for split in SPLITS},
        "kept_bytes": numbers.read,
        "dropped": {reason: count.documents for reason, count in numbers.reasons.items()},
        "edits": sum(edits.kinds.values()),
    }
    for name, value in counted.items():
        if value != counts[name]:
            raise GenwrightError(
                f"the mix of {corpus.folder} is of other documents: its {name} are"
                f" {counts[name]}, and there are {value}",
                "run genwright data mix again",
            )


@dataclass(frozen=True)
class _Found:
    """What a page is made of. corpus: with the recipe of the mix; crossing: pairs of similar
    documents on both sides of the split."""

    corpus: Corpus
    numbers: Numbers
    edits: Edits
    copies: Copies | None
    crossing: int
    removed: tuple[RemovedOf, ...]


def _body(found: _Found, remarks: list[str]) -> Markup:
    corpus = found.corpus
    numbers = found.numbers
    unread, listed = _unread(corpus)
    parts = [
        page_title(corpus.recipe.name),
        _head(corpus, numbers, found.edits, unread),
        alarms(remarks),
        tables(numbers, _sources(corpus)),
        reasons(corpus, numbers),
        removed_section(found.removed),
        values(corpus, numbers),
        copies_section(corpus, numbers, found.copies, found.crossing),
        edits_section(corpus, found.edits),
        listed,
        _recipe(corpus),
    ]
    return joined([part for part in parts if part], "\n")


# ---- the head


def sentence(numbers: Numbers) -> str:
    """What there is and what became of it, in plain words; plain text."""
    total = numbers.total
    fates = numbers.fates
    sources = len(numbers.by["source"])
    text = (
        f"{counted(total.documents, 'document')}, {in_bytes(total.bytes)},"
        f" from {counted(sources, 'source')}: "
    )
    parts = []
    names = {SPLITS[0]: "to be trained on", SPLITS[1]: "held out", DROPPED: "dropped"}
    for fate in FATES:
        count = fates[fate].documents
        parts.append(f"{count:,} {names[fate]} ({share(count, total.documents)})")
    text += f"{parts[0]}, {parts[1]} and {parts[2]}."
    most = sorted(numbers.reasons.items(), key=lambda each: (-each[1].documents, each[0]))
    if most:
        named = [f"{reason} ({count.documents:,})" for reason, count in most[:LEADING]]
        text += f" The most frequent reasons: {', '.join(named)}."
    return text


def counted(count: int, name: str) -> str:
    """A number of things. name: of one of them."""
    if count == 1:
        return f"1 {name}"
    return f"{count:,} {name}s"


def _head(corpus: Corpus, numbers: Numbers, edits: Edits, unread: int) -> Markup:
    fates = numbers.fates
    found = [
        tile(f"{numbers.total.documents:,}", "documents", in_bytes(numbers.total.bytes)),
        tile(f"{fates[SPLITS[0]].documents:,}", "trained on", in_bytes(numbers.read[SPLITS[0]])),
        tile(f"{fates[SPLITS[1]].documents:,}", "held out", in_bytes(numbers.read[SPLITS[1]])),
        tile(f"{fates[DROPPED].documents:,}", "dropped", in_bytes(fates[DROPPED].bytes)),
    ]
    note = f"With the repetitions of the mix, {in_bytes(numbers.repeated)} are read for training"
    if corpus_content(corpus.recipe.kind) is None:  # only texts have edits and tokens of bytes
        edited = sum(edits.kinds.values())
        found.append(tile(f"{edited:,}", "edits", "in documents that are kept"))
        tokens = short(numbers.repeated // BYTES_A_TOKEN)
        note += f", about {tokens} tokens of {BYTES_A_TOKEN} bytes"
    found.append(tile(f"{unread:,}", "not read", "files, or parts of them"))
    return lead_text(sentence(numbers)) + tiles(found) + soft(f"{note}.")


# ---- where it comes from


def _sources(corpus: Corpus) -> dict[str, str]:
    """What each source is."""
    files: dict[str, int] = {}
    for shard in corpus.shards:
        facts = shard.facts
        files[facts["source"]] = files.get(facts["source"], 0) + len(facts["files"])
    found = {}
    for source in corpus.recipe.sources:
        settings = source.raw.model_dump(mode="json")
        path = settings.get("path", "")
        if not isinstance(path, str):
            path = ", ".join(path)
        about = f"{settings['kind']} {path}, {counted(files.get(source.name, 0), 'raw file')}"
        if source.licence:
            about += f", {source.licence} unless they say another licence"
        found[source.name] = about
    return found


def _unread(corpus: Corpus) -> tuple[int, Markup]:
    """How much could not be read, and the first of it."""
    count = 0
    lines: list[list[str]] = []
    for shard in corpus.shards:
        facts = shard.facts
        count += len(facts["unread"])
        for file, place, what in facts["unread"][: LISTED - len(lines)]:
            lines.append([where(facts["source"], file, place), what])
    heading = section_title("What could not be read")
    if not count:
        return 0, heading + soft("Everything was read.")
    listed = table(("where", "why"), lines, 0)
    if count > len(lines):
        listed += soft(f"and {count - len(lines):,} more, in documents/*.json")
    return count, heading + listed


def _recipe(corpus: Corpus) -> Markup:
    """The recipe and the versions by which the corpus was made."""
    versions: dict[str, Any] = {
        "genwright": __version__,
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
    }
    for group in needed(corpus.recipe.kind, corpus.recipe.rule_sets()):
        versions[f"attributes {group.name}"] = f"version {group.version}"
    text = dumped(corpus.recipe)
    recipe = recipe_of(text, "corpus.yaml; it builds the same corpus of the same raw files")
    made = section_title("Recipe") + _rule_sets(corpus) + recipe
    return made + section_title("Versions") + table_of(versions)


def _rule_sets(corpus: Corpus) -> Markup:
    """The sets of rules, and where their numbers come from."""
    lines = []
    for each in corpus.recipe.rule_sets():
        lines.append([each.name, each.source, f"{len(each.rules):,}"])
    if not lines:
        return soft("No filter is named: every document satisfies it.")
    return table(("filter", "its numbers come from", "rules"), lines, 1)
