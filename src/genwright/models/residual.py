"""Residual convolutional generator and discriminator of modern plainness (R3GAN, Huang et al.,
arXiv 2501.05441).

No normalisation. A block is 1x1 up, act, grouped 3x3, act, 1x1 down, added to its input; the last
map starts at zero and the others are scaled by the number of blocks as Fix-up asks (Zhang et al.,
arXiv 1901.09321), so that a deep stack starts as a shallow one. Resolution doubles (halves)
bilinearly between stages; channels halve (double), so that every stage costs about the same. Places
next to each other may be folded into channels (`patch`; Shi et al., arXiv 1609.05158), which spares
the finest and dearest stage. The generator starts from a learned basis of the coarsest size, scaled
by the latent; the discriminator ends in a map of that size, channel by channel. A condition enters
by an embedding beside the latent, and by projection (Miyato and Koyama, arXiv 1802.05637).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.convolution import conv
from genwright.models.mlp import Discriminator, Generator
from genwright.models.settings import NetworkSettings

_SLOPE = 0.2
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))  # keeps the variance through a leaky ReLU


class Block(nn.Module):
    """x + f(x), (n, width, h, w). scale: of the first two maps' weights."""

    def __init__(self, width: int, expansion: int, group: int, scale: float):
        super().__init__()
        hidden = width * expansion
        # as near to `group` channels each as the width allows
        groups = math.gcd(hidden, max(1, hidden // group)) if group else 1
        self.up = conv(width, hidden, 1, gain=scale)
        self.mix = conv(hidden, hidden, 3, groups, gain=_GAIN * scale)
        self.down = conv(hidden, width, 1, gain=0.0, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: (n, width, h, w)."""
        h = F.leaky_relu(self.up(x), _SLOPE)
        h = F.leaky_relu(self.mix(h), _SLOPE)
        return x + self.down(h)


class Network(NetworkSettings):
    """What the two share."""

    width: int = Field(32, ge=1, le=1024)
    """Channels of the finest stage; they double with every halving."""
    widest: int = Field(128, ge=1, le=4096)
    """Channels are never more."""
    blocks: int = Field(1, ge=1, le=32)
    """Residual blocks a stage."""
    expansion: int = Field(1, ge=1, le=16)
    """Channels inside a block, as a multiple of those outside."""
    group: int = Field(0, ge=0, le=4096)
    """Channels a 3x3 convolution sees at once; 0: all, which on a CPU is the faster choice."""
    patch: Literal[1, 2] = 2
    """Side of the squares of places that are folded into channels."""

    def stages(self, space: Space) -> tuple[int, list[int]]:
        """(coarsest side, channels of each stage, the coarsest first) for square arrays of side 4
        * 2^k, or 28, from 7. Raises GenwrightError for what cannot be made."""
        coarsest = {7 * 2**k: (7, k) for k in range(3)} | {4 * 2**k: (4, k) for k in range(9)}
        square = len(space.shape) == 3 and space.shape[1] == space.shape[2]
        side = space.shape[-1] if square else 0
        start, halvings = coarsest.get(side, (0, 0))
        count = halvings + 1
        if self.patch == 2:
            count -= 1  # the finest stage is folded into channels
        if not start or not count:
            shape = "x".join(map(str, space.shape))
            possible = ", ".join(map(str, sorted(coarsest)[self.patch * 2 - 2 :]))
            what = (
                f"a residual network cannot make content of shape {shape or 'unknown'} "
                "(channels x height x width)"
            )
            raise GenwrightError(what, f"set codec.size to one of {possible}")
        widths = [min(self.widest, self.width * 2**k) for k in reversed(range(count))]
        return start, widths

    def pyramid(
        self, widths: list[int], between: Callable[[int, int], Iterable[nn.Module]]
    ) -> nn.Sequential:
        """The blocks of every stage, and `between` two of them what changes resolution and
        channels."""
        # Fix-up's L^(-1 / (2m - 2)) with m = 3 maps a branch
        scale = (len(widths) * self.blocks) ** -0.25
        layers: list[nn.Module] = []
        for stage, width in enumerate(widths):
            if stage:
                layers += between(widths[stage - 1], width)
            layers += [Block(width, self.expansion, self.group, scale) for _ in range(self.blocks)]
        return nn.Sequential(*layers)


def _twice(before: int, width: int) -> list[nn.Module]:
    """From one stage of a generator to the next."""
    return [conv(before, width, 1, bias=False), nn.Upsample(scale_factor=2, mode="bilinear")]


def _half(before: int, width: int) -> list[nn.Module]:
    """From one stage of a discriminator to the next. The mean of 2x2 is bilinear resampling to half
    the size."""
    return [nn.AvgPool2d(2), conv(before, width, 1, bias=False)]


class ConvGenerator(Generator):
    """Residual and convolutional."""

    def __init__(self, space: Space, latent: int, s: ResidualGenerator):
        super().__init__(space, latent)
        start, widths = s.stages(space)
        self.first = nn.Linear(self.inputs, widths[0], bias=False)
        self.basis = nn.Parameter(torch.randn(widths[0], start, start))
        self.stages = s.pyramid(widths, _twice)
        self.out = conv(widths[-1], space.shape[0] * s.patch**2, 3)
        self.patch = s.patch
        nn.init.normal_(self.first.weight, std=1 / math.sqrt(self.inputs))
        # the places of a square start equal, without a checkerboard (Aitken et al., arXiv
        # 1707.02937)
        with torch.no_grad():
            of_square = self.out.weight[:: s.patch**2]
            self.out.weight.copy_(of_square.repeat_interleave(s.patch**2, 0))

    def generated(self, z: Tensor) -> Tensor:
        """See `Generator`."""
        coarsest = self.first(z)[:, :, None, None] * self.basis  # (n, widths[0], start, start)
        x = self.stages(coarsest)
        return F.pixel_shuffle(self.out(F.leaky_relu(x, _SLOPE)), self.patch)


class ConvDiscriminator(Discriminator):
    """Residual and convolutional."""

    def __init__(self, space: Space, packing: int, s: ResidualDiscriminator):
        start, widths = s.stages(space)
        super().__init__(space.columns * packing, widths[0])
        self.first = conv(space.shape[0] * packing * s.patch**2, widths[-1], 3)
        self.patch = s.patch
        self.stages = s.pyramid(widths[::-1], _half)
        self.basis = nn.Parameter(torch.randn(widths[0], start, start) / start)

    def features(self, x: Tensor) -> Tensor:
        """See `Discriminator`."""
        x = self.stages(self.first(F.pixel_unshuffle(x, self.patch)))
        return (F.leaky_relu(x, _SLOPE) * self.basis).sum((2, 3))


class ResidualGenerator(Network, family="model"):
    """Settings of `residual-generator`."""

    kind: Literal["residual-generator"] = "residual-generator"
    """Residual convolutional generator, for square arrays (channels, side, side)."""
    role: ClassVar[str] = "generator"

    def build(self, space: Space, latent: int) -> ConvGenerator:
        """The network, initialised from torch's current random state. Raises GenwrightError."""
        return ConvGenerator(space, latent, self)


class ResidualDiscriminator(Network, family="model"):
    """Settings of `residual-discriminator`."""

    kind: Literal["residual-discriminator"] = "residual-discriminator"
    """Residual convolutional discriminator, for square arrays (channels, side, side)."""
    role: ClassVar[str] = "discriminator"

    def build(self, space: Space, packing: int = 1) -> ConvDiscriminator:
        """The network, initialised from torch's current random state. packing: examples that are
        judged together. Raises GenwrightError."""
        return ConvDiscriminator(space, packing, self)
