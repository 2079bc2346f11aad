"""What it costs to bring a corpus up to date: one file of a large collection is changed, and the
same command is run again, beside a fresh build of the changed collection.

    python benchmarks/corpus_again.py [--megabytes 1000] [--workers 2] [--out FILE]

The raw files (1 MB each, documents of about 4 kB as lines of JSON, some of them near copies) are
made here. Processor seconds of the build and all its workers count, and seconds of the clock. The
corpus must be that of the fresh build, byte for byte, but for what belongs to shards that are no
longer used and the digests of raw files (`scans/`). Bar: at most 5% of a fresh build.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import finish

RECIPE = """
name: again
sources: [{kind: files, path: raw}]
filters: [gopher, c4, fineweb, {personal-data: redact}]
deduplicate: {similarity: 0.8, recall: 0.95}
mix: {held_out: 0.02}
"""
DOCUMENT = 4000  # characters, about
FILE = 1_000_000  # bytes, about
COPIES = 0.1  # share of documents that are near copies
COMMON = (
    "the of and to a in that is was he for it with as his on be at by had this not are but from"
)


def document(dice: random.Random, known: list[list[str]]) -> str:
    """Sentences of common and rare words; now and then one of before with some words changed."""
    if known and dice.random() < COPIES:
        words = list(dice.choice(known))
        for _ in range(5):
            words[dice.randrange(len(words))] = f"w{dice.randrange(10**6)}"
    else:
        words = []
        length = 0
        while length < DOCUMENT:
            rare = dice.random() < 0.5
            word = f"w{dice.randrange(50_000)}" if rare else dice.choice(COMMON.split())
            words.append(word)
            length += len(word) + 1
    known.append(words)
    del known[:-50]
    lines = []
    for start in range(0, len(words), 14):
        lines.append(" ".join(words[start : start + 14]).capitalize() + ".")
    return "\n".join(lines)


def write_file(path: Path, seed: int) -> None:
    dice = random.Random(seed)
    known: list[list[str]] = []
    size = 0
    with open(path, "w", encoding="utf-8") as file:
        while size < FILE:
            line = json.dumps({"text": document(dice, known)})
            file.write(line + "\n")
            size += len(line) + 1


def build(place: Path, corpus: str, workers: int) -> dict[str, float]:
    """Seconds of a build and its workers. Raises RuntimeError where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    words = ["data", "build", "corpus.yaml", "--corpus", corpus, "--workers", str(workers)]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "genwright", *words, "--quiet"],
        cwd=place,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "processor seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "seconds": time.monotonic() - began,
    }


def bytes_of(corpus: Path, keys: set[str]) -> dict[str, str]:
    """Digests of the files of a corpus that are of these shards, or of no shard."""
    found = {}
    for path in sorted(corpus.rglob("*")):
        parts = path.relative_to(corpus).parts
        if not path.is_file() or parts[0] == "scans":
            continue
        of_shard = [part.split(".")[0] for part in parts if len(part.split(".")[0]) == 32]
        if all(key in keys for key in of_shard):
            found["/".join(parts)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out")
    a = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="corpus-again-") as temporary:
        place = Path(temporary)
        (place / "raw").mkdir()
        for number in range(a.megabytes):
            write_file(place / "raw" / f"{number:05}.jsonl", number)
        (place / "corpus.yaml").write_text(RECIPE, encoding="utf-8")
        first = build(place, "kept", a.workers)
        nothing = build(place, "kept", a.workers)
        write_file(place / "raw" / f"{a.megabytes // 2:05}.jsonl", 10**6)
        again = build(place, "kept", a.workers)
        fresh = build(place, "fresh", a.workers)
        listed = json.loads((place / "fresh" / "sources.json").read_text(encoding="utf-8"))
        keys = {key for each in listed for key in each["shards"]}
        kept = bytes_of(place / "kept", keys)
        equal = kept == bytes_of(place / "fresh", keys)
        counts = json.loads((place / "fresh" / "mix" / "counts.json").read_text(encoding="utf-8"))
    share = again["processor seconds"] / fresh["processor seconds"]
    figures = {
        "megabytes": a.megabytes,
        "documents": counts["documents"],
        "shards": len(keys),
        "first build": first,
        "nothing changed": nothing,
        "one file changed": again,
        "fresh build": fresh,
        "share of a fresh build": round(share, 4),
        "share, by the clock": round(again["seconds"] / fresh["seconds"], 4),
        "equal byte for byte": equal,
    }
    return finish("corpus_again", figures, a.out)


if __name__ == "__main__":
    sys.exit(main())
