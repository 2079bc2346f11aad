"""The transformer: rotary positions, grouped-query attention through SDPA, a KV cache, sliding
windows, causal or bidirectional.

One class for every preset (`presets.py` says what each choice is); single-device code that knows
nothing of data, devices or parallelism. Parameters lie in `blocks`, one module a layer, and in the
root; `hf.py` maps their names to Hugging Face's. Sources: Vaswani et al., arXiv 1706.03762; RoPE,
Su et al., 2104.09864; GQA, Ainslie et al., 2305.13245; RMS norm, Zhang and Sennrich, 1910.07467;
GLU variants, Shazeer, 2002.05202; QK norm, Henry et al., 2010.04245; ModernBERT, Warner et al.,
2412.13663; ReLU^2, So et al., 2109.08668; value embeddings and x0 scalars, Jordan et al.,
modded-nanogpt, 2024.

Shapes: B batch, T time, W width, H heads, K key-value heads, D head width, V vocabulary, L layers.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genwright.core.errors import GenwrightError
from genwright.models.ops import attention, rms_norm, squared_relu

IGNORED = -100  # a target that does not count
# logits (tokens x vocabulary) that are held at once in a loss; more are recomputed in chunks
_WHOLE = {"cpu": 2**25, "cuda": 2**31}


class Cache:
    """Keys and values of tokens that were read: preallocated, written in place; `end` is how many
    positions are filled.

    keys, values: (L, B, K, length, D). hidden: (B, 1, 1, length), 0 or -inf added to scores, or
    None while no key is padding.
    """

    def __init__(self, model: "Transformer", batch: int, length: int):
        s = model.settings
        rope = model.rope if length <= model.context else model.angles(length)
        self.keys = model.embedding.new_zeros(s.depth, batch, s.kv_heads, length, s.head_width)
        self.values = torch.zeros_like(self.keys)
        self.rope = rope[:, :, :length].to(self.keys)
        self.length = length
        self.end = 0
        self.hidden: Tensor | None = None

    def add(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Writes k, v (B, K, T, D) of a layer behind what is there; gives all that is there."""
        end = self.end + k.size(2)
        keys = self.keys[layer]
        values = self.values[layer]
        keys[:, :, self.end : end], values[:, :, self.end : end] = k, v
        return keys[:, :, :end], values[:, :, :end]

    def hide(self, padding: Tensor) -> None:
        """Marks the coming positions that are not real tokens. padding: (B, T) bool, True =
        real."""
        if self.hidden is None:
            self.hidden = self.keys.new_zeros(len(padding), 1, 1, self.length)
        self.hidden[:, 0, 0, self.end : self.end + padding.size(1)].masked_fill_(
            ~padding, -math.inf
        )


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
        if self.kind == "layer":
            return F.layer_norm(x, self.shape, self.weight, None, self.eps)
        return rms_norm(x, self.weight, self.eps)


def rotary(length: int, width: int, base: float, reverse: bool) -> Tensor:
    """(2, length, 1, width) float32: cosines and signed sines, for `rotate`. Angles in fp32, as in
    Hugging Face's code."""
    angle = torch.arange(length).float()[:, None] / base ** (
        torch.arange(0, width, 2).float() / width
    )
    sine = -angle.sin() if reverse else angle.sin()
    return torch.stack((angle.cos().repeat(1, 2), torch.cat((-sine, sine), 1)))[:, :, None]


def rotate(x: Tensor, rope: Tensor) -> Tensor:
    """Rotates the pairs (i, i + D/2) of x (B, T, heads, D) by the angles of rope (2, T, 1, D)."""
    return torch.addcmul(x * rope[0], x.roll(x.size(-1) // 2, -1), rope[1])


class Block(nn.Module):
    """One layer: attention, then MLP, each added to the residual stream."""

    def __init__(self, s: Any, layer: int):
        super().__init__()
        width = s.width
        q = s.heads * s.head_width
        kv = s.kv_heads * s.head_width
        hidden = s.hidden
        self.layer = layer
        self.settings = s

        def norm(n):
            return Norm(s.norm, n, s.norm_eps)

        def matrix(rows, columns):
            return nn.Parameter(torch.empty(rows, columns))

        # ModernBERT's first layer has no norm before attention: the embedding was normed just
        # before
        self.attention_norm = (
            None if s.embedding_norm and s.norm == "layer" and layer == 0 else norm(width)
        )
        self.mlp_norm = norm(width)
        self.query = matrix(q, width)
        self.key = matrix(kv, width)
        self.value = matrix(kv, width)
        self.output = matrix(width, q)
        self.query_norm = norm(s.head_width) if s.qk_norm else None
        self.key_norm = norm(s.head_width) if s.qk_norm else None
        self.gate = matrix(hidden, width) if s.activation != "relu2" else None
        self.up = matrix(hidden, width)
        self.down = matrix(width, hidden)
        self.mix = nn.Parameter(torch.tensor([1.0, 0.0])) if s.skips else None
        self.value_embedding = (
            matrix(s.vocabulary, kv)
            if s.value_embeddings and layer % 2 == (s.depth - 1) % 2
            else None
        )

    def forward(
        self,
        x: Tensor,
        first: Tensor,
        tokens: Tensor,
        rope: Tensor,
        mask: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        """x, first: (B, T, W), the stream here and after the embedding; mask: added to scores,
        None: by position alone."""
        if self.mix is not None:
            x = self.mix[0] * x + self.mix[1] * first
        x = x + self.attend(
            x if self.attention_norm is None else self.attention_norm(x), tokens, rope, mask, cache
        )
        return x + self.mlp(self.mlp_norm(x))

    def attend(
        self, x: Tensor, tokens: Tensor, rope: Tensor, mask: Tensor | None, cache: Cache | None
    ) -> Tensor:
        s, (batch, time, _) = self.settings, x.shape
        # one product is faster than three, the copy is cheap
        qkv = F.linear(x, torch.cat((self.query, self.key, self.value)))
        qkv = qkv.view(batch, time, s.heads + 2 * s.kv_heads, s.head_width)
        q, k, v = qkv.split((s.heads, s.kv_heads, s.kv_heads), 2)
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        q, k = rotate(q, rope), rotate(k, rope)
        if self.value_embedding is not None:
            v = v + F.embedding(tokens, self.value_embedding).view_as(v)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if cache is not None:
            k, v = cache.add(self.layer, k, v)
        y = attention(q, k, v, mask, causal=s.causal and time > 1)
        return F.linear(y.transpose(1, 2).reshape(batch, time, -1), self.output)

    def mlp(self, x: Tensor) -> Tensor:
        if self.gate is None:
            return F.linear(squared_relu(F.linear(x, self.up)), self.down)
        gate, up = F.linear(x, torch.cat((self.gate, self.up))).chunk(2, -1)
        return F.linear(
            (F.silu if self.settings.activation == "swiglu" else F.gelu)(gate) * up, self.down
        )


class Transformer(nn.Module):
    """Logits, or losses, of tokens. Made by `TransformerSettings.build`; settings: what those say
    and what their preset fixes. alike: (vocabulary, traits), of tokens that share some: their
    embeddings begin as mostly the sum of their traits' random ones."""

    def __init__(self, settings: Any, context: int, alike: Tensor | None = None):
        super().__init__()
        s = self.settings = settings
        self.vocabulary = s.vocabulary
        self.context = context

        def norm():
            return Norm(s.norm, s.width, s.norm_eps)

        self.embedding = nn.Parameter(torch.empty(s.vocabulary, s.width))
        self.places = nn.Parameter(torch.empty(s.places, s.width)) if s.places else None
        # what is read must begin at a multiple of it
        self.row = s.places if 0 < 2 * s.places <= context else 1
        self.embedding_norm = norm() if s.embedding_norm else None
        self.blocks = nn.ModuleList(Block(s, i) for i in range(s.depth))
        # which see only a window
        self.short = [s.pattern[i % len(s.pattern)] == "S" for i in range(s.depth)]
        self.norm = norm()
        self.dense = nn.Parameter(torch.empty(s.width, s.width)) if s.dense_head else None
        self.dense_norm = norm() if s.dense_head else None
        self.head = None if s.tied else nn.Parameter(torch.empty(s.vocabulary, s.width))
        self.head_bias = nn.Parameter(torch.zeros(s.vocabulary)) if s.dense_head else None
        self.rope: Tensor
        self.register_buffer("rope", self.angles(context), persistent=False)
        self.initialise(alike)

    def angles(self, length: int) -> Tensor:
        """(bases, 2, length, 1, D): the rotations of layers with full attention, then, with
        windows, of those with a window."""
        s = self.settings
        bases = [s.rope_base, s.rope_base_local] if s.window else [s.rope_base]
        return torch.stack([rotary(length, s.head_width, base, s.rope_reversed) for base in bases])

    @torch.no_grad()
    def initialise(self, alike: Tensor | None = None) -> None:
        """Matrices normal with variance 1 / inputs; what writes to the residual stream starts at
        zero, the output layer near it."""
        for name, p in self.named_parameters():
            leaf = name.rsplit(".", 1)[-1]
            if leaf in ("output", "down"):
                p.zero_()
            elif leaf in ("embedding", "places"):
                p.normal_(
                    0, (0.02 if self.settings.tied else 1.0) * (1.0 if leaf == "embedding" else 0.3)
                )
            elif leaf == "head":
                p.normal_(0, 0.001)
            elif p.ndim == 2:
                p.normal_(0, p.size(1) ** -0.5)
        if alike is not None:
            own = self.embedding[: len(alike)]
            common = alike @ torch.randn(alike.size(1), self.settings.width)
            own.mul_(0.3).add_(
                common / common.std(1, keepdim=True),
                alpha=0.95 * (0.02 if self.settings.tied else 1.0),
            )

    def forward(
        self,
        tokens: Tensor,
        targets: Tensor | None = None,
        documents: Tensor | None = None,
        padding: Tensor | None = None,
        cache: Cache | None = None,
        last: bool = False,
    ) -> Tensor:
        """Logits (B, T, V) in fp32, or with targets the negative log-likelihood of each, in nats:
        (B, T), 0 where not counted.

        tokens: (B, T) int64. targets: (B, T) int64, -100 = not counted. documents: (B, T) int64,
        attention stays within equal numbers. padding: (B, T) bool, True = real. cache: these tokens
        follow what it holds, and are added to it. last: logits of the last position only, (B, 1,
        V). Raises GenwrightError when there are more tokens than the context or the cache holds.
        """
        time = tokens.size(1)
        start = cache.end if cache else 0
        room = cache.length if cache else self.context
        if start + time > room:
            what = f"{start + time} tokens are more than the {room} that there is room for"
            raise GenwrightError(what, "give fewer, or raise data.context")
        first = F.embedding(tokens, self.embedding)
        if self.places is not None:
            if padding is not None and cache is not None:  # on the left
                raise GenwrightError(
                    "prompts of several lengths have other places (model.places)",
                    "give one at a time",
                )
            first = first + F.embedding(
                torch.arange(start, start + time, device=first.device) % len(self.places),
                self.places,
            )
        if self.embedding_norm is not None:
            first = self.embedding_norm(first)
        if cache is not None and padding is not None:
            cache.hide(padding)
        ropes = (cache.rope if cache else self.rope.to(first.dtype))[
            :, :, start : start + time
        ].unbind()
        masks = self.masks(first, start, documents, padding, cache)
        x = first
        for block, short in zip(self.blocks, self.short, strict=True):
            x = block(x, first, tokens, ropes[short], masks[short], cache)
        if cache is not None:
            cache.end += time
        if last:
            x = x[:, -1:]
        x = self.norm(x)
        if targets is None:
            return self.logits(x)
        return self.nll(x.flatten(0, 1), targets.flatten()).view(targets.shape)

    def masks(
        self,
        x: Tensor,
        start: int,
        documents: Tensor | None,
        padding: Tensor | None,
        cache: Cache | None,
    ) -> tuple[Tensor | None, ...]:
        """What is added to the scores of layers (without, with) a window, in the dtype of x; None:
        position decides (causal or all)."""
        s = self.settings
        time = x.size(1)
        hidden = cache.hidden[..., : start + time] if cache and cache.hidden is not None else None
        if time == 1 and cache is not None and not s.window:
            return hidden, hidden
        plain = documents is None and padding is None and hidden is None and start == 0
        if plain and not (s.window and s.window < time):
            return None, None
        query = torch.arange(start, start + time, device=x.device)[:, None]
        key = torch.arange(start + time, device=x.device)
        allowed = key <= query if s.causal else torch.ones_like(key <= query)
        if documents is not None:
            allowed = allowed & (documents[:, None, :, None] == documents[:, None, None, :])
        if hidden is not None:
            allowed = allowed & (hidden == 0)
        elif padding is not None:
            allowed = allowed & padding[:, None, None]
        if hidden is not None or padding is not None:
            allowed = allowed | (key == query)  # a row of nothing would be NaN
        near = (
            allowed & (key > query - s.window if s.causal else (key - query).abs() <= s.window)
            if s.window
            else allowed
        )
        full, near = (
            x.new_zeros(each.shape).masked_fill_(~each, -math.inf) for each in (allowed, near)
        )
        return None if plain else full, near

    def logits(self, x: Tensor) -> Tensor:
        """x: (..., W), after the last norm."""
        if self.dense is not None and self.dense_norm is not None:
            x = self.dense_norm(F.gelu(F.linear(x, self.dense)))
        logits = F.linear(
            x, self.embedding if self.head is None else self.head, self.head_bias
        ).float()
        cap = self.settings.logit_softcap
        return cap * torch.tanh(logits / cap) if cap else logits

    def nll(self, x: Tensor, targets: Tensor) -> Tensor:
        """(N,) for x (N, W), targets (N,). Where all logits at once would take too much memory they
        are made a chunk at a time, and again in the backward pass."""
        chunks = -(-len(x) * self.vocabulary // _WHOLE.get(x.device.type, 2**25))

        def part(h, t):
            return F.cross_entropy(self.logits(h), t, reduction="none", ignore_index=IGNORED)

        if chunks == 1:
            return part(x, targets)
        pairs = zip(x.chunk(chunks), targets.chunk(chunks), strict=True)
        return torch.cat(
            [
                checkpoint(part, h, t, use_reentrant=False, preserve_rng_state=False)
                for h, t in pairs
            ]
        )

    def new_cache(self, batch: int, length: int) -> Cache:
        """Room for `length` positions of `batch` rows; `length` may exceed the context."""
        return Cache(self, batch, length)

    def groups(self) -> dict[str, str]:
        """Parameter name -> which rule updates it: "matrix" (hidden), "embedding", "head" or
        "scalar" (gains, biases)."""
        kinds = {"head": "head"} | dict.fromkeys(
            ("embedding", "places", "value_embedding"), "embedding"
        )
        return {
            n: "scalar" if p.ndim < 2 else kinds.get(n.rsplit(".", 1)[-1], "matrix")
            for n, p in self.named_parameters()
        }

    def flops_per_token(self, context: int) -> float:
        """Forward and backward of one token among `context`: 6 for each weight that is multiplied,
        12 H D for each position that is seen (Chowdhery et al., PaLM, 2204.02311, appendix B:
        without halving for causality)."""
        s = self.settings
        products = sum(
            p.numel()
            for n, p in self.named_parameters()
            if p.ndim == 2 and self.groups()[n] != "embedding"
        )
        products += self.embedding.numel() if self.head is None else 0
        span = min(context, s.window if s.causal else 2 * s.window + 1)
        seen = sum(span if short else context for short in self.short)
        return 6.0 * products + 12.0 * s.heads * s.head_width * seen
