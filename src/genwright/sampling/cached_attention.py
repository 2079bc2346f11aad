"""Attention of one new position a row to all that are cached, in the two forms that
`folded.FoldedStepper` chooses from.

`BatchedAttention`: two batched products. `BaggedAttention`: the same sums as `F.embedding_bag`,
which streams through the cache at two to three times the speed of products of single rows: what a
query takes from values is the sum of their rows, weighted by its chances; and its scores against
keys that lie transposed are the sum of their rows, weighted by the query's features.
It takes longer to begin, so that it pays from many rows on. From many rows on, too, the time goes
by in reading the cache; so rows that have one prompt read one copy of it.

Shapes: B rows, K key-value heads, M = B * K, N = K times prompts that differ, G queries a key, D
head width, P positions so far.
"""

import math
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# features of all queries of a step from which sums of rows pay
_MANY = 4096
_ALIGNED = 16  # positions: what rows of keys are a multiple of, a cache line


class CachedAttention(Protocol):
    """Keys and values of all layers. Queries and keys are rotated, and scaled by
    `D ** -0.25` each."""

    def begin(self, place: int) -> None:
        """A step begins, whose new position is `place`; all before it are filled."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Keeps a layer's new key (M, D) and value (B, K, D); gives what its queries (M, G, D) take
        from all values, (B, K * G * D)."""


def cached_attention(
    keys: Tensor,
    values: Tensor,
    prompt_of: Tensor | None,
    length: int,
    groups: int,
    heads: int,
    hidden: Tensor | None,
) -> CachedAttention:
    """The faster form. keys: (depth, N, D, P) of what was read, transposed, rotated and scaled.
    values: (depth, N, P, D) of it. prompt_of: (M,) int64, which of the N each of M goes on from;
    None: each from its own. length: positions there is to be room for. groups: G. heads: K. hidden:
    (M, 1, length), added to scores, or None."""
    prompts, width = keys.shape[1:3]
    merged = prompts if prompt_of is None else len(prompt_of)
    vectorised = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    if groups == 1 and merged * width >= _MANY and keys.is_cpu and vectorised:
        if prompt_of is None:
            prompt_of = torch.arange(prompts)
        return BaggedAttention(keys, values, prompt_of, length, heads, hidden)
    if prompt_of is not None:
        keys = keys[:, prompt_of]
        values = values[:, prompt_of]
    return BatchedAttention(keys, values, length, heads, hidden)


class BatchedAttention:
    """See the module; keys (depth, M, D, room) are stored transposed."""

    def __init__(
        self, keys: Tensor, values: Tensor, length: int, heads: int, hidden: Tensor | None
    ):
        depth, merged, width, time = keys.shape
        self.rows = merged // heads
        # an odd number of cache lines, so that the D places of one position do not share a set of
        # the processor's cache
        room = length // 32 * 32 + 48
        self.keys = keys.new_empty(depth, merged, width, room)
        self.keys[..., :time] = keys
        self.values = keys.new_empty(depth, merged, length, width)
        self.values[:, :, :time] = values
        self.values_by_row = self.values.unflatten(1, (self.rows, heads))
        self.all_hidden = hidden

    def begin(self, place: int) -> None:
        """See `CachedAttention`."""
        end = place + 1
        # of every layer: where this position goes, and all that is there with it
        self.new_keys = self.keys.select(3, place).unbind()
        self.new_values = self.values_by_row.select(3, place).unbind()
        self.held_keys = self.keys[..., :end].unbind()
        self.held_values = self.values[:, :, :end].unbind()
        self.hidden = None if self.all_hidden is None else self.all_hidden[..., :end]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `CachedAttention`."""
        self.new_keys[layer].copy_(key)
        self.new_values[layer].copy_(value)
        if self.hidden is None:
            scores = torch.bmm(query, self.held_keys[layer])  # (M, G, P)
        else:
            scores = torch.baddbmm(self.hidden, query, self.held_keys[layer])
        mixed = torch.bmm(scores.softmax(-1), self.held_values[layer])  # (M, G, D)
        return mixed.view(self.rows, -1)


class BaggedAttention:
    """See the module; one query a key. What lies together without gaps is read up to twice as fast.
    So of what is drawn the newest positions lie apart, and join the settled ones when there are
    `span` of them. What is not filled is never looked at.

    keys: tables with a row a feature and a column a position, of prompts (N * D, P, rounded up),
    settled (M * D, positions), newest (M * D, span). values: one table with a row a position: N * P
    of prompts, then M * span newest, then M * settled.

    To settle writes all that a layer has settled anew. For that there is a place more than there
    are layers: each layer in turn moves to the next place, which is free, and the next time back.
    moved: 0 or 1, how many places layers lie beyond their number.
    """

    def __init__(
        self,
        keys: Tensor,
        values: Tensor,
        prompt_of: Tensor,
        length: int,
        heads: int,
        hidden: Tensor | None,
    ):
        depth, prompts, width, time = keys.shape
        merged = len(prompt_of)
        self.depth = depth
        self.merged = merged
        self.heads = heads
        self.width = width
        self.time = time
        self.all_hidden = hidden
        self.span = _span(length - time)
        self.settled = 0
        self.moved = 0
        room = (length - time) // self.span * self.span  # positions that may settle

        padded = F.pad(keys, (0, -time % _ALIGNED))
        self.prompt_keys = padded.flatten(1, 2).unbind()
        # the rows that scores of each of M are sums of
        self.prompt_features = _numbers(prompts, width)[prompt_of].flatten()
        self.features = _numbers(merged * width)
        self.bounds = _bounds(merged, width)

        # both in one room, which is large enough for large pages
        of_newest = depth * merged * width * self.span
        of_settled = (depth + 1) * merged * width * room
        both = _room(of_newest + of_settled)
        newest_keys = both[:of_newest].view(depth, merged, width, self.span)
        self.newest_keys = newest_keys.flatten(1, 2).unbind()
        # of each newest position and layer: where its keys (M, D) go
        self.key_columns = [column.unbind() for column in newest_keys.unbind(-1)]
        self.settled_keys = both[of_newest:].view(depth + 1, merged * width * room)

        self.newest_at = prompts * time  # the first row of values that is not of a prompt
        self.settled_at = self.newest_at + merged * self.span
        self.values = _room(depth + 1, self.settled_at + merged * room, width)
        self.values[:depth, : self.newest_at] = values.flatten(1, 2)
        # (M, P): the rows of values that are of the prompt of each of M
        self.prompt_rows = _numbers(prompts, time)[prompt_of]
        self._look()

    def begin(self, place: int) -> None:
        """See `CachedAttention`."""
        column = place - self.time - self.settled
        if column == self.span:
            self._settle()
            column = 0
        self.newest = column + 1
        self.new_keys = self.key_columns[column]
        self.new_values = self.value_columns[column]
        end = place + 1
        self.summed = self.rows_of_values[:, :end].flatten()
        self.summed_bounds = _bounds(self.merged, end)
        self.hidden = None if self.all_hidden is None else self.all_hidden[:, 0, :end]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """See `CachedAttention`."""
        self.new_keys[layer].copy_(key)
        self.new_values[layer].copy_(value)
        query = query.flatten()
        prompt = _weighted_sums(self.prompt_keys[layer], self.prompt_features, self.bounds, query)
        newest = _weighted_sums(self.newest_keys[layer], self.features, self.bounds, query)
        parts = [prompt[:, : self.time], newest[:, : self.newest]]
        if self.settled:
            settled = _weighted_sums(self.keys[layer], self.features, self.bounds, query)
            parts.insert(1, settled)
        scores = torch.cat(parts, 1)  # (M, positions)
        if self.hidden is not None:
            scores.add_(self.hidden)
        chances = scores.softmax(-1).flatten()
        mixed = _weighted_sums(self.all_values[layer], self.summed, self.summed_bounds, chances)
        return mixed.view(-1, self.heads * self.width)

    def _settle(self) -> None:
        """The newest positions join the settled ones."""
        settled = self.settled
        together = settled + self.span
        layers = list(range(self.depth))
        step = -1
        if not self.moved:
            layers.reverse()
            step = 1
        for layer in layers:
            old = layer + self.moved
            new = old + step
            keys = [self._keys_at(old, settled), self.newest_keys[layer]]
            torch.cat(keys, 1, out=self._keys_at(new, together))
            values = [self._values_at(old, settled), self.newest_values[layer]]
            torch.cat(values, 1, out=self._values_at(new, together))
            self.values[new, : self.newest_at] = self.values[old, : self.newest_at]
        self.settled = together
        self.moved += step
        self._look()

    def _keys_at(self, place: int, settled: int) -> Tensor:
        """(M * D, settled) of a place."""
        features = self.merged * self.width
        return self.settled_keys[place, : features * settled].view(features, settled)

    def _values_at(self, place: int, settled: int) -> Tensor:
        """(M, settled, D) of a place."""
        end = self.settled_at + self.merged * settled
        return self.values[place, self.settled_at : end].view(self.merged, settled, self.width)

    def _look(self) -> None:
        """Views of where all lies by now, and which rows of values are summed."""
        places = range(self.moved, self.moved + self.depth)
        self.keys = [self._keys_at(place, self.settled) for place in places]
        all_values = self.values[self.moved : self.moved + self.depth]
        self.all_values = all_values.unbind()
        newest = all_values[:, self.newest_at : self.settled_at]
        newest = newest.view(self.depth, self.merged, self.span, self.width)
        self.newest_values = newest.unbind()
        # of each newest position and layer: where its values (B, K, D) go
        by_row = newest.unflatten(1, (-1, self.heads))
        self.value_columns = [column.unbind() for column in by_row.unbind(3)]
        settled_rows = _numbers(self.merged, self.settled) + self.settled_at
        newest_rows = _numbers(self.merged, self.span) + self.newest_at
        # (M, positions): the rows that what each of M takes is a sum of
        self.rows_of_values = torch.cat([self.prompt_rows, settled_rows, newest_rows], 1)


def _span(drawn: int) -> int:
    """How many of `drawn` positions are newest at most. If few, all is often settled; if many, much
    that is not filled is read. The root of two times all costs least. A multiple of a cache
    line."""
    return _ALIGNED * max(1, round(math.sqrt(2 * drawn) / _ALIGNED))


def _room(*shape: int) -> Tensor:
    """What is not filled yet, float32, from the beginning of a cache line on. NumPy asks the system
    for it in large pages where there are any; in small ones (torch's way) the first use of each
    takes a twentieth of a generation."""
    size = math.prod(shape)
    memory = np.empty(size + _ALIGNED, dtype=np.float32)
    behind = memory.ctypes.data // memory.itemsize % _ALIGNED  # the beginning of a line
    first = -behind % _ALIGNED
    return torch.from_numpy(memory[first : first + size]).view(shape)


def _numbers(*shape: int) -> Tensor:
    """0, 1, 2, ... in a shape, int32: half the reading of int64."""
    return torch.arange(math.prod(shape), dtype=torch.int32).view(shape)


def _bounds(count: int, size: int) -> Tensor:
    """(count + 1,) int32: where each of `count` sums of `size` rows begins, and the last ends."""
    return torch.arange(0, count * size + 1, size, dtype=torch.int32)


def _weighted_sums(rows: Tensor, chosen: Tensor, bounds: Tensor, weights: Tensor) -> Tensor:
    """(sums, width): sum i is that of rows `chosen[bounds[i]:bounds[i + 1]]`, each times its weight
    (chosen,)."""
    # F.embedding_bag without its checks, which take a tenth of its time here
    return torch.embedding_bag(rows, chosen, bounds, False, 0, False, weights, True)[0]
