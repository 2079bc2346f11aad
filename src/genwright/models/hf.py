"""Weights to and from Hugging Face folders: config.json and safetensors, nothing executable.

A model is written as the class that computes exactly what it computes (`hf_format.py`), and refused
where there is none. Dropout in a config is passed over: it is not part of what a trained model
computes.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from genwright.core.contracts import Codec, Space
from genwright.core.errors import GenwrightError, in_words
from genwright.core.files import json_text, make_readable
from genwright.models.hf_format import FORMATS, KEYS, SOFTCAP, Format, format_of
from genwright.models.presets import PRESETS, TransformerSettings
from genwright.models.transformer import Transformer


def export(model: Transformer, codec: Codec | None, folder: str | Path) -> None:
    """Writes config.json, model.safetensors and, of a causal model, generation_config.json; with a
    codec its tokenizer files too. Raises GenwrightError where no Hugging Face class computes what
    the model computes."""
    name, form = format_of(model.settings)
    ids = _special_ids(form, codec)
    config = {
        "architectures": [name],
        "model_type": form.preset,
        "dtype": str(model.embedding.dtype).removeprefix("torch."),
        "max_position_embeddings": model.context,
    }
    config |= dict(form.fixed) | _config(form, model) | ids
    tensors = _their_tensors(form, model)
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json_text(config, indent=2) + "\n")
        if model.settings.causal:
            (folder / "generation_config.json").write_text(json_text(ids, indent=2) + "\n")
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        make_readable(folder / "model.safetensors")
        if codec is not None:
            codec.save(folder)
    except OSError as error:
        raise GenwrightError(
            f"{folder} cannot be written: {error.strerror}",
            "choose a folder with room that you may write to",
        ) from error


def _special_ids(form: Format, codec: Codec | None) -> dict[str, Any]:
    """What a config says of special tokens; None for those that the codec does not have."""
    special = dict(codec.space.special) if codec else {}
    ids = {
        "bos_token_id": special.get("bos"),
        "eos_token_id": special.get("end"),
        "pad_token_id": special.get("pad"),
    }
    if form.preset == "modernbert":
        # else 50281 and 50282
        ids["cls_token_id"] = special.get("cls")
        ids["sep_token_id"] = special.get("sep")
    return ids


def _their_tensors(form: Format, model: Transformer) -> dict[str, Tensor]:
    """The weights of a model by the class's names."""
    ours = {name: parameter.detach().cpu() for name, parameter in model.named_parameters()}
    theirs = {}
    for name, parts in form.rows(model.settings.depth):
        if parts[0] in ours:
            theirs[name] = torch.cat([ours[part] for part in parts])
    return theirs


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
    for their_name, parts in form.rows(settings.depth):
        if their_name in theirs:
            whole = theirs.pop(their_name)
            for part, tensor in zip(parts, whole.chunk(len(parts)), strict=True):
                ours[part] = tensor.clone()
    if settings.tied:
        ours.pop("head.weight", None)  # some files hold the embedding twice
    wrong = _wrong_names(settings, ours)
    wrong += sorted(name for name in theirs if not name.endswith(".inv_freq"))
    if wrong:
        raise GenwrightError(
            f"the weights in {folder} do not fit its config.json at {wrong[0]}",
            "check that the folder is whole",
        )
    return settings, ours


def _wrong_names(settings: TransformerSettings, tensors: dict[str, Tensor]) -> list[str]:
    """Names of weights that are missing, too many or, where there are none of these, of another
    shape than the settings ask for."""
    with torch.device("meta"):
        model = settings.build(Space(vocabulary=1), 1, bool(settings.causal))
    wanted = {name: parameter.shape for name, parameter in model.named_parameters()}
    unequal = sorted(wanted.keys() ^ tensors.keys())
    if unequal:
        return unequal
    return sorted(name for name in wanted if wanted[name] != tensors[name].shape)


def _config(form: Format, model: Transformer) -> dict[str, Any]:
    """What a config says of our settings; the inverse of `_settings`."""
    s = model.settings
    rope = {"rope_type": "default", "rope_theta": s.rope_base}
    kinds = ["sliding_attention" if short else "full_attention" for short in model.short]
    config: dict[str, Any] = {theirs: getattr(s, ours) for ours, theirs in form.keys.items()}
    config["rope_parameters"] = rope
    if form.preset == "modernbert":
        config["rope_parameters"] = {
            "full_attention": rope,
            "sliding_attention": rope | {"rope_theta": s.rope_base_local},
        }
        config["layer_types"] = kinds
        config["local_attention"] = 2 * s.window
    if form.preset == "nanochat":
        config[SOFTCAP] = s.logit_softcap or None
    if form.preset == "qwen3":
        config["use_sliding_window"] = s.window > 0
        config["sliding_window"] = s.window or None
        config["layer_types"] = kinds
    return config


def _settings(folder: Path, form: Format, config: dict[str, Any]) -> TransformerSettings:
    """The settings that a config says, every one filled in."""
    for key, value in form.fixed.items():
        if config.get(key, value) != value:
            raise GenwrightError(
                f"{folder}/config.json has {key}={config[key]}, which is not supported",
                f"only {value} can be read",
            )
    for ours, theirs in KEYS.items():
        if theirs not in config and ours not in PRESETS[form.preset]:
            raise GenwrightError(
                f"{folder}/config.json has no {theirs}", "check that the folder is whole"
            )
    found = {}
    for ours, theirs in form.keys.items():
        if config.get(theirs) is not None:
            found[ours] = config[theirs]
    if form.preset == "nanochat" and SOFTCAP in config:
        found["logit_softcap"] = config[SOFTCAP] or 0.0
    ropes, positions = _positions(form, config)
    for rope in ropes:
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default" or rope.get("partial_rotary_factor", 1) != 1:
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
        base_local = ropes[1].get("rope_theta", config.get("local_rope_theta", 10_000.0))
        window = config.get("local_attention", 128) // 2
        every = config.get("global_attn_every_n_layers", 3)
        short = [i % every != 0 for i in layers]
    else:
        ropes = [old | new]
        base = ropes[0].get("rope_theta", config.get("rope_theta", 10_000.0))
        base_local = base
        window = 0
        if config.get("use_sliding_window"):
            window = config.get("sliding_window") or 0
        from_layer = config.get("max_window_layers", 28)
        short = [window > 0 and i >= from_layer for i in layers]
    if config.get("layer_types") is not None:
        short = [kind == "sliding_attention" for kind in config["layer_types"]]
    pattern = "".join("S" if windowed else "L" for windowed in short)
    return ropes, {
        "rope_base": base,
        "rope_base_local": base_local,
        "window": window if "S" in pattern else 0,
        "pattern": _shortest_period(pattern),
    }


def _shortest_period(letters: str) -> str:
    """The shortest pattern that repeats to these letters."""
    for size in range(1, len(letters)):
        repeated = letters[:size] * len(letters)
        if repeated[: len(letters)] == letters:
            return letters[:size]
    return letters


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
                f"{folder / file} cannot be read: {in_words(error)}",
                "check that the folder is whole",
            ) from None
    return tensors
