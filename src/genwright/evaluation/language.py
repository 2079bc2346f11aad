"""A language model on the whole held-out split: nats per token, bits per byte, accuracy, beside what tables of counts and the
untrained network reach on the same targets.

The loss is the objective's own, by the path that training takes (`prepare`, then the first turn's loss), so that what is reported
is what is trained. Masks are drawn by (seed, window): every evaluation of a run, in any batch size, hides the same tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from genwright.contracts import Batch, Objective
from genwright.draws import Draws
from genwright.errors import GenwrightError
from genwright.evaluation.figure import Figure
from genwright.evaluation.floors import Floors, count_floors

POSITION = -1  # of the draws: no step of training has it


class HeldOut(Protocol):
    windows: int

    def batch(self, start: int, stop: int) -> Batch: ...


class TextDataset(Protocol):
    """What evaluation asks of a data set of tokens."""

    codec: Any

    def held_out(self, lookahead: int) -> HeldOut: ...

    def tokens(self, split: str) -> Any: ...

    def nbytes(self, split: str) -> int: ...


class Alone:
    """One process: `contracts.Ranks`, and what `measure` asks of an engine."""

    rank, size = 0, 1

    def __init__(self, device: torch.device | str = "cpu"):
        self.device = torch.device(device)

    def sum(self, tensor: Tensor) -> Tensor:
        return tensor

    sum_ = gather = sum


@dataclass
class Measured:
    """Sums over the held-out targets. metrics: name -> (sum, count). floors: measure -> name -> sum. count: targets."""

    metrics: dict[str, tuple[float, int]] = field(default_factory=dict)
    floors: dict[str, dict[str, float]] = field(default_factory=dict)
    count: int = 0

    def means(self) -> dict[str, float]:
        """metric -> mean: what a run records."""
        return {name: total / count for name, (total, count) in self.metrics.items() if count}


@torch.no_grad()
def measure(
    objective: Objective,
    held_out: HeldOut,
    lookahead: int,
    *,
    batch: int = 32,
    seed: int = 0,
    engine: Any = None,
    floors: Floors | None = None,
    limit: int | None = None,
) -> Measured:
    """Every window of a held-out split (or the first `limit`), `batch` at a time on each rank; every rank gets the same sums. With
    `floors`, these are measured on exactly the counted targets. Raises GenwrightError where there is nothing to measure."""
    engine = engine or Alone()
    training = [module for part in objective.modules.values() for module in part.modules() if module.training]
    for module in objective.modules.values():
        module.eval()
    sums: dict[str, Tensor] = {}
    out, windows = Measured(), min(held_out.windows, limit or held_out.windows)
    try:
        for start in range(0, windows, batch * engine.size):
            first = start + engine.rank * batch
            rows = range(first, min(first + batch, windows))
            own = len(rows) > 0
            rows = rows if own else range(1)  # a rank without windows calls its modules all the same: sharded ones meet inside
            found = held_out.batch(rows.start, rows.stop)
            given = {name: value.to(engine.device) for name, value in found.items()}
            prepared = objective.prepare(
                given, Draws(seed, POSITION, torch.arange(rows.start, rows.stop, device=engine.device)), Alone(engine.device)
            )
            for name, (total, count) in objective.turns(0)[0].loss(prepared).metrics.items():
                pair = torch.stack([torch.as_tensor(total), torch.as_tensor(count)]).double() * own
                sums[name] = sums[name] + pair if name in sums else pair
            if floors:
                _add_floors(out, floors, found["tokens"][: len(rows) * own], prepared["targets"][: len(rows) * own].cpu(), lookahead)
    finally:
        for module in training:
            module.training = True
    _reduce(out, sums, engine)
    if not out.metrics.get("loss", (0, 0))[1]:
        raise GenwrightError("the held-out split has no target to measure", "hold out more data or use a shorter context")
    return out


def _reduce(out: Measured, sums: Mapping[str, Tensor], engine: Any) -> None:
    """Adds over ranks, in one exchange; floors too."""
    flat = [(key, name) for key in sorted(out.floors) for name in sorted(out.floors[key])]
    mine = torch.tensor([float(out.count), *(out.floors[key][name] for key, name in flat)], dtype=torch.float64, device=engine.device)
    both = engine.sum_(torch.cat([mine, *sums.values()]))
    out.count = int(both[0])
    for (key, name), value in zip(flat, both[1:].tolist(), strict=False):
        out.floors[key][name] = value
    for name, (total, count) in zip(sums, both[len(mine) :].view(-1, 2).tolist(), strict=True):
        out.metrics[name] = (total, int(count))


def _add_floors(out: Measured, floors: Floors, tokens: Tensor, targets: Tensor, lookahead: int) -> None:
    """tokens: (windows, context + lookahead); targets: (windows, context), negative where nothing counts."""
    left = nn.functional.pad(tokens, (1, 0), value=-1)[:, lookahead : lookahead + targets.size(1)]
    counted = targets >= 0
    chosen = targets[counted].numpy()
    for key, values in floors.measure(chosen, left[counted].numpy()).items():
        into = out.floors.setdefault(key, dict.fromkeys(values, 0.0))
        for name, value in values.items():
            into[name] += value
    out.count += len(chosen)


def evaluate_language(
    objective: Objective,
    dataset: TextDataset,
    lookahead: int,
    *,
    batch: int = 32,
    seed: int = 0,
    engine: Any = None,
    untrained: Mapping[str, float] | Callable[[], Mapping[str, float]] | None = None,
    floors: Floors | None = None,
) -> list[Figure]:
    """Figures of the whole held-out split: loss in nats per token, bits per byte (lookahead 1 only: masked models give no
    probability of a text), and whatever else the objective's loss counts (accuracy). `untrained`: the same measures (as `Measured.means`)
    of the network as it was initialised, or a function that measures them. `floors`: counts that were made before."""
    floors = floors or count_floors(dataset.tokens("train"), dataset.codec.space.vocabulary)
    measured = measure(objective, dataset.held_out(lookahead), lookahead, batch=batch, seed=seed, engine=engine, floors=floors)
    before = dict(untrained() if callable(untrained) else untrained or {})
    targets = "tokens" if lookahead else "hidden tokens"
    figures = []
    for name, (_, count) in measured.metrics.items():
        beside = {floor: total / measured.count for floor, total in measured.floors.get(name, {}).items()}
        beside |= {"untrained": before[name]} if name in before else {}
        unit, direction = ("nats/token", "lower") if name == "loss" else ("share", "higher")
        title = f"{name}, held out" if lookahead else f"{name}, held out, masked"
        figures.append(Figure(title, measured.means()[name], unit, count, targets, beside, {}, direction))  # type: ignore[arg-type]
    if lookahead:
        figures.insert(1, bits_per_byte(figures[0], len(dataset.tokens("held_out")), dataset.nbytes("held_out")))
    return figures


def bits_per_byte(loss: Figure, tokens: int, nbytes: int) -> Figure:
    """A loss in nats per token as bits per byte of UTF-8 text, which models with different vocabularies share: nats x tokens / bytes /
    ln 2. End tokens cost and hold no byte; tokens that are no target (a split's first) count as the average one."""
    scale = tokens / nbytes / math.log(2)
    floors = {name: value * scale for name, value in loss.floors.items()}
    return Figure("bits per byte, held out", loss.value * scale, "bits/byte", nbytes, "bytes", floors, {}, "lower", f"{tokens:,} tokens")
