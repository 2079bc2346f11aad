r"""Tinyshakespeare by characters, against nanoGPT's small CPU setting, in turns in one run on one
machine.

    python benchmarks/shakespeare.py --data FILE [--seeds 10] [--rounds 3] [--bar 1.8857] \
        [--nanogpt FOLDER] [--out FILE]
    python benchmarks/shakespeare.py --data FILE --tune 130 150 170 [--seeds 10] [--out FILE]

1. `plain`: GPT-2's shape (4 layers, 4 heads, width 128, learned positions, layer norm, GELU, tied
   output), context 64, batch 12, AdamW 1e-3 with a cosine after 100 steps of warm-up, clipping,
   2,000 steps, fp32, eager, in a plain loop: seconds from the start of the process to the last step
   (its evaluation is not counted).
2. `nanoGPT`, where a checkout is given: its own train.py in the setting of its README (seconds of
   the whole process).
3. `short`: seconds from the start of `genwright train shakespeare` to its end (imports, preparing
   the data with an empty cache, measuring the precision, training, evaluating the whole validation
   split, saving), with as many steps as bring the mean loss over the whole validation split, in
   windows of 64 that do not overlap, under the bar. Every seed must be under it.
4. `long`: the same, with the steps that fill the plain loop's time: the loss at that time.

The first 90% of the characters train, the last 10% are validation. How many steps `short` takes is
chosen by `--tune`, which never measures our models on the validation split: it trains them on the
first 90% of the training text and measures them on the rest of it. There the plain loop has another
loss than on the validation split, so the target lies as far from its mean there as the bar lies
from its mean loss on the validation split. Chosen are the fewest steps whose mean loss plus three
standard deviations, of 10 seeds, is at the target or below. All parameters are counted, at most
0.81 million. Exits with 1 where a seed misses the bar.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

from common import finish

CONTEXT, BATCH = 64, 12  # of the rivals
CHOSEN = 100  # steps of `short`, by --tune
COMMON = [
    "model.preset=speedrun",
    "model.width=128",
    "model.heads=1",
    "model.previous=4",
    "data.context=64",
    "training.evaluate_every=0",
    "training.checkpoint_every=0",
    "training.optimizer.newton_schulz=3",
]
SHORT = [
    *COMMON,
    "model.depth=3",
    "model.hidden=704",
    "training.batch_size=24",
    "training.schedule.decay=0.7",
    "training.optimizer.learning_rate=0.015",
    "training.optimizer.matrix_rate=0.05",
    "training.optimizer.momentum=0.85",
    "training.optimizer.embedding_rate=2",
]
LONG_STEP = 1.1 * 32 / 24  # of a step of `short`: more examples, and a layer more
LONG = [
    *COMMON,
    "model.depth=4",
    "model.hidden=464",
    "training.batch_size=32",
    "training.schedule.decay=0.6",
    "training.optimizer.learning_rate=0.01",
    "training.optimizer.matrix_rate=0.03",
]


def plain(data: Path, seed: int, steps: int) -> None:
    """The rival, run as a process of its own; prints its loss."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    torch.manual_seed(seed)
    text = data.read_text()
    characters = sorted(set(text))
    index = {c: i for i, c in enumerate(characters)}
    ids = torch.tensor([index[c] for c in text])
    train, held_out = ids[: int(0.9 * len(ids))], ids[int(0.9 * len(ids)) :]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.n1, self.n2 = nn.LayerNorm(128, bias=False), nn.LayerNorm(128, bias=False)
            self.qkv, self.out = nn.Linear(128, 384, bias=False), nn.Linear(128, 128, bias=False)
            self.up, self.down = nn.Linear(128, 512, bias=False), nn.Linear(512, 128, bias=False)

        def forward(self, x):
            q, k, v = (
                t.view(*t.shape[:2], 4, 32).transpose(1, 2)
                for t in self.qkv(self.n1(x)).split(128, 2)
            )
            y = (
                F.scaled_dot_product_attention(q, k, v, is_causal=True)
                .transpose(1, 2)
                .reshape(x.shape)
            )
            x = x + self.out(y)
            return x + self.down(F.gelu(self.up(self.n2(x))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = (
                nn.Embedding(len(characters), 128),
                nn.Embedding(CONTEXT, 128),
            )
            self.blocks, self.norm = (
                nn.ModuleList(Block() for _ in range(4)),
                nn.LayerNorm(128, bias=False),
            )
            for name, p in self.named_parameters():
                if p.ndim > 1:
                    nn.init.normal_(
                        p,
                        0,
                        0.02
                        / (math.sqrt(8) if name.endswith(("out.weight", "down.weight")) else 1),
                    )

        def forward(self, x, y):
            h = self.tokens(x) + self.positions.weight[: x.size(1)]
            for block in self.blocks:
                h = block(h)
            return F.cross_entropy(
                F.linear(self.norm(h), self.tokens.weight).flatten(0, 1), y.flatten()
            )

    model = GPT()
    groups = [{"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.1}]
    groups += [{"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    for step in range(steps):
        share = (
            min(1.0, step / 100)
            if step < 100
            else 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 100) / (steps - 100)))
        )
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * share
        at = torch.randint(len(train) - CONTEXT, (BATCH,))
        x = torch.stack([train[i : i + CONTEXT] for i in at])
        y = torch.stack([train[i + 1 : i + 1 + CONTEXT] for i in at])
        loss = model(x, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
    print(time.time(), flush=True)
    windows = (len(held_out) - 1) // CONTEXT
    x, y = (
        held_out[: windows * CONTEXT].view(windows, -1),
        held_out[1 : windows * CONTEXT + 1].view(windows, -1),
    )
    with torch.no_grad():
        print(float(model(x, y)), sum(p.numel() for p in model.parameters()))


def run_plain(data: Path, seed: int, steps: int) -> dict:
    began = time.time()
    command = [
        sys.executable,
        __file__,
        "--data",
        str(data),
        "--plain",
        str(seed),
        "--plain-steps",
        str(steps),
    ]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    ended, loss, parameters = out.stdout.split()
    return {
        "seconds": float(ended) - began,
        "loss": float(loss),
        "parameters": int(parameters),
        "seed": seed,
    }


def run_nanogpt(checkout: Path, data: Path, seed: int, steps: int) -> dict:
    """nanoGPT's own train.py in the small CPU setting of its README, with one evaluation of one
    batch at the end."""
    text = data.read_text()
    characters = sorted(set(text))
    index = {c: i for i, c in enumerate(characters)}
    ids = np.array([index[c] for c in text], np.uint16)
    cut = int(0.9 * len(ids))
    words = {
        "device": "cpu",
        "compile": False,
        "eval_iters": 1,
        "eval_interval": steps,
        "log_interval": steps,
        "block_size": CONTEXT,
        "batch_size": BATCH,
        "n_layer": 4,
        "n_head": 4,
        "n_embd": 128,
        "max_iters": steps,
        "lr_decay_iters": steps,
        "dropout": 0.0,
    }
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "nanoGPT")
        shutil.copytree(checkout, folder, ignore=shutil.ignore_patterns(".git"))
        place = folder / "data" / "shakespeare_char"
        ids[:cut].tofile(place / "train.bin")
        ids[cut:].tofile(place / "val.bin")
        # the only form that nanoGPT reads
        (place / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(characters)}))
        source = (
            (folder / "train.py")
            .read_text()
            .replace("manual_seed(1337", f"manual_seed({1337 + seed}")
        )
        (folder / "train.py").write_text(source)
        command = [
            sys.executable,
            "train.py",
            "config/train_shakespeare_char.py",
            *(f"--{k}={v}" for k, v in words.items()),
        ]
        began = time.time()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        seconds = time.time() - began
    if done.returncode:
        sys.exit(done.stderr)
    return {"seconds": seconds, "seed": seed}


def run_ours(data: Path, words: list[str], steps: int, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as work:
        command = [
            sys.executable,
            "-m",
            "genwright",
            "train",
            "shakespeare",
            f"data.path={data}",
            *words,
            f"training.steps={steps}",
        ]
        command += [f"seed={seed}", "--run", f"{work}/run", "--quiet"]
        began = time.time()
        done = subprocess.run(
            command,
            env=os.environ | {"GENWRIGHT_CACHE": f"{work}/cache"},
            capture_output=True,
            text=True,
        )
        seconds = time.time() - began
        if done.returncode:
            sys.exit(done.stderr)
        records = [
            json.loads(line) for line in Path(work, "run", "metrics.jsonl").read_text().splitlines()
        ]
        trained = [r["seconds"] for r in records if "loss" in r]
        from safetensors import safe_open

        with safe_open(f"{work}/run/checkpoints/step-{steps:08d}/weights.safetensors", "pt") as f:
            names = f.keys()
            parameters = sum(math.prod(f.get_slice(name).get_shape()) for name in names)
        precision = (
            "bf16" if "precision: bf16" in Path(work, "run", "recipe.yaml").read_text() else "fp32"
        )
    loss = next(r["held_out"]["loss"] for r in reversed(records) if "held_out" in r)
    found = {
        "seconds": seconds,
        "seed": seed,
        "of them training": sum(trained),
        "ms a step": statistics.median(trained) * 1e3,
        "loss": loss,
    }
    return found | {"steps": steps, "parameters": parameters, "precision": precision}


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": statistics.median(values),
        "least": min(values),
        "most": max(values),
        "n": len(values),
    }


def tune(a: argparse.Namespace) -> dict:
    """Losses on the last tenth of the training text, of models that were trained on the rest of it,
    and the steps to choose."""
    text = a.data.read_text()
    with tempfile.TemporaryDirectory() as work:
        training = Path(work, "training.txt")
        training.write_text(text[: int(0.9 * len(text))])
        there = [run_plain(training, seed, a.plain_steps)["loss"] for seed in range(a.rounds)]
        on_validation = [run_plain(a.data, seed, a.plain_steps)["loss"] for seed in range(a.rounds)]
        target = statistics.mean(there) + a.bar - statistics.mean(on_validation)
        figures: dict = {
            "plain": {"losses": there, "on validation": on_validation},
            "target": target,
            "chosen": None,
        }
        for steps in sorted(a.tune):
            losses = [run_ours(training, SHORT, steps, seed)["loss"] for seed in range(a.seeds)]
            mean, deviation = statistics.mean(losses), statistics.stdev(losses)
            limit = mean + 3 * deviation
            figures[f"{steps} steps"] = {
                "losses": losses,
                "mean": mean,
                "mean + 3 deviations": limit,
            }
            if figures["chosen"] is None and limit <= target:
                figures["chosen"] = steps
            print(steps, figures[f"{steps} steps"], f"target {target:.4f}", file=sys.stderr)
    return figures


def measured(a: argparse.Namespace) -> dict:
    """The rivals and our runs in turns: a round is each rival once and a share of the seeds."""
    plain_runs, nanogpt_runs, short_runs, long_runs = [], [], [], []
    shares = [range(start, a.seeds, a.rounds) for start in range(a.rounds)]
    for round_, seeds in enumerate(shares):
        plain_runs.append(run_plain(a.data, round_, a.plain_steps))
        if a.nanogpt:
            nanogpt_runs.append(run_nanogpt(a.nanogpt, a.data, round_, a.plain_steps))
        short_runs += [run_ours(a.data, SHORT, a.steps, seed) for seed in seeds]
        if not a.skip_long:
            idle = statistics.mean(r["seconds"] - r["of them training"] for r in short_runs)
            per_step = statistics.mean(r["ms a step"] for r in short_runs) / 1e3 * LONG_STEP
            steps = max(1, int((plain_runs[-1]["seconds"] - idle) / per_step * 0.97))
            long_runs.append(run_ours(a.data, LONG, steps, round_))
        print(
            f"round {round_ + 1} of {a.rounds}",
            plain_runs[-1],
            nanogpt_runs[-1:],
            short_runs[-len(seeds) :],
            file=sys.stderr,
        )
    seconds = statistics.median(r["seconds"] for r in short_runs)
    figures: dict = {
        "plain": plain_runs,
        "short": short_runs,
        "long": long_runs,
        "nanoGPT": nanogpt_runs,
    }
    for name, runs in list(figures.items()):
        if runs:
            figures[f"{name}, seconds"] = spread([r["seconds"] for r in runs])
    figures["times as fast as plain"] = figures["plain, seconds"]["median"] / seconds
    if nanogpt_runs:
        figures["times as fast as nanoGPT"] = figures["nanoGPT, seconds"]["median"] / seconds
    losses = [r["loss"] for r in short_runs]
    figures["short, loss"] = spread(losses)
    figures["seeds under the bar"] = sum(loss <= a.bar for loss in losses)
    if long_runs:
        figures["long, loss"] = spread([r["loss"] for r in long_runs])
        times = zip(long_runs, plain_runs, strict=True)
        figures["long is within the plain loop's time"] = all(
            ours["seconds"] <= rival["seconds"] for ours, rival in times
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3, help="times each rival runs")
    parser.add_argument("--bar", type=float, default=1.8857)
    parser.add_argument("--steps", type=int, default=CHOSEN, help="of `short`")
    parser.add_argument(
        "--tune",
        type=int,
        nargs="+",
        metavar="STEPS",
        help="choose the steps, without the validation split",
    )
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT, to run it as well")
    parser.add_argument("--plain", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--plain-steps", type=int, default=2000, help="of the rivals")
    parser.add_argument("--skip-long", action="store_true")
    parser.add_argument("--out")
    a = parser.parse_args()
    if a.plain is not None:
        plain(a.data, a.plain, a.plain_steps)
    elif a.tune:
        sys.exit(finish("shakespeare, tuning", tune(a), a.out))
    else:
        figures = measured(a)
        sys.exit(finish("shakespeare", figures, a.out, {"loss of every seed": a.bar}))


if __name__ == "__main__":
    main()
