"""A layer of the transformer: attention, then an MLP, each added to the stream that it reads.

Shapes: B batch, T time, W width, H heads, K key-value heads, D head width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genwright.models.cache import Cache
from genwright.models.layers import Linear, Norm, joined, rotate
from genwright.models.ops import attention, mixed, squared_relu, swiglu
from genwright.models.turned import can_turn, turned


class Block(nn.Module):
    """One layer: attention, then MLP, each added to the residual stream."""

    def __init__(self, s: Any, layer: int):
        super().__init__()
        queries = s.heads * s.head_width
        keys = s.kv_heads * s.head_width
        self.layer = layer
        self.settings = s
        self.query = Linear(s.width, queries)
        self.key = Linear(s.width, keys)
        self.value = Linear(s.width, keys)
        self.output = Linear(queries, s.width)
        self.gate = Linear(s.width, s.hidden) if s.activation != "relu2" else None
        self.up = Linear(s.width, s.hidden)
        self.down = Linear(s.hidden, s.width)

        # ModernBERT's first layer has no norm before attention: the embedding was normed just
        # before
        normed_before = s.embedding_norm and s.norm == "layer" and layer == 0
        self.attention_norm = None if normed_before else Norm(s.norm, s.width, s.norm_eps)
        self.mlp_norm = Norm(s.norm, s.width, s.norm_eps)
        self.query_norm = Norm(s.norm, s.head_width, s.norm_eps) if s.qk_norm else None
        self.key_norm = Norm(s.norm, s.head_width, s.norm_eps) if s.qk_norm else None

        self.mix = nn.Parameter(torch.tensor([1.0, 0.0])) if s.skips else None
        every_other = layer % 2 == (s.depth - 1) % 2
        self.value_embedding: nn.Parameter | None = None
        if s.value_embeddings and every_other:
            self.value_embedding = nn.Parameter(torch.empty(s.vocabulary, keys))

    def initialise(self) -> None:
        """See `Transformer.initialise`."""
        self.output.weight.zero_()
        self.down.weight.zero_()
        for layer in (self.query, self.key, self.value, self.gate, self.up):
            if layer is not None:
                layer.weight.normal_(0, layer.in_features**-0.5)
        if self.value_embedding is not None:
            self.value_embedding.normal_(0, self.value_embedding.size(1) ** -0.5)

    def forward(
        self,
        x: Tensor,
        first: Tensor,
        tokens: Tensor | None,
        rope: Tensor,
        mask: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """x, first: (B, T, W), the stream here and after the embedding. tokens: (B, T) int64, None
        where embeddings were given. mask: added to scores, None: by position alone."""
        if self.mix is not None:
            x = mixed(x, first, self.mix)
        normed = x if self.attention_norm is None else self.attention_norm(x)
        x = x + self.attend(normed, tokens, rope, mask, cache)
        return x + self.mlp(self.mlp_norm(x))

    def attend(
        self,
        x: Tensor,
        tokens: Tensor | None,
        rope: Tensor,
        mask: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """Attention of x (B, T, W) among itself and what `cache` holds, (B, T, W)."""
        s = self.settings
        batch, time, _ = x.shape
        # (B, T, H, D), (B, T, K, D), (B, T, K, D)
        q, k, v = self.heads(x, rope)
        if self.value_embedding is not None and tokens is not None:
            v = v + F.embedding(tokens, self.value_embedding).view_as(v)
        q = q.transpose(1, 2)  # (B, H, T, D)
        k = k.transpose(1, 2)  # (B, K, T, D)
        v = v.transpose(1, 2)
        if cache is not None:
            k, v = cache.add(self.layer, k, v)  # (B, K, all positions, D)
        mixed = attention(q, k, v, mask, causal=s.causal and time > 1)  # (B, H, T, D)
        return self.output(mixed.transpose(1, 2).reshape(batch, time, -1))

    def heads(self, x: Tensor, rope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, T, H, D), keys and values (B, T, K, D) of x (B, T, W); queries and keys are
        normed and rotated."""
        s = self.settings
        sizes = (s.heads, s.kv_heads, s.kv_heads)
        # (B, T, H + 2 K, D): cut before they are parted, which saves a copy in the backward pass
        cut = joined(x, self.query, self.key, self.value).unflatten(-1, (-1, s.head_width))
        norms = (self.query_norm, self.key_norm)
        if all(_without_gain(norm) for norm in norms) and can_turn(cut, rope):
            return turned(cut, rope, s.heads, s.kv_heads, s.norm_eps if s.qk_norm else None)
        q, k, v = cut.split(sizes, -2)
        if self.query_norm is not None and self.key_norm is not None:
            q = self.query_norm(q)
            k = self.key_norm(k)
        return rotate(q, rope), rotate(k, rope), v

    def mlp(self, x: Tensor) -> Tensor:
        """x: (B, T, W), normed."""
        if self.gate is None:
            return self.down(squared_relu(self.up(x)))
        both = joined(x, self.gate, self.up)  # (B, T, 2 * hidden)
        if self.settings.activation == "swiglu":
            return self.down(swiglu(both))
        gate, up = both.chunk(2, -1)
        return self.down(F.gelu(gate) * up)


def _without_gain(norm: nn.Module | None) -> bool:
    """Whether a norm of heads is none, or RMS norm alone."""
    if norm is None:
        return True
    return type(norm) is Norm and norm.kind == "plain" and not norm._forward_hooks
