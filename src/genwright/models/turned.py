"""Queries and keys as attention reads them, normed and turned, in few passes over memory.

What is done to queries is done to keys: they lie side by side in the product that makes them, and
go through each operation together. The backward pass writes the gradient of that product once. Used
in training on a CPU; `Block.attend` has the plain form.
"""

from typing import Any

import torch
from torch import Tensor

from genwright.models.layers import rotate
from genwright.models.ops import across, is_eager, rms_norm, unit_and_scale


def can_turn(cut: Tensor, rope: Tensor) -> bool:
    """Whether `turned` is quicker than the plain form, and computes the same gradients."""
    training = cut.is_cpu and torch.is_grad_enabled() and cut.requires_grad
    return training and cut.dtype == rope.dtype and is_eager(cut)


def turned(
    cut: Tensor, rope: Tensor, queries: int, keys: int, eps: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """cut (B, T, H + 2 K, D): queries, keys and values -> those (B, T, H, D), (B, T, K, D) and (B,
    T, K, D); queries and keys normed, where `eps` is given, and rotated by rope (2, T, 1, D)."""
    q, k, v = _Turned.apply(cut, rope, queries, keys, eps)
    return q, k, v


def _plain(
    cut: Tensor, rope: Tensor, queries: int, keys: int, eps: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = cut.split((queries, keys, keys), -2)
    if eps is not None:
        q = rms_norm(q, None, eps)
        k = rms_norm(k, None, eps)
    return rotate(q, rope), rotate(k, rope), v


class _Turned(torch.autograd.Function):
    """See `turned`."""

    @staticmethod
    def forward(
        ctx: Any, cut: Tensor, rope: Tensor, queries: int, keys: int, eps: float | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, time, _, width = cut.shape
        both = queries + keys
        x = cut[:, :, :both]
        # (2, T, H + K, D): what is as long as a row of heads is multiplied in one stretch
        wide = rope.expand(2, time, both, width).contiguous()
        unit = scale = None
        if eps is not None:
            unit, scale = unit_and_scale(x, eps)
            x = unit
        half = width // 2
        y = (x * wide[0]).addcmul_(x.roll(half, -1), wide[1])
        ctx.save_for_backward(cut, rope, wide, unit, scale)
        ctx.sizes = (queries, keys, eps)
        return y[:, :, :queries], y[:, :, queries:], cut[:, :, both:].clone()

    @staticmethod
    def backward(
        ctx: Any, of_query: Tensor, of_key: Tensor, of_value: Tensor
    ) -> tuple[Tensor | None, ...]:
        cut, rope, wide, unit, scale = ctx.saved_tensors
        queries, keys, eps = ctx.sizes
        if torch.is_grad_enabled():
            (of_cut,) = torch.autograd.grad(
                _plain(cut, rope, queries, keys, eps),
                [cut],
                [of_query, of_key, of_value],
                create_graph=True,
            )
            return of_cut, None, None, None, None
        both = queries + keys
        half = cut.size(-1) // 2
        gradient = torch.cat((of_query, of_key), 2)  # (B, T, H + K, D)
        # turned back: the signed sines of both halves change their signs
        of_unit = (gradient * wide[0]).addcmul_(gradient.roll(half, -1), wide[1], value=-1)
        found = torch.empty_like(cut)
        if unit is None:
            found[:, :, :both] = of_unit
        else:
            torch.mul(across(of_unit, unit), scale, out=found[:, :, :both])
        found[:, :, both:] = of_value
        return found, None, None, None, None
