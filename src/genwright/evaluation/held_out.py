"""A trained objective on a whole held-out split: what it measures of each batch, summed exactly over batches and ranks.

Batches go the way of training (`prepare`, then the objective's own `measured`), so that what is reported is what is trained. What is
random is drawn by (seed, example): every evaluation of a run, in any batch size, sees the same.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from genwright import assemble
from genwright.contracts import Batch, Objective
from genwright.draws import Draws
from genwright.errors import GenwrightError
from genwright.training.engine import Engine

POSITION = -1  # of the draws: no step of training has it


class Alone(Engine):
    """One process, whatever other processes there are."""

    def __init__(self, device: torch.device | str = "cpu"):
        self.owns, self.rank, self.size, self.device, self.strategy = False, 0, 1, torch.device(device), "ddp"


class Means(dict[str, float]):
    """metric -> mean, which a run records; counts: metric -> over how many held-out targets."""

    counts: dict[str, int]


def untrained(run: Any, device: torch.device) -> Objective:
    """A run's objective as it was before its first step."""
    fresh = assemble.objective(run.recipe, assemble.space_of(run.recipe, run.codec))
    for module in fresh.modules.values():
        module.to(device)
    return fresh


@contextmanager
def evaluating(objective: Objective) -> Iterator[None]:
    """Inside, the modules are in evaluation mode; after it each is as it was."""
    training = [module for part in objective.modules.values() for module in part.modules() if module.training]
    for module in objective.modules.values():
        module.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@torch.no_grad()
def measure(
    objective: Objective, held_out: Any, *, batch: int = 32, seed: int = 0, engine: Any = None,
    each: Callable[[Batch, Batch, int], Mapping[str, tuple[float, int]]] | None = None, limit: int | None = None,
) -> Means:  # fmt: skip
    """Every example of a held-out split (`windows` of them, by `batch(start, stop)`), or the first `limit`, which of pictures and points
    stand for all, `batch` at a time on each rank; every rank gets the same sums. `each` gives more metrics: it gets the batch as it was
    found and as it was prepared, and how many of its rows count. Raises GenwrightError where there is nothing to measure."""
    engine = engine or Alone()
    sums: dict[str, Tensor] = {}
    unit = max(1, getattr(objective, "unit", 1))  # a pack is measured whole or not at all
    windows = min(held_out.windows, limit or held_out.windows) // unit * unit
    with evaluating(objective):
        for start in range(0, windows, batch * engine.size):
            first = start + engine.rank * batch
            rows = range(first, min(first + batch, windows))
            own = len(rows) > 0
            rows = rows if own else range(unit)  # a rank without windows calls its modules all the same: sharded ones meet inside
            found = held_out.batch(rows.start, rows.stop)
            given = {name: value.to(engine.device) for name, value in found.items()}
            draws = Draws(seed, POSITION, torch.arange(rows.start, rows.stop, device=engine.device))
            prepared = objective.prepare(given, draws, Alone(engine.device))
            more = each(found, prepared, len(rows) * own) if each else {}
            for name, pair in {**objective.measured(prepared).metrics, **more}.items():
                values = [torch.as_tensor(value, dtype=torch.float64, device=engine.device) for value in pair]
                sums[name] = sums.get(name, 0) + torch.stack(values) * own
    totals = engine.sum_(torch.stack(list(sums.values()))).tolist() if sums else []  # over ranks, in one exchange
    pairs = dict(zip(sums, totals, strict=True))
    means = Means({name: total / count for name, (total, count) in pairs.items() if count})
    means.counts = {name: int(count) for name, (_, count) in pairs.items()}
    if not means:
        raise GenwrightError("the held-out split has nothing to measure", "hold out more data or use a shorter context")
    return means
