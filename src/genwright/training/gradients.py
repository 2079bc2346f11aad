"""How the gradients of a turn are made, from a loss and micro-batches.

1. `micro` adds the gradients of one micro-batch to those of the moving modules.
2. The loop sums gradients and counts over the ranks.
3. `finish` does what is done to the sum (noise), and says by what it is divided.
4. The loop measures the norm, clips, updates.

`PlainGradients` is the derivative of the loss. Private training clips each example's gradient in
`micro` and adds noise in `finish`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from genwright.core.contracts import Batch, Loss
from genwright.core.draws import Draws
from genwright.training.engine import Engine
from genwright.training.metrics import Number
from genwright.training.weights import Weights


class Gradients(Protocol):
    """How gradients are made."""

    def begin(self, extra: dict[str, Any]) -> None:
        """Called at the start of every `loop.run`, with `State.extra`: what these gradients
        remember from step to step is kept there (tensors, and values of JSON, the same on every
        rank), and so is saved and restored."""

    def micro(self, loss: Callable[[Batch], Loss], batch: Batch, moving: Sequence[Weights]) -> Loss:
        """Adds the gradients of one micro-batch to those of the moving modules, not divided by
        anything; gives the loss, without its graph. `loss` has the examples' weights in it."""
        ...

    def finish(
        self, moving: Sequence[Weights], count: Number, draws: Draws, engine: Engine
    ) -> Number:
        """Called once a turn, when gradients and `count` (the units of the turn's losses) are sums
        over all ranks: changes the gradients, in the same way on every rank. Gives what they are
        divided by; 0 stops the run, since there is nothing to learn from.

        draws: random numbers of one example that stands for the turn, other ones for every turn,
        the same on every rank."""
        ...


class PlainGradients:
    """The gradient of the summed totals, divided by the summed counts."""

    def begin(self, extra: dict[str, Any]) -> None:
        """Remembers nothing."""

    def micro(self, loss: Callable[[Batch], Loss], batch: Batch, moving: Sequence[Weights]) -> Loss:
        """One backward pass of the sum; examples of count 0 are left out, even where their loss is
        infinite."""
        out = loss(batch)
        total = _counted(out)
        if total.requires_grad:
            torch.autograd.backward(total.sum())
        for weights in moving:
            weights.collect()
        # detached: the graph is freed here, not after the optimizer
        return out._replace(total=total.detach())

    def finish(
        self, moving: Sequence[Weights], count: Number, draws: Draws, engine: Engine
    ) -> Number:
        """The count itself. A step whose loss has no target is a mistake, and stops the run."""
        return count


def _counted(out: Loss) -> Tensor:
    """(examples,) the losses; 0 of examples that count for nothing. Not multiplied: 0 times
    infinity is no number."""
    # a look costs nothing there, and a mask two operations and their backward
    if _on_host(out.count) and int(torch.count_nonzero(out.count)) == out.count.numel():
        return out.total
    return out.total.masked_fill(out.count == 0, 0.0)


def _on_host(tensor: Tensor) -> bool:
    """Whether looking at its numbers waits for no device."""
    return tensor.device.type == "cpu"


class Scaling(NamedTuple):
    """What the summed gradients are multiplied by before an update. norm: of the divided gradient.
    finite: whether there is an update at all."""

    norm: Number
    scale: Number
    finite: bool | Tensor


def scaling(total: Number, divisor: Number, square_norm: Number, clip: float | None) -> Scaling:
    """From the total of the losses, what gradients are divided by, and the squared norm of the
    summed gradients, to a gradient of norm `clip` at most. Of tensors it is made on their device,
    without a look at them."""
    if isinstance(square_norm, Tensor):
        return _on_device(total, divisor, square_norm, clip)
    total = float(total)
    divisor = float(divisor)
    if divisor == 0 or math.isnan(square_norm):
        return Scaling(math.nan, math.nan, False)
    norm = math.sqrt(square_norm) / divisor
    scale = 1.0
    if clip and norm > 0:
        scale = min(1.0, clip / norm)
    finite = math.isfinite(total) and math.isfinite(norm)
    return Scaling(norm, scale / divisor, finite)


def _on_device(total: Number, divisor: Number, square_norm: Tensor, clip: float | None) -> Scaling:
    """The same; a divisor of 0 gives a norm that is no number."""
    norm = square_norm.sqrt() / divisor
    scale = torch.ones_like(norm)
    if clip:
        scale = (clip / norm).clamp(max=1.0)  # of a norm of 0: 1
    return Scaling(norm, scale / divisor, (total + norm).isfinite())
