"""Weights to and from Hugging Face folders: config.json and safetensors, nothing executable.

One table of names is used in both directions. What a Hugging Face class can compute is in `FORMATS`: a model is written as the class
that computes exactly what it computes, and refused where there is none. Dropout in a config is passed over: it is not part of
what a trained model computes. Facts: modeling_*.py and configuration_*.py of transformers 5.23.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from genwright.contracts import Codec
from genwright.errors import GenwrightError
from genwright.files import readable
from genwright.models.presets import PRESETS, TransformerSettings
from genwright.models.transformer import Architecture, Transformer

# Hugging Face's name -> ours; several of ours are stacked by rows. {} is the layer.
_LAYER = {
    "input_layernorm": "attention_norm.weight", "self_attn.q_proj": "query", "self_attn.k_proj": "key", "self_attn.v_proj": "value",
    "self_attn.q_norm": "query_norm.weight", "self_attn.k_norm": "key_norm.weight", "self_attn.o_proj": "output",
    "post_attention_layernorm": "mlp_norm.weight", "mlp.gate_proj": "gate", "mlp.up_proj": "up", "mlp.down_proj": "down",
}  # fmt: skip
_DECODER: Mapping[str, tuple[str, ...]] = {
    "model.embed_tokens.weight": ("embedding",), "model.norm.weight": ("norm.weight",), "lm_head.weight": ("head",),
} | {f"model.layers.{{}}.{theirs}.weight": (f"blocks.{{}}.{ours}",) for theirs, ours in _LAYER.items()}  # fmt: skip
_NANOCHAT = {theirs.replace("up_proj", "fc1").replace("down_proj", "fc2"): ours for theirs, ours in _DECODER.items()}
_MODERNBERT = {
    "model.embeddings.tok_embeddings.weight": ("embedding",), "model.embeddings.norm.weight": ("embedding_norm.weight",),
    "model.layers.{}.attn_norm.weight": ("blocks.{}.attention_norm.weight",),
    "model.layers.{}.attn.Wqkv.weight": ("blocks.{}.query", "blocks.{}.key", "blocks.{}.value"),
    "model.layers.{}.attn.Wo.weight": ("blocks.{}.output",), "model.layers.{}.mlp_norm.weight": ("blocks.{}.mlp_norm.weight",),
    "model.layers.{}.mlp.Wi.weight": ("blocks.{}.gate", "blocks.{}.up"), "model.layers.{}.mlp.Wo.weight": ("blocks.{}.down",),
    "model.final_norm.weight": ("norm.weight",), "head.dense.weight": ("dense",), "head.norm.weight": ("dense_norm.weight",),
    "decoder.weight": ("head",), "decoder.bias": ("head_bias",),
}  # fmt: skip


@dataclass(frozen=True)
class Format:
    """A Hugging Face class. names: the table; fixed: config keys that it needs to be so, for us to compute the same; eps: its key of the
    norm's epsilon; free: settings of ours that its config can say (all others must be the preset's)."""

    preset: str
    names: Mapping[str, tuple[str, ...]]
    fixed: Mapping[str, Any]
    eps: str = "rms_norm_eps"
    free: frozenset[str] = frozenset()

    def differences(self, s: Architecture) -> dict[str, Any]:
        """What the class would have to be otherwise, to compute this: setting -> the class's choice."""
        wanted: dict[str, Any] = {k: v for k, v in PRESETS[self.preset].items() if k not in self.free | {"rope_base_local"}}
        wanted |= {"window": 0, "pattern": "L"} if "window" not in self.free else {"pattern": s.pattern, "window": s.window}
        if s.window and "rope_base_local" not in self.free:
            wanted["rope_base_local"] = s.rope_base
        if "kv_heads" not in self.free:
            wanted |= {"kv_heads": s.heads, "head_width": s.width / s.heads}
        return {k: v for k, v in wanted.items() if getattr(s, k) != v}


_SIZES = frozenset({"tied", "norm_eps", "rope_base"})
_PLAIN = {"hidden_act": "silu", "attention_bias": False}
_BERT: dict[str, Any] = dict.fromkeys(("attention_bias", "mlp_bias", "norm_bias", "classifier_bias"), False) | {
    "hidden_activation": "gelu", "classifier_activation": "gelu", "decoder_bias": True,
}  # fmt: skip
FORMATS = {
    "NanoChatForCausalLM": Format("nanochat", _NANOCHAT, _PLAIN | {"hidden_act": "relu2"}, free=_SIZES | {"kv_heads", "logit_softcap"}),
    "LlamaForCausalLM": Format("llama", _DECODER, _PLAIN | {"mlp_bias": False}, free=_SIZES | {"kv_heads"}),
    "Qwen3ForCausalLM": Format("qwen3", _DECODER, _PLAIN, free=_SIZES | {"kv_heads", "window"}),
    "ModernBertForMaskedLM": Format("modernbert", _MODERNBERT, _BERT, eps="norm_eps", free=_SIZES | {"window", "rope_base_local"}),
}


def export(model: Transformer, codec: Codec | None, folder: str | Path) -> None:
    """Writes config.json, model.safetensors and, of a causal model, generation_config.json; with a codec its tokenizer files too.
    Raises GenwrightError where no Hugging Face class computes what the model computes."""
    name, form = _format_of(model.settings)
    special = dict(codec.space.special) if codec else {}
    ids = {f"{key}_token_id": special.get(name) for key, name in (("bos", "bos"), ("eos", "end"), ("pad", "pad"))}
    if form.preset == "modernbert":
        ids |= {"cls_token_id": special.get("cls"), "sep_token_id": special.get("sep")}  # else 50281 and 50282
    dtype = str(model.embedding.dtype).removeprefix("torch.")
    config = {"architectures": [name], "model_type": form.preset, "dtype": dtype, "vocab_size": model.vocabulary}
    config |= {"max_position_embeddings": model.context} | dict(form.fixed) | _config(form, model.settings) | ids
    state = {n: p.detach().cpu() for n, p in model.named_parameters()}
    names = rows(form, model.settings.depth)
    theirs = {name: torch.cat([state[o] for o in ours]) for name, ours in names if ours[0] in state}
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        if model.settings.causal:
            (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n")
        save_file(theirs, folder / "model.safetensors", metadata={"format": "pt"})
        readable(folder / "model.safetensors")
        if codec is not None:
            codec.save(folder)
    except OSError as error:
        raise GenwrightError(f"{folder} cannot be written: {error.strerror}", "choose a folder with room that you may write to") from error


def load(folder: str | Path) -> tuple[TransformerSettings, dict[str, Tensor]]:
    """Settings and weights, by our names, in the files' dtype. Raises GenwrightError for a folder, class or config that cannot be read
    exactly."""
    folder = Path(folder)
    config = _json(folder / "config.json")
    name = next(iter(config.get("architectures") or ["none"]))
    if name not in FORMATS:
        raise GenwrightError(f"{folder}/config.json names the architecture {name}", "known: " + ", ".join(FORMATS))
    form = FORMATS[name]
    settings, theirs = _settings(folder, form, config), _tensors(folder)
    ours: dict[str, Tensor] = {}
    for hf_name, own in rows(form, settings.depth):
        if hf_name in theirs:
            tensor = theirs.pop(hf_name)
            ours |= dict(zip(own, (part.clone() for part in tensor.chunk(len(own))), strict=True))
    if settings.tied:
        ours.pop("head", None)  # some files hold the embedding twice
    with torch.device("meta"):
        model = Transformer(Architecture(**settings.model_dump(exclude={"kind", "preset", "vocabulary"})), config["vocab_size"], 1)
    wanted = {n: p.shape for n, p in model.named_parameters()}
    unread = sorted(n for n in theirs if not n.endswith(".inv_freq"))
    wrong = sorted(set(wanted) ^ set(ours)) or sorted(n for n in wanted if wanted[n] != ours[n].shape) or unread
    if wrong:
        raise GenwrightError(f"the weights in {folder} do not fit its config.json at {wrong[0]}", "check that the folder is whole")
    return settings, ours


def rows(form: Format, depth: int) -> list[tuple[str, tuple[str, ...]]]:
    """The table of names, written out for every layer: (Hugging Face's name, ours)."""
    layers = lambda name: range(depth) if "{}" in name else (0,)  # noqa: E731
    return [(theirs.format(i), tuple(o.format(i) for o in ours)) for theirs, ours in form.names.items() for i in layers(theirs)]


def _format_of(settings: Architecture) -> tuple[str, Format]:
    """The class that computes exactly this. Raises GenwrightError, naming what stands in the way of the nearest."""
    name, form = min(FORMATS.items(), key=lambda item: len(item[1].differences(settings)))
    if differences := form.differences(settings):
        said = ", ".join(f"{k}={getattr(settings, k)} (there: {v})" for k, v in differences.items())
        what = f"no Hugging Face class computes this model; {name} differs in {said}"
        raise GenwrightError(what, f"train with model.preset={form.preset}")
    return name, form


def _config(form: Format, s: Architecture) -> dict[str, Any]:
    """What a config says of our settings; the inverse of `_settings`."""
    rope = {"rope_type": "default", "rope_theta": s.rope_base}
    kinds = ["sliding_attention" if s.short(i) else "full_attention" for i in range(s.depth)]
    config = {
        "hidden_size": s.width, "num_hidden_layers": s.depth, "num_attention_heads": s.heads, "intermediate_size": s.hidden,
        form.eps: s.norm_eps, "tie_word_embeddings": s.tied, "rope_parameters": rope,
    }  # fmt: skip
    if form.preset == "modernbert":
        ropes = {"full_attention": rope, "sliding_attention": rope | {"rope_theta": s.rope_base_local}}
        return config | {"rope_parameters": ropes, "layer_types": kinds, "local_attention": 2 * s.window}
    config |= {"num_key_value_heads": s.kv_heads, "head_dim": s.head_width}
    if form.preset == "nanochat":
        config["final_logit_softcapping"] = s.logit_softcap or None
    if form.preset == "qwen3":
        config |= {"use_sliding_window": s.window > 0, "sliding_window": s.window or None, "layer_types": kinds}
    return config


def _settings(folder: Path, form: Format, config: dict[str, Any]) -> TransformerSettings:
    """The settings that a config says, every one filled in."""
    for key, value in form.fixed.items():
        if config.get(key, value) != value:
            raise GenwrightError(f"{folder}/config.json has {key}={config[key]}, which is not supported", f"only {value} can be read")
    try:
        s = dict(PRESETS[form.preset]) | {"preset": form.preset, **_sizes(form, config), **_positions(form, config)}
    except KeyError as error:
        raise GenwrightError(f"{folder}/config.json has no {error.args[0]}", "check that the folder is whole") from None
    for rope in s.pop("ropes"):
        if rope.get("rope_type", rope.get("type", "default")) != "default" or rope.get("partial_rotary_factor", 1) != 1:
            raise GenwrightError(f"{folder}/config.json scales its rotary positions: {rope}", "only rope_type default can be read")
    return TransformerSettings(**s).checked()


def _sizes(form: Format, config: dict[str, Any]) -> dict[str, Any]:
    heads = config["num_attention_heads"]
    sizes = {
        "depth": config["num_hidden_layers"], "vocabulary": config["vocab_size"],
        "width": config["hidden_size"], "heads": heads, "hidden": config["intermediate_size"],
        "kv_heads": config.get("num_key_value_heads") or heads, "head_width": config.get("head_dim") or config["hidden_size"] // heads,
        "norm_eps": config.get(form.eps, PRESETS[form.preset]["norm_eps"]),
        "tied": config.get("tie_word_embeddings", PRESETS[form.preset]["tied"]),
    }  # fmt: skip
    if form.preset == "nanochat":
        sizes["logit_softcap"] = config.get("final_logit_softcapping", 15.0) or 0.0
    return sizes


def _positions(form: Format, config: dict[str, Any]) -> dict[str, Any]:
    """Rotary positions and windows. "ropes": the dictionaries they came from. Older configs (transformers < 5) said rope_theta,
    rope_scaling, global_attn_every_n_layers at the top."""
    old, new = config.get("rope_scaling") or {}, config.get("rope_parameters") or {}
    if form.preset == "modernbert":
        ropes = [old | new.get("full_attention", {}), old | new.get("sliding_attention", {})]
        base = ropes[0].get("rope_theta", config.get("global_rope_theta", 160_000.0))
        near = ropes[1].get("rope_theta", config.get("local_rope_theta", 10_000.0))
        window, every = config.get("local_attention", 128) // 2, config.get("global_attn_every_n_layers", 3)
        short = [bool(i % every) for i in range(config["num_hidden_layers"])]
    else:
        ropes = [old | new]
        base = near = ropes[0].get("rope_theta", config.get("rope_theta", 10_000.0))
        window = (config.get("sliding_window") or 0) if config.get("use_sliding_window") else 0
        short = [window > 0 and i >= config.get("max_window_layers", 28) for i in range(config["num_hidden_layers"])]
    if config.get("layer_types") is not None:
        short = [kind == "sliding_attention" for kind in config["layer_types"]]
    letters = "".join("S" if it else "L" for it in short)
    # the shortest pattern that repeats to these layers
    size = next((n for n in range(1, len(letters) + 1) if (letters[:n] * len(letters))[: len(letters)] == letters), 0)
    found = {"rope_base": base, "rope_base_local": near, "ropes": ropes}
    return found | {"window": window if "S" in letters else 0, "pattern": letters[:size]}


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise GenwrightError(f"{path} cannot be read: {error.strerror}", "give a folder that save_pretrained made") from None
    except ValueError as error:
        raise GenwrightError(f"{path} is not JSON: {error}", "check that the folder is whole") from None
    if not isinstance(found, dict):
        raise GenwrightError(f"{path} is not a JSON object", "check that the folder is whole")
    return found


def _tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of model.safetensors, or of the shards that its index names."""
    files = ["model.safetensors"]
    if not (folder / files[0]).is_file():
        index = folder / "model.safetensors.index.json"
        if not index.is_file():
            raise GenwrightError(f"{folder} has no model.safetensors", "save the model with safe_serialization=True")
        files = sorted(set(_json(index).get("weight_map", {}).values()))
    tensors: dict[str, Tensor] = {}
    for file in files:
        if Path(file).name != file:
            raise GenwrightError(f"{folder} names a shard outside itself: {file}", "get the folder from a source you trust")
        try:
            tensors |= load_file(folder / file)
        except Exception as error:  # safetensors raises its own kinds, by version
            raise GenwrightError(f"{folder / file} cannot be read: {error}", "check that the folder is whole") from None
    return tensors
