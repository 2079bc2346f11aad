"""Batches of fixed windows of a long row of tokens: an epoch shifts the grid of windows by a
computed offset and visits each once."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from genwright.core.contracts import Batch
from genwright.core.draws import key
from genwright.core.errors import GenwrightError
from genwright.data.examples import ExampleStream, visits

if TYPE_CHECKING:
    from genwright.contents.text.data import TextDataset

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
            at = start + done - self.bounds[shard]
            taken = self.shards[shard][at : at + len(out) - done]
            out[done : done + len(taken)] = taken
            done += len(taken)
            shard += 1


class Windows:
    """Windows of one split, `width` tokens each, named by the token that they begin with, as
    `examples.Split` names its examples by number.
    batch: {"tokens": (n, width) int64 and, with isolated documents, "documents" alike}, -1 where
    the split has ended."""

    def __init__(self, dataset: TextDataset, split: str, width: int):
        self.dataset = dataset
        self.split = split
        self.tokens = dataset.tokens(split)
        self.width = width

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, starts: np.ndarray) -> Batch:
        tokens = np.full((len(starts), self.width), -1, np.int64)
        left = len(self.tokens) - starts
        for row, start, there in zip(tokens, starts.tolist(), left.tolist(), strict=True):
            self.tokens.copy(start, row if there >= self.width else row[:there])
        batch = {"tokens": torch.from_numpy(tokens)}
        if self.dataset.isolate_documents:
            ids = self.dataset.document_ids(self.split, starts[:, None] + np.arange(self.width))
            batch["documents"] = torch.from_numpy(
                np.where(np.arange(self.width) < left[:, None], ids, -1)
            )
        return batch

    def names(self, starts: np.ndarray) -> list[str]:
        found = (self.dataset.document_at(self.split, start) for start in starts.tolist())
        return [f"{name} (from token {offset})" for name, offset in found]


class TextStream(ExampleStream):
    """See `contracts.Stream`. An epoch's windows lie side by side, all moved by as many tokens;
    lookahead: tokens beyond the context."""

    def __init__(self, dataset: TextDataset, batch_size: int, seed: int, lookahead: int):
        self.units = dataset.context
        self.context = dataset.context
        self.vocabulary = dataset.codec.space.vocabulary
        length = len(dataset.tokens("train")) - lookahead
        whole = length // self.context
        if whole < 1:
            what = f"data.context = {self.context} is longer than the training data ({length + lookahead} tokens)"
            raise GenwrightError(what, "lower data.context or add data")
        super().__init__(
            Windows(dataset, "train", self.context + lookahead), batch_size, seed, "tokens"
        )
        # One window less than fit, so that any shift leaves an epoch the same number of windows.
        self.windows = max(1, whole - 1)
        self.shifts = min(self.context, length - self.windows * self.context + 1)
        self.made: tuple[int, dict[str, np.ndarray]] | None = None

    def indices(self, position: int, examples: Tensor) -> np.ndarray:
        """(n,) where the windows of those examples begin."""
        epochs, order = visits(position * self.size + examples.numpy(), self.windows, self.seed)
        return order * self.context + np.array(
            [_epoch_shift(self.seed, epoch, self.shifts) for epoch in epochs.tolist()], np.int64
        )

    def batch(self, position: int, examples: Tensor, policy: Any = None) -> Batch:
        """Small batches are made some at a time, which costs hardly more than one."""
        ahead = _AHEAD // (self.size * self.split.width)
        if ahead < 2:
            return self._checked(super().batch(position, examples), position)
        block, row = divmod(position, ahead)
        if self.made is None or self.made[0] != block:
            made = self._checked(
                super().batch(block * ahead, torch.arange(ahead * self.size)), block * ahead
            )
            self.made = (
                block,
                {name: rows.numpy().reshape(ahead, self.size, -1) for name, rows in made.items()},
            )
        return {
            name: torch.from_numpy(rows[row].take(examples.numpy(), 0))
            for name, rows in self.made[1].items()
        }

    def _checked(self, batch: Batch, position: int) -> Batch:
        tokens = batch["tokens"].numpy()  # whose maximum takes a fraction of torch's time
        if tokens.size and tokens.max() >= self.vocabulary:
            position += int((tokens >= self.vocabulary).any(1).argmax()) // self.size
            what = f"the batch at position {position} holds token {tokens.max()}, outside of the vocabulary of {self.vocabulary}"
            raise GenwrightError(
                what,
                "the shards were changed on disk: delete them from the cache and prepare again",
            )
        return batch
