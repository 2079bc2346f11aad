"""Kill tests: runs that are killed (SIGKILL) at a random instant and resumed must end bit for bit
like the run never stopped.

    python benchmarks/kill.py [--runs 100] [--gan 20] [--policy 20] [--seed 0] [--out FILE]

A tiny language model trains on text that the script makes; the GAN is the toy of the tests; the
policy learns to add from a reward.
Processes are forked from one that has imported everything, so that the instants fall into the run
(and, since it saves often, into saving), not into imports. Each run is killed up to three times, at
an instant uniform over the time that an undisturbed run takes, before it may finish. A policy is
besides killed within a step that the dice choose: when its rollout is drawn and not yet decoded, in
its reward, and between the updates of the step.
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


ADDS = {
    "data.context": 32,
    "model.depth": 2,
    "model.width": 32,
    "model.heads": 2,
    "training.batch_size": 16,
    "training.precision": "fp32",
    "training.threads": 1,
}


def adding(folder: Path, data: Path) -> None:
    """What the policy begins with."""
    steps = {"training.steps": 40}
    cache = {"data.cache": str(data / "cache")}
    genwright.train("arithmetic-base", run=folder, quiet=True, **ADDS, **steps, **cache)


def policy(folder: Path, resume: bool, data: Path) -> None:
    genwright.train(
        "arithmetic",
        run=folder,
        resume=resume,
        quiet=True,
        start=None if resume else str(data / "adding"),
        **ADDS,
        **{
            "data.cache": str(data / "cache"),
            "objective.candidates": 4,
            # longer samples too: right sums are rare here, and without reward nothing is learned
            "objective.rewards": [{"measure": "right result"}, {"measure": "length"}],
            "watching.on_gaming": "warn",  # it may well be gamed, and shall go to its end
            "objective.updates": 2,
            "training.steps": STEPS,
            "training.checkpoint_every": 5,
            "training.evaluate_every": 7,
        },
    )


def killed_within(phase: str, call: int):
    """Lets this process kill itself at the call `call` of a phase: what the phase does is done, and
    what follows it in the step is not."""
    from genwright.rewards import reward, rollout
    from genwright.training import weights

    owner, name = {
        "rollout": (rollout, "generate_tokens"),
        "reward": (reward.Reward, "__call__"),
        "update": (weights.Weights, "update"),
    }[phase]
    original = getattr(owner, name)
    calls = 0

    def counted(*args, **kwargs):
        nonlocal calls
        found = original(*args, **kwargs)
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, counted)


PHASES = ("rollout", "reward", "update")


def child(run, folder: Path, data: Path, within: tuple[str, int] | None = None) -> int:
    """Forks a process that starts or resumes the run; gives its number. within: the phase of a step
    and the call of it at which the process kills itself."""
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
        if within:
            killed_within(*within)
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
    inside = dict.fromkeys(PHASES, 0)
    for i in range(runs):
        folder = work / f"{run.__name__}-{i}"
        for _ in range(dice.randint(1, 3)):
            if run is policy:
                phase = dice.choice(PHASES)
                pid = child(run, folder, data, (phase, dice.randint(1, STEPS)))
                # past its last step a run ends before it is killed
                inside[phase] += os.waitpid(pid, 0)[1] == signal.SIGKILL
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
        **({"kills within a phase": inside} if run is policy else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--gan", type=int, default=20)
    parser.add_argument("--policy", type=int, default=20)
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
    if a.policy:
        adding(work / "adding", work)
    language(work / "warm", False, work)  # the data is prepared once, and torch knows how to save
    wanted = {"language model": (language, a.runs), "gan": (gan, a.gan)}
    wanted["policy"] = (policy, a.policy)
    figures = {}
    for name, (run, runs) in wanted.items():
        if runs:
            figures[name] = trial(run, runs, work, work, dice)
    code = finish("kill", figures, a.out)
    if code:
        print(f"the runs are left in {work}", file=sys.stderr)
        sys.exit(code)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
