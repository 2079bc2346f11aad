"""Variational autoencoders with one layer of latents (Kingma and Welling, arXiv 1312.6114; Rezende et al., 1401.4082): `mlp-vae` and
`conv-vae`; and the call that every variational network answers, hierarchical ones too (`ladder.py`).

A network is asked in one of three ways, always through `__call__`:
    network(x, condition) -> state                                   what the encoder says of x, once, for any number of samples
    network(x, condition, noise=noise) or network(None, condition, state=state, noise=noise) -> Sampled
    network(None, condition, latent=latent) -> parameters of the likelihood
Latents are whitened: `latent` has prior N(0, I) in every network, of `units` numbers. Picture sides must halve to 4..8 (28, 32, 64).
No normalisation over the batch: a picture's likelihood must not depend on its neighbours. Residual branches begin at zero.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.contracts import Space
from genwright.errors import GenwrightError
from genwright.registry import Settings, register

State = tuple[Tensor, ...]  # each (n, ...)


class Sampled(NamedTuple):
    """k latents drawn for each of n examples, and what they decode to.

    parameters: (n, k, outputs, *shape) float32, of the likelihood. log_ratio: (n, k) log q(z|x) - log p(z), nats, all layers.
    kl: (n, units) closed form, nats, mean over the k. latent: (n, k, units), whitened by the prior.
    """

    parameters: Tensor
    log_ratio: Tensor
    kl: Tensor
    latent: Tensor


def gaussian_kl(mean: Tensor, log_scale: Tensor) -> Tensor:
    """KL(N(mean, scale^2) || N(0, 1)), element-wise, nats (1312.6114, appendix B)."""
    return 0.5 * (mean.square() + (2 * log_scale).exp() - 1) - log_scale


def bounded(raw: Tensor) -> Tensor:
    """A log scale within (-5, 5), near the identity around 0: no scale can overflow (NVAE, arXiv 2007.03898)."""
    return 5 * torch.tanh(raw / 5)


class Autoencoder(nn.Module):
    """What variational networks share: the three ways to be asked. A subclass gives `encode`, `infer` and `generate`.

    units: latent numbers of an example. layers: how many stochastic layers they lie in. outputs: likelihood parameters a value.
    """

    def __init__(self, space: Space, outputs: int, units: int, layers: int = 1):
        super().__init__()
        self.shape, self.outputs, self.units, self.layers = tuple(space.shape), outputs, units, layers

    def encode(self, x: Tensor, condition: Tensor | None) -> State:
        raise NotImplementedError

    def infer(self, state: State, condition: Tensor | None, noise: Tensor, stop: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """`Sampled`'s fields, parameters as (n * k, outputs * channels, ...). noise: (n, k, units) standard normal."""
        raise NotImplementedError

    def generate(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        raise NotImplementedError

    def forward(
        self,
        x: Tensor | None = None,
        condition: Tensor | None = None,
        noise: Tensor | None = None,
        state: State | None = None,
        latent: Tensor | None = None,
        stop: bool = False,
    ) -> State | Sampled | Tensor:
        """See the module. x: (n, *shape); condition: (n, columns); noise: (n, k, units); latent: (n, units). stop: log q(z|x) is
        differentiated through z only (Roeder et al., arXiv 1703.09194), for networks of one layer."""
        dtype = next(self.parameters()).dtype
        condition = condition if condition is None else condition.to(dtype)
        if latent is not None:
            return self.generate(latent.to(dtype), condition).float().view(-1, self.outputs, *self.shape)
        if state is None:
            assert x is not None, "x or state"
            state = self.encode(x.to(dtype), condition)
        if noise is None:
            return state
        n, k = noise.shape[:2]
        parameters, log_ratio, kl, drawn = self.infer(state, condition, noise, stop)
        return Sampled(parameters.float().view(n, k, self.outputs, *self.shape), log_ratio, kl, drawn)


def repeated(x: Tensor | None, k: int) -> Tensor | None:
    """(n, ...) -> (n * k, ...), each row k times."""
    return x if x is None or k == 1 else x.repeat_interleave(k, 0)


class VAE(Autoencoder):
    """One layer of latents: an encoder (x, condition) -> (n, 2 * units) and a decoder (latent, condition) -> parameters."""

    def __init__(self, space: Space, outputs: int, units: int, encoder: nn.Module, decoder: nn.Module):
        super().__init__(space, outputs, units)
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x, condition):
        mean, log_scale = self.encoder(x, condition).float().chunk(2, 1)
        return mean, bounded(log_scale)

    def infer(self, state, condition, noise, stop):
        mean, log_scale = (s[:, None] for s in state)
        z = mean + log_scale.exp() * noise
        kl = gaussian_kl(*state)
        off = (z - mean.detach()) * (-log_scale.detach()).exp() if stop else noise
        log_scale = log_scale.detach() if stop else log_scale
        log_ratio = (0.5 * (z.square() - off.square()) - log_scale).sum(2)
        return self.generate(z.flatten(0, 1).to(self.dtype), repeated(condition, noise.size(1))), log_ratio, kl, z

    def generate(self, latent, condition):
        return self.decoder(latent, condition)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype


class Dense(nn.Module):
    """Linear layers with SiLU between them; a condition is embedded into the first hidden layer. Rows are flattened."""

    def __init__(self, sizes: list[int], columns: int):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False))
        self.embedding = nn.Linear(columns, sizes[1], bias=False) if columns else None
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x, condition):
        x = self.layers[0](x.flatten(1))
        if self.embedding is not None and condition is not None:
            x = x + self.embedding(condition)
        for layer in self.layers[1:]:
            x = layer(F.silu(x))
        return x


class Block(nn.Module):
    """x + f(x), f of two 3x3 convolutions; the second begins at zero, so that the whole begins as the identity."""

    def __init__(self, width: int):
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width, gain=0.0)

    def forward(self, x):
        return x + self.second(F.silu(self.first(F.silu(x))))


def conv(inputs: int, outputs: int, size: int = 3, gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the size; weights of variance gain^2 / fan-in."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    nn.init.normal_(layer.weight, std=gain * (inputs * size * size) ** -0.5)
    nn.init.zeros_(layer.bias)
    return layer


def down(inputs: int, outputs: int) -> nn.Conv2d:
    """Half the sides."""
    layer = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)
    nn.init.normal_(layer.weight, std=(inputs * 16) ** -0.5)
    nn.init.zeros_(layer.bias)
    return layer


def up(inputs: int, outputs: int, size: int = 1) -> nn.Sequential:
    """Twice the sides: a convolution, then depth to space."""
    return nn.Sequential(conv(inputs, 4 * outputs, size), nn.PixelShuffle(2))


def sides(space: Space, kind: str) -> list[tuple[int, int]]:
    """(height, width) after each halving: the first is half the picture's, the smaller side of the last 4 to 8. Raises GenwrightError
    for a picture that does not halve so."""
    out: list[tuple[int, int]] = []
    height, width = space.shape[1:] if len(space.shape) == 3 else (0, 0)
    while height % 2 == 0 and width % 2 == 0 and min(height, width) > (8 if out else 7):
        height, width = height // 2, width // 2
        out.append((height, width))
    if not out or not 4 <= min(height, width) <= 8:
        what = f"model.kind={kind} cannot make content of shape {tuple(space.shape)}: pictures must halve to sides of 4 to 8 pixels"
        raise GenwrightError(what, "set codec.size to 28, 32 or 64, or use mlp-vae")
    return out


class ConvEncoder(nn.Module):
    """(n, channels, H, W) -> (n, outputs): at each halving a convolution and residual blocks, then one linear layer."""

    def __init__(self, space: Space, widths: list[int], blocks: int, outputs: int, kind: str):
        super().__init__()
        scales = sides(space, kind)
        self.stages = nn.ModuleList()
        for before, width in zip([space.shape[0], *widths], widths, strict=False):
            self.stages.append(nn.Sequential(down(before, width), *(Block(width) for _ in range(blocks))))
        self.embedding = nn.Linear(space.columns, widths[0], bias=False) if space.columns else None
        self.out = nn.Linear(widths[-1] * scales[-1][0] * scales[-1][1], outputs)

    def forward(self, x, condition):
        x = x.contiguous(memory_format=torch.channels_last)
        for i, stage in enumerate(self.stages):
            x = stage[0](x)
            if i == 0 and self.embedding is not None and condition is not None:
                x = x + self.embedding(condition)[:, :, None, None]
            x = stage[1:](x)
        return self.out(F.silu(x).flatten(1))


class ConvDecoder(nn.Module):
    """(n, units) -> (n, outputs * channels, H, W): the encoder backwards."""

    def __init__(self, space: Space, widths: list[int], blocks: int, units: int, outputs: int, kind: str):
        super().__init__()
        self.start = (widths[-1], *sides(space, kind)[-1])
        self.into = nn.Linear(units + space.columns, self.start[0] * self.start[1] * self.start[2])
        self.stages = nn.ModuleList()
        for width, after in zip(widths[::-1], widths[-2::-1], strict=False):
            self.stages.append(nn.Sequential(*(Block(width) for _ in range(blocks)), up(width, after)))
        self.stages.append(nn.Sequential(*(Block(widths[0]) for _ in range(blocks)), nn.SiLU(), up(widths[0], outputs * space.shape[0], 3)))

    def forward(self, latent, condition):
        x = latent if condition is None else torch.cat([latent, condition], 1)
        x = self.into(x).view(-1, *self.start).contiguous(memory_format=torch.channels_last)
        for stage in self.stages:
            x = stage(x)
        return x.contiguous()


@register("model", "mlp-vae")
class MlpVae(Settings):
    kind: Literal["mlp-vae"] = "mlp-vae"
    """Encoder and decoder of fully connected layers."""
    units: int = Field(50, ge=1, le=4096)
    """Latent numbers of an example."""
    width: int = Field(512, ge=1, le=16384)
    """Units of a hidden layer."""
    depth: int = Field(2, ge=1, le=16)
    """Hidden layers, in the encoder and in the decoder."""
    role: ClassVar[str] = "vae"

    def build(self, space: Space, outputs: int = 1) -> VAE:
        size, hidden = torch.Size(space.shape).numel(), [self.width] * self.depth
        encoder = Dense([size, *hidden, 2 * self.units], space.columns)
        decoder = Dense([self.units, *hidden, outputs * size], space.columns)
        return VAE(space, outputs, self.units, encoder, decoder)


@register("model", "conv-vae")
class ConvVae(Settings):
    kind: Literal["conv-vae"] = "conv-vae"
    """Encoder and decoder of residual convolutions."""
    units: int = Field(64, ge=1, le=4096)
    """Latent numbers of an example."""
    width: int = Field(32, ge=1, le=1024)
    """Channels at half the picture's size; twice as many at each further halving, up to 4 times."""
    blocks: int = Field(1, ge=0, le=32)
    """Residual blocks at each size, in the encoder and in the decoder."""
    role: ClassVar[str] = "vae"

    def build(self, space: Space, outputs: int = 1) -> VAE:
        widths = [self.width * min(4, 2**i) for i in range(len(sides(space, self.kind)))]
        encoder = ConvEncoder(space, widths, self.blocks, 2 * self.units, self.kind)
        decoder = ConvDecoder(space, widths, self.blocks, self.units, outputs, self.kind)
        return VAE(space, outputs, self.units, encoder, decoder)
