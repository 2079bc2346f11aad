"""Operations of the transformer in the form that is quick on a CPU run eagerly, where a step at
small sizes costs as many passes over memory as its operations make, forward and backward. Of
`F.rms_norm`, `relu().square()` and `silu(gate) * up` autograd makes more.

Products go through oneDNN where that is faster (`core/onednn.py`).

The fused attention of CPUs is slow backward in bfloat16 (6 to 10 times the products themselves at
64 positions, 2.5 times at 256), so that there the scores are made in full.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genwright.core.onednn import is_large, onednn_is_faster
from genwright.core.onednn import onednn_product as _onednn

_DENSE = 512  # positions up to which scores are made in full on a CPU in bfloat16
_PLAIN = (Tensor, nn.Parameter)
_TRAINED = (torch.float32, torch.bfloat16)  # dtypes that are computed in while training


def is_eager(x: Tensor) -> bool:
    """Whether what is done to x is done at once, and to a plain tensor: nothing traces it, maps it
    or shards it."""
    if type(x) not in _PLAIN or torch.compiler.is_compiling():
        return False
    return not torch._C._are_functorch_transforms_active()


def _differentiable(
    plain: Callable[..., Tensor], gradient: Tensor, *inputs: Any
) -> tuple[Tensor | None, ...]:
    """The gradient of `plain(*inputs)` by each input (None of what needs none), which can itself be
    differentiated: for functions whose own backward pass cannot."""
    wanted = []
    for number, value in enumerate(inputs):
        if isinstance(value, Tensor) and value.requires_grad:
            wanted.append(number)
    found = torch.autograd.grad(
        plain(*inputs), [inputs[number] for number in wanted], gradient, create_graph=True
    )
    of_inputs: list[Tensor | None] = [None] * len(inputs)
    for number, value in zip(wanted, found, strict=True):
        of_inputs[number] = value
    return tuple(of_inputs)


def _by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether x (..., inputs) times weight (outputs, inputs) goes through oneDNN."""
    outputs, inputs = weight.shape
    if not x.is_cpu or not is_large(x.numel() // max(1, inputs), inputs, outputs):
        return False
    if x.dtype != torch.float32 or weight.dtype != torch.float32:
        return False
    return onednn_is_faster() and is_eager(x) and is_eager(weight)


class _Product(torch.autograd.Function):
    """`product` through oneDNN."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _onednn(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _differentiable(F.linear, gradient, x, weight)
        of_x: Tensor | None = None
        of_weight: Tensor | None = None
        if ctx.needs_input_grad[0]:
            of_x = _onednn(gradient, weight.t())
        if ctx.needs_input_grad[1]:
            rows = x.flatten(0, -2)  # (N, inputs)
            slopes = gradient.flatten(0, -2)  # (N, outputs)
            # the wider one as columns of the product
            if slopes.shape[1] > rows.shape[1]:
                of_weight = _onednn(rows.t(), slopes.t()).t()
            else:
                of_weight = _onednn(slopes.t(), rows.t())
        return of_x, of_weight


class Multiplier:
    """Products of x (rows, inputs) with one `matrix` (inputs, outputs), without a gradient. Which
    library makes them is decided once, from the number of rows."""

    def __init__(self, matrix: Tensor, rows: int):
        self.matrix = matrix
        self.weight: Tensor | None = None  # (outputs, inputs), for oneDNN
        if _by_onednn(matrix.new_empty(rows, matrix.shape[0]), matrix.t()):
            self.weight = matrix.t()

    def of(self, x: Tensor) -> Tensor:
        """x @ matrix, (rows, outputs)."""
        if self.weight is None:
            return torch.mm(x, self.matrix)
        return _onednn(x, self.weight)

    def into(self, out: Tensor, x: Tensor) -> None:
        """Writes x @ matrix to `out` (rows, outputs)."""
        if self.weight is None:
            torch.mm(x, self.matrix, out=out)
        else:
            out.copy_(_onednn(x, self.weight))

    def add_to(self, y: Tensor, x: Tensor) -> None:
        """Adds x @ matrix to `y` (rows, outputs)."""
        if self.weight is None:
            y.addmm_(x, self.matrix)
        else:
            y.add_(_onednn(x, self.weight))


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x (..., inputs) @ weight (outputs, inputs).T, as `F.linear`."""
    if not _by_onednn(x, weight):
        return F.linear(x, weight)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        found: Tensor = _Product.apply(x, weight)
        return found
    return _onednn(x, weight)


def _rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    y = x * (norm.square() / x.size(-1) + eps).rsqrt().to(x.dtype)
    return y if weight is None else y * weight


class _RMSNorm(torch.autograd.Function):
    """`_rms_norm` with a gradient of few passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
        unit, scale = unit_and_scale(x, eps)
        ctx.save_for_backward(x, weight, unit, scale)
        ctx.eps = eps
        return unit if weight is None else unit * weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, unit, scale = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _differentiable(_rms_norm, gradient, x, weight, ctx.eps)
        of_weight: Tensor | None = None
        of_unit = gradient
        if weight is not None:
            of_unit = gradient * weight
            if ctx.needs_input_grad[1]:
                of_weight = (gradient * unit).flatten(0, -2).sum(0)
        return across(of_unit, unit).mul_(scale), of_weight, None


def unit_and_scale(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """What RMS norm makes of x (..., width), and what it multiplies by, (..., 1)."""
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    scale = (norm.square() / x.size(-1) + eps).rsqrt().to(x.dtype)
    return x * scale, scale


def across(gradient: Tensor, unit: Tensor) -> Tensor:
    """The part of a gradient (..., width) that does not lie along vectors of RMS norm 1: the rest
    changes their lengths, which the norm takes back."""
    along = torch.linalg.vecdot(gradient, unit)[..., None]
    return torch.addcmul(gradient, unit, along, value=-1 / unit.size(-1))


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """Over the last axis; statistics in fp32. weight: gains, or None."""
    if not (x.is_cpu and torch.is_grad_enabled()):
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    if x.dtype in _TRAINED and is_eager(x) and (weight is None or is_eager(weight)):
        normed: Tensor = _RMSNorm.apply(x, weight, eps)
        return normed
    return _rms_norm(x, weight, eps)


def _squared_relu(x: Tensor) -> Tensor:
    positive = F.relu(x)
    return positive * positive


class _SquaredReLU(torch.autograd.Function):
    """`_squared_relu` with a gradient of two passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return F.relu(x).square_()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor | None:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _differentiable(_squared_relu, gradient, x)[0]
        slope = torch.addcmul(x.new_zeros(()), gradient, x, value=2)
        return torch.ops.aten.threshold_backward.grad_input(slope, x, 0, grad_input=slope)


def squared_relu(x: Tensor) -> Tensor:
    """Element-wise relu(x)^2."""
    if x.is_cpu and torch.is_grad_enabled() and is_eager(x):
        found: Tensor = _SquaredReLU.apply(x)
        return found
    if x.is_cpu and not torch.is_grad_enabled() and is_eager(x):
        return F.relu(x).square_()  # room that is filled once
    return _squared_relu(x)


def _mixed(x: Tensor, first: Tensor, mix: Tensor) -> Tensor:
    return mix[0] * x + mix[1] * first


class _Mixed(torch.autograd.Function):
    """`_mixed` in two passes, with a gradient of four."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, first: Tensor, mix: Tensor) -> Tensor:
        ctx.save_for_backward(x, first, mix)
        of_x, of_first = mix.tolist()
        return (x * of_x).add_(first, alpha=of_first)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, first, mix = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _differentiable(_mixed, gradient, x, first, mix)
        of_x, of_first = mix.tolist()
        of_mix: Tensor | None = None
        if ctx.needs_input_grad[2]:
            slopes = [(gradient * y).sum(dtype=torch.float32) for y in (x, first)]
            of_mix = torch.stack(slopes).to(mix.dtype)
        return gradient * of_x, gradient * of_first, of_mix


def mixed(x: Tensor, first: Tensor, mix: Tensor) -> Tensor:
    """mix[0] x + mix[1] first, of x and first (B, T, W) and mix (2,)."""
    training = x.is_cpu and torch.is_grad_enabled() and x.dtype == mix.dtype
    if training and is_eager(x) and is_eager(first) and is_eager(mix):
        found: Tensor = _Mixed.apply(x, first, mix)
        return found
    return _mixed(x, first, mix)


def _swiglu(both: Tensor) -> Tensor:
    gate, up = both.chunk(2, -1)
    return F.silu(gate) * up


class _SwiGLU(torch.autograd.Function):
    """`_swiglu`, whose gradient is written in place: no halves are put together again."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        gate, up = both.chunk(2, -1)
        opened = F.silu(gate)
        ctx.save_for_backward(both, opened)
        return opened * up

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor | None:
        both, opened = ctx.saved_tensors
        if torch.is_grad_enabled():
            return _differentiable(_swiglu, gradient, both)[0]
        gate, up = both.chunk(2, -1)
        out = torch.empty_like(both)
        of_gate, of_up = out.chunk(2, -1)
        torch.mul(gradient, opened, out=of_up)
        torch.ops.aten.silu_backward.grad_input(gradient * up, gate, grad_input=of_gate)
        return out


def swiglu(both: Tensor) -> Tensor:
    """both: (..., 2 * hidden), gate and up side by side -> silu(gate) * up, (..., hidden)."""
    if both.is_cpu and torch.is_grad_enabled() and is_eager(both):
        found: Tensor = _SwiGLU.apply(both)
        return found
    return _swiglu(both)


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """q (B, H, T, D), k and v (B, K, S, D), mask added to the scores, or None: `causal` decides.
    Returns (B, H, T, D)."""
    grouped = q.size(1) != k.size(1)
    training = q.is_cpu and q.dtype == torch.bfloat16 and torch.is_grad_enabled()
    if training and q.size(2) <= _DENSE:
        return _dense_attention(q, k, v, mask, causal)
    return F.scaled_dot_product_attention(
        q, k, v, mask, is_causal=causal and mask is None, enable_gqa=grouped
    )


def _dense_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """`attention` by all scores at once."""
    batch, heads, time, width = q.shape
    length = k.size(2)
    if k.size(1) != heads:
        k = k.repeat_interleave(heads // k.size(1), 1)
        v = v.repeat_interleave(heads // v.size(1), 1)
    if causal and mask is None:
        mask = q.new_full((time, length), -math.inf).triu_(1)
    q = _heads_first(q)  # (H * B, T, D)
    k = _heads_first(k)  # (H * B, S, D)
    v = _heads_first(v)
    scores = torch.bmm(q, k.mT).view(heads, batch, time, length)
    if mask is None:
        scores = scores * width**-0.5
    else:
        # (B, 1, T, S) -> (B, T, S), the same for all heads
        own_mask = mask.squeeze(1) if mask.ndim == 4 else mask
        scores = torch.add(own_mask, scores, alpha=width**-0.5)
    mixed = torch.bmm(scores.softmax(-1).flatten(0, 1), v)
    return mixed.view(heads, batch, time, width).transpose(0, 1)


def _heads_first(x: Tensor) -> Tensor:
    """(B, H, T, D) -> (H * B, T, D): so the projections' layout becomes a batch of matrices in one
    copy."""
    batch, heads, time, width = x.shape
    return x.transpose(0, 1).reshape(heads * batch, time, width)
