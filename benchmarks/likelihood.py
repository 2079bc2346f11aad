r"""Test negative log-likelihood of a variational model on MNIST after so many minutes of training
(Burda et al., arXiv 1509.00519).

    python benchmarks/likelihood.py --data mnist.npz --minutes 20 [--model conv-vae] \
        [--objective samples=8 ...] [--out FILE]

Training: all 60,000 pictures, binarised anew at each sight, averaged weights, rate falling to zero
at the end of the time (steps are chosen from the speed of the first ones, and again on the way);
the precision is the one that is faster on this machine, as for recipes.
Measuring: one fixed binarisation of the 10,000 test pictures (each pixel 1 with its intensity as
probability, genwright's Draws of seed 20), 500 importance samples each.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch

from common import finish
from genwright.core.contracts import Source, Space
from genwright.core.draws import Draws
from genwright.core.registry import settings_of
from genwright.evaluation.likelihood import active_units, estimate, marginal_nll
from genwright.objectives.likelihoods import binarised
from genwright.objectives.variational import Variational
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.precision import DTYPES, choose
from genwright.training.settings import Optimizer, Schedule, Training

SPACE = Space(shape=(1, 28, 28))
MODELS: dict[str, tuple[dict, dict, dict]] = {  # network, objective, training
    "mlp-vae": ({"width": 512}, {"samples": 8}, {"batch_size": 128}),
    "conv-vae": ({}, {"samples": 1}, {"batch_size": 128}),
    "ladder-vae": ({}, {"samples": 1}, {"batch_size": 128}),
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Digits:
    """Shuffled epochs of a fixed set of pictures."""

    units, unit = 1, "images"

    def __init__(self, pictures: torch.Tensor, size: int):
        self.x, self.size, self.epoch = pictures, size, -1

    def batch(self, position, examples, policy=None):
        index = position * self.size + examples
        epoch = int(index[0]) // len(self.x)
        if epoch != self.epoch:
            self.order, self.epoch = (
                torch.from_numpy(np.random.default_rng(epoch).permutation(len(self.x))),
                epoch,
            )
        return {"x": self.x[self.order[index % len(self.x)]]}

    def sources(self, position, examples):
        return [Source(f"batch {position}") for _ in examples]


def pictures(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """(60000, 1, 28, 28) and (10000, 1, 28, 28) in [-1, 1]."""
    with np.load(path, allow_pickle=False) as data:
        train, test = (
            torch.from_numpy(data[k]).float()[:, None] / 127.5 - 1
            for k in ("train_images", "test_images")
        )
    return train, test


def parsed(words: list[str]) -> dict:
    import yaml

    return {k: yaml.safe_load(v) for k, v in (w.split("=", 1) for w in words)}


def train(
    pictures,
    model: str,
    minutes: float,
    network: dict,
    objective: dict,
    training: dict,
    seed: int,
    clock,
    precision: str,
):
    """(objective, state of training, images/s, precision). precision: "auto" asks as `genwright
    train` does, before the time runs."""
    torch.manual_seed(seed)
    defaults = MODELS[model]
    learner = Variational(likelihood="bernoulli", **defaults[1] | objective)
    module = settings_of("model", model)(**defaults[0] | network).build(
        SPACE, **learner.needs(SPACE)["model"][1]
    )
    learned = learner.build({"model": module}, SPACE)
    words = {"batch_size": 128, "ema": 0.999, "clip": 200.0, **defaults[2], **training}
    rate, kind, decay = (
        words.pop("learning_rate", 2e-3),
        words.pop("optimizer", "adamw"),
        words.pop("decay", 0.7),
    )
    optimizer = Optimizer(
        kind=kind, learning_rate=rate, betas=(0.9, 0.99), matrix_rate=words.pop("matrix_rate", 0.02)
    )
    settings = Training(
        steps=10**9,
        optimizer=optimizer,
        schedule=Schedule(kind="wsd", warmup=100, decay=decay),
        **words,
    )
    stream, engine = Digits(pictures, settings.batch_size or 128), Engine("cpu")
    dtype = DTYPES.get(precision)
    if dtype is None:
        dtype, seconds = choose(learned, stream, settings, engine, seed)
        print(f"seconds of a turn: {seconds}", file=sys.stderr)
    state = loop.start(learned, settings, engine, seed, dtype)
    began = clock()

    # the rate falls by time: the loop asks for step / steps, and steps is chosen anew as speed is
    # known
    class Clock(loop.Hook):
        def after_step(self, state, record):
            if state.step % 200 == 0:
                spent = (clock() - began) / 60
                print(
                    f"{spent:6.2f} min {state.step} "
                    + " ".join(f"{k}={v:.3f}" for k, v in record.items() if k in SHOWN),
                    file=sys.stderr,
                )

        def stop(self, state):
            return state.step % 50 == 0

    SHOWN = ("loss", "reconstruction", "kl", "active_units", "images_per_second")
    hook, steps = Clock(), 10**9
    while state.step < steps:
        state = loop.run(
            learned, stream, state, steps, settings=settings, engine=engine, hooks=[hook]
        )
        spent = clock() - began
        if state.step < steps:
            steps = max(state.step + 1, round(state.step * minutes * 60 / spent))
            settings = settings.model_copy(update={"steps": steps})
    speed = state.step * stream.size / (clock() - began)
    return learned, state, speed, "bf16" if dtype == torch.bfloat16 else "fp32"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--model", choices=MODELS, default="conv-vae")
    parser.add_argument(
        "--network", nargs="*", default=[], help="key=value of the network's settings"
    )
    parser.add_argument(
        "--objective", nargs="*", default=[], help="key=value of the objective's settings"
    )
    parser.add_argument(
        "--training", nargs="*", default=[], help="key=value of the training's settings"
    )
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--test", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu: the process's own time, where others are busy",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", *DTYPES),
        default="auto",
        help="auto: what is faster on this machine, as recipes have it",
    )
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    x, y = pictures(a.data)
    test = binarised(y, Draws(20, 0, torch.arange(len(y))))[: a.test]
    objective, state, speed, precision = train(
        x,
        a.model,
        a.minutes,
        parsed(a.network),
        parsed(a.objective),
        parsed(a.training),
        a.seed,
        CLOCKS[a.clock],
        a.precision,
    )
    began = time.perf_counter()
    with state.weights["model"].averaged():
        e = estimate(objective, lambda start, stop: {"x": test[start:stop]}, len(test), a.samples)
    size = parsed(a.training).get("batch_size", MODELS[a.model][2]["batch_size"])
    figures = {
        "model": a.model,
        "minutes": a.minutes,
        "precision": precision,
        "steps": state.step,
        "images/s": round(speed),
        "epochs": round(state.step * size / 6e4, 1),
        "NLL, nats": round(float(e.nll.mean()), 3),
        "standard error": round(float(e.nll.std() / len(test) ** 0.5), 3),
        "-ELBO, nats": round(-float(e.elbo.mean()), 3),
        "importance samples": a.samples,
        "test pictures": len(test),
        "active units": active_units(e.mean),
        "NLL of independent pixels": round(marginal_nll((x.mean(0) + 1) / 2, test), 2),
        "estimator images/s": round(len(test) / (time.perf_counter() - began), 1),
        "parameters": sum(p.numel() for p in objective.network.parameters()),
    }
    sys.exit(finish("likelihood", figures, a.out))


if __name__ == "__main__":
    main()
