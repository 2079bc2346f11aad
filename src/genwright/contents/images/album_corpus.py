"""The pictures of a corpus: its mix has decided which are trained on, which are held out, and how
often each is taken.

    <cache>/pictures/<key>/    as of files (`album`); the key is of the shard of documents and of
                               the rows that are taken: another weight decodes nothing again
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from genwright.contents.images import selected_pictures
from genwright.contents.images.album import Album, Reading, Shards, check_bad, remarks_of
from genwright.contents.images.attribute_table import Known
from genwright.contents.images.picture_folders import places_of
from genwright.contents.images.source_pictures import Item
from genwright.core.contracts import DIGEST_DIGITS, Source
from genwright.core.errors import GenwrightError
from genwright.data.cache import SPLITS, facts_of
from genwright.data.selection import nothing_on, rows_and_times, selections, side_of
from genwright.data.workers import parallel


def of_corpus(reading: Reading, corpus: str) -> Album:
    """The pictures that the mix of a corpus takes. Raises GenwrightError for a side without one,
    unless nothing is to be held out."""
    chosen = selections(corpus)
    times_by_row = [dict(zip(*rows_and_times(path), strict=True)) for path in chosen]
    folders = _decode(reading, chosen, times_by_row)
    facts = [facts_of(folder) for folder in folders]
    bad = [sentence for each in facts for sentence in each["bad"]]
    check_bad(bad, sum(map(len, times_by_row)), reading.skips)
    items: list[Item] = []
    sources: list[Source] = []
    held: list[bool] = []
    times: list[int] = []
    files: list[str] = []
    for path, own_times, own in zip(chosen, times_by_row, facts, strict=True):
        file = f"{path.parent.name}/{path.name}"
        side = side_of(str(path))
        for name, row, content in zip(own["names"], own["rows"], own["contents"], strict=True):
            full = f"{path.parent.name}/{name}"
            items.append(Item(full, full))
            sources.append(Source(full, file, content[:DIGEST_DIGITS]))
            held.append(side == SPLITS.index("held_out"))
            times.append(own_times[row])
        files += own["files"]
    is_held = np.array(held)
    if not (~is_held).any():
        raise nothing_on("is trained on")
    if reading.settings.held_out and not is_held.any():
        raise nothing_on("is held out")
    labels, notes = _labels(files)
    items = [item._replace(known=known) for item, known in zip(items, labels, strict=True)]
    filled = [folder for folder, own in zip(folders, facts, strict=True) if own["names"]]
    shards = Shards(filled)
    return Album(
        shards,
        items,
        skipped=bad,
        held=is_held,
        classes=frozenset({"class"}),
        notes=notes + remarks_of(facts),
        digests=shards.digests,
        times=np.array(times),
        sources=sources,
    )


def _decode(reading: Reading, chosen: list[Path], times_by_row: list[dict[int, int]]) -> list[Path]:
    """Decodes what is not in the cache yet; a shard for each selection."""
    shape = reading.codec.shape()
    folders = []
    jobs: list[dict[str, Any]] = []
    for path, rows in zip(chosen, times_by_row, strict=True):
        folder = reading.folder(shape, ["corpus", path.stem, sorted(rows)])
        folders.append(folder)
        if not folder.is_dir():
            jobs.append({"folder": str(folder), "selection": str(path), "codec": shape})
    workers = reading.settings.workers or os.cpu_count() or 1
    for _ in parallel(selected_pictures.DECODE, jobs, workers):
        pass
    return folders


def _labels(files: list[str]) -> tuple[list[Known], list[str]]:
    """What the folders say of pictures: a class; and what a person may not expect. Parts of a data
    set (train, test) say nothing here: the corpus has decided."""
    try:
        places = places_of(files, "the corpus")
    except GenwrightError as problem:
        return [{} for _ in files], [f"folders are not taken for classes: {problem.what}"]
    known: list[Known] = []
    for place in places:
        known.append({"class": (place.label,)} if place.label else {})
    return known, []
