"""TRL's side of `policy_losses.py` and `policy_speed.py`: run by them, with the Python of an
environment that holds TRL 1.16. It imports nothing of ours.

    PYTHON peers/trl_side.py losses INPUTS.npz CASES.json RESULTS.npz

losses: the real GRPOTrainer makes advantages and a loss from given rewards and log-probabilities.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging
from trl import GRPOConfig, GRPOTrainer

logging.set_verbosity_error()
logging.disable_progress_bar()


def tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """One character a token: token i is the character 0x100 + i; token 0 ends and pads."""
    tokens = {chr(0x100 + number): number for number in range(vocabulary)}
    plain = Tokenizer(models.WordLevel(tokens, unk_token=chr(0x101)))
    plain.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    end = chr(0x100)
    return PreTrainedTokenizerFast(tokenizer_object=plain, eos_token=end, pad_token=end)


def config(folder: str, samples: int, candidates: int, longest: int, **changes) -> GRPOConfig:
    """Settings that both jobs share: one update of all samples, on one CPU, nothing written."""
    given = {
        "per_device_train_batch_size": samples,
        "num_generations": candidates,
        "max_completion_length": longest,
        "use_cpu": True,
        "bf16": False,
        "fp16": False,
        "gradient_checkpointing": False,
        "report_to": [],
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "disable_dropout": True,
        "shuffle_dataset": False,
        "dataloader_num_workers": 0,
    }
    return GRPOConfig(folder, **(given | changes))


# ---- losses


def loss_of(case: dict, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Advantages, loss and its gradient by the log-probabilities, of TRL's trainer."""
    mask = torch.from_numpy(inputs["mask"])  # (n, t)
    rewards = torch.from_numpy(inputs["rewards"])  # (n,)
    n, longest = mask.shape
    logprobs = torch.from_numpy(inputs["logprobs"]).requires_grad_()
    shape = LlamaConfig(
        vocab_size=8,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            LlamaForCausalLM(shape),
            reward_funcs=lambda completions, **rest: [0.0] * len(completions),
            args=config(folder, n, case["candidates"], longest, beta=0.0, **case["trl"]),
            train_dataset=Dataset.from_dict({"prompt": [chr(0x102)] * n}),
            processing_class=tokenizer(8),
        )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    drawn = [[2] * int(length) for length in mask.sum(1)]
    texts = ["x"] * n

    # what is drawn and rewarded is given; all that is made of it is TRL's
    def generated(prompts):
        return [[1]] * n, drawn, None, texts, None, {}, None, []

    def rewarded(*_):
        return rewards[:, None]

    def scored(*_, **__):
        return logprobs, torch.zeros_like(logprobs), None

    trainer._generate = generated
    trainer._calculate_rewards = rewarded
    made = trainer._generate_and_score_completions([{"prompt": "x"}] * n)
    assert made["completion_mask"].bool().equal(mask)
    made["old_per_token_logps"] = torch.from_numpy(inputs["old"])
    trainer._get_per_token_logps_and_entropies = scored
    loss = trainer._compute_loss(trainer.model, made)
    (gradient,) = torch.autograd.grad(loss, logprobs)
    return {
        "advantages": made["advantages"].double().numpy(),
        "loss": loss.detach().double().numpy(),
        "gradient": gradient.numpy(),
    }


def losses(inputs_path: str, cases_path: str, results_path: str) -> None:
    inputs = dict(np.load(inputs_path))
    results = {}
    for name, case in json.loads(Path(cases_path).read_text()).items():
        for seed in range(case["seeds"]):
            own = {key: inputs[f"{seed}/{key}"] for key in ("logprobs", "old", "mask", "rewards")}
            for key, value in loss_of(case, own).items():
                results[f"{name}/{seed}/{key}"] = value
    np.savez(results_path, **results)
    print(json.dumps({"trl": trl.__version__, "torch": torch.__version__}))


if __name__ == "__main__":
    job = {"losses": losses}[sys.argv[1]]
    job(*sys.argv[2:])
