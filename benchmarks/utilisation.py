r"""Model FLOP utilisation of `gpt2-small` on one GPU, bf16, compiled: the recipe's own network and
loop on random tokens.

    python benchmarks/utilisation.py --peak 989 [--steps 20] [--micro 32] [--device cuda] \
        [--set key=value ...] [--out FILE]

FLOP a token: 6 for each weight that is multiplied and 12 H D a position (PaLM's appendix B),
forward and backward, over the card's dense bf16 peak in TFLOP/s (`--peak`: H100 and H200 989, A100
312).
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch

from common import finish
from genwright.core.contracts import Source, Space
from genwright.core.draws import Draws
from genwright.recipe.overrides import parse_overrides
from genwright.recipe.schema import Recipe
from genwright.runs import assemble
from genwright.training import loop
from genwright.training.engine import Engine


class Noise:
    unit = "tokens"

    def __init__(self, size: int, context: int, vocabulary: int):
        self.size, self.units, self.vocabulary = size, context, vocabulary

    def batch(self, position, examples, policy=None):
        return {
            "tokens": Draws(0, position, examples).integers(
                "tokens", self.vocabulary, self.units + 1
            )
        }

    def sources(self, position, examples):
        return [Source("noise") for _ in examples]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peak", type=float, required=True, help="the card's dense bf16 TFLOP/s")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--micro", type=int, default=32)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="key=value", help="other settings of the recipe"
    )
    parser.add_argument("--out")
    a = parser.parse_args()
    engine = Engine(a.device)
    torch.set_float32_matmul_precision("high")
    words = {
        "data.path": "-",
        "training.steps": a.steps,
        "training.batch_size": a.batch,
        "training.micro_batch": a.micro,
    }
    words |= parse_overrides(a.set)
    recipe = Recipe.load("gpt2-small", words)
    space = Space(50304, {"end": 50303}, length=recipe.data.context)
    recipe = assemble.resolve(recipe, space)
    objective = assemble.objective(recipe, space)
    model = objective.modules["model"]
    state = loop.start(objective, recipe.training, engine, 0, torch.bfloat16)
    assemble.compiled(objective, engine.device)
    seconds: list[float] = []

    class Clock(loop.Hook):
        def after_step(self, state, record):
            seconds.append(record["seconds"])

    stream = Noise(a.batch, recipe.data.context, space.vocabulary)
    loop.run(
        objective, stream, state, a.steps, settings=recipe.training, engine=engine, hooks=[Clock()]
    )
    step = statistics.median(seconds[a.steps // 2 :])
    tokens = a.batch * recipe.data.context
    flop = model.flops_per_token(recipe.data.context) * tokens  # type: ignore[operator]
    figures = {
        "device": torch.cuda.get_device_name() if a.device == "cuda" else "cpu",
        "parameters": sum(p.numel() for p in model.parameters()),
        "ms a step": step * 1e3,
    }
    figures |= {
        "tokens/s": tokens / step,
        "TFLOP/s": flop / step / 1e12,
        "utilisation": flop / step / 1e12 / a.peak,
    }
    sys.exit(finish("utilisation", figures, a.out))


if __name__ == "__main__":
    main()
