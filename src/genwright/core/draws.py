"""Random numbers as a pure function of (seed, position, example, name, index): no generator state,
so nothing to save or restore, and any split of a batch over micro-batches, ranks or machines sees
the same numbers.

The bits are SplitMix64's finaliser (Steele, Lea, Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014) over a counter, in int64 arithmetic that wraps alike on every device.
Normals are Box-Muller. Not for cryptography.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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


def _bits(examples: Tensor, keys: Tensor, shape: tuple[int, ...], first: int) -> Tensor:
    """int64, all 64 bits random, (k, n, *shape). examples: (n,); keys: (k,), one a position."""
    rows = mix(examples * _GOLDEN + keys[:, None])  # (k, n)
    size = math.prod(shape)
    columns = torch.arange(first + 1, first + size + 1, device=examples.device) * _GOLDEN
    return mix(rows[:, :, None] + columns).view(len(keys), len(examples), *shape)


def _as_they_are(bits: Tensor) -> Tensor:
    return bits


def _uniform(bits: Tensor) -> Tensor:
    return _shift(bits, 40).float() * (1.0 / (1 << 24))


def _normal(bits: Tensor) -> Tensor:
    # Box-Muller, in place: the low half of the bits gives the radius, the high half the angle
    half = 1.0 / (1 << 32)
    radius = (((bits & 0xFFFFFFFF).double() + 0.5) * half).log_().mul_(-2).sqrt_()
    angle = _shift(bits, 32).double().mul_(2 * math.pi / (1 << 32))
    return (angle.cos_() * radius).float()


def _integers(bits: Tensor, high: int) -> Tensor:
    return (_shift(bits, 11).double() * (1.0 / (1 << 53)) * high).long()


class Wanted(NamedTuple):
    """Which numbers are asked of `Draws`: (n, *shape) under a name, from `first` on, made of bits
    by `kind`, a function of each of them (and of `high`)."""

    name: str
    shape: tuple[int, ...]
    kind: Callable[..., Tensor]
    first: int = 0
    high: int | None = None

    def of(self, seed: int, positions: Sequence[int], examples: Tensor) -> Tensor:
        """(k, n, *shape): those of several positions at once, each as if it were asked alone."""
        keys = torch.tensor(
            [key(seed, position, self.name) for position in positions], device=examples.device
        )
        bits = _bits(examples, keys, self.shape, self.first)
        return self.kind(bits) if self.high is None else self.kind(bits, self.high)


@dataclass(frozen=True)
class Draws:
    """The random numbers of some examples of one batch.

    seed, position: which batch. examples: (n,) int64, indices into the global batch. `name` tells
    draws within a batch apart. Every method returns a tensor with leading axis n, on the device of
    `examples`, which nobody else holds.
    """

    seed: int
    position: int
    examples: Tensor

    def numbers(self, wanted: Wanted) -> Tensor:
        """What all the others give. `draws_ahead.py` gives the same in less time."""
        return wanted.of(self.seed, [self.position], self.examples)[0]

    def bits(self, name: str, *shape: int, first: int = 0) -> Tensor:
        """int64, all 64 bits random, (n, *shape). first: how many numbers of each example are
        passed over, so that many can be drawn a part at a time."""
        return self.numbers(Wanted(name, shape, _as_they_are, first))

    def uniform(self, name: str, *shape: int, first: int = 0) -> Tensor:
        """float32 in [0, 1), 24 random bits. first: as of `bits`."""
        return self.numbers(Wanted(name, shape, _uniform, first))

    def normal(self, name: str, *shape: int, first: int = 0) -> Tensor:
        """float32, standard normal. first: as of `bits`."""
        return self.numbers(Wanted(name, shape, _normal, first))

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """int64 in [0, high); the bias is below high / 2**53."""
        return self.numbers(Wanted(name, shape, _integers, high=high))
