"""Settings of the transformer: presets that name an architecture, one dial (`depth`), and every
single choice open.

A preset is exactly Hugging Face's architecture of that name (NanoChatForCausalLM, LlamaForCausalLM,
Qwen3ForCausalLM, ModernBertForMaskedLM), so that `hf.export` can write it. `speedrun` is nanochat
with what makes small models learn faster and no released class computes: value embeddings, and
skips from the embedding into every layer.

The dial follows nanochat (Karpathy, 2025): width = 64 * depth, heads of 64 below width 768 and of
128 from there, AdamW rates that fall with the square root of the width.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.settings import NetworkSettings
from genwright.models.transformer import Transformer

CAUSAL = "nanochat"  # the preset where none is named and the objective is causal
BIDIRECTIONAL = "modernbert"  # likewise, where it is not

_NANOCHAT: dict[str, Any] = {
    "causal": True,
    "norm": "plain",
    "norm_eps": 1e-6,
    "embedding_norm": True,
    "dense_head": False,
    "activation": "relu2",
    "qk_norm": True,
    "logit_softcap": 15.0,
    "rope_base": 10_000.0,
    "rope_reversed": True,
    "window": 0,
    "pattern": "L",
    "tied": False,
    "value_embeddings": False,
    "skips": False,
}
_LLAMA = _NANOCHAT | {
    "norm": "rms",
    "embedding_norm": False,
    "activation": "swiglu",
    "qk_norm": False,
    "logit_softcap": 0.0,
    "rope_reversed": False,
}
PRESETS: dict[str, dict[str, Any]] = {
    "nanochat": _NANOCHAT,
    "llama": _LLAMA,
    "qwen3": _LLAMA | {"qk_norm": True, "rope_base": 1_000_000.0},
    "modernbert": _LLAMA
    | {
        "causal": False,
        "norm": "layer",
        "norm_eps": 1e-5,
        "embedding_norm": True,
        "dense_head": True,
        "activation": "geglu",
        "rope_base": 160_000.0,
        "rope_base_local": 10_000.0,
        "window": 64,
        "pattern": "LSS",
        "tied": True,
    },
    "speedrun": _NANOCHAT | {"value_embeddings": True, "skips": True},
}


class TransformerSettings(NetworkSettings, family="model"):
    """What a transformer is made of. What is left open comes from the preset, or from `depth`."""

    kind: Literal["transformer"] = "transformer"
    """Rotary transformer for text and other sequences of tokens."""
    preset: Literal["nanochat", "llama", "qwen3", "modernbert", "speedrun"] | None = None
    """Architecture. Default: nanochat for causal objectives, modernbert for masked ones. `speedrun`
    cannot be exported."""
    depth: int = Field(4, ge=1, le=1000)
    """Layers; what else is left open follows from it."""
    vocabulary: int | None = Field(None, ge=1)
    """Rows of the embedding; imported weights may have more than their codec has tokens.
    Default: the codec's."""
    width: int | None = Field(None, ge=2, le=2**17)
    """Features of the residual stream. Default: 64 * depth."""
    heads: int | None = Field(None, ge=1)
    """Attention heads. Default: width / head_width, or width / 64 (from width 768, width / 128)."""
    kv_heads: int | None = Field(None, ge=1)
    """Heads of keys and values; fewer than `heads` is grouped-query attention. Default: heads."""
    head_width: int | None = Field(None, ge=2)
    """Features of a head, an even number. Default: width / heads."""
    hidden: int | None = Field(None, ge=1)
    """Features inside the MLP. Default: 4 * width; for gated activations 8/3 * width, rounded up to
    a multiple of 64."""
    activation: Literal["relu2", "swiglu", "geglu"] | None = None
    """MLP: squared ReLU, or gated by SiLU or GELU. Default: the preset's."""
    norm: Literal["rms", "plain", "layer"] | None = None
    """RMS norm with or without gains, or layer norm. Default: the preset's."""
    norm_eps: float | None = Field(None, gt=0, le=0.1)
    """Added to the variance. Default: the preset's."""
    embedding_norm: bool | None = None
    """Norm right after the embedding. Default: the preset's."""
    dense_head: bool | None = None
    """Dense layer, GELU and norm before the output layer, which has a bias. Default: the
    preset's."""
    qk_norm: bool | None = None
    """Norm of each head's queries and keys. Default: the preset's."""
    logit_softcap: float | None = Field(None, ge=0)
    """c * tanh(logits / c); 0 is none. Default: the preset's."""
    rope_base: float | None = Field(None, gt=1)
    """Longest wavelength of the rotary positions, in 2 pi tokens. Default: the preset's."""
    rope_base_local: float | None = Field(None, gt=1)
    """The same for layers with a window. Default: the preset's; else rope_base."""
    rope_reversed: bool | None = None
    """Rotate the other way round, as nanochat does. Default: the preset's."""
    window: int | None = Field(None, ge=0)
    """Sliding window of the layers marked S: tokens seen, itself included (causal), or on each side
    (bidirectional); 0 is none."""
    pattern: str | None = Field(None, pattern="^[LS]+$")
    """Which layers see everything (L) and which a window (S), repeated over the depth. Default: the
    preset's; with a window, SSSL."""
    tied: bool | None = None
    """The output layer is the embedding. Default: the preset's."""
    value_embeddings: bool | None = None
    """Every other layer, the last among them, adds an embedding of the token to its values.
    Default: the preset's."""
    previous: int = Field(0, ge=0, le=16)
    """Tokens before each one that have embeddings of their own, which are added to its own."""
    places: int | None = Field(None, ge=0)
    """Tokens of a row, a bar or what else is always as long: each place in it has an embedding. 0:
    none. Default: the codec's."""
    skips: bool | None = None
    """Each layer sees a learned mix of the stream and the embedding. Default: the preset's."""
    causal: bool | None = None
    """Tokens see only what stands before. Default: the objective's."""

    role: ClassVar[str] = "sequence"

    def resolve(self, space: Space, context: int, causal: bool = True) -> TransformerSettings:
        """Every setting filled in and checked. space: what the codec makes; context: tokens;
        causal: what the objective needs. Raises GenwrightError for measures that do not fit each
        other."""
        _refuse(
            space.vocabulary < 1,
            "the codec has no vocabulary, which model.kind transformer needs",
            "choose a codec of tokens",
        )
        _refuse(context < 1, f"data.context is {context}", "give 1 or more")
        preset = self.preset or (CAUSAL if causal else BIDIRECTIONAL)
        chosen = self.model_dump(exclude_none=True)
        values: dict[str, Any] = PRESETS[preset] | {"causal": causal}
        values["places"] = self._places(space, context)
        values |= chosen | {"preset": preset}
        self._check_causal(preset, values["causal"], causal)
        values.setdefault("rope_base_local", values["rope_base"])
        rows = values.setdefault("vocabulary", space.vocabulary)
        _refuse(
            rows < space.vocabulary,
            f"model.vocabulary {rows} is less than the codec's {space.vocabulary} tokens",
            "leave it out",
        )
        values["pattern"] = self._pattern(values)
        return TransformerSettings(**self._measures(values))

    def check(self) -> None:
        """Raises GenwrightError for measures, or window and pattern, that do not fit each other,
        whichever of the usual presets the objective asks for."""
        problem = None
        for preset in (self.preset,) if self.preset else (CAUSAL, BIDIRECTIONAL):
            values: dict[str, Any] = PRESETS[preset] | self.model_dump(exclude_none=True)
            try:
                self._pattern(values)
                self._measures(values)
            except GenwrightError as error:
                problem = problem or error
            else:
                return
        if problem:
            raise problem

    def _places(self, space: Space, context: int) -> int:
        """How many places have an embedding, where nothing else is said."""
        # a recipe that was saved, perhaps before there were places
        saved = self.vocabulary is not None
        if saved or 2 * space.period > context:
            return 0
        return space.period

    def _check_causal(self, preset: str, own: bool, needed: bool) -> None:
        """Raises GenwrightError where preset or settings see what the objective must not, or do not
        see what it needs."""
        if self.preset and PRESETS[preset]["causal"] != needed and self.causal is None:
            seeing = "bidirectional" if needed else "causal"
            raise GenwrightError(
                f"model.preset {preset} is {seeing}, the objective is not",
                f"leave out model.preset, or set model.causal={str(needed).lower()}",
            )
        _refuse(
            own != needed,
            f"model.causal is {own}, the objective needs {needed}",
            "leave out model.causal",
        )

    def _pattern(self, values: dict[str, Any]) -> str:
        """Which layers have a window. Raises GenwrightError where window and pattern disagree."""
        window: int = values["window"]
        pattern: str = values["pattern"]
        if self.pattern is None and not window:
            pattern = "L"
        elif self.pattern is None and pattern == "L":
            pattern = "SSSL"
        short = "S" in pattern
        both = f"model.window is {window}, model.pattern is {pattern}"
        _refuse(
            short and not window, f"{both}, which has layers with a window", "give model.window"
        )
        _refuse(window and not short, f"{both}, which has no S", "mark layers with a window by S")
        return pattern

    def _measures(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values with the open sizes filled in. Raises GenwrightError."""
        values = dict(values)
        if self.heads and self.head_width:
            values.setdefault("width", self.heads * self.head_width)
        width: int = values.setdefault("width", 64 * self.depth)
        if "heads" not in values:
            share = values.get("head_width", 64 if width < 768 else 128)
            near = -(-width // share) * share
            _refuse(
                width % share,
                f"model.width {width} is no multiple of the head width {share}",
                f"give model.heads, or a width like {near}",
            )
            values["heads"] = width // share
        heads: int = values["heads"]
        _refuse(
            "head_width" not in values and width % heads,
            f"model.width {width} is no multiple of model.heads {heads}",
            "change one, or give model.head_width",
        )
        head_width: int = values.setdefault("head_width", width // heads)
        kv_heads: int = values.setdefault("kv_heads", heads)
        _refuse(
            heads % kv_heads,
            f"model.heads {heads} is no multiple of model.kv_heads {kv_heads}",
            "change one of them",
        )
        _refuse(
            head_width % 2,
            f"model.head_width {head_width} is odd, rotary positions turn pairs",
            "choose an even number",
        )
        hidden = 4 * width
        if values["activation"] != "relu2":
            hidden = -(-8 * width // 3 // 64) * 64  # 8/3 of the width, up to a multiple of 64
        values.setdefault("hidden", hidden)
        return values

    def build(self, space: Space, context: int, causal: bool = True) -> Transformer:
        """The network, initialised from torch's current random state."""
        return Transformer(self.resolve(space, context, causal), context, space.alike)

    def suggestion(self, space: Space) -> dict[str, Any]:
        """Batch size (examples) and learning rates for this size."""
        width = self.width or 64 * self.depth
        tokens = 2**19
        if width <= 256:
            tokens = 2**13
        elif width < 768:
            tokens = 2**15
        return {
            "batch_size": max(1, tokens // space.length),
            "learning_rate": round(0.004 * (width / 768) ** -0.5, 6),
            "matrix_rate": 0.02,
        }


def _refuse(wrong: object, what: str, remedy: str) -> None:
    if wrong:
        raise GenwrightError(what, remedy)
