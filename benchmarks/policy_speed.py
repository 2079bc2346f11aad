r"""Speed of learning from rewards beside TRL's GRPOTrainer: the same weights, prompts, reward,
samples and updates, with a frozen reference, in turns.

    python3 -m venv TRL && TRL/bin/pip install torch==2.13.0 trl==1.16.0
    OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE python benchmarks/policy_speed.py \
        --python TRL/bin/python [--pairs 15] [--threads 1] [--updates 1] [--their-micro 16] \
        [--out FILE]

A llama of 4 layers, width 128, 4 heads, vocabulary 256, in fp32; 8 prompts x 8 samples of 128
tokens a step, AdamW, clipped gradients. TRL trains our export in a process and an environment of
its own (`peers/trl_side.py`), its loss `dapo`, its divergence of drawn tokens only; ours is that of
the whole vocabulary. A pair is one step of each, one after the other, in turns which begins.
Generation: from prompts to tokens; ours gives log-probabilities too. Update: all the rest of a step
(decoding, rewards, advantages, reference, loss, gradients, AdamW); ours in micro-batches of 16
samples, TRL's of all 64, its setting for as many (`--their-micro` gives it others; the gradient is
the same).

Seconds are medians; a ratio is the median of the pairs' ratios with a 95% interval (bootstrap over
pairs), by the clock and in processor seconds, which a busy machine disturbs less. The bar is held
against processor seconds with one thread, else against the clock.

Bars: generation 3 times as fast, whole steps 1.8 times (goal 2.5). Exits with 1 where one is
missed, or where there is no TRL to compare with.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch

from common import finish
from genwright.core.content import Measure, Opened, Question
from genwright.core.contracts import Space
from genwright.core.registry import register
from genwright.models.hf import export
from genwright.models.presets import TransformerSettings
from genwright.models.transformer import Transformer
from genwright.objectives.policy import Policy
from genwright.objectives.terms import Rollout, Term
from genwright.rewards.rollout import Rollouts
from genwright.sampling.drawing import Decoding
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.settings import Optimizer, Training

GOAL = 2.5
FIRST = 0x100  # token i is the character FIRST + i, on both sides
RATE = 1e-4
PARTS = ("generation", "update", "step")
CLOCKS = ("seconds", "processor seconds")


def characters(tokens: Any) -> str:
    """Tokens as text."""
    return "".join(chr(FIRST + token) for token in tokens)


class Letters:
    """A sampler of text whose tokens are characters, and whose end token never comes."""

    def __init__(self, prompts: list[list[int]], vocabulary: int):
        self.asked = [Question(tuple(prompt), characters(prompt)) for prompt in prompts]
        self.vocabulary = vocabulary

    def questions(self, opened, rollout, split):
        return self.asked

    def end(self, codec):
        return self.vocabulary

    def decoded(self, codec, question, tokens, logprobs, ended):
        return characters(tokens)

    def shortened(self, codec, sample, length):
        return sample._replace(content=sample.content[:length])

    def token_of(self, codec, sample, place):
        return place


class Timed(Rollouts):
    """Notes what drawing took."""

    drawing = (0.0, 0.0)

    def asked(self, position, examples):
        """Each prompt in turn, as on TRL's side: all of them in every step."""
        groups = examples // self.settings.candidates
        return [self.questions[int(group) % len(self.questions)] for group in groups]

    def drawn(self, policy, questions, draws):
        began = now()
        found = super().drawn(policy, questions, draws)
        self.drawing = passed(began)
        return found


def now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def passed(began: tuple[float, float]) -> tuple[float, float]:
    ended = now()
    return ended[0] - began[0], ended[1] - began[1]


def network(a: argparse.Namespace) -> Transformer:
    """Random weights of the size that training gives them."""
    torch.manual_seed(0)
    settings = TransformerSettings(preset="llama", depth=a.depth, width=a.width, heads=a.heads)
    model = settings.build(Space(vocabulary=a.vocabulary), a.prompt + a.tokens)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data.normal_(0, 1 / math.sqrt(parameter.shape[1]))
    return model


class Ours:
    """Our steps, through the loop."""

    def __init__(self, a: argparse.Namespace, model: Transformer, prompts: list[list[int]]):
        space = Space(a.vocabulary, length=a.prompt + a.tokens)
        codec = SimpleNamespace(content="letters", space=space)
        wanted = set(characters(range(a.vocabulary // 8)))

        def share(sample):
            """Of wanted characters."""
            text = sample.content
            return sum(letter in wanted for letter in text) / max(1, len(text))

        register(
            "content",
            "letters",
            SimpleNamespace(kind="letters", sampler=Letters(prompts, a.vocabulary)),
        )
        register("measure", "letters share", Measure("share", share))
        self.wanted = wanted
        settings = Policy(
            rewards=(Term(measure="share"),),
            rollout=Rollout(max_tokens=a.tokens),
            candidates=a.candidates,
            baseline="group",
            scale=True,
            kl=a.kl,
            updates=a.updates,
        )
        samples = len(prompts) * a.candidates
        self.objective = settings.build({"model": model}, space)
        self.objective.begin()
        opened = Opened(self.objective, codec, Decoding(), lambda: None, "letters")
        self.stream = Timed(settings, samples, 0, opened, a.prompt + a.tokens)
        self.training = Training(
            steps=10**6,
            batch_size=samples,
            micro_batch=a.micro,
            precision="fp32",
            clip=1.0,
            optimizer=Optimizer(kind="adamw", learning_rate=RATE),
        )
        self.engine = Engine.alone(torch.device("cpu"))
        self.state = loop.start(self.objective, self.training, self.engine, 0, torch.float32)

    def step(self) -> dict[str, Any]:
        """One step; what it took."""
        records: list[dict[str, Any]] = []

        class Keep(loop.Hook):
            def after_step(self, state, record):
                records.append(record)

        began = now()
        loop.run(
            self.objective,
            self.stream,
            self.state,
            self.state.step + 1,
            settings=self.training,
            engine=self.engine,
            hooks=[Keep()],
        )
        step = passed(began)
        return {"step": step, "generation": self.stream.drawing, "reward": records[0]["reward"]}


class Theirs:
    """TRL's steps, in a process of its own. about: versions, and what it has loaded."""

    def __init__(self, a: argparse.Namespace, folder: Path, wanted: set[str], prompts: list):
        settings = {
            "threads": a.threads,
            "vocabulary": a.vocabulary,
            "samples": len(prompts) * a.candidates,
            "candidates": a.candidates,
            "micro": a.their_micro,
            "tokens": a.tokens,
            "kl": a.kl,
            "steps": 10**6,
            "updates": a.updates,
            "rate": RATE,
            "prompts": [characters(prompt) for prompt in prompts],
            "wanted": sorted(wanted),
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        side = Path(__file__).parent / "peers" / "trl_side.py"
        self.updates = a.updates
        self.process = subprocess.Popen(
            [str(a.python), str(side), "steps", str(folder), str(folder / "settings.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.about = self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line of JSON that it says."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit("TRL's side ended")

    def step(self) -> dict[str, Any]:
        """One rollout with its updates, each of which TRL counts as a step."""
        assert self.process.stdin is not None
        total = np.zeros(2)
        for _ in range(self.updates):
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            found = self.answer()
            total += found["step"]
        return found | {"step": tuple(total)}

    def close(self) -> None:
        """Ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()


def parts_of(found: dict[str, Any], clock: int) -> dict[str, float]:
    """Seconds of generation, update and step."""
    step = found["step"][clock]
    generation = found["generation"][clock]
    return {"generation": generation, "update": step - generation, "step": step}


def interval(ratios: list[float]) -> list[float]:
    """95%, of their median, by a bootstrap over pairs."""
    random = np.random.default_rng(0)
    values = np.asarray(ratios)
    drawn = random.integers(0, len(values), (10_000, len(values)))
    medians = np.median(values[drawn], axis=1)
    return [round(float(x), 2) for x in np.percentile(medians, [2.5, 97.5])]


def table(ours: list[dict], theirs: list[dict]) -> dict[str, Any]:
    """Figures of all pairs, by clock and part."""
    figures: dict[str, Any] = {}
    for number, clock in enumerate(CLOCKS):
        figures[clock] = {}
        for part in PARTS:
            mine = [parts_of(found, number)[part] for found in ours]
            row: dict[str, Any] = {"genwright": round(statistics.median(mine), 3)}
            if theirs:
                peers = [parts_of(found, number)[part] for found in theirs]
                ratios = [b / a for a, b in zip(mine, peers, strict=True)]
                row["TRL"] = round(statistics.median(peers), 3)
                row["ratio"] = round(statistics.median(ratios), 2)
                row["interval"] = interval(ratios)
            figures[clock][part] = row
    return figures


def measured(a: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The table, and what is known of the peer."""
    model = network(a)
    random = torch.Generator().manual_seed(1)
    prompts = torch.randint(1, a.vocabulary, (a.prompts, a.prompt), generator=random).tolist()
    with tempfile.TemporaryDirectory() as folder:
        export(model, None, Path(folder))
        ours = Ours(a, model, prompts)
        parameters = sum(p.numel() for p in model.parameters())
        theirs: Theirs | None = None
        if a.python is not None:
            theirs = Theirs(a, Path(folder), ours.wanted, prompts)
            assert theirs.about["parameters"] == parameters
        found: dict[str, list] = {"ours": [], "theirs": []}
        sides: dict[str, Any] = {"ours": ours}
        if theirs is not None:
            sides["theirs"] = theirs
        for pair in range(a.pairs + 1):
            order = list(sides)
            if pair % 2:
                order.reverse()
            for name in order:
                answer = sides[name].step()
                if pair:  # the first warms up
                    found[name].append(answer)
        if theirs is not None:
            theirs.close()
    about: dict[str, Any] = {"parameters": parameters}
    for name in sides:
        about[f"reward, {name}"] = [round(x["reward"], 4) for x in found[name]]
    return table(found["ours"], found["theirs"]), about | (theirs.about if theirs else {})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", type=Path, help="of an environment with TRL 1.16")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=256)
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--prompt", type=int, default=16, help="tokens of each prompt")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--updates", type=int, default=1)
    parser.add_argument("--kl", type=float, default=0.05)
    parser.add_argument("--micro", type=int, default=16, help="samples at once in our update")
    parser.add_argument("--their-micro", type=int, help="the same of TRL's; default: all")
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    figures, about = measured(a)
    shape = {key: value for key, value in vars(a).items() if key not in ("python", "out")}
    result = figures | {"goal of a step": GOAL, "shape": shape, "about": about}
    sys.exit(finish("policy_speed", result, a.out))


if __name__ == "__main__":
    main()
