"""The headline figures of a causal text run, computed again by other programs and compared with
what the run says of itself.

    python benchmarks/headlines.py RUN [--out FILE]

The run's model is exported and opened by `transformers`. Every held-out token but the first is
predicted once, in windows of the run's context that are read from nothing; losses are summed one
token at a time. Bytes are counted in the decoded texts. Floors are made of dictionaries of the
training tokens: the unigram (count + 1/2) / (tokens + vocabulary / 2), the bigram by interpolated
Kneser-Ney. The 80,000 held-out tokens of a `code` run take half a minute of one core. Bar: no
figure differs by more than 1e-4.

Needs the hf extra.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import torch

from common import finish
from genwright.evaluation.figure import ACCURACY, LOSS, named
from genwright.evaluation.language import BITS_PER_BYTE
from genwright.runs.checkpoint_figures import latest
from genwright.runs.run import Run, load

AT_ONCE = 16  # windows that the exported model reads together

# the token, its left neighbour, its nats, whether it was the likeliest
Target = tuple[int, int, float, bool]


def targets_of(folder: Path, row: list[int], context: int) -> list[Target]:
    """Every token of `row` but the first, as the exported model in `folder` predicts it."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    windows = [
        (row[start : start + context], row[start + 1 : start + context + 1])
        for start in range(0, len(row) - 1, context)
    ]
    out: list[Target] = []
    for first in range(0, len(windows), AT_ONCE):
        some = windows[first : first + AT_ONCE]
        # a causal model does not see what follows
        filled = [given + [0] * (context - len(given)) for given, _ in some]
        with torch.no_grad():
            logits = model(torch.tensor(filled)).logits.double()
        for scores, (given, wanted) in zip(logits, some, strict=True):
            normal = scores.logsumexp(1)
            best = scores.argmax(1).tolist()
            for place, target in enumerate(wanted):
                nats = float(normal[place] - scores[place, target])
                out.append((target, given[place], nats, best[place] == target))
    return out


def unigram(tokens: list[int], vocabulary: int) -> Callable[[int], float]:
    """token -> probability."""
    counts = Counter(tokens)
    return lambda token: (counts[token] + 0.5) / (len(tokens) + vocabulary / 2)


def bigram(tokens: list[int], vocabulary: int) -> Callable[[int, int], float]:
    """(left neighbour, token) -> probability."""
    pairs = Counter(zip(tokens, tokens[1:], strict=False))
    times = Counter(pairs.values())
    discount = times[1] / (times[1] + 2 * times[2]) if times[1] and times[2] else 0.5
    followed: Counter[int] = Counter()
    right: defaultdict[int, set[int]] = defaultdict(set)
    left: defaultdict[int, set[int]] = defaultdict(set)
    for (a, b), count in pairs.items():
        followed[a] += count
        right[a].add(b)
        left[b].add(a)
    alone = unigram(tokens, vocabulary)

    def probability(a: int, b: int) -> float:
        if not followed[a]:
            return alone(b)
        back = (len(left[b]) + 0.5) / (len(pairs) + vocabulary / 2)
        return (
            max(pairs[a, b] - discount, 0) / followed[a]
            + discount * len(right[a]) / followed[a] * back
        )

    return probability


def recomputed(run: Run) -> dict[str, float]:
    """name -> value, of the loss, accuracy, bits per byte, and of the floors of each."""
    dataset: Any = run.dataset()
    train, row = (
        [int(token) for token in dataset.tokens(split)[:]] for split in ("train", "held_out")
    )
    size = sum(
        len(run.codec.decode(tokens.tolist()).encode("utf-8"))
        for _, tokens in dataset.documents("held_out")
    )
    with tempfile.TemporaryDirectory() as folder:
        found = targets_of(run.export("hf", Path(folder) / "hf"), row, run.recipe.data.context)
    vocabulary = run.codec.space.vocabulary
    alone, after = unigram(train, vocabulary), bigram(train, vocabulary)
    losses = {
        "": sum(nats for *_, nats, _ in found) / len(found),
        ", uniform": math.log(vocabulary),
        ", unigram": -sum(math.log(alone(target)) for target, *_ in found) / len(found),
        ", bigram": -sum(math.log(after(left, target)) for target, left, *_ in found) / len(found),
    }
    guess = max(range(vocabulary), key=lambda token: (alone(token), -token))
    scale = len(row) / size / math.log(2)
    return {
        **{LOSS + name: value for name, value in losses.items()},
        **{BITS_PER_BYTE + name: value * scale for name, value in losses.items()},
        ACCURACY: sum(right for *_, right in found) / len(found),
        ACCURACY + ", unigram": sum(target == guess for target, *_ in found) / len(found),
    }


def said(run: Run) -> dict[str, float]:
    """The same, as the run's evaluation has them."""
    found = latest(run) or run.evaluate()
    out: dict[str, float] = {}
    for name in (LOSS, BITS_PER_BYTE, ACCURACY):
        if (figure := named(found.figures, name)) is not None:
            out[name] = figure.value
            out |= {f"{name}, {floor}": value for floor, value in figure.floors.items()}
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    run = load(arguments.run)
    if run.content != "text" or not run.recipe.objective.causal:
        sys.exit("error: this compares causal runs of text; give the folder of one")
    if run.recipe.data.isolate_documents:
        sys.exit(
            "error: exported models know no isolated documents; "
            "give a run with data.isolate_documents=false"
        )
    ours, other = said(run), recomputed(run)
    figures = {name: {"run": ours.get(name), "recomputed": value} for name, value in other.items()}
    worst = max(abs(ours.get(name, math.inf) - value) for name, value in other.items())
    sys.exit(finish("headlines", figures | {"largest difference": worst}, arguments.out))


if __name__ == "__main__":
    main()
