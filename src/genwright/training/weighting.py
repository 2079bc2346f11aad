"""Weights of examples, applied to a loss after the objective has computed it.

What has weight 0 is selected away, never multiplied: 0 times infinity is no number. The loop does
not even compute such examples where it can leave them out (`batches.py`); here are those that must
stand in a micro-batch for the sake of others.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from genwright.core.contracts import Batch, Loss, Mean
from genwright.core.errors import GenwrightError

WEIGHT = "weight"


def weighted(loss: Callable[[Batch], Loss], batch: Batch) -> Loss:
    """The loss of a micro-batch, each example's total, count and metrics times its weight; the
    objective does not see the weights. Raises GenwrightError where it gives sums over the
    micro-batch, which hold no example's own part any more."""
    weight = batch.get(WEIGHT)
    if weight is None:
        return loss(batch)
    out = loss({name: value for name, value in batch.items() if name != WEIGHT})
    whole = [name for name, mean in out.metrics.items() if mean[0].ndim == 0]
    whole += list(out.sums)
    if whole:
        raise GenwrightError(
            f"examples have weights, and the objective gives {whole[0]!r} as one sum over them",
            "give a metric as a Mean of one value an example; or balance data with"
            " data.balance_by=sampling, which needs no weights",
        )
    metrics = {
        name: Mean(scaled(total, weight), scaled(count, weight))
        for name, (total, count) in out.metrics.items()
    }
    return Loss(scaled(out.total, weight), scaled(out.count, weight), metrics)


def scaled(values: Tensor, weight: Tensor) -> Tensor:
    """values (examples,) or (packs,), weight (examples,) -> values times weights; 0 where a weight
    is 0. A pack's weight is the mean of its examples'."""
    if len(values) != len(weight):
        weight = weight.view(len(values), -1).mean(1)
    return values.masked_fill(weight == 0, 0) * weight


def weightless(loss: Callable[[Batch], Loss], batch: Batch) -> Loss:
    """The loss of a micro-batch that does not count: all zeros, under the names that it has."""
    out = loss({name: value for name, value in batch.items() if name != WEIGHT})
    metrics = {
        name: Mean(torch.zeros_like(total), torch.zeros_like(count))
        for name, (total, count) in out.metrics.items()
    }
    # selected, and not made anew: where modules are sharded, their ranks meet in backward
    total = out.total.masked_fill(torch.ones_like(out.total, dtype=torch.bool), 0.0)
    sums = {name: torch.zeros_like(value) for name, value in out.sums.items()}
    return Loss(total, torch.zeros_like(out.count), metrics, sums)
