"""Seconds that `make demo` takes after the setup, from no cache to the report, and what its model
finds of held-out tunes, beside a run of ten minutes.

    python benchmarks/demo.py [--tries 3] [--long 10] [--data FOLDER] [--set KEY=VALUE ...]
        [--reward KEY=VALUE ...] [--out FILE]

Each try has a new folder of runs and an empty cache. --set changes both runs, --reward the
second. --long trains the same recipe for so many minutes; 0: none. Nothing else should run on the
machine.

Bars: the slowest try within 180 s; what the demo's model finds of held-out tunes within .05 bits a
token of the long run's.
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


def steps(run: Path) -> int:
    """How many it has: those of its recipe that fit into the time that it is given."""
    return max(
        json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()
    )


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
            "steps": steps(run),
            "steps of rewards": steps(rewarded),
            "held out, bits a token": round(held_out_loss(run) / math.log(2), 4),
            "held out after rewards, bits a token": round(held_out_loss(rewarded) / math.log(2), 4),
            "report, MB": round((rewarded / "report.html").stat().st_size / 1e6, 2),
        }


def long_run(words: list[str], minutes: float) -> dict:
    """The demo's recipe, trained for longer."""
    with tempfile.TemporaryDirectory(prefix="demo-") as scratch:
        run = Path(scratch) / "tunes"
        environment = os.environ | {"GENWRIGHT_CACHE": f"{scratch}/cache"}
        longer = [f"training.minutes={minutes:g}", "training.steps=1000000"]
        words = ["train", "tunes", "--run", str(run), *words, *longer]
        done = subprocess.run(
            [str(Path(sys.executable).parent / "genwright"), *words],
            env=environment,
            stdout=sys.stderr,
        )
        if done.returncode:
            raise SystemExit(f"genwright train tunes ended with {done.returncode}")
        return {
            "minutes": minutes,
            "steps": len((run / "metrics.jsonl").read_text().splitlines()),
            "held out, bits a token": round(held_out_loss(run) / math.log(2), 4),
        }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--long", type=float, default=10, help="minutes of the long run; 0: none")
    parser.add_argument("--data", help="tunes of yours in place of those that come with music21")
    parser.add_argument("--set", nargs="*", default=[], help="settings of both runs, key=value")
    parser.add_argument("--reward", nargs="*", default=[], help="settings of the second run")
    parser.add_argument("--out")
    a = parser.parse_args()
    both = [*a.set, f"data.path={a.data}"] if a.data else a.set
    words = [f"DEMO_ARGS={' '.join(both)}", f"DEMO_REWARD_ARGS={' '.join([*both, *a.reward])}"]
    tries = [tried(words) for _ in range(a.tries)]
    slowest = max(each["seconds"] for each in tries)
    figures: dict = {"tries": tries, "slowest, seconds": slowest}
    if a.long:
        figures["long run"] = long_run(both, a.long)
        worst = max(each["held out, bits a token"] for each in tries)
        above = worst - figures["long run"]["held out, bits a token"]
        figures["bits above the long run"] = round(above, 4)
    return finish("demo", figures, a.out)


if __name__ == "__main__":
    sys.exit(main())
