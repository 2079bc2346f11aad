"""Builds of a corpus that are killed (SIGKILL) at a random instant; the same command again must end
with the corpus of a build that nobody stopped, byte for byte.

    python benchmarks/corpus_kill.py [--runs 50] [--files 60] [--workers 2] [--seed 0] [--out FILE]

The raw files are made here: texts with copies, near copies and addresses in them. A build is a
process of its own, killed with its workers at an instant uniform over the shortest time that an
undisturbed one took from its first file on (before it there is nothing to lose); half of them are
killed once more before they may finish. A build that ended before its instant is begun anew: each
run is killed. Digests of raw files are compared by the time of their change, so `scans/` is left
out. What differs is named.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import finish

RECIPE = """
name: killed
sources: [{kind: files, path: raw, licence: CC0-1.0}]
filters: [gopher, c4, {personal-data: redact}]
deduplicate: {similarity: 0.8, recall: 0.95}
mix: {held_out: 0.1}
"""
WORDS = "the of and to a in that is was he for it with as his on be at by this had not are"


def write_raw(folder: Path, files: int, seed: int) -> None:
    """Texts of some hundred words, a third of them copies or near copies of others."""
    dice = random.Random(seed)
    folder.mkdir(parents=True)
    known: list[list[str]] = []
    for number in range(files):
        kind = dice.random()
        if known and kind < 0.15:
            words = dice.choice(known)
        elif known and kind < 0.35:
            words = list(dice.choice(known))
            words[dice.randrange(len(words))] = f"changed{number}"
        else:
            words = []
            for _ in range(dice.randrange(80, 300)):
                rare = dice.random() < 0.5
                words.append(f"word{dice.randrange(3000)}" if rare else dice.choice(WORDS.split()))
        known.append(words)
        lines = []
        for start in range(0, len(words), 12):
            lines.append(" ".join(words[start : start + 12]).capitalize() + ".")
        if number % 5 == 0:
            lines.append(f"Write to person{number}@example.org for more of this text.")
        (folder / f"{number:04}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def started(place: Path, corpus: Path, workers: int) -> subprocess.Popen:
    code = (
        "import genwright.curation.build as b; b.UNIT = 8000;"
        " import genwright.curation.engines as e; e.SMALL = 0;"
        " from genwright.cli import main; main()"
    )
    words = ["data", "build", "corpus.yaml", "--corpus", corpus, "--workers", workers, "--quiet"]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code, *map(str, words)],
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for_first_file(process: subprocess.Popen[bytes], corpus: Path) -> None:
    """Until the corpus exists, or the process has ended."""
    while not corpus.exists() and process.poll() is None:
        time.sleep(0.002)


def built(place: Path, corpus: Path, workers: int) -> float:
    """Seconds of a build that is not stopped, from its first file on. Raises RuntimeError where it
    fails."""
    process = started(place, corpus, workers)
    wait_for_first_file(process, corpus)
    began = time.monotonic()
    _, errors = process.communicate()
    if process.returncode:
        raise RuntimeError(errors.decode()[-2000:])
    return time.monotonic() - began


def killed(place: Path, corpus: Path, workers: int, after: float) -> bool:
    """Whether a build was still at work when it was killed."""
    is_new = not corpus.exists()
    process = started(place, corpus, workers)
    if is_new:
        wait_for_first_file(process, corpus)
    try:
        process.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    return False


def bytes_of(corpus: Path) -> dict[str, str]:
    found = {}
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and "scans" not in path.parts:
            name = str(path.relative_to(corpus))
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """What is missing, too much, or other than expected."""
    listed = []
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            listed.append(f"missing: {name}")
        elif name not in expected:
            listed.append(f"too much: {name}")
        elif found[name] != expected[name]:
            listed.append(f"other: {name}")
    return listed


def stage_of(corpus: Path) -> str:
    """How far a build had come."""
    for name in ("mix", "mix.draft", "near", "attributes", "documents"):
        if (corpus / name).is_dir():
            return name
    return "before documents"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--files", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out")
    a = parser.parse_args(words)
    dice = random.Random(a.seed)
    stages: Counter[str] = Counter()
    equal = 0
    named: list[str] = []
    with tempfile.TemporaryDirectory(prefix="corpus-kill-") as temporary:
        place = Path(temporary)
        write_raw(place / "raw", a.files, a.seed)
        (place / "corpus.yaml").write_text(RECIPE, encoding="utf-8")
        built(place, place / "first", a.workers)  # what is imported is in the disk's cache now
        seconds = min(built(place, place / f"timed-{number}", a.workers) for number in range(3))
        built(place, place / "whole", a.workers)
        expected = bytes_of(place / "whole")
        same_twice = bytes_of(place / "first") == expected
        for number in range(a.runs):
            corpus = place / f"run-{number}"
            left = 1 + number % 2
            while left:
                if killed(place, corpus, a.workers, dice.uniform(0, seconds)):
                    stages[stage_of(corpus)] += 1
                    left -= 1
                else:
                    shutil.rmtree(corpus)
            built(place, corpus, a.workers)
            unlike = differences(bytes_of(corpus), expected)
            equal += not unlike
            named += [f"run {number}: {each}" for each in unlike[:5]]
            shutil.rmtree(corpus)
    figures = {
        "runs": a.runs,
        "byte-equal": equal,
        "different": named,
        "kills": stages.total(),
        "had come to": dict(stages),
        "two builds are equal": same_twice,
        "files of the corpus": len(expected),
        "seconds of a build": round(seconds, 2),
    }
    return finish("corpus_kill", figures, a.out)


if __name__ == "__main__":
    sys.exit(main())
