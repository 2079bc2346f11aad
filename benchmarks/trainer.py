"""Steady training speed against transformers' Trainer: the same shape, precision, batch and
optimizer (AdamW), in one run.

    python benchmarks/trainer.py --data FILE [--steps 300] [--repeats 3] [--out FILE]

4 layers, width 128, 4 heads, batches of 12 x 64 characters. Rivals: GPT2LMHeadModel and
NanoChatForCausalLM under Trainer, logging and saving off. Ours: the `nanochat` preset by the
recipe's own path (a Session in a folder, records on). Runs alternate; tokens/s are taken from the
median time between steps after the first third; the best of the repeats on each side is compared.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch

from common import finish

CONTEXT, BATCH = 64, 12


def ours(data: Path, steps: int, precision: str, compiled: bool) -> float:
    from genwright.recipe.schema import Recipe
    from genwright.runs import assemble
    from genwright.training import loop
    from genwright.training.engine import Engine
    from genwright.training.session import Session

    with tempfile.TemporaryDirectory() as work:
        recipe = Recipe.load(
            "shakespeare",
            {
                "data.path": str(data),
                "data.context": CONTEXT,
                "model.preset": "nanochat",
                "model.depth": 4,
                "model.width": 128,
                "model.heads": 4,
                "training.steps": steps,
                "training.batch_size": BATCH,
                "training.optimizer.kind": "adamw",
                "training.optimizer.learning_rate": 1e-3,
                "training.clip": 1.0,
                "training.evaluate_every": 0,
                "training.checkpoint_every": 0,
                "training.compile": compiled,
            },
        )
        dataset = recipe.data.prepare(recipe.codec)
        recipe = assemble.resolve(recipe, assemble.space_of(recipe, dataset.codec))
        objective = assemble.objective(recipe, assemble.space_of(recipe, dataset.codec))
        engine = Engine("cpu")
        if compiled:
            assemble.compiled(objective, engine.device)
        times: list[float] = []

        class Clock(loop.Hook):
            def after_step(self, state, record):
                times.append(time.perf_counter())

        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        stream = dataset.stream(BATCH, 0, lookahead=1)
        Session(
            Path(work), objective, stream, recipe.training, engine, 0, dtype, None, [Clock()]
        ).train()
    return speed(times[:-1])


def theirs(name: str, data: Path, steps: int, precision: str) -> float:
    import transformers
    from transformers import Trainer, TrainerCallback, TrainingArguments

    text = data.read_text()
    characters = sorted(set(text))
    ids = torch.tensor([characters.index(c) for c in text[:300_000]])
    rows = [
        {"input_ids": r, "labels": r}
        for r in ids[: len(ids) // CONTEXT * CONTEXT].view(-1, CONTEXT)
    ]
    if name == "GPT2LMHeadModel":
        config = transformers.GPT2Config(
            vocab_size=len(characters),
            n_positions=CONTEXT,
            n_embd=128,
            n_layer=4,
            n_head=4,
            resid_pdrop=0,
            embd_pdrop=0,
            attn_pdrop=0,
        )
    else:
        config = transformers.NanoChatConfig(
            vocab_size=len(characters),
            hidden_size=128,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=CONTEXT,
        )
    model = getattr(transformers, name)(config)
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *args, **kwargs):
            times.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as work:
        arguments = TrainingArguments(
            work,
            per_device_train_batch_size=BATCH,
            max_steps=steps,
            learning_rate=1e-3,
            bf16=precision == "bf16",
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            max_grad_norm=1.0,
            dataloader_num_workers=0,
        )
        Trainer(model, arguments, train_dataset=rows, callbacks=[Clock()]).train()
    return speed(times)


def speed(times: list[float]) -> float:
    spans = [b - a for a, b in zip(times, times[1:], strict=False)][len(times) // 3 :]
    return BATCH * CONTEXT / statistics.median(spans)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--precision", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"]
    )
    parser.add_argument(
        "--eager", action="store_true", help="without the compiled loop, where there is no compiler"
    )
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    sides = {
        "genwright": lambda p: ours(a.data, a.steps, p, False),
        "genwright, compiled": lambda p: ours(a.data, a.steps, p, True),
        "Trainer GPT2LMHeadModel": lambda p: theirs("GPT2LMHeadModel", a.data, a.steps, p),
        "Trainer NanoChatForCausalLM": lambda p: theirs("NanoChatForCausalLM", a.data, a.steps, p),
    }
    mine = [name for name in sides if name.startswith("genwright")]
    if a.eager:
        mine.remove("genwright, compiled")
        del sides["genwright, compiled"]
    figures: dict = {}
    for precision in a.precision:
        found: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(a.repeats):
            for name, call in sides.items():
                found[name].append(call(precision))
                print(precision, name, f"{found[name][-1]:,.0f} tokens/s", file=sys.stderr)
        best = {name: round(max(values)) for name, values in found.items()}
        rivals = [n for n in best if n.startswith("Trainer")]
        figures[precision] = {"tokens/s": best} | {
            f"{name} / {r}": round(best[name] / best[r], 2) for name in mine for r in rivals
        }
    sys.exit(finish("trainer", figures, a.out))


if __name__ == "__main__":
    main()
