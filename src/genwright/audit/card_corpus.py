"""The data card of a corpus: its documents by source, licence and language, what its filters
dropped, and its shards as files that Croissant can read.

What became of each document is counted again from the selections of the mix, document by document,
and must be what the mix has counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from genwright.audit.card_answers import Answers, Unknown
from genwright.audit.card_croissant import column_field, dataset, file_object, table
from genwright.audit.card_places import last_part, without_places
from genwright.core.errors import GenwrightError
from genwright.core.files import digest, read_json
from genwright.data.cache import SPLITS
from genwright.data.selection import COUNTS, MIX, RECIPE, SELECTION, SOURCES, rows_and_times
from genwright.recipe.yaml_text import read_yaml

LABELS = ("source", "licence", "language")  # columns of a shard that are counted by value
NOT_SAID = "not said"
PARQUET = "application/x-parquet"
AGAIN = "run genwright data build again"


@dataclass
class LabelCount:
    """Documents with one value of a label: all, and those of each side of the mix."""

    documents: int = 0
    bytes: int = 0
    train: int = 0
    held_out: int = 0


@dataclass(frozen=True)
class CorpusFacts:
    """A corpus, for its card.

    sources: name -> what it is. counts: what the mix has counted. labels: label -> value -> count.
    shards: name of the file -> (SHA-256, bytes). unread: files, or parts of them. files: raw
    ones."""

    name: str
    kind: str
    sources: Mapping[str, Mapping[str, str]]
    counts: Mapping[str, Any]
    labels: Mapping[str, Mapping[str, LabelCount]]
    shards: Mapping[str, tuple[str, int]]
    unread: int
    files: int
    filters: list[str] = field(default_factory=list)

    @property
    def documents(self) -> int:
        """All that were read."""
        return int(self.counts["documents"])


def corpus_facts(folder: Path) -> CorpusFacts:
    """What the folder of a corpus says. Raises GenwrightError for one that has no mix, or one of
    other documents."""
    place = folder / MIX / COUNTS
    if not place.is_file():
        raise GenwrightError(
            f"the corpus {folder} has no mix yet", f"run genwright data mix {folder}"
        )
    counts = read_json(place.read_text(encoding="utf-8"), place, "run genwright data mix again")
    recipe = read_yaml((folder / RECIPE).read_text(encoding="utf-8"), str(folder / RECIPE))
    labels: dict[str, dict[str, LabelCount]] = {label: {} for label in LABELS}
    shards = {}
    unread = 0
    files = 0
    for key in _keys(folder):
        documents = folder / "documents" / f"{key}.parquet"
        if not documents.is_file():
            raise GenwrightError(f"{documents} is not there", AGAIN)
        facts_file = documents.with_suffix(".json")
        facts = read_json(facts_file.read_text(encoding="utf-8"), facts_file, AGAIN)
        unread += len(facts["unread"])
        files += len(facts["files"])
        _count(folder, documents, labels)
        shards[f"documents/{documents.name}"] = (digest(documents), documents.stat().st_size)
    found = CorpusFacts(
        str(recipe.get("name") or folder.resolve().name),
        str(recipe.get("kind", "text")),
        _sources(recipe),
        counts,
        labels,
        shards,
        unread,
        files,
        _filters(counts),
    )
    _check(found, folder)
    return found


def _keys(folder: Path) -> list[str]:
    """The keys of the shards, in order."""
    path = folder / SOURCES
    listed = read_json(path.read_text(encoding="utf-8"), path, AGAIN)
    return [str(key) for source in listed for key in source["shards"]]


def _count(folder: Path, documents: Path, labels: dict[str, dict[str, LabelCount]]) -> None:
    """Adds the documents of a shard."""
    read = pq.read_table(documents, columns=[*LABELS, "bytes"])
    sides = {}
    for split in SPLITS:
        side = np.zeros(read.num_rows, bool)
        chosen = folder / MIX / split / f"{documents.stem}{SELECTION}"
        if chosen.is_file():
            rows, _ = rows_and_times(chosen)
            side[rows] = True
        sides[split] = side
    sizes = read["bytes"].to_pylist()
    for label in LABELS:
        for row, value in enumerate(read[label].to_pylist()):
            count = labels[label].setdefault(value or NOT_SAID, LabelCount())
            count.documents += 1
            count.bytes += sizes[row]
            count.train += int(sides[SPLITS[0]][row])
            count.held_out += int(sides[SPLITS[1]][row])


def _check(facts: CorpusFacts, folder: Path) -> None:
    """Raises GenwrightError where the mix has counted other documents."""
    counted = facts.labels["source"].values()
    kept = {
        SPLITS[0]: sum(each.train for each in counted),
        SPLITS[1]: sum(each.held_out for each in counted),
    }
    documents = sum(each.documents for each in counted)
    if documents != facts.documents or kept != facts.counts["kept"]:
        raise GenwrightError(
            f"the mix of {folder} is of other documents", f"run genwright data mix {folder}"
        )


def _sources(recipe: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """name -> kind and licence, without paths."""
    found = {}
    for source in recipe.get("sources") or ():
        path = source.get("path", "")
        if isinstance(path, list):
            path = ", ".join(last_part(str(each)) for each in path)
        else:
            path = last_part(str(path))
        name = str(source.get("name") or path)
        found[name] = {
            "kind": str(source.get("kind", "")),
            "path": path,
            "licence": str(source.get("licence") or NOT_SAID),
        }
    return found


def _filters(counts: Mapping[str, Any]) -> list[str]:
    """The filters by which the mix decided, in words."""
    found = []
    for each in (counts.get("recipe") or {}).get("filters") or ():
        if each.get("rules"):
            text = str(each["rules"])
            if each.get("option"):
                text += f" ({without_places(str(each['option']))})"
            found.append(text)
            continue
        bounds = []
        for name in ("at_least", "at_most"):
            if each.get(name) is not None:
                bounds.append(f"{name.replace('_', ' ')} {each[name]:g}")
        found.append(f"{each.get('attribute')} {' and '.join(bounds)}".strip())
    return found


# ---- the card


def corpus_card(facts: CorpusFacts, answers: Answers) -> dict[str, Any]:
    """Croissant JSON-LD of a corpus."""
    kept = facts.counts["kept"]
    description = (
        f"The corpus {facts.name}: {facts.documents:,} documents of {facts.kind},"
        f" {facts.counts['bytes']:,} bytes, from {len(facts.sources):,} sources;"
        f" {kept[SPLITS[0]]:,} to be trained on, {kept[SPLITS[1]]:,} held out,"
        f" {dropped(facts):,} dropped. Every document is in the shards; which are used is decided"
        " by the mix, in mix/train and mix/held_out."
    )
    distribution: list[dict[str, Any]] = []
    for name, (sha, size) in facts.shards.items():
        distribution.append(file_object(name, sha, PARQUET, "a shard of documents", size))
    distribution.append(
        {
            "@type": "cr:FileSet",
            "@id": "documents",
            "name": "documents",
            "description": "all shards of documents",
            "encodingFormat": PARQUET,
            "includes": "documents/*.parquet",
        }
    )
    languages = [value for value in facts.labels["language"] if value != NOT_SAID]
    more: dict[str, Any] = {"keywords": [facts.kind, "genwright"]}
    if languages:
        more["inLanguage"] = sorted(languages)
    return dataset(
        facts.name,
        description,
        corpus_licence(facts, answers),
        answers,
        measured_of_corpus(facts),
        distribution,
        [_documents(facts), *_tables(facts)],
        more,
    )


def dropped(facts: CorpusFacts) -> int:
    """Documents that are neither trained on nor held out."""
    return facts.documents - sum(facts.counts["kept"].values())


def corpus_licence(facts: CorpusFacts, answers: Answers) -> str | Unknown:
    """What a person says; else the licences of the documents, with how many have each."""
    said = answers.text("data_licence")
    if said:
        return said
    found = facts.labels["licence"]
    if set(found) <= {NOT_SAID}:
        asked = answers.of("data_licence")
        assert isinstance(asked, Unknown)  # it has no answer
        return Unknown("no document says its licence", asked.remedy)
    texts = [f"{value} ({count.documents:,} documents)" for value, count in by_size(found)]
    return ", ".join(texts)


def by_size(found: Mapping[str, LabelCount]) -> list[tuple[str, LabelCount]]:
    """Values of a label, the most frequent first."""

    def place(item: tuple[str, LabelCount]) -> tuple[int, str]:
        return -item[1].documents, item[0]

    return sorted(found.items(), key=place)


def measured_of_corpus(facts: CorpusFacts) -> dict[str, list[str]]:
    """Fields of the responsible-AI extension -> what was counted."""
    raw = [f"{facts.files:,} raw files."]
    for name, source in facts.sources.items():
        raw.append(f"Source {name}: {source['kind']}, licence {source['licence']}.")
    rules = dict(facts.counts.get("rules", ()))
    processing = [f"Filter {each}." for each in facts.filters]
    for reason, count in facts.counts["dropped"].items():
        sentence = f"Dropped for {reason}: {count:,} documents"
        if rules.get(reason):
            sentence += f" (to stay: {without_places(rules[reason])})"
        processing.append(f"{sentence}.")
    edits = facts.counts.get("edits", 0)
    processing.append(f"{edits:,} places in documents that stay are read with an edit.")
    biases = []
    for label in LABELS:
        for value, count in by_size(facts.labels[label])[:3]:
            share = count.documents / max(1, facts.documents)
            biases.append(f"{label} {value}: {count.documents:,} documents, {share:.1%}.")
    crossing = facts.counts.get("crossing", 0)
    return {
        "rai:dataCollectionRawData": raw,
        "rai:dataCollectionMissingData": [f"{facts.unread:,} files or parts were not read."],
        "rai:dataPreprocessingProtocol": processing,
        "rai:dataBiases": biases,
        "rai:dataLimitations": [f"Pairs of near copies on both sides of the split: {crossing:,}."],
    }


def _documents(facts: CorpusFacts) -> dict[str, Any]:
    """The documents as a set of records, whose fields are columns of the shards."""
    fields = [
        column_field("document", "source", "sc:Text", "name of the source", "documents"),
        column_field("document", "file", "sc:Text", "raw file, below its source", "documents"),
        column_field("document", "licence", "sc:Text", "as the source says", "documents"),
        column_field("document", "date", "sc:Text", "as the source says", "documents"),
        column_field("document", "language", "sc:Text", "as the source says", "documents"),
        column_field("document", "bytes", "sc:Integer", "its size", "documents"),
        column_field("document", "text", "sc:Text", "the text; null of others", "documents"),
    ]
    fields.insert(0, column_field("document", "id", "sc:Text", "128 bits", "documents"))
    return {
        "@type": "cr:RecordSet",
        "@id": "document",
        "name": "document",
        "description": "every document that was read, those that were dropped too",
        "key": {"@id": "document/id"},
        "field": fields,
    }


def _tables(facts: CorpusFacts) -> list[dict[str, Any]]:
    rows = []
    for label in LABELS:
        for value, count in by_size(facts.labels[label]):
            rows.append([label, value, count.documents, count.bytes, count.train, count.held_out])
    columns = {"label": "sc:Text", "value": "sc:Text"}
    columns |= dict.fromkeys(("documents", "bytes", "train", "held_out"), "sc:Integer")
    about = "documents by what their source says of them, and how many the mix takes"
    found = [table("labels", about, columns, rows)]
    reasons = [[reason, count] for reason, count in facts.counts["dropped"].items()]
    if reasons:
        kinds = {"reason": "sc:Text", "documents": "sc:Integer"}
        found.append(table("dropped", "documents by why they were dropped", kinds, reasons))
    return found
