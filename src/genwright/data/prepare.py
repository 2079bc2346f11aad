"""From sources to token shards, prepared once for the same content.

The files are found, each is read once (digest, encoding, places to cut), their parts are grouped into units of some megabytes, the
codec is trained, and unit after unit is tokenised on all cores into shards. Every step is kept in a cache under a key of all that
decides its content, so work that was killed goes on where it stopped, and a changed corpus costs what changed (all of it where the
codec learns from the corpus and comes out different). No process holds more than some megabytes of text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers

from genwright.codecs.text import TextCodec
from genwright.data.readers import Part, kind_of, splits
from genwright.data.shards import FORMAT, SPLITS, digest_of, divide, facts_of, grouped, publish, share, within, writing
from genwright.data.source_files import SourceFile
from genwright.data.workers import parallel
from genwright.errors import GenwrightError
from genwright.files import cache_folder, json_text, write_whole
from genwright.registry import settings_of

if TYPE_CHECKING:
    from genwright.data.text import TextData

UNIT = 8 << 20  # bytes of a unit, about
SMALL = 3 << 20  # bytes below which starting workers costs more than they save
GROUP = 1000  # files that one job scans, about, where they are small


class Preparation:
    """The steps of `TextData.prepare`. After `run`: `cache`, the number of `files` that were read, what was `skipped`."""

    def __init__(self, settings: TextData):
        self.settings, self.cache, self.skip = settings, cache_folder(settings.cache), settings.on_bad_file == "skip"
        self.skipped: list[str] = []

    def run(self, codec_settings: Any) -> tuple[TextCodec, dict[str, dict]]:
        """(codec, {key of a shard: its facts}), the shards in order."""
        parts = self.parts(self.find())
        units = self.units(parts)
        self.files = len({part.path for part in parts})
        single = self.files == 1 and kind_of(parts[0].path) == "text"
        self.split(units, parts, single)
        codec, folder = self.codec(codec_settings, units)
        end = None if single and self.settings.split == "tail" else codec.space.special["end"]
        shards = self.write(units, codec, folder, end)
        self.check(shards)
        return codec, shards

    def find(self) -> list[SourceFile]:
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
        """The parts of each file. A file is scanned unless its size and time of change are those of an earlier scan."""
        kept = self.cache / "scans" / f"{digest_of(FORMAT, [os.path.abspath(file.path) for file in files])}.json"
        known = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        stamps = {file.path: [(status := os.stat(file.path)).st_size, status.st_mtime_ns] for file in files}
        found = {path: facts for path, facts in known.items() if facts["stamp"] == stamps.get(path) and not facts["bad"]}
        if todo := [path for path in stamps if path not in found]:
            size = lambda path: max(stamps[path][0], UNIT / GROUP)  # noqa: E731
            jobs = [{"paths": paths} for paths in grouped(todo, size, str, UNIT)]
            for i, results in parallel("scan", jobs, self.workers(sum(stamps[path][0] for path in todo))):
                found |= {path: facts | {"stamp": stamps[path]} for path, facts in zip(jobs[i]["paths"], results, strict=True)}
            self.keep(kept, found)
        return [part for file in files for part in self._parts_of(file, found[file.path])]

    def _parts_of(self, file: SourceFile, facts: dict) -> Iterator[Part]:
        if facts["bad"]:
            if not self.skip:
                raise GenwrightError(f"{file.path} {facts['bad']}", "mend or leave out the file, or set data.on_bad_file=skip")
            self.skipped.append(f"{file.name} {facts['bad']}")
            return
        last = len(facts["parts"]) - 1
        for i, (start, end, row) in enumerate(facts["parts"]):
            yield Part(file.path, file.name, facts["sha"], start, end, row, i == last, facts["stamp"][1])

    def units(self, parts: list[Part]) -> list[dict]:
        """Parts in groups of about UNIT bytes."""
        if not parts:
            raise self.empty()
        length = lambda part: part.end - part.start if splits(part.path) else os.path.getsize(part.path)  # noqa: E731
        common = {"field": self.settings.field, "skip": self.skip}
        return [common | {"parts": group} for group in grouped(parts, length, lambda part: f"{part.name} {part.start}", UNIT)]

    def empty(self) -> GenwrightError:
        place = self.settings.path if self.settings.source == "files" else self.settings.source
        skipped = f" ({len(self.skipped)} files or rows were skipped)" if self.skipped else ""
        return GenwrightError(f"the corpus is empty: there is no text in {place}{skipped}", "give a path that holds text")

    def split(self, units: list[dict], parts: list[Part], single: bool) -> None:
        """Decides what is held out: sets each unit's `threshold` or `cut`."""
        held_out = self.settings.held_out
        if self.settings.split == "documents":
            if single and held_out:
                raise self.one_document()
            if held_out and all(kind_of(part.path) == "text" for part in parts):
                held_out = within(held_out, {share(part.name) for part in parts})
            for unit in units:
                unit["threshold"] = held_out
            return
        kept = self.cache / "counts" / f"{digest_of(FORMAT, self.settings.field, self.skip, [_identity(unit) for unit in units])}.json"
        if not kept.is_file():
            counted = dict(parallel("count", [{"unit": unit | {"cut": 0}} for unit in units], self.workers(UNIT * len(units))))
            self.keep(kept, [counted[i] for i in range(len(units))])
        counts = json.loads(kept.read_text(encoding="utf-8"))
        left = int(sum(counts) * (1 - held_out))
        for unit, count in zip(units, counts, strict=True):
            unit["cut"] = min(max(left, 0), count)
            left -= count

    @staticmethod
    def one_document() -> GenwrightError:
        remedy = "set data.split=tail, which holds out its last part, or data.held_out=0"
        return GenwrightError("the corpus is a single document, which cannot be held out and trained on", remedy)

    def codec(self, codec_settings: Any, units: list[dict]) -> tuple[TextCodec, Path]:
        """The codec, trained unless it was before, and its folder."""
        learns_from = codec_settings.learns_from
        codec = codec_settings.train(iter(())) if learns_from == "nothing" else None
        key = codec.digest if codec else digest_of(FORMAT, tokenizers.__version__, codec_settings.model_dump(), list(map(_content, units)))
        folder = self.cache / "codecs" / key
        if not folder.is_dir():
            codec = codec or codec_settings.train(self._texts(units, only_train=learns_from == "train"))
            publish(folder, codec.save)
        return TextCodec.load(folder), folder

    def _texts(self, units: list[dict], only_train: bool) -> Iterator[str]:
        """Text from all over the corpus: a codec that stops early has seen no alphabet's beginning only."""
        for unit in sorted(units, key=lambda unit: digest_of(_identity(unit))):
            for split, _, piece in divide(unit, []):
                if split == 0 or not only_train:
                    yield piece.text

    def write(self, units: list[dict], codec: TextCodec, folder: Path, end: int | None) -> dict[str, dict]:
        """Tokenises what is not in the cache yet. Returns {key: facts} in the order of the units."""
        folders = [self.cache / "shards" / digest_of(FORMAT, _content(unit), codec.digest, end) for unit in units]
        todo = [(unit, str(to)) for unit, to in zip(units, folders, strict=True) if not to.is_dir()]
        jobs = [{"unit": unit, "tokenizer": str(folder / "tokenizer.json"), "end": end, "folder": to} for unit, to in todo]
        for _ in parallel("write", jobs, self.workers(UNIT * len(jobs))):
            pass
        return {to.name: facts_of(to) for to in folders}

    def check(self, shards: dict[str, dict]) -> None:
        """Raises GenwrightError for a corpus that gives nothing to train on or to hold out."""
        documents, tokens = ([sum(its[s][name] for its in shards.values()) for s in SPLITS] for name in ("documents", "tokens"))
        if not sum(tokens):
            self.skipped += [row for facts in shards.values() for row in facts["skipped"]]
            raise self.empty()
        if all(tokens) or (tokens[0] and not self.settings.held_out):
            return
        if sum(documents) == 1:
            raise self.one_document()
        side = "trained on" if not tokens[0] else "held out"
        what = f"none of the {sum(documents)} documents is {side} with data.held_out = {self.settings.held_out}"
        raise GenwrightError(what, "change data.held_out, or set data.split=tail")


def _identity(unit: dict) -> list:
    """What decides a unit's text: not where its files are, nor when they were written."""
    return [[kind_of(part.path), part.name, part.digest, part.start, part.end, part.row, part.last] for part in unit["parts"]]


def _content(unit: dict) -> list:
    """All that decides a unit's documents and their sides."""
    return [_identity(unit), unit.get("threshold"), unit.get("cut"), unit["field"], unit["skip"]]
