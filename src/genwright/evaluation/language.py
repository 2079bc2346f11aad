"""A language model on the whole held-out split: nats per token, bits per byte, accuracy, beside what tables of counts and the
untrained network reach on the same targets.

Masks are drawn by (seed, window): every evaluation of a run, in any batch size, hides the same tokens.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from torch import nn

from genwright.contracts import Batch, Objective
from genwright.evaluation.figure import Figure
from genwright.evaluation.floors import Floors, count_floors
from genwright.evaluation.held_out import measure


def _floors(floors: Floors, found: Batch, prepared: Batch, rows: int) -> dict[str, tuple[float, int]]:
    """What the floors cost on exactly the counted targets of the first `rows` windows: "loss, unigram" and so on, (sum, count). tokens:
    (windows, context + lookahead); targets: (windows, context), negative where nothing counts."""
    tokens, targets = found["tokens"][:rows], prepared["targets"][:rows].cpu()
    lookahead = tokens.size(1) - targets.size(1)
    left = nn.functional.pad(tokens, (1, 0), value=-1)[:, lookahead : lookahead + targets.size(1)]
    counted = targets >= 0
    chosen = targets[counted].numpy()
    costs = floors.measure(chosen, left[counted].numpy())
    return {f"{name}, {floor}": (total, len(chosen)) for name, its in costs.items() for floor, total in its.items()}


def evaluate_language(
    objective: Objective, dataset: Any, lookahead: int, *, batch: int = 32, seed: int = 0, engine: Any = None,
    untrained: Mapping[str, float] | Callable[[], Mapping[str, float]] | None = None, floors: Floors | None = None,
) -> list[Figure]:  # fmt: skip
    """Figures of the whole held-out split: loss in nats per token, bits per byte (lookahead 1 only: masked models give no
    probability of a text), and whatever else the objective's loss counts (accuracy). `untrained`: the same measures (as `Measured.means`)
    of the network as it was initialised, or a function that measures them. `floors`: counts that were made before. dataset: of tokens, as
    `data.text.TextDataset`: its `codec`, `held_out`, `tokens` and `summary` are asked for."""
    floors = floors or count_floors(dataset.tokens("train"), dataset.codec.space.vocabulary)
    measured = measure(objective, dataset.held_out(lookahead), batch=batch, seed=seed, engine=engine, each=partial(_floors, floors))
    before = dict(untrained() if callable(untrained) else untrained or {})
    targets, means = "tokens" if lookahead else "hidden tokens", measured.means()
    figures = []
    for name in (name for name in means if ", " not in name):  # the others are floors
        beside = {key.removeprefix(f"{name}, "): value for key, value in means.items() if key.startswith(f"{name}, ")}
        beside |= {"untrained": before[name]} if name in before else {}
        unit, direction = ("nats/token", "lower") if name == "loss" else ("share", "higher")
        title = f"{name}, held out" if lookahead else f"{name}, held out, masked"
        figures.append(Figure(title, means[name], unit, measured.metrics[name][1], targets, beside, {}, direction))  # type: ignore[arg-type]
    if lookahead:
        figures.insert(1, bits_per_byte(figures[0], len(dataset.tokens("held_out")), dataset.summary["held_out"]["bytes"]))
    return figures


def bits_per_byte(loss: Figure, tokens: int, nbytes: int) -> Figure:
    """A loss in nats per token as bits per byte of UTF-8 text, which models with different vocabularies share: nats x tokens / bytes /
    ln 2. End tokens cost and hold no byte; tokens that are no target (a split's first) count as the average one."""
    scale = tokens / nbytes / math.log(2)
    floors = {name: value * scale for name, value in loss.floors.items()}
    return Figure("bits per byte, held out", loss.value * scale, "bits/byte", nbytes, "bytes", floors, {}, "lower", f"{tokens:,} tokens")
