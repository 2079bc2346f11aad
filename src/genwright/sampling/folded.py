"""Steps of the transformer with folded weights: few operations a token.

At one token a row a network of ordinary size spends its time on starting operations and on reading
memory, not on arithmetic. `FoldedStepper` is the same network as `Transformer.forward`, read from
the module's own parameters and settings when a generation starts, in a form that starts few
operations:

1. Weights are transposed; query, key and value lie in one matrix, gate and up in another.
2. Gains of norms are folded into the matrix behind them: RMS norm is x / hypot(|x|, sqrt(width *
   eps)) times sqrt(width) * gain, and the stream's last column is that constant.
3. The two halves of a rotated pair lie side by side, so that the rotation of all queries and keys
   is one complex product that carries the attention's scale too. It writes them as attention reads
   them: queries together, keys together, so that rows and heads are one axis.
4. Keys are stored transposed (`cached_attention.py`), and results written into buffers that live as
   long as the generation.
5. What depends on shapes alone is decided before the first step.

What it cannot do (layer norm, windows, GEGLU, a dense head, bf16, projections that are hooked or
replaced) goes through the module's own cache (`step.CachedStepper`); tests hold both to `forward`.

Shapes: B rows, W width, K key-value heads, G queries a key (heads = K * G), D head width.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genwright.models.block import Block
from genwright.models.cache import Cache
from genwright.models.layers import is_plain
from genwright.models.ops import Multiplier
from genwright.models.transformer import Transformer
from genwright.sampling.cached_attention import cached_attention


@dataclass(frozen=True)
class Layer:
    """Weights of one layer, (inputs, outputs).

    qkv: (W, (G + 2) * K * D). output: (heads * D, W). up: (W, hidden), or gate and up side by side.
    down: (hidden, W). qk_gain: (G + 1, 1, D) or None. values: a table (vocabulary, K * D) or None.
    mix: of the stream and of the embedding, or None.
    """

    qkv: Tensor
    output: Tensor
    up: Tensor
    down: Tensor
    qk_gain: Tensor | None
    values: Tensor | None
    mix: tuple[Tensor, ...] | None


class Products:
    """Products of some rows with the matrices of a layer."""

    def __init__(self, layer: Layer, rows: int):
        self.qkv = Multiplier(layer.qkv, rows)
        self.output = Multiplier(layer.output, rows)
        self.up = Multiplier(layer.up, rows)
        self.down = Multiplier(layer.down, rows)


def can_fold(model: Transformer) -> bool:
    """Whether the steps compute what the module does: it has what they know of, nothing was hooked
    or put in the place of its projections, and its weights are whole and in fp32."""
    s = model.settings
    if not s.causal or s.window or s.dense_head or s.norm == "layer" or s.activation == "geglu":
        return False
    if not all(is_plain(layer) for layer in model.projections()):
        return False
    # FSDP2: only the module's own call gathers its weights
    sharded = hasattr(model.embedding, "device_mesh")
    return model.embedding.dtype == torch.float32 and not sharded


class FoldedStepper:
    """See the module. Of a row, the first query of each key-value head comes first, then the second
    of each, up to the last; then all keys, then all values: (B, G + 2, K, D)."""

    def __init__(self, model: Transformer):
        s = model.settings
        self.model = model
        self.settings = s
        self.groups = s.heads // s.kv_heads
        self.width = s.head_width
        # of a head's features, i beside i + D/2
        device = model.embedding.device
        self.pairs = torch.arange(self.width, device=device).view(2, -1).t().flatten()
        self.layers = [self._layer(block) for block in model.blocks]  # type: ignore[arg-type]
        self.embedding = model.embedding
        self.places = model.places
        self.previous = model.previous
        head = model.embedding if model.head is None else model.head.weight
        cap = s.logit_softcap
        self.cap = head.new_tensor(cap) if cap else None
        self.head = (_folded(head, model.norm) / (cap or 1)).t().contiguous()  # (W, vocabulary)
        self.first_gain: Tensor | None = None  # (W,) of the norm behind the embedding
        if model.embedding_norm is not None:
            self.first_gain = _folded(head.new_ones(s.width), model.embedding_norm)
        self.head_eps = head.new_tensor(math.sqrt(self.width * s.norm_eps))

    def _layer(self, block: Block) -> Layer:
        keys = block.settings.kv_heads
        width = self.width
        # (G, K, D, W), (1, K, D, W), (1, K, D, W); pairs side by side where they are rotated
        query = block.query.weight.view(keys, self.groups, width, -1)[:, :, self.pairs]
        key = block.key.weight.view(1, keys, width, -1)[:, :, self.pairs]
        value = block.value.weight.view(1, keys, width, -1)
        qkv = torch.cat((query.transpose(0, 1), key, value)).flatten(0, 2)  # ((G + 2) * K * D, W)
        up = block.up.weight
        if block.gate is not None:
            up = torch.cat((block.gate.weight, up))
        qk_gain: Tensor | None = None
        query_norm = block.query_norm
        key_norm = block.key_norm
        if query_norm is not None and key_norm is not None and query_norm.weight is not None:
            gains: list[Any] = [query_norm.weight] * self.groups + [key_norm.weight]
            qk_gain = torch.stack(gains)[:, None, self.pairs] * math.sqrt(width)
        mix = None if block.mix is None else tuple(block.mix.detach().unbind())
        return Layer(
            qkv=_folded(qkv, block.attention_norm).t().contiguous(),
            output=block.output.weight.t().contiguous(),
            up=_folded(up, block.mlp_norm).t().contiguous(),
            down=block.down.weight.t().contiguous(),
            qk_gain=qk_gain,
            values=block.value_embedding,
            mix=mix,
        )

    def start(self, tokens: Tensor, real: Tensor | None, length: int) -> Tensor:
        """As `CachedStepper.start`. The module reads the prompt; its cache is then copied into the
        layout of the steps. Rows with one prompt, as samples of one question, are read once."""
        rows, time = tokens.shape
        read = tokens if real is None else torch.cat([tokens, real.long()], 1)
        distinct, which = torch.unique(read, dim=0, return_inverse=True)  # which: (rows,)
        shared = 2 * len(distinct) <= rows
        if shared:
            tokens = distinct[:, :time]
            real = None if real is None else distinct[:, time:].bool()
        cache = self.model.new_cache(len(tokens), time)
        logits = self.model(tokens, padding=real, cache=cache, last=True)[:, -1]
        self.newest = cache.newest  # (B, previous)
        if shared:
            logits = logits[which]
            self.newest = None if cache.newest is None else cache.newest[which]
        self._take(cache, which if shared else None, length)
        self._buffers(rows, cache.keys)
        self._angles(length)
        return logits

    def _take(self, cache: Cache, which: Tensor | None, length: int) -> None:
        """Keys, values and padding of what was read. which: (B,), the row of the cache that each
        row goes on from; None: its own. `end`: positions that are filled."""
        heads = self.settings.kv_heads
        # (depth, N * K, D, P) of N rows that were read
        keys = cache.keys.flatten(1, 2)[..., self.pairs].mT * self.width**-0.25
        values = cache.values.flatten(1, 2)  # (depth, N * K, P, D)
        padding = cache.hidden
        prompt_of: Tensor | None = None  # (B * K,)
        if which is not None:
            first = which[:, None] * heads  # (B, 1)
            prompt_of = (first + torch.arange(heads, device=which.device)).flatten()
            padding = None if padding is None else padding[which]
        hidden: Tensor | None = None  # (B * K, 1, length), added to scores
        if padding is not None:
            longer = F.pad(padding.flatten(1), (0, length - cache.end))
            hidden = longer.repeat_interleave(heads, 0)[:, None]
        self.attention = cached_attention(
            keys, values, prompt_of, length, self.groups, heads, hidden
        )
        self.end = cache.end

    def _buffers(self, rows: int, like: Tensor) -> None:
        """What a step writes into, and its views."""
        s = self.settings
        heads = s.kv_heads
        width = self.width
        groups = self.groups
        new = like.new_empty
        self.stream = like.new_zeros(rows, s.width + 16)  # 16: rows keep their alignment
        # so that the length of a row is hypot(|x|, sqrt(width * eps))
        self.stream[:, s.width] = math.sqrt(s.width * s.norm_eps)
        self.x = self.stream[:, : s.width]
        self.normed = new(rows, s.width)
        self.length = new(rows, 1)
        self.qkv = new(rows, (groups + 2) * heads * width)
        self.qk = self.qkv[:, : (groups + 1) * heads * width].view(rows, groups + 1, heads, width)
        self.flat_value = self.qkv[:, (groups + 1) * heads * width :]
        self.value = self.flat_value.view(rows, heads, width)
        self.normed_qk = new(self.qk.shape)
        self.qk_length = new(rows, groups + 1, heads, 1)
        rotated = self.normed_qk if s.qk_norm else self.qk
        # (B, G + 1, K * D / 2) complex, before and after they are turned
        self.paired = torch.view_as_complex(rotated.unflatten(-1, (-1, 2))).flatten(2)
        turned = torch.empty(
            groups + 1, rows, heads * width // 2, dtype=torch.complex64, device=self.qkv.device
        )
        self.turned = turned.transpose(0, 1)
        turned_features = torch.view_as_real(turned).view(groups + 1, rows * heads, width)
        self.query = turned_features[:groups].transpose(0, 1)  # (B * K, G, D)
        self.key = turned_features[groups]  # (B * K, D)
        self.products = [Products(layer, rows) for layer in self.layers]
        self.head_product = Multiplier(self.head, rows)

    def _angles(self, length: int) -> None:
        """`ropes`: (length, K * D / 2) complex, the rotation of the keys of a row, or of
        as many of its queries, at each position, and the attention's scale."""
        width = self.width
        # normed heads have length 1, not sqrt(D), unless gains say so; a score is a product of two
        # of them over sqrt(D)
        unit = self.settings.qk_norm and self.layers[0].qk_gain is None
        scale = width**0.25 if unit else width**-0.25
        rope = self.model.rope
        if length > self.model.context:
            rope = self.model.angles(length).to(self.qkv.device)
        cosine = rope[0, 0, :length, 0, : width // 2]
        sine = rope[0, 1, :length, 0, width // 2 :]
        of_head = torch.complex(cosine, sine).mul_(scale)  # (length, D / 2)
        self.ropes = of_head.repeat(1, self.settings.kv_heads)

    def step(self, tokens: Tensor) -> Tensor:
        """As `CachedStepper.step`."""
        x = self._embedded(tokens)
        first = x.clone() if self.layers[0].mix is not None else x
        place = self.end
        self.end = place + 1
        rope = self.ropes[place]
        self.attention.begin(place)
        for i, (layer, products) in enumerate(zip(self.layers, self.products, strict=True)):
            if layer.mix is not None:
                x.mul_(layer.mix[0]).addcmul_(first, layer.mix[1])
            products.qkv.into(self.qkv, self._normed())
            if layer.values is not None:
                self.flat_value.add_(layer.values.index_select(0, tokens))
            self._rotate(layer.qk_gain, rope)
            mixed = self.attention.attend(i, self.query, self.key, self.value)
            products.output.add_to(x, mixed)
            products.down.add_to(x, self._active(products))
        logits = self.head_product.of(self._normed())
        return logits if self.cap is None else logits.tanh_().mul_(self.cap)

    def _active(self, products: Products) -> Tensor:
        """What a layer's MLP makes of the stream before it is multiplied by `down`, (B, hidden)."""
        up = products.up.of(self._normed())
        if self.settings.activation != "swiglu":
            return up.relu_().square_()
        gate, open = up.chunk(2, 1)
        return F.silu(gate).mul_(open)

    def _embedded(self, tokens: Tensor) -> Tensor:
        """The stream (B, W) of tokens (B,), in its buffer."""
        x = torch.index_select(self.embedding, 0, tokens, out=self.x)
        if self.previous is not None and self.newest is not None:
            for back, table in enumerate(self.previous.embedding, 1):
                x.add_(table.index_select(0, self.newest[:, -back]))
            self.newest = torch.cat((self.newest[:, 1:], tokens[:, None]), 1)
        if self.places is not None:
            x.add_(self.places[self.end % len(self.places)])
        if self.first_gain is not None:
            torch.linalg.vector_norm(self.stream, 2, 1, True, out=self.length)
            x.div_(self.length).mul_(self.first_gain)
        return x

    def _normed(self) -> Tensor:
        """RMS norm of the stream but for the factor that is folded into the next matrix."""
        torch.linalg.vector_norm(self.stream, 2, 1, True, out=self.length)
        return torch.div(self.x, self.length, out=self.normed)

    def _rotate(self, gain: Tensor | None, rope: Tensor) -> None:
        """Norms queries and keys, turns them and scales them: `qkv` -> `query`, `key`."""
        if self.settings.qk_norm:
            length = torch.linalg.vector_norm(self.qk, 2, 3, True, out=self.qk_length)
            torch.hypot(length, self.head_eps, out=length)
            torch.div(self.qk, length, out=self.normed_qk)
            if gain is not None:
                self.normed_qk.mul_(gain)
        torch.mul(self.paired, rope, out=self.turned)


def _folded(weight: Tensor, norm: Any) -> Tensor:
    """`weight` (..., width) times what RMS norm multiplies its unit vectors by: sqrt(width) and the
    gain."""
    weight = weight * math.sqrt(weight.shape[-1])
    return weight if norm.weight is None else weight * norm.weight
