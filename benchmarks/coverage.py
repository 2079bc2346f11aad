"""Precision, recall, density and coverage of two equal Gaussians, against the published values, and
how long they take.

    python benchmarks/coverage.py [--seeds 8] [--device cpu] [--out FILE]

Two sets of 10,000 from N(0, I_1000), k = 5: published .4772, .4705, 1.0555, .9735 (README of
clovaai/generative-evaluation-prdc), which is one draw. In 1,000 dimensions one draw says little: a
set whose norms are 0.1% larger lies inside 3% fewer balls, so density varies by 0.08 from draw to
draw. Each pair is therefore measured both ways round, which cancels most of it, and the mean is
printed with its error.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch

from common import finish
from genwright.evaluation.distances import prdc

PUBLISHED = {"precision": 0.4772, "recall": 0.4705, "density": 1.0555, "coverage": 0.9735}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument(
        "--points", type=int, default=10_000, help="of each set; what was published is of 10,000"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    found, seconds = [], []
    for seed in range(a.seeds):
        generator = torch.Generator().manual_seed(seed)
        real, fake = (
            torch.randn(a.points, 1000, generator=generator).to(a.device) for _ in range(2)
        )
        for pair in ((real, fake), (fake, real)):
            began = time.perf_counter()
            found.append(prdc(*pair))
            seconds.append(time.perf_counter() - began)
            print(found[-1], f"{seconds[-1]:.1f} s", file=sys.stderr)
    values = (
        torch.tensor([list(f.values()) for f in found], dtype=torch.float64)
        .view(a.seeds, 2, 4)
        .mean(1)
    )
    mean = dict(zip(found[0], values.mean(0).tolist(), strict=True))
    error = dict(zip(found[0], (values.std(0) / a.seeds**0.5).tolist(), strict=True))
    off = {name: mean[name] - value for name, value in PUBLISHED.items()}
    figures = {"mean": mean, "standard error": error, "published": PUBLISHED, "off": off}
    figures |= {
        "mean of pairs as drawn": {n: sum(f[n] for f in found[::2]) / a.seeds for n in mean},
        "draws": found,
        "seconds": min(seconds),
    }
    sys.exit(finish("coverage", figures, a.out))


if __name__ == "__main__":
    main()
