"""What a source of pictures gives: pictures by their number, and what is known of each. Decoded
once to uint8 shards that are mapped into memory.

    <cache>/pictures/<key>/pixels.npy   (n, channels, size, size) uint8
                           digests.npy  (n,) of each picture's pixels
                           shard.json   names, what could not be read, SHA-256 of the pixels

The key is the SHA-256 of the files' names and contents and of the codec's shape.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import ImageColor

from genwright.contents.images import pictures, source_npz, source_openmoji, source_pictures
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.source_npz import STACKED, Stacked
from genwright.contents.images.source_pictures import Found, Item
from genwright.contents.images.source_sprites import COLOURS, SHAPES, SIZES, Sprites
from genwright.core.contracts import DIGEST_DIGITS, Source
from genwright.core.errors import GenwrightError, first_named, in_words
from genwright.core.files import irregular, stamp_of
from genwright.data.cache import digest_of, facts_of, grouped
from genwright.data.parts import TRAIN
from genwright.data.scans import digests
from genwright.data.source_files import FilesData, own_output
from genwright.data.workers import parallel


class Pixels(Protocol):
    """Pictures by their number."""

    @property
    def files(self) -> Mapping[Path, str]:
        """The shards: path -> SHA-256."""

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """(n, channels, size, size) uint8."""


class Album(NamedTuple):
    """What a source gives. held: (n,) bool, which are held out, where the source says so. classes:
    attributes whose values count however rare they are. notes: what a person may not expect of how
    they were read. files: path of a picture's file -> its name in the data and its SHA-256.
    digests: (n,) of each picture's pixels; None where no two are alike. times: (n,) how often each
    that is trained on is taken, where that is not once. sources: of each picture, where it comes
    from no file of its own."""

    pixels: Pixels
    items: Sequence[Item]
    skipped: Sequence[str] = ()
    held: np.ndarray | None = None
    classes: frozenset[str] = frozenset()
    notes: Sequence[str] = ()
    files: Mapping[str, tuple[str, str]] = {}  # noqa: RUF012 - never written to
    digests: np.ndarray | None = None
    times: np.ndarray | None = None
    sources: Sequence[Source] = ()

    def source(self, number: int) -> Source:
        """Where a picture comes from."""
        if self.sources:
            return self.sources[number]
        item = self.items[number]
        file, sha = self.files.get(item.path, ("", ""))
        return Source(item.name, file, sha[:DIGEST_DIGITS])


class Shards:
    """Pictures of several shards as one row, mapped into memory. digests: (n,) of each. Raises
    GenwrightError where one is damaged."""

    def __init__(self, folders: Sequence[Path]):
        self.files = {folder / "pixels.npy": facts_of(folder)["sha256"] for folder in folders}
        try:
            self.parts = [_mapped(path) for path in self.files]
        except ValueError as error:
            raise GenwrightError(
                f"the prepared pictures in {folders[0].parent} are damaged ({in_words(error)})",
                "delete the folder",
            ) from None
        own = [np.load(folder / "digests.npy", allow_pickle=False) for folder in folders]
        self.digests = np.concatenate(own)
        self.bounds = np.cumsum([0, *map(len, self.parts)])

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """(n, channels, size, size) uint8, copied."""
        part = np.searchsorted(self.bounds, numbers, side="right") - 1
        out = np.empty((len(numbers), *self.parts[0].shape[1:]), np.uint8)
        for i in np.unique(part):
            here = part == i
            out[here] = self.parts[i][numbers[here] - self.bounds[i]]
        return out


def _mapped(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)


# ---- files of pictures


@dataclass(frozen=True)
class Reading:
    """How files become shards: the settings of the data, the codec that gives a picture's shape,
    and the cache."""

    settings: FilesData
    codec: ImageSettings
    cache: Path

    @property
    def skips(self) -> bool:
        """Whether what cannot be used is passed over."""
        return self.settings.on_bad_file == "skip"

    def folder(self, shape: dict[str, Any], contents: object) -> Path:
        """Of the shard that holds pictures of this shape, made of these contents."""
        return self.cache / "pictures" / digest_of(pictures.FORMAT, shape, contents)


def openmoji(reading: Reading) -> Album:
    """The drawings of OpenMoji. Raises GenwrightError."""
    found = Found(source_openmoji.find(), [], [])
    return _of_files(reading, found, frozenset({"group", "tone", "gender"}))


def of_files(reading: Reading, attributes: str | None) -> Album:
    """The pictures that the settings' paths name. attributes: path of a table. Raises
    GenwrightError."""
    found = source_pictures.find(reading.settings.paths, attributes, reading.skips)
    return _of_files(reading, found, frozenset({"class"}))


def _of_files(reading: Reading, found: Found, classes: frozenset[str]) -> Album:
    stamps = {item.path: stamp_of(item.path) for item in found.items}
    contents = digests(stamps, reading.cache, reading.settings.roots)
    folders = _decode(reading, found.items, stamps, contents)
    facts = [facts_of(folder) for folder in folders]
    bad: list[str] = []
    names: list[str] = []
    filled = []  # shards that hold a picture
    for folder, facts_of_shard in zip(folders, facts, strict=True):
        bad += facts_of_shard["bad"]
        names += facts_of_shard["names"]
        if facts_of_shard["names"]:
            filled.append(folder)
    check_bad(bad, len(found.items), reading.skips)
    by_name = {item.name: item for item in found.items}
    items = [by_name[name] for name in names]
    held = np.array([item.part not in ("", TRAIN) for item in items])
    own = [str(output) for output in own_output(reading.settings.paths)]
    shards = Shards(filled)
    return Album(
        shards,
        items,
        skipped=[*found.problems, *bad, *own],
        held=held if held.any() else None,
        classes=classes,
        notes=found.notes + remarks_of(facts),
        files={item.path: (item.name, contents[item.path]) for item in items},
        digests=shards.digests,
    )


def check_bad(bad: list[str], count: int, skips: bool) -> None:
    """bad: why pictures cannot be used; count: of all pictures."""
    if not bad or (skips and len(bad) < count):
        return
    remedy = "mend or leave out the files, or set data.on_bad_file=skip"
    if len(bad) == count:
        remedy = "give other files"
    raise GenwrightError(
        f"{len(bad)} of {count} pictures cannot be used: {first_named(bad, '; ')}", remedy
    )


def _decode(
    reading: Reading,
    items: list[Item],
    stamps: Mapping[str, list[int]],
    contents: Mapping[str, str],
) -> list[Path]:
    """Decodes what is not in the cache yet; the shards, in order. Their number stays below what can
    be mapped at once. stamps: of each path, taken before its SHA-256 in contents."""
    at_least = max(256, 1 << (len(items) // 256).bit_length())
    shape = reading.codec.shape()
    folders = []
    jobs = []
    for unit in grouped(items, _one, _name, at_least):
        folder = reading.folder(shape, [(item.name, contents[item.path]) for item in unit])
        folders.append(folder)
        if not folder.is_dir():
            job: dict[str, Any] = {
                "folder": str(folder),
                "files": [(item.name, item.path) for item in unit],
                "codec": shape,
                "stamps": {item.path: stamps[item.path] for item in unit},
            }
            jobs.append(job)
    workers = reading.settings.workers or os.cpu_count() or 1
    for _ in parallel(pictures.DECODE, jobs, workers):
        pass
    return folders


def _one(item: Item) -> int:
    return 1


def _name(item: Item) -> str:
    return item.name


def remarks_of(facts: Sequence[dict[str, Any]]) -> list[str]:
    """What the shards say of how their pictures were read, a sentence for each kind."""
    names_of: dict[str, list[str]] = {}
    for facts_of_shard in facts:
        for remark, names in facts_of_shard["remarks"].items():
            names_of.setdefault(remark, []).extend(names)
    return [
        f"{len(names):,} pictures {text}: {first_named(names)}" for text, names in names_of.items()
    ]


# ---- an npz file


def of_npz(reading: Reading, path: str, stacked: bool) -> Album:
    """The arrays of one npz file. stacked: three random grey pictures of it are the channels of
    one. Raises GenwrightError."""
    if what := irregular(path):
        if not os.path.exists(path):
            what = "does not exist"
        raise GenwrightError(f"data.path: {path} {what}", "give an npz file that is there")
    shape = reading.codec.shape()
    if stacked:
        if reading.codec.channels != 3:
            raise GenwrightError(
                "stacked pictures have three channels",
                "set codec.channels=3, or leave data.stacked out",
            )
        shape["channels"] = 1
    stamps = {path: stamp_of(path)}
    sha = digests([path], reading.cache, reading.settings.roots)[path]
    folder = reading.folder(shape, sha)
    if not folder.is_dir():
        source_npz.write(folder, path, shape, stamps)
    if stacked:
        return _stacked(folder, os.path.basename(path), sha)
    return _arrays(reading, folder, path, sha)


def _stacked(folder: Path, file: str, sha: str) -> Album:
    items = [Item(f"stacked {i}", "") for i in range(sum(STACKED.values()))]
    held = np.arange(len(items)) >= STACKED["train"]
    return Album(Stacked(Shards([folder])), items, held=held, files={"": (file, sha)})


def _arrays(reading: Reading, folder: Path, path: str, sha: str) -> Album:
    """The pictures of a shard that `source_npz` made."""
    facts = facts_of(folder)
    if facts["problems"] and not reading.skips:
        raise GenwrightError(
            f"{path}: {first_named(facts['problems'], '; ')}",
            "mend the file, or set data.on_bad_file=skip",
        )
    file = os.path.basename(path)
    items = []
    for i, name in enumerate(facts["names"]):
        known = {}
        for attribute, labels in facts["labels"].items():
            if labels[i] is not None:
                known[attribute] = (labels[i],)
        items.append(Item(name, f"{file} {name}", known, path))
    held = None
    if facts["train"] is not None:
        held = np.arange(len(items)) >= facts["train"]
    shards = Shards([folder])
    return Album(
        shards,
        items,
        facts["problems"],
        held,
        frozenset(facts["labels"]),
        facts["notes"],
        {path: (file, sha)},
        shards.digests,
    )


# ---- sprites


def sprites(codec: ImageSettings) -> Album:
    """Drawn from known factors, when they are asked for."""
    background = ImageColor.getrgb(codec.background)[:3]
    drawn = Sprites(codec.size, codec.channels, background)
    colours = list(COLOURS)
    items = []
    for factors in drawn.factors(np.arange(len(drawn))).tolist():
        shape, size, _, _, _, colour = factors
        known = {
            "shape": (SHAPES[shape],),
            "size": (SIZES[size],),
            "colour": (colours[colour],),
        }
        name = "-".join(map(str, factors))
        items.append(Item(name, name, known))
    return Album(drawn, items)
