"""Tiny transformers' models with random weights, and ours with the same."""

import torch
import transformers

from genwright.core.contracts import Space
from genwright.models import hf

VOCABULARY = 37
COMMON = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": None,
}
CASES = {
    "nanochat": ("NanoChat", {"num_key_value_heads": 2}),
    "nanochat-uncapped": (
        "NanoChat",
        {"final_logit_softcapping": None, "tie_word_embeddings": True},
    ),
    "llama": ("Llama", {"num_key_value_heads": 1}),
    "llama-tied": ("Llama", {"tie_word_embeddings": True, "head_dim": 16, "rms_norm_eps": 1e-5}),
    "qwen3": (
        "Qwen3",
        {
            "num_key_value_heads": 2,
            "head_dim": 12,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5e5},
        },
    ),
    "qwen3-window": (
        "Qwen3",
        {
            "num_key_value_heads": 2,
            "head_dim": 8,
            "use_sliding_window": True,
            "sliding_window": 5,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        },
    ),
    "modernbert": (
        "ModernBert",
        {"local_attention": 8, "cls_token_id": None, "sep_token_id": None},
    ),
    "modernbert-untied": (
        "ModernBert",
        {
            "local_attention": 6,
            "tie_word_embeddings": False,
            "cls_token_id": None,
            "sep_token_id": None,
        },
    ),
}
CAUSAL = [name for name in CASES if "bert" not in name]


def reference(case, **changes):
    """A transformers' model of the case, eager attention, every weight random (gains around 1)."""
    family, values = CASES[case]
    config = getattr(transformers, family + "Config")(**COMMON | values | changes)
    config._attn_implementation = "eager"
    model = getattr(
        transformers, family + ("ForMaskedLM" if family == "ModernBert" else "ForCausalLM")
    )(config).eval()
    generator = torch.Generator().manual_seed(sorted(CASES).index(case))
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.normal_(0, 0.15, generator=generator)
            if "norm" in name:
                p.add_(1)
    return model


def both(case, folder):
    theirs = reference(case)
    theirs.save_pretrained(folder)
    settings, tensors = hf.load(folder)
    ours = settings.build(Space(vocabulary=VOCABULARY), 64, settings.causal)
    ours.load_state_dict(tensors)
    return theirs, ours
