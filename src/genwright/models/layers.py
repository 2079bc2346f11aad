"""Parts of the transformer: projections, norms, rotary positions.

Projections are modules, so that adapters, hooks, quantisation and tensor parallelism have something
to hold. `joined` multiplies by several at once where nobody does: a fused path that computes the
same. Sources: RoPE, Su et al., arXiv 2104.09864; RMS norm, Zhang and Sennrich, 1910.07467.
"""

from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genwright.models.ops import product, rms_norm


class Linear(nn.Linear):
    """A projection without bias. Its weight (outputs, inputs) is left empty when it is made:
    `Transformer.initialise` fills all weights, in one order."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, bias=False)

    def reset_parameters(self) -> None:
        """Draws nothing, so that a seed gives the same network whatever else is made of modules."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., inputs) -> (..., outputs)."""
        return product(x, self.weight)


def is_plain(layer: nn.Module) -> TypeGuard[Linear]:
    """Whether calling a layer is no more than multiplying by its weight: a `Linear` without hooks,
    parametrisation or another forward, in the place of which nothing else was put."""
    if type(layer) is not Linear:
        return False
    hooked = (
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
    )
    return not hooked and layer.bias is None and "forward" not in layer.__dict__


def joined(x: Tensor, *layers: nn.Module) -> Tensor:
    """x (..., inputs) through each of `layers`, their outputs side by side. Where all are plain it
    is one product with the stacked weights: faster than several, the copy is cheap."""
    weights = [layer.weight for layer in layers if is_plain(layer)]
    if len(weights) < len(layers):
        return torch.cat([layer(x) for layer in layers], -1)
    return product(x, torch.cat(weights))


class Norm(nn.Module):
    """RMS norm with gain ("rms") or without ("plain"), or layer norm with gain ("layer").
    Statistics in fp32."""

    def __init__(self, kind: str, width: int, eps: float):
        super().__init__()
        self.kind = kind
        self.shape = (width,)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width)) if kind != "plain" else None

    def forward(self, x: Tensor) -> Tensor:
        """Over the last axis of x (..., width)."""
        if self.kind == "layer":
            return F.layer_norm(x, self.shape, self.weight, None, self.eps)
        return rms_norm(x, self.weight, self.eps)


def rotary(length: int, width: int, base: float, reverse: bool) -> Tensor:
    """(2, length, 1, width) float32: cosines and signed sines, for `rotate`. Angles in fp32, as in
    Hugging Face's code."""
    wavelengths = base ** (torch.arange(0, width, 2).float() / width)
    angle = torch.arange(length).float()[:, None] / wavelengths  # (length, width / 2)
    cosine = angle.cos()
    sine = -angle.sin() if reverse else angle.sin()
    cosines = cosine.repeat(1, 2)
    signed_sines = torch.cat((-sine, sine), 1)
    return torch.stack((cosines, signed_sines))[:, :, None]


def rotate(x: Tensor, rope: Tensor) -> Tensor:
    """Rotates the pairs (i, i + D/2) of x (B, T, heads, D) by the angles of rope (2, T, 1, D)."""
    # the product first, then the roll: in this order the backward pass sums without a copy
    own_half = x * rope[0]
    other_half = x.roll(x.size(-1) // 2, -1)
    return torch.addcmul(own_half, other_half, rope[1])
