"""Exactness of losses: packing, accumulation, masking.

    python benchmarks/exact.py [--out FILE]

1. packed: documents in one row with attention cut between them, against each document alone: the
   sums of losses.
2. split: one step of a batch with uneven and empty targets in micro-batches of every size, against
   the full batch: largest difference of any gradient, as the loop makes it (sum of totals / global
   count).
3. masked: shares of hidden, shown, random and kept tokens of 2 million, in standard deviations of
   their binomial distribution.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch

from common import finish
from genwright.core.contracts import Source, Space
from genwright.core.draws import Draws
from genwright.models.presets import TransformerSettings
from genwright.objectives.language import Causal, Masked
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.settings import Optimizer, Training

SPACE = Space(100, {"end": 97, "mask": 98, "pad": 99})


def network(causal: bool = True, context: int = 64):
    torch.manual_seed(0)
    model = TransformerSettings(depth=2, width=64, heads=2).build(SPACE, context, causal)
    for p in model.parameters():
        p.data.normal_(0, 0.1)
    return model


def packed() -> tuple[float, float]:
    """Difference to the documents alone, in nats, and, so that it can be seen to matter, the same
    with attention not cut."""
    objective = Causal().build({"model": network()}, SPACE)
    engine = Engine("cpu")
    lengths = [5, 17, 1, 23, 9, 10]
    documents = [torch.randint(0, 97, (n,)) for n in lengths]
    row = {
        "tokens": torch.cat(documents)[None],
        "documents": torch.repeat_interleave(torch.tensor(range(6)), torch.tensor(lengths))[None],
    }
    ranks = engine
    together = objective.loss(objective.prepare(row, Draws(0, 0, torch.arange(1)), ranks))
    alone = [
        objective.loss(objective.prepare({"tokens": d[None]}, Draws(0, 0, torch.arange(1)), ranks))
        for d in documents
        if len(d) > 1
    ]
    assert int(together.count.sum()) == sum(int(a.count.sum()) for a in alone)
    expected = sum(a.total.detach().double().sum() for a in alone)
    prepared = objective.prepare(row, Draws(0, 0, torch.arange(1)), ranks)
    leaking = objective.loss({name: prepared[name] for name in ("inputs", "targets")})
    return tuple(
        abs(float(loss.total.detach().double().sum() - expected)) for loss in (together, leaking)
    )


class Rows:
    size, units, unit = 12, 32, "tokens"

    def batch(self, position, examples, policy=None):
        tokens = Draws(1, position, examples).integers("tokens", 97, 33)
        # examples 2, 6, 7 and 11 have no target at all
        ends = [33, 20, 1, 5, 33, 2, 1, 1, 30, 12, 33, 1]
        for row, example in zip(tokens, examples.tolist(), strict=True):
            row[ends[example] :] = -1
        return {"tokens": tokens}

    def sources(self, position, examples):
        return [Source("rows") for _ in examples]


def split() -> dict[str, float]:
    def gradient(micro: int | None) -> torch.Tensor:
        objective = Causal().build({"model": network()}, SPACE)
        settings = Training(
            steps=1,
            micro_batch=micro,
            batch_size=12,
            optimizer=Optimizer(kind="adamw", learning_rate=1e-3),
        )
        state = loop.start(objective, settings, engine := Engine("cpu"))
        loop.run(objective, Rows(), state, 1, settings=settings, engine=engine)
        return state.weights["model"].grad.clone()

    full = gradient(None)
    return {
        str(micro): float((gradient(micro) - full).abs().max()) for micro in (1, 2, 3, 5, 7, 11)
    }


def masked() -> dict[str, float]:
    objective = Masked(rate=0.15).build({"model": network(False)}, SPACE)
    engine = Engine("cpu")
    tokens = torch.randint(0, 100, (2000, 1000))
    rows = torch.arange(2000)
    out = objective.prepare({"tokens": tokens}, Draws(0, 0, rows), engine)
    content, hidden = tokens < 97, out["targets"] >= 0
    assert not (hidden & ~content).any()
    n, k = int(content.sum()), int(hidden.sum())
    shown = int(((out["inputs"] == 98) & hidden).sum())
    same = int(((out["inputs"] == tokens) & hidden).sum())

    def score(hits, trials, rate):
        return (hits - trials * rate) / math.sqrt(trials * rate * (1 - rate))

    shares = {
        "hidden (0.15)": score(k, n, 0.15),
        "mask token (0.8)": score(shown, k, 0.8),
        "as it is (0.1 + 0.1/97)": score(same, k, 0.1 + 0.1 / 97),
    }
    return {name: round(value, 2) for name, value in shares.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    a = parser.parse_args()
    torch.set_num_threads(1)
    cut, leaking = packed()
    figures = {
        "packed - separate, nats": cut,
        "the same, attention not cut": leaking,
        "largest gradient difference by micro-batch": split(),
        "masking, standard deviations": masked(),
    }
    sys.exit(finish("exact", figures, a.out))


if __name__ == "__main__":
    main()
