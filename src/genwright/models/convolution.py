"""What convolutional networks share: initialised convolutions, residual blocks, changes of size.

Weights have variance gain^2 / fan-in (He et al., arXiv 1502.01852). Residual branches begin at
zero; there is no normalisation.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError


def initialised(layer: Any, std: float) -> Any:
    """A layer whose weights are drawn anew, with this deviation, and whose biases are 0."""
    nn.init.normal_(layer.weight, std=std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def conv(
    inputs: int,
    outputs: int,
    size: int = 3,
    groups: int = 1,
    gain: float = 1.0,
    stride: int = 1,
    bias: bool = True,
) -> nn.Conv2d:
    """A convolution that divides the sides by `stride`."""
    padding = (size - 1) // 2
    layer = nn.Conv2d(inputs, outputs, size, stride, padding=padding, groups=groups, bias=bias)
    fan_in = inputs // groups * size * size
    convolution: nn.Conv2d = initialised(layer, gain * fan_in**-0.5)
    return convolution


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
        """x: (n, width, h, w)."""
        h = self.first(F.silu(x))
        return x + self.second(F.silu(h))


def blocks(width: int, count: int) -> nn.Sequential:
    """Residual blocks, one after another."""
    return nn.Sequential(*[Block(width) for _ in range(count)])


def widening(width: int, halvings: int) -> list[int]:
    """Channels at half the sides, then twice as many at each further halving, up to 4 times."""
    return [width * min(4, 2**i) for i in range(halvings)]


def halved(space: Space, kind: str, step: int, remedy: str, least: int = 1) -> tuple[int, ...]:
    """(channels, height, width) of content whose sides `step` divides, `least` times or more.
    Raises GenwrightError, with what else helps, for any other."""
    smallest = least * step
    fits = len(space.shape) == 3
    for side in space.shape[1:]:
        fits = fits and side % step == 0 and side >= smallest
    if not fits:
        shape = "x".join(map(str, space.shape)) or "sequences"
        what = (
            f"model.kind={kind} makes arrays whose sides are multiples of {step} here, "
            f"{smallest} or more, not {shape}"
        )
        raise GenwrightError(
            what,
            f"set codec.size to such a number, {remedy}, "
            "or choose another model.kind for other content",
        )
    return space.shape
