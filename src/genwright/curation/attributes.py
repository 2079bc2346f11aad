"""Attributes of documents, in files beside their shards: same rows, same order.

    attributes/GROUP-VERSION/KEY.parquet
    prepared/GROUP-VERSION/                what a group needs that is computed once a corpus

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from genwright.core.corpus import Attributes, Column, Compute, Rule, RuleSet, attributes_of
from genwright.core.drafts import draft_beside
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.files import flush, json_text
from genwright.core.kept_files import open_kept
from genwright.curation.settings import Filter, rule_sets
from genwright.curation.store import Shard, batches_of, read_table
from genwright.data.cache import publish, writing
from genwright.data.rows import first_line
from genwright.data.workers import Work

EDITS = pa.list_(pa.struct([("start", pa.int64()), ("stop", pa.int64()), ("text", pa.string())]))
TYPES = {"number": pa.float64(), "label": pa.string(), "edits": EDITS, "note": pa.string()}
_KINDS = {"label": "labels", "edits": "edits", "note": "notes"}  # for a person
PREPARED = "prepared"  # folder of a corpus
ABOUT = "about.json"  # what there is to say about what was prepared


def folder_of(group: Attributes) -> str:
    """The name of a group's folder, which says its version."""
    return f"{group.name.replace(' ', '-')}-{group.version}"


def needed(content: str, sets: Iterable[RuleSet]) -> list[Attributes]:
    """The groups whose attributes rules ask for, each once. Raises GenwrightError for an attribute
    that nobody gives, and for bounds of one that is no number."""
    known = attributes_of(content)
    columns = columns_of(content)
    found: dict[str, Attributes] = {}
    for each in sets:
        for name in each.attributes:
            found[name] = known[name]
        for name in (*each.edits, *(rule.attribute for rule in each.rules)):
            if name not in columns:
                raise GenwrightError(
                    f"no attribute of {content} is called {name!r}", did_you_mean(name, columns)
                )
            group, _ = columns[name]
            found[group.name] = group
        for rule in each.rules:
            _check_bounds(rule, columns[rule.attribute][1])
    return list(found.values())


def _check_bounds(rule: Rule, column: Column) -> None:
    """Raises GenwrightError for bounds of what is no number."""
    is_bounded = rule.at_least is not None or rule.at_most is not None
    if is_bounded and column.kind != "number":
        has = _KINDS[column.kind]
        raise GenwrightError(
            f"a filter gives bounds to {column.name}, which has no numbers but {has}",
            "give bounds to an attribute that is a number",
        )


def prepare(folder: Path, groups: Iterable[Attributes]) -> None:
    """Computes what groups need that is computed once a corpus, where it is not there yet. folder:
    of the corpus. Raises GenwrightError."""
    for group in groups:
        place = folder / PREPARED / folder_of(group)
        if group.prepared is not None and not place.is_dir():
            publish(place, partial(_write_prepared, group))


def _write_prepared(group: Attributes, folder: Path) -> None:
    assert group.prepared is not None
    about = group.prepared.write(folder)
    (folder / ABOUT).write_text(json_text(list(about), indent=1), encoding="utf-8")


def about_prepared(folder: Path, group: Attributes) -> list[str]:
    """What there is to say about what a group needed; a sentence each. folder: of the corpus."""
    path = folder / PREPARED / folder_of(group) / ABOUT
    if not path.is_file():
        return []
    return [str(line) for line in json.loads(path.read_text(encoding="utf-8"))]


def _compute(folder: Path, group: Attributes) -> Compute:
    """What computes a group of attributes. folder: of the corpus. Raises GenwrightError where what
    was prepared is damaged."""
    if group.prepared is None:
        assert group.of is not None
        return group.of
    place = folder / PREPARED / folder_of(group)
    try:
        return group.prepared.read(place)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GenwrightError(
            f"{place} is damaged ({first_line(error)})", "delete that folder, and build again"
        ) from error


def columns_of(content: str) -> dict[str, tuple[Attributes, Column]]:
    """Name of an attribute -> its group and its column, of a kind of content."""
    found = {}
    for group in attributes_of(content).values():
        for column in group.columns:
            found[column.name] = (group, column)
    return found


def found_labels(content: str, sets: Iterable[RuleSet]) -> dict[str, str]:
    """Label of documents -> the attribute that says it too, of those that rules have computed."""
    found = {}
    for group in needed(content, sets):
        for column in group.columns:
            if column.label:
                found[column.label] = column.name
    return found


def values_file(shard: Shard, group: Attributes) -> Path:
    """The file of a group's values. Raises GenwrightError where they are not computed, as those of
    a filter that was added or changed since."""
    path = shard.attributes(folder_of(group))
    if not path.is_file():
        raise GenwrightError(
            f"the corpus has no values of {group.name} for all of its documents",
            f"run genwright data mix {shard.folder}",
        )
    return path


def values_of(shard: Shard, content: str, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Attribute -> (documents,) float64, or str objects of labels. Raises GenwrightError where they
    are not computed."""
    known = columns_of(content)
    wanted: dict[Path, list[Column]] = {}
    for name in dict.fromkeys(names):
        group, column = known[name]
        wanted.setdefault(values_file(shard, group), []).append(column)
    found: dict[str, np.ndarray] = {}
    for path, columns in wanted.items():
        table = read_table(path, [column.name for column in columns])
        for column in columns:
            if column.kind == "number":
                found[column.name] = table[column.name].to_numpy()
            else:
                found[column.name] = np.array(table[column.name].to_pylist(), dtype=object)
    return found


def write_attributes(
    folder: str, key: str, content: str, group: str, filters: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Computes a group of attributes of a shard, whole or not at all. filters: of the recipe: some
    bring attributes of their own, such as those of a list of words. Raises GenwrightError."""
    shard = Shard(Path(folder), key)
    open_kept(shard.folder)
    rule_sets(content, [Filter(**each) for each in filters])
    known = attributes_of(content)
    if group not in known:  # they are named by what filters read: a list, a folder, a run
        raise GenwrightError(
            f"what {group} is computed with changed meanwhile", "build the corpus again"
        )
    attributes = known[group]
    path = shard.attributes(folder_of(attributes))
    schema = pa.schema([(column.name, TYPES[column.kind]) for column in attributes.columns])
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = draft_beside(path)
        try:
            with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
                compute = _compute(shard.folder, attributes)
                for batch in batches_of(shard.documents, ["text", "data"]):
                    values = compute(_contents(batch))
                    writer.write_table(_table(attributes, values, len(batch), schema))
            flush(draft)
            draft.replace(path)
            flush(path.parent)
        finally:
            draft.unlink(missing_ok=True)


def _contents(batch: pa.RecordBatch) -> list[Any]:
    """What attributes are computed of: texts, or bytes where documents are no text."""
    texts: list[Any] = batch.column("text").to_pylist()
    data = batch.column("data")
    if not pc.sum(pc.binary_length(data)).as_py():
        return texts
    return [raw or text for text, raw in zip(texts, data.to_pylist(), strict=True)]


def _table(
    attributes: Attributes, values: Mapping[str, Any], documents: int, schema: pa.Schema
) -> pa.Table:
    """The values of one batch, as they are written. Raises RuntimeError for values of another
    number."""
    columns = []
    for column in attributes.columns:
        given = values[column.name]
        if len(given) != documents:
            raise RuntimeError(
                f"attribute {column.name} has {len(given)} values of {documents} documents"
            )
        if column.kind == "number":
            columns.append(pa.array(np.asarray(given, np.float64)))
        elif column.kind in ("label", "note"):
            columns.append(pa.array(list(given), pa.string()))
        else:
            columns.append(pa.array([[edit._asdict() for edit in each] for each in given], EDITS))
    return pa.Table.from_arrays(columns, schema=schema)


def _no_files(job: dict[str, Any]) -> list[str]:
    return [str(Shard(Path(job["folder"]), job["key"]).documents)]


COMPUTE = Work(write_attributes, "measuring", _no_files)
