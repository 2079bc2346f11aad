"""Memory that `train` and `evaluate` take beside the size of the data: it must not grow with the
number of documents.

    python benchmarks/flat_memory.py [--megabytes 10 100 1000] [--of folder corpus] [--out FILE]

The data (lines of JSON of 200 to 400 bytes, each a document, of a fixed set of words; one in
hundred is a copy) are made here. They are trained on straight from their folder and as a corpus
(`genwright data build`), each time with an empty cache: preparing counts. A tiny model learns for
some steps, then the whole held-out split is measured. Each command is a process of its own; the
anonymous memory (Pss_Anon of /proc, which counts a page once that several processes share) of it
and of all that it starts together is sampled, and the largest is kept. Workers take memory of their
own, whatever the size of the data, but only where there is more than one unit of it to be done: so
there are none unless they are asked for. Bar: within 10% of the smallest size.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import finish

RECIPE = """
data: {path: PATH, context: 64, held_out: HELD_OUT, workers: WORKERS}
codec: {kind: bpe, vocabulary: 2048, sample: 8}
model: {preset: nanochat, depth: 1, width: 32, heads: 2}
objective: causal
training:
  steps: 4
  batch_size: 8
  evaluate_every: 0
  precision: fp32
  threads: 1
"""
CORPUS = """
name: corpus
sources: [{kind: files, path: raw}]
mix: {held_out: HELD_OUT}
"""
FILE = 1_000_000  # bytes, about
WORDS = 20_000  # different ones
SEED = 5
COPIES = 0.01  # share of documents that are copies
EVERY = 0.05  # seconds between two looks at the memory
SAMPLES = "4"  # that an evaluation draws


class Words:
    """Made-up words, common and rare ones, as in a language."""

    def __init__(self) -> None:
        dice = random.Random(SEED)
        syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprst", "aeiou")]
        found: dict[str, None] = {}
        while len(found) < WORDS:
            found["".join(dice.choices(syllables, k=dice.randint(1, 4)))] = None
        self.words = list(found)
        self.weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(WORDS)))

    def document(self, dice: random.Random) -> str:
        """200 to 400 bytes, about."""
        count = dice.randint(30, 60)
        return " ".join(dice.choices(self.words, cum_weights=self.weights, k=count))


def write_raw(folder: Path, megabytes: float) -> int:
    """The raw files; how many documents they hold."""
    folder.mkdir(parents=True)
    words = Words()
    documents = 0
    left = megabytes * 1e6
    number = 0
    while left > 0:
        dice = random.Random(SEED + 1 + number)
        lines = []
        size = 0
        text = ""
        while size < min(FILE, left):
            if not text or dice.random() > COPIES:
                text = words.document(dice)
            lines.append(json.dumps({"text": text}) + "\n")
            size += len(lines[-1])
        (folder / f"{number:05}.jsonl").write_text("".join(lines), encoding="utf-8")
        documents += len(lines)
        left -= size
        number += 1
    return documents


def tree(root: int) -> list[int]:
    """A process and all that it started, directly or not."""
    found = [root]
    for process in found:
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            found += map(int, path.read_text(encoding="ascii").split())
    return found


def anonymous(process: int) -> float:
    """MB that no file backs. 0 for a process that has ended."""
    try:
        status = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("Pss_Anon"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def taken(root: int) -> float:
    """MB of a process and all that it started."""
    try:
        return sum(map(anonymous, tree(root)))
    except OSError:  # one of them has just ended
        return 0.0


def largest(place: Path, words: list[str]) -> dict[str, float]:
    """The largest memory of a command, and its seconds. Raises RuntimeError where it fails."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "RAYON_NUM_THREADS": "1",
        "GENWRIGHT_CACHE": str(place / "cache"),
    }
    began = time.monotonic()
    peak = 0.0
    with open(place / "errors", "w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "genwright", *words],
            cwd=place,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        while process.poll() is None:
            peak = max(peak, taken(process.pid))
            time.sleep(EVERY)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(words)}: {errors.read()[-2000:]}")
    return {"MB": round(peak, 1), "seconds": round(time.monotonic() - began, 1)}


def commands(place: Path, path: str, settings: dict[str, str]) -> dict[str, dict[str, float]]:
    """What training on the data at `path` takes, from an empty cache, and evaluating the run.
    settings: name in RECIPE -> value."""
    recipe = RECIPE.replace("PATH", path)
    for name, value in settings.items():
        recipe = recipe.replace(name, value)
    (place / "tiny.yaml").write_text(recipe, encoding="utf-8")
    run = ["--run", f"runs/{path}"]
    found = {}
    found["train"] = largest(place, ["train", "tiny.yaml", *run, "--quiet"])
    found["evaluate"] = largest(place, ["evaluate", f"runs/{path}", "--samples", SAMPLES])
    shutil.rmtree(place / "cache")
    return found


def measured(megabytes: float, kinds: list[str], settings: dict[str, str], scratch: str) -> dict:
    """What each command takes for so much data."""
    with tempfile.TemporaryDirectory(prefix="flat-memory-", dir=scratch) as temporary:
        place = Path(temporary)
        found: dict = {"documents": write_raw(place / "raw", megabytes)}
        if "folder" in kinds:
            found["folder"] = commands(place, "raw", settings)
        if "corpus" in kinds:
            corpus = CORPUS.replace("HELD_OUT", settings["HELD_OUT"])
            (place / "corpus.yaml").write_text(corpus, encoding="utf-8")
            words = ["data", "build", "corpus.yaml", "--corpus", "corpus", "--quiet"]
            built = largest(place, [*words, "--workers", settings["WORKERS"]])
            found["corpus"] = {"build": built, **commands(place, "corpus", settings)}
    return found


def ratios(by_size: dict[str, dict], kinds: list[str]) -> dict[str, list[float]]:
    """Memory of each command, by size, as a share of that of the smallest."""
    found = {}
    sizes = list(by_size.values())
    for kind in kinds:
        for command in ("train", "evaluate"):
            first = sizes[0][kind][command]["MB"]
            shares = [round(size[kind][command]["MB"] / first, 3) for size in sizes]
            found[f"{command}, {kind}"] = shares
    return found


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=float, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--of", nargs="+", choices=["folder", "corpus"], default=["folder"])
    parser.add_argument("--held-out", default="0.005")
    parser.add_argument("--workers", default="1")
    parser.add_argument("--scratch", help="folder for the data, which may be large")
    parser.add_argument("--out")
    a = parser.parse_args(words)
    settings = {"HELD_OUT": a.held_out, "WORKERS": a.workers}
    by_size = {}
    for megabytes in sorted(a.megabytes):
        by_size[f"{megabytes:g} MB"] = measured(megabytes, a.of, settings, a.scratch)
        print(json.dumps(by_size), file=sys.stderr)
    found = ratios(by_size, a.of)
    return finish("flat_memory", {"settings": settings, **by_size, "ratios": found}, a.out)


if __name__ == "__main__":
    sys.exit(main())
