"""Batches of fixed windows of a long row of tokens: an epoch shifts the grid of windows by a
computed offset and visits each once."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from genwright.contents.text.documents import Documents
from genwright.core.contracts import Batch, Source
from genwright.core.draws import key
from genwright.core.errors import GenwrightError
from genwright.data.examples import ExampleStream, visits

_AHEAD = 1 << 16  # tokens that are fetched together


@lru_cache(64)
def _epoch_shift(seed: int, epoch: int, shifts: int) -> int:
    """By how many tokens an epoch's windows are shifted: in [0, shifts)."""
    return (key(seed, epoch, "shift") & 0xFFFFFFFF) * shifts >> 32


class Tokens:
    """The tokens of one split over all its shards, as one 1-D array: `len`, slices and `np.asarray`
    work as on a memory map."""

    def __init__(self, shards: list[np.ndarray], dtype: np.dtype):
        self.shards = [shard for shard in shards if len(shard)]
        self.dtype = dtype
        self.bounds = np.cumsum([0, *map(len, self.shards)]).tolist()
        self.shape = (self.bounds[-1],)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index):
        chosen = range(len(self))[index]
        if isinstance(chosen, int):
            return self[chosen : chosen + 1][0]
        if chosen.step != 1:
            return self[:][index]
        out = np.empty(len(chosen), self.dtype)
        self.copy(chosen.start, out)
        return out

    def __array__(self, dtype=None, copy=None):
        return self[:].astype(dtype or self.dtype, copy=False)

    def copy(self, start: int, out: np.ndarray) -> None:
        """Fills `out` with the tokens from `start` on, across shards."""
        shard = bisect_right(self.bounds, start) - 1
        done = 0
        while done < len(out):
            first = start + done - self.bounds[shard]
            taken = self.shards[shard][first : first + len(out) - done]
            out[done : done + len(taken)] = taken
            done += len(taken)
            shard += 1


class Row(Protocol):
    """A row of tokens that windows are cut from."""

    def __len__(self) -> int: ...

    def copy(self, start: int, out: np.ndarray) -> None:
        """Fills `out` with the tokens from `start` on."""


class Places(Protocol):
    """Which documents the tokens of a row are of."""

    def of(self, tokens: np.ndarray) -> np.ndarray:
        """int64, of the shape of `tokens`: a number for the document that each is of."""

    def sources(self, start: int, stop: int) -> list[Source]:
        """The documents of the tokens from start to before stop, in order."""


class Repeated:
    """Documents of a split as a row in which each stands as often as it counts: a `Row`, and its
    `Places`. A copy is a document of its own.

    tokens, documents: of the split. slots: (slots,) int64, which document stands there; starts:
    (slots + 1,) int64, the token of the row that it begins at, then how many there are."""

    def __init__(self, tokens: Tokens, documents: Documents, slots: np.ndarray, starts: np.ndarray):
        self.tokens = tokens
        self.documents = documents
        self.slots = slots
        self.starts = starts

    def __len__(self) -> int:
        return int(self.starts[-1])

    def copy(self, start: int, out: np.ndarray) -> None:
        """See `Row`."""
        slot = int(self.of(np.array(start)))
        done = 0
        while done < len(out):
            offset = start + done - int(self.starts[slot])
            taken = min(len(out) - done, int(self.starts[slot + 1]) - start - done)
            first = int(self.documents.starts[self.slots[slot]]) + offset
            self.tokens.copy(first, out[done : done + taken])
            done += taken
            slot += 1

    def of(self, tokens: np.ndarray) -> np.ndarray:
        """The slot of each token; see `Places`."""
        return np.searchsorted(self.starts, tokens, side="right") - 1

    def sources(self, start: int, stop: int) -> list[Source]:
        """See `Places`."""
        found = []
        for slot in np.unique(self.of(np.arange(start, stop))).tolist():
            offset = max(0, start - int(self.starts[slot]))
            found.append(self.documents.source(int(self.slots[slot]), offset))
        return found


class Windows:
    """Windows of one split, `width` tokens each, named by the token that they begin with, as
    `examples.Split` names its examples by number.

    documents: of the split; isolate: whether a batch says which document each token is of."""

    def __init__(self, tokens: Row, documents: Places, width: int, isolate: bool = False):
        self.tokens = tokens
        self.documents = documents
        self.width = width
        self.isolate = isolate

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, starts: np.ndarray) -> Batch:
        """{"tokens": (n, width) int64 and, with isolated documents, "documents" alike}, -1 where
        the split has ended. starts: (n,) int64."""
        tokens = np.full((len(starts), self.width), -1, np.int64)
        left = len(self.tokens) - starts  # (n,) tokens from there to the end of the split
        for row, start, there in zip(tokens, starts.tolist(), left.tolist(), strict=True):
            self.tokens.copy(start, row if there >= self.width else row[:there])
        batch = {"tokens": torch.from_numpy(tokens)}
        if self.isolate:
            places = np.arange(self.width)
            documents = self.documents.of(starts[:, None] + places)  # (n, width)
            inside = places < left[:, None]
            batch["documents"] = torch.from_numpy(np.where(inside, documents, -1))
        return batch

    def sources(self, starts: np.ndarray) -> list[Source]:
        """Of each window in turn the documents that it touches, in order."""
        found = []
        for start in starts.tolist():
            stop = min(start + self.width, len(self.tokens))
            found += self.documents.sources(start, stop)
        return found


class SideBySide:
    """Where windows begin that lie side by side, as an array would say it."""

    def __init__(self, count: int, width: int):
        self.count = count
        self.width = width

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        """(n,) int64."""
        return numbers * self.width


class TextStream(ExampleStream):
    """See `contracts.Stream`. An epoch's windows lie side by side, all moved by as many tokens.

    windows: `context` tokens and the lookahead wide; vocabulary: tokens from it on are damage.
    Raises GenwrightError where there is no whole window."""

    def __init__(self, windows: Windows, context: int, vocabulary: int, batch_size: int, seed: int):
        self.units = context
        self.context = context
        self.vocabulary = vocabulary
        self.width = windows.width
        lookahead = windows.width - context
        length = len(windows) - lookahead
        whole = length // context
        if whole < 1:
            raise GenwrightError(
                f"data.context = {context} is longer than the training data"
                f" ({length + lookahead} tokens)",
                "lower data.context or add data",
            )
        super().__init__(windows, batch_size, seed, "tokens")
        # One window less than fit, so that any shift leaves an epoch the same number of windows.
        self.windows = max(1, whole - 1)
        self.shifts = min(context, length - self.windows * context + 1)
        # the number of a block of positions, and its batches: name -> (positions, size, width)
        self._block: tuple[int, dict[str, np.ndarray]] | None = None

    def indices(self, position: int, examples: Tensor) -> np.ndarray:
        """(n,) where the windows of those examples begin."""
        epochs, order = visits(position * self.size + examples.numpy(), self.windows, self.seed)
        shifts = [_epoch_shift(self.seed, epoch, self.shifts) for epoch in epochs.tolist()]
        return order * self.context + np.array(shifts, np.int64)

    def batch(self, position: int, examples: Tensor, policy: Any = None) -> Batch:
        """Small batches are made some at a time, which costs hardly more than one."""
        ahead = _AHEAD // (self.size * self.width)
        if ahead < 2:
            return self._checked(super().batch(position, examples), position)
        number, row = divmod(position, ahead)
        if self._block is None or self._block[0] != number:
            self._block = (number, self._fetched(number * ahead, ahead))
        return {
            name: torch.from_numpy(rows[row].take(examples.numpy(), 0))
            for name, rows in self._block[1].items()
        }

    def _fetched(self, position: int, count: int) -> dict[str, np.ndarray]:
        """name -> (count, size, width): the whole batches of `count` positions, from this one."""
        examples = torch.arange(count * self.size)
        batch = self._checked(super().batch(position, examples), position)
        return {name: rows.numpy().reshape(count, self.size, -1) for name, rows in batch.items()}

    def _checked(self, batch: Batch, position: int) -> Batch:
        tokens = batch["tokens"].numpy()  # whose maximum takes a fraction of torch's time
        if tokens.size and tokens.max() >= self.vocabulary:
            wrong = (tokens >= self.vocabulary).any(1)  # (n,)
            position += int(wrong.argmax()) // self.size
            raise GenwrightError(
                f"the batch at position {position} holds token {tokens.max()}, outside of the"
                f" vocabulary of {self.vocabulary}",
                "the shards were changed on disk: delete them from the cache and prepare again",
            )
        return batch
