"""Precision, recall, density and coverage of two equal Gaussians, against the published values, and how long they take.

    python benchmarks/coverage.py [--seeds 3] [--out FILE]

Two sets of 10,000 from N(0, I_1000), k = 5: published .4772, .4705, 1.0555, .9735 (README of clovaai/generative-evaluation-prdc).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch

from common import finish
from genwright.evaluation.neighbours import prdc

PUBLISHED = {"precision": 0.4772, "recall": 0.4705, "density": 1.0555, "coverage": 0.9735}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    found, seconds = [], []
    for seed in range(a.seeds):
        generator = torch.Generator().manual_seed(seed)
        real, fake = (torch.randn(10_000, 1000, generator=generator) for _ in range(2))
        began = time.perf_counter()
        found.append(prdc(real, fake))
        seconds.append(time.perf_counter() - began)
        print(found[-1], f"{seconds[-1]:.1f} s", file=sys.stderr)
    mean = {name: sum(f[name] for f in found) / len(found) for name in PUBLISHED}
    worst = max(abs(f[name] - PUBLISHED[name]) for f in found for name in PUBLISHED)
    finish("coverage", {"seeds": found, "mean": mean, "published": PUBLISHED, "worst": worst, "seconds": min(seconds)}, a.out)
    sys.exit(worst > 0.01)


if __name__ == "__main__":
    main()
