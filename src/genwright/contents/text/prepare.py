"""From sources to token shards, prepared once for the same content.

1. The files are found, and each is read once (digest, encoding, places to cut).
2. Their parts are grouped into units of some megabytes, and what is held out is decided.
3. The codec is trained.
4. Unit after unit is tokenised on all cores into shards.

Every step is kept in a cache under a key of all that decides its content, so work that was killed
goes on where it stopped, and a changed corpus costs what changed (all of it where the codec learns
from the corpus and comes out different). No process holds more than some megabytes of text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from genwright.contents.text.codec import TextCodec
from genwright.contents.text.copies import copies_of
from genwright.contents.text.counterfactual import VERSION as SWAPS_VERSION
from genwright.contents.text.counterfactual import read_swaps
from genwright.contents.text.settings import CorpusSettings
from genwright.contents.text.shards import WRITE
from genwright.contents.text.sides import cut_tail, hold_out_documents, one_document
from genwright.contents.text.twins import FORMAT as TWINS_FORMAT
from genwright.contents.text.twins import WRITE_TWINS, write_held
from genwright.contents.text.units import Unit, divide
from genwright.core.errors import GenwrightError
from genwright.core.files import cache_folder, stamp_of
from genwright.core.registry import settings_of
from genwright.data.cache import (
    FORMAT,
    SPLITS,
    digest_of,
    digest_of_pieces,
    facts_of,
    grouped,
    json_list,
    json_of,
    publish,
    scratch,
)
from genwright.data.content import content_digests
from genwright.data.file_parts import SCAN, splits
from genwright.data.own_output import mark_cache
from genwright.data.parts import unheeded
from genwright.data.readers import Part, kind_of
from genwright.data.scans import scanned
from genwright.data.selection import corpus_of, nothing_on, side_of
from genwright.data.source_files import SourceFile, own_output
from genwright.data.split_blocks import HeldKeys
from genwright.data.workers import Work, parallel

UNIT = 8 << 20  # bytes of a unit, about
SMALL = 3 << 20  # bytes below which starting workers costs more than they save
GROUP = 1000  # files that one job scans, about, where they are small

Shards = dict[str, dict[str, Any]]  # key -> facts, in order


class Preparation:
    """The steps that make shards of a corpus.

    After `run`: `cache`, the number of `files` that were read, what was `skipped`, what is `held`
    out, `copies` (see `copies`), `content` (see `data.content`), `remarks` for a person, and those
    about `twins`."""

    def __init__(self, settings: CorpusSettings):
        self.settings = settings
        self.cache = cache_folder(settings.cache)
        self.skip = settings.on_bad_file == "skip"
        self.files = 0
        self.of_corpus = False  # which has decided what is held out
        self.skipped: list[str] = []
        self.held: HeldKeys | None = None
        self.copies: dict[str, int] = {}
        self.content: dict[str, str] = {}
        self.remarks: list[str] = []
        self.twins: list[str] = []

    def run(self, codec_settings: Any) -> tuple[TextCodec, Shards]:
        """The codec, and the shards in order. Raises GenwrightError for what cannot be used."""
        with scratch(self.cache) as folder:
            return self._run(codec_settings, folder)

    def _run(self, codec_settings: Any, scratch: Path) -> tuple[TextCodec, Shards]:
        """scratch: a folder for what need not stay."""
        files = self._find()
        parts = self._parts(files)
        if self.settings.source == "files" and self.settings.split == "documents":
            self.remarks = unheeded(file.name for file in files if side_of(file.path) is None)
        units = self._units(parts)
        self.files = len({part.path for part in parts})
        single = self.files == 1 and kind_of(parts[0].path) == "text"
        self.of_corpus = all(side_of(part.path) is not None for part in parts)
        if self.of_corpus:
            self._heed_corpus(units)
        elif self.settings.split == "tail":
            cut_tail(units, self.settings, self.cache, self._do_jobs)
        elif single and self.settings.held_out:
            raise one_document(self.settings)
        else:
            self.held = hold_out_documents(units, self.settings, self.cache, self._do_jobs, scratch)
        codec, folder = self._codec(codec_settings, units)
        end: int | None = codec.space.special["end"]
        if single and self.settings.split == "tail":
            end = None
        shards = self._write(units, codec, folder, end)
        self._check(shards)
        counted = copies_of(self.cache, shards, scratch)
        self.copies = counted.copies
        sizes = {split: _total(shards, split, "bytes") for split in SPLITS}
        self.content = content_digests(counted.sums, sizes)
        if self.settings.swap:
            shards |= self._write_twins(units, codec, folder, end, shards, scratch)
        return codec, shards

    def _heed_corpus(self, units: list[Unit]) -> None:
        """A corpus has decided what is held out."""
        for unit in units:
            unit.held = []
        if self.settings.split == "tail":
            self.remarks.append(
                "the corpus says what is held out, so that data.split=tail is not heeded"
            )

    def _find(self) -> list[SourceFile]:
        mark_cache(self.cache)
        paths = self.settings.paths
        if not corpus_of(paths, "text"):
            self.skipped += map(str, own_output(paths))
        kind, _, name = self.settings.source.partition(":")
        find = settings_of("source", kind, "data.source")
        return sorted(find(paths, name, self.cache), key=lambda file: (file.name, file.path))

    def _workers(self, size: float) -> int:
        """How many processes read so many bytes."""
        if size < SMALL:
            return 1
        return self.settings.workers or os.cpu_count() or 1

    def _do_jobs(self, work: Work, jobs: Sequence[dict[str, Any]]) -> dict[int, Any]:
        """Does jobs of about a unit each: index of a job -> its result."""
        return dict(parallel(work, jobs, self._workers(UNIT * len(jobs))))

    def _parts(self, files: list[SourceFile]) -> list[Part]:
        """The parts of each file. A file is scanned where it may have changed since it was scanned
        before."""
        stamps = {file.path: stamp_of(file.path) for file in files}
        found = scanned(stamps, self._scan, self.cache, "text", self.settings.roots, _is_good)
        parts: list[Part] = []
        for file in files:
            parts += self._parts_of(file, found[file.path], stamps[file.path])
        return parts

    def _scan(self, paths: list[str]) -> list[dict[str, Any]]:
        """What `file_parts.scan` finds in each file."""
        sizes = {path: os.path.getsize(path) if os.path.exists(path) else 0 for path in paths}

        def size(path: str) -> float:
            return max(sizes[path], UNIT / GROUP)

        groups = grouped(paths, size, str, UNIT)
        jobs = [{"paths": group} for group in groups]
        found: dict[str, dict[str, Any]] = {}
        for number, results in parallel(SCAN, jobs, self._workers(sum(sizes.values()))):
            found |= dict(zip(groups[number], results, strict=True))
        return [found[path] for path in paths]

    def _parts_of(
        self, file: SourceFile, facts: dict[str, Any], stamp: list[int]
    ) -> Iterator[Part]:
        """The parts of one file. facts: see `file_parts.scan`."""
        if facts["bad"]:
            if not self.skip:
                raise GenwrightError(
                    f"{file.path} {facts['bad']}",
                    "mend or leave out the file, or set data.on_bad_file=skip",
                )
            self.skipped.append(f"{file.name} {facts['bad']}")
            return
        for number, (start, end, row) in enumerate(facts["parts"], start=1):
            yield Part(
                path=file.path,
                name=file.name,
                digest=facts["sha"],
                start=start,
                end=end,
                row=row,
                last=number == len(facts["parts"]),
                stamp=stamp,
                text=facts["text"],
                size=facts["size"],
            )

    def _units(self, parts: list[Part]) -> list[Unit]:
        """Parts in groups of about UNIT bytes. Raises GenwrightError where there are none."""
        if not parts:
            raise self._empty()
        groups = grouped(parts, _length, _name, UNIT)
        return [Unit(group, self.settings.field, self.skip) for group in groups]

    def _empty(self) -> GenwrightError:
        place: Any = self.settings.source
        if place == "files":
            place = self.settings.path
        skipped = f" ({len(self.skipped)} files or rows were skipped)" if self.skipped else ""
        return GenwrightError(
            f"the corpus is empty: there is no text in {place}{skipped}",
            "give a path that holds text",
        )

    def _codec(self, settings: Any, units: list[Unit]) -> tuple[TextCodec, Path]:
        """The codec, trained unless it was before, and its folder."""
        codec: TextCodec | None = None
        if settings.learns_from == "nothing":
            codec = settings.train(iter(()))
            key = codec.digest
        else:
            decides = [FORMAT, tokenizers.__version__, settings.model_dump()]
            contents = json_list(unit.content() for unit in units)
            key = digest_of_pieces(json_list([*map(json_of, decides), contents]))
        folder = self.cache / "codecs" / key
        if not folder.is_dir():
            if codec is None:
                codec = settings.train(_texts(units, settings.learns_from == "train"))
            publish(folder, codec.save)
        return TextCodec.load(folder), folder

    def _write(
        self, units: list[Unit], codec: TextCodec, codec_folder: Path, end: int | None
    ) -> Shards:
        """Tokenises what is not in the cache yet. The shards in the order of the units. end: the
        token that ends a document."""
        tokenizer = str(codec_folder / "tokenizer.json")
        folders = []
        jobs = []
        for unit in units:
            decides = [json_of(FORMAT), unit.content(), json_of(codec.digest), json_of(end)]
            folder = self.cache / "shards" / digest_of_pieces(json_list(decides))
            folders.append(folder)
            if not folder.is_dir():
                job = {"unit": unit, "tokenizer": tokenizer, "end": end, "folder": str(folder)}
                jobs.append(job)
        self._do_jobs(WRITE, jobs)
        return {folder.name: facts_of(folder) for folder in folders}

    def _write_twins(
        self,
        units: list[Unit],
        codec: TextCodec,
        codec_folder: Path,
        end: int | None,
        shards: Shards,
        scratch: Path,
    ) -> Shards:
        """The shards of the documents' twins (see `twins`), without those that hold none."""
        swaps = read_swaps(str(self.settings.swap))
        held = scratch / "held-texts.npy"
        tables = [self.cache / "shards" / key / "documents.npy" for key in shards]
        held_digest = write_held(tables, held)
        tokenizer = str(codec_folder / "tokenizer.json")
        folders = []
        jobs = []
        for unit in units:
            decides = [json_of(["twins", TWINS_FORMAT, SWAPS_VERSION, FORMAT]), unit.content()]
            decides += [json_of(swaps.pairs), json_of([codec.digest, end, held_digest])]
            folder = self.cache / "shards" / digest_of_pieces(json_list(decides))
            folders.append(folder)
            if not folder.is_dir():
                job = {"unit": unit, "tokenizer": tokenizer, "end": end, "folder": str(folder)}
                jobs.append(job | {"swaps": swaps, "held": str(held)})
        self._do_jobs(WRITE_TWINS, jobs)
        found = {folder.name: facts_of(folder) for folder in folders}
        self.twins = _in_words(found)
        return {key: facts for key, facts in found.items() if facts["train"]["tokens"]}

    def _check(self, shards: Shards) -> None:
        """Raises GenwrightError for a corpus that gives nothing to train on or to hold out."""
        trained, held_out = (_total(shards, split, "tokens") for split in SPLITS)
        if not trained + held_out:
            for facts in shards.values():
                self.skipped += facts["skipped"]
            raise self._empty()
        if trained and (held_out or not self.settings.held_out):
            return
        if self.of_corpus:
            raise nothing_on("is trained on" if held_out else "is held out")
        documents = sum(_total(shards, split, "documents") for split in SPLITS)
        if documents == 1:
            raise one_document(self.settings)
        side = "held out" if trained else "trained on"
        remedy = "change data.held_out"
        if self.settings.split == "documents":
            remedy += ", or set data.split=tail"
        raise GenwrightError(
            f"none of the {documents} documents is {side} with data.held_out ="
            f" {self.settings.held_out}",
            remedy,
        )


def _is_good(facts: dict[str, Any]) -> bool:
    """Whether what was found in a file is kept: what is wrong with it may be mended at any time."""
    return not facts["bad"]


def _length(part: Part) -> int:
    """Bytes of a part, about."""
    if splits(part.path):
        return part.end - part.start
    return os.path.getsize(part.path)


def _name(part: Part) -> str:
    return f"{part.name} {part.start}"


def _in_words(twins: Shards) -> list[str]:
    """What a person is told of swapped documents. Raises GenwrightError where there are none."""
    count = _total(twins, "train", "documents")
    left_out = sum(facts["left_out"] for facts in twins.values())
    if not count + left_out:
        raise GenwrightError(
            "no document that is trained on holds a word of data.swap",
            "list words that stand in the data, or leave data.swap out",
        )
    found = [f"{count:,} documents are trained on a second time, with the words of data.swap"]
    if left_out:
        found.append(f"{left_out:,} swapped documents equal a held-out one, and are left out")
    return found


def _total(shards: Mapping[str, dict[str, Any]], split: str, name: str) -> int:
    return sum(facts[split][name] for facts in shards.values())


def _texts(units: list[Unit], only_train: bool) -> Iterator[str]:
    """Text from all over the corpus: a codec that stops early has seen no alphabet's beginning
    only."""
    for unit in sorted(units, key=lambda unit: digest_of(unit.identity)):
        for split, _, piece in divide(unit, []):
            if split == 0 or not only_train:
                yield piece.text
