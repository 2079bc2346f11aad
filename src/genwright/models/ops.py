"""Three operations of the transformer in the form that is quick on a CPU run eagerly, where a step
at small sizes costs as many passes over memory as its operations make, forward and backward. Of
`F.rms_norm` and `relu().square()` autograd makes more.

The fused attention of CPUs is slow backward in bfloat16 (6 to 10 times the products themselves at
64 positions, 2.5 times at 256), so that there the scores are made in full.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_DENSE = 512  # positions up to which scores are made in full on a CPU in bfloat16


def rms_norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """Over the last axis; statistics in fp32. weight: gains, or None."""
    if not (x.is_cpu and torch.is_grad_enabled()):
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    y = x * (norm.square() / x.size(-1) + eps).rsqrt().to(x.dtype)
    return y if weight is None else y * weight


def squared_relu(x: Tensor) -> Tensor:
    """Element-wise relu(x)^2."""
    positive = F.relu(x)
    return positive * positive


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
