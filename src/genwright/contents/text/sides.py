"""Which documents of a corpus are held out, or where it is cut: decided once for the whole, before
anything is tokenised; and how many documents stand on both sides."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from genwright.contents.text.settings import CorpusSettings
from genwright.contents.text.units import COUNT, ENTRY, SURVEY, Unit, survey
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, write_whole
from genwright.data.cache import FORMAT, digest_of, writing
from genwright.data.readers import kind_of
from genwright.data.split import HeldOut, keys_of
from genwright.data.workers import Work

# does jobs of about a unit each: index of a job -> its result
DoJobs = Callable[[Work, Sequence[dict[str, Any]]], dict[int, Any]]


def one_document(settings: CorpusSettings) -> GenwrightError:
    """A single document of which nothing, or all, is held out."""
    if settings.split == "tail":
        remedy = (
            f"give more text, or another data.held_out than {settings.held_out:g}"
            " (0: nothing is held out)"
        )
    else:
        remedy = "set data.split=tail, which holds out its last part, or data.held_out=0"
    return GenwrightError(
        "the corpus is a single document, which cannot be held out and trained on", remedy
    )


def hold_out_documents(
    units: Sequence[Unit], settings: CorpusSettings, cache: Path, do_jobs: DoJobs
) -> HeldOut | None:
    """Holds out whole documents, equal ones together, until their bytes are the wanted share: sets
    each unit's `held`. None where nothing is wanted. Raises GenwrightError for a single
    document."""
    if not settings.held_out:
        for unit in units:
            unit.held = []
        return None
    tables = _surveyed(units, cache, do_jobs)
    entries = np.concatenate(tables)
    if np.count_nonzero(entries["size"]) == 1:
        raise one_document(settings)
    names = [_names(unit, table) for unit, table in zip(units, tables, strict=True)]
    columns = [entries["key"], np.concatenate(names)]
    held = settings.hold_out(columns, entries["size"], "document", settings.field)
    bounds = pairwise(accumulate(map(len, tables), initial=0))
    for unit, (start, stop) in zip(units, bounds, strict=True):
        unit.held = np.flatnonzero(held.mask[start:stop]).tolist()
    return held


def _surveyed(units: Sequence[Unit], cache: Path, do_jobs: DoJobs) -> list[np.ndarray]:
    """The entries of each unit (see `units.survey`). Rows are read for it, once: their tables are
    kept in the cache."""
    kept: dict[int, Path] = {}
    for number, unit in enumerate(units):
        if any(kind_of(part.path) != "text" for part in unit.parts):
            key = digest_of(FORMAT, ENTRY.descr, unit.field, unit.skip, unit.identity)
            kept[number] = cache / "surveys" / f"{key}.npy"
    missing = [number for number, path in kept.items() if not path.is_file()]
    if missing:
        with writing(cache):
            (cache / "surveys").mkdir(parents=True, exist_ok=True)
        do_jobs(SURVEY, [{"unit": units[n], "table": str(kept[n])} for n in missing])
    tables = []
    for number, unit in enumerate(units):
        if number in kept:
            tables.append(np.load(kept[number], allow_pickle=False))
        else:
            tables.append(survey(unit))
    return tables


def _names(unit: Unit, table: np.ndarray) -> np.ndarray:
    """(entries,) uint64: a key of the file for each entry that is a part of a whole one, so that it
    stays on its side when its text is changed; of a row, its own key."""
    names = table["key"].copy()
    whole = np.flatnonzero(table["part"])
    files = [unit.parts[part - 1].path for part in table["part"][whole].tolist()]
    names[whole] = keys_of(f"file {os.path.realpath(path)}" for path in files)
    return names


def cut_tail(units: Sequence[Unit], settings: CorpusSettings, cache: Path, do_jobs: DoJobs) -> None:
    """Holds out the last share of all characters: sets each unit's `cut`."""
    identities = [unit.identity for unit in units]
    key = digest_of(FORMAT, settings.field, settings.on_bad_file == "skip", identities)
    kept = cache / "counts" / f"{key}.json"
    if not kept.is_file():
        counted = do_jobs(COUNT, [{"unit": unit} for unit in units])
        with writing(cache):
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, json_text([counted[number] for number in range(len(units))]))
    counts = json.loads(kept.read_text(encoding="utf-8"))
    left = int(sum(counts) * (1 - settings.held_out))
    for unit, count in zip(units, counts, strict=True):
        unit.cut = min(max(left, 0), count)
        left -= count


def count_copies(folder: Path, shards: Mapping[str, dict[str, Any]]) -> dict[str, int]:
    """How many documents equal an earlier one, and how many of those held out equal one that is
    trained on. folder: of the shards; shards: by key."""
    digests = []
    sides = []
    for key in shards:
        table = np.load(folder / key / "documents.npy", allow_pickle=False)
        table = table[table["continued"] == 0]
        # of a document that was cut, its beginning
        first = np.unique(table[["source", "row"]], return_index=True)[1]
        table = table[first]
        halves = np.frombuffer(table["digest"].tobytes(), "<u8")  # two of each digest
        digests.append(halves[::2])
        sides.append(table["split"])
    digest = np.concatenate(digests)
    held = np.concatenate(sides) == 1
    across = np.isin(digest[held], digest[~held])
    return {
        "copies": len(digest) - len(np.unique(digest)),
        "copies across the split": int(across.sum()),
    }
