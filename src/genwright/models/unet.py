"""The velocity of a flow between arrays (n, channels, height, width): a small residual U-Net
(Ronneberger et al., arXiv 1505.04597; Ho et al., 2006.11239) whose blocks are modulated by time and
condition (Perez et al., 1709.07871; Dhariwal and Nichol, 2105.05233).

Made for CPUs: places are cut into patches first, so that nothing runs at full resolution; channels
lie last in memory, where 3x3 convolutions in bfloat16 run 4 to 6 times as fast as in fp32; norms
are over the channels of a place; grids are halved and doubled by reshaping.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Space
from genwright.models.convolution import halved, initialised
from genwright.models.ops import attention
from genwright.models.settings import NetworkSettings
from genwright.models.velocity import Context, Velocity


def norm(x: Tensor) -> Tensor:
    """Over the channels of each place."""
    return F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Its last layer starts at zero, so that it starts as the identity."""

    def __init__(self, width: int, context: int):
        super().__init__()
        self.into = nn.Conv2d(width, width, 3, padding=1)
        self.out = initialised(nn.Conv2d(width, width, 3, padding=1), 0.0)
        self.modulation = nn.Linear(context, 2 * width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x: (n, width, h, w). context: (n, context), of time and condition."""
        scale, shift = self.modulation(context)[:, :, None, None].chunk(2, 1)
        h = self.into(F.silu(norm(x)))
        modulated = torch.addcmul(shift, h, 1 + scale)
        return x + self.out(F.silu(modulated))


class Attention(nn.Module):
    """Every place of the grid looks at every other one."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = initialised(nn.Conv2d(width, width, 1), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, width, h, w)."""
        qkv = self.qkv(norm(x)).flatten(2)  # (n, 3 * width, places)
        qkv = qkv.unflatten(1, (3, self.heads, -1)).transpose(3, 4)
        q, k, v = qkv.unbind(1)  # (n, heads, places, width / heads)
        mixed = attention(q, k, v, None, causal=False)
        return x + self.out(mixed.transpose(2, 3).reshape(x.shape))


class Level(nn.Module):
    """A grid: blocks, then the coarser grid (attention, at the coarsest), then as many blocks, each
    reading what its partner wrote."""

    def __init__(self, width: int, below: int, context: int, settings: UNetSettings):
        super().__init__()
        blocks = range(settings.blocks)
        self.coarser: Level | None = None
        self.attention: Attention | None = None
        self.down = nn.ModuleList(Block(width, context) for _ in blocks)
        self.up = nn.ModuleList(Block(width, context) for _ in blocks)
        self.merge = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for _ in blocks)
        if below:
            self.coarser = Level(2 * width, below - 1, context, settings)
            self.halve = nn.Conv2d(4 * width, 2 * width, 1)
            self.twice = nn.Conv2d(2 * width, 4 * width, 1)
        elif settings.attention:
            self.attention = Attention(width, max(1, width // 64))

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        """h: (n, width, h, w). context: (n, context)."""
        seen = []
        for block in self.down:
            h = block(h, context)
            seen.append(h)
        if self.coarser is not None:
            half = self.halve(F.pixel_unshuffle(h, 2))  # (n, 2 * width, h / 2, w / 2)
            half = self.coarser(half, context)
            h = h + F.pixel_shuffle(self.twice(half), 2)
        elif self.attention is not None:
            h = self.attention(h)
        for block, merge in zip(self.up, self.merge, strict=True):
            h = block(merge(torch.cat([h, seen.pop()], 1)), context)
        return h


class UNet(Velocity):
    """The velocity of content (n, channels, size, size)."""

    def __init__(self, channels: int, columns: int, settings: UNetSettings):
        super().__init__()
        self.patch = settings.patch
        in_patch = channels * settings.patch**2  # values
        width = settings.width
        self.context = Context(columns, 2 * width)
        self.first = nn.Conv2d(in_patch, width, 3, padding=1)
        self.last = initialised(nn.Conv2d(width, in_patch, 3, padding=1), 0.0)
        self.level = Level(width, settings.levels - 1, 2 * width, settings)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """x (n, channels, size, size), time (n,) in [0, 1], condition (n, columns) or None -> (n,
        channels, size, size)."""
        patches = F.pixel_unshuffle(x.to(self.first.weight.dtype), self.patch)
        h = patches.contiguous(memory_format=torch.channels_last)
        h = self.level(self.first(h), self.context(time, condition))
        return F.pixel_shuffle(self.last(F.silu(norm(h))), self.patch)


class UNetSettings(NetworkSettings, family="model"):
    """Settings of `unet`."""

    kind: Literal["unet"] = "unet"
    """A small U-Net that says where arrays (channels, height, width) move."""
    width: int = Field(64, ge=8, le=2048, multiple_of=8)
    """Channels at the finest grid, twice as many at each coarser one."""
    levels: int = Field(2, ge=1, le=6)
    """Grids, each half as fine as the one before."""
    blocks: int = Field(2, ge=1, le=16)
    """Residual blocks of a grid on the way down, and as many on the way up."""
    patch: Literal[1, 2, 4] = 2
    """Side of the square of places that the finest grid holds in one place; 1 is finer and four
    times as slow as 2."""
    attention: bool = True
    """Whether places of the coarsest grid look at each other."""
    role: ClassVar[str] = "velocity"

    def build(self, space: Space) -> UNet:
        """The network, initialised from torch's current random state. Raises GenwrightError for a
        size it cannot make."""
        step = self.patch * 2 ** (self.levels - 1)
        channels, *_ = halved(space, self.kind, step, "lower model.levels or model.patch")
        return UNet(channels, space.columns, self)
