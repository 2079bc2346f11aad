r"""Stacked MNIST: how many of 1,000 modes a GAN reaches after so many minutes, and the reverse KL,
from 26,000 samples.

    python benchmarks/stacked.py --data mnist.npz [--minutes 60 | --steps N] \
        [--set training.device=cuda ...] [--out FILE]

PacGAN's protocol (Lin et al., arXiv 1712.04086, table 2): each of three channels is a random digit;
a classifier of single digits, trained here on the real training digits, names each channel of a
sample. Training is `genwright train stacked-digits-gan`: its speed is measured over some steps, and
the steps that fit into the minutes are trained (or, on a busy machine, `--steps`). Published: DCGAN
99 / 3.40, PacDCGAN2 1000 / 0.06, relativistic R1+R2 1000 / 0.078 (R3GAN, arXiv 2501.05441). A
perfect sampler has a KL of 0.019; below that something is wrong.
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

import genwright
from common import finish
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.images.evaluate import stacked_modes
from genwright.contents.images.sampler import drawer_of
from genwright.evaluation.distances import kl_floor
from genwright.evaluation.features import extractor
from genwright.recipe.overrides import parse_overrides


def labels(x: torch.Tensor, classifier, attribute: slice) -> torch.Tensor:
    """(n, 3) digits that the classifier sees in pictures (n, 3, 28, 28)."""
    single = x.reshape(-1, 1, *x.shape[2:])
    found = torch.cat(
        [
            classifier.predict(single[i : i + 3000])[:, attribute].argmax(1)
            for i in range(0, len(single), 3000)
        ]
    )
    return found.view(-1, 3).cpu()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, help="in place of what fits into the minutes")
    parser.add_argument("--samples", type=int, default=26_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="key=value", help="other settings of the recipe"
    )
    parser.add_argument("--out")
    a = parser.parse_args()
    digits = ImagesData(path=str(a.data)).prepare(ImageSettings(size=28, channels=1))
    classifier = extractor(digits)
    given = {
        "data.path": str(a.data),
        "seed": a.seed,
        "training.checkpoint_every": 0,
        "training.evaluate_every": 0,
        "watching.samples": 0,
    } | parse_overrides(a.set)
    with tempfile.TemporaryDirectory() as work:
        trial = genwright.train(
            "stacked-digits-gan", run=f"{work}/trial", quiet=True, until=48, **given
        )
        speed = 1 / statistics.mean(
            [r["seconds"] for r in trial.records if "generator_loss" in r][8:]
        )
        steps = a.steps or int(a.minutes * 60 * speed)
        began = time.time()
        run = genwright.train(
            "stacked-digits-gan", run=f"{work}/run", quiet=True, **given | {"training.steps": steps}
        )
        seconds = time.time() - began
        x = drawer_of(run.opened())(a.samples).clamp(-1, 1)
    held = run.dataset().split("held_out")
    attribute = slice(0, 10)
    count = min(a.samples, len(held))
    starts = range(0, count, 1000)
    real = torch.cat(
        [
            labels(held.x(torch.arange(i, min(i + 1000, count))), classifier, attribute)
            for i in starts
        ]
    )
    found = stacked_modes(labels(x, classifier, attribute))
    reference = stacked_modes(real)
    figures = {
        "modes": found.modes,
        "reverse KL": found.kl,
        "steps": steps,
        "batch": run.recipe.training.batch_size,
        "seconds": seconds,
        "real held-out pictures": {
            "n": len(real),
            "modes": reference.modes,
            "reverse KL": reference.kl,
        },
        "KL floor": kl_floor(1000, a.samples),
        "classifier": classifier.describe(),
        "parameters": {
            n: sum(p.numel() for p in m.parameters()) for n, m in run.objective.modules.items()
        },
    }
    sys.exit(finish("stacked", figures, a.out))


if __name__ == "__main__":
    main()
