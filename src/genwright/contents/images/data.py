"""Pictures: where they come from, what is held out, and the prepared dataset: decoded once to uint8
shards that are mapped into memory.

    <cache>/pictures/<key>/pixels.npy   (n, channels, size, size) uint8
                           digests.npy  (n,) of each picture's pixels
                           shard.json   names, what could not be read, SHA-256 of the pixels

The key is the SHA-256 of the files' names and contents and of the codec's shape; the dataset's
digest is of the pixels. Held out are whole clusters (`data/split.py`): pictures of one name without
suffix, an emoji whatever its tone, and pictures that are equal in every pixel. The parts that
folders or an npz file have of their own are kept. An attribute's values are a column each where
`minimum` groups have them.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from PIL import ImageColor
from pydantic import Field
from torch import Tensor

from genwright.contents.images import pictures, source_npz, source_openmoji, source_pictures
from genwright.contents.images.codec import ImageCodec, ImageSettings, to_float
from genwright.contents.images.codec_codes import Codes, CodesCodec
from genwright.contents.images.source_npz import STACKED, Stacked
from genwright.contents.images.source_pictures import Found, Item
from genwright.contents.images.source_sprites import COLOURS, SHAPES, SIZES, Sprites
from genwright.core.attributes import shown
from genwright.core.contracts import DIGEST_DIGITS, Batch, Source
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError, named
from genwright.core.files import cache_folder, irregular, stamp_of
from genwright.data.cache import SPLITS, check_digest, digest_of, facts_of, grouped, verify
from genwright.data.examples import Change, ExampleDataset, Split
from genwright.data.own_output import mark_cache
from genwright.data.parts import TRAIN
from genwright.data.scans import digests
from genwright.data.source_files import FilesData, own_output
from genwright.data.split import clusters_of, held_out_of, keys_of
from genwright.data.workers import parallel

LIMIT = 256  # columns of one attribute
_AT_ONCE = 1024  # pictures that are read together, to be made codes


class ImagesData(FilesData, family="data"):
    """Pictures with or without attributes."""

    kind: Literal["images"] = "images"
    """Which data: pictures."""
    source: Literal["files", "openmoji", "sprites"] = "files"
    """`files` (see `path`), `openmoji` (4,495 drawings), or `sprites` (drawn from known
    factors)."""
    path: str | tuple[str, ...] = ()
    """Folders, files or globs of pictures (png, jpeg, webp, gif, bmp, tiff, pnm, tga), or one npz
    file."""
    attributes: str | None = None
    """A csv or jsonl of attributes. Default: attributes.csv or .jsonl in the folder, else the
    subfolder is the class."""
    minimum: int = Field(8, ge=1)
    """A value becomes a condition where so many pictures (an emoji and its tones count once) have
    it; classes always do."""
    stacked: bool = False
    """Whether three random grey pictures of an npz are the channels of one: stacked MNIST, 128,000
    pictures."""
    flips: bool = False
    """Whether half of the training pictures are mirrored; letters and music are not symmetric."""
    content: ClassVar[str] = "image"
    usual: ClassVar[dict[str, str]] = {"codec": "image", "model": "unet", "objective": "flow"}

    def prepare(
        self, codec_settings: Any, expect: str | None = None
    ) -> ImagesDataset | CodesDataset:
        """The dataset, from the cache or decoded now. `expect`: the digest a run was made with.
        Raises GenwrightError."""
        if isinstance(codec_settings, Codes):
            codec = codec_settings.opened()
            dataset: ImagesDataset | CodesDataset = CodesDataset(
                self.prepare(codec.image.settings), codec, codec_settings.prefix
            )
        elif isinstance(codec_settings, ImageSettings):
            dataset = ImagesDataset(self, codec_settings, _album(self, codec_settings))
        else:
            raise GenwrightError(
                f"codec.kind is {codec_settings.kind}, and this data is pictures", "set codec=image"
            )
        check_digest(dataset.digest, expect)
        return dataset


class Album(NamedTuple):
    """What a source gives: pictures by their number, and what is known of each. held: which are
    held out, where the source says so; classes: attributes whose values count however rare they
    are; notes: what a person may not expect of how they were read; files: path of a picture's file
    -> its name in the data and its SHA-256."""

    # take(numbers) -> (n, channels, size, size) uint8, `digests` of each, `files` that they lie in:
    # path -> SHA-256
    pixels: Any
    items: Sequence[Item]
    skipped: Sequence[str] = ()
    held: np.ndarray | None = None
    classes: frozenset[str] = frozenset()
    notes: Sequence[str] = ()
    files: Mapping[str, tuple[str, str]] = {}  # noqa: RUF012 - never written to

    def source(self, number: int) -> Source:
        """Where a picture comes from."""
        item = self.items[number]
        file, sha = self.files.get(item.path, ("", ""))
        return Source(item.name, file, sha[:DIGEST_DIGITS])


def _album(settings: ImagesData, codec: ImageSettings) -> Album:
    paths = settings.paths
    npz = (
        os.path.expanduser(paths[0])
        if len(paths) == 1 and paths[0].lower().endswith(".npz")
        else ""
    )
    if settings.stacked and not npz:
        raise GenwrightError(
            "data.stacked is for one npz file of grey pictures",
            "give data.path=mnist.npz, or leave data.stacked out",
        )
    if settings.attributes and (npz or settings.source != "files"):
        raise GenwrightError(
            "data.attributes is for files of pictures: other sources bring their own",
            "leave data.attributes out",
        )
    if settings.source == "sprites":
        return _sprites(codec)
    cache = cache_folder(settings.cache)
    mark_cache(cache)
    if npz:
        return _npz(settings, codec, npz, cache)
    skip = settings.on_bad_file == "skip"
    openmoji = settings.source == "openmoji"
    found = (
        Found(source_openmoji.find(), [], [])
        if openmoji
        else source_pictures.find(paths, settings.attributes, skip)
    )
    items = found.items
    stamps = {item.path: stamp_of(item.path) for item in items}
    contents = digests(stamps, cache, settings.roots)
    folders = _decode(items, codec, cache, settings, stamps, contents)
    facts = [facts_of(folder) for folder in folders]
    bad = [text for its in facts for text in its["bad"]]
    if bad and (not skip or len(bad) == len(items)):
        what = f"{len(bad)} of {len(items)} pictures cannot be used: {named(bad, '; ')}"
        remedy = "mend or leave out the files, or set data.on_bad_file=skip"
        raise GenwrightError(what, "give other files" if len(bad) == len(items) else remedy)
    shards = Shards([folder for folder, its in zip(folders, facts, strict=True) if its["names"]])
    by_name = {item.name: item for item in items}
    chosen = [by_name[name] for its in facts for name in its["names"]]
    classes = frozenset({"group", "tone", "gender"} if openmoji else {"class"})
    parts = [item.part for item in chosen]
    held = np.array([part not in ("", TRAIN) for part in parts])
    passed_over = [*found.problems, *bad, *map(str, own_output(paths))]
    return Album(
        shards,
        chosen,
        passed_over,
        held if held.any() else None,
        classes,
        found.notes + _remarks(facts),
        {item.path: (item.name, contents[item.path]) for item in chosen},
    )


def _remarks(facts: Sequence[dict[str, Any]]) -> list[str]:
    """What the shards say of how their pictures were read, a sentence for each kind."""
    names: dict[str, list[str]] = {}
    for its in facts:
        for remark, pictures_of_it in its["remarks"].items():
            names.setdefault(remark, []).extend(pictures_of_it)
    return [f"{len(found):,} pictures {remark}: {named(found)}" for remark, found in names.items()]


def _decode(
    items: list[Item],
    codec: ImageSettings,
    cache: Path,
    settings: ImagesData,
    stamps: Mapping[str, list[int]],
    contents: Mapping[str, str],
) -> list[Path]:
    """Decodes what is not in the cache yet; the shards, in order. Their number stays below what can
    be mapped at once. stamps: of each path, taken before its SHA-256 in contents."""
    units = grouped(
        items,
        lambda item: 1,
        lambda item: item.name,
        max(256, 1 << (len(items) // 256).bit_length()),
    )
    shape = codec.shape()
    folders = []
    jobs = []
    for unit in units:
        named = [(item.name, contents[item.path]) for item in unit]
        folder = cache / "pictures" / digest_of(pictures.FORMAT, shape, named)
        folders.append(folder)
        if not folder.is_dir():
            files = [(item.name, item.path) for item in unit]
            own = {path: stamps[path] for _, path in files}
            jobs.append({"folder": str(folder), "files": files, "codec": shape, "stamps": own})
    for _ in parallel(pictures.DECODE, jobs, settings.workers or os.cpu_count() or 1):
        pass
    return folders


def _sprites(codec: ImageSettings) -> Album:
    sprites = Sprites(codec.size, codec.channels, ImageColor.getrgb(codec.background)[:3])
    factors = sprites.factors(np.arange(len(sprites))).tolist()
    colours = list(COLOURS)
    known = (
        {"shape": (SHAPES[row[0]],), "size": (SIZES[row[1]],), "colour": (colours[row[5]],)}
        for row in factors
    )
    names = ["-".join(map(str, row)) for row in factors]
    return Album(sprites, list(map(Item, names, names, known)))


def _npz(settings: ImagesData, codec: ImageSettings, path: str, cache: Path) -> Album:
    if what := irregular(path):
        what = what if os.path.exists(path) else "does not exist"
        raise GenwrightError(f"data.path: {path} {what}", "give an npz file that is there")
    if settings.stacked and codec.channels != 3:
        raise GenwrightError(
            "stacked pictures have three channels",
            "set codec.channels=3, or leave data.stacked out",
        )
    shape = codec.shape() | ({"channels": 1} if settings.stacked else {})
    stamps = {path: stamp_of(path)}
    sha = digests([path], cache, settings.roots)[path]
    file = os.path.basename(path)
    folder = cache / "pictures" / digest_of(pictures.FORMAT, shape, sha)
    if not folder.is_dir():
        source_npz.write(folder, path, shape, stamps)
    shards = Shards([folder])
    facts = facts_of(folder)
    if settings.stacked:
        items = [Item(f"stacked {i}", "") for i in range(sum(STACKED.values()))]
        held = np.arange(len(items)) >= STACKED["train"]
        return Album(Stacked(shards), items, held=held, files={"": (file, sha)})
    if facts["problems"] and settings.on_bad_file != "skip":
        raise GenwrightError(
            f"{path}: {named(facts['problems'], '; ')}",
            "mend the file, or set data.on_bad_file=skip",
        )
    known: list[dict[str, tuple[str, ...]]] = [{} for _ in facts["names"]]
    for attribute, labels in facts["labels"].items():
        for attributes, label in zip(known, labels, strict=True):
            if label is not None:
                attributes[attribute] = (label,)
    own_split = None if facts["train"] is None else np.arange(len(known)) >= facts["train"]
    items = [
        Item(name, f"{file} {name}", its, path)
        for name, its in zip(facts["names"], known, strict=True)
    ]
    return Album(
        shards,
        items,
        facts["problems"],
        own_split,
        frozenset(facts["labels"]),
        facts["notes"],
        {path: (file, sha)},
    )


class Shards:
    """Pictures of several shards as one row, mapped into memory. Raises GenwrightError where one is
    damaged."""

    def __init__(self, folders: Sequence[Path]):
        self.files = {folder / "pixels.npy": facts_of(folder)["sha256"] for folder in folders}
        try:
            self.parts = [
                np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
                for path in self.files
            ]
        except ValueError as error:
            raise GenwrightError(
                f"the prepared pictures in {folders[0].parent} are damaged ({error})",
                "delete the folder",
            ) from None
        self.digests = np.concatenate(
            [np.load(folder / "digests.npy", allow_pickle=False) for folder in folders]
        )
        self.bounds = np.cumsum([0, *map(len, self.parts)])

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """(n, channels, size, size) uint8, copied."""
        part = np.searchsorted(self.bounds, numbers, side="right") - 1
        out = np.empty((len(numbers), *self.parts[0].shape[1:]), np.uint8)
        for i in np.unique(part):
            here = part == i
            out[here] = self.parts[i][numbers[here] - self.bounds[i]]
        return out


def _columns(items: Sequence[Item], digests: np.ndarray) -> list[np.ndarray]:
    """Keys of each picture, for `split.held_out_of`: its group, where it is of a file, and its
    pixels. The group comes first, so that the same pictures are held out whatever the codec's
    shape."""
    pixels = digests.astype(np.uint64)
    return [keys_of(f"group {item.group}" for item in items), pixels] if items[0].path else [pixels]


class ImagesDataset(ExampleDataset):
    """Pictures, opened. `digest`: SHA-256 over codec, pixels, conditions and split; `shards`:
    folder -> SHA-256; `summary`: examples of the splits, what was skipped, how many pictures equal
    an earlier one, how many have each value, how many values are too rare to be columns, how many
    pictures have no attribute. Of equal drawings of openmoji (dancers whose tones it does not draw)
    one is kept."""

    unit = "images"

    def __init__(self, settings: ImagesData, codec: ImageSettings, album: Album):
        self.settings = settings
        self.album = album
        self.shards = {path.parent.name: sha for path, sha in album.pixels.files.items()}
        everything = np.arange(len(album.items))
        digests = getattr(album.pixels, "digests", everything)
        first = np.unique(digests, return_index=True)[1]
        kept = np.sort(first) if settings.source == "openmoji" else everything
        keys = _columns(album.items, digests)
        held = self._held(keys, kept) if album.held is None else album.held
        attributes, facts = self._attributes(clusters_of(keys), kept)
        self.codec = ImageCodec(codec, attributes)
        conditions = np.zeros((len(album.items), self.codec.space.columns), np.uint8)
        columns = {
            pair: i
            for i, pair in enumerate(
                (name, value) for name, values in attributes.items() for value in values
            )
        }
        for row, item in zip(conditions, album.items, strict=True) if columns else ():
            row[
                [
                    columns[name, value]
                    for name, values in item.known.items()
                    for value in values
                    if (name, value) in columns
                ]
            ] = 1
        numbers = (kept[~held[kept]], kept[held[kept]])
        table = conditions if columns else None

        def take(n):
            return to_float(album.pixels.take(n))

        def name(n):
            return album.items[n].name

        self.parts = {
            side: Split(its, take, name, table, album.source)
            for side, its in zip(SPLITS, numbers, strict=True)
        }
        tables = [
            hashlib.sha256(table.tobytes()).hexdigest()
            for table in (np.packbits(conditions), np.packbits(held), kept)
        ]
        self.digest = digest_of(
            self.codec.digest, settings.source, settings.stacked, list(self.shards.values()), tables
        )
        self.summary: dict[str, Any] = {
            name: {"examples": len(split)} for name, split in self.parts.items()
        }
        self.summary |= {
            "files": len(album.items),
            "skipped": list(album.skipped),
            "remarks": list(album.notes),
            "copies": len(digests) - len(first),
        } | facts
        across = np.isin(digests[held], digests[~held])
        self.summary |= {"copies across the split": int(across.sum())}

    def _held(self, keys: Sequence[np.ndarray], kept: np.ndarray) -> np.ndarray:
        """(n,) bool. What is left out as a copy counts nothing."""
        counted = np.isin(np.arange(len(self.album.items)), kept).astype(float)
        if self.settings.source == "sprites":  # always the same ones
            return held_out_of(keys, counted, self.settings.held_out, "picture")
        self.held = self.settings.hold_out(keys, counted, "picture")
        return self.held.mask

    def _attributes(
        self, groups: np.ndarray, kept: np.ndarray
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, Any]]:
        """(attribute -> values, sorted), and what there is to say of them."""
        known = [(int(groups[i]), self.album.items[i].known) for i in kept]
        pairs = [
            (group, name, value)
            for group, its in known
            for name, values in its.items()
            for value in values
        ]
        often = Counter((name, value) for _, name, value in set(pairs))
        counts: dict[str, Counter] = {}
        for _, name, value in pairs:
            if often[name, value] >= (1 if name in self.album.classes else self.settings.minimum):
                counts.setdefault(name, Counter())[value] += 1
        attributes = {
            name: tuple(sorted(dict(found.most_common(LIMIT)))) for name, found in counts.items()
        }
        taken = sum(map(len, attributes.values()))
        facts = {
            name: {value: counts[name][value] for value in values}
            for name, values in attributes.items()
        }
        return attributes, {
            "attributes": facts,
            "rare": len(often) - taken,
            "unlabelled": sum(not its for _, its in known),
        }

    def _flipped(self, batch: Batch, draws: Draws) -> Batch:
        turned = draws.integers("flip", 2) == 1
        return batch | {
            "x": torch.where(turned[:, None, None, None], batch["x"].flip(3), batch["x"])
        }

    def change(self, lookahead: int, training: bool) -> Change | None:
        return self._flipped if training and self.settings.flips else None

    def verify(self) -> None:
        """Reads every shard and compares its SHA-256. Raises GenwrightError for the first that
        differs."""
        verify(self.album.pixels.files)


def _encoded(images: Split, codec: CodesCodec) -> Split:
    """The split whose x are codes, (n, places) int64; made when first asked for."""

    @cache
    def codes() -> Tensor:
        parts = (
            images.numbers[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)
        )
        return torch.cat(
            [
                torch.empty(0, codec.places, dtype=torch.int64),
                *(codec.codes_of(images.take(part)) for part in parts),
            ]
        )

    return Split(
        images.numbers,
        lambda numbers: codes()[np.searchsorted(images.numbers, numbers)],
        images.name,
        images.conditions,
        images.source,
    )


class CodesDataset(ExampleDataset):
    """Pictures as rows of codes: each is encoded once, and a batch is what its attributes say, then
    its codes, which alone count in a loss. In training any subset of a picture's values may stand
    before it (`attributes.shown`); held-out pictures show all of theirs.

    `split` opens the pictures themselves; `parts` are their codes. images: their dataset, made as
    the pictures of `found` were."""

    unit = "images"

    def __init__(self, images: Any, found: CodesCodec, prefix: int):
        self.codec = codec = CodesCodec(images.codec, found.network, found.settings, prefix)
        self.images = images
        self.shards = images.shards
        self.summary = images.summary
        self.verify = images.verify
        self.held = images.held
        self.digest = digest_of(images.digest, codec.digest)
        self.parts = {name: _encoded(images.split(name), codec) for name in SPLITS}

    def split(self, name: str) -> Split:
        return self.images.split(name)

    def change(self, lookahead: int, training: bool) -> Change:
        """x (n, places) and condition -> tokens (n, lookahead + prefix + places) int64; counted,
        alike, bool."""

        def tokens(batch: Batch, draws: Draws) -> Batch:
            codes = batch["x"]
            condition = batch.get("condition")
            if condition is not None and training:
                condition = shown(condition, draws)
            tokens = torch.cat([self.codec.before(condition, len(codes), lookahead), codes], 1)
            counted = torch.arange(tokens.shape[1]) >= lookahead + self.codec.prefix
            return {"tokens": tokens, "counted": counted.expand_as(tokens)}

        return tokens
