"""Folders: what transformers wrote is read; what is written, transformers reads, bit for bit; what
cannot be is refused in a sentence."""

import json

import pytest
import torch
import transformers
from hf_pairs import COMMON, both, reference
from safetensors.torch import load_file, save_file

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models import hf
from genwright.models.presets import PRESETS, TransformerSettings


class Codec:
    space = Space(vocabulary=37, special={"end": 34, "mask": 35, "pad": 36})

    def save(self, folder):
        (folder / "tokenizer.json").write_text("{}")


def auto(folder, causal):
    """(model, what from_pretrained missed or did not expect), without remote code."""
    kind = transformers.AutoModelForCausalLM if causal else transformers.AutoModelForMaskedLM
    model, info = kind.from_pretrained(folder, output_loading_info=True, trust_remote_code=False)
    return model.eval(), {k: v for k, v in info.items() if v}


def build(preset, **settings):
    values = {"depth": 3, "width": 32, "heads": 4} | settings
    model = TransformerSettings(preset=preset, **values).build(
        Codec.space, 24, PRESETS[preset]["causal"]
    )
    with torch.no_grad():
        for p in model.parameters():
            p.uniform_(-0.3, 0.3)
    return model


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        ("nanochat", {}),
        ("nanochat", {"kv_heads": 2, "head_width": 6, "logit_softcap": 0, "tied": True}),
        ("llama", {"hidden": 20, "norm_eps": 1e-5}),
        (
            "qwen3",
            {"depth": 4, "window": 6, "rope_base": 500.0, "rope_base_local": 500.0, "tied": True},
        ),
        ("modernbert", {"window": 3}),
        ("modernbert", {"window": 0, "tied": False}),
    ],
)
def test_export_loads_and_comes_back_bit_for_bit(preset, settings, tmp_path):
    model = build(preset, **settings)
    hf.export(model, Codec(), tmp_path)
    theirs, missed = auto(tmp_path, model.settings.causal)
    assert missed == {} and (tmp_path / "tokenizer.json").is_file()
    x = torch.randint(0, 37, (2, 24))
    torch.testing.assert_close(theirs(x).logits, model(x), atol=1e-5, rtol=1e-5)
    assert (
        theirs.config.eos_token_id == 34
        and theirs.config.pad_token_id == 36
        and theirs.config.max_position_embeddings == 24
    )
    settings, tensors = hf.load(tmp_path)
    again = settings.build(Codec.space, 24, settings.causal)
    assert again.settings == model.settings
    assert set(tensors) == set(model.state_dict())
    assert all(torch.equal(t, model.state_dict()[n]) for n, t in tensors.items())


def test_their_folder_survives_two_ways(pair, tmp_path):
    theirs, ours = pair
    hf.export(ours, None, tmp_path / "out")
    written, expected = load_file(tmp_path / "out" / "model.safetensors"), theirs.state_dict()
    for name, tensor in written.items():
        assert torch.equal(tensor, expected[name]), name
    again, missed = auto(tmp_path / "out", ours.settings.causal)
    assert missed == {} and all(torch.equal(t, expected[n]) for n, t in again.state_dict().items())


def test_exported_model_stops_where_the_codec_ends(tmp_path):
    model = build("llama")
    hf.export(model, Codec(), tmp_path)
    theirs, _ = auto(tmp_path, True)
    assert theirs.generation_config.eos_token_id == 34
    bare = tmp_path / "bare"
    hf.export(model, None, bare)
    assert json.loads((bare / "config.json").read_text())["eos_token_id"] is None


def test_shards_and_bfloat16(tmp_path):
    theirs = reference("llama").to(torch.bfloat16)
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    _, tensors = hf.load(tmp_path)
    assert tensors["embedding"].dtype == torch.bfloat16
    assert torch.equal(tensors["blocks.3.up.weight"], theirs.model.layers[3].mlp.up_proj.weight)
    model = build("llama").to(torch.bfloat16)
    hf.export(model, None, tmp_path / "out")
    assert auto(tmp_path / "out", True)[0].dtype == torch.bfloat16


def test_configs_of_older_versions(tmp_path):
    """transformers < 5 said rope_theta and global_attn_every_n_layers at the top."""
    _, ours = both("modernbert", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for key in ("rope_parameters", "layer_types"):
        del config[key]
    config |= {
        "global_attn_every_n_layers": 2,
        "global_rope_theta": 777.0,
        "local_rope_theta": 55.0,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    settings, _ = hf.load(tmp_path)
    assert (settings.pattern, settings.rope_base, settings.rope_base_local) == ("LS", 777.0, 55.0)
    for case, folder in (("llama", tmp_path / "llama"),):
        both(case, folder)
        config = json.loads((folder / "config.json").read_text())
        del config["rope_parameters"], config["head_dim"]
        (folder / "config.json").write_text(json.dumps(config | {"rope_theta": 123.0}))
        settings, _ = hf.load(folder)
        assert (settings.rope_base, settings.head_width, settings.kv_heads) == (123.0, 8, 1)


@pytest.mark.parametrize(
    ("preset", "settings", "said"),
    [
        ("speedrun", {}, "NanoChatForCausalLM differs in value_embeddings=True"),
        ("nanochat", {"activation": "swiglu"}, "NanoChatForCausalLM differs in activation=swiglu"),
        ("nanochat", {"window": 4}, "window=4"),
        ("nanochat", {"previous": 2}, "previous=2"),
        ("llama", {"norm": "plain"}, "norm=plain"),
        ("qwen3", {"window": 4, "rope_base_local": 10.0}, "rope_base_local=10.0"),
        ("modernbert", {"kv_heads": 2}, "kv_heads=2"),
    ],
)
def test_what_no_class_computes_is_refused(preset, settings, said, tmp_path):
    with pytest.raises(GenwrightError, match=said):
        hf.export(build(preset, **settings), None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GenwrightError, match="cannot be written"):
        hf.export(build("llama"), None, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"architectures": ["GPT2LMHeadModel"]},
            "GPT2LMHeadModel; known: NanoChatForCausalLM, LlamaForCausalLM",
        ),
        ({"architectures": None}, "names the architecture none"),
        ({"attention_bias": True}, "attention_bias=True"),
        ({"hidden_act": "gelu"}, "hidden_act=gelu"),
        (
            {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0}},
            "scales its rotary positions",
        ),
        ({"intermediate_size": 40}, "do not fit its config.json at blocks.0.down"),
        ({"num_hidden_layers": 3}, "do not fit its config.json at model.layers.3"),
        ({"num_hidden_layers": 5}, "do not fit its config.json at blocks.4"),
    ],
)
def test_configs_that_are_refused(changes, said, tmp_path):
    reference("llama").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text()) | changes
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(GenwrightError, match=said):
        hf.load(tmp_path)


def test_files_that_are_refused(tmp_path):
    with pytest.raises(GenwrightError, match="config.json cannot be read"):
        hf.load(tmp_path)
    reference("llama").save_pretrained(tmp_path)
    config, weights = tmp_path / "config.json", tmp_path / "model.safetensors"
    text = config.read_text()
    for bad, said in (
        ("{", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        (text.replace('"hidden_size"', '"size"'), "has no hidden_size"),
    ):
        config.write_text(bad)
        with pytest.raises(GenwrightError, match=said):
            hf.load(tmp_path)
    config.write_text(text)
    tensors = {n: t.clone() for n, t in load_file(weights).items()}  # the file is memory-mapped
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(GenwrightError, match="model.safetensors cannot be read"):
        hf.load(tmp_path)
    save_file({n: t for n, t in tensors.items() if "layers.2.mlp.up" not in n}, weights)
    with pytest.raises(GenwrightError, match="at blocks.2.up"):
        hf.load(tmp_path)
    weights.unlink()
    with pytest.raises(GenwrightError, match="has no model.safetensors"):
        hf.load(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"lm_head.weight": "../model.safetensors"}})
    )
    with pytest.raises(GenwrightError, match="outside itself"):
        hf.load(tmp_path)


def test_common_sizes_are_what_the_cases_say():
    assert COMMON["vocab_size"] == Codec.space.vocabulary
