"""Prepared music, opened: its pieces, and the windows of them that a model learns from.

A window is a row of tokens: the lookahead's places, the conditions' places, then music. In training
a piece has as many windows as cover it once, the first from its beginning, the others from any row,
each transposed. Of what is held out, each token counts in one window.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from genwright.contents.music import sources as source_music
from genwright.contents.music.codec import MusicCodec
from genwright.contents.music.draft import lost_of
from genwright.contents.music.likeness import near_copies
from genwright.contents.music.prepare import PIECES, TOKENS
from genwright.contents.music.score import Score
from genwright.core.attributes import decode, encode, random_subset
from genwright.core.contracts import DIGEST_DIGITS, Batch, Source
from genwright.core.dataset import Dataset
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError, in_words
from genwright.core.files import digest, json_text, write_whole
from genwright.data.balance import Wanted, attributes_in, balance_of
from genwright.data.cache import SPLITS, digest_of, writing
from genwright.data.content import of_sources
from genwright.data.examples import Change, ExampleDataset, ExampleStream, Split

FORMAT = 6  # part of every key: raise it when the same files would give other tokens
ANY_ROW = -1  # in a table of windows: the window begins at a row that is drawn


class Opened(NamedTuple):
    """What a dataset is opened from. folder: of the cache, with `prepare`'s files; facts: what
    PIECES holds; sides: "train", "held_out" or "test" of each piece; contents: name of a file ->
    SHA-256; times: how often each piece is taken in training, where that is not once."""

    folder: Path
    facts: dict[str, Any]
    sides: Sequence[str]
    contents: Mapping[str, str]
    times: Sequence[int] = ()


class MusicDataset(ExampleDataset):
    """Prepared music, opened.

    names: of the pieces. all_tokens: (n,) int32, all pieces in a row. conditions: (pieces, columns)
    float32, what is known of each. transposition_ranges: of each piece (lowest, highest) semitones.
    contents: name of a file -> SHA-256.
    pieces: split -> the numbers of its pieces. parts: split -> its windows. digest: SHA-256 over
    codec, tokens, conditions and split. summary: windows and pieces of the splits, what was
    skipped, what the grid lost, near-copies across the split, the licence."""

    unit = "windows"
    codec: MusicCodec
    summary: dict[str, Any]

    def __init__(
        self,
        codec: MusicCodec,
        opened: Opened,
        context: int,
        transpose: bool,
        source: str,
    ):
        self.codec = codec
        self.context = context
        self.transpose = transpose
        self.contents = opened.contents
        self.folder = folder = opened.folder
        facts = opened.facts
        sides = opened.sides
        self.all_tokens = _load_tokens(folder)
        rows = facts["pieces"]
        self.names: list[str] = [name for name, *_ in rows]
        self.transposition_ranges: list[tuple[int, int]] = [span for _, _, span, _ in rows]
        known = [values for *_, values in rows]
        attributes = codec.space.attributes
        self.conditions = torch.stack([encode(attributes, values) for values in known])
        self._sizes: list[int] = [size for _, size, *_ in rows]  # tokens of each piece
        self._ends = np.cumsum([0, *self._sizes])  # piece i: ends i .. i + 1

        self._times = opened.times
        every_side = np.array(sides)
        self.pieces = {name: np.flatnonzero(every_side == name) for name in (*SPLITS, "test")}
        width = codec.prefix + context
        several_periods = 0 < 2 * codec.period <= width
        self.aligned = codec.period if several_periods else 1  # windows begin at multiples of it
        self.parts = {name: self._windows(name) for name in self.pieces}
        self.shards = {f"{folder.name}/{name}": digest(folder / name) for name in (TOKENS, PIECES)}
        decided = [list(sides), list(opened.times)] if opened.times else sides
        self.digest = digest_of(codec.digest, list(self.shards.values()), decided)
        self.summary = self._summary(facts, known)
        self.summary |= self._copies_across(facts["tunes"], sides)
        self.summary["licence"] = source_music.licence(source)
        self.summary["content"] = of_sources({side: self._documents(side) for side in SPLITS})

    def balance_by(self, wanted: Wanted, by: str) -> None:
        """Lets training windows count so that pieces' attributes have the shares that are wanted
        (see `balance_of`). A window counts like its piece. Raises GenwrightError."""
        if not wanted:
            return
        pieces = self.pieces["train"]
        if self._times:
            pieces = np.repeat(pieces, np.array(self._times)[pieces])
        possible = self.codec.space.attributes
        known = [decode(possible, self.conditions[piece]) for piece in pieces.tolist()]
        values = {}
        for name in attributes_in(wanted):
            if name in possible:
                values[name] = [tuple(own.get(name, ())) for own in known]
        balance = balance_of(wanted, by, values, "pieces", list(possible))
        if balance is None:
            return
        train = self.parts["train"]
        piece_of = train.x(np.arange(len(train)))[:, 0].numpy()  # (windows,)
        self.rebalance(balance.of_parts(np.searchsorted(pieces, piece_of)))
        self.summary["balance"] = list(balance.remarks)

    def _summary(self, facts: dict[str, Any], known: Sequence[dict[str, str]]) -> dict[str, Any]:
        """What a person is told about the data. known: of each piece attribute -> value."""
        often: Counter[tuple[str, str]] = Counter()
        for values in known:
            often.update(values.items())
        attributes: dict[str, dict[str, int]] = {}
        for name, possible in self.codec.space.attributes.items():
            attributes[name] = {value: often[name, value] for value in possible}
        lost = lost_of(facts["counts"], self.codec.settings.per_quarter)
        summary: dict[str, Any] = {}
        for side in SPLITS:
            summary[side] = {
                "examples": len(self.parts[side]),
                "pieces": len(self.pieces[side]),
                "tokens": len(self.tokens(side)),
            }
        summary["files"] = len(self.names)
        summary["skipped"] = list(facts["bad"])
        summary["attributes"] = attributes
        summary["rare"] = facts["rare"]
        summary["unlabelled"] = sum(not values for values in known)
        summary["notes"] = facts["counts"]
        summary["remarks"] = [lost] if lost else []
        return summary

    def _copies_across(self, tunes: Sequence[str], sides: Sequence[str]) -> dict[str, int]:
        """How many held-out pieces stand in training too, exactly or nearly, counted once for the
        same sides. tunes: the fingerprint of each piece."""
        name = digest_of(FORMAT, self.folder.name, sides)
        kept = self.folder.parent / "sides" / f"{name}.json"
        if kept.is_file():
            return json.loads(kept.read_text(encoding="utf-8"))
        trained = {tunes[piece] for piece in self.pieces["train"].tolist()}
        copies = sum(tunes[piece] in trained for piece in self.pieces["held_out"].tolist())
        near = near_copies(self.scores("train"), self.scores("held_out"))
        found = {"copies across the split": copies, "near-copies across the split": len(near)}
        with writing(kept.parent):
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, json_text(found))
        return found

    def row(self, piece: Any) -> np.ndarray:
        """(n,) int32, the tokens of a piece."""
        return self.all_tokens[self._ends[piece] : self._ends[piece + 1]]

    def piece_lengths(self, split: str) -> np.ndarray:
        """(pieces,) int64: the tokens of each piece of a split."""
        return np.array(self._sizes, np.int64)[self.pieces[split]]

    def tokens(self, split: str) -> np.ndarray:
        """(n,) int32, the tokens of all pieces of a split in a row."""
        nothing = np.zeros(0, np.int32)
        return np.concatenate([nothing, *(self.row(piece) for piece in self.pieces[split])])

    def scores(self, split: str, limit: int | None = None) -> list[Score]:
        """The pieces of a split, as the codec keeps them; of many, `limit` from all over."""
        pieces = self.pieces[split]
        if limit is not None and limit < len(pieces):
            pieces = pieces[np.linspace(0, len(pieces) - 1, limit).astype(int)]
        scores = []
        for piece in pieces:
            score = self.codec.decode(self.row(piece).tolist())
            facts = {"title": self.names[piece]}
            scores.append(replace(score, facts=facts, names=self.codec.voice_names))
        return scores

    def _windows(self, split: str) -> Split:
        """The windows of a split as rows: piece, the first place that counts, where the window
        begins. Places are those of the conditions, then of the piece."""
        rows: list[tuple[int, int, int]] = []
        for piece in self.pieces[split].tolist():
            size = len(self.row(piece))
            if split == "train":
                times = self._times[piece] if self._times else 1
                rows += self._training_windows(piece, size) * times
            else:
                rows += self._counting_windows(piece, size)
        table = np.array(rows, np.int64).reshape(-1, 3)
        return Split(
            np.arange(len(table)),
            lambda which: torch.from_numpy(table[which]),
            lambda window: self.names[table[window, 0]],
            None,
        )

    def _training_windows(self, piece: int, size: int) -> list[tuple[int, int, int]]:
        """As many windows as cover a piece of `size` tokens once, the first from its beginning, the
        others from any row."""
        prefix = self.codec.prefix
        count = -(-size // self.context)
        return [(piece, prefix, ANY_ROW if window else 0) for window in range(count)]

    def _counting_windows(self, piece: int, size: int) -> list[tuple[int, int, int]]:
        """Windows in which each token of a piece of `size` tokens counts once, with about half a
        window or more before it but at the beginning."""
        prefix = self.codec.prefix
        width = prefix + self.context
        total = prefix + size
        windows = []
        counted = prefix
        begin = 0
        while counted < total:
            windows.append((piece, counted, begin))
            counted = begin + width
            half_before = counted - width // 2
            last = total - width
            begin = self._align(max(0, min(half_before, last)))
        return windows

    def _align(self, place: int) -> int:
        """The first place, from this one on, at which a window may begin."""
        return -(-place // self.aligned) * self.aligned

    def _documents(self, side: str) -> list[Source]:
        """The pieces of a side, each as often as it is trained on."""
        found = []
        for piece in self.pieces[side].tolist():
            times = self._times[piece] if self._times else 1
            found += [self.source(piece, 0)] * times
        return found

    def source(self, piece: int, offset: int) -> Source:
        """Where a window of a piece comes from. offset: its first token of the piece."""
        name = self.names[piece]
        file = source_music.file_of(name, self.contents)
        file_digest = self.contents.get(file, "")[:DIGEST_DIGITS]
        return Source(name, file, file_digest, offset)

    def stream(self, batch_size: int, seed: int, lookahead: int = 1) -> ExampleStream:
        """Batches of the training split."""
        return MusicStream(self, batch_size, seed, lookahead)

    def window_start(self, piece: int, begin: int, drawn: float, lookahead: int) -> int:
        """Where a window of training begins, counted from the first of the lookahead's and the
        conditions' places, which stand before the piece. begin: as in `_windows`; drawn: which of
        the rows it begins at, where any will do, 0 to 1."""
        if begin != ANY_ROW:
            return 0
        before = lookahead + self.codec.prefix
        width = before + self.context
        total = before + self._sizes[piece]
        beyond = max(0, total - width)  # places that do not fit
        rows = self._align(beyond) // self.aligned + 1
        return int(drawn * rows) * self.aligned

    def change(self, lookahead: int, training: bool) -> Change:
        """What cuts windows: in training transposed, with some of what is known of a piece before
        it; else as they are, with all of it. It gives tokens (n, at most lookahead + prefix +
        context) int64, -1 where a piece has ended; counted, alike, bool."""
        return _Cut(self, lookahead, training)


class _Cut:
    """See `MusicDataset.change`."""

    def __init__(self, dataset: MusicDataset, lookahead: int, training: bool):
        self.dataset = dataset
        self.lookahead = lookahead
        self.training = training
        self.width = lookahead + dataset.codec.prefix + dataset.context

    def __call__(self, batch: Batch, draws: Draws) -> Batch:
        """The tokens of windows. batch: x, (n, 3) rows of `MusicDataset._windows`."""
        pieces, counted, begins = batch["x"].T
        known = self.dataset.conditions[pieces]  # (n, columns)
        if self.training:
            known = random_subset(known, draws)
        before = self.dataset.codec.before(known, len(pieces), self.lookahead)
        place_draws = draws.uniform("where", 1)[:, 0].tolist()
        shift_draws = draws.uniform("transposed", 1)[:, 0].tolist()
        rows = []
        offsets = []
        first_places = begins.tolist()
        for i, piece in enumerate(pieces.tolist()):
            music = torch.from_numpy(self.dataset.row(piece).astype(np.int64))
            whole = torch.cat([before[i], music])
            begin = first_places[i]
            if self.training:
                begin = self.dataset.window_start(piece, begin, place_draws[i], self.lookahead)
                whole = self._transposed(whole, piece, shift_draws[i])
            rows.append(whole[begin : begin + self.width])
            offsets.append(begin - self.lookahead)
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        place = torch.tensor(offsets)[:, None] + torch.arange(tokens.shape[1])  # (n, time)
        return {"tokens": tokens, "counted": (tokens >= 0) & (place >= counted[:, None])}

    def _transposed(self, tokens: Tensor, piece: int, drawn: float) -> Tensor:
        """A piece by as many semitones as are drawn. drawn: even, 0 to 1."""
        low = 0
        high = 0
        if self.dataset.transpose:
            low, high = self.dataset.transposition_ranges[piece]
        semitones = low + int(drawn * (high - low + 1))
        return self.dataset.codec.transpose(tokens, semitones)


class MusicStream(ExampleStream):
    """See `contracts.Stream`: windows of the training pieces, each from a place of its own."""

    def __init__(self, dataset: MusicDataset, batch_size: int, seed: int, lookahead: int):
        change = dataset.change(lookahead, training=True)
        train = dataset.parts["train"]
        super().__init__(train, batch_size, seed, dataset.unit, change, dataset.balance)
        self.dataset = dataset
        self.lookahead = lookahead

    def sources(self, position: int, examples: Tensor) -> list[Source]:
        """Of each window its piece."""
        windows = self.split.batch(self.indices(position, examples))["x"].tolist()
        # the same numbers as `_Cut` cuts by
        drawn = Draws(self.seed, position, examples).uniform("where", 1)[:, 0].tolist()
        before = self.lookahead + self.dataset.codec.prefix
        found = []
        for (piece, _, begin), share in zip(windows, drawn, strict=True):
            start = self.dataset.window_start(piece, begin, share, self.lookahead)
            found.append(self.dataset.source(piece, max(0, start - before)))
        return found


def _load_tokens(folder: Path) -> np.ndarray:
    """(n,) int32, mapped from the file. Raises GenwrightError."""
    try:
        return np.load(folder / TOKENS, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise GenwrightError(
            f"the prepared music in {folder} is damaged ({in_words(error)})", "delete the folder"
        ) from None


def by_piece(dataset: MusicDataset, split: str, lookahead: int) -> Iterator[tuple[int, Batch]]:
    """(piece, the batch of one window) over a split in order: for what is measured of each
    piece."""
    windows = dataset.parts[split]
    cut = dataset.change(lookahead, training=False)
    for window in range(len(windows)):
        batch = windows.batch(np.array([window]))
        piece = int(batch["x"][0, 0])
        yield piece, cut(batch, Draws(0, -1, torch.tensor([window])))


def pieces_of(dataset: Dataset) -> MusicDataset:
    """The data of a run that makes music, as what they are."""
    return cast(MusicDataset, dataset)
