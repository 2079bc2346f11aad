"""Pictures as a dataset: where they come from, what is held out, what may be asked for.

1. A source gives an album: pictures by their number, and what is known of each (`album`).
2. Held out are whole clusters (`data/split.py`): pictures of one name without suffix, an emoji
   whatever its tone, and pictures that are equal in every pixel. The parts that folders or an npz
   file have of their own are kept.
3. An attribute's values are a column each where `minimum` groups have them.

The dataset's digest is of the pixels, the conditions and the split.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from genwright.contents.images import album as albums
from genwright.contents.images.album import Album, Reading
from genwright.contents.images.album_corpus import of_corpus
from genwright.contents.images.codec import ImageCodec, ImageSettings, to_float
from genwright.contents.images.codec_codes import Codes
from genwright.contents.images.codes_data import CodesDataset
from genwright.contents.images.importance import balance_to
from genwright.contents.images.source_pictures import Item
from genwright.core.contracts import Batch
from genwright.core.dataset import Dataset
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.files import cache_folder
from genwright.data.balance import Balance, attributes_in, balance_of, both_balances
from genwright.data.balance_settings import BalancedFiles
from genwright.data.cache import SPLITS, check_digest, digest_of, verify
from genwright.data.content import of_sources
from genwright.data.examples import Change, ExampleDataset, Split
from genwright.data.own_output import mark_cache
from genwright.data.selection import corpus_of
from genwright.data.split import clusters_of, held_out_of, keys_of

LIMIT = 256  # columns of one attribute


class ImagesData(BalancedFiles, family="data"):
    """Pictures with or without attributes."""

    kind: Literal["images"] = "images"
    """Which data: pictures."""
    source: Literal["files", "openmoji", "sprites"] = "files"
    """`files` (see `path`), `openmoji` (4,495 drawings), or `sprites` (drawn from known
    factors)."""
    path: str | tuple[str, ...] = ()
    """Folders, files or globs of pictures (png, jpeg, webp, gif, bmp, tiff, pnm, tga), one npz
    file, or one corpus."""
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
    balance_to: str | None = None
    """Folder of pictures that training pictures are balanced to, each by how much likelier it is
    among those (in place of `balance`)."""
    content: ClassVar[str] = "image"
    what_is_read: ClassVar[tuple[str, ...]] = (*BalancedFiles.what_is_read, "stacked")
    usual: ClassVar[dict[str, str]] = {"codec": "image", "model": "unet", "objective": "flow"}

    def prepare(
        self, codec_settings: Any, expect: str | None = None
    ) -> ImagesDataset | CodesDataset:
        """The dataset, from the cache or decoded now. `expect`: the digest a run was made with.
        Raises GenwrightError."""
        dataset: ImagesDataset | CodesDataset
        if isinstance(codec_settings, Codes):
            codec = codec_settings.opened()
            images = self.prepare(codec.image.settings)
            dataset = CodesDataset(images, codec, codec_settings.prefix)
        elif isinstance(codec_settings, ImageSettings):
            dataset = ImagesDataset(self, codec_settings, self._album(codec_settings))
            self._balance_to(dataset, codec_settings)
        else:
            raise GenwrightError(
                f"codec.kind is {codec_settings.kind}, and this data is pictures", "set codec=image"
            )
        check_digest(dataset.digest, expect)
        return dataset

    def _balance_to(self, dataset: ImagesDataset, codec: ImageSettings) -> None:
        """Balances a dataset to the pictures of `balance_to`, where that is set."""
        if self.balance_to is None:
            return
        if self.balance:
            raise both_balances()
        changed: dict[str, Any] = {"path": self.balance_to, "source": "files", "held_out": 0.0}
        changed |= {"balance_to": None, "attributes": None, "stacked": False}
        reference = self.model_copy(update=changed).prepare(codec)
        clusters = dataset.clusters[dataset.parts["train"].numbers]
        dataset.summary["balance"] = balance_to(
            dataset, clusters, reference, self.balance_to, self.balance_by, self.cache
        )

    def _album(self, codec: ImageSettings) -> Album:
        npz = self._npz()
        if self.stacked and not npz:
            raise GenwrightError(
                "data.stacked is for one npz file of grey pictures",
                "give data.path=mnist.npz, or leave data.stacked out",
            )
        corpus = corpus_of(self.paths, "images")
        if self.attributes and (npz or corpus or self.source != "files"):
            raise GenwrightError(
                "data.attributes is for files of pictures: other sources bring their own",
                "leave data.attributes out",
            )
        if self.source == "sprites":
            return albums.sprites(codec)
        cache = cache_folder(self.cache)
        mark_cache(cache)
        reading = Reading(self, codec, cache)
        if npz:
            return albums.of_npz(reading, npz, self.stacked)
        if self.source == "openmoji":
            return albums.openmoji(reading)
        if corpus:
            return of_corpus(reading, corpus)
        return albums.of_files(reading, self.attributes)

    def _npz(self) -> str:
        """The path of the npz file that is all of the data; "" where it is something else."""
        if len(self.paths) != 1 or not self.paths[0].lower().endswith(".npz"):
            return ""
        return os.path.expanduser(self.paths[0])


class ImagesDataset(ExampleDataset):
    """Pictures, opened. `digest`: SHA-256 over codec, pixels, conditions and split; `shards`:
    folder -> SHA-256; `summary`: examples of the splits, what was skipped, how many pictures equal
    an earlier one, how many have each value, how many values are too rare to be columns, how many
    pictures have no attribute; `clusters`: (n,) int64, of each picture of the album. Of equal
    drawings of openmoji (dancers whose tones it does not draw) one is kept."""

    unit = "images"
    codec: ImageCodec

    def __init__(self, settings: ImagesData, codec: ImageSettings, album: Album):
        self.settings = settings
        self.album = album
        self.shards = {path.parent.name: sha for path, sha in album.pixels.files.items()}
        everything = np.arange(len(album.items))
        digests = everything if album.digests is None else album.digests
        first = np.unique(digests, return_index=True)[1]
        kept = everything
        if settings.source == "openmoji":
            kept = np.sort(first)
        keys = _columns(album.items, digests)
        held = album.held
        if held is None:
            held = self._held(keys, kept)
        self.clusters = clusters_of(keys)
        attributes, facts = self._attributes(self.clusters, kept)
        self.codec = ImageCodec(codec, attributes)
        conditions = _conditions(album.items, attributes)
        numbers = {"train": kept[~held[kept]], "held_out": kept[held[kept]]}
        if album.times is not None:
            numbers["train"] = np.repeat(numbers["train"], album.times[numbers["train"]])
        self.parts = {side: self._split(numbers[side], conditions) for side in SPLITS}
        decided = [_sha(np.packbits(conditions)), _sha(np.packbits(held)), _sha(kept)]
        if album.times is not None:
            decided.append(_sha(album.times))
        self.digest = digest_of(
            self.codec.digest,
            settings.source,
            settings.stacked,
            list(self.shards.values()),
            decided,
        )
        across = np.isin(digests[held], digests[~held])
        sizes = {name: {"examples": len(split)} for name, split in self.parts.items()}
        self.summary: dict[str, Any] = {
            **sizes,
            "files": len(album.items),
            "skipped": list(album.skipped),
            "remarks": list(album.notes),
            "copies": len(digests) - len(first),
            **facts,
            "copies across the split": int(across.sum()),
            "content": of_sources(
                {name: split.every_source() for name, split in self.parts.items()}
            ),
        }
        self.rebalance(self._balance())
        if self.balance is not None:
            self.summary["balance"] = list(self.balance.remarks)

    def _balance(self) -> Balance | None:
        """What the settings ask for, of all values that pictures have, rare ones too."""
        wanted = self.settings.balance
        if not wanted:
            return None
        items = [self.album.items[number] for number in self.parts["train"].numbers.tolist()]
        names: dict[str, None] = {}
        for item in self.album.items:
            names.update(dict.fromkeys(item.known))
        values = {}
        for name in attributes_in(wanted):
            if name in names:
                values[name] = [tuple(item.known.get(name, ())) for item in items]
        return balance_of(wanted, self.settings.balance_by, values, self.unit, list(names))

    def _held(self, keys: Sequence[np.ndarray], kept: np.ndarray) -> np.ndarray:
        """(n,) bool. What is left out as a copy counts nothing."""
        counted = np.isin(np.arange(len(self.album.items)), kept).astype(float)
        if self.settings.source == "sprites":  # always the same ones
            return held_out_of(keys, counted, self.settings.held_out, "picture")
        self.held = self.settings.hold_out(keys, counted, "picture")
        return self.held.mask

    def _split(self, numbers: np.ndarray, conditions: np.ndarray) -> Split:
        """conditions: (all pictures, columns)."""
        table = conditions if conditions.shape[1] else None
        return Split(numbers, self._take, self._name, table, self.album.source)

    def _take(self, numbers: np.ndarray) -> Tensor:
        return to_float(self.album.pixels.take(numbers))

    def _name(self, number: int) -> str:
        return self.album.items[number].name

    def _attributes(
        self, groups: np.ndarray, kept: np.ndarray
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, Any]]:
        """(attribute -> values, sorted), and what there is to say of them. groups: (n,) the cluster
        of each picture."""
        pairs = []  # (cluster, attribute, value) of every picture
        unlabelled = 0
        for i in kept:
            known = self.album.items[i].known
            if not known:
                unlabelled += 1
            for name, values in known.items():
                pairs += [(int(groups[i]), name, value) for value in values]
        clusters = Counter((name, value) for _, name, value in set(pairs))
        counts: dict[str, Counter[str]] = {}
        for _, name, value in pairs:
            least = 1 if name in self.album.classes else self.settings.minimum
            if clusters[name, value] >= least:
                counts.setdefault(name, Counter())[value] += 1
        attributes = {}
        facts = {}
        for name, found in counts.items():
            values = sorted(dict(found.most_common(LIMIT)))
            attributes[name] = tuple(values)
            facts[name] = {value: found[value] for value in values}
        taken = sum(len(values) for values in attributes.values())
        return attributes, {
            "attributes": facts,
            "rare": len(clusters) - taken,
            "unlabelled": unlabelled,
        }

    def _flipped(self, batch: Batch, draws: Draws) -> Batch:
        mirrored = draws.integers("flip", 2) == 1
        x = batch["x"]  # (n, channels, height, width)
        return batch | {"x": torch.where(mirrored[:, None, None, None], x.flip(3), x)}

    def change(self, lookahead: int, training: bool) -> Change | None:
        """Mirrors half of the training pictures, where the settings say so."""
        if training and self.settings.flips:
            return self._flipped
        return None

    def verify(self) -> None:
        """Reads every shard and compares its SHA-256. Raises GenwrightError for the first that
        differs."""
        verify(self.album.pixels.files)


def picture_data(dataset: Dataset) -> ImagesDataset | CodesDataset:
    """The data of a run that makes pictures, as what they are."""
    return cast(ImagesDataset | CodesDataset, dataset)


def _columns(items: Sequence[Item], digests: np.ndarray) -> list[np.ndarray]:
    """Keys of each picture, for `split.held_out_of`: its group, where it is of a file, and its
    pixels. The group comes first, so that the same pictures are held out whatever the codec's
    shape."""
    pixels = digests.astype(np.uint64)
    if not items[0].path:
        return [pixels]
    return [keys_of(f"group {item.group}" for item in items), pixels]


def _conditions(items: Sequence[Item], attributes: Mapping[str, tuple[str, ...]]) -> np.ndarray:
    """(n, columns) uint8: 1 where a picture has the value of the column."""
    columns: dict[tuple[str, str], int] = {}
    for name, values in attributes.items():
        for value in values:
            columns[name, value] = len(columns)
    out = np.zeros((len(items), len(columns)), np.uint8)
    if not columns:
        return out
    for row, item in zip(out, items, strict=True):
        for name, values in item.known.items():
            for value in values:
                if (name, value) in columns:
                    row[columns[name, value]] = 1
    return out


def _sha(values: np.ndarray) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()
