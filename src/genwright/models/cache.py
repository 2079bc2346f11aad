"""The KV cache of a transformer: what attention needs to know of tokens that were read."""

import math

import torch
from torch import Tensor


class Cache:
    """Keys and values of tokens that were read: preallocated, written in place; `end` is how many
    positions are filled.

    shape: (L, B, K, length, D), of layers, rows, key-value heads, positions, features of a head.
    rope: the rotations of these positions, (bases, 2, length, 1, D). like: gives dtype and device.

    keys, values: of that shape. hidden: (B, 1, 1, length), 0 or -inf added to scores, or None while
    no key is padding. newest: (B, n), the last tokens that were read, where a network looks at them
    (`previous.py`).
    """

    def __init__(self, shape: tuple[int, int, int, int, int], rope: Tensor, like: Tensor):
        self.keys = like.new_zeros(shape)
        self.values = torch.zeros_like(self.keys)
        self.rope = rope.to(self.keys)
        self.length = shape[3]
        self.end = 0
        self.hidden: Tensor | None = None
        self.newest: Tensor | None = None

    def add(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Writes k, v (B, K, T, D) of a layer behind what is there; gives all that is there."""
        end = self.end + k.size(2)
        keys = self.keys[layer]
        values = self.values[layer]
        keys[:, :, self.end : end] = k
        values[:, :, self.end : end] = v
        return keys[:, :, :end], values[:, :, :end]

    def hide(self, real: Tensor) -> None:
        """Marks the coming positions that are not real tokens. real: (B, T) bool."""
        if self.hidden is None:
            self.hidden = self.keys.new_zeros(len(real), 1, 1, self.length)
        coming = self.hidden[:, 0, 0, self.end : self.end + real.size(1)]
        coming.masked_fill_(~real, -math.inf)
