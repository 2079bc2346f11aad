"""What a command costs however little it does: `--help`, a run of one step, one sample.

    python benchmarks/fixed_costs.py [--tries 7] [--data FILE] [--threads 2] [--before SOURCES] \
        [--out FILE]

1. `help`: `genwright --help`.
2. `one step`: `genwright train shakespeare training.steps=1` with the networks of shakespeare.py
   (`short`): importing, preparing 1.1 million characters with an empty cache, measuring the
   precision, a step, evaluating the whole validation split, saving.
3. `sample`: `genwright sample` of a run of one step of ring-gan, which draws 1,000 points.

Seconds of whole processes, and their processor seconds (of all threads, which count waiting in a
loop as work), over several tries in turns: median, lowest and highest. The bars are of the median
seconds. Beside other work of the machine seconds say little, and processor seconds of one thread
(`--threads 1`) more. Without `--data` the text is made up. `--before`: the folder with the sources
of another version, whose commands take turns with ours ("one step, before").
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import finish
from shakespeare import SHORT

CHARACTERS = 1_115_394  # as many as tinyshakespeare has


def made_up(path: Path) -> None:
    """A text of 65 different characters, in lines of words."""
    dice = random.Random(0)
    letters = [chr(code) for code in range(59, 122)]
    words = ["".join(dice.choices(letters, k=dice.randint(2, 9))) for _ in range(5000)]
    lines = []
    length = 0
    while length < CHARACTERS:
        line = " ".join(dice.choices(words, k=8))
        lines.append(line)
        length += len(line) + 1
    path.write_text("\n".join(lines), encoding="utf-8")


def commands(data: Path, work: Path) -> dict[str, list[str]]:
    """Name -> words of the command."""
    of_text = [f"data.path={data}", f"data.cache={work / 'cache'}", "training.steps=1"]
    return {
        "help": ["--help"],
        "one step": ["train", "shakespeare", *of_text, *SHORT, "--run", str(work / "run")],
        "sample": ["sample", str(work / "ring")],
    }


def seconds_of(words: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds, and processor seconds, of a command in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "genwright", *words],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor


def spread(times: list[float]) -> dict[str, float]:
    return {"median": statistics.median(times), "lowest": min(times), "highest": max(times)}


def measured(a: argparse.Namespace, work: Path) -> dict:
    data = a.data
    if data is None:
        data = work / "text.txt"
        made_up(data)
    environment = os.environ | {"OMP_NUM_THREADS": str(a.threads)}
    versions = {"": environment}
    if a.before:
        versions[", before"] = environment | {"PYTHONPATH": str(a.before.absolute())}
    ring = ["train", "ring-gan", "training.steps=1", "watching.samples=0"]
    seconds_of([*ring, "--run", str(work / "ring")], environment)
    times: dict[str, list[tuple[float, float]]] = {}
    for _ in range(a.tries):
        for name, words in commands(data, work).items():
            for version, variables in versions.items():
                for folder in (work / "run", work / "cache", work / "ring" / "samples"):
                    shutil.rmtree(folder, ignore_errors=True)
                found = seconds_of(words, variables)
                times.setdefault(name + version, []).append(found)
    figures: dict = {"tries": a.tries, "threads of a command": a.threads}
    for name, found in times.items():
        seconds, processor = zip(*found, strict=True)
        figures[name] = {"seconds": spread(seconds), "processor seconds": spread(processor)}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tries", type=int, default=7)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--out")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(a, Path(folder))
    sys.exit(finish("fixed_costs", figures, a.out))


if __name__ == "__main__":
    main()
