"""What Hugging Face's classes compute, as tables: names of weights, keys of configs, and which of
our settings a class can say.

One table of names is used in both directions, for reading and for writing. What a class can compute
is in `FORMATS`. Facts: modeling_*.py and configuration_*.py of transformers 5.23.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.models.presets import PRESETS, TransformerSettings

SOFTCAP = "final_logit_softcapping"

Names = Mapping[str, tuple[str, ...]]
"""Hugging Face's name -> ours; several of ours are stacked by rows. {} is the layer."""

_LAYER = {
    "input_layernorm": "attention_norm",
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.q_norm": "query_norm",
    "self_attn.k_norm": "key_norm",
    "self_attn.o_proj": "output",
    "post_attention_layernorm": "mlp_norm",
    "mlp.gate_proj": "gate",
    "mlp.up_proj": "up",
    "mlp.down_proj": "down",
}


def _decoder_names(layer: Mapping[str, str]) -> Names:
    """The names of a causal class, from those within a layer."""
    names: dict[str, tuple[str, ...]] = {
        "model.embed_tokens.weight": ("embedding",),
        "model.norm.weight": ("norm.weight",),
        "lm_head.weight": ("head.weight",),
    }
    for theirs, ours in layer.items():
        names[f"model.layers.{{}}.{theirs}.weight"] = (f"blocks.{{}}.{ours}.weight",)
    return names


_DECODER = _decoder_names(_LAYER)
_NANOCHAT = _decoder_names(
    {
        theirs.replace("up_proj", "fc1").replace("down_proj", "fc2"): ours
        for theirs, ours in _LAYER.items()
    }
)
_MODERNBERT: Names = {
    "model.embeddings.tok_embeddings.weight": ("embedding",),
    "model.embeddings.norm.weight": ("embedding_norm.weight",),
    "model.layers.{}.attn_norm.weight": ("blocks.{}.attention_norm.weight",),
    "model.layers.{}.attn.Wqkv.weight": (
        "blocks.{}.query.weight",
        "blocks.{}.key.weight",
        "blocks.{}.value.weight",
    ),
    "model.layers.{}.attn.Wo.weight": ("blocks.{}.output.weight",),
    "model.layers.{}.mlp_norm.weight": ("blocks.{}.mlp_norm.weight",),
    "model.layers.{}.mlp.Wi.weight": ("blocks.{}.gate.weight", "blocks.{}.up.weight"),
    "model.layers.{}.mlp.Wo.weight": ("blocks.{}.down.weight",),
    "model.final_norm.weight": ("norm.weight",),
    "head.dense.weight": ("dense.weight",),
    "head.norm.weight": ("dense_norm.weight",),
    "decoder.weight": ("head.weight",),
    "decoder.bias": ("head_bias",),
}

KEYS = {  # our setting -> the key of a config
    "depth": "num_hidden_layers",
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "tied": "tie_word_embeddings",
}
_DECODER_KEYS = KEYS | {
    "norm_eps": "rms_norm_eps",
    "kv_heads": "num_key_value_heads",
    "head_width": "head_dim",
}


@dataclass(frozen=True)
class Format:
    """A Hugging Face class. names: the table of weights; fixed: config keys that it needs to be so,
    for us to compute the same; keys: what its config says by itself; free: what else it can say
    (all other settings must be the preset's)."""

    preset: str
    names: Names
    fixed: Mapping[str, Any]
    keys: Mapping[str, str]
    free: frozenset[str] = frozenset()

    def differences(self, s: Any) -> dict[str, Any]:
        """What the class would have to be otherwise, to compute this: setting -> the class's
        choice."""
        own = {
            "kv_heads": s.heads,
            "head_width": s.width / s.heads,
            "window": 0,
            "rope_base_local": s.rope_base,
            "places": 0,
            "previous": 0,
        }
        said = {"rope_base", *self.keys, *self.free}
        found = {}
        for name, value in (PRESETS[self.preset] | own).items():
            if name not in said and getattr(s, name) != value:
                found[name] = value
        return found

    def rows(self, depth: int) -> list[tuple[str, tuple[str, ...]]]:
        """The table of names, written out for every layer: (Hugging Face's name, ours)."""
        found = []
        for theirs, ours in self.names.items():
            for layer in range(depth if "{}" in theirs else 1):
                found.append((theirs.format(layer), tuple(name.format(layer) for name in ours)))
        return found


_PLAIN = {"hidden_act": "silu", "attention_bias": False}
_BERT: dict[str, Any] = {
    "attention_bias": False,
    "mlp_bias": False,
    "norm_bias": False,
    "classifier_bias": False,
    "hidden_activation": "gelu",
    "classifier_activation": "gelu",
    "decoder_bias": True,
}
_WINDOWS = frozenset({"window", "pattern"})
FORMATS = {
    "NanoChatForCausalLM": Format(
        "nanochat",
        _NANOCHAT,
        _PLAIN | {"hidden_act": "relu2"},
        _DECODER_KEYS | {"logit_softcap": SOFTCAP},
    ),
    "LlamaForCausalLM": Format("llama", _DECODER, _PLAIN | {"mlp_bias": False}, _DECODER_KEYS),
    "Qwen3ForCausalLM": Format("qwen3", _DECODER, _PLAIN, _DECODER_KEYS, _WINDOWS),
    "ModernBertForMaskedLM": Format(
        "modernbert",
        _MODERNBERT,
        _BERT,
        KEYS | {"norm_eps": "norm_eps"},
        _WINDOWS | {"rope_base_local"},
    ),
}


def format_of(settings: TransformerSettings) -> tuple[str, Format]:
    """The class that computes exactly this. Raises GenwrightError, naming what stands in the way of
    the nearest."""
    differences = {name: form.differences(settings) for name, form in FORMATS.items()}
    nearest = min(FORMATS, key=lambda name: len(differences[name]))
    form = FORMATS[nearest]
    if not differences[nearest]:
        return nearest, form
    parts = []
    for name, value in differences[nearest].items():
        parts.append(f"{name}={getattr(settings, name)} (there: {value})")
    remedy = f"train with model.preset={form.preset}"
    if settings.preset == form.preset:
        names = ", ".join(f"model.{name}" for name in differences[nearest])
        remedy += f" and leave {names} out"
    raise GenwrightError(
        f"no Hugging Face class computes this model; {nearest} differs in {', '.join(parts)}",
        remedy,
    )
