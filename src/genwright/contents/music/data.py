"""The settings of music as data, and how it is prepared: pieces, read and made tokens once.

    <cache>/music/<key>/music.json   the codec: voices, ranges, metres, attributes of this corpus
                        tokens.npy   (n,) int32, all pieces in a row
                        pieces.json  of each piece its name, size, range of transposition,
                                     attributes, tune; what could not be read (`prepare`)
    <cache>/music/sides/<key>.json   of each piece its side; how many pieces stand on both

The key is the SHA-256 of the files' names and contents and of the codec's settings. Held out are
whole tunes (`tune_clusters`), until their notes are the wanted share (`data/split.py`). A JSB
json's own split is kept: train, valid (held out), and test, which is left alone. A piece longer
than a window is several (`dataset`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from genwright.contents.music import sources as source_music
from genwright.contents.music.codec import MusicSettings, music_codec
from genwright.contents.music.dataset import FORMAT, MusicDataset, Opened
from genwright.contents.music.prepare import PIECES, Preparation, check_bad, write_prepared
from genwright.contents.music.rules import faults
from genwright.contents.music.tune_clusters import By, columns_of
from genwright.core.contracts import Codec, Space
from genwright.core.files import cache_folder, stamp_of
from genwright.data.balance_settings import BalancedFiles
from genwright.data.cache import SPLITS, check_digest, digest_of, publish
from genwright.data.own_output import mark_cache
from genwright.data.parts import unheeded
from genwright.data.scans import digests
from genwright.data.selection import corpus_of, nothing_on, rows_and_times, side_of
from genwright.data.source_files import SourceFile, own_output
from genwright.data.split import HeldOut

OWN_SPLITS = {"train": "train", "valid": "held_out", "test": "test"}  # of a JSB json


class MusicData(BalancedFiles, family="data"):
    """Pieces of music, of files or of a collection that music21 brings."""

    kind: Literal["music"] = "music"
    """Which data: music."""
    source: Literal["files", "chorales", "folk-tunes", "palestrina"] = "files"
    """`files` (see `path`), or what music21 brings: `chorales` (Bach, four voices), `folk-tunes`
    (Aird, O'Neill, Ryan), `palestrina`."""
    path: str | tuple[str, ...] = ()
    """Folders, files or globs of MIDI, MusicXML, ABC and **kern; a JSB json, whose own split is
    kept; or one corpus."""
    context: int = Field(512, ge=8)
    """Tokens of a window, beside the places of conditions."""
    transpose: bool = True
    """Whether training pieces are moved by semitones, wherever every voice stays in its range."""
    minimum: int = Field(8, ge=1)
    """A value (a key, a metre, a type of tune) becomes a condition where so many pieces have it."""
    cluster: By = "auto"
    """What stands on one side, beside pieces of equal top voices: `auto`: files of one name in
    folders that hold versions of the same tunes (melody/12.mid, chords/12.mid); `name`: all files
    of one name; `folder`: all of a subfolder; `content`: nothing more."""
    content: ClassVar[str] = "music"
    length_field: ClassVar[str] = "context"
    counted: ClassVar[str] = "pieces"
    usual: ClassVar[dict[str, str]] = {"codec": "grid"}

    def space(self, codec: Codec) -> Space:
        """What windows of this data are, for a network."""
        music = music_codec(codec)
        return replace(
            music.space,
            length=music.prefix + self.context,
            faults=partial(faults, music) if music.rows else None,
        )

    def prepare(self, codec_settings: MusicSettings, expect: str | None = None) -> MusicDataset:
        """The dataset, from the cache or made now. `expect`: the digest a run was made with. Raises
        GenwrightError."""
        cache = cache_folder(self.cache)
        mark_cache(cache)
        corpus = corpus_of(self.paths, "music")
        files = source_music.find(self.source, self.paths)
        stamps = {file.path: stamp_of(file.path) for file in files}
        contents = digests(stamps, cache, self.roots)
        named = [(file.name, contents[file.path]) for file in files]
        key = digest_of(FORMAT, self.source, self.minimum, codec_settings.model_dump(), named)
        folder = cache / "music" / key
        skip = self.on_bad_file == "skip" or self.source != "files"
        how = Preparation(self.source, self.minimum, self.workers, skip)
        if not folder.is_dir():
            fill = partial(write_prepared, how, codec_settings, files, stamps)
            publish(folder, fill)
        facts = json.loads((folder / PIECES).read_text(encoding="utf-8"))
        check_bad(facts["bad"], len(facts["pieces"]), skip)
        held = None
        times: list[int] = []
        if corpus:
            sides, times = sides_and_times(facts, files)
            self._check_sides(sides)
        else:
            sides, held = self._sides_of(facts)
        codec = codec_settings.load(folder)
        opened = Opened(folder, facts, sides, dict(named), times)
        dataset = MusicDataset(codec, opened, self.context, self.transpose, self.source)
        dataset.held = held
        if not corpus:
            dataset.summary["skipped"] += [str(path) for path in own_output(self.paths)]
        if self.source == "files" and not corpus:
            dataset.summary["remarks"] += unheeded(file.name for file in files)
        dataset.balance_by(self.balance, self.balance_by)
        check_digest(dataset.digest, expect)
        return dataset

    def _check_sides(self, sides: list[str]) -> None:
        """Raises GenwrightError for a corpus with nothing on a side that is asked for."""
        if SPLITS[0] not in sides:
            raise nothing_on("is trained on")
        if self.held_out and SPLITS[1] not in sides:
            raise nothing_on("is held out")

    def _sides_of(self, facts: dict[str, Any]) -> tuple[list[str], HeldOut | None]:
        """The side of each piece: its own where the source says so, else as `data/split.py`
        decides."""
        own = facts["own"]
        if any(own):
            return [OWN_SPLITS.get(name, "train") for name in own], None
        names = [name for name, *_ in facts["pieces"]]
        columns = columns_of(names, facts["tunes"], facts["quarters"], self.cluster)
        held = self.hold_out(columns, np.array(facts["notes"]), "piece", self.cluster)
        return [SPLITS[int(side)] for side in held.mask], held


def sides_and_times(
    facts: dict[str, Any], files: Sequence[SourceFile]
) -> tuple[list[str], list[int]]:
    """Of each piece of a corpus its side, and how often it is taken. files: its selections."""
    side_by_file = {}
    times_by_name = {}
    for file in files:
        side = side_of(file.path)
        assert side is not None  # of a selection
        side_by_file[file.name] = SPLITS[side]
        for row, times in zip(*rows_and_times(file.path), strict=True):
            times_by_name[f"{file.name}:{row}"] = times
    names = [name for name, *_ in facts["pieces"]]
    sides = [side_by_file[name.rpartition(":")[0]] for name in names]
    return sides, [times_by_name[name] for name in names]
