"""Every family of pictures and points, stopped at chosen instants and taken up again, on two
processes, and a GAN killed at random.

    python benchmarks/families.py [--kills 20] [--instants turn ...] [--seed 0] [--out FILE]

Each run is killed (SIGKILL, by itself) in the middle of a turn, of saving and of a held-out
evaluation, and resumed: its weights, averages, optimizer state and records must be bit for bit
those of the run that was never stopped. Two processes must give one's weights within 1e-5 after a
few steps (sums in another order are not bit-equal). The GAN is killed at random instants as in
kill.py. The pictures are made here.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from safetensors.torch import load_file

import genwright
from common import finish
from genwright.training import checkpoint
from genwright.training.records import read, without_clock
from kill import child, equal, trial

STEPS = 20
INSTANTS = ("turn", "save", "evaluation")  # in the middle of which a run is killed
COMMON = {
    "training.steps": STEPS,
    "training.batch_size": 8,
    "training.micro_batch": 4,
    "training.checkpoint_every": 5,
    "training.evaluate_every": 5,
    "training.precision": "fp32",
    "training.threads": 1,
    "training.ema": 0.9,
    "watching.samples": 16,
    "training.optimizer.learning_rate": 1e-3,
}
PICTURES = {
    "data": {"kind": "images", "path": "PICTURES"},
    "codec": {"kind": "image", "size": 16, "channels": 1},
}
FAMILIES = {
    "adversarial": PICTURES
    | {
        "model": {
            "generator": {"kind": "residual-generator", "width": 8},
            "discriminator": {"kind": "residual-discriminator", "width": 8},
        },
        "objective": {"kind": "adversarial", "packing": 2, "latent": 8, "augment": True},
    },
    "variational": PICTURES
    | {
        "model": {"kind": "conv-vae", "width": 8},
        "objective": {"kind": "variational", "warmup": 10},
    },
    "importance-weighted": PICTURES
    | {
        "model": {"kind": "mlp-vae", "width": 16},
        "objective": {"kind": "variational", "samples": 3},
    },
    "ladder": PICTURES
    | {
        "model": {"kind": "ladder-vae", "width": 8},
        "objective": {"kind": "variational", "likelihood": "bernoulli"},
    },
    "vector-quantised": PICTURES
    | {
        "model": {"kind": "vq-autoencoder", "width": 8, "codes": 16},
        "objective": "vector-quantised",
    },
    "flow": PICTURES
    | {
        "model": {"kind": "unet", "width": 8},
        "objective": {"kind": "flow", "pairing": "optimal-transport"},
        "sampling": {"steps": 2},
    },
    "codes": PICTURES
    | {
        "codec": {"kind": "codes", "run": "CODES"},
        "objective": "causal",
        "model": {"kind": "transformer", "depth": 1, "width": 16, "heads": 2},
    },
    "points": {
        "data": {"kind": "points", "source": "ring"},
        "codec": "points",
        "objective": "flow",
        "sampling": {"steps": 2},
    },
}


def pictures(path: Path) -> None:
    """Squares of some place and size, by label."""
    dice = np.random.default_rng(0)
    x, y = np.zeros((300, 16, 16), np.uint8), dice.integers(0, 4, 300)
    for picture, label in zip(x, y, strict=True):
        row, column = dice.integers(0, 8, 2)
        picture[row : row + 3 + label, column : column + 3 + label] = dice.integers(100, 256)
    np.savez(path, x_train=x[:240], y_train=y[:240], x_test=x[240:], y_test=y[240:])


def recipe(name: str, work: Path, **changes) -> genwright.recipe.schema.Recipe:
    from genwright.recipe.schema import Recipe

    def filled(value):
        if isinstance(value, dict):
            return {k: filled(v) for k, v in value.items()}
        return {
            "PICTURES": str(work / "pictures.npz"),
            "CODES": str(work / "vector-quantised-whole"),
        }.get(value, value)

    base = {"name": name} | {k: filled(v) for k, v in FAMILIES[name].items()}
    if base["data"]["kind"] == "images":
        base["data"]["cache"] = str(work / "cache")
    return Recipe.of(base).overridden(COMMON | changes)


def run(name: str, folder: Path, resume: bool, work: Path, **changes) -> None:
    genwright.train(recipe(name, work, **changes), run=folder, resume=resume, quiet=True)


def die(*_, **__) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def armed(instant: str, name: str, work: Path):
    """A run that kills itself at an instant, the first time it gets there."""

    def begin(folder: Path, resume: bool, data: Path) -> None:
        from genwright.training import hooks, loop

        if instant == "turn":
            whole, plays = loop._Step.turn, [0]

            def turn(self, *arguments):
                plays[0] += 1
                if plays[0] == 9 * len(list(self.objective.turns(0))):
                    self.gradients.finish = die  # between the forward passes and the update
                return whole(self, *arguments)

            loop._Step.turn = turn  # type: ignore[method-assign]
        elif instant == "save":
            replaced = os.replace

            def replace(source, target):
                if Path(target).name == "step-00000010":
                    die()
                return replaced(source, target)

            os.replace = replace
        else:
            measured = hooks.averaged

            def averaged(state, call):  # with the averaged weights in place
                return measured(state, (lambda: (call(), die())) if state.step == 10 else call)

            hooks.averaged = averaged
        run(name, folder, resume, work)

    return begin


def final(folder: Path):
    root = checkpoint.folder_of(folder / "checkpoints", STEPS)
    tensors = {(p.stem, n): t for p in root.glob("*.safetensors") for n, t in load_file(p).items()}
    return tensors, [without_clock(r) for r in read(folder / "metrics.jsonl")]


def stopped(name: str, work: Path, instants: Sequence[str]) -> dict:
    """Whether each instant, and two processes, give the same run."""

    def plain(folder, resume, data):
        return run(name, folder, resume, work)

    whole = work / f"{name}-whole"
    assert os.waitpid(child(plain, whole, work), 0)[1] == 0, name
    expected, out = final(whole), {}
    for instant in instants:
        folder = work / f"{name}-{instant}"
        status = os.waitpid(child(armed(instant, name, work), folder, work), 0)[1]
        assert status == signal.SIGKILL, f"{name} was not killed in its {instant}: {status}"
        assert os.waitpid(child(plain, folder, work), 0)[1] == 0, f"{name} did not resume"
        out[f"mid-{instant}"] = equal(final(folder), expected)
    few = {
        "training.steps": 6,
        "training.evaluate_every": 0,
        "training.checkpoint_every": 0,
        "watching.samples": 0,
    }
    weights = []
    for processes in (1, 2):
        folder = work / f"{name}-{processes}"
        genwright.train(recipe(name, work, **few), run=folder, processes=processes, quiet=True)
        root = checkpoint.folder_of(folder / "checkpoints", 6)
        weights.append(load_file(root / "weights.safetensors"))
    out["two processes differ by"] = max(
        float((weights[0][n].float() - weights[1][n].float()).abs().max()) for n in weights[0]
    )
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--instants", nargs="*", choices=INSTANTS, default=INSTANTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    work = Path(tempfile.mkdtemp(prefix="families-"))
    pictures(work / "pictures.npz")
    figures: dict = {}
    for name in a.families:
        figures[name] = stopped(name, work, a.instants)
        print(name, figures[name], file=sys.stderr)

    def gan(folder: Path, resume: bool, data: Path) -> None:
        run("adversarial", folder, resume, work, **{"training.steps": 60})

    if a.kills:
        figures["adversarial, killed at random"] = trial(
            gan, a.kills, work, work, random.Random(a.seed)
        )
    code = finish("families", figures, a.out)
    if code:
        print(f"the runs are left in {work}", file=sys.stderr)
        sys.exit(code)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
