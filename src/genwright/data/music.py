"""Music: where it comes from, what is held out, and the prepared dataset: pieces, read and made tokens once.

    <cache>/music/<key>/music.json   the codec: voices, ranges, metres, attributes of this corpus
                        tokens.npy   (n,) int32, all pieces in a row
                        pieces.json  of each piece its name, size, range of transposition, attributes and side; what could not be read

The key is the SHA-256 of the files' names, sizes and times of change, of the codec's settings and of the share held out. Held out is a
hash of the piece's group: pieces whose top voices are equal, transposed or not, are one. A JSB json's own split is kept: train, valid (held
out), and test, which is left alone. A piece longer than a window is several, its first from the beginning, the others from anywhere.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field

from genwright.codecs.attributes import encode, shown
from genwright.codecs.music import MusicCodec, MusicSettings, key_name
from genwright.contracts import Batch, Space
from genwright.data import source_music
from genwright.data.examples import Change, ExampleDataset, held_out_of
from genwright.data.shards import SPLITS, check_digest, digest_of, publish, writing
from genwright.data.source_files import SourceFile
from genwright.data.workers import parallel
from genwright.draws import Draws
from genwright.errors import GenwrightError
from genwright.files import cache_folder, digest
from genwright.music.likeness import fingerprint, near_copies
from genwright.music.score import Score, of_json
from genwright.registry import Settings

FORMAT = 1  # part of every key: raise it when the same files would give other tokens
AT_ONCE = 8  # files that one job reads
OWN = {"train": "train", "valid": "held_out", "test": "test"}  # a JSB json's splits
SAID = ("type", "composer", "collection")  # facts of a piece that it may be conditioned on
Progress = Callable[[str, float, float], None]


class MusicData(Settings, family="data"):
    """Pieces of music, of files or of a collection that music21 brings."""

    kind: Literal["music"] = "music"
    """Which data: music."""
    source: Literal["files", "chorales", "folk-tunes", "palestrina"] = "files"
    """`files` (see `path`), or what music21 brings: `chorales` (Bach, four voices), `folk-tunes` (Aird, O'Neill, Ryan), `palestrina`."""
    path: str | tuple[str, ...] = ()
    """Folders, files or globs of MIDI, MusicXML, ABC and **kern, or a JSB json, whose own split is kept."""
    context: int = Field(512, ge=8)
    """Tokens of a window, beside the places of conditions."""
    transpose: bool = True
    """Whether training pieces are moved by semitones, wherever every voice stays in its range."""
    minimum: int = Field(8, ge=1)
    """A value (a key, a metre, a type of tune) becomes a condition where so many pieces have it."""
    held_out: float = Field(0.1, ge=0, lt=1)
    """Share of the pieces that is never trained on, 0 to 1."""
    on_bad_file: Literal["stop", "skip"] = "stop"
    """What to do about a piece that cannot be used: `stop` and name it, or `skip` and list it, as with music21's collections."""
    workers: int = Field(0, ge=0, le=1024)
    """Processes that read; 0: one a core."""
    cache: str | None = None
    """Folder that keeps prepared data. Default: $GENWRIGHT_CACHE or ~/.cache/genwright."""
    content: ClassVar[str] = "music"
    usual: ClassVar[dict[str, str]] = {"codec": "grid"}

    def space(self, codec: MusicCodec) -> Space:
        """What windows of this data are, for a network."""
        return replace(codec.space, length=codec.prefix + self.context)

    def prepare(self, codec_settings: MusicSettings, progress: Progress | None = None, expect: str | None = None) -> MusicDataset:
        """The dataset, from the cache or made now. `expect`: the digest a run was made with. Raises GenwrightError."""
        if self.path and self.source != "files":
            raise GenwrightError(f"data.path is given, but data.source is {self.source}", "set data.source=files to read your own files")
        cache = cache_folder(self.cache) / "music"
        files = source_music.find(self.source, (self.path,) if isinstance(self.path, str) and self.path else tuple(self.path))
        stamps = [(file.name, (status := os.stat(file.path)).st_size, status.st_mtime_ns) for file in files]
        folder = cache / digest_of(FORMAT, self.source, self.minimum, self.held_out, codec_settings.model_dump(), stamps)
        if not folder.is_dir():
            with writing(cache):
                cache.mkdir(parents=True, exist_ok=True)
            corpus = _read(self, codec_settings, files, progress or (lambda stage, done, total: None))
            publish(folder, corpus.write)
        dataset = MusicDataset(self, codec_settings.load(folder), folder)
        check_digest(dataset.digest, expect)
        return dataset


class Corpus(NamedTuple):
    codec: MusicCodec
    tokens: list[list[int]]
    facts: dict[str, Any]

    def write(self, folder: Path) -> None:
        self.codec.save(folder)
        np.save(folder / "tokens.npy", np.concatenate([np.array(row, np.int32) for row in self.tokens]))
        (folder / "pieces.json").write_text(json.dumps(self.facts), encoding="utf-8")


def _read(settings: MusicData, codec_settings: MusicSettings, files: Sequence[SourceFile], progress: Progress) -> Corpus:
    """All pieces, and the codec of them. Raises GenwrightError for one that cannot be used, unless those are passed over."""
    common = {"source": settings.source, "per_quarter": codec_settings.per_quarter}
    jobs = [{"files": files[i : i + AT_ONCE]} | common for i in range(0, len(files), AT_ONCE)]
    found: dict[int, list] = {}
    for i, its in parallel("music", jobs, settings.workers or os.cpu_count() or 1):
        found[i] = its
        progress("reading music", len(found), len(jobs))
    read, bad = [], []
    counts: Counter[str] = Counter()
    for name, score, problem, lost in (piece for i in range(len(jobs)) for piece in found[i]):
        counts.update(lost)
        (bad.append(problem) if problem else read.append((name, of_json(score))))
    known = [_known(name, score, settings.source) for name, score in read]
    often = Counter((name, value) for its in known for name, value in its.items())
    attributes: dict[str, tuple[str, ...]] = {}
    for name, value in sorted(pair for pair, count in often.items() if count >= settings.minimum):
        attributes[name] = (*attributes.get(name, ()), value)
    attributes = {name: values for name, values in attributes.items() if len(values) > 1}  # what all have asks for nothing
    codec = codec_settings.learn((score for _, score in read), attributes) if read else None
    tokens, pieces, scores = [], [], []
    for (name, score), its in zip(read, known, strict=True):
        try:
            row = codec.encode(score)  # type: ignore[union-attr]
        except GenwrightError as problem:
            bad.append(f"{name}: {problem.what}")
            continue
        lost_here = codec.lost(score)  # type: ignore[union-attr]
        counts["notes that the codec loses"] += lost_here
        kept = {attribute: value for attribute, value in its.items() if value in attributes.get(attribute, ())}
        pieces.append([name, len(row), codec.room(score), kept])  # type: ignore[union-attr]
        tokens.append(row)
        scores.append(score)
    if bad and (settings.on_bad_file == "stop" and settings.source == "files" or not tokens):
        named = "; ".join(bad[:3]) + (f"; and {len(bad) - 3} more" if len(bad) > 3 else "")
        what = f"{len(bad)} of {len(bad) + len(tokens)} pieces cannot be used: {named}"
        raise GenwrightError(what, "mend or leave out the files, or set data.on_bad_file=skip" if tokens else "give other files")
    side = _split(scores, settings.held_out)
    train, held_out = ([score for score, its in zip(scores, side, strict=True) if its == split] for split in SPLITS)
    near = near_copies(train, held_out)
    facts = {"pieces": pieces, "side": side, "near": len(near), "bad": bad, "counts": counts}
    facts["rare"] = sum(count < settings.minimum for count in often.values())
    return Corpus(codec, tokens, facts)  # type: ignore[arg-type]


def _split(scores: Sequence[Score], held_out: float) -> list[str]:
    """The side of each piece."""
    own = [score.facts.get("split", "") for score in scores]
    if any(own):
        return [OWN.get(name, "train") for name in own]
    held = held_out_of([fingerprint(score) for score in scores], held_out, "piece")
    return [SPLITS[int(it)] for it in held]


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


class Windows:
    """Windows of the pieces of a split. piece: (n,) which one; number: (n,) which window of it, 0: the first; counted: (n,) the first place
    that counts; offset: (n,) where it begins, None: drawn, but of the first. Places are those of the conditions, then of the piece."""

    def __init__(self, dataset: MusicDataset, piece: np.ndarray, number: np.ndarray, counted: np.ndarray, offset: np.ndarray | None = None):
        self.dataset, self.piece, self.number, self.counted, self.offset = dataset, piece, number, counted, offset

    def __len__(self) -> int:
        return len(self.piece)

    def names(self, indices: np.ndarray) -> list[str]:
        return [self.dataset.names[i] for i in self.piece[indices].tolist()]

    def batch(self, indices: np.ndarray) -> Batch:
        columns = {"piece": self.piece, "number": self.number, "counted": self.counted}
        columns |= {} if self.offset is None else {"offset": self.offset}
        return {name: torch.from_numpy(values[indices]) for name, values in columns.items()}


class MusicDataset(ExampleDataset):
    """Prepared music, opened. `digest`: SHA-256 over codec, tokens, conditions and split; `summary`: windows and pieces of the splits, what
    was skipped, what the grid lost, near-copies across the split, the licence."""

    parts: dict[str, Windows]  # type: ignore[assignment]
    unit = "windows"

    def __init__(self, settings: MusicData, codec: MusicCodec, folder: Path):
        self.settings, self.codec, self.folder = settings, codec, folder
        facts = json.loads((folder / "pieces.json").read_text(encoding="utf-8"))
        self.names, sizes, self.rooms, known = map(list, zip(*facts["pieces"], strict=True))
        self.ends = np.cumsum([0, *sizes])
        try:
            self.all = np.load(folder / "tokens.npy", mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise GenwrightError(f"the prepared music in {folder} is damaged ({error})", "delete the folder") from None
        attributes = codec.space.attributes
        self.conditions = torch.stack([encode(attributes, its) for its in known])
        self.pieces = {name: np.flatnonzero(np.array(facts["side"]) == name) for name in (*SPLITS, "test")}
        self.parts = {name: (self._windows if name == "train" else self._covering)(its) for name, its in self.pieces.items()}
        self.shards = {f"{folder.name}/{name}": digest(folder / name) for name in ("tokens.npy", "pieces.json")}
        self.digest = digest_of(codec.digest, list(self.shards.values()))
        often = Counter((name, value) for its in known for name, value in its.items())
        self.summary: dict[str, Any] = {
            "train": self._counts("train"), "held_out": self._counts("held_out"), "files": len(self.names), "skipped": facts["bad"],
            "attributes": {name: {value: often[name, value] for value in values} for name, values in attributes.items()},
            "rare": facts["rare"], "unlabelled": sum(not its for its in known), "notes": facts["counts"],
            "near-copies across the split": facts["near"],
            "licence": source_music.licence(settings.source),
        }  # fmt: skip

    def _counts(self, split: str) -> dict[str, int]:
        pieces = self.pieces[split]
        return {"examples": len(self.parts[split]), "pieces": len(pieces), "tokens": int(np.diff(self.ends)[pieces].sum())}

    def row(self, piece: Any) -> np.ndarray:
        return self.all[self.ends[piece] : self.ends[piece + 1]]

    def tokens(self, split: str) -> np.ndarray:
        """The tokens of all pieces of a split in a row."""
        return np.concatenate([np.zeros(0, np.int32), *(self.row(i) for i in self.pieces[split])])

    def scores(self, split: str, limit: int | None = None) -> list[Score]:
        """Its pieces, as the codec keeps them; of many, `limit` from all over."""
        pieces = self.pieces[split]
        chosen = pieces if limit is None or limit >= len(pieces) else pieces[np.linspace(0, len(pieces) - 1, limit).astype(int)]
        return [self.codec.decode(self.row(i).tolist()) for i in chosen]

    def _windows(self, pieces: np.ndarray) -> Windows:
        """As many of each piece as cover it once; their places are drawn."""
        counts = -(-np.diff(self.ends)[pieces] // self.settings.context)
        number = np.concatenate([np.arange(0), *(np.arange(count) for count in counts)])
        return Windows(self, np.repeat(pieces, counts), number, np.full(len(number), self.codec.prefix))

    def _covering(self, pieces: np.ndarray) -> Windows:
        """Windows in which each token of a piece counts once, with half a window or more before it but at the beginning."""
        prefix, length = self.codec.prefix, self.codec.prefix + self.settings.context
        found: list[tuple[int, int, int, int]] = []
        for piece in pieces.tolist():
            total = prefix + len(self.row(piece))
            offset, counted = 0, prefix
            while counted < total:
                found.append((piece, len(found), counted, offset))
                counted = offset + length
                offset = max(0, min(counted - length // 2, total - length))
        return Windows(self, *np.array(found, np.int64).reshape(-1, 4).T)

    def change(self, lookahead: int, training: bool) -> Change:
        """Cuts windows: in training transposed, with some of what is known of a piece before it; else as they are, with all of it."""
        return lambda batch, draws: self.cut(batch, draws, lookahead, training)

    def cut(self, batch: Batch, draws: Draws, lookahead: int, train: bool) -> Batch:
        """Which windows -> tokens (n, at most lookahead + prefix + context) int64, -1 where a piece has ended; counted, alike, bool."""
        pieces, width = batch["piece"].tolist(), lookahead + self.codec.prefix + self.settings.context
        known = self.conditions[batch["piece"]]
        before = self.codec.before(shown(known, draws) if train else known, len(pieces), lookahead)
        where, moved = draws.uniform("where", 1)[:, 0].tolist(), draws.uniform("transposed", 1)[:, 0].tolist()
        offsets = batch.get("offset", torch.zeros(len(pieces), dtype=torch.int64)).tolist()
        rows = []
        for i, (piece, number) in enumerate(zip(pieces, batch["number"].tolist(), strict=True)):
            whole = torch.cat([before[i], torch.from_numpy(self.row(piece).astype(np.int64))])
            if train:
                offsets[i] = int(where[i] * (max(0, len(whole) - width) + 1)) if number else 0
                low, high = self.rooms[piece] if self.settings.transpose else (0, 0)
                whole = self.codec.transpose(whole, low + int(moved[i] * (high - low + 1)))
            rows.append(whole[offsets[i] : offsets[i] + width])
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        place = torch.tensor(offsets)[:, None] + torch.arange(tokens.shape[1]) - lookahead
        return {"tokens": tokens, "counted": (tokens >= 0) & (place >= batch["counted"][:, None])}


def by_piece(dataset: MusicDataset, split: str, lookahead: int) -> Iterator[tuple[int, Batch]]:
    """(piece, the batch of one window) over a split in order: for what is measured of each piece."""
    windows = dataset.parts[split]
    for i in range(len(windows)):
        batch = windows.batch(np.array([i]))
        yield int(batch["piece"][0]), dataset.cut(batch, Draws(0, -1, torch.tensor([i])), lookahead, train=False)
