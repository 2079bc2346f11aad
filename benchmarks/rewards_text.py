"""Text and code that is rewarded, beside the alternatives.

    python benchmarks/rewards_text.py arithmetic [--seeds 3] [--samples 64] [--set training.steps=9]
    python benchmarks/rewards_text.py code [--run runs/code] [--seeds 1] [--samples 256]

arithmetic: recipe `arithmetic-base`, stopped before it has more than 35% of training problems
right, then recipe `arithmetic` from it. Bar, for each seed: pass@1 on problems that were trained on
in neither order from at most 40% to at least 90%, and pass@16 not
lower. pass@k is the unbiased estimate from `--samples` samples of each problem at temperature 1,
its interval a bootstrap over problems. Beside it, from the same weights and for as many seconds of
the processor: supervised training continued, on the data; and rejection fine-tuning, supervised
training on what the model had right of 8 samples of each training problem, drawing included.
Best-of-8 with somebody who knows the right sample is the model of before at pass@8.

code: recipe `code-parses` from a run of `code`. Before, after, real windows that begin a file
(ceiling) and token noise (floor): which share parses, how varied they are at equal numbers of
tokens, how much of them is copied; the loss on held-out code. There is no bar.

Seconds are those of the processor on one thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import genwright
from common import finish
from genwright.contents.text.generate import Generated, generate
from genwright.contents.text.measures_answers import right_result
from genwright.contents.text.python_code import code_lines, does_something, parses
from genwright.contents.text.sample_figures import noise, windows
from genwright.core.content import Sample
from genwright.evaluation.held_out import measure
from genwright.evaluation.pass_at_k import pass_at_k
from genwright.evaluation.token_floors import Floors
from genwright.evaluation.token_samples import distinct, longest_spans, repetition, until
from genwright.sampling.drawing import Decoding
from genwright.training.engine import Engine

AT_MOST = 0.35  # right of training problems, where the base is stopped
BASE = 500  # steps of the base, at most
EVERY = 20  # steps between its checkpoints
SHORT = (20, 80)  # steps of two runs that tell what a step costs
TRIED = 200  # training problems that tell when to stop
DRAWN = 8  # samples of each training problem that rejection fine-tuning picks from
ROWS = 2048  # samples that are drawn together
RESAMPLED = 2000  # times, of a bootstrap
SHOWN = 8  # samples that a person sees
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
LAST = ("reward", "kl", "entropy", "length", "truncated", "dead_groups", "distinct_4")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Trained(NamedTuple):
    """A run, and the seconds of the processor that it took."""

    run: genwright.Run
    seconds: float


def train(recipe: str, folder: Path, settings: dict, start: Path | None = None) -> Trained:
    """Trains, unless the folder holds this run already."""
    kept = folder / "seconds.json"
    if kept.exists():
        return Trained(genwright.load(folder), json.loads(kept.read_text()))
    began = time.process_time()
    source = None
    if start is not None:
        source = str(start)
    run = genwright.train(recipe, run=folder, start=source, quiet=True, **settings)
    seconds = time.process_time() - began
    kept.write_text(json.dumps(seconds))
    return Trained(run, seconds)


def drawn(
    run: genwright.Run, prompts: list[str], n: int, seed: int, length: int
) -> list[Generated]:
    """`n` samples of each prompt at temperature 1, in order."""
    settings = Decoding(max_tokens=length, seed=seed, **PLAIN)
    events = generate(run.model, run.codec, prompts, n, settings, batch=ROWS)
    return [event for event in events if isinstance(event, Generated)]


def bootstrap(values: np.ndarray) -> list[float]:
    """The 95% interval of a mean over (problems,) or samples."""
    chosen = np.random.default_rng(0).integers(0, len(values), (RESAMPLED, len(values)))
    low, high = np.quantile(values[chosen].mean(1), [0.025, 0.975])
    return [round(float(low), 4), round(float(high), 4)]


def last_step(run: genwright.Run) -> dict[str, float]:
    """What the last step of a policy recorded."""
    last = [record for record in run.records if "kl" in record][-1]
    return {name: round(last[name], 4) for name in LAST}


# ---- arithmetic


def problems_of(run: genwright.Run, split: str) -> list[str]:
    """The questions of a split: "12+34="."""
    dataset = run.dataset()
    texts = [dataset.codec.decode(tokens.tolist()) for _, tokens in dataset.documents(split)]
    return [text.partition("=")[0] + "=" for text in texts]


def in_both(run: genwright.Run) -> int:
    """Held-out problems that were trained on, in any order of their numbers."""
    sides = []
    for split in ("train", "held_out"):
        sides.append({frozenset(problem[:-1].split("+")) for problem in problems_of(run, split)})
    return len(sides[0] & sides[1])


def is_right(text: Generated) -> bool:
    return right_result(Sample(text, text.prompt)) == 1


class Passed(NamedTuple):
    """k -> (problems,) pass@k of each problem; and some samples."""

    at: dict[int, np.ndarray]
    shown: list[str]

    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for k, each in self.at.items():
            found[f"pass@{k}"] = round(float(each.mean()), 4)
            found[f"pass@{k}, 95%"] = bootstrap(each)
        return found | {"samples": self.shown}


def passed(run: genwright.Run, problems: list[str], samples: int) -> Passed:
    """pass@k on problems, as far as there are samples for it."""
    texts = drawn(run, problems, samples, seed=1234, length=run.recipe.sampling.max_tokens)
    right = np.array([is_right(text) for text in texts]).reshape(len(problems), samples).sum(1)
    at = {}
    for k in (1, 8, 16):
        if k <= samples:
            at[k] = np.array([pass_at_k(samples, count, k) for count in right.tolist()])
    shown = [text.prompt + text.text for text in texts[:: -(-len(texts) // SHOWN)]]
    found = Passed(at, shown)
    say(f"{run.folder.name:12} {found.figures()}")
    return found


def stopped(run: genwright.Run, folder: Path) -> genwright.Run:
    """The base at its last checkpoint before it had more than `AT_MOST` of some training problems
    right: how soon that is differs much between seeds."""
    if folder.exists():
        return genwright.load(folder)
    problems = problems_of(run, "train")[:TRIED]
    chosen = 0
    for place in sorted((run.folder / "checkpoints").iterdir()):
        step = int(place.name.removeprefix("step-"))
        share = float(passed(genwright.load(run.folder, step), problems, 4).at[1].mean())
        if share > AT_MOST:
            break
        chosen = step
    shutil.copytree(run.folder, folder)
    for place in (folder / "checkpoints").iterdir():
        if int(place.name.removeprefix("step-")) > chosen:
            shutil.rmtree(place)
    return genwright.load(folder)


def step_seconds(folder: Path, settings: dict, start: Path) -> float:
    """What a step of supervised training costs: by the difference between a short run and a longer
    one, so that what comes before the first step does not count."""
    spent = []
    for steps in SHORT:
        own = settings | {"training.steps": steps}
        spent.append(train("arithmetic-base", folder / f"short-{steps}", own, start).seconds)
    return max(1e-3, (spent[1] - spent[0]) / (SHORT[1] - SHORT[0]))


def rejection(
    base: genwright.Run, seconds: float, each: float, folder: Path, settings: dict
) -> Trained:
    """Supervised training on what the model had right, for so many seconds together with drawing
    it. each: seconds of a step."""
    began = time.process_time()
    rows = folder / "right.jsonl"
    if not rows.exists():
        length = base.recipe.sampling.max_tokens
        texts = drawn(base, problems_of(base, "train"), DRAWN, seed=77, length=length)
        kept = sorted({text.prompt + text.text for text in texts if is_right(text)})
        kept = kept or ["0+0=0"]  # of a model that has learned nothing
        rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in kept))
    spent = time.process_time() - began
    data = {"data.source": "files", "data.path": str(rows), "data.held_out": 0.0}
    steps = {"training.steps": max(1, round((seconds - spent) / each))}
    place = folder / "rejection"
    return train("arithmetic-base", place, settings | data | steps, base.folder)


def one_seed(seed: int, arguments: argparse.Namespace, folder: Path) -> dict:
    """Everything of one seed."""
    settings = {
        "seed": seed,
        "training.threads": arguments.threads,
        "training.evaluate_every": 0,
        "training.checkpoint_every": 0,
        "watching.samples": 0,
    }
    # longer than the recipe, whose schedule ends before some seeds have as many right
    many = {"training.steps": BASE, "training.checkpoint_every": EVERY, "training.keep": 1000}
    of_base = settings | many | settings_of(arguments.base_set)
    whole = train("arithmetic-base", folder / "base", of_base)
    base = stopped(whole.run, folder / "stopped")
    problems = problems_of(base, "held_out")[: arguments.problems]
    before = passed(base, problems, arguments.samples)
    of_policy = settings | settings_of(arguments.set)
    policy = train("arithmetic", folder / "policy", of_policy, base.folder)
    after = passed(policy.run, problems, arguments.samples)
    step = step_seconds(folder, of_base, base.folder)
    steps = arguments.supervised_steps or max(1, round(policy.seconds / step))
    longer = of_base | {"training.steps": steps}
    others = {"supervised": train("arithmetic-base", folder / "supervised", longer, base.folder)}
    if arguments.rejection:
        chosen = rejection(base, policy.seconds, step, folder, of_base)
        others["rejection fine-tuning"] = chosen
    found: dict[str, Any] = {"before": before.figures(), "after": after.figures()}
    for k in after.at:
        apart = after.at[k] - before.at[k]
        found[f"pass@{k}, gained"] = round(float(apart.mean()), 4)
        found[f"pass@{k}, gained, 95%"] = bootstrap(apart)
    for name, other in others.items():
        found[name] = passed(other.run, problems, arguments.samples).figures()
    runs = {"policy": policy} | others
    seconds = {name: round(each.seconds, 1) for name, each in runs.items()}
    found["seconds"] = {"base": round(base.step * step, 1)} | seconds
    found["steps"] = {"base": base.step} | {name: each.run.step for name, each in runs.items()}
    found["problems"] = len(problems)
    found["of them trained on"] = in_both(base)
    found["last step"] = last_step(policy.run)
    return found


def arithmetic(arguments: argparse.Namespace, folder: Path) -> dict:
    """The figures of each seed."""
    figures: dict[str, Any] = {}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        place = folder / f"seed-{seed}"
        place.mkdir(parents=True, exist_ok=True)
        found = one_seed(seed, arguments, place)
        figures[f"seed {seed}"] = found
    return figures


# ---- code


def of_code(run: genwright.Run, samples: int, length: int) -> list[np.ndarray]:
    """Tokens of samples that begin a document, before their end token."""
    end = run.codec.space.special["end"]
    found = drawn(run, [""], samples, seed=4321, length=length)
    return [until(np.asarray(text.tokens, dtype=np.int64), end) for text in found]


def first_tokens(samples: list[np.ndarray], count: int) -> list[np.ndarray]:
    """The first `count` tokens of all samples together."""
    found = []
    for sample in samples:
        found.append(sample[:count])
        count -= len(found[-1])
    return found


def figures_of(samples: list[np.ndarray], base: genwright.Run, tokens: int) -> dict[str, Any]:
    """Figures of one group. tokens: of which distinct-4 is taken, the first ones."""
    codec = base.codec
    texts = [codec.decode(sample.tolist()) for sample in samples]
    verdicts = [parses(text) for text in texts]
    right = np.array([verdict is True for verdict in verdicts], dtype=float)
    wrong = np.array([verdict is False for verdict in verdicts], dtype=float)
    more = [does_something(text) for text in texts]
    train_tokens = base.dataset().tokens("train")
    spans = longest_spans(samples, train_tokens, codec.space.vocabulary)
    copied = []
    for sample, span in zip(samples, spans, strict=True):
        copied.append(span.length / max(1, len(sample)))
    return {
        "parses": round(float(right.mean()), 4),
        "parses, 95%": bootstrap(right),
        "has a syntax error": round(float(wrong.mean()), 4),
        "parses, and is more than strings": round(float(np.mean(more)), 4),
        "lines of code, share": round(float(np.nanmean([code_lines(text) for text in texts])), 4),
        "nothing to judge": round(float((1 - right - wrong).mean()), 4),
        "distinct-4": round(distinct(first_tokens(samples, tokens), 4), 4),
        "repetition": round(repetition(samples), 4),
        "copied in one piece, mean share": round(float(np.mean(copied)), 4),
        "near copies, over half in one piece": round(float(np.mean(np.array(copied) > 0.5)), 4),
        "tokens": round(float(np.mean([len(sample) for sample in samples])), 1),
        "lines": round(float(np.mean([text.count("\n") for text in texts])), 1),
        "equal to another": round(1 - len(set(texts)) / len(texts), 4),
        "samples": len(samples),
        "shown": texts[:SHOWN],
    }


def beside(base: Trained, policy: Trained, arguments: argparse.Namespace) -> dict:
    """Before, after, real windows of the same lengths that begin a document, token noise."""
    run = base.run
    dataset = run.dataset()
    end = run.codec.space.special["end"]
    length = arguments.length or policy.run.recipe.objective.rollout.max_tokens
    before = of_code(run, arguments.samples, length)
    after = of_code(policy.run, arguments.samples, length)
    lengths = [len(sample) for sample in before]
    real, whole = windows(dataset.tokens("held_out"), lengths, 0, end)
    unigram = Floors.of(dataset.tokens("train"), run.codec.space.vocabulary).unigram.copy()
    unigram[end] = 0
    groups = {"before": before, "after": after, "real": real[:whole]}
    groups["noise"] = noise(unigram, lengths, 0)
    tokens = min(sum(map(len, group)) for group in groups.values())
    found: dict[str, Any] = {name: figures_of(group, run, tokens) for name, group in groups.items()}
    found["tokens of distinct-4"] = tokens
    found["held-out loss, nats a token"] = {
        "before": held_out_loss(run),
        "after": held_out_loss(policy.run),
    }
    found["seconds"] = {"base": round(base.seconds, 1), "policy": round(policy.seconds, 1)}
    found["steps"] = policy.run.step
    found["last step"] = last_step(policy.run)
    return found


def held_out_loss(run: genwright.Run) -> float:
    """Of real code, nats a token."""
    examples = run.dataset().held_out(1)
    found = measure(run.objective, examples, batch=32, seed=0, engine=Engine("cpu"))
    return round(found["loss"], 4)


def sizes(run: genwright.Run) -> dict[str, Any]:
    """What a person wants to know of the base."""
    recipe = run.recipe
    found = {"step": run.step, "context": recipe.data.context}
    return found | {"model": recipe.model.model_dump(exclude_none=True)}


def code(arguments: argparse.Namespace, folder: Path) -> dict:
    """The figures of each seed."""
    settings = {"training.threads": arguments.threads, "watching.samples": 0}
    if arguments.run:
        base = Trained(genwright.load(arguments.run), 0.0)
    else:
        base = train("code", folder / "code", settings | settings_of(arguments.base_set))
    figures: dict[str, Any] = {"base": sizes(base.run), "settings": arguments.set}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        own = settings | {"seed": seed} | settings_of(arguments.set)
        policy = train("code-parses", folder / f"code-parses-{seed}", own, base.run.folder)
        figures["rewards"] = [dict(term) for term in policy.run.recipe.objective.rewards]
        figures[f"seed {seed}"] = beside(base, policy, arguments)
    return figures


# ---- the command line


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
    parser.add_argument("--seeds", type=int, help="default: 3; of code 1")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--samples", type=int, help="default: 64; of code 256")
    parser.add_argument("--problems", type=int, default=250, help="held-out ones, at most")
    parser.add_argument(
        "--length", type=int, help="tokens of a sample of code; default: the rollout's"
    )
    parser.add_argument(
        "--supervised-steps", type=int, help="default: as many as take as long as the policy's"
    )
    parser.add_argument(
        "--rejection", action=argparse.BooleanOptionalAction, default=True, help="fine-tuning"
    )
    parser.add_argument("--run", help="a run of recipe code; default: trained now")
    parser.add_argument("--folder", help="where runs are kept; default: nowhere")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--base-set", nargs="*", default=[], help="settings of the base run")
    parser.add_argument("--set", nargs="*", default=[], help="settings of the policy's run")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    work = arithmetic
    seeds = 3
    samples = 64
    if arguments.what == "code":
        work = code
        seeds = 1
        samples = 256
    arguments.seeds = arguments.seeds or seeds
    arguments.samples = arguments.samples or samples
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as temporary:
        figures = work(arguments, Path(arguments.folder or temporary))
    sys.exit(finish(f"rewards_text {arguments.what}", figures, arguments.out))


if __name__ == "__main__":
    main()
