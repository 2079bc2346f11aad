"""What the loop costs beside forward, backward and optimizer, as a share of the step.

    python benchmarks/overhead.py [--steps 600] [--batch 12] [--threads 2] [--out FILE]

A causal transformer on random tokens in shards of the usual kind, trained by a Session in a folder:
records are written, guards are on. The time of `loss().backward()` and of the optimizer (zeroing
and updating) is taken by wrapping them; all else that passes between two steps is overhead: data,
gradient norm and finiteness, counting, records, hooks. `--depth 1` makes steps of about 10 ms.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch

from common import finish
from genwright.recipe.schema import Recipe
from genwright.runs import assemble
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.gradients import PlainGradients
from genwright.training.session import Session
from genwright.training.weights import Weights


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    work = Path(tempfile.mkdtemp(prefix="overhead-"))
    (work / "text.txt").write_text("".join(chr(97 + i * i * 7919 % 26) for i in range(400_000)))
    recipe = Recipe.load(
        "code",
        {
            "data.source": "files",
            "data.path": str(work / "text.txt"),
            "data.split": "tail",
            "data.context": 64,
            "data.cache": str(work / "cache"),
            "codec": "bytes",
            "model.depth": a.depth,
            "model.width": 128,
            "model.heads": 4,
            "training.steps": a.steps,
            "training.batch_size": a.batch,
            "training.optimizer.kind": "adamw",
            "training.evaluate_every": 0,
            "training.checkpoint_every": 0,
        },
    )
    dataset = recipe.data.prepare(recipe.codec)
    recipe = assemble.resolve(recipe, assemble.space_of(recipe, dataset.codec))
    inside = 0.0

    def timed(call):
        def run(*args, **kwargs):
            nonlocal inside
            began = time.perf_counter()
            out = call(*args, **kwargs)
            inside += time.perf_counter() - began
            return out

        return run

    gradients = PlainGradients()
    gradients.micro = timed(gradients.micro)  # type: ignore[method-assign]
    Weights.zero = timed(Weights.zero)  # type: ignore[method-assign]
    Weights.update = timed(Weights.update)  # type: ignore[method-assign]
    times: list[tuple[float, float]] = []

    class Clock(loop.Hook):
        def after_step(self, state, record):
            times.append((time.perf_counter(), inside))

    objective = assemble.objective(recipe, assemble.space_of(recipe, dataset.codec))
    stream = dataset.stream(a.batch, 0, lookahead=1)
    dtype = torch.bfloat16 if a.precision == "bf16" else torch.float32
    session = Session(
        work,
        objective,
        stream,
        recipe.training,
        Engine("cpu"),
        0,
        dtype,
        None,
        [Clock()],
        gradients=gradients,
    )
    session.train()
    steady = times[a.steps // 4 : -1]  # the last step also saves
    spans = [
        (t1 - t0, (t1 - t0) - (i1 - i0))
        for (t0, i0), (t1, i1) in zip(steady, steady[1:], strict=False)
    ]
    spans.sort()
    step, outside = (sorted(x)[len(spans) // 2] for x in zip(*spans, strict=True))
    figures = {
        "ms a step": round(step * 1e3, 3),
        "ms outside": round(outside * 1e3, 3),
        "share outside": round(outside / step, 4),
        "steps": len(spans),
    }
    figures |= {
        "batch": a.batch,
        "context": 64,
        "precision": a.precision,
        "share at 10 ms steps": round(outside / 0.010, 4),
    }
    sys.exit(finish("overhead", figures, a.out))


if __name__ == "__main__":
    main()
