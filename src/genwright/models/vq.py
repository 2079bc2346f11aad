"""An autoencoder whose middle is a grid of codes: a residual convolutional encoder, a bottleneck
that lets through one of a finite number of vectors at each place, a decoder.

Bottlenecks: `vq`, a codebook whose entries are running means of the latents that chose them (van
den Oord et al., arXiv 1711.00937, appendix A.1), on the unit sphere unless told otherwise (Yu et
al., 2110.04627), with entries that fell out of use restarted at latents of the batch (Dhariwal et
al., 2005.00341); and `fsq`, which rounds each coordinate to a few levels, so that there is no
codebook that could die (Mentzer et al., 2309.15505). Neither network nor bottleneck normalises over
a batch.

Shapes: N examples, P = h * w places of the grid, D width of a code, K codes.
"""

import math
from itertools import pairwise
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.convolution import blocks, conv, halved, up, widening
from genwright.models.settings import NetworkSettings


class Bottleneck(nn.Module):
    """What both kinds share. size: K. width: D. idle: (K,) steps since a code was last chosen.
    `bound` maps an encoder's latents (..., D) to where `nearest` compares them with codes (...,)
    int64; `vectors` maps codes back to (..., D)."""

    idle: Tensor

    def __init__(self, size: int, width: int):
        super().__init__()
        self.size = size
        self.width = width
        self.register_buffer("idle", torch.zeros(size, dtype=torch.int64))

    @torch.no_grad()
    def learn(
        self, counts: Tensor, sums: Tensor, candidates: Tensor, decay: float, restart: int
    ) -> None:
        """Takes note of a step: how often each code was chosen, counts (K,); the sum of the latents
        that chose it, sums (K, D); a latent of the batch for each code, candidates (K, D)."""
        self.idle.add_(1).masked_fill_(counts > 0, 0)


class Codebook(Bottleneck):
    """codebook (K, D); mass (K,) and sums (K, D): running means of how many latents chose a code,
    and of their sum."""

    codebook: Tensor
    mass: Tensor
    sums: Tensor

    def __init__(self, size: int, width: int, normalised: bool):
        super().__init__(size, width)
        self.normalised = normalised
        self.register_buffer("codebook", self.bound(torch.randn(size, width)))
        self.register_buffer("mass", torch.zeros(size))
        self.register_buffer("sums", torch.zeros(size, width))

    def bound(self, z: Tensor) -> Tensor:
        """See `Bottleneck`."""
        return F.normalize(z, dim=-1) if self.normalised else z

    def nearest(self, z: Tensor) -> Tensor:
        """By Euclidean distance; the lowest of several equally near."""
        flat = z.reshape(-1, self.width)
        square = self.codebook.square().sum(1)
        return torch.addmm(square, flat, self.codebook.T, alpha=-2).argmin(1).view(z.shape[:-1])

    def vectors(self, codes: Tensor) -> Tensor:
        """See `Bottleneck`."""
        return F.embedding(codes, self.codebook)

    @torch.no_grad()
    def learn(
        self, counts: Tensor, sums: Tensor, candidates: Tensor, decay: float, restart: int
    ) -> None:
        """Moves the codes to the running means of their latents. A code that was not chosen for a
        multiple of `restart` steps, or never yet, begins anew at its candidate."""
        super().learn(counts, sums, candidates, decay, restart)
        chosen = counts > 0
        fresh = ((self.mass == 0) | (self.idle % restart == 0)) & ~chosen
        # as if chosen once, by its candidate
        self.mass.lerp_(counts.to(self.mass.dtype), 1 - decay)
        self.mass.masked_fill_(fresh, 1 - decay)
        learned = torch.lerp(self.sums, sums.to(self.sums.dtype), 1 - decay)
        torch.where(fresh[:, None], candidates * (1 - decay), learned, out=self.sums)
        moved = self.bound(self.sums / self.mass[:, None])
        self.codebook.copy_(torch.where((chosen | fresh)[:, None], moved, self.codebook))


class Scalars(Bottleneck):
    """Finite scalar quantisation: coordinate i takes one of levels[i] values, evenly spaced in [-1,
    1]; a code is their mixed-radix number, the first coordinate its lowest digit."""

    levels: Tensor
    radix: Tensor

    def __init__(self, levels: tuple[int, ...]):
        super().__init__(math.prod(levels), len(levels))
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        radix = torch.tensor([math.prod(levels[:i]) for i in range(len(levels))])
        self.register_buffer("radix", radix, persistent=False)

    def bound(self, z: Tensor) -> Tensor:
        """Within half a level beyond the outermost ones (less 0.1%), so that every level's share of
        the range is (nearly) equal; an encoder's zero lies amid the levels, on the lower of the two
        middle ones where their number is even."""
        reach = self.levels / (self.levels - 1) * 0.999
        middle = ((self.levels - 1) // 2 * 2 + 1 - self.levels) / (self.levels - 1)
        return reach * torch.tanh(z + torch.atanh(middle / reach))

    def nearest(self, z: Tensor) -> Tensor:
        """By rounding each coordinate."""
        digits = ((z + 1) / 2 * (self.levels - 1)).round().long()
        return (digits * self.radix).sum(-1)

    def vectors(self, codes: Tensor) -> Tensor:
        """See `Bottleneck`."""
        digits = codes[..., None] // self.radix % self.levels  # (..., D)
        return digits * 2 / (self.levels - 1) - 1


class VQAutoencoder(nn.Module):
    """shape: (C, H, W) of an example. grid: (h, w) of its codes."""

    def __init__(self, bottleneck: Codebook | Scalars, shape: tuple[int, ...], s: "VQSettings"):
        super().__init__()
        self.bottleneck = bottleneck
        widths = widening(s.width, s.halvings)
        self.grid = (shape[1] >> s.halvings, shape[2] >> s.halvings)
        sizes = list(pairwise([shape[0], *widths]))  # channels before and after each halving
        down: list[nn.Module] = []
        for fine, coarse in sizes:
            down += [conv(fine, coarse, 4, stride=2), blocks(coarse, s.blocks)]
        back: list[nn.Module] = []
        for fine, coarse in reversed(sizes):
            back += [blocks(coarse, s.blocks), up(coarse, fine, 3)]
        self.encoder = nn.Sequential(*down, nn.SiLU(), conv(widths[-1], bottleneck.width, 1))
        self.decoder = nn.Sequential(conv(bottleneck.width, widths[-1]), *back)

    def forward(self, x: Tensor | None = None, codes: Tensor | None = None, decode: bool = False):
        """Arrays (N, C, H, W) -> (latents (N, P, D), their codes (N, P)). Codes -> arrays. To
        learn (`decode`): arrays that are encoded and decoded, with the gradient of the
        bottleneck's output passed straight to its input -> (latents, codes, arrays, vectors of
        the codes (N, P, D)). Latents and vectors in fp32, latents bounded."""
        if x is None:
            assert codes is not None
            return self.decode(self.bottleneck.vectors(codes))
        z = self.bottleneck.bound(self.encoder(x).flatten(2).mT.float())
        codes = self.bottleneck.nearest(z.detach())
        if not decode:
            return z, codes
        vectors = self.bottleneck.vectors(codes)
        return z, codes, self.decode(z + (vectors - z).detach()), vectors

    def decode(self, vectors: Tensor) -> Tensor:
        """(N, P, D) -> (N, C, H, W) float32."""
        dtype = next(self.decoder.parameters()).dtype
        maps = vectors.mT.unflatten(2, self.grid)  # (N, D, h, w)
        return self.decoder(maps.to(dtype)).float()


class VQSettings(NetworkSettings, family="model"):
    """Arrays (channels, height, width) <-> a grid of codes."""

    role: ClassVar[str] = "vq"
    kind: Literal["vq-autoencoder"] = "vq-autoencoder"
    """Which network: a convolutional autoencoder with a discrete bottleneck."""
    width: int = Field(32, ge=4, le=4096)
    """Channels after the first halving; each further one doubles them, up to four times this."""
    halvings: int = Field(2, ge=1, le=8)
    """How often the sides are halved: 2 makes 32x32 places 8x8 codes."""
    blocks: int = Field(2, ge=0, le=64)
    """Residual blocks at each size, in the encoder and in the decoder."""
    bottleneck: Literal["vq", "fsq"] = "vq"
    """`vq`: the nearest entry of a learned codebook; `fsq`: each coordinate rounded to a level."""
    codes: int = Field(512, ge=2, le=1 << 18)
    """Entries of the codebook (of `vq`)."""
    code_width: int = Field(8, ge=1, le=1024)
    """Width of an entry (of `vq`); a small one keeps more of them in use."""
    normalised: bool = True
    """Whether latents and entries lie on the unit sphere (of `vq`)."""
    levels: tuple[int, ...] = Field((8, 8, 8), min_length=1, max_length=16)
    """Levels of each coordinate (of `fsq`); their product is the number of codes. 2 or more
    each."""

    def build(self, space: Space) -> VQAutoencoder:
        """The network, initialised from torch's current random state. Raises GenwrightError for a
        size it cannot make."""
        shape = halved(space, self.kind, 2**self.halvings, "lower model.halvings")
        if min(self.levels) < 2 or math.prod(self.levels) > 1 << 18:
            what = f"model.levels is {list(self.levels)}"
            raise GenwrightError(
                what, "give each coordinate 2 levels or more, 262144 codes in all at most"
            )
        bottleneck: Codebook | Scalars
        if self.bottleneck == "fsq":
            bottleneck = Scalars(self.levels)
        else:
            bottleneck = Codebook(self.codes, self.code_width, self.normalised)
        return VQAutoencoder(bottleneck, shape, self)
