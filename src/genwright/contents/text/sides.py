"""Which documents of a corpus are held out, or where it is cut: decided once for the whole, before
anything is tokenised."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genwright.contents.text.settings import CorpusSettings
from genwright.contents.text.units import COUNT, ENTRY, SURVEY, Unit, survey
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, write_whole
from genwright.data.cache import FORMAT, digest_of, writing
from genwright.data.npy import NpyWriter, blocks_of, mapped
from genwright.data.readers import kind_of
from genwright.data.split import keys_of
from genwright.data.split_blocks import HeldKeys, Sides, held_keys
from genwright.data.split_clusters import Block
from genwright.data.workers import Work

AT_ONCE = 1 << 15  # entries that are looked at together
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
    units: Sequence[Unit], settings: CorpusSettings, cache: Path, do_jobs: DoJobs, scratch: Path
) -> HeldKeys | None:
    """Holds out whole documents, equal ones together, until their bytes are the wanted share: sets
    each unit's `held`, to files in the folder `scratch`. None where nothing is wanted. Raises
    GenwrightError for a single document."""
    if not settings.held_out:
        for unit in units:
            unit.held = []
        return None
    survey = Survey(units, cache, do_jobs)
    if survey.is_single():
        raise one_document(settings)
    with writing(scratch):
        sides = settings.hold_out_blocks(survey.blocks, "document", scratch, settings.field)
        for number, unit in enumerate(units):
            unit.held = scratch / f"held-{number}.npy"
            _write_numbers(unit.held, survey.of_unit(number), sides)
        return held_keys(survey.blocks, sides, settings.held_out, scratch)


def _write_numbers(path: Path, blocks: Iterable[Block], sides: Sides) -> None:
    """The numbers of a unit's entries that are held out, rising, into a .npy file."""
    with open(path, "wb") as file:
        writer = NpyWriter(file, np.int64)
        first = 0
        for block in blocks:
            writer.add(first + np.flatnonzero(sides.of(block)))
            first += len(block.keys)
        writer.close()


class Survey:
    """The entries of all units (see `units.survey`), a block at a time. Rows are read for it, once:
    their tables are kept in the cache."""

    def __init__(self, units: Sequence[Unit], cache: Path, do_jobs: DoJobs):
        self.units = units
        self.kept: dict[int, Path] = {}  # of units that hold rows
        for number, unit in enumerate(units):
            if any(kind_of(part.path) != "text" for part in unit.parts):
                key = digest_of(FORMAT, ENTRY.descr, unit.field, unit.passed_over, unit.identity)
                self.kept[number] = cache / "surveys" / f"{key}.npy"
        missing = [number for number, path in self.kept.items() if not path.is_file()]
        if missing:
            with writing(cache):
                (cache / "surveys").mkdir(parents=True, exist_ok=True)
            do_jobs(SURVEY, [{"unit": units[n], "table": str(self.kept[n])} for n in missing])

    def of_unit(self, number: int) -> Iterator[Block]:
        """The entries of one unit."""
        unit = self.units[number]
        tables: Iterable[np.ndarray] = survey(unit)
        if number in self.kept:
            tables = blocks_of(mapped(self.kept[number]), AT_ONCE)
        for table in tables:
            yield Block(table["key"], _names(unit, table), table["size"].astype(np.int64))

    def blocks(self) -> Iterator[Block]:
        """The entries of all units, in order."""
        for number in range(len(self.units)):
            yield from self.of_unit(number)

    def is_single(self) -> bool:
        """Whether one document alone holds text."""
        count = 0
        for block in self.blocks():
            count += int(np.count_nonzero(block.sizes))
            if count > 1:
                break
        return count == 1


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
