"""Convolutional variational autoencoders: `ladder-vae`, hierarchical and inferred from the top down
(Sonderby et al., arXiv 1602.02282; Vahdat and Kautz, NVAE, 2007.03898), and `conv-vae`, the same
with the top layer alone.

The encoder goes up once, halving the sides, and leaves at each size what it saw. The decoder comes
down from a vector of latents; at each rung it reads its own state and, in inference, the encoder's,
and adds a map of latents. Given all latents, values are independent. Sides must halve to 4..8 (28,
32, 64). Residual branches begin at zero; there is no normalisation.
"""

from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Space
from genwright.models.autoencoder import Autoencoder, Draw, State
from genwright.models.convolution import Block, blocks, conv, halved, up, widening
from genwright.models.settings import NetworkSettings


class Rung(nn.Module):
    """One map of latents at one size, and the block that follows it."""

    def __init__(self, width: int, channels: int):
        super().__init__()
        self.see = conv(width, width)  # the encoder's state
        self.read = conv(width, width)  # the decoder's state
        self.posterior = conv(width, 2 * channels, 1, gain=0.1)
        self.write = conv(channels, width, 1)
        self.block = Block(width)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """h: (n, width, h, w), the decoder's state. z: (n, channels, h, w)."""
        return self.block(h + self.write(z))


class Ladder(Autoencoder):
    """The network of `ladder-vae` and, without rungs (depth 0), of `conv-vae`. s: the settings of
    either; its blocks are those of the encoder at each size, of the decoder at each size that has
    no rungs, and before the output."""

    def __init__(self, space: Space, outputs: int, s: Any):
        # until the smaller side is 4 to 8
        smaller_side = min(space.shape[1:], default=1)
        halvings = max(1, (smaller_side - 1).bit_length() - 3)
        channels, height, width = halved(space, s.kind, 2**halvings, "28, 32 or 64 among them", 4)
        grids = [(height >> i, width >> i) for i in range(1, halvings + 1)]  # the finest first
        sizes: list[tuple[int, ...]] = [(s.units,)]
        for grid in reversed(grids):
            sizes += [(s.channels, *grid)] * s.depth
        super().__init__(space, outputs, sizes)

        widths = widening(s.width, halvings)  # the finest first
        coarse_first = widths[::-1]
        self.depth = s.depth
        self.start = (widths[-1], *grids[-1])
        self.downs = nn.ModuleList(
            conv(before, after, 4, stride=2) for before, after in pairwise([channels, *widths])
        )
        self.climbs = nn.ModuleList(blocks(width, s.blocks) for width in widths)
        flat = torch.Size(self.start).numel()
        self.top = nn.Linear(flat, 2 * s.units)
        self.into = nn.Linear(s.units, flat)
        rungs: list[Rung] = []
        for width in coarse_first:
            rungs += [Rung(width, s.channels) for _ in range(s.depth)]
        self.rungs: Any = nn.ModuleList(rungs)
        plain_blocks = 0 if s.depth else s.blocks
        self.blocks = nn.ModuleList(blocks(width, plain_blocks) for width in coarse_first)
        self.ups = nn.ModuleList(up(before, after) for before, after in pairwise(coarse_first))
        self.out = nn.Sequential(
            blocks(widths[0], s.blocks if s.depth else 0),
            nn.SiLU(),
            up(widths[0], outputs * channels, 3),
        )
        # of the encoder, of the decoder
        self.embeddings = nn.ModuleList()
        if space.columns:
            for width in (widths[0], widths[-1]):
                self.embeddings.append(nn.Linear(space.columns, width, bias=False))

    def conditioned(self, x: Tensor, condition: Tensor | None, which: int) -> Tensor:
        """x (n, width, h, w) with an embedding of the condition added. which: 0 in the encoder, 1
        in the decoder."""
        if condition is None or not self.embeddings:
            return x
        return x + self.embeddings[which](condition)[:, :, None, None]

    def encode(self, x: Tensor, condition: Tensor | None) -> State:
        """The vector's mean and raw log scale, then what each rung sees, from the top down."""
        x = x.contiguous(memory_format=torch.channels_last)
        found = []  # at each size, the finest first
        for size, (smaller, climb) in enumerate(zip(self.downs, self.climbs, strict=True)):
            x = smaller(x)
            if size == 0:
                x = self.conditioned(x, condition, 0)
            x = climb(x)
            found.append(F.silu(x))
        state = [self.top(found[-1].flatten(1))]
        for number, rung in enumerate(self.rungs):
            size = number // self.depth  # the coarsest is 0
            state.append(rung.see(found[-1 - size]))
        return tuple(state)

    def posterior(self, layer: int, h: Tensor | None, seen: Tensor) -> Tensor:
        """See `Autoencoder.posterior`."""
        if h is None:
            return seen
        rung = self.rungs[layer - 1]
        both = rung.read(F.silu(h)) + seen
        parameters: Tensor = rung.posterior(F.silu(both))
        return parameters

    def descend(self, draw: Draw, condition: Tensor | None) -> Tensor:
        """See `Autoencoder.descend`."""
        h = self.into(draw(0, None)).view(-1, *self.start)
        h = h.contiguous(memory_format=torch.channels_last)
        h = self.conditioned(h, condition, 1)
        for size, chain in enumerate(self.blocks):
            if size:
                h = self.ups[size - 1](h)
            h = chain(h)
            for number in range(size * self.depth, (size + 1) * self.depth):
                h = self.rungs[number](h, draw(number + 1, h))
        return self.out(h).contiguous()


class _Settings(NetworkSettings):
    width: int = Field(32, ge=1, le=1024)
    """Channels at half the full size; twice as many at each further halving, up to 4 times."""
    blocks: int = Field(1, ge=0, le=32)
    """Residual blocks at each size of the encoder, and of the decoder (`ladder-vae`: before the
    output)."""
    role: ClassVar[str] = "vae"

    def build(self, space: Space, outputs: int = 1) -> Ladder:
        """The network, initialised from torch's current random state. outputs: likelihood
        parameters of each value. Raises GenwrightError for a size it cannot make."""
        return Ladder(space, outputs, self)


class ConvVae(_Settings, family="model"):
    """Settings of `conv-vae`."""

    kind: Literal["conv-vae"] = "conv-vae"
    """Encoder and decoder of residual convolutions."""
    units: int = Field(64, ge=1, le=4096)
    """Latent numbers of an example."""
    channels: ClassVar[int] = 0
    depth: ClassVar[int] = 0


class LadderVae(_Settings, family="model"):
    """Settings of `ladder-vae`."""

    kind: Literal["ladder-vae"] = "ladder-vae"
    """Latents at every size of the grid, the small ones decided first."""
    units: int = Field(32, ge=1, le=4096)
    """Latent numbers in the vector at the top."""
    channels: int = Field(4, ge=1, le=256)
    """Latent numbers at each place of a map."""
    depth: int = Field(2, ge=1, le=32)
    """Maps of latents at each size."""
