"""Attention of one new position a row to all that are cached, in the two forms that
`folded.FoldedStepper` chooses from.

`BatchedAttention`: two batched products. `BaggedAttention`: the same sums as `F.embedding_bag`,
which streams through the cache at two to three times the speed of products of single rows: what a
query takes from values is the sum of their rows, weighted by its chances; and its scores against a
block of keys that lie transposed are the sum of the block's rows, weighted by the query's features.
It takes longer to begin, so that it pays from many rows on. From many rows on, too, the time goes
by in reading the cache; so rows that have one prompt read one copy of it.

Shapes: M rows times key-value heads, N the same of prompts that differ, G queries a key, D head
width, P positions so far.
"""

import math
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# features of all queries of a step from which sums of rows pay
_MANY = 4096
_BLOCK = 64  # positions of keys that lie together
_ALIGNED = 16  # what the size of a smaller block is a multiple of: a cache line


class CachedAttention(Protocol):
    """Keys and values of all layers. Queries and keys are rotated, and scaled by
    `D ** -0.25` each."""

    def begin(self, place: int) -> None:
        """A step begins, whose new position is `place`; all before it are filled."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> None:
        """Keeps a layer's new key and value (M, D), and writes what its queries (M, G, D) take from
        all values to `out` (M, G, D)."""


def cached_attention(
    keys: Tensor,
    values: Tensor,
    prompt_of: Tensor | None,
    length: int,
    groups: int,
    hidden: Tensor | None,
) -> CachedAttention:
    """The faster form. keys: (depth, N, D, P) of what was read, transposed, rotated and scaled.
    values: (depth, N, P, D) of it. prompt_of: (M,) int64, which of the N each of M goes on from;
    None: each from its own. length: positions there is to be room for. groups: G. hidden: (M, 1,
    length), added to scores, or None."""
    prompts, width = keys.shape[1:3]
    merged = prompts if prompt_of is None else len(prompt_of)
    vectorised = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    if groups == 1 and merged * width >= _MANY and keys.is_cpu and vectorised:
        if prompt_of is None:
            prompt_of = torch.arange(prompts)
        return BaggedAttention(keys, values, prompt_of, length, hidden)
    if prompt_of is not None:
        keys = keys[:, prompt_of]
        values = values[:, prompt_of]
    return BatchedAttention(keys, values, length, hidden)


class BatchedAttention:
    """See the module; keys (depth, M, D, room) are stored transposed."""

    def __init__(self, keys: Tensor, values: Tensor, length: int, hidden: Tensor | None):
        depth, merged, width, time = keys.shape
        # an odd number of cache lines, so that the D places of one position do not share a set of
        # the processor's cache
        room = length // 32 * 32 + 48
        self.keys = keys.new_empty(depth, merged, width, room)
        self.keys[..., :time] = keys
        self.values = keys.new_empty(depth, merged, length, width)
        self.values[:, :, :time] = values
        self.all_hidden = hidden

    def begin(self, place: int) -> None:
        """See `CachedAttention`."""
        end = place + 1
        # of every layer: where this position goes, and all that is there with it
        self.new_keys = self.keys.select(3, place).unbind()
        self.new_values = self.values.select(2, place).unbind()
        self.held_keys = self.keys[..., :end].unbind()
        self.held_values = self.values[:, :, :end].unbind()
        self.hidden = None if self.all_hidden is None else self.all_hidden[..., :end]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> None:
        """See `CachedAttention`."""
        self.new_keys[layer].copy_(key)
        self.new_values[layer].copy_(value)
        if self.hidden is None:
            scores = torch.bmm(query, self.held_keys[layer])  # (M, G, P)
        else:
            scores = torch.baddbmm(self.hidden, query, self.held_keys[layer])
        torch.bmm(scores.softmax(-1), self.held_values[layer], out=out)


class BaggedAttention:
    """See the module; one query a key. Positions of prompts, which several rows share, lie apart
    from those of what is drawn:

    keys: (depth, rows, positions of a block), D rows to a block: (N, blocks, D) of prompts, and
    (blocks, M, D) of what is drawn. values: (depth, rows, D), a row to a position: (N, P) of
    prompts, followed by (blocks, M, _BLOCK) of what is drawn. A block of all M is followed by the
    next block of all, so that what is filled lies together: it is read up to twice as fast as with
    gaps. What is not filled is never looked at.
    """

    def __init__(
        self,
        keys: Tensor,
        values: Tensor,
        prompt_of: Tensor,
        length: int,
        hidden: Tensor | None,
    ):
        depth, prompts, width, time = keys.shape
        merged = len(prompt_of)
        blocks = -(-(length - time) // _BLOCK)
        self.merged = merged
        self.width = width
        self.time = time
        self.all_hidden = hidden

        block = min(_BLOCK, -(-time // _ALIGNED) * _ALIGNED)
        self.prompt_blocks = -(-time // block)
        padded = F.pad(keys, (0, self.prompt_blocks * block - time))
        in_blocks = padded.unflatten(3, (self.prompt_blocks, block)).transpose(2, 3)
        self.prompt_keys = in_blocks.reshape(depth, -1, block).unbind()
        # (M, blocks, D): the rows that the scores of each of M are sums of
        features = _numbers(prompts, self.prompt_blocks, width)[prompt_of]
        self.prompt_features = features.flatten()
        self.first_of_prompt = _starts(merged * self.prompt_blocks, width)

        self.keys = _room(depth, blocks, merged, width, _BLOCK)
        self.drawn_keys = self.keys.view(depth, -1, _BLOCK).unbind()
        self.features = _numbers(blocks, merged, width).transpose(0, 1)
        self.blocks = 0  # of what is drawn so far

        read = prompts * time
        values_of_all = _room(depth, read + blocks * merged * _BLOCK, width)
        values_of_all[:, :read] = values.flatten(1, 2)
        self.all_values = values_of_all.unbind()
        self.values = values_of_all[:, read:].view(depth, blocks, merged, _BLOCK, width)
        # (M, positions): the rows that what each of M takes is a sum of
        positions = _numbers(blocks, merged, _BLOCK).transpose(0, 1).flatten(1) + read
        self.positions = torch.cat([_numbers(prompts, time)[prompt_of], positions], 1)

    def begin(self, place: int) -> None:
        """See `CachedAttention`."""
        self.end = place + 1
        self.drawn = self.end - self.time
        block, column = divmod(place - self.time, _BLOCK)
        self.new_keys = self.keys[:, block, :, :, column].unbind()
        self.new_values = self.values[:, block, :, column].unbind()
        if block + 1 != self.blocks:
            self.blocks = block + 1
            self.drawn_features = self.features[:, : self.blocks].flatten()
            self.first_of_drawn = _starts(self.merged * self.blocks, self.width)
        self.summed = self.positions[:, : self.end].flatten()
        self.first_summed = _starts(self.merged, self.end)
        self.hidden = None if self.all_hidden is None else self.all_hidden[:, 0, : self.end]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> None:
        """See `CachedAttention`."""
        self.new_keys[layer].copy_(key)
        self.new_values[layer].copy_(value)
        to_prompt = _weighted_sums(
            self.prompt_keys[layer],
            self.prompt_features,
            self.first_of_prompt,
            query.expand(-1, self.prompt_blocks, -1).flatten(),
        )  # (M * blocks, positions of a block)
        to_drawn = _weighted_sums(
            self.drawn_keys[layer],
            self.drawn_features,
            self.first_of_drawn,
            query.expand(-1, self.blocks, -1).flatten(),
        )
        to_prompt = to_prompt.view(self.merged, -1)[:, : self.time]
        to_drawn = to_drawn.view(self.merged, -1)[:, : self.drawn]
        scores = torch.cat([to_prompt, to_drawn], 1)  # (M, P)
        if self.hidden is not None:
            scores.add_(self.hidden)
        found = _weighted_sums(
            self.all_values[layer], self.summed, self.first_summed, scores.softmax(-1).flatten()
        )  # (M, D)
        out.copy_(found[:, None])


def _room(*shape: int) -> Tensor:
    """What is not filled yet, float32. NumPy asks the system for it in large pages where there are
    any; in small ones (torch's way) the first use of each takes a twentieth of a generation."""
    return torch.from_numpy(np.empty(shape, dtype=np.float32))


def _numbers(*shape: int) -> Tensor:
    """0, 1, 2, ... in a shape, int32: half the reading of int64."""
    return torch.arange(math.prod(shape), dtype=torch.int32).view(shape)


def _starts(count: int, size: int) -> Tensor:
    """(count,) int32: where each of `count` sums of `size` rows begins."""
    return torch.arange(0, count * size, size, dtype=torch.int32)


def _weighted_sums(rows: Tensor, chosen: Tensor, first: Tensor, weights: Tensor) -> Tensor:
    """(sums, width): sum i is that of rows `chosen[first[i]:first[i + 1]]`, each times its weight
    (chosen,)."""
    return F.embedding_bag(chosen, rows, first, mode="sum", per_sample_weights=weights)
