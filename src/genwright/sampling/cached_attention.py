"""Attention of one new position a row to all that are cached, in the two forms that
`folded.FoldedStepper` chooses from.

`BatchedAttention`: two batched products. `BaggedAttention`: the same sums as `F.embedding_bag`,
which streams through the cache at two to three times the speed of products of single rows: what a
query takes from values is the sum of their rows, weighted by its chances; and its scores against a
block of keys that lie transposed are the sum of the block's rows, weighted by the query's features.
It takes longer to begin, so that it pays from many rows on.

Shapes: M rows times key-value heads, G queries a key, D head width, P positions so far.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from genwright.models.cache import Cache

# features of all queries of a step from which sums of rows pay
_MANY = 4096
_BLOCK = 64  # positions of keys that lie together


class CachedAttention(Protocol):
    """Keys and values of all layers. Queries and keys are rotated, and scaled by
    `D ** -0.25` each."""

    def begin(self, place: int) -> None:
        """A step begins, whose new position is `place`; all before it are filled."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> None:
        """Keeps a layer's new key and value (M, D), and writes what its queries (M, G, D) take from
        all values to `out` (M, G, D)."""


def cached_attention(
    cache: Cache, keys: Tensor, length: int, groups: int, hidden: Tensor | None
) -> CachedAttention:
    """The faster form. cache: what was read. keys: (depth, M, D, P) of it, transposed, rotated and
    scaled. length: positions there is to be room for. groups: G. hidden: (M, 1, length), added to
    scores, or None."""
    values = cache.values.flatten(1, 2)  # (depth, M, P, D)
    merged = keys.shape[1] * keys.shape[2]
    vectorised = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    if groups == 1 and merged >= _MANY and keys.is_cpu and vectorised:
        return BaggedAttention(keys, values, length, hidden)
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
    """See the module; one query a key. Keys lie in blocks: (depth, blocks, M, D, _BLOCK); what is
    not filled yet is 0."""

    def __init__(self, keys: Tensor, values: Tensor, length: int, hidden: Tensor | None):
        depth, merged, width, time = keys.shape
        blocks = -(-length // _BLOCK)
        padded = F.pad(keys, (0, blocks * _BLOCK - time))
        self.keys = padded.unflatten(3, (blocks, _BLOCK)).permute(0, 3, 1, 2, 4).contiguous()
        self.values = keys.new_empty(depth, merged, length, width)
        self.values[:, :, :time] = values
        self.all_hidden = hidden
        # rows of features that a block's scores are sums of, and of positions for values
        self.features = torch.arange(blocks * merged * width)
        self.first_feature = torch.arange(0, blocks * merged * width, width)
        positions = torch.arange(merged)[:, None] * length + torch.arange(length)
        self.all_positions = positions  # (M, length)
        self.feature_rows = self.keys.view(depth, -1, _BLOCK).unbind()
        self.value_rows = self.values.view(depth, -1, width).unbind()

    def begin(self, place: int) -> None:
        """See `CachedAttention`."""
        _, _, merged, width, _ = self.keys.shape
        self.end = place + 1
        self.blocks = place // _BLOCK + 1
        self.new_keys = self.keys[:, place // _BLOCK, :, :, place % _BLOCK].unbind()
        self.new_values = self.values.select(2, place).unbind()
        self.scored = self.features[: self.blocks * merged * width]
        self.first_scored = self.first_feature[: self.blocks * merged]
        self.summed = self.all_positions[:, : self.end].flatten()
        self.first_summed = torch.arange(0, merged * self.end, self.end)
        self.hidden = None if self.all_hidden is None else self.all_hidden[:, 0, : self.end]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> None:
        """See `CachedAttention`."""
        self.new_keys[layer].copy_(key)
        self.new_values[layer].copy_(value)
        merged = len(key)
        repeated = query.reshape(1, -1).expand(self.blocks, -1)  # each block's weights
        in_blocks = _weighted_sums(
            self.feature_rows[layer], self.scored, self.first_scored, repeated.flatten()
        )  # (blocks * M, _BLOCK)
        side_by_side = in_blocks.view(self.blocks, merged, _BLOCK).transpose(0, 1)
        scores = side_by_side.reshape(merged, -1)[:, : self.end]
        if self.hidden is not None:
            scores = scores + self.hidden
        chances = scores.softmax(-1)  # (M, P)
        found = _weighted_sums(
            self.value_rows[layer], self.summed, self.first_summed, chances.flatten()
        )
        out.copy_(found[:, None])


def _weighted_sums(rows: Tensor, chosen: Tensor, first: Tensor, weights: Tensor) -> Tensor:
    """(sums, width): sum i is that of rows `chosen[first[i]:first[i + 1]]`, each times its weight
    (chosen,)."""
    return F.embedding_bag(chosen, rows, first, mode="sum", per_sample_weights=weights)
