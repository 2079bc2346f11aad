"""From sources to token shards, prepared once for the same content.

The files are found, each is read once (digest, encoding, places to cut), their parts are grouped
into units of some megabytes, the codec is trained, and unit after unit is tokenised on all cores
into shards. Every step is kept in a cache under a key of all that decides its content, so work that
was killed goes on where it stopped, and a changed corpus costs what changed (all of it where the
codec learns from the corpus and comes out different). No process holds more than some megabytes of
text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from genwright.contents.text.codec import TextCodec
from genwright.contents.text.settings import CorpusSettings
from genwright.contents.text.shards import COUNT, ENTRY, SURVEY, WRITE, divide, survey
from genwright.core.errors import GenwrightError
from genwright.core.files import cache_folder, json_text, stamp_of, write_whole
from genwright.core.registry import settings_of
from genwright.data.cache import FORMAT, SPLITS, digest_of, facts_of, grouped, publish, writing
from genwright.data.own_output import mark_cache
from genwright.data.parts import unheeded
from genwright.data.readers import SCAN, Part, kind_of, splits
from genwright.data.scans import scanned
from genwright.data.source_files import SourceFile, own_output
from genwright.data.split import HeldOut, keys_of
from genwright.data.workers import parallel

UNIT = 8 << 20  # bytes of a unit, about
SMALL = 3 << 20  # bytes below which starting workers costs more than they save
GROUP = 1000  # files that one job scans, about, where they are small


class Preparation:
    """The steps that make shards of a corpus. After `run`: `cache`, the number of `files` that were read,
    what was `skipped`."""

    def __init__(self, settings: CorpusSettings):
        self.settings = settings
        self.cache = cache_folder(settings.cache)
        self.skip = settings.on_bad_file == "skip"
        self.skipped: list[str] = []
        self.held: HeldOut | None = None
        self.copies = {"copies": 0, "copies across the split": 0}
        self.remarks: list[str] = []

    def run(self, codec_settings: Any) -> tuple[TextCodec, dict[str, dict]]:
        """(codec, {key of a shard: its facts}), the shards in order."""
        files = self.find()
        if self.settings.source == "files" and self.settings.split == "documents":
            self.remarks = unheeded(file.name for file in files)
        parts = self.parts(files)
        units = self.units(parts)
        self.files = len({part.path for part in parts})
        single = self.files == 1 and kind_of(parts[0].path) == "text"
        self.split(units, parts, single)
        codec, folder = self.codec(codec_settings, units)
        end = None if single and self.settings.split == "tail" else codec.space.special["end"]
        shards = self.write(units, codec, folder, end)
        self.check(shards)
        self.copies = self.count_copies(shards)
        return codec, shards

    def find(self) -> list[SourceFile]:
        mark_cache(self.cache)
        self.skipped += map(str, own_output(self.settings.paths))
        kind, _, name = self.settings.source.partition(":")
        files = settings_of("source", kind, "data.source")(self.settings.paths, name, self.cache)
        return sorted(files, key=lambda file: (file.name, file.path))

    def workers(self, size: float) -> int:
        return 1 if size < SMALL else self.settings.workers or os.cpu_count() or 1

    def keep(self, path: Path, content: Any) -> None:
        with writing(self.cache):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json_text(content))

    def parts(self, files: list[SourceFile]) -> list[Part]:
        """The parts of each file. A file is scanned where it may have changed since it was scanned
        before."""
        stamps = {file.path: stamp_of(file.path) for file in files}
        roots = self.settings.roots
        found = scanned(
            stamps, self._scan, self.cache, "text", roots, lambda facts: not facts["bad"]
        )
        return [
            part
            for file in files
            for part in self._parts_of(file, found[file.path], stamps[file.path])
        ]

    def _scan(self, paths: list[str]) -> list[dict]:
        """What `readers.scan` finds in each file."""
        sizes = {path: os.path.getsize(path) if os.path.exists(path) else 0 for path in paths}
        groups = grouped(paths, lambda path: max(sizes[path], UNIT / GROUP), str, UNIT)
        jobs = [{"paths": group} for group in groups]
        found: dict[str, dict] = {}
        for i, results in parallel(SCAN, jobs, self.workers(sum(sizes.values()))):
            found |= dict(zip(groups[i], results, strict=True))
        return [found[path] for path in paths]

    def _parts_of(self, file: SourceFile, facts: dict, stamp: list[int]) -> Iterator[Part]:
        if facts["bad"]:
            if not self.skip:
                raise GenwrightError(
                    f"{file.path} {facts['bad']}",
                    "mend or leave out the file, or set data.on_bad_file=skip",
                )
            self.skipped.append(f"{file.name} {facts['bad']}")
            return
        last = len(facts["parts"]) - 1
        for i, (start, end, row) in enumerate(facts["parts"]):
            yield Part(
                file.path,
                file.name,
                facts["sha"],
                start,
                end,
                row,
                i == last,
                stamp,
                facts["text"],
                facts["size"],
            )

    def units(self, parts: list[Part]) -> list[dict]:
        """Parts in groups of about UNIT bytes."""
        if not parts:
            raise self.empty()

        def length(part):
            return part.end - part.start if splits(part.path) else os.path.getsize(part.path)

        common = {"field": self.settings.field, "skip": self.skip}
        return [
            common | {"parts": group}
            for group in grouped(parts, length, lambda part: f"{part.name} {part.start}", UNIT)
        ]

    def empty(self) -> GenwrightError:
        place = self.settings.path if self.settings.source == "files" else self.settings.source
        skipped = f" ({len(self.skipped)} files or rows were skipped)" if self.skipped else ""
        return GenwrightError(
            f"the corpus is empty: there is no text in {place}{skipped}",
            "give a path that holds text",
        )

    def split(self, units: list[dict], parts: list[Part], single: bool) -> None:
        """Decides what is held out: sets each unit's `held` or `cut`."""
        if self.settings.split == "documents":
            if single and self.settings.held_out:
                raise self.one_document()
            self._hold_out(units)
        else:
            self._cut(units)

    def _hold_out(self, units: list[dict]) -> None:
        """Whole documents, equal ones together, until their bytes are the wanted share."""
        if not self.settings.held_out:
            for unit in units:
                unit["held"] = []
            return
        tables = self._surveyed(units)
        entries = np.concatenate(tables)
        if np.count_nonzero(entries["size"]) == 1:
            raise self.one_document()
        names = np.concatenate(
            [_names(unit, table) for unit, table in zip(units, tables, strict=True)]
        )
        columns = [entries["key"], names]
        self.held = self.settings.hold_out(
            columns, entries["size"], "document", self.settings.field
        )
        bounds = np.cumsum([0, *map(len, tables)]).tolist()
        for unit, start, stop in zip(units, bounds, bounds[1:], strict=False):
            unit["held"] = np.flatnonzero(self.held.mask[start:stop]).tolist()

    def _surveyed(self, units: list[dict]) -> list[np.ndarray]:
        """The entries of each unit (see `shards.survey`); rows are read for it, once."""
        places = {}
        for i, unit in enumerate(units):
            if any(kind_of(part.path) != "text" for part in unit["parts"]):
                places[i] = (
                    self.cache
                    / "surveys"
                    / f"{digest_of(FORMAT, ENTRY.descr, self.settings.field, self.skip, _identity(unit))}.npy"
                )
        todo = [i for i, place in places.items() if not place.is_file()]
        if todo:
            with writing(self.cache):
                (self.cache / "surveys").mkdir(parents=True, exist_ok=True)
        jobs = [{"unit": units[i], "table": str(places[i])} for i in todo]
        for _ in parallel(SURVEY, jobs, self.workers(UNIT * len(jobs))):
            pass
        return [
            np.load(places[i], allow_pickle=False) if i in places else survey(unit)
            for i, unit in enumerate(units)
        ]

    def _cut(self, units: list[dict]) -> None:
        """The last share of all characters."""
        kept = (
            self.cache
            / "counts"
            / f"{digest_of(FORMAT, self.settings.field, self.skip, [_identity(unit) for unit in units])}.json"
        )
        if not kept.is_file():
            counted = dict(
                parallel(
                    COUNT,
                    [{"unit": unit} for unit in units],
                    self.workers(UNIT * len(units)),
                )
            )
            self.keep(kept, [counted[i] for i in range(len(units))])
        counts = json.loads(kept.read_text(encoding="utf-8"))
        left = int(sum(counts) * (1 - self.settings.held_out))
        for unit, count in zip(units, counts, strict=True):
            unit["cut"] = min(max(left, 0), count)
            left -= count

    def count_copies(self, shards: dict[str, dict]) -> dict[str, int]:
        """How many documents equal an earlier one, and how many of those held out equal one that is
        trained on."""
        digests = []
        sides = []
        for key in shards:
            table = np.load(self.cache / "shards" / key / "documents.npy", allow_pickle=False)
            table = table[table["continued"] == 0]
            # of a document that was cut, its beginning
            table = table[np.unique(table[["source", "row"]], return_index=True)[1]]
            digests.append(np.frombuffer(table["digest"].tobytes(), "<u8")[::2])
            sides.append(table["split"])
        digest = np.concatenate(digests)
        held = np.concatenate(sides) == 1
        across = np.isin(digest[held], digest[~held]).sum()
        return {
            "copies": len(digest) - len(np.unique(digest)),
            "copies across the split": int(across),
        }

    def one_document(self) -> GenwrightError:
        """A single document of which nothing, or all, is held out."""
        remedy = "set data.split=tail, which holds out its last part, or data.held_out=0"
        if self.settings.split == "tail":
            remedy = f"give more text, or another data.held_out than {self.settings.held_out:g} (0: nothing is held out)"
        return GenwrightError(
            "the corpus is a single document, which cannot be held out and trained on", remedy
        )

    def codec(self, codec_settings: Any, units: list[dict]) -> tuple[TextCodec, Path]:
        """The codec, trained unless it was before, and its folder."""
        learns_from = codec_settings.learns_from
        codec = codec_settings.train(iter(())) if learns_from == "nothing" else None
        key = (
            codec.digest
            if codec
            else digest_of(
                FORMAT,
                tokenizers.__version__,
                codec_settings.model_dump(),
                list(map(_content, units)),
            )
        )
        folder = self.cache / "codecs" / key
        if not folder.is_dir():
            codec = codec or codec_settings.train(
                self._texts(units, only_train=learns_from == "train")
            )
            publish(folder, codec.save)
        return TextCodec.load(folder), folder

    def _texts(self, units: list[dict], only_train: bool) -> Iterator[str]:
        """Text from all over the corpus: a codec that stops early has seen no alphabet's beginning
        only."""
        for unit in sorted(units, key=lambda unit: digest_of(_identity(unit))):
            for split, _, piece in divide(unit, []):
                if split == 0 or not only_train:
                    yield piece.text

    def write(
        self, units: list[dict], codec: TextCodec, folder: Path, end: int | None
    ) -> dict[str, dict]:
        """Tokenises what is not in the cache yet. Returns {key: facts} in the order of the
        units."""
        folders = [
            self.cache / "shards" / digest_of(FORMAT, _content(unit), codec.digest, end)
            for unit in units
        ]
        todo = [(unit, str(to)) for unit, to in zip(units, folders, strict=True) if not to.is_dir()]
        jobs = [
            {"unit": unit, "tokenizer": str(folder / "tokenizer.json"), "end": end, "folder": to}
            for unit, to in todo
        ]
        for _ in parallel(WRITE, jobs, self.workers(UNIT * len(jobs))):
            pass
        return {to.name: facts_of(to) for to in folders}

    def check(self, shards: dict[str, dict]) -> None:
        """Raises GenwrightError for a corpus that gives nothing to train on or to hold out."""
        documents, tokens = (
            [sum(its[s][name] for its in shards.values()) for s in SPLITS]
            for name in ("documents", "tokens")
        )
        if not sum(tokens):
            self.skipped += [row for facts in shards.values() for row in facts["skipped"]]
            raise self.empty()
        if all(tokens) or (tokens[0] and not self.settings.held_out):
            return
        if sum(documents) == 1:
            raise self.one_document()
        side = "trained on" if not tokens[0] else "held out"
        what = f"none of the {sum(documents)} documents is {side} with data.held_out = {self.settings.held_out}"
        remedy = "change data.held_out" + (
            "" if self.settings.split == "tail" else ", or set data.split=tail"
        )
        raise GenwrightError(what, remedy)


def _identity(unit: dict) -> list:
    """What decides a unit's text: not where its files are, nor when they were written."""
    return [
        [kind_of(part.path), part.name, part.digest, part.start, part.end, part.row, part.last]
        for part in unit["parts"]
    ]


def _content(unit: dict) -> list:
    """All that decides a unit's documents and their sides."""
    return [_identity(unit), unit.get("held"), unit.get("cut"), unit["field"], unit["skip"]]


def _names(unit: dict, table: np.ndarray) -> np.ndarray:
    """(entries,) uint64: a key of the file for each entry that is a part of a whole one, so that it
    stays on its side when its text is changed; of a row, its own key."""
    names = table["key"].copy()
    whole = np.flatnonzero(table["part"])
    files = [unit["parts"][part - 1].path for part in table["part"][whole].tolist()]
    names[whole] = keys_of(f"file {os.path.realpath(path)}" for path in files)
    return names
