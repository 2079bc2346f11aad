"""Batches of fixed windows of a long row of tokens, as a pure function of (seed, position): nothing is iterated, nothing saved.

An epoch shifts the grid of windows by a computed offset and visits the windows in a computed order, each exactly once. The order is a
bijection on k bits (multiplications by odd numbers and xor-shifts, as in the finalisers of hash functions) that walks on while it lands
outside of the range ("cycle walking", Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from genwright.contracts import Batch
from genwright.draws import key
from genwright.errors import GenwrightError

if TYPE_CHECKING:
    from genwright.data.text import TextDataset

_ROUNDS = 3
_AHEAD = 1 << 16  # tokens that are fetched together


def permute(index: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """(n,) indices in [0, size) -> their places in the order of an epoch: a bijection of [0, size). int64 in and out."""
    bits = max(1, (size - 1).bit_length())
    mask, shift = (1 << bits) - 1, bits // 2 + 1
    keys = _epoch_keys(seed, epoch, mask)
    out, todo = index, None
    while todo is None or todo.size:
        x = out if todo is None else out[todo]
        for add, multiply in keys:
            x = ((x + add) * multiply) & mask  # wraps at 64 bits, which keeps the low `bits` exact
            x ^= x >> shift
        if todo is None:
            out = x
            todo = np.flatnonzero(out >= size)
        else:
            out[todo] = x
            todo = todo[x >= size]
    return out


@lru_cache(64)
def _epoch_keys(seed: int, epoch: int, mask: int) -> list[tuple[int, int]]:
    """(added, odd factor) of each round."""
    return [(key(seed, epoch, "add", i) & mask, key(seed, epoch, "multiply", i) & mask | 1) for i in range(_ROUNDS)]


@lru_cache(64)
def _epoch_shift(seed: int, epoch: int, shifts: int) -> int:
    """By how many tokens an epoch's windows are shifted: in [0, shifts)."""
    return (key(seed, epoch, "shift") & 0xFFFFFFFF) * shifts >> 32


def visits(numbers: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of visits since the beginning -> their epochs, and which of `size` things each is to."""
    epochs, index = np.divmod(numbers, size)
    order = np.empty_like(index)
    for epoch in range(int(epochs.min()), int(epochs.max()) + 1) if epochs.size else ():
        here = epochs == epoch
        order[here] = permute(index[here], size, seed, epoch)
    return epochs, order


class Tokens:
    """The tokens of one split over all its shards, as one 1-D array: `len`, slices and `np.asarray` work as on a memory map."""

    ndim = 1

    def __init__(self, shards: list[np.ndarray], dtype: np.dtype):
        self.shards = [shard for shard in shards if len(shard)]
        self.bounds = np.cumsum([0, *map(len, self.shards)]).tolist()
        self.dtype, self.size = dtype, self.bounds[-1]
        self.shape = (self.size,)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index):
        if not isinstance(index, slice):
            index = range(self.size)[index]
            shard = bisect_right(self.bounds, index) - 1
            return self.shards[shard][index - self.bounds[shard]]
        start, stop, step = index.indices(self.size)
        if step != 1:
            return self[:][index]
        out = np.empty(max(0, stop - start), self.dtype)
        self.copy(start, out)
        return out

    def __array__(self, dtype=None, copy=None):
        return self[:].astype(dtype or self.dtype, copy=False)

    def copy(self, start: int, out: np.ndarray) -> None:
        """Fills `out` with the tokens from `start` on, across shards."""
        shard, done = bisect_right(self.bounds, start) - 1, 0
        while done < len(out):
            at = start + done - self.bounds[shard]
            taken = self.shards[shard][at : at + len(out) - done]
            out[done : done + len(taken)] = taken
            done += len(taken)
            shard += 1


class TextStream:
    """See `contracts.Stream`. batch -> {"tokens": (n, context + lookahead) int64} and, with isolated documents, "documents" alike."""

    def __init__(self, dataset: TextDataset, batch_size: int, seed: int, lookahead: int):
        self.size, self.seed, self.dataset = batch_size, seed, dataset
        self.units, self.unit = dataset.context, "tokens"  # what speed is counted in
        self.context, self.width = dataset.context, dataset.context + lookahead
        self.tokens = dataset.tokens("train")
        self.isolated, self.vocabulary = dataset.isolate_documents, dataset.codec.space.vocabulary
        length = len(self.tokens) - lookahead
        whole = length // self.context
        if whole < 1:
            what = f"data.context = {self.context} is longer than the training data ({len(self.tokens)} tokens)"
            raise GenwrightError(what, "lower data.context or add data")
        # One window less than fit, so that any shift leaves an epoch the same number of windows.
        self.made: tuple[int, np.ndarray] | None = None
        self.windows = max(1, whole - 1)
        self.shifts = min(self.context, length - self.windows * self.context + 1)

    def starts(self, position: int, examples: np.ndarray) -> np.ndarray:
        """(n,) where the windows of those examples begin."""
        epochs, order = visits(position * self.size + examples, self.windows, self.seed)
        return order * self.context + np.array([_epoch_shift(self.seed, epoch, self.shifts) for epoch in epochs.tolist()], np.int64)

    def gather(self, starts: np.ndarray, position: int) -> np.ndarray:
        """(n, width) int64: the windows that begin there."""
        tokens = np.empty((len(starts), self.width), np.int64)
        for row, start in zip(tokens, starts.tolist(), strict=True):
            self.tokens.copy(start, row)
        if tokens.size and tokens.max() >= self.vocabulary:
            position += int(np.argmax((tokens >= self.vocabulary).any(1))) // self.size
            what = f"the batch at position {position} holds token {tokens.max()}, outside of the vocabulary of {self.vocabulary}"
            raise GenwrightError(what, "the shards were changed on disk: delete them from the cache and prepare again")
        return tokens

    def windows_at(self, position: int, examples: np.ndarray) -> np.ndarray:
        """(n, width) tokens. Small batches are made some at a time, which costs hardly more than one."""
        ahead = _AHEAD // (self.size * self.width)
        if ahead < 2:
            return self.gather(self.starts(position, examples), position)
        block, row = divmod(position, ahead)
        if self.made is None or self.made[0] != block:
            starts = self.starts(block * ahead, np.arange(ahead * self.size))
            self.made = (block, self.gather(starts, block * ahead).reshape(ahead, self.size, self.width))
        return self.made[1][row].take(examples, 0)

    def batch(self, position: int, examples: Tensor, policy: Any = None) -> Batch:
        batch = {"tokens": torch.from_numpy(self.windows_at(position, examples.numpy()))}
        if self.isolated:
            starts = self.starts(position, examples.numpy())
            batch["documents"] = torch.from_numpy(self.dataset.document_ids("train", starts[:, None] + np.arange(self.width)))
        return batch

    def describe(self, position: int, examples: Tensor) -> str:
        found = (self.dataset.document_at("train", start) for start in self.starts(position, examples.numpy()).tolist())
        return ", ".join(f"{name} (from token {offset})" for name, offset in found)


class HeldOut:
    """Windows side by side that cover a whole split, so that every token after the first is a target exactly once (lookahead 1) or
    every token stands in one window (lookahead 0). Where the last window has no token, the id is -1."""

    def __init__(self, dataset: TextDataset, lookahead: int, split: str):
        self.dataset, self.split, self.tokens = dataset, split, dataset.tokens(split)
        self.context, self.width = dataset.context, dataset.context + lookahead
        self.windows = -(-max(0, len(self.tokens) - lookahead) // self.context)

    def batch(self, start: int, stop: int) -> Batch:
        """Windows start .. stop - 1: {"tokens": (n, context + lookahead) int64 [, "documents"]}."""
        first = np.arange(start, min(stop, self.windows)) * self.context
        tokens = np.full((len(first), self.width), -1, np.int64)
        for row, at in zip(tokens, first.tolist(), strict=True):
            self.tokens.copy(at, row[: len(self.tokens) - at])
        batch = {"tokens": torch.from_numpy(tokens)}
        if self.dataset.isolate_documents:
            places = first[:, None] + np.arange(self.width)
            ids = self.dataset.document_ids(self.split, places)
            batch["documents"] = torch.from_numpy(np.where(places < len(self.tokens), ids, -1))
        return batch
