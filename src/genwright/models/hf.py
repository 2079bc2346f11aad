"""Weights to and from Hugging Face folders: config.json and safetensors, nothing executable.

One table of names is used in both directions. What a Hugging Face class can compute is in
`FORMATS`: a model is written as the class that computes exactly what it computes, and refused where
there is none. Dropout in a config is passed over: it is not part of what a trained model computes.
Facts: modeling_*.py and configuration_*.py of transformers 5.23.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from genwright.core.contracts import Codec, Space
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, readable
from genwright.models.presets import PRESETS, TransformerSettings
from genwright.models.transformer import Transformer

# Hugging Face's name -> ours; several of ours are stacked by rows. {} is the layer.
_LAYER = {
    "input_layernorm": "attention_norm.weight",
    "self_attn.q_proj": "query.weight",
    "self_attn.k_proj": "key.weight",
    "self_attn.v_proj": "value.weight",
    "self_attn.q_norm": "query_norm.weight",
    "self_attn.k_norm": "key_norm.weight",
    "self_attn.o_proj": "output.weight",
    "post_attention_layernorm": "mlp_norm.weight",
    "mlp.gate_proj": "gate.weight",
    "mlp.up_proj": "up.weight",
    "mlp.down_proj": "down.weight",
}
_DECODER: Mapping[str, tuple[str, ...]] = {
    "model.embed_tokens.weight": ("embedding",),
    "model.norm.weight": ("norm.weight",),
    "lm_head.weight": ("head.weight",),
} | {
    f"model.layers.{{}}.{theirs}.weight": (f"blocks.{{}}.{ours}",)
    for theirs, ours in _LAYER.items()
}
_NANOCHAT = {
    theirs.replace("up_proj", "fc1").replace("down_proj", "fc2"): ours
    for theirs, ours in _DECODER.items()
}
_MODERNBERT = {
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


_KEYS = {  # our setting -> the key of a config
    "depth": "num_hidden_layers",
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "tied": "tie_word_embeddings",
}
_SOFTCAP = "final_logit_softcapping"
_DECODER_KEYS = _KEYS | {
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
    names: Mapping[str, tuple[str, ...]]
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
        }
        wanted = PRESETS[self.preset] | own
        return {
            k: v
            for k, v in wanted.items()
            if k not in {"rope_base", *self.keys, *self.free} and getattr(s, k) != v
        }


_PLAIN = {"hidden_act": "silu", "attention_bias": False}
_BERT: dict[str, Any] = dict.fromkeys(
    ("attention_bias", "mlp_bias", "norm_bias", "classifier_bias"), False
) | {
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
        _DECODER_KEYS | {"logit_softcap": _SOFTCAP},
    ),
    "LlamaForCausalLM": Format("llama", _DECODER, _PLAIN | {"mlp_bias": False}, _DECODER_KEYS),
    "Qwen3ForCausalLM": Format("qwen3", _DECODER, _PLAIN, _DECODER_KEYS, _WINDOWS),
    "ModernBertForMaskedLM": Format(
        "modernbert",
        _MODERNBERT,
        _BERT,
        _KEYS | {"norm_eps": "norm_eps"},
        _WINDOWS | {"rope_base_local"},
    ),
}


def export(model: Transformer, codec: Codec | None, folder: str | Path) -> None:
    """Writes config.json, model.safetensors and, of a causal model, generation_config.json; with a
    codec its tokenizer files too. Raises GenwrightError where no Hugging Face class computes what
    the model computes."""
    name, form = _format_of(model.settings)
    special = dict(codec.space.special) if codec else {}
    ids = {
        f"{key}_token_id": special.get(name)
        for key, name in (("bos", "bos"), ("eos", "end"), ("pad", "pad"))
    }
    if form.preset == "modernbert":
        # else 50281 and 50282
        ids |= {"cls_token_id": special.get("cls"), "sep_token_id": special.get("sep")}
    dtype = str(model.embedding.dtype).removeprefix("torch.")
    config = {
        "architectures": [name],
        "model_type": form.preset,
        "dtype": dtype,
        "max_position_embeddings": model.context,
    }
    config |= dict(form.fixed) | _config(form, model) | ids
    state = {n: p.detach().cpu() for n, p in model.named_parameters()}
    theirs = {
        name: torch.cat([state[o] for o in ours])
        for name, ours in rows(form, model.settings.depth)
        if ours[0] in state
    }
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json_text(config, indent=2) + "\n")
        if model.settings.causal:
            (folder / "generation_config.json").write_text(json_text(ids, indent=2) + "\n")
        save_file(theirs, folder / "model.safetensors", metadata={"format": "pt"})
        readable(folder / "model.safetensors")
        if codec is not None:
            codec.save(folder)
    except OSError as error:
        raise GenwrightError(
            f"{folder} cannot be written: {error.strerror}",
            "choose a folder with room that you may write to",
        ) from error


def load(folder: str | Path) -> tuple[TransformerSettings, dict[str, Tensor]]:
    """Settings and weights, by our names, in the files' dtype. Raises GenwrightError for a folder,
    class or config that cannot be read exactly."""
    folder = Path(folder)
    config = _json(folder / "config.json")
    name = next(iter(config.get("architectures") or ["none"]))
    if name not in FORMATS:
        raise GenwrightError(
            f"{folder}/config.json names the architecture {name}", "known: " + ", ".join(FORMATS)
        )
    form = FORMATS[name]
    settings = _settings(folder, form, config)
    theirs = _tensors(folder)
    ours: dict[str, Tensor] = {}
    for hf_name, own in rows(form, settings.depth):
        if hf_name in theirs:
            ours |= dict(
                zip(
                    own, (part.clone() for part in theirs.pop(hf_name).chunk(len(own))), strict=True
                )
            )
    if settings.tied:
        ours.pop("head.weight", None)  # some files hold the embedding twice
    with torch.device("meta"):
        model = settings.build(Space(vocabulary=1), 1, bool(settings.causal))
    wanted = {n: p.shape for n, p in model.named_parameters()}
    unread = sorted(n for n in theirs if not n.endswith(".inv_freq"))
    wrong = (
        sorted(set(wanted) ^ set(ours))
        or sorted(n for n in wanted if wanted[n] != ours[n].shape)
        or unread
    )
    if wrong:
        raise GenwrightError(
            f"the weights in {folder} do not fit its config.json at {wrong[0]}",
            "check that the folder is whole",
        )
    return settings, ours


def rows(form: Format, depth: int) -> list[tuple[str, tuple[str, ...]]]:
    """The table of names, written out for every layer: (Hugging Face's name, ours)."""

    def layers(name):
        return range(depth) if "{}" in name else (0,)

    return [
        (theirs.format(i), tuple(o.format(i) for o in ours))
        for theirs, ours in form.names.items()
        for i in layers(theirs)
    ]


def _format_of(settings: Any) -> tuple[str, Format]:
    """The class that computes exactly this. Raises GenwrightError, naming what stands in the way of
    the nearest."""
    name, form = min(FORMATS.items(), key=lambda item: len(item[1].differences(settings)))
    if differences := form.differences(settings):
        said = ", ".join(f"{k}={getattr(settings, k)} (there: {v})" for k, v in differences.items())
        what = f"no Hugging Face class computes this model; {name} differs in {said}"
        remedy = f"train with model.preset={form.preset}"
        if settings.preset == form.preset:
            remedy += f" and leave {', '.join(f'model.{name}' for name in differences)} out"
        raise GenwrightError(what, remedy)
    return name, form


def _config(form: Format, model: Transformer) -> dict[str, Any]:
    """What a config says of our settings; the inverse of `_settings`."""
    s = model.settings
    rope = {"rope_type": "default", "rope_theta": model.settings.rope_base}
    kinds = ["sliding_attention" if short else "full_attention" for short in model.short]
    config = {theirs: getattr(s, ours) for ours, theirs in form.keys.items()} | {
        "rope_parameters": rope
    }
    if form.preset == "modernbert":
        ropes = {
            "full_attention": rope,
            "sliding_attention": rope | {"rope_theta": s.rope_base_local},
        }
        config |= {"rope_parameters": ropes, "layer_types": kinds, "local_attention": 2 * s.window}
    if form.preset == "nanochat":
        config[_SOFTCAP] = s.logit_softcap or None
    if form.preset == "qwen3":
        config |= {
            "use_sliding_window": s.window > 0,
            "sliding_window": s.window or None,
            "layer_types": kinds,
        }
    return config


def _settings(folder: Path, form: Format, config: dict[str, Any]) -> TransformerSettings:
    """The settings that a config says, every one filled in."""
    for key, value in form.fixed.items():
        if config.get(key, value) != value:
            raise GenwrightError(
                f"{folder}/config.json has {key}={config[key]}, which is not supported",
                f"only {value} can be read",
            )
    for ours, theirs in _KEYS.items():
        if theirs not in config and ours not in PRESETS[form.preset]:
            raise GenwrightError(
                f"{folder}/config.json has no {theirs}", "check that the folder is whole"
            )
    found = {
        ours: config[theirs] for ours, theirs in form.keys.items() if config.get(theirs) is not None
    }
    if form.preset == "nanochat" and _SOFTCAP in config:
        found["logit_softcap"] = config[_SOFTCAP] or 0.0
    ropes, positions = _positions(form, config)
    for rope in ropes:
        if (
            rope.get("rope_type", rope.get("type", "default")) != "default"
            or rope.get("partial_rotary_factor", 1) != 1
        ):
            raise GenwrightError(
                f"{folder}/config.json scales its rotary positions: {rope}",
                "only rope_type default can be read",
            )
    settings = TransformerSettings(**{"preset": form.preset, **found, **positions})
    return settings.resolve(Space(vocabulary=1), 1, PRESETS[form.preset]["causal"])


def _positions(form: Format, config: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What a config says of rotary positions, and our settings of them and of windows. Older
    configs (transformers < 5) said rope_theta, rope_scaling, global_attn_every_n_layers at the
    top."""
    old = config.get("rope_scaling") or {}
    new = config.get("rope_parameters") or {}
    layers = range(config["num_hidden_layers"])
    if form.preset == "modernbert":
        ropes = [old | new.get("full_attention", {}), old | new.get("sliding_attention", {})]
        base = ropes[0].get("rope_theta", config.get("global_rope_theta", 160_000.0))
        near = ropes[1].get("rope_theta", config.get("local_rope_theta", 10_000.0))
        window = config.get("local_attention", 128) // 2
        every = config.get("global_attn_every_n_layers", 3)
        short = [bool(i % every) for i in layers]
    else:
        ropes = [old | new]
        base = near = ropes[0].get("rope_theta", config.get("rope_theta", 10_000.0))
        window = (config.get("sliding_window") or 0) if config.get("use_sliding_window") else 0
        short = [window > 0 and i >= config.get("max_window_layers", 28) for i in layers]
    if config.get("layer_types") is not None:
        short = [kind == "sliding_attention" for kind in config["layer_types"]]
    letters = "".join("S" if it else "L" for it in short)
    # the shortest pattern that repeats to these layers
    size = next(
        (
            n
            for n in range(1, len(letters) + 1)
            if (letters[:n] * len(letters))[: len(letters)] == letters
        ),
        0,
    )
    window = window if "S" in letters else 0
    return ropes, {
        "rope_base": base,
        "rope_base_local": near,
        "window": window,
        "pattern": letters[:size],
    }


def _json(path: Path) -> dict[str, Any]:
    try:
        return {**json.loads(path.read_text())}  # fails for a list
    except OSError as error:
        raise GenwrightError(
            f"{path} cannot be read: {error.strerror}", "give a folder that save_pretrained made"
        ) from None
    except (ValueError, TypeError):
        raise GenwrightError(f"{path} is not a JSON object", "get the file again") from None


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of model.safetensors, or of the shards that its index names."""
    files = ["model.safetensors"]
    if not (folder / files[0]).is_file():
        index = folder / "model.safetensors.index.json"
        if not index.is_file():
            raise GenwrightError(
                f"{folder} has no model.safetensors", "save the model with safe_serialization=True"
            )
        files = sorted(set(_json(index).get("weight_map", {}).values()))
    tensors: dict[str, Tensor] = {}
    for file in files:
        if Path(file).name != file:
            raise GenwrightError(
                f"{folder} names a shard outside itself: {file}",
                "get the folder from a source you trust",
            )
        try:
            tensors |= load_file(folder / file)
        except Exception as error:  # safetensors raises its own kinds, by version
            raise GenwrightError(
                f"{folder / file} cannot be read: {error}", "check that the folder is whole"
            ) from None
    return tensors
