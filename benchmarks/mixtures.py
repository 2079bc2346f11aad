r"""Modes, share of high quality and reverse KL on PacGAN's two mixtures of normals (Lin et al.,
arXiv 1712.04086, table 1).

    python benchmarks/mixtures.py [ring grid] [--seeds 3] [--steps N] [--set key=value ...] \
        [--out FILE]

PacGAN's protocol: 100,000 training points, batch 100, z ~ N(0, I_2), networks no larger than 4x400
(generator) and 3x200 maxout of 5 (discriminator), 2,500 samples, high quality within 3 standard
deviations. PacGAN trained for 400,000 steps; ours say their number. Training is `genwright train
ring-gan` and `grid-gan`. Published: PacGAN2 on the ring 7.9 modes, 95.6%, 0.07; PacGAN4 on the grid
24.8, 93.6%, 0.04. A perfect sampler: 98.9%, and a KL of 0.0014 (ring), 0.0048 (grid).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


import genwright
from common import finish
from genwright.evaluation.distances import PERFECT, kl_floor, mixture
from genwright.recipe.overrides import parse_overrides

MODES = {"ring": 8, "grid": 25}
SAMPLES = 2500
# parameters of 4x400, and of 3x200 maxout of 5 that sees one point
PACGAN = {"generator": 484_002, "discriminator": 407_201}


def one(name: str, seed: int, overrides: dict) -> dict:
    with tempfile.TemporaryDirectory() as work:
        began = time.time(), time.process_time()
        quick = {
            "training.evaluate_every": 0,
            "training.checkpoint_every": 0,
            "watching.samples": 0,
            "training.threads": 1,
            "seed": seed,
        }
        run = genwright.train(f"{name}-gan", run=f"{work}/run", quiet=True, **quick | overrides)
        seconds, cpu = time.time() - began[0], time.process_time() - began[1]
        dataset = run.dataset()
        x = run.sample(n=SAMPLES)
        found = mixture(x, dataset.means, dataset.std)
        sizes = {
            n: sum(p.numel() for p in m.parameters()) for n, m in run.objective.modules.items()
        }
    assert all(sizes[n] <= most for n, most in PACGAN.items()), sizes
    out = {
        "modes": found.modes,
        "high quality": found.high_quality,
        "reverse KL": found.kl,
        "seconds": seconds,
        "CPU seconds": cpu,
    }
    print(name, seed, out, file=sys.stderr)
    return out | {"steps": run.step, "parameters": sizes}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "which",
        nargs="*",
        choices=[*MODES, []],
        metavar="MIXTURE",
        help="ring, grid; default: both",
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help="default: the recipe's")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="key=value", help="other settings of the recipe"
    )
    parser.add_argument("--out")
    a = parser.parse_args()
    overrides = parse_overrides(a.set) | ({"training.steps": a.steps} if a.steps else {})
    figures: dict = {"perfect high quality": PERFECT}
    for name in a.which or MODES:
        runs = [one(name, seed, overrides) for seed in range(a.seeds)]
        modes = MODES[name]
        figures[name] = {
            "runs": runs,
            "mean": {
                key: statistics.mean(r[key] for r in runs)
                for key in ("modes", "high quality", "reverse KL", "seconds")
            },
            "KL floor": kl_floor(modes, SAMPLES),
            "every mode in every seed": all(r["modes"] == modes for r in runs),
        }
    sys.exit(finish("mixtures", figures, a.out))


if __name__ == "__main__":
    main()
