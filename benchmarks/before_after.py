"""Speed of this tree beside another one (before a change): the same work through the public API, in
turns.

    python benchmarks/before_after.py --before SOURCES [--pairs 10] [--warm 1] [--only text ...]
        [--by-step] [--out FILE]

SOURCES: the `src` folder of the other tree. Each measurement is a process of its own, with one
thread; what counts is its processor time around the work, imports and preparation aside, which a
busy machine disturbs less than the clock. Work: training a causal transformer on text, a VAE, a GAN
and a flow of pictures; drawing 16 texts, and one; figures of a VAE with its likelihoods. Ratio:
this tree's seconds over the other's, the median over pairs with a 95% interval (bootstrap over
pairs).

--by-step, of training alone: of each pair both trees train at once and take turns of a second,
stopped and woken by signals, so that both meet the same machine. What counts are the processor
seconds of all steps. (Two processes of one tree differ by several percent, whatever they do, so
that steps of one pair say little: a pair is one number.)
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from common import finish

ROOT = Path(__file__).parent.parent
SHAPE = {"model.depth": 4, "model.width": 128, "model.heads": 4, "data.context": 64}
COMMON = {
    "training.precision": "fp32",
    "training.threads": 1,
    "training.evaluate_every": 0,
    "training.checkpoint_every": 0,
    "watching.samples": 0,
}
# name -> (recipe, settings, steps that are timed, steps before)
TRAINED = {
    "text": ("docs", {**SHAPE, "training.batch_size": 12, "codec": "bytes"}, 50, 10),
    "digits-vae": ("digits-vae", {"training.batch_size": 32}, 120, 10),
    "digits-gan": ("digits-gan", {"training.batch_size": 32}, 40, 3),
    "digits-flow": ("digits-flow", {"training.batch_size": 32}, 20, 3),
}
DRAWN = {"draw-16": (16, 500), "draw-1": (1, 1500)}
FIGURES = "vae-figures"
EVERY = [*TRAINED, *DRAWN, FIGURES]

WORKER = """
import json, sys, time
job = json.loads(sys.argv[1])
begun = []  # processor seconds, when each step begins
if job.get("by step"):
    def clock():
        now = time.process_time()
        if sys._getframe(1).f_globals["__name__"].endswith("training.loop"):
            begun.append(now)  # the loop looks at the clock before and behind each step
        return now
    time.perf_counter = clock
import torch
torch.set_num_threads(1)
import genwright
if job["work"] == "train":
    done = genwright.train(job["recipe"], run=job["run"], quiet=True, until=job["first"],
                           **job["settings"])
    began = time.process_time()
    genwright.train(job["recipe"], run=job["run"], quiet=True, resume=True, **job["settings"])
elif job["work"] == "draw":
    run = genwright.load(job["run"])
    run.sample(prompts=["the "], n=1, max_tokens=4, seed=1)
    began = time.process_time()
    run.sample(prompts=["the "], n=job["n"], max_tokens=job["tokens"], seed=1)
else:
    run = genwright.load(job["run"])
    run.objective
    began = time.process_time()
    run.evaluate(samples=64)
print(json.dumps(begun[::2]) if begun else time.process_time() - began)
"""


def seconds(sources: Path, job: dict, place: Path) -> float:
    """Processor seconds of a job with one of the trees."""
    done = started(sources, job, place)
    out, errors = done.communicate()
    if done.returncode:
        raise RuntimeError(errors[-2000:])
    return float(out.split()[-1])


def started(sources: Path, job: dict, place: Path) -> subprocess.Popen:
    """The process of a job with one of the trees."""
    environment = os.environ | {
        "PYTHONPATH": str(sources),
        "OMP_NUM_THREADS": "1",
        "GENWRIGHT_CACHE": str(place / "cache"),
    }
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, json.dumps(job)],
        env=environment,
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def corpus(place: Path) -> None:
    """Small data of our own: texts, and pictures of squares."""
    words = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "no", "dog", "again"]
    random = np.random.default_rng(0)
    folder = place / "texts"
    folder.mkdir()
    for number in range(40):
        chosen = random.choice(words, 1500)
        (folder / f"{number}.txt").write_text(" ".join(chosen.tolist()))
    x = random.integers(0, 60, (1200, 28, 28)).astype(np.uint8)
    y = random.integers(0, 10, 1200)
    for picture, digit in zip(x, y, strict=True):
        picture[digit * 2 : digit * 2 + 6, 8:20] = 250
    np.savez(place / "x.npz", x_train=x[:1000], y_train=y[:1000], x_test=x[1000:], y_test=y[1000:])


def job_of(name: str, place: Path, run: Path, scale: float) -> dict:
    """What a worker is told to do. run: a new folder, or one that was trained before."""
    if name in TRAINED:
        recipe, settings, steps, first = TRAINED[name]
        path = "texts" if name == "text" else "x.npz"
        steps = max(1, round(scale * steps))
        given = COMMON | settings | {"training.steps": first + steps, "data.path": path}
        job = {"work": "train", "recipe": recipe, "settings": given, "first": first}
    elif name in DRAWN:
        n, tokens = DRAWN[name]
        job = {"work": "draw", "n": n, "tokens": max(1, round(scale * tokens))}
    else:
        job = {"work": "figures"}
    return job | {"run": str(run)}


def pairs_of(
    name: str, before: Path, count: int, warm: int, place: Path, scale: float
) -> list[tuple[float, float]]:
    """(seconds before, seconds now), so many times, in turns whose order alternates. warm: pairs
    that come first, fill caches and do not count."""
    trees = {"before": before, "now": ROOT / "src"}
    trained = {}
    for tree, sources in trees.items():
        if name not in TRAINED:  # each tree draws from a run of its own
            made = "text" if name in DRAWN else "digits-vae"
            trained[tree] = place / f"{tree}-{made}"
            if not trained[tree].exists():
                seconds(sources, job_of(made, place, trained[tree], scale), place)
    found = []
    for number in range(warm + count):
        order = list(trees.items())
        if number % 2:
            order.reverse()
        times = {}
        for tree, sources in order:
            run = trained.get(tree) or place / f"{name}-{tree}-{number}".replace(" ", "-")
            times[tree] = seconds(sources, job_of(name, place, run, scale), place)
        if number >= warm:
            found.append((times["before"], times["now"]))
    return found


TURN = 1.0  # seconds


def by_step(
    name: str, before: Path, count: int, place: Path, scale: float
) -> list[tuple[float, float]]:
    """(seconds before, seconds now), so many times, of the steps of two trainings that take
    turns; the first turn is each tree's in turn."""
    pairs = []
    for number in range(count):
        first = "before" if number % 2 else "now"
        pairs.append(steps_in_turns(name, before, first, place / f"{name}-{number}", place, scale))
    return pairs


def steps_in_turns(
    name: str, before: Path, first: str, runs: Path, place: Path, scale: float
) -> tuple[float, float]:
    """(seconds before, seconds now) of the steps of one pair. first: the tree that begins."""
    workers = {}
    for tree, sources in (("before", before), ("now", ROOT / "src")):
        job = job_of(name, place, runs / tree, scale) | {"by step": True}
        workers[tree] = started(sources, job, place)
        if tree != first:
            workers[tree].send_signal(signal.SIGSTOP)
    turn = first
    while all(worker.poll() is None for worker in workers.values()):
        time.sleep(TURN)
        workers[turn].send_signal(signal.SIGSTOP)
        turn = "before" if turn == "now" else "now"
        workers[turn].send_signal(signal.SIGCONT)
    found = []
    for tree in ("before", "now"):
        workers[tree].send_signal(signal.SIGCONT)
        out, errors = workers[tree].communicate()
        if workers[tree].returncode:
            raise RuntimeError(errors[-2000:])
        begun = np.array(json.loads(out.splitlines()[-1]))
        steps = np.diff(begun)[TRAINED[name][3] :]  # with what is done between two steps
        found.append(float(steps.sum()))
    return found[0], found[1]


def ratio(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """The median ratio and its 95% interval."""
    ratios = np.array([now / before for before, now in pairs])
    random = np.random.default_rng(0)
    drawn = np.median(random.choice(ratios, (4000, len(ratios))), axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {
        "ratio": round(float(np.median(ratios)), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "pairs": len(pairs),
        "seconds before": round(float(np.median([before for before, _ in pairs])), 3),
        "seconds now": round(float(np.median([now for _, now in pairs])), 3),
    }


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--warm", type=int, default=1, help="pairs that do not count")
    parser.add_argument("--scale", type=float, default=1.0, help="of the work")
    parser.add_argument("--only", nargs="+", default=EVERY, choices=EVERY)
    parser.add_argument("--by-step", action="store_true")
    parser.add_argument("--out")
    a = parser.parse_args(words)
    figures = {}
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        corpus(place)
        for name in a.only:
            before = a.before.resolve()
            if a.by_step:
                pairs = by_step(name, before, a.pairs, place, a.scale)
            else:
                pairs = pairs_of(name, before, a.pairs, a.warm, place, a.scale)
            figures[name] = ratio(pairs)
            print(f"{name}: {json.dumps(figures[name])}", flush=True)
    return finish("before_after", figures, a.out)


if __name__ == "__main__":
    sys.exit(main())
