"""Fully connected generator and discriminator, for points in the plane and other short vectors; and
what all such pairs share.

No normalisation, so that an example's result does not depend on its batch; He's initialisation. The
discriminator may be made of maxout units (Goodfellow et al., arXiv 1302.4389): the largest of
several affine maps, as PacGAN's is (Lin et al., arXiv 1712.04086). A condition enters the generator
beside the latent, and the discriminator by projection (Miyato and Koyama, arXiv 1802.05637).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.convolution import initialised
from genwright.models.settings import NetworkSettings


class Layers(nn.Module):
    """Hidden layers: affine maps, each followed by an activation, or by the largest of `pieces`
    neighbours (maxout)."""

    def __init__(self, inputs: int, width: int, depth: int, activation: str, pieces: int = 1):
        super().__init__()
        self.slope = 0.2 if activation == "leaky" else 0.0
        self.pieces = pieces
        affine = []
        for size in [inputs] + [width] * (depth - 1):
            affine.append(nn.Linear(size, width * pieces))
        self.affine = nn.ModuleList(affine)
        gain = 2 if pieces == 1 else 1
        for layer in affine:
            nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.in_features))
            # breaks are spread over the plane, not all through its centre
            nn.init.uniform_(layer.bias, -0.5, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, width)."""
        for layer in self.affine:
            x = layer(x)
            if self.pieces == 1:
                x = F.leaky_relu(x, self.slope)
            else:
                x = x.unflatten(1, (-1, self.pieces)).amax(2)
        return x


class Generator(nn.Module, ABC):
    """z (n, latent), condition (n, columns) or None -> (n, *shape), by `generated` of a subclass
    from (n, inputs): the latent, and beside it the condition's embedding. `first` maps them."""

    def __init__(self, space: Space, latent: int):
        super().__init__()
        self.embed: nn.Linear | None = None
        self.inputs = latent
        if space.columns:
            self.embed = initialised(nn.Linear(space.columns, latent, bias=False), 1.0)
            self.inputs = 2 * latent

    @abstractmethod
    def generated(self, z: Tensor) -> Tensor:
        """(n, inputs) -> (n, *shape)."""

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """See the class."""
        if self.embed is not None and condition is not None:
            z = torch.cat([z, self.embed(condition)], 1)
        return self.generated(z)


class Discriminator(nn.Module, ABC):
    """x (n, packing * channels, ...), condition (n, packing * columns) or None -> scores (n,), from
    `features` (n, width) of a subclass."""

    def __init__(self, columns: int, width: int):
        super().__init__()
        self.out = nn.Linear(width, 1, bias=False)
        self.embed: nn.Linear | None = None
        if columns:
            std = 1 / math.sqrt(width)
            self.embed = initialised(nn.Linear(columns, width, bias=False), std)

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """(n, packing * channels, ...) -> (n, width)."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """See the class."""
        features = self.features(x)
        scores: Tensor = self.out(features)[:, 0]
        if self.embed is not None and condition is not None:
            scores = scores + (self.embed(condition) * features).sum(1)
        return scores


class DenseGenerator(Generator):
    """Fully connected."""

    def __init__(self, space: Space, latent: int, s: MLPGenerator):
        super().__init__(space, latent)
        self.shape = space.shape
        self.scale = s.scale
        self.layers = Layers(self.inputs, s.width, s.depth, s.activation)
        self.first = self.layers.affine[0]
        self.out = nn.Linear(s.width, s.inputs(space))

    def generated(self, z: Tensor) -> Tensor:
        """See `Generator`."""
        return self.out(self.layers(z)).unflatten(1, self.shape) * self.scale


class DenseDiscriminator(Discriminator):
    """Fully connected."""

    def __init__(self, space: Space, packing: int, s: MLPDiscriminator):
        layers = Layers(s.inputs(space) * packing, s.width, s.depth, s.activation, s.maxout)
        super().__init__(space.columns * packing, s.width)
        self.layers = layers
        self.scale = s.scale

    def features(self, x: Tensor) -> Tensor:
        """See `Discriminator`."""
        return self.layers(x.flatten(1) / self.scale)


class Network(NetworkSettings):
    """What the two share."""

    width: int = Field(128, ge=1, le=16384)
    """Units of a hidden layer."""
    depth: int = Field(3, ge=1, le=64)
    """Hidden layers."""
    activation: Literal["relu", "leaky"] = "leaky"
    """After each hidden layer."""
    scale: float = Field(1.0, gt=0)
    """Typical size of a coordinate in the data."""

    def inputs(self, space: Space) -> int:
        """Numbers in an example. Raises GenwrightError where it has no fixed shape."""
        if not space.shape:
            raise GenwrightError(
                "fully connected networks make content of a fixed shape, and this has none",
                "use data of one, or choose another model.kind",
            )
        return math.prod(space.shape)


class MLPGenerator(Network, family="model"):
    """Settings of `mlp-generator`."""

    kind: Literal["mlp-generator"] = "mlp-generator"
    """Fully connected generator, for points."""
    role: ClassVar[str] = "generator"

    def build(self, space: Space, latent: int) -> DenseGenerator:
        """The network, initialised from torch's current random state. Raises GenwrightError."""
        return DenseGenerator(space, latent, self)


class MLPDiscriminator(Network, family="model"):
    """Settings of `mlp-discriminator`."""

    kind: Literal["mlp-discriminator"] = "mlp-discriminator"
    """Fully connected discriminator, for points."""
    maxout: int = Field(1, ge=1, le=64)
    """Affine maps of which a unit takes the largest; 1: the activation instead."""
    role: ClassVar[str] = "discriminator"

    def build(self, space: Space, packing: int = 1) -> DenseDiscriminator:
        """The network, initialised from torch's current random state. packing: examples that are
        judged together. Raises GenwrightError."""
        return DenseDiscriminator(space, packing, self)
