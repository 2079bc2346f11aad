"""Convolutional variational autoencoders: `ladder-vae`, hierarchical and inferred from the top down
(Sonderby et al., arXiv 1602.02282; Vahdat and Kautz, NVAE, 2007.03898), and `conv-vae`, the same
with the top layer alone.

The encoder goes up once, halving the sides, and leaves at each size what it saw. The decoder comes
down from a vector of latents; at each rung it reads its own state and, in inference, the encoder's,
and adds a map of latents. Given all latents, values are independent. Sides must halve to 4..8 (28,
32, 64). Residual branches begin at zero; there is no normalisation.
"""

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.core.registry import Settings
from genwright.models.autoencoder import Autoencoder, initialised


def conv(
    inputs: int,
    outputs: int,
    size: int = 3,
    groups: int = 1,
    gain: float = 1.0,
    stride: int = 1,
    bias: bool = True,
) -> nn.Conv2d:
    """A convolution that divides the sides by `stride`; weights of variance gain^2 / fan-in (He et
    al., arXiv 1502.01852), biases 0."""
    layer = nn.Conv2d(
        inputs, outputs, size, stride, padding=(size - 1) // 2, groups=groups, bias=bias
    )
    return initialised(layer, gain * (inputs // groups * size * size) ** -0.5)


def up(inputs: int, outputs: int, size: int = 1) -> nn.Sequential:
    """Twice the sides: a convolution, then depth to space."""
    return nn.Sequential(conv(inputs, 4 * outputs, size), nn.PixelShuffle(2))


class Block(nn.Module):
    """x + f(x), f of two 3x3 convolutions, which begins as nothing."""

    def __init__(self, width: int):
        super().__init__()
        self.first = conv(width, width)
        self.second = conv(width, width, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))


def blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width) for _ in range(count)))


def widening(width: int, halvings: int) -> list[int]:
    """Channels at half the picture's size, then twice as many at each further halving, up to 4
    times."""
    return [width * min(4, 2**i) for i in range(halvings)]


class Rung(nn.Module):
    """One map of latents at one size, and the block that follows it."""

    def __init__(self, width: int, channels: int):
        super().__init__()
        # of the encoder's state, of the decoder's
        self.see = conv(width, width)
        self.read = conv(width, width)
        self.posterior = conv(width, 2 * channels, 1, gain=0.1)
        self.write = conv(channels, width, 1)
        self.block = Block(width)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        return self.block(h + self.write(z))


def halved(space: Space, kind: str, step: int, remedy: str, least: int = 1) -> tuple[int, ...]:
    """(channels, height, width) of pictures whose sides `step` divides, `least` times or more.
    Raises GenwrightError, with what else helps, for any others."""
    if len(space.shape) != 3 or any(side % step or side < least * step for side in space.shape[1:]):
        made = "x".join(map(str, space.shape)) or "sequences"
        what = f"model.kind={kind} makes pictures whose sides are multiples of {step} here, {least * step} or more, not {made}"
        raise GenwrightError(
            what,
            f"set codec.size to such a number, {remedy}, or choose another model.kind for other content",
        )
    return space.shape


class Ladder(Autoencoder):
    """The network of `ladder-vae` and, without rungs (depth 0), of `conv-vae`. s: the settings of
    either; its blocks are those of the encoder at each size, of the decoder at each size that has
    no rungs, and before the output."""

    def __init__(self, space: Space, outputs: int, s: Any):
        # until the smaller side is 4 to 8
        count = max(1, (min(space.shape[1:], default=1) - 1).bit_length() - 3)
        channels, height, width = halved(space, s.kind, 2**count, "28, 32 or 64 among them", 4)
        places = [(height >> i, width >> i) for i in range(1, count + 1)]
        depth = s.depth
        super().__init__(
            space,
            outputs,
            [(s.units,), *((s.channels, *place) for place in places[::-1] for _ in range(depth))],
        )
        widths = widening(s.width, count)
        self.depth = depth
        self.start = (widths[-1], *places[-1])
        self.downs = nn.ModuleList(
            conv(a, b, 4, stride=2) for a, b in zip([channels, *widths], widths, strict=False)
        )
        self.climbs = nn.ModuleList(blocks(w, s.blocks) for w in widths)
        flat = torch.Size(self.start).numel()
        self.top = nn.Linear(flat, 2 * s.units)
        self.into = nn.Linear(s.units, flat)
        self.rungs: Any = nn.ModuleList(
            Rung(w, s.channels) for w in widths[::-1] for _ in range(depth)
        )
        self.blocks = nn.ModuleList(blocks(w, 0 if depth else s.blocks) for w in widths[::-1])
        self.ups = nn.ModuleList(
            up(a, b) for a, b in zip(widths[::-1], widths[-2::-1], strict=False)
        )
        self.out = nn.Sequential(
            blocks(widths[0], s.blocks if depth else 0),
            nn.SiLU(),
            up(widths[0], outputs * channels, 3),
        )
        self.embeddings = nn.ModuleList(
            nn.Linear(space.columns, w, bias=False)
            for w in (widths[0], widths[-1])
            if space.columns
        )

    def told(self, x: Tensor, condition: Tensor | None, where: int) -> Tensor:
        return (
            x
            if condition is None or not self.embeddings
            else x + self.embeddings[where](condition)[:, :, None, None]
        )

    def encode(self, x, condition):
        """The vector's mean and raw log scale, then what each rung sees, from the top down."""
        x, found = x.contiguous(memory_format=torch.channels_last), []
        for i, (smaller, climb) in enumerate(zip(self.downs, self.climbs, strict=True)):
            x = smaller(x)
            x = climb(x if i else self.told(x, condition, 0))
            found.append(F.silu(x))
        return (
            self.top(found[-1].flatten(1)),
            *(rung.see(found[-1 - i // self.depth]) for i, rung in enumerate(self.rungs)),
        )

    def posterior(self, layer, h, seen):
        if h is None:
            return seen
        rung = self.rungs[layer - 1]
        return rung.posterior(F.silu(rung.read(F.silu(h)) + seen))

    def descend(self, draw, condition):
        h = (
            self.into(draw(0, None))
            .view(-1, *self.start)
            .contiguous(memory_format=torch.channels_last)
        )
        h = self.told(h, condition, 1)
        for size, chain in enumerate(self.blocks):
            h = chain(self.ups[size - 1](h) if size else h)
            for i in range(size * self.depth, (size + 1) * self.depth):
                h = self.rungs[i](h, draw(i + 1, h))
        return self.out(h).contiguous()


class _Settings(Settings):
    width: int = Field(32, ge=1, le=1024)
    """Channels at half the picture's size; twice as many at each further halving, up to 4 times."""
    blocks: int = Field(1, ge=0, le=32)
    """Residual blocks at each size of the encoder, and of the decoder (`ladder-vae`: before the
    output)."""
    role: ClassVar[str] = "vae"

    def build(self, space: Space, outputs: int = 1) -> Ladder:
        return Ladder(space, outputs, self)


class ConvVae(_Settings, family="model"):
    kind: Literal["conv-vae"] = "conv-vae"
    """Encoder and decoder of residual convolutions."""
    units: int = Field(64, ge=1, le=4096)
    """Latent numbers of an example."""
    channels: ClassVar[int] = 0
    depth: ClassVar[int] = 0


class LadderVae(_Settings, family="model"):
    kind: Literal["ladder-vae"] = "ladder-vae"
    """Latents at every size of the picture, the small ones decided first."""
    units: int = Field(32, ge=1, le=4096)
    """Latent numbers in the vector at the top."""
    channels: int = Field(4, ge=1, le=256)
    """Latent numbers at each place of a map."""
    depth: int = Field(2, ge=1, le=32)
    """Maps of latents at each size."""
