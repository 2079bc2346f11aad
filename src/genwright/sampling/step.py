"""One more token a row, fast: what a causal transformer computes for its newest position, with
everything before it cached.

At one token a row a network of ordinary size spends its time on starting operations and on reading
memory, not on arithmetic. `Lean` is the same network as `Transformer.forward`, read from the
module's own parameters and settings when a generation starts, in a form that starts few operations:
weights transposed; query, key and value (gate and up) in one matrix; gains of norms folded into the
matrix behind them (RMS norm is x / hypot(|x|, sqrt(width * eps)) times sqrt(width) * gain, and the
stream's last column is that constant); the two halves of a rotated pair side by side, so that it is
one complex product that carries the attention's scale too; keys stored transposed; results written
into buffers that live as long as the generation. What it cannot do (layer norm, windows, GEGLU, a
dense head, bf16) goes through the module's own cache (`Cached`); tests hold both to `forward`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genwright.core.errors import GenwrightError
from genwright.models.layers import is_plain
from genwright.models.transformer import Transformer

# multiplications of a step; measured on 2 cores: 1 row of 0.8 million is as fast on one, 16 rows
# are not
_WORTH_SHARING = 4_000_000


def stepper(model: nn.Module) -> Cached | Lean:
    """The faster of the two that can do `model`, from its weights of this moment."""
    model = getattr(model, "_orig_mod", model)  # compiling is for the shapes of training
    return Lean(model) if isinstance(model, Transformer) and Lean.can(model) else Cached(model)


def needs_causal(model: nn.Module) -> None:
    """Raises GenwrightError for a model that sees both sides: it cannot go on from a prompt."""
    if not getattr(getattr(model, "settings", None), "causal", True):
        raise GenwrightError(
            "this model sees both sides of a token and cannot go on from a prompt",
            'use --fill "some [MASK] text"',
        )


def needs_bidirectional(model: nn.Module) -> None:
    """Raises GenwrightError for a model that sees only what stands before: it cannot fill in."""
    if getattr(getattr(model, "settings", None), "causal", False):
        raise GenwrightError(
            "this model reads left to right and cannot fill in a [MASK]", 'use --prompt "some text"'
        )


@contextmanager
def threads_for(model: nn.Module, rows: int) -> Iterator[None]:
    """One thread within, where a step is so little work that handing parts of it to others takes
    longer than doing it; and then a busy machine, on which others do not answer at once, cannot
    hold it up either."""
    before = torch.get_num_threads()
    if before == 1 or rows * sum(p.numel() for p in model.parameters()) >= _WORTH_SHARING:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Cached:
    """Steps of any network that keeps a cache of its own: `model(tokens, padding=, cache=, last=)`,
    `model.new_cache(rows, length)`."""

    def __init__(self, model: Any):
        self.model = model

    def start(self, tokens: Tensor, real: Tensor | None, length: int) -> Tensor:
        """Reads tokens (rows, time) int64, left-padded where not `real` (None: all are), and makes
        room for `length` positions in all. Returns the last position's logits, (rows, vocabulary)
        in fp32."""
        self.cache = self.model.new_cache(len(tokens), length)
        return self.model(tokens, padding=real, cache=self.cache, last=True)[:, -1]

    def step(self, tokens: Tensor) -> Tensor:
        """Reads one more token a row, (rows,) int64; returns logits, (rows, vocabulary) in fp32."""
        return self.model(tokens[:, None], cache=self.cache, last=True)[:, -1]


class Lean:
    """See the module. Shapes: B rows, W width, K key-value heads, G queries a key (heads = K * G),
    D head width. A row's queries, key and value lie together, group by group: (B, K, G + 2, D), so
    that rows and groups are one axis without a copy."""

    def __init__(self, model: Transformer):
        self.model = model
        s = self.settings = model.settings
        self.groups = s.heads // s.kv_heads
        self.width = s.head_width
        # i beside i + D/2
        self.pairs = (
            torch.arange(self.width, device=model.embedding.device).view(2, -1).t().flatten()
        )
        self.layers = [self._layer(block) for block in model.blocks]
        head = model.embedding if model.head is None else model.head.weight
        self.cap = head.new_tensor(s.logit_softcap) if s.logit_softcap else None
        self.head = (_folded(head, model.norm) / (s.logit_softcap or 1)).t().contiguous()
        self.embedding = model.embedding
        self.places = model.places
        first = model.embedding_norm
        self.first_gain = None if first is None else _folded(head.new_ones(s.width), first)
        self.head_eps = head.new_tensor(math.sqrt(self.width * s.norm_eps))

    @staticmethod
    def can(model: Transformer) -> bool:
        """Whether the steps compute what the module does: nothing was hooked or put in the place of
        its projections, and its weights are whole and in fp32."""
        # FSDP2: only the module's own call gathers its weights
        s = model.settings
        if not all(is_plain(layer) for layer in model.projections()):
            return False
        sharded = hasattr(model.embedding, "device_mesh")
        plain = (
            s.causal
            and not (s.window or s.dense_head)
            and s.norm != "layer"
            and s.activation != "geglu"
        )
        return plain and model.embedding.dtype == torch.float32 and not sharded

    def _layer(self, block: Any) -> SimpleNamespace:
        """Weights of one layer, (inputs, outputs). qk_gain: (group + 1, D) or None. values: a table
        (vocabulary, K * D) or None. mix: of the stream and of the embedding, or None."""
        k = block.settings.kv_heads
        g = self.groups
        d = self.width
        query, key = (
            w.view(k, -1, d, w.shape[1])[:, :, self.pairs]
            for w in (block.query.weight, block.key.weight)
        )
        qkv = torch.cat((query, key, block.value.weight.view(k, 1, d, -1)), 1).flatten(0, 2)
        up = block.up.weight
        if block.gate is not None:
            up = torch.cat((block.gate.weight, up))
        gain = None
        if block.query_norm is not None and block.query_norm.weight is not None:
            gain = torch.stack([block.query_norm.weight] * g + [block.key_norm.weight])[
                :, self.pairs
            ] * math.sqrt(d)
        mix = None if block.mix is None else tuple(block.mix.detach().unbind())
        matrices = (
            _folded(qkv, block.attention_norm),
            block.output.weight,
            _folded(up, block.mlp_norm),
            block.down.weight,
        )
        qkv, output, up, down = (matrix.t().contiguous() for matrix in matrices)
        return SimpleNamespace(
            qkv=qkv,
            output=output,
            up=up,
            down=down,
            qk_gain=gain,
            values=block.value_embedding,
            mix=mix,
        )

    def start(self, tokens: Tensor, real: Tensor | None, length: int) -> Tensor:
        """As `Cached.start`. The module reads the prompt; its cache is then copied into the layout
        of the steps."""
        model, s, (rows, time) = self.model, self.settings, tokens.shape
        cache = model.new_cache(rows, time)
        logits = model(tokens, padding=real, cache=cache, last=True)[:, -1]
        # an odd number of cache lines, so that the D places of one position do not share a set of
        # the processor's cache
        room = length // 32 * 32 + 48
        merged = rows * s.kv_heads
        self.keys = cache.keys.new_empty(s.depth, merged, self.width, room)
        self.values = cache.keys.new_empty(s.depth, merged, length, self.width)
        self.keys[..., :time] = cache.keys.flatten(1, 2)[..., self.pairs].mT * self.width**-0.25
        self.values[:, :, :time] = cache.values.flatten(1, 2)
        self.end = time  # positions that are filled
        self.hidden = None
        if cache.hidden is not None:
            self.hidden = F.pad(cache.hidden.flatten(1), (0, length - time)).repeat_interleave(
                s.kv_heads, 0
            )[:, None]
        self._buffers(rows, length)
        return logits

    def _buffers(self, rows: int, length: int) -> None:
        """What a step writes into, and its views."""
        s = self.settings
        d = self.width
        g = self.groups
        new = self.keys.new_empty
        self.stream = self.keys.new_zeros(rows, s.width + 16)  # 16: rows keep their alignment
        # so that the length of a row is hypot(|x|, sqrt(width * eps))
        self.stream[:, s.width] = math.sqrt(s.width * s.norm_eps)
        self.x = self.stream[:, : s.width]
        self.y = new(rows, s.width)
        self.norm = new(rows, 1)
        self.qkv = new(rows, s.kv_heads * (g + 2) * d)
        grouped = self.qkv.view(-1, g + 2, d)
        self.qk = grouped[:, : g + 1]
        self.value = grouped[:, g + 1]
        self.flat_value = self.qkv.view(rows, s.kv_heads, g + 2, d)[:, :, g + 1]
        self.normed = new(self.qk.shape)
        self.head_norm = new(*self.qk.shape[:2], 1)
        self.paired = torch.view_as_complex(
            (self.normed if s.qk_norm else self.qk).unflatten(-1, (-1, 2))
        )
        self.turned = torch.empty(
            *self.qk.shape[:2], d // 2, dtype=torch.complex64, device=self.qkv.device
        )
        turned = torch.view_as_real(self.turned).flatten(2)
        self.query = turned[:, :g]
        self.key = turned[:, g]
        self.mixed = new(rows * s.kv_heads, g, d)
        self.flat_mixed = self.mixed.view(rows, -1)
        self.up = new(rows, self.layers[0].up.shape[1])
        self.gate, self.open = self.up.tensor_split(2, 1)  # where the MLP is gated
        # normed heads have length 1, not sqrt(D), unless gains say so; a score is a product of two
        # of them over sqrt(D)
        scale = d**0.25 if s.qk_norm and self.layers[0].qk_gain is None else d**-0.25
        rope: Any = (
            self.model.rope
            if length <= self.model.context
            else self.model.angles(length).to(self.qkv.device)
        )
        cosine = rope[0, 0, :length, 0, : d // 2]
        sine = rope[0, 1, :length, 0, d // 2 :]
        self.ropes = torch.complex(cosine, sine).mul_(scale)

    def step(self, tokens: Tensor) -> Tensor:
        """As `Cached.step`."""
        x = torch.index_select(self.embedding, 0, tokens, out=self.x)
        if self.places is not None:
            x.add_(self.places[self.end % len(self.places)])
        if self.first_gain is not None:
            torch.linalg.vector_norm(self.stream, 2, 1, True, out=self.norm)
            x.div_(self.norm).mul_(self.first_gain)
        first = x.clone() if self.layers[0].mix is not None else x
        place, self.end = self.end, self.end + 1
        key_places = self.keys.select(3, place).unbind()
        value_places = self.values.select(2, place).unbind()
        keys = self.keys[..., : self.end].unbind()
        values = self.values[:, :, : self.end].unbind()
        hidden = None if self.hidden is None else self.hidden[..., : self.end]
        for i, layer in enumerate(self.layers):
            if layer.mix is not None:
                x.mul_(layer.mix[0]).addcmul_(first, layer.mix[1])
            torch.mm(self._normed(), layer.qkv, out=self.qkv)
            if layer.values is not None:
                self.flat_value.add_(layer.values.index_select(0, tokens).view_as(self.flat_value))
            self._rotate(layer.qk_gain, self.ropes[place])
            key_places[i].copy_(self.key)
            value_places[i].copy_(self.value)
            scores = (
                torch.bmm(self.query, keys[i])
                if hidden is None
                else torch.baddbmm(hidden, self.query, keys[i])
            )
            torch.bmm(scores.softmax(-1), values[i], out=self.mixed)
            x.addmm_(self.flat_mixed, layer.output)
            torch.mm(self._normed(), layer.up, out=self.up)
            gated = self.settings.activation == "swiglu"
            x.addmm_(
                F.silu(self.gate).mul_(self.open) if gated else self.up.relu_().square_(),
                layer.down,
            )
        logits = torch.mm(self._normed(), self.head)
        return logits if self.cap is None else logits.tanh_().mul_(self.cap)

    def _normed(self) -> Tensor:
        """RMS norm of the stream but for the factor that is folded into the next matrix."""
        return torch.div(
            self.x, torch.linalg.vector_norm(self.stream, 2, 1, True, out=self.norm), out=self.y
        )

    def _rotate(self, gain: Tensor | None, rope: Tensor) -> None:
        """Norms queries and keys, turns them and scales them: `qkv` -> `query`, `key`."""
        if self.settings.qk_norm:
            norm = torch.linalg.vector_norm(self.qk, 2, 2, True, out=self.head_norm)
            torch.div(self.qk, torch.hypot(norm, self.head_eps, out=norm), out=self.normed)
            if gain is not None:
                self.normed.mul_(gain)
        torch.mul(self.paired, rope, out=self.turned)


def _folded(weight: Tensor, norm: Any) -> Tensor:
    """`weight` (..., width) times what RMS norm multiplies its unit vectors by: sqrt(width) and the
    gain."""
    weight = weight * math.sqrt(weight.shape[-1])
    return weight if norm.weight is None else weight * norm.weight
