"""TRL's side of `policy_losses.py` and `policy_speed.py`: run by them, with the Python of an
environment that holds TRL 1.16. It imports nothing of ours.

    PYTHON peers/trl_side.py losses INPUTS.npz CASES.json RESULTS.npz
    PYTHON peers/trl_side.py steps EXPORT SETTINGS.json

losses: the real GRPOTrainer makes advantages and a loss from given rewards and log-probabilities.
steps: the real GRPOTrainer trains an exported model; before each step it waits for a line on its
standard input, and it answers each with a line of JSON: seconds and processor seconds.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import transformers
import trl
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    TrainerCallback,
)
from transformers.utils import logging
from trl import GRPOConfig, GRPOTrainer

logging.set_verbosity_error()
logging.disable_progress_bar()


def tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """One character a token: token i is the character 0x100 + i. Token 0 pads. The end token is one
    that the model does not have, so that all samples are as long as they may be."""
    tokens = {chr(0x100 + number): number for number in range(vocabulary + 1)}
    plain = Tokenizer(models.WordLevel(tokens, unk_token=chr(0x101)))
    plain.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    plain.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token=chr(0x100 + vocabulary), pad_token=chr(0x100)
    )


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


# ---- steps


class Clock:
    """Seconds and processor seconds, since it was made or last asked."""

    def __init__(self) -> None:
        self()

    def __call__(self) -> list[float]:
        now = [time.perf_counter(), time.process_time()]
        passed = [b - a for a, b in zip(getattr(self, "before", now), now, strict=True)]
        self.before = now
        return passed


class Turns(TrainerCallback):
    """Waits for a line before each step; tells what the step took behind it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.drawing = [0.0, 0.0]
        self.reward = 0.0

    def on_step_begin(self, args, state, control, **rest):
        if not sys.stdin.readline():
            control.should_training_stop = True
        self.clock()

    def on_step_end(self, args, state, control, **rest):
        step = self.clock()
        print(json.dumps({"step": step, "generation": self.drawing, "reward": self.reward}))
        sys.stdout.flush()


def micro_batches(samples: int, size: int | None) -> dict[str, int]:
    """Settings for gradients of `size` samples at once, of one rollout of `samples`."""
    if size is None:
        return {}
    parts = samples // size
    return {
        "per_device_train_batch_size": size,
        "gradient_accumulation_steps": parts,
        "steps_per_generation": parts,
    }


def steps(export: str, settings_path: str) -> None:
    settings = json.loads(Path(settings_path).read_text())
    torch.set_num_threads(settings["threads"])
    vocabulary = settings["vocabulary"]
    turns = Turns()
    wanted = set(settings["wanted"])

    def reward(completions, **rest):
        """The share of wanted characters."""
        shares = []
        for text in completions:
            shares.append(sum(letter in wanted for letter in text) / max(1, len(text)))
        turns.reward = sum(shares) / len(shares)
        return shares

    with tempfile.TemporaryDirectory() as folder:
        arguments = config(
            folder,
            settings["samples"],
            settings["candidates"],
            settings["tokens"],
            beta=settings["kl"],
            max_steps=settings["steps"],
            learning_rate=settings["rate"],
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            weight_decay=0.0,
            loss_type="dapo",
            num_iterations=settings["updates"],
            **micro_batches(settings["samples"], settings["micro"]),
            model_init_kwargs={"dtype": "float32"},
        )
        trainer = GRPOTrainer(
            export,
            reward_funcs=reward,
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": settings["prompts"]}),
            processing_class=tokenizer(vocabulary),
            callbacks=[turns],
        )
        draw = trainer._generate_single_turn

        def drawn(*given, **named):
            clock = Clock()
            found = draw(*given, **named)
            turns.drawing = clock()
            assert all(len(row) == settings["tokens"] for row in found[0])
            return found

        trainer._generate_single_turn = drawn
        parameters = sum(p.numel() for p in trainer.model.parameters())
        about = {"trl": trl.__version__, "torch": torch.__version__, "parameters": parameters}
        about["transformers"] = transformers.__version__
        about["attention"] = trainer.model.config._attn_implementation
        about["reference"] = trainer.ref_model is not None
        print(json.dumps(about))
        sys.stdout.flush()
        trainer.train()


if __name__ == "__main__":
    job = {"losses": losses, "steps": steps}[sys.argv[1]]
    job(*sys.argv[2:])
