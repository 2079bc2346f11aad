"""Three operations of the transformer whose plain form is slow on a CPU run eagerly; elsewhere, and compiled, they are the plain form.

At small sizes a step there costs as many passes over memory as its operations make, forward and backward. Passes that autograd makes
for `F.rms_norm` and `relu().square()`: 14 and 6; here: 6 and 4. The fused attention of CPUs is slow backward in bfloat16 (6 to 10
times the products themselves at 64 positions, 2.5 times at 256), so that there the scores are made in full.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_DENSE = 512  # positions up to which scores are made in full on a CPU in bfloat16


def _by_hand(x: Tensor) -> bool:
    if not x.is_cpu or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    return not torch._C._are_functorch_transforms_active()  # gradients per example take the plain form


class _RmsNorm(torch.autograd.Function):
    """y = x r, r = 1 / sqrt(mean(x^2) + eps); dx = r (dy - y mean(dy y))."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        r = norm.square_().div_(x.size(-1)).add_(eps).rsqrt_().to(x.dtype)
        y = x * r
        ctx.save_for_backward(y, r)
        return y

    @staticmethod
    @once_differentiable  # a second derivative would be silently wrong: what is saved has no graph
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (dy,), (y, r) = grads, ctx.saved_tensors
        return torch.addcmul(dy, y, (dy * y).mean(-1, keepdim=True), value=-1) * r, None


class _SquaredRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = F.relu(x)
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    @once_differentiable  # a second derivative would be silently wrong: what is saved has no graph
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return 2 * (grads[0] * positive)


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """Over the last axis; statistics in fp32. weight: gains, or None."""
    if not _by_hand(x):
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    y = _RmsNorm.apply(x, eps)
    return y if weight is None else y * weight


def squared_relu(x: Tensor) -> Tensor:
    return _SquaredRelu.apply(x) if _by_hand(x) else F.relu(x).square()


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """q (B, H, T, D), k and v (B, K, S, D), mask added to the scores, or None: `causal` decides. Returns (B, H, T, D)."""
    grouped = q.size(1) != k.size(1)
    if not (q.is_cpu and q.dtype == torch.bfloat16 and torch.is_grad_enabled() and q.size(2) <= _DENSE):
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal and mask is None, enable_gqa=grouped)
    if grouped:
        k, v = (t.repeat_interleave(q.size(1) // k.size(1), 1) for t in (k, v))
    (batch, heads, time, width), length = q.shape, k.size(2)
    if causal and mask is None:
        mask = q.new_full((time, length), -math.inf).triu_(1)
    # heads before rows: then the projections' layout becomes a batch of matrices in one copy
    q, k, v = (t.transpose(0, 1).reshape(heads * batch, -1, width) for t in (q, k, v))
    scores = torch.bmm(q, k.mT).view(heads, batch, time, length)
    scores = scores * width**-0.5 if mask is None else torch.add(mask.squeeze(1) if mask.ndim == 4 else mask, scores, alpha=width**-0.5)
    return torch.bmm(scores.softmax(-1).flatten(0, 1), v).view(heads, batch, time, width).transpose(0, 1)
