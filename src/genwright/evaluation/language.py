"""A model of tokens, measured on its whole held-out split: nats a token, bits a byte, and whatever
else its loss counts, beside what tables of counts and the untrained network reach on the same
targets.

Masks are drawn by (seed, window): every evaluation of a run, in any batch size, hides the same
tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from genwright.core.content import Direction
from genwright.core.contracts import Batch, Objective
from genwright.evaluation.figure import (
    ACCURACY,
    LOSS,
    MASKED_ACCURACY,
    MASKED_LOSS,
    Figure,
)
from genwright.evaluation.held_out import Means, measure
from genwright.evaluation.token_floors import Floors

BITS_PER_BYTE = "bits per byte, held out"


def _floors(floors: Floors, found: Batch, prepared: Batch) -> dict[str, tuple[float, int]]:
    """What the floors cost on exactly the counted targets of some windows: "loss, unigram" and so
    on, (sum, count). tokens: (windows, context + lookahead); targets: (windows, context), negative
    where nothing counts."""
    tokens = found["tokens"]
    targets = prepared["targets"].cpu()
    lookahead = tokens.size(1) - targets.size(1)
    left = nn.functional.pad(tokens, (1, 0), value=-1)[:, lookahead : lookahead + targets.size(1)]
    counted = targets >= 0
    chosen = targets[counted].numpy()
    costs = floors.measure(chosen, left[counted].numpy())
    costed: dict[str, tuple[float, int]] = {}
    for name, totals in costs.items():
        for floor, total in totals.items():
            costed[f"{name}, {floor}"] = (total, len(chosen))
    return costed


def evaluate_language(
    objective: Objective,
    dataset: Any,
    lookahead: int,
    *,
    batch: int = 32,
    seed: int = 0,
    engine: Any = None,
    untrained: Mapping[str, float] | Callable[[], Mapping[str, float]] | None = None,
    floors: Floors | None = None,
) -> list[Figure]:
    """Figures of the whole held-out split: loss in nats per token, bits per byte (lookahead 1 only:
    masked models give no probability of a text), and whatever else the objective's loss counts
    (accuracy). `untrained`: the same measures (as `measure` gives) of the network as it was
    initialised, or a function that measures them. `floors`: counts that were made before. dataset:
    of tokens, whose `codec`, `held_out`, `tokens` and `summary` are asked for."""
    floors = floors or Floors.of(dataset.tokens("train"), dataset.codec.space.vocabulary)
    means = measure(
        objective,
        dataset.held_out(lookahead),
        batch=batch,
        seed=seed,
        engine=engine,
        each=partial(_floors, floors),
    )
    before = dict(untrained() if callable(untrained) else untrained or {})
    # names with a comma are those of floors
    figures = {name: _figure(name, means, before, lookahead) for name in means if ", " not in name}
    loss = figures.pop("loss")
    out = [loss]
    sizes = dataset.summary["held_out"]
    if lookahead and "bytes" in sizes:
        out.append(bits_per_byte(loss, len(dataset.tokens("held_out")), sizes["bytes"]))
    return out + list(figures.values())


UNITS: Mapping[str, tuple[str, Direction]] = {
    "loss": ("nats/token", "lower"),
    "faults": ("chance/token", "lower"),
    "accuracy": ("share", "higher"),
}
TITLES = {  # of a metric, causal and masked
    "loss": (LOSS, MASKED_LOSS),
    "accuracy": (ACCURACY, MASKED_ACCURACY),
}


def _figure(metric: str, means: Means, untrained: Mapping[str, float], lookahead: int) -> Figure:
    """The figure of one metric of the objective. means: the metric itself and, as "metric, floor",
    its floors."""
    unit, direction = UNITS.get(metric, ("share", "higher"))
    causal, masked = TITLES.get(metric, (f"{metric}, held out", f"{metric}, held out, masked"))
    start = f"{metric}, "
    floors = {
        key.removeprefix(start): value for key, value in means.items() if key.startswith(start)
    }
    if metric in untrained:
        floors["untrained"] = untrained[metric]
    title, targets = (causal, "tokens") if lookahead else (masked, "hidden tokens")
    return Figure(
        title,
        means[metric],
        unit,
        means.counts[metric],
        targets,
        floors,
        direction=direction,
        headline=metric in TITLES,
    )


def bits_per_byte(loss: Figure, tokens: int, nbytes: int) -> Figure:
    """A loss in nats per token as bits per byte of UTF-8 text, which models with different
    vocabularies share: nats x tokens / bytes / ln 2. End tokens cost and hold no byte; tokens that
    are no target (a split's first) count as the average one."""
    if loss.unit != "nats/token":
        raise ValueError(
            f"bits per byte are made of nats per token, not of {loss.name} in {loss.unit}"
        )
    scale = tokens / nbytes / math.log(2)
    floors = {name: value * scale for name, value in loss.floors.items()}
    return Figure(
        BITS_PER_BYTE,
        loss.value * scale,
        "bits/byte",
        nbytes,
        "bytes",
        floors,
        {},
        "lower",
        f"{tokens:,} tokens",
        headline=True,
    )
