"""The velocity of a flow between points: a residual MLP. What velocity networks share: the features
of time and of a condition."""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.settings import NetworkSettings

_FASTEST = 256.0  # radians over the whole way, of the quickest feature of time


class Context(nn.Module):
    """time (n,) in [0, 1] and condition (n, columns) or None -> (n, width). An attribute that is
    not said adds nothing."""

    rates: Tensor

    def __init__(self, columns: int, width: int):
        super().__init__()
        rates = torch.logspace(0, math.log2(_FASTEST), 32, base=2)
        self.register_buffer("rates", rates, persistent=False)
        self.time = nn.Linear(65, width)
        self.condition = nn.Linear(columns, width, bias=False) if columns else None
        if self.condition is not None:
            # rows are looked up, a few at a time, beside features of size 1
            nn.init.normal_(self.condition.weight, std=0.5)
        self.mix = nn.Linear(width, width)

    def forward(self, time: Tensor, condition: Tensor | None) -> Tensor:
        """See the class."""
        # in fp32: bfloat16 would make steps of the way equal
        angle = time.float()[:, None] * self.rates
        features = torch.cat([time.float()[:, None], angle.cos(), angle.sin()], 1)
        h = self.time(features.to(self.time.weight.dtype))
        if self.condition is not None and condition is not None:
            h = h + self.condition(condition.to(h.dtype))
        return F.silu(self.mix(F.silu(h)))


class Velocity(nn.Module):
    """What an optimizer is told of such a network: only inner layers are matrices."""

    def groups(self) -> dict[str, str]:
        """Parameter name -> which rule updates it; see `training.buckets`."""
        groups = {}
        for name, parameter in self.named_parameters():
            if name == "context.condition.weight":
                groups[name] = "embedding"
            elif name in ("first.weight", "last.weight"):
                groups[name] = "head"
            elif parameter.ndim >= 2:
                groups[name] = "matrix"
            else:
                groups[name] = "scalar"
        return groups


class _Block(nn.Module):
    """A residual block that begins as nothing, modulated by time and condition."""

    def __init__(self, width: int, context: int):
        super().__init__()
        self.into = nn.Linear(width, 2 * width)
        self.out = nn.Linear(2 * width, width)
        self.modulation = nn.Linear(context, 2 * width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x: (n, width). context: (n, context)."""
        scale, shift = self.modulation(context).chunk(2, 1)
        modulated = x * (1 + scale) + shift
        return x + self.out(F.silu(self.into(modulated)))


class DenseVelocity(Velocity):
    """The velocity of content (n, coordinates): a residual MLP."""

    def __init__(self, coordinates: int, columns: int, width: int, depth: int):
        super().__init__()
        self.context = Context(columns, width)
        self.first = nn.Linear(coordinates, width)
        self.last = nn.Linear(width, coordinates)
        self.blocks = nn.ModuleList(_Block(width, width) for _ in range(depth))
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor | None = None) -> Tensor:
        """x (n, coordinates), time (n,), condition (n, columns) or None -> (n, coordinates)."""
        context = self.context(time, condition)
        h = self.first(x.to(self.first.weight.dtype))
        for block in self.blocks:
            h = block(h, context)
        velocity: Tensor = self.last(F.silu(h))
        return velocity


class MlpVelocity(NetworkSettings, family="model"):
    """Settings of `mlp-velocity`."""

    kind: Literal["mlp-velocity"] = "mlp-velocity"
    """A residual MLP that says where points move."""
    width: int = Field(128, ge=4, le=8192)
    """Units of a layer; twice as many inside a block."""
    depth: int = Field(3, ge=1, le=64)
    """Residual blocks."""
    role: ClassVar[str] = "velocity"

    def build(self, space: Space) -> DenseVelocity:
        """The network, initialised from torch's current random state. Raises GenwrightError for
        content that is no vector."""
        if len(space.shape) != 1:
            raise GenwrightError(
                f"model.kind=mlp-velocity moves vectors, and this data has the shape {space.shape}",
                "use model.kind=unet",
            )
        return DenseVelocity(space.shape[0], space.columns, self.width, self.depth)
