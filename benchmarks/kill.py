"""Kill tests: runs that are killed (SIGKILL) at a random instant and resumed must end bit for bit
like the run never stopped.

    python benchmarks/kill.py [--runs 100] [--gan 20] [--seed 0] [--out FILE]

A tiny language model trains on text that the script makes; the GAN is the toy of the tests.
Processes are forked from one that has imported everything, so that the instants fall into the run
(and, since it saves often, into saving), not into imports. Each run is killed up to three times, at
an instant uniform over the time that an undisturbed run takes, before it may finish.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]

import torch
from safetensors.torch import load_file

import genwright
from common import finish
from genwright.training import checkpoint
from genwright.training.records import read, without_clock
from training.toy_run import session

STEPS = 60


def language(folder: Path, resume: bool, data: Path) -> None:
    genwright.train(
        "docs",
        run=folder,
        resume=resume,
        quiet=True,
        **{
            "data.source": "files",
            "data.path": str(data / "text"),
            "data.cache": str(data / "cache"),
            "data.context": 32,
            "data.held_out": 0.2,
            "codec": "bytes",
            "model.depth": 2,
            "model.width": 32,
            "model.heads": 2,
            "training.batch_size": 8,
            "training.micro_batch": 3,
            "training.steps": STEPS,
            "training.checkpoint_every": 5,
            "training.evaluate_every": 7,
            "training.ema": 0.95,
            "training.precision": "fp32",
            "training.threads": 1,
        },
    )


def gan(folder: Path, resume: bool, data: Path) -> None:
    session("gan", folder, steps=STEPS, micro_batch=4, checkpoint_every=5, evaluate_every=7).train(
        resume=resume
    )


def child(run, folder: Path, data: Path) -> int:
    """Forks a process that starts or resumes the run; gives its number."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        resume = (folder / "recipe.yaml").is_file() or (
            run is gan and (folder / "checkpoints").is_dir()
        )
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)  # killed before there was anything to resume
        run(folder, resume, data)
        code = 0
    except BaseException:
        traceback.print_exc()  # nobody else would
    finally:
        os._exit(code)


def final(folder: Path):
    root = checkpoint.folder_of(folder / "checkpoints", STEPS)
    tensors = {(p.stem, n): t for p in root.glob("*.safetensors") for n, t in load_file(p).items()}
    return tensors, [without_clock(r) for r in read(folder / "metrics.jsonl")]


def equal(a, b) -> bool:
    return (
        a[1] == b[1]
        and a[0].keys() == b[0].keys()
        and all(torch.equal(a[0][k], b[0][k]) for k in a[0])
    )


def trial(run, runs: int, data: Path, work: Path, dice: random.Random) -> dict:
    whole = work / f"{run.__name__}-whole"
    began = time.monotonic()
    assert os.waitpid(child(run, whole, data), 0)[1] == 0
    length = time.monotonic() - began
    expected = final(whole)
    kills, saving, same = 0, 0, 0
    for i in range(runs):
        folder = work / f"{run.__name__}-{i}"
        for _ in range(dice.randint(1, 3)):
            pid = child(run, folder, data)
            time.sleep(dice.uniform(0.02, length))
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                kills += 1
                saving += any((folder / "checkpoints").glob(".step-*")) if folder.is_dir() else 0
        if not (checkpoint.folder_of(folder / "checkpoints", STEPS) / "manifest.json").exists():
            assert os.waitpid(child(run, folder, data), 0)[1] == 0, f"run {i} did not resume"
        if equal(final(folder), expected):
            same += 1
            shutil.rmtree(folder)
        else:
            print(f"{folder} differs", file=sys.stderr)
    return {
        "runs": runs,
        "bit-equal": same,
        "kills": kills,
        "of them while saving": saving,
        "seconds of a whole run": round(length, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--gan", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(1)
    dice = random.Random(a.seed)
    work = Path(tempfile.mkdtemp(prefix="kill-"))
    (work / "text").mkdir()
    for i in range(20):
        (work / "text" / f"{i}.txt").write_text(
            " ".join(f"{dice.randrange(1000)} is a number" for _ in range(60))
        )
    language(work / "warm", False, work)  # the data is prepared once, and torch knows how to save
    figures = {
        "language model": trial(language, a.runs, work, work, dice),
        "gan": trial(gan, a.gan, work, work, dice),
    }
    finish("kill", figures, a.out)
    bad = [n for n, f in figures.items() if f["runs"] != f["bit-equal"]]
    if bad:
        sys.exit(f"not bit-equal: {bad}; left in {work}")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
