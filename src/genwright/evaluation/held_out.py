"""A trained objective on a whole held-out split: what it measures of each example, summed over
batches and ranks in float64.

A figure is the same for any batch size, number of ranks and order:

1. Examples are prepared by the objective's `prepare_held_out`, in whole blocks of its
   `held_out_block`. What is random is drawn by (seed, number of the example in the split), so every
   evaluation of a run sees the same noise, masks and times.
2. Blocks are dealt out to the ranks, and measured by the objective's `measured` some examples at
   once.
3. Sums and counts are added up, and divided once, at the end. What is no mean (a perplexity) is
   made of the sums of the whole split.

A split's last examples that do not fill a pack (`unit`) are left out, whatever the batch.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from genwright.core.contracts import Batch, Objective
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.progress import task
from genwright.runs import assemble
from genwright.training.engine import Engine

POSITION = -1  # of the draws: no step of training has it


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
    training = [
        module
        for part in objective.modules.values()
        for module in part.modules()
        if module.training
    ]
    for module in objective.modules.values():
        module.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class _Sums:
    """What was measured so far on this rank. pairs: metric -> (sum, count), float64. tensors: the
    sums of `Loss.sums`."""

    def __init__(self, device: torch.device):
        self.device = device
        self.pairs: dict[str, Tensor] = {}
        self.tensors: dict[str, Tensor] = {}

    def add(
        self, metrics: Mapping[str, tuple[Any, Any]], tensors: Mapping[str, Tensor], counts: bool
    ) -> None:
        """counts: whether it is part of the figures; if not, only its names are known from now on
        (0 times what is not finite is NaN)."""
        for name, pair in metrics.items():
            values = [self._scalar(value) for value in pair]
            self._add(self.pairs, name, torch.stack(values), counts)
        for name, tensor in tensors.items():
            self._add(self.tensors, name, tensor, counts)

    def _scalar(self, value: Tensor | float) -> Tensor:
        """() float64 of one value an example, of a scalar, or of a number."""
        if isinstance(value, Tensor):
            return value.sum().double()
        return torch.tensor(value, dtype=torch.float64, device=self.device)

    @staticmethod
    def _add(where: dict[str, Tensor], name: str, value: Tensor, counts: bool) -> None:
        if name not in where:
            where[name] = torch.zeros_like(value)
        if counts:
            where[name] = where[name] + value

    def over_ranks(self, engine: Any) -> tuple[dict[str, tuple[float, float]], dict[str, Tensor]]:
        """The pairs and the tensors, summed over the ranks."""
        names = sorted(self.pairs)
        totals = (
            engine.sum_(torch.stack([self.pairs[name] for name in names])).tolist() if names else []
        )
        found = dict(zip(names, map(tuple, totals), strict=True))
        tensors = {name: engine.sum_(self.tensors[name]) for name in sorted(self.tensors)}
        return {name: found[name] for name in self.pairs}, tensors


@torch.no_grad()
def measure(
    objective: Objective,
    held_out: Any,
    *,
    batch: int = 32,
    seed: int = 0,
    engine: Any = None,
    each: Callable[[Batch, Batch], Mapping[str, tuple[float, int]]] | None = None,
    limit: int | None = None,
) -> Means:
    """Every example of a held-out split (`windows` of them, by `batch(start, stop)`), or the first
    `limit`, which of pictures and points stand for all; every rank gets the same figures. batch:
    examples that are measured at once on each rank, which decides about time and memory, and no
    figure. each: gives more metrics of a batch as it was found and as it was prepared. Raises
    GenwrightError where there is nothing to measure."""
    engine = engine or Engine.alone()
    sums = _Sums(engine.device)
    unit = max(1, objective.unit)
    block = math.lcm(unit, objective.held_out_block)
    windows = min(held_out.windows, limit or held_out.windows) // unit * unit
    at_once = max(1, batch // unit) * unit  # examples that are measured together: whole packs
    # examples that are prepared together, of each rank: whole blocks
    dealt = max(1, batch // block) * block
    with evaluating(objective), task("measuring held-out data", windows) as shown:
        for start in range(0, windows, dealt * engine.size):
            most = min(dealt, windows - start)  # of a rank: the first one's
            first = start + engine.rank * dealt
            rows = range(first, min(first + dealt, windows))
            # a rank without examples calls its modules all the same, on some that do not count:
            # sharded ones meet inside
            seen = rows if len(rows) else range(unit)
            found = held_out.batch(seen.start, seen.stop)
            given = {name: value.to(engine.device) for name, value in found.items()}
            draws = Draws(seed, POSITION, torch.arange(seen.start, seen.stop, device=engine.device))
            prepared = objective.prepare_held_out(given, draws, Engine.alone(engine.device))
            for at in range(0, most, at_once):
                counts = at < len(rows)
                part = slice(at, at + at_once) if counts else slice(0, unit)
                piece = {name: value[part] for name, value in prepared.items()}
                loss = objective.measured(piece)
                more = (
                    each({name: value[part] for name, value in found.items()}, piece)
                    if each
                    else {}
                )
                sums.add({**loss.metrics, **more}, loss.sums, counts)
                shown.advance(engine.size * max(0, min(at_once, len(rows) - at)))
    pairs, tensors = sums.over_ranks(engine)
    means = Means({name: total / count for name, (total, count) in pairs.items() if count})
    means.counts = {name: int(count) for name, (_, count) in pairs.items()}
    if not means:
        raise GenwrightError(
            "the held-out split has nothing to measure",
            "hold out more data or use a shorter context",
        )
    for name, value in objective.held_out_figures(tensors).items():
        means[name], means.counts[name] = value, windows
    return means
