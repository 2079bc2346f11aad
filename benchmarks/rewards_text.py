"""Text and code that is rewarded, beside the alternatives.

    python benchmarks/rewards_text.py arithmetic [--seeds 3] [--samples 64] [--set training.steps=9]
    python benchmarks/rewards_text.py code [--run runs/code] [--seeds 1] [--samples 256]

arithmetic: recipe `arithmetic-base`, then recipe `arithmetic` from it. Bar: pass@1 on problems that
were never trained on from at most 40% to at least 90%, pass@16 not lower, for each seed. pass@k is
the unbiased estimate from `--samples` samples of each problem at temperature 1. Beside it, from the
same weights and for as many seconds of training: supervised training continued; rejection
fine-tuning (supervised training on what the model had right of 8 samples of each training problem;
drawing them counts). Best-of-8 is the model of before with somebody who picks the right one of 8
samples: its pass@8.

code: recipe `code-parses` from a run of `code`. The share of samples that parse before and after,
beside real windows of the same lengths; distinct-4 at equal numbers of tokens; the loss on held-out
code. There is no bar.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import genwright
from common import finish
from genwright.contents.text.evaluate import PYTHON
from genwright.contents.text.generate import Generated, generate
from genwright.contents.text.measures_answers import right_result
from genwright.contents.text.sample_figures import windows
from genwright.core.content import Sample
from genwright.evaluation.pass_at_k import mean_pass_at_k
from genwright.evaluation.token_samples import distinct, repetition, until
from genwright.sampling.drawing import Decoding

BEFORE_AT_MOST = 0.4
AFTER_AT_LEAST = 0.9
DRAWN = 8  # samples of each training problem that rejection fine-tuning picks from
ROWS = 2048  # samples that are drawn together
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def seconds_of(run: genwright.Run) -> float:
    """Seconds of a run's steps; evaluations and checkpoints do not count."""
    return sum(record["seconds"] for record in run.records if "loss" in record)


def steps_in(run: genwright.Run, seconds: float) -> int:
    """How many of a run's steps take so long."""
    steps = [record["seconds"] for record in run.records if "loss" in record]
    return max(1, round(seconds / float(np.median(steps))))


def drawn(run: genwright.Run, prompts: list[str], n: int, seed: int) -> list[Generated]:
    """`n` samples of each prompt at temperature 1, in order."""
    settings = Decoding(max_tokens=run.recipe.sampling.max_tokens, seed=seed, **PLAIN)
    events = generate(run.model, run.codec, prompts, n, settings, batch=ROWS)
    return [event for event in events if isinstance(event, Generated)]


# ---- arithmetic


def problems_of(run: genwright.Run, split: str) -> list[str]:
    """The questions of a split: "12+34="."""
    dataset = run.dataset()
    texts = [dataset.codec.decode(tokens.tolist()) for _, tokens in dataset.documents(split)]
    return [text.partition("=")[0] + "=" for text in texts]


def measured(run: genwright.Run, problems: list[str], samples: int, k: tuple[int, ...]) -> dict:
    """pass@k on problems."""
    began = time.perf_counter()
    texts = drawn(run, problems, samples, seed=1234)
    right = [int(right_result(Sample(text, text.prompt))) for text in texts]
    counts = np.array(right).reshape(len(problems), samples).sum(1).tolist()
    found = {f"pass@{each}": round(mean_pass_at_k(samples, counts, each), 4) for each in k}
    found["never right"] = round(float(np.mean(np.array(counts) == 0)), 4)
    say(f"{run.folder.name:12} {found}  ({time.perf_counter() - began:.0f} s)")
    return found


def rejection(base: genwright.Run, seconds: float, folder: Path, settings: dict) -> genwright.Run:
    """Supervised training on what the model had right, for so many seconds together with drawing
    it."""
    began = time.perf_counter()
    texts = drawn(base, problems_of(base, "train"), DRAWN, seed=77)
    kept = {text.prompt + text.text for text in texts if right_result(Sample(text, text.prompt))}
    rows = folder / "right.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in sorted(kept)))
    left = max(1.0, seconds - (time.perf_counter() - began))
    data = {"data.source": "files", "data.path": str(rows), "data.held_out": 0.0}
    own = {"training.steps": steps_in(base, left)}
    return genwright.train(
        "arithmetic-base",
        run=folder / "rejection",
        start=str(base.folder),
        quiet=True,
        **settings | data | own,
    )


def one_seed(seed: int, arguments: argparse.Namespace, folder: Path) -> dict:
    settings = {
        "seed": seed,
        "training.threads": arguments.threads,
        "training.evaluate_every": 0,
        "training.checkpoint_every": 0,
        "watching.samples": 0,
    }
    of_base = settings | settings_of(arguments.base_set)
    of_policy = settings | settings_of(arguments.set)
    k = tuple(each for each in (1, 8, 16) if each <= arguments.samples)
    base = genwright.train("arithmetic-base", run=folder / "base", quiet=True, **of_base)
    problems = problems_of(base, "held_out")[: arguments.problems]
    found: dict[str, Any] = {"before": measured(base, problems, arguments.samples, k)}
    policy = genwright.train(
        "arithmetic", run=folder / "policy", start=str(base.folder), quiet=True, **of_policy
    )
    found["after"] = measured(policy, problems, arguments.samples, k)
    seconds = seconds_of(policy)
    longer = genwright.train(
        "arithmetic-base",
        run=folder / "supervised",
        start=str(base.folder),
        quiet=True,
        **of_base | {"training.steps": steps_in(base, seconds)},
    )
    found["supervised, as long"] = measured(longer, problems, arguments.samples, k)
    chosen = rejection(base, seconds, folder, of_base)
    found["rejection fine-tuning, as long"] = measured(chosen, problems, arguments.samples, k)
    found["seconds"] = {
        "base": round(seconds_of(base), 1),
        "policy": round(seconds, 1),
        "supervised": round(seconds_of(longer), 1),
        "rejection, training alone": round(seconds_of(chosen), 1),
    }
    found["problems"] = len(problems)
    last = [record for record in policy.records if "kl" in record][-1]
    found["last step"] = {
        name: round(last[name], 4) for name in ("reward", "kl", "entropy", "dead_groups")
    }
    return found


def arithmetic(arguments: argparse.Namespace, folder: Path) -> tuple[dict, bool]:
    """The figures, and whether the bar is missed."""
    figures = {}
    missed = False
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        figures[f"seed {seed}"] = found = one_seed(seed, arguments, folder / f"seed-{seed}")
        before, after = found["before"], found["after"]
        met = before["pass@1"] <= BEFORE_AT_MOST and after["pass@1"] >= AFTER_AT_LEAST
        if "pass@16" in after:
            met = met and after["pass@16"] >= before["pass@16"]
        missed = missed or not met
    figures["bar"] = {
        "pass@1 before, at most": BEFORE_AT_MOST,
        "pass@1 after, at least": AFTER_AT_LEAST,
        "pass@16": "not lower",
        "met": not missed,
    }
    return figures, missed


# ---- code


def of_code(run: genwright.Run, samples: int, length: int) -> list[np.ndarray]:
    """Tokens of samples that begin a document, before their end token."""
    settings = Decoding(max_tokens=length, seed=4321, **PLAIN)
    events = generate(run.model, run.codec, [""], samples, settings, batch=64)
    end = run.codec.space.special["end"]
    return [
        until(np.asarray(event.tokens, dtype=np.int64), end)
        for event in events
        if isinstance(event, Generated)
    ]


def figures_of(tokens: list[np.ndarray], codec: Any, most: int) -> dict:
    """most: tokens of which distinct-4 is taken, the first ones."""
    verdicts = [PYTHON.verdict(codec.decode(each.tolist())) for each in tokens]
    judged = [verdict for verdict in verdicts if verdict is not None]
    first, left = [], most
    for each in tokens:
        first.append(each[:left])
        left -= len(first[-1])
    return {
        "parses": round(float(np.mean(judged)), 4) if judged else None,
        "judged": len(judged),
        "distinct-4": round(distinct(first, 4), 4),
        "repetition": round(repetition(tokens), 4),
        "tokens a sample": round(float(np.mean([len(each) for each in tokens])), 1),
    }


def code(arguments: argparse.Namespace, folder: Path) -> tuple[dict, bool]:
    """The figures, and that no bar is missed, since there is none."""
    settings = {"training.threads": arguments.threads}
    if arguments.run:
        base = genwright.load(arguments.run)
    else:
        base = genwright.train(
            "code", run=folder / "code", quiet=True, **settings | settings_of(arguments.base_set)
        )
    figures = {}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        policy = genwright.train(
            "code-parses",
            run=folder / f"code-parses-{seed}",
            start=str(base.folder),
            quiet=True,
            **settings | {"seed": seed} | settings_of(arguments.set),
        )
        figures[f"seed {seed}"] = beside(base, policy, arguments)
        say(json.dumps(figures[f"seed {seed}"], indent=1))
    return figures, False


def beside(base: genwright.Run, policy: genwright.Run, arguments: argparse.Namespace) -> dict:
    """Before, after, and real windows of the same lengths that begin a document."""
    length = arguments.length
    before = of_code(base, arguments.samples, length)
    after = of_code(policy, arguments.samples, length)
    dataset = base.dataset()
    end = base.codec.space.special["end"]
    lengths = [len(each) for each in before]
    real, whole = windows(dataset.tokens("held_out"), lengths, 0, end)
    groups = {"before": before, "after": after, "real": real[:whole]}
    most = min(sum(map(len, tokens)) for tokens in groups.values())
    found = {name: figures_of(tokens, base.codec, most) for name, tokens in groups.items()}
    found["tokens of distinct-4"] = most
    losses = [record["held_out"]["loss"] for record in policy.records if "held_out" in record]
    found["held-out loss, nats a token"] = {"first": losses[0], "last": losses[-1]}
    found["seconds"] = round(seconds_of(policy), 1)
    last = [record for record in policy.records if "kl" in record][-1]
    found["last step"] = {
        name: round(last[name], 4) for name in ("reward", "kl", "entropy", "length", "dead_groups")
    }
    return found


def settings_of(words: list[str]) -> dict[str, Any]:
    """["training.steps=9"] -> {"training.steps": 9}."""
    settings = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["arithmetic", "code"])
    parser.add_argument("--seeds", type=int, default=None, help="default: 3; of code 1")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=None, help="default: 64; of code 256")
    parser.add_argument("--problems", type=int, default=None, help="held-out ones; default: all")
    parser.add_argument("--length", type=int, default=256, help="tokens of a sample of code")
    parser.add_argument("--run", help="a run of recipe code; default: trained now")
    parser.add_argument("--folder", help="where runs are kept; default: nowhere")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--base-set", nargs="*", default=[], help="settings of the base run")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the policy's run")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    is_code = arguments.what == "code"
    arguments.seeds = arguments.seeds or (1 if is_code else 3)
    arguments.samples = arguments.samples or (256 if is_code else 64)
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.folder or temporary)
        work = code if is_code else arithmetic
        figures, missed = work(arguments, folder)
    finish(f"rewards_text {arguments.what}", figures, arguments.out)
    sys.exit(missed)


if __name__ == "__main__":
    main()
