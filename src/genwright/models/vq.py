"""An autoencoder whose middle is a grid of codes: a residual convolutional encoder, a codebook that lets through one of its entries at
each place, a decoder.

The entries are running means of the latents that chose them (van den Oord et al., arXiv 1711.00937, appendix A.1), on the unit sphere
unless told otherwise (Yu et al., 2110.04627), and restarted at latents of the batch where they fell out of use (Dhariwal et al.,
2005.00341). Nothing normalises over a batch.

Shapes: N examples, P = h * w places of the grid, D width of a code, K codes.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.contracts import Space
from genwright.models.ladder import blocks, conv, halved, up, widening
from genwright.registry import Settings, register


class Codebook(nn.Module):
    """size: K. width: D. codebook (K, D); idle (K,): steps since a code was last chosen; mass (K,) and sums (K, D): running means of how
    many latents chose a code, and of their sum. `bound` maps an encoder's latents (..., D) to where `nearest` compares them with codes
    (...,) int64; `vectors` maps codes back to (..., D)."""

    codebook: Tensor
    idle: Tensor
    mass: Tensor
    sums: Tensor

    def __init__(self, size: int, width: int, normalised: bool):
        super().__init__()
        self.size, self.width, self.normalised = size, width, normalised
        self.register_buffer("idle", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("codebook", self.bound(torch.randn(size, width)))
        self.register_buffer("mass", torch.zeros(size))
        self.register_buffer("sums", torch.zeros(size, width))

    def bound(self, z: Tensor) -> Tensor:
        return F.normalize(z, dim=-1) if self.normalised else z

    def nearest(self, z: Tensor) -> Tensor:
        """By Euclidean distance; the lowest of several equally near."""
        flat, square = z.reshape(-1, self.width), self.codebook.square().sum(1)
        return torch.addmm(square, flat, self.codebook.T, alpha=-2).argmin(1).view(z.shape[:-1])

    def vectors(self, codes: Tensor) -> Tensor:
        return F.embedding(codes, self.codebook)

    @torch.no_grad()
    def learn(self, counts: Tensor, sums: Tensor, candidates: Tensor, decay: float, restart: int) -> None:
        """Moves the codes to the running means of their latents. counts (K,): how often a step chose each code; sums (K, D): of the latents
        that did; candidates (K, D): a latent of the batch for each code, at which one begins anew that was not chosen for a multiple of
        `restart` steps, or never yet."""
        chosen = counts > 0
        self.idle.add_(1).masked_fill_(chosen, 0)
        fresh = ((self.mass == 0) | (self.idle % restart == 0)) & ~chosen
        self.mass.lerp_(counts.to(self.mass.dtype), 1 - decay).masked_fill_(fresh, 1 - decay)  # as if chosen once, by its candidate
        learned = torch.lerp(self.sums, sums.to(self.sums.dtype), 1 - decay)
        torch.where(fresh[:, None], candidates * (1 - decay), learned, out=self.sums)
        moved = self.bound(self.sums / self.mass[:, None])
        self.codebook.copy_(torch.where((chosen | fresh)[:, None], moved, self.codebook))


class VQAutoencoder(nn.Module):
    """shape: (C, H, W) of a picture. grid: (h, w) of its codes."""

    def __init__(self, bottleneck: Codebook, shape: tuple[int, ...], s: "VQSettings"):
        super().__init__()
        self.bottleneck, widths = bottleneck, widening(s.width, s.halvings)
        self.grid = shape[1] >> s.halvings, shape[2] >> s.halvings
        sizes = list(zip([shape[0], *widths], widths, strict=False))
        # of each size: half the sides, then blocks; on the way back blocks, then twice the sides
        down = [layer for fine, coarse in sizes for layer in (conv(fine, coarse, 4, stride=2), blocks(coarse, s.blocks))]
        back = [layer for fine, coarse in reversed(sizes) for layer in (blocks(coarse, s.blocks), up(coarse, fine, 3))]
        self.encoder = nn.Sequential(*down, nn.SiLU(), conv(widths[-1], bottleneck.width, 1))
        self.decoder = nn.Sequential(conv(bottleneck.width, widths[-1]), *back)

    def forward(self, x: Tensor | None = None, codes: Tensor | None = None, decode: bool = False):
        """Pictures (N, C, H, W) -> (latents (N, P, D), their codes (N, P)). Codes -> pictures. To learn (`decode`): pictures that are
        encoded and decoded, with the gradient of the bottleneck's output passed straight to its input -> (latents, codes, pictures,
        vectors of the codes (N, P, D)). Latents and vectors in fp32, latents bounded."""
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
        return self.decoder(vectors.mT.unflatten(2, self.grid).to(dtype)).float()


@register("model", "vq-autoencoder")
class VQSettings(Settings):
    """Pictures <-> a grid of codes."""

    role: ClassVar[str] = "vq"
    kind: Literal["vq-autoencoder"] = "vq-autoencoder"
    """Which network: a convolutional autoencoder with a discrete bottleneck."""
    width: int = Field(32, ge=4, le=4096)
    """Channels after the first halving; each further one doubles them, up to four times this."""
    halvings: int = Field(2, ge=1, le=8)
    """How often the picture's sides are halved: 2 makes 32x32 pixels 8x8 codes."""
    blocks: int = Field(2, ge=0, le=64)
    """Residual blocks at each size, in the encoder and in the decoder."""
    codes: int = Field(512, ge=2, le=1 << 18)
    """Entries of the codebook."""
    code_width: int = Field(8, ge=1, le=1024)
    """Width of an entry; a small one keeps more of them in use."""
    normalised: bool = True
    """Whether latents and entries lie on the unit sphere."""

    def build(self, space: Space) -> VQAutoencoder:
        """The network, initialised from torch's current random state. Raises GenwrightError for a size it cannot make."""
        shape = halved(space, self.kind, 2**self.halvings, "lower model.halvings")
        return VQAutoencoder(Codebook(self.codes, self.code_width, self.normalised), shape, self)
