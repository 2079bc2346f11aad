"""Variational autoencoders (Kingma and Welling, arXiv 1312.6114; Rezende et al., 1401.4082): the
call that every variational network answers, and `mlp-vae`. Convolutional ones, with one layer of
latents or many, are in `ladder.py`.

A network is asked in one of three ways, always through `__call__`:

    network(x, condition) -> state, what the encoder says of x, once, for any number of samples
    network(x, condition, noise=noise) -> Sampled
    network(None, condition, state=state, noise=noise) -> Sampled
    network(None, condition, latent=latent) -> parameters of the likelihood, (n, outputs, *shape)

Every latent is whitened: given the layers above it its prior is N(0, 1), and how it changes the
content is for the decoder to say. So no prior needs a network, the KL divergence is each unit's
closed form, and a sample is one decoding of plain noise. No normalisation over the batch: an
example's likelihood must not depend on its neighbours.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Space
from genwright.models.convolution import initialised
from genwright.models.settings import NetworkSettings

State = tuple[Tensor, ...]  # for each layer of latents what the encoder says of it, (n, ...)
# (layer, the decoder's state) -> latents (m, *sizes[layer])
Draw = Callable[[int, "Tensor | None"], Tensor]


class Sampled(NamedTuple):
    """k latents drawn for each of n examples, and what they decode to.

    parameters: (n, k, outputs, *shape) float32, of the likelihood. log_ratio: (n, k) log q(z|x) -
    log p(z), nats, all layers.
    kl: (n, units) closed form, nats, mean over the k. latent: (n, k, units); of one layer, what the
    parameters were computed from.
    """

    parameters: Tensor
    log_ratio: Tensor
    kl: Tensor
    latent: Tensor


def gaussian_kl(mean: Tensor, log_scale: Tensor) -> Tensor:
    """KL(N(mean, scale^2) || N(0, 1)), element-wise, nats (1312.6114, appendix B)."""
    return 0.5 * (mean.square() + (2 * log_scale).exp() - 1) - log_scale


class Autoencoder(nn.Module, ABC):
    """What variational networks share. A subclass gives `encode`, `descend` and, for layers after
    the first, `posterior`.

    sizes: shapes of the layers of latents, in the order in which they are drawn. outputs:
    likelihood parameters of each value.
    """

    def __init__(self, space: Space, outputs: int, sizes: list[tuple[int, ...]]):
        super().__init__()
        self.shape = tuple(space.shape)
        self.outputs = outputs
        self.sizes = sizes
        self.counts = [torch.Size(size).numel() for size in sizes]
        self.units = sum(self.counts)
        self.layers = len(sizes)

    @abstractmethod
    def encode(self, x: Tensor, condition: Tensor | None) -> State:
        """What the encoder says of x (n, *shape) about each layer of latents."""

    @abstractmethod
    def descend(self, draw: Draw, condition: Tensor | None) -> Tensor:
        """Parameters (m, outputs * channels, ...) from latents that are asked for on the way."""

    def posterior(self, layer: int, h: Tensor | None, seen: Tensor) -> Tensor:
        """(m, 2 * units of the layer): mean and raw log scale, from the decoder's state and the
        encoder's."""
        return seen

    def forward(
        self,
        x: Tensor | None = None,
        condition: Tensor | None = None,
        noise: Tensor | None = None,
        state: State | None = None,
        latent: Tensor | None = None,
        stop: bool = False,
    ) -> Any:
        """See the module. x: (n, *shape); condition: (n, columns); noise: (n, k, units) standard
        normal; latent: (n, units). stop: log q(z|x) is differentiated through z only (Roeder et
        al., arXiv 1703.09194)."""
        dtype = next(self.parameters()).dtype
        if condition is not None:
            condition = condition.to(dtype)
        if latent is not None:
            return self._decoded(latent.to(dtype), condition)
        if state is None:
            assert x is not None, "x, state or latent"
            state = self.encode(x.to(dtype), condition)
        return state if noise is None else self._sampled(state, condition, noise, stop)

    def _decoded(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        """Parameters (n, outputs, *shape) float32 of latents (n, units)."""
        pieces = latent.split(self.counts, 1)

        def given(layer: int, h: Tensor | None) -> Tensor:
            return pieces[layer].view(-1, *self.sizes[layer])

        parameters = self.descend(given, condition)
        return parameters.float().view(-1, self.outputs, *self.shape)

    def _sampled(
        self, state: State, condition: Tensor | None, noise: Tensor, stop: bool
    ) -> Sampled:
        """Draws k latents for each of n examples; noise: (n, k, units)."""
        n, k = noise.shape[:2]
        pieces = noise.split(self.counts, 2)
        ratios = []  # of each layer, (n, k)
        kls = []  # (n, units of the layer)
        drawn = []  # (n, k, units of the layer)

        def draw(layer: int, h: Tensor | None) -> Tensor:
            units = self.counts[layer]
            # of the first layer one for all k
            seen = state[layer] if h is None else _repeated(state[layer], k)
            raw = self.posterior(layer, h, seen)
            mean, log_scale = raw.float().flatten(1).view(n, -1, 2 * units).chunk(2, 2)
            # no scale can overflow (NVAE, arXiv 2007.03898)
            log_scale = 5 * torch.tanh(log_scale / 5)
            off = pieces[layer]  # (n, k, units)
            z = mean + log_scale.exp() * off
            drawn.append(z)  # all that follows goes through it: a place for a hook
            kls.append(gaussian_kl(mean, log_scale).mean(1))
            if stop:
                log_scale = log_scale.detach()
                off = (z - mean.detach()) * (-log_scale).exp()
            ratios.append((0.5 * (z.square() - off.square()) - log_scale).sum(2))
            return z.flatten(0, 1).to(raw.dtype).view(-1, *self.sizes[layer])

        if condition is not None:
            condition = _repeated(condition, k)
        parameters = self.descend(draw, condition).float()
        return Sampled(
            parameters.view(n, k, self.outputs, *self.shape),
            sum(ratios[1:], ratios[0]),
            torch.cat(kls, 1),
            drawn[0] if self.layers == 1 else torch.cat(drawn, 2),
        )


def _repeated(rows: Tensor, k: int) -> Tensor:
    """(n, ...) -> (n * k, ...), each row k times."""
    return rows if k == 1 else rows.repeat_interleave(k, 0)


class Dense(nn.Module):
    """Linear layers with SiLU between them; a condition is embedded into the first hidden layer.
    Rows are flattened."""

    def __init__(self, sizes: list[int], columns: int):
        super().__init__()
        layers = []
        for inputs, outputs in pairwise(sizes):
            std = (2 / (inputs + outputs)) ** 0.5
            layers.append(initialised(nn.Linear(inputs, outputs), std))
        self.layers = nn.ModuleList(layers)
        self.embedding = nn.Linear(columns, sizes[1], bias=False) if columns else None

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """x: (n, ...), flattened. condition: (n, columns)."""
        x = self.layers[0](x.flatten(1))
        if self.embedding is not None and condition is not None:
            x = x + self.embedding(condition)
        for layer in self.layers[1:]:
            x = layer(F.silu(x))
        return x


class DenseAutoencoder(Autoencoder):
    """One layer of latents between fully connected networks."""

    def __init__(self, space: Space, outputs: int, s: MlpVae):
        super().__init__(space, outputs, [(s.units,)])
        size = torch.Size(space.shape).numel()
        hidden = [s.width] * s.depth
        self.encoder = Dense([size, *hidden, 2 * s.units], space.columns)
        self.decoder = Dense([s.units, *hidden, outputs * size], space.columns)

    def encode(self, x: Tensor, condition: Tensor | None) -> State:
        """See `Autoencoder`."""
        return (self.encoder(x, condition),)

    def descend(self, draw: Draw, condition: Tensor | None) -> Tensor:
        """See `Autoencoder`."""
        parameters: Tensor = self.decoder(draw(0, None), condition)
        return parameters


class MlpVae(NetworkSettings, family="model"):
    """Settings of `mlp-vae`."""

    kind: Literal["mlp-vae"] = "mlp-vae"
    """Encoder and decoder of fully connected layers."""
    units: int = Field(50, ge=1, le=4096)
    """Latent numbers of an example."""
    width: int = Field(512, ge=1, le=16384)
    """Units of a hidden layer."""
    depth: int = Field(2, ge=1, le=16)
    """Hidden layers, in the encoder and in the decoder."""
    role: ClassVar[str] = "vae"

    def build(self, space: Space, outputs: int = 1) -> Autoencoder:
        """The network, initialised from torch's current random state. outputs: likelihood
        parameters of each value."""
        return DenseAutoencoder(space, outputs, self)
