"""Tinyshakespeare by characters, against a plain loop of nanoGPT's small CPU setting, in one run on one machine.

    python benchmarks/shakespeare.py --data FILE [--seeds 3] [--bar 1.8857] [--out FILE]

1. `plain`: GPT-2's shape (4 layers, 4 heads, width 128, learned positions, layer norm, GELU, tied output), context 64, batch 12, AdamW 1e-3
   with a cosine after 100 steps of warm-up, clipping, 2,000 steps, fp32, eager: seconds from the start of the process to the last step
   (its evaluation is not counted).
2. `short`: seconds from the start of `genwright train shakespeare` to its end (imports, preparing the data with an empty cache, measuring
   the precision, training, evaluating the whole validation split, saving), with as many steps as bring the mean loss over the whole
   validation split, in windows of 64 that do not overlap, under the bar. Every seed must be under it.
3. `long`: the same, with the steps that fill the plain loop's time: the loss at that time.

The first 90% of the characters train. All parameters are counted, at most 0.81 million.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import finish

CONTEXT, BATCH, STEPS = 64, 12, 2000
MODEL = ["model.preset=speedrun", "model.depth=4", "model.width=128", "model.heads=2", "model.hidden=480", "data.context=64"]
COMMON = [*MODEL, "training.evaluate_every=0", "training.checkpoint_every=0", "training.optimizer.learning_rate=0.01"]
SHORT = [
    *COMMON, "training.batch_size=24", "training.schedule.decay=0.5", "training.optimizer.matrix_rate=0.05",
    "training.optimizer.momentum=0.85", "training.optimizer.embedding_rate=2",
]  # fmt: skip
LONG = [*COMMON, "training.batch_size=32", "training.schedule.decay=0.6", "training.optimizer.matrix_rate=0.03"]


def plain(data: Path, seed: int) -> None:
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
            q, k, v = (t.view(*t.shape[:2], 4, 32).transpose(1, 2) for t in self.qkv(self.n1(x)).split(128, 2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(x.shape)
            x = x + self.out(y)
            return x + self.down(F.gelu(self.up(self.n2(x))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(len(characters), 128), nn.Embedding(CONTEXT, 128)
            self.blocks, self.norm = nn.ModuleList(Block() for _ in range(4)), nn.LayerNorm(128, bias=False)
            for name, p in self.named_parameters():
                if p.ndim > 1:
                    nn.init.normal_(p, 0, 0.02 / (math.sqrt(8) if name.endswith(("out.weight", "down.weight")) else 1))

        def forward(self, x, y):
            h = self.tokens(x) + self.positions.weight[: x.size(1)]
            for block in self.blocks:
                h = block(h)
            return F.cross_entropy(F.linear(self.norm(h), self.tokens.weight).flatten(0, 1), y.flatten())

    model = GPT()
    groups = [{"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.1}]
    groups += [{"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    for step in range(STEPS):
        share = min(1.0, step / 100) if step < 100 else 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 100) / (STEPS - 100)))
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
    x, y = held_out[: windows * CONTEXT].view(windows, -1), held_out[1 : windows * CONTEXT + 1].view(windows, -1)
    with torch.no_grad():
        print(float(model(x, y)), sum(p.numel() for p in model.parameters()))


def run_plain(data: Path, seed: int) -> dict:
    began = time.time()
    out = subprocess.run([sys.executable, __file__, "--data", str(data), "--plain", str(seed)], capture_output=True, text=True, check=True)
    ended, loss, parameters = out.stdout.split()
    return {"seconds": float(ended) - began, "loss": float(loss), "parameters": int(parameters)}


def run_ours(data: Path, words: list[str], steps: int, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "genwright", "train", "shakespeare", f"data.path={data}", *words, f"training.steps={steps}"]
        command += [f"seed={seed}", "--run", f"{work}/run", "--quiet"]
        began = time.time()
        done = subprocess.run(command, env=os.environ | {"GENWRIGHT_CACHE": f"{work}/cache"}, capture_output=True, text=True)
        seconds = time.time() - began
        if done.returncode:
            sys.exit(done.stderr)
        records = [json.loads(line) for line in Path(work, "run", "metrics.jsonl").read_text().splitlines()]
        trained = [r["seconds"] for r in records if "loss" in r]
        from safetensors import safe_open

        with safe_open(f"{work}/run/checkpoints/step-{steps:08d}/weights.safetensors", "pt") as f:
            parameters = sum(math.prod(f.get_slice(name).get_shape()) for name in f.keys())  # noqa: SIM118 - not a dict
        precision = "bf16" if "precision: bf16" in Path(work, "run", "recipe.yaml").read_text() else "fp32"
    loss = next(r["held_out"]["loss"] for r in reversed(records) if "held_out" in r)
    found = {"seconds": seconds, "of them training": sum(trained), "ms a step": statistics.median(trained) * 1e3, "loss": loss}
    return found | {"steps": steps, "parameters": parameters, "precision": precision}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bar", type=float, default=1.8857)
    parser.add_argument("--steps", type=int, default=130, help="of `short`")
    parser.add_argument("--plain", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--skip-long", action="store_true")
    parser.add_argument("--out")
    a = parser.parse_args()
    if a.plain is not None:
        plain(a.data, a.plain)
        return
    rival = run_plain(a.data, 0)
    print("plain", rival, file=sys.stderr)
    short = [run_ours(a.data, SHORT, a.steps, seed) for seed in range(a.seeds)]
    print("short", short, file=sys.stderr)
    seconds = statistics.mean(r["seconds"] for r in short)
    figures = {"plain": rival, "short": short, "mean seconds": seconds, "times faster": rival["seconds"] / seconds}
    figures["every loss under the bar"] = all(r["loss"] <= a.bar for r in short)
    figures["mean loss"] = statistics.mean(r["loss"] for r in short)
    if not a.skip_long:
        idle = seconds - statistics.mean(r["of them training"] for r in short)
        per_step = statistics.mean(r["ms a step"] for r in short) / 1e3 * 32 / 24
        figures["long"] = run_ours(a.data, LONG, int((rival["seconds"] - idle) / per_step * 0.97), 0)
        figures["long is within the plain loop's time"] = figures["long"]["seconds"] <= rival["seconds"]
    finish("shakespeare", figures, a.out)


if __name__ == "__main__":
    main()
