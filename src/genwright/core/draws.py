"""Random numbers as a pure function of (seed, position, example, name, index): no generator state,
so nothing to save or restore, and any split of a batch over micro-batches, ranks or machines sees
the same numbers.

The bits are SplitMix64's finaliser (Steele, Lea, Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014) over a counter, in int64 arithmetic that wraps alike on every device.
Normals are Box-Muller. Not for cryptography.
"""

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64
_M1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_M2 = -7723592293110705685  # 0x94D049BB133111EB


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser, element-wise on int64: a bijection whose output bits look independent
    of the input's."""
    x = (x ^ _shift(x, 30)) * _M1
    x = (x ^ _shift(x, 27)) * _M2
    return x ^ _shift(x, 31)


def key(*parts: int | str) -> int:
    """A signed 64-bit key from integers and names."""
    text = "\0".join(map(str, parts))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


@dataclass(frozen=True)
class Draws:
    """The random numbers of some examples of one batch.

    seed, position: which batch. examples: (n,) int64, indices into the global batch. `name` tells
    draws within a batch apart. Every method returns a tensor with leading axis n, on the device of
    `examples`.
    """

    seed: int
    position: int
    examples: Tensor

    def bits(self, name: str, *shape: int, first: int = 0) -> Tensor:
        """int64, all 64 bits random, (n, *shape). first: how many numbers of each example are
        passed over, so that many can be drawn a part at a time."""
        size = math.prod(shape)
        rows = mix(self.examples * _GOLDEN + key(self.seed, self.position, name))
        columns = torch.arange(first + 1, first + size + 1, device=self.examples.device) * _GOLDEN
        return mix(rows[:, None] + columns).view(len(self.examples), *shape)

    def uniform(self, name: str, *shape: int, first: int = 0) -> Tensor:
        """float32 in [0, 1), 24 random bits. first: as of `bits`."""
        return _shift(self.bits(name, *shape, first=first), 40).float() * (1.0 / (1 << 24))

    def normal(self, name: str, *shape: int, first: int = 0) -> Tensor:
        """float32, standard normal. first: as of `bits`."""
        bits = self.bits(name, *shape, first=first)
        # Box-Muller, in place: the low half of the bits gives the radius, the high half the angle
        half = 1.0 / (1 << 32)
        radius = (((bits & 0xFFFFFFFF).double() + 0.5) * half).log_().mul_(-2).sqrt_()
        angle = _shift(bits, 32).double().mul_(2 * math.pi / (1 << 32))
        return (angle.cos_() * radius).float()

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """int64 in [0, high); the bias is below high / 2**53."""
        return (_shift(self.bits(name, *shape), 11).double() * (1.0 / (1 << 53)) * high).long()
