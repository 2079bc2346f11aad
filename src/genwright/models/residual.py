"""Residual convolutional generator and discriminator of modern plainness (R3GAN, Huang et al.,
arXiv 2501.05441).

No normalisation. A block is 1x1 up, act, grouped 3x3, act, 1x1 down, added to its input; the last
map starts at zero and the others are scaled by the number of blocks as Fix-up asks (Zhang et al.,
arXiv 1901.09321), so that a deep stack starts as a shallow one. Resolution doubles (halves)
bilinearly between stages; channels halve (double), so that every stage costs about the same. Pixels
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
from genwright.core.registry import Settings
from genwright.models.ladder import conv
from genwright.models.mlp import Discriminator, Generator

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
        h = F.leaky_relu(self.up(x), _SLOPE)
        return x + self.down(F.leaky_relu(self.mix(h), _SLOPE))


class Network(Settings):
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
    """Side of the squares of pixels that are folded into channels."""

    def stages(self, space: Space) -> tuple[int, list[int]]:
        """(coarsest side, channels of each stage, the coarsest first) for square pictures of side 4
        * 2^k, or 28, from 7. Raises GenwrightError for what cannot be made."""
        sizes = {start * 2**k: (start, k) for start, most in ((7, 3), (4, 9)) for k in range(most)}
        side = space.shape[-1] if len(space.shape) == 3 and space.shape[1] == space.shape[2] else 0
        start, halvings = sizes.get(side, (0, 0))
        count = halvings + 1 - (self.patch == 2)
        if not start or not count:
            made = "x".join(map(str, space.shape))
            possible = ", ".join(map(str, sorted(sizes)[self.patch * 2 - 2 :]))
            what = f"a residual network cannot make content of shape {made or 'unknown'} (channels x height x width)"
            raise GenwrightError(what, f"set codec.size to one of {possible}")
        return start, [min(self.widest, self.width * 2**k) for k in reversed(range(count))]

    def pyramid(
        self, widths: list[int], between: Callable[[int, int], Iterable[nn.Module]]
    ) -> nn.Sequential:
        """The blocks of every stage, and `between` two of them what changes resolution and
        channels."""
        # Fix-up's L^(-1 / (2m - 2)) with m = 3 maps a branch
        scale = (len(widths) * self.blocks) ** -0.25
        layers: list[nn.Module] = []
        for before, width in zip([None, *widths], widths, strict=False):
            layers += between(before, width) if before else ()
            layers += (Block(width, self.expansion, self.group, scale) for _ in range(self.blocks))
        return nn.Sequential(*layers)


class PictureGenerator(Generator):
    def __init__(self, space: Space, latent: int, s: ResidualGenerator):
        super().__init__(space, latent)
        start, widths = s.stages(space)
        self.first = nn.Linear(self.inputs, widths[0], bias=False)
        self.basis = nn.Parameter(torch.randn(widths[0], start, start))
        self.stages = s.pyramid(
            widths,
            lambda a, b: (conv(a, b, 1, bias=False), nn.Upsample(scale_factor=2, mode="bilinear")),
        )
        self.out = conv(widths[-1], space.shape[0] * s.patch**2, 3)
        self.patch = s.patch
        nn.init.normal_(self.first.weight, std=1 / math.sqrt(self.inputs))
        # the pixels of a square start equal, without a checkerboard (Aitken et al., arXiv
        # 1707.02937)
        with torch.no_grad():
            self.out.weight.copy_(self.out.weight[:: s.patch**2].repeat_interleave(s.patch**2, 0))

    def made(self, z: Tensor) -> Tensor:
        x = self.stages(self.first(z)[:, :, None, None] * self.basis)
        return F.pixel_shuffle(self.out(F.leaky_relu(x, _SLOPE)), self.patch)


class PictureDiscriminator(Discriminator):
    def __init__(self, space: Space, packing: int, s: ResidualDiscriminator):
        start, widths = s.stages(space)
        super().__init__(space.columns * packing, widths[0])
        self.first = conv(space.shape[0] * packing * s.patch**2, widths[-1], 3)
        self.patch = s.patch
        # the mean of 2x2 is bilinear resampling to half the size
        self.stages = s.pyramid(
            widths[::-1], lambda a, b: (nn.AvgPool2d(2), conv(a, b, 1, bias=False))
        )
        self.basis = nn.Parameter(torch.randn(widths[0], start, start) / start)

    def features(self, x: Tensor) -> Tensor:
        x = self.stages(self.first(F.pixel_unshuffle(x, self.patch)))
        return (F.leaky_relu(x, _SLOPE) * self.basis).sum((2, 3))


class ResidualGenerator(Network, family="model"):
    kind: Literal["residual-generator"] = "residual-generator"
    """Residual convolutional generator, for square pictures."""
    role: ClassVar[str] = "generator"

    def build(self, space: Space, latent: int) -> PictureGenerator:
        return PictureGenerator(space, latent, self)


class ResidualDiscriminator(Network, family="model"):
    kind: Literal["residual-discriminator"] = "residual-discriminator"
    """Residual convolutional discriminator, for square pictures."""
    role: ClassVar[str] = "discriminator"

    def build(self, space: Space, packing: int = 1) -> PictureDiscriminator:
        return PictureDiscriminator(space, packing, self)
