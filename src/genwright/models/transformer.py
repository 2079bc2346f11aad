"""The transformer: rotary positions, grouped-query attention through SDPA, a KV cache, sliding
windows, causal or bidirectional.

One class for every preset (`presets.py` says what each choice is); single-device code that knows
nothing of data, devices or parallelism. Layers lie in `blocks`, their projections are `nn.Linear`
modules; `hf.py` maps the names of weights to Hugging Face's. Sources: Vaswani et al., arXiv
1706.03762; GQA, Ainslie et al., 2305.13245; GLU variants, Shazeer, 2002.05202; QK norm, Henry et
al., 2010.04245; ModernBERT, Warner et al., 2412.13663; ReLU^2, So et al., 2109.08668; value
embeddings and x0 scalars, Jordan et al., modded-nanogpt, 2024.

Shapes: B batch, T time, W width, H heads, K key-value heads, D head width, V vocabulary, L layers.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from genwright.core.errors import GenwrightError
from genwright.models.block import Block
from genwright.models.cache import Cache
from genwright.models.layers import Linear, Norm, rotary
from genwright.models.previous import Previous

IGNORED = -100  # a target that does not count
# logits (tokens x vocabulary) that are held at once in a loss; more are recomputed in chunks
_WHOLE = {"cpu": 2**25, "cuda": 2**31}
_PROJECTIONS = ("query", "key", "value", "output", "gate", "up", "down")  # of a block


class Transformer(nn.Module):
    """Logits, or losses, of tokens. Made by `TransformerSettings.build`; settings: what those say
    and what their preset fixes. alike: (vocabulary, traits), of tokens that share some: their
    embeddings begin as mostly the sum of their traits' random ones."""

    def __init__(self, settings: Any, context: int, alike: Tensor | None = None):
        super().__init__()
        s = settings
        self.settings = s
        self.vocabulary = s.vocabulary
        self.context = context
        # what is read must begin at a multiple of it
        self.row = s.places if 0 < 2 * s.places <= context else 1
        # which layers see only a window
        self.short = [s.pattern[i % len(s.pattern)] == "S" for i in range(s.depth)]

        self.embedding = nn.Parameter(torch.empty(s.vocabulary, s.width))
        self.previous = Previous(s.previous, s.vocabulary, s.width) if s.previous else None
        self.places = nn.Parameter(torch.empty(s.places, s.width)) if s.places else None
        self.dense = Linear(s.width, s.width) if s.dense_head else None
        # None: the output layer is the embedding
        self.head = None if s.tied else Linear(s.width, s.vocabulary)
        self.head_bias = nn.Parameter(torch.zeros(s.vocabulary)) if s.dense_head else None
        self.embedding_norm = Norm(s.norm, s.width, s.norm_eps) if s.embedding_norm else None
        self.blocks = nn.ModuleList(Block(s, i) for i in range(s.depth))
        self.norm = Norm(s.norm, s.width, s.norm_eps)
        self.dense_norm = Norm(s.norm, s.width, s.norm_eps) if s.dense_head else None
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
        zero, the output layer near it. Weights are drawn in one order, whatever that of the
        modules."""
        scale = 0.02 if self.settings.tied else 1.0
        self.embedding.normal_(0, scale)
        if self.previous is not None:
            self.previous.initialise(scale)
        if self.places is not None:
            self.places.normal_(0, 0.3 * scale)
        if self.dense is not None:
            self.dense.weight.normal_(0, self.dense.in_features**-0.5)
        if self.head is not None:
            self.head.weight.normal_(0, 0.001)
        for block in self.blocks:
            assert isinstance(block, Block)
            block.initialise()
        if alike is not None:
            own = self.embedding[: len(alike)]
            common = alike @ torch.randn(alike.size(1), self.settings.width)
            common = common / common.std(1, keepdim=True)
            own.mul_(0.3).add_(common, alpha=0.95 * scale)

    def projections(self) -> Iterator[nn.Module]:
        """Every projection, of the blocks and of the output."""
        if self.dense is not None:
            yield self.dense
        if self.head is not None:
            yield self.head
        for block in self.blocks:
            for name in _PROJECTIONS:
                layer = getattr(block, name)
                if layer is not None:
                    yield layer

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

        tokens: (B, T) int64, or embeddings in their place, (B, T, W) float (what `embedding` would
        give: places and the norm behind it are still to come). targets: (B, T) int64, -100 = not
        counted. documents: (B, T) int64, attention stays within equal numbers. padding: (B, T)
        bool, True = real. cache: these tokens follow what it holds, and are added to it. last:
        logits of the last position only, (B, 1, V). Raises GenwrightError when there are more
        tokens than the context or the cache holds, and for embeddings where layers look up tokens
        (`value_embeddings`, `previous`).
        """
        x = self.hidden(tokens, documents, padding, cache, last)
        if targets is None:
            return self.logits(x)
        return self.nll(x.flatten(0, 1), targets.flatten()).view(targets.shape)

    def hidden(
        self,
        tokens: Tensor,
        documents: Tensor | None = None,
        padding: Tensor | None = None,
        cache: Cache | None = None,
        last: bool = False,
    ) -> Tensor:
        """What `logits` and `nll` read, (B, T, W), or (B, 1, W) of the last position; arguments as
        of `forward`."""
        time = tokens.size(1)
        start = cache.end if cache else 0
        room = cache.length if cache else self.context
        if start + time > room:
            what = f"{start + time} tokens are more than the {room} that there is room for"
            raise GenwrightError(what, "give fewer, or raise data.context")
        if self.places is not None and padding is not None and cache is not None:  # on the left
            raise GenwrightError(
                "prompts of several lengths have other places (model.places)", "give one at a time"
            )
        first = self.embedded(tokens, start, documents, padding, cache)
        if cache is not None and padding is not None:
            cache.hide(padding)
        angles = cache.rope if cache else self.rope.to(first.dtype)
        ropes = angles[:, :, start : start + time].unbind()  # of layers without, with a window
        masks = self.masks(first, start, documents, padding, cache)
        ids = None if tokens.is_floating_point() else tokens
        x = first
        for block, short in zip(self.blocks, self.short, strict=True):
            x = block(x, first, ids, ropes[short], masks[short], cache)
        if cache is not None:
            cache.end += time
        if last:
            x = x[:, -1:]
        normed: Tensor = self.norm(x)
        return normed

    def embedded(
        self,
        tokens: Tensor,
        start: int,
        documents: Tensor | None = None,
        padding: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """The stream (B, T, W) that the first layer reads, of tokens (B, T) or embeddings (B, T, W)
        at positions from `start`; other arguments as of `forward`."""
        looked_up = None
        if self.settings.value_embeddings:
            looked_up = "value_embeddings"
        elif self.previous is not None:
            looked_up = "previous"
        if not tokens.is_floating_point():
            x = F.embedding(tokens, self.embedding)
            if self.previous is not None:
                x = x + self.previous(tokens, documents, padding, cache)
        elif looked_up is not None:
            raise GenwrightError(
                f"layers of this model look up tokens (model.{looked_up})",
                "give token ids, not embeddings",
            )
        else:
            x = tokens.to(self.embedding.dtype)
        if self.places is not None:
            positions = torch.arange(start, start + x.size(1), device=x.device)
            x = x + F.embedding(positions % len(self.places), self.places)
        return x if self.embedding_norm is None else self.embedding_norm(x)

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
        hidden: Tensor | None = None
        if cache is not None and cache.hidden is not None:
            hidden = cache.hidden[..., : start + time]
        if time == 1 and cache is not None and not s.window:
            return hidden, hidden
        plain = documents is None and padding is None and hidden is None and start == 0
        if plain and not (s.window and s.window < time):
            return None, None
        query = torch.arange(start, start + time, device=x.device)[:, None]  # (T, 1)
        key = torch.arange(start + time, device=x.device)  # (all positions,)
        before = key <= query
        allowed = before if s.causal else torch.ones_like(before)
        if documents is not None:
            allowed = allowed & (documents[:, None, :, None] == documents[:, None, None, :])
        if hidden is not None:
            allowed = allowed & (hidden == 0)
        elif padding is not None:
            allowed = allowed & padding[:, None, None]
        if hidden is not None or padding is not None:
            allowed = allowed | (key == query)  # a row of nothing would be NaN
        near = allowed
        if s.window and s.causal:
            near = allowed & (key > query - s.window)
        elif s.window:
            near = allowed & ((key - query).abs() <= s.window)
        return None if plain else _added(allowed, x), _added(near, x)

    def logits(self, x: Tensor) -> Tensor:
        """x: (..., W), after the last norm."""
        if self.dense is not None and self.dense_norm is not None:
            x = self.dense_norm(F.gelu(self.dense(x)))
        if self.head is None:
            logits = F.linear(x, self.embedding, self.head_bias)
        else:
            logits = self.head(x)
            if self.head_bias is not None:
                logits = logits + self.head_bias
        logits = logits.float()
        cap = self.settings.logit_softcap
        return cap * torch.tanh(logits / cap) if cap else logits

    def nll(self, x: Tensor, targets: Tensor) -> Tensor:
        """(N,) for x (N, W), targets (N,). Where all logits at once would take too much memory they
        are made a chunk at a time, and again in the backward pass."""

        def part(h: Tensor, t: Tensor) -> Tensor:
            return F.cross_entropy(self.logits(h), t, reduction="none", ignore_index=IGNORED)

        chunks = -(-len(x) * self.vocabulary // _WHOLE.get(x.device.type, 2**25))
        if chunks == 1:
            return part(x, targets)
        parts = [
            checkpoint(part, h, t, use_reentrant=False, preserve_rng_state=False)
            for h, t in zip(x.chunk(chunks), targets.chunk(chunks), strict=True)
        ]
        return torch.cat(parts)

    def new_cache(self, batch: int, length: int) -> Cache:
        """Room for `length` positions of `batch` rows; `length` may exceed the context."""
        s = self.settings
        rope = self.rope if length <= self.context else self.angles(length)
        shape = (s.depth, batch, s.kv_heads, length, s.head_width)
        return Cache(shape, rope[:, :, :length], self.embedding)

    def groups(self) -> dict[str, str]:
        """Parameter name -> which rule updates it: "matrix" (hidden), "embedding", "head" or
        "scalar" (gains, biases). Each projection is a matrix of its own."""
        groups = {}
        for name, p in self.named_parameters():
            if p.ndim < 2:
                groups[name] = "scalar"
            elif name.rsplit(".", 1)[-1] in ("embedding", "places", "value_embedding"):
                groups[name] = "embedding"
            elif name.startswith("head."):
                groups[name] = "head"
            else:
                groups[name] = "matrix"
        return groups

    def earlier_names(self) -> Mapping[str, str]:
        """Names of weights that were written before projections were modules -> today's."""
        projections = ["dense", "head"]
        for i in range(self.settings.depth):
            projections += [f"blocks.{i}.{name}" for name in _PROJECTIONS]
        return {name: f"{name}.weight" for name in projections}

    def flops_per_token(self, context: int) -> float:
        """Forward and backward of one token among `context`: 6 for each weight that is multiplied,
        12 H D for each position that is seen (Chowdhery et al., PaLM, 2204.02311, appendix B:
        without halving for causality)."""
        s = self.settings
        groups = self.groups()
        multiplied = [
            p.numel()
            for name, p in self.named_parameters()
            if p.ndim == 2 and groups[name] != "embedding"
        ]
        products = sum(multiplied)
        if self.head is None:
            products += self.embedding.numel()
        span = min(context, s.window if s.causal else 2 * s.window + 1)
        seen = sum(span if short else context for short in self.short)
        return 6.0 * products + 12.0 * s.heads * s.head_width * seen


def _added(allowed: Tensor, like: Tensor) -> Tensor:
    """0 where allowed and -inf elsewhere, in the dtype of `like`: what is added to scores."""
    return like.new_zeros(allowed.shape).masked_fill_(~allowed, -math.inf)
