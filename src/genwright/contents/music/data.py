"""Music: where it comes from, what is held out, and the prepared dataset: pieces, read and made
tokens once.

    <cache>/music/<key>/music.json   the codec: voices, ranges, metres, attributes of this corpus
                        tokens.npy   (n,) int32, all pieces in a row
                        pieces.json  of each piece its name, size, range of transposition, attributes, tune; what could not be read
    <cache>/music/sides/<key>.json   of each piece its side; how many pieces stand on both

The key is the SHA-256 of the files' names and contents and of the codec's settings. Held out are
whole tunes (`data/tune_clusters.py`), until their notes are the wanted share (`data/split.py`). A
JSB json's own split is kept: train, valid (held out), and test, which is left alone. A piece longer
than a window is several, its first from the beginning, the others from any row.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, TypeAdapter

from genwright.contents.music import sources as source_music
from genwright.contents.music.codec import MusicCodec, MusicSettings
from genwright.contents.music.codec_tokens import key_name
from genwright.contents.music.draft import lost_of
from genwright.contents.music.likeness import fingerprint, near_copies
from genwright.contents.music.rules import faults
from genwright.contents.music.score import Score
from genwright.contents.music.tune_clusters import By, columns_of
from genwright.core.attributes import encode, shown
from genwright.core.contracts import DIGEST_DIGITS, Batch, Source, Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.files import (
    cache_folder,
    check_unchanged,
    digest,
    json_text,
    stamp_of,
    write_whole,
)
from genwright.data.cache import SPLITS, check_digest, digest_of, publish, writing
from genwright.data.examples import Change, ExampleDataset, ExampleStream, Split
from genwright.data.own_output import mark_cache
from genwright.data.parts import unheeded
from genwright.data.scans import digests
from genwright.data.source_files import FilesData, SourceFile, own_output
from genwright.data.split import HeldOut
from genwright.data.workers import parallel

FORMAT = 6  # part of every key: raise it when the same files would give other tokens
AT_ONCE = 8  # files that one job reads
OWN = {"train": "train", "valid": "held_out", "test": "test"}  # a JSB json's splits
SCORE = TypeAdapter(Score)
SAID = ("type", "composer", "collection")  # facts of a piece that it may be conditioned on


class MusicData(FilesData, family="data"):
    """Pieces of music, of files or of a collection that music21 brings."""

    kind: Literal["music"] = "music"
    """Which data: music."""
    source: Literal["files", "chorales", "folk-tunes", "palestrina"] = "files"
    """`files` (see `path`), or what music21 brings: `chorales` (Bach, four voices), `folk-tunes`
    (Aird, O'Neill, Ryan), `palestrina`."""
    path: str | tuple[str, ...] = ()
    """Folders, files or globs of MIDI, MusicXML, ABC and **kern, or a JSB json, whose own split is
    kept."""
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
    usual: ClassVar[dict[str, str]] = {"codec": "grid"}

    def space(self, codec: MusicCodec) -> Space:
        """What windows of this data are, for a network."""
        return replace(
            codec.space,
            length=codec.prefix + self.context,
            faults=partial(faults, codec) if codec.rows else None,
        )

    def prepare(self, codec_settings: MusicSettings, expect: str | None = None) -> MusicDataset:
        """The dataset, from the cache or made now. `expect`: the digest a run was made with. Raises
        GenwrightError."""
        cache = cache_folder(self.cache)
        mark_cache(cache)
        files = source_music.find(self.source, self.paths)
        stamps = {file.path: stamp_of(file.path) for file in files}
        contents = digests(stamps, cache, self.roots)
        named = [(file.name, contents[file.path]) for file in files]
        key = digest_of(FORMAT, self.source, self.minimum, codec_settings.model_dump(), named)
        folder = cache / "music" / key
        if not folder.is_dir():
            publish(folder, lambda draft: _prepare(self, codec_settings, files, stamps, draft))
        facts = json.loads((folder / "pieces.json").read_text(encoding="utf-8"))
        self.check_bad(facts["bad"], len(facts["pieces"]))
        sides, held = _sides_of(facts, self)
        dataset = MusicDataset(self, codec_settings.load(folder), folder, facts, sides, dict(named))
        dataset.held = held
        dataset.summary["skipped"] += map(str, own_output(self.paths))
        if self.source == "files":
            dataset.summary["remarks"] += unheeded(file.name for file in files)
        check_digest(dataset.digest, expect)
        return dataset

    def check_bad(self, bad: Sequence[str], good: int) -> None:
        """Raises GenwrightError where pieces cannot be used, unless those are passed over and
        others are left."""
        if not bad or (good and (self.on_bad_file == "skip" or self.source != "files")):
            return
        named = "; ".join(bad[:3])
        if len(bad) > 3:
            named += f"; and {len(bad) - 3} more"
        what = f"{len(bad)} of {len(bad) + good} pieces cannot be used: {named}"
        raise GenwrightError(
            what,
            "mend or leave out the files, or set data.on_bad_file=skip"
            if good
            else "give other files",
        )


def _sides_of(facts: dict[str, Any], settings: MusicData) -> tuple[list[str], HeldOut | None]:
    """The side of each piece: its own where the source says so, else as `data/split.py` decides."""
    own = facts["own"]
    if any(own):
        return [OWN.get(name, "train") for name in own], None
    names = [name for name, *_ in facts["pieces"]]
    columns = columns_of(names, facts["tunes"], facts["quarters"], settings.cluster)
    held = settings.hold_out(columns, np.array(facts["notes"]), "piece", settings.cluster)
    return [SPLITS[int(side)] for side in held.mask], held


def _prepare(
    settings: MusicData,
    codec_settings: MusicSettings,
    files: Sequence[SourceFile],
    stamps: Mapping[str, list[int]],
    folder: Path,
) -> None:
    """Reads all pieces, makes their codec, writes both. stamps: see `check_unchanged`. Raises
    GenwrightError for a piece that cannot be used, unless those are passed over."""
    common = {"source": settings.source, "per_quarter": codec_settings.per_quarter}
    jobs = [{"files": files[i : i + AT_ONCE]} | common for i in range(0, len(files), AT_ONCE)]
    found = dict(parallel(source_music.READ, jobs, settings.workers or os.cpu_count() or 1))
    check_unchanged(stamps)
    read = []
    bad = []
    counts: Counter[str] = Counter()
    for name, score, problem, lost in (piece for i in range(len(jobs)) for piece in found[i]):
        counts.update(lost)
        (bad.append(problem) if problem else read.append((name, SCORE.validate_python(score))))
    known = [_known(name, score, settings.source) for name, score in read]
    often = Counter((name, value) for its in known for name, value in its.items())
    taken = sorted(pair for pair, count in often.items() if count >= settings.minimum)
    attributes = {name: tuple(value for its, value in taken if its == name) for name, _ in taken}
    # what all have asks for nothing
    attributes = {name: values for name, values in attributes.items() if len(values) > 1}
    codec = codec_settings.learn((score for _, score in read), attributes) if read else None
    tokens = []
    pieces = []
    scores = []
    for (name, score), its in zip(read, known, strict=True):
        assert codec
        try:
            tokens.append(np.array(codec.encode(score), np.int32))
        except GenwrightError as problem:
            bad.append(f"{name}: {problem.what}")
            continue
        counts["notes that the codec loses"] += codec.lost_notes(score)
        kept = {
            attribute: value
            for attribute, value in its.items()
            if value in attributes.get(attribute, ())
        }
        pieces.append([name, len(tokens[-1]), codec.transposition_range(score), kept])
        scores.append(score)
    settings.check_bad(bad, len(tokens))
    assert codec
    facts = {
        "pieces": pieces,
        "tunes": [fingerprint(score) for score in scores],
        "quarters": [score.length / score.per_quarter for score in scores],
        "notes": [sum(map(len, score.voices)) for score in scores],
        "own": [score.facts.get("split", "") for score in scores],
        "bad": bad,
        "counts": counts,
        "rare": sum(count < settings.minimum for count in often.values()),
    }
    codec.save(folder)
    np.save(folder / "tokens.npy", np.concatenate(tokens))
    (folder / "pieces.json").write_text(json_text(facts), encoding="utf-8")


def _known(name: str, score: Score, source: str) -> dict[str, str]:
    """What a piece may be conditioned on: attribute -> value."""
    found = {fact: score.facts[fact] for fact in SAID if score.facts.get(fact)}
    if score.keys:
        found["key"] = key_name(score.keys[0])
    if score.meters:
        found["metre"] = f"{score.meters[0].beats}/{score.meters[0].unit}"
    if source == "files" and "/" in name and "split" not in score.facts:
        found["folder"] = name.rpartition("/")[0]
    return found


class MusicDataset(ExampleDataset):
    """Prepared music, opened. `digest`: SHA-256 over codec, tokens, conditions and split;
    `summary`: windows and pieces of the splits, what was skipped, what the grid lost, near-copies
    across the split, the licence. contents: name of a file -> SHA-256."""

    unit = "windows"

    def __init__(
        self,
        settings: MusicData,
        codec: MusicCodec,
        folder: Path,
        facts: dict[str, Any],
        sides: Sequence[str],
        contents: Mapping[str, str],
    ):
        self.settings = settings
        self.contents = contents
        self.codec = codec
        self.folder = folder
        self.names, sizes, self.rooms, known = map(list, zip(*facts["pieces"], strict=True))
        self.ends = np.cumsum([0, *sizes])
        try:
            self.all = np.load(folder / "tokens.npy", mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise GenwrightError(
                f"the prepared music in {folder} is damaged ({error})", "delete the folder"
            ) from None
        attributes = codec.space.attributes
        self.conditions = torch.stack([encode(attributes, its) for its in known])
        self.pieces = {name: np.flatnonzero(np.array(sides) == name) for name in (*SPLITS, "test")}
        self.aligned = (
            codec.period if 0 < 2 * codec.period <= codec.prefix + settings.context else 1
        )
        self.parts = {name: self._windows(name) for name in self.pieces}
        self.shards = {
            f"{folder.name}/{name}": digest(folder / name) for name in ("tokens.npy", "pieces.json")
        }
        self.digest = digest_of(codec.digest, list(self.shards.values()), sides)
        often = Counter((name, value) for its in known for name, value in its.items())
        self.summary: dict[str, Any] = {}
        for side in SPLITS:
            self.summary[side] = {
                "examples": len(self.parts[side]),
                "pieces": len(self.pieces[side]),
                "tokens": len(self.tokens(side)),
            }
        self.summary |= {
            "files": len(self.names),
            "skipped": list(facts["bad"]),
            "attributes": {
                name: {value: often[name, value] for value in values}
                for name, values in attributes.items()
            },
            "rare": facts["rare"],
            "unlabelled": sum(not its for its in known),
            "notes": facts["counts"],
            "remarks": [lost]
            if (lost := lost_of(facts["counts"], codec.settings.per_quarter))
            else [],
            **self._across(facts["tunes"], sides),
            "licence": source_music.licence(settings.source),
        }

    def _across(self, tunes: Sequence[str], sides: Sequence[str]) -> dict[str, int]:
        """How many held-out pieces stand in training too, exactly or nearly, counted once for the
        same sides."""
        kept = self.folder.parent / "sides" / f"{digest_of(FORMAT, self.folder.name, sides)}.json"
        if kept.is_file():
            return json.loads(kept.read_text(encoding="utf-8"))
        trained = {tunes[i] for i in self.pieces["train"].tolist()}
        copies = sum(tunes[i] in trained for i in self.pieces["held_out"].tolist())
        near = near_copies(self.scores("train"), self.scores("held_out"))
        found = {"copies across the split": copies, "near-copies across the split": len(near)}
        with writing(kept.parent):
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, json_text(found))
        return found

    def row(self, piece: Any) -> np.ndarray:
        return self.all[self.ends[piece] : self.ends[piece + 1]]

    def tokens(self, split: str) -> np.ndarray:
        """The tokens of all pieces of a split in a row."""
        return np.concatenate([np.zeros(0, np.int32), *(self.row(i) for i in self.pieces[split])])

    def scores(self, split: str, limit: int | None = None) -> list[Score]:
        """Its pieces, as the codec keeps them; of many, `limit` from all over."""
        pieces = self.pieces[split]
        chosen = (
            pieces
            if limit is None or limit >= len(pieces)
            else pieces[np.linspace(0, len(pieces) - 1, limit).astype(int)]
        )
        return [
            replace(
                self.codec.decode(self.row(i).tolist()),
                facts={"title": self.names[i]},
                names=self.codec.voice_names,
            )
            for i in chosen
        ]

    def _windows(self, split: str) -> Split:
        """Windows as rows: piece, the first place that counts, where it begins; places are those of
        the conditions, then of the piece. Of training as many as cover a piece once, the first from
        its beginning, the others from any row (-1). Else such in which each token of a piece counts
        once, with about half a window or more before it but at the beginning."""
        prefix = self.codec.prefix
        length = self.codec.prefix + self.settings.context
        rows: list[tuple[int, int, int]] = []
        for piece in self.pieces[split].tolist():
            total = prefix + len(self.row(piece))
            counted = prefix
            offset = 0
            if split == "train":
                rows += [
                    (piece, prefix, -(i > 0))
                    for i in range(-(-len(self.row(piece)) // self.settings.context))
                ]
                continue
            while counted < total:
                rows.append((piece, counted, offset))
                counted = offset + length
                offset = (
                    -(-max(0, min(counted - length // 2, total - length)) // self.aligned)
                    * self.aligned
                )
        table = np.array(rows, np.int64).reshape(-1, 3)
        return Split(
            np.arange(len(table)),
            lambda which: torch.from_numpy(table[which]),
            lambda i: self.names[table[i, 0]],
            None,
        )

    def source(self, piece: int, offset: int) -> Source:
        """Where a window of a piece comes from. offset: its first token of the piece."""
        file = source_music.file_of(self.names[piece], self.contents)
        digest_of_file = self.contents.get(file, "")[:DIGEST_DIGITS]
        return Source(self.names[piece], file, digest_of_file, offset)

    def stream(self, batch_size: int, seed: int, lookahead: int = 1) -> ExampleStream:
        """Batches of the training split."""
        return MusicStream(self, batch_size, seed, lookahead)

    def offset(self, piece: int, offset: int, share: float, lookahead: int) -> int:
        """Where a window of training begins, counted from the first of the lookahead's and the
        conditions' places, which stand before the piece. offset: as in `_windows`; share: which of
        the rows it begins at, where any will do, 0 to 1."""
        if offset >= 0:
            return 0
        before = lookahead + self.codec.prefix
        width = before + self.settings.context
        beyond = max(0, before + len(self.row(piece)) - width)  # tokens that do not fit
        rows = -(-beyond // self.aligned) + 1  # rounded up
        return int(share * rows) * self.aligned

    def change(self, lookahead: int, training: bool) -> Change:
        """Cuts windows: in training transposed, with some of what is known of a piece before it;
        else as they are, with all of it. Gives tokens (n, at most lookahead + prefix + context)
        int64, -1 where a piece has ended; counted, alike, bool."""
        width = lookahead + self.codec.prefix + self.settings.context

        def cut(batch: Batch, draws: Draws) -> Batch:
            pieces, counted, offsets = batch["x"].T
            known = self.conditions[pieces]
            before = self.codec.before(
                shown(known, draws) if training else known, len(pieces), lookahead
            )
            where = draws.uniform("where", 1)[:, 0].tolist()
            moved = draws.uniform("transposed", 1)[:, 0].tolist()
            rows = []
            places = []
            for i, (piece, offset) in enumerate(
                zip(pieces.tolist(), offsets.tolist(), strict=True)
            ):
                whole = torch.cat([before[i], torch.from_numpy(self.row(piece).astype(np.int64))])
                if training:
                    offset = self.offset(piece, offset, where[i], lookahead)
                    low, high = self.rooms[piece] if self.settings.transpose else (0, 0)
                    whole = self.codec.transpose(whole, low + int(moved[i] * (high - low + 1)))
                rows.append(whole[offset : offset + width])
                places.append(offset - lookahead)
            tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
            place = torch.tensor(places)[:, None] + torch.arange(tokens.shape[1])
            return {"tokens": tokens, "counted": (tokens >= 0) & (place >= counted[:, None])}

        return cut


class MusicStream(ExampleStream):
    """See `contracts.Stream`: windows of the training pieces, each from a place of its own."""

    def __init__(self, dataset: MusicDataset, batch_size: int, seed: int, lookahead: int):
        change = dataset.change(lookahead, training=True)
        super().__init__(dataset.parts["train"], batch_size, seed, dataset.unit, change)
        self.dataset = dataset
        self.lookahead = lookahead

    def sources(self, position: int, examples: torch.Tensor) -> list[Source]:
        """Of each window its piece."""
        windows = self.split.batch(self.indices(position, examples))["x"].tolist()
        # the same numbers as `MusicDataset.change` cuts by
        shares = Draws(self.seed, position, examples).uniform("where", 1)[:, 0].tolist()
        before = self.lookahead + self.dataset.codec.prefix
        found = []
        for (piece, _, first), share in zip(windows, shares, strict=True):
            offset = self.dataset.offset(piece, first, share, self.lookahead) - before
            found.append(self.dataset.source(piece, max(0, offset)))
        return found


def by_piece(dataset: MusicDataset, split: str, lookahead: int) -> Iterator[tuple[int, Batch]]:
    """(piece, the batch of one window) over a split in order: for what is measured of each
    piece."""
    windows = dataset.parts[split]
    cut = dataset.change(lookahead, training=False)
    for i in range(len(windows)):
        batch = windows.batch(np.array([i]))
        yield int(batch["x"][0, 0]), cut(batch, Draws(0, -1, torch.tensor([i])))
