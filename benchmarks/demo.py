"""Seconds that `make demo` takes after the setup, from no cache to the report, and what its model
finds of held-out tunes.

    python benchmarks/demo.py [--tries 3] [--data FOLDER] [--set KEY=VALUE ...]
        [--reward KEY=VALUE ...] [--out FILE]

Each try has a new folder of runs and an empty cache. --set changes both runs, --reward the
second. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import finish

ROOT = Path(__file__).parents[1]


def held_out_loss(run: Path) -> float:
    """Nats a token of held-out data, as last measured while training."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    losses = [record["held_out"]["loss"] for record in records if record.get("held_out")]
    return losses[-1]


def tried(words: list[str]) -> dict:
    """One demo in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="demo-") as scratch:
        run = Path(scratch) / "tunes"
        environment = os.environ | {"GENWRIGHT_CACHE": f"{scratch}/cache", "MAKEFLAGS": ""}
        began = time.perf_counter()
        done = subprocess.run(
            ["make", "demo", "-o", "setup", f"BIN={Path(sys.executable).parent}", *words]
            + [f"DEMO_RUN={run}"],
            cwd=ROOT,
            env=environment,
            stdout=sys.stderr,
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"make demo ended with {done.returncode}")
        rewarded = run.with_name("tunes-endings")
        return {
            "seconds": round(seconds, 1),
            "held out, bits a token": round(held_out_loss(run) / math.log(2), 4),
            "held out after rewards, bits a token": round(held_out_loss(rewarded) / math.log(2), 4),
            "report, MB": round((rewarded / "report.html").stat().st_size / 1e6, 2),
        }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--data", help="tunes of yours in place of those that come with music21")
    parser.add_argument("--set", nargs="*", default=[], help="settings of both runs, key=value")
    parser.add_argument("--reward", nargs="*", default=[], help="settings of the second run")
    parser.add_argument("--out")
    a = parser.parse_args()
    both = [*a.set, f"data.path={a.data}"] if a.data else a.set
    words = [f"DEMO_ARGS={' '.join(both)}", f"DEMO_REWARD_ARGS={' '.join([*both, *a.reward])}"]
    tries = [tried(words) for _ in range(a.tries)]
    slowest = max(each["seconds"] for each in tries)
    return finish("demo", {"tries": tries, "slowest, seconds": slowest}, a.out)


if __name__ == "__main__":
    sys.exit(main())
