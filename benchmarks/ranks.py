"""Two processes of one thread against one process of two threads: the same steps, in turns.

    python benchmarks/ranks.py [--pairs 5] [--steps 30] [--precision fp32] [--out FILE]
        [--sources FOLDER]

A transformer of 4 layers, width 256, 4 heads, trained by Muon on batches of 16 x 128 bytes of text
that is made up here. What counts is the median time of a step after the first third. Ratio: that of
one process over that of two, the median over pairs with the least and the most; bar .9. A pair is
both, one after the other; the order alternates. Nothing else may run on the machine. --sources: the
`src` folder of another tree, to measure what a change has brought. Exits with 1 below the bar.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

from common import finish

SOURCES = Path(__file__).parent.parent / "src"
SETTINGS = [
    "codec=bytes",
    "data.context=128",
    "model.depth=4",
    "model.width=256",
    "model.heads=4",
    "training.batch_size=16",
    "training.evaluate_every=0",
    "training.checkpoint_every=0",
    "watching.samples=0",
]
SIDES = {"one process": (1, 2), "two processes": (2, 1)}  # processes, threads of each


def text(place: Path) -> Path:
    """A file of words drawn at random."""
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "no", "dog", "again"]
    chosen = np.random.default_rng(0).choice(words, 40_000)
    file = place / "text.txt"
    file.write_text(" ".join(chosen.tolist()))
    return file


def step_seconds(
    side: str, sources: Path, settings: list[str], steps: int, file: Path, place: Path
) -> float:
    """The median time of a step after the first third."""
    processes, threads = SIDES[side]
    with tempfile.TemporaryDirectory(dir=place) as folder:
        command = [sys.executable, "-m", "genwright", "train", "shakespeare", f"data.path={file}"]
        command += [*settings, f"training.threads={threads}", f"training.steps={steps}"]
        command += ["--run", f"{folder}/run", "--quiet"]
        if processes > 1:
            command += ["--processes", str(processes)]
        environment = os.environ | {
            "PYTHONPATH": str(sources),
            "OMP_NUM_THREADS": str(threads),
            "GENWRIGHT_CACHE": str(place / "cache"),
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        lines = Path(folder, "run", "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    seconds = [record["seconds"] for record in records if "loss" in record]
    return statistics.median(seconds[len(seconds) // 3 :])


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the run")
    parser.add_argument("--sources", type=Path, default=SOURCES)
    parser.add_argument("--out")
    a = parser.parse_args(words)
    settings = [*SETTINGS, f"training.precision={a.precision}", *a.set]
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        file = text(place)
        for number in range(a.pairs):
            order = list(SIDES)
            if number % 2:
                order.reverse()
            for side in order:
                found = step_seconds(side, a.sources.resolve(), settings, a.steps, file, place)
                seconds[side].append(found)
                print(f"{side}: {found * 1e3:.1f} ms a step", file=sys.stderr)
    pairs = zip(seconds["one process"], seconds["two processes"], strict=True)
    ratios = [one / two for one, two in pairs]
    ratio = statistics.median(ratios)
    figures = {
        "ratio": {"median": ratio, "least": min(ratios), "most": max(ratios), "n": len(ratios)},
        "ms a step": {side: statistics.median(found) * 1e3 for side, found in seconds.items()},
        "precision": a.precision,
    }
    return finish("ranks", figures, a.out)


if __name__ == "__main__":
    sys.exit(main())
