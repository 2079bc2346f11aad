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
from typing import NamedTuple

import torch
from torch import Tensor

from genwright.core.contracts import Batch, Objective
from genwright.core.dataset import HeldOutSplit
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.progress import task
from genwright.training.engine import Engine

POSITION = -1  # of the draws: no step of training has it
UNTRAINED = "measuring the untrained network"  # what the display of progress says of that


class Means(dict[str, float]):
    """metric -> mean, which a run records; counts: metric -> over how many held-out targets."""

    counts: dict[str, int]


@contextmanager
def evaluating(objective: Objective) -> Iterator[None]:
    """Inside, the modules are in evaluation mode; after it each is as it was."""
    training = []
    for part in objective.modules.values():
        training += [module for module in part.modules() if module.training]
    for module in objective.modules.values():
        module.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def unit_of(objective: Objective) -> int:
    """Held-out examples that must stay together."""
    if objective.held_out_unit is not None:
        return objective.held_out_unit
    return max(1, objective.unit)


# A batch as it was found and as it was prepared -> metric -> a sum, and of how many it is.
Each = Callable[[Batch, Batch], Mapping[str, tuple[float, int]]]


class _Sums:
    """What was measured so far on this rank. pairs: metric -> (2,) float64, a sum and of how many
    it is. tensors: the sums of `Loss.sums`."""

    def __init__(self, device: torch.device):
        self.device = device
        self.pairs: dict[str, Tensor] = {}
        self.tensors: dict[str, Tensor] = {}

    def add(
        self,
        metrics: Mapping[str, tuple[Tensor | float, Tensor | float]],
        tensors: Mapping[str, Tensor],
        counts: bool,
    ) -> None:
        """counts: whether it is part of the figures; if not, only its names are known from now on
        (0 times what is not finite is NaN)."""
        for name, (total, count) in metrics.items():
            pair = torch.stack([self._scalar(total), self._scalar(count)])
            self._add(self.pairs, name, pair, counts)
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

    def over_ranks(
        self, engine: Engine
    ) -> tuple[dict[str, tuple[float, float]], dict[str, Tensor]]:
        """metric -> its sum and count, and the tensors, summed over the ranks."""
        names = sorted(self.pairs)
        found: dict[str, tuple[float, float]] = {}
        if names:
            summed = engine.sum_(torch.stack([self.pairs[name] for name in names])).tolist()
            for name, (total, count) in zip(names, summed, strict=True):
                found[name] = (total, count)
        tensors = {name: engine.sum_(self.tensors[name]) for name in sorted(self.tensors)}
        return {name: found[name] for name in self.pairs}, tensors


class _Share(NamedTuple):
    """What a rank measures at once. rows: its examples, by their numbers in the split; none where
    the others have more. most: examples of the rank that has most."""

    rows: range
    most: int


class _Measurement:
    """One pass over a split."""

    def __init__(
        self, objective: Objective, held_out: HeldOutSplit, engine: Engine, seed: int, batch: int
    ):
        self.objective = objective
        self.held_out = held_out
        self.engine = engine
        self.seed = seed
        self.unit = unit_of(objective)
        block = math.lcm(self.unit, objective.held_out_block)
        # examples that are measured together: whole packs
        self.at_once = max(1, batch // self.unit) * self.unit
        # examples of a rank that are prepared together: whole blocks
        self.dealt = max(1, batch // block) * block
        self.sums = _Sums(engine.device)

    def shares(self, windows: int) -> Iterator[_Share]:
        """What this rank measures of the first `windows`, a share at a time."""
        for start in range(0, windows, self.dealt * self.engine.size):
            first = start + self.engine.rank * self.dealt
            rows = range(first, min(first + self.dealt, windows))
            yield _Share(rows, min(self.dealt, windows - start))  # the first rank has most

    def add(self, share: _Share, each: Each | None) -> Iterator[int]:
        """Measures a share; gives how many examples were measured, a part at a time."""
        rows = share.rows
        # A rank without examples calls its modules all the same, on some that do not count: sharded
        # ones meet inside.
        seen = rows if len(rows) else range(self.unit)
        found = self.held_out.batch(seen.start, seen.stop)
        prepared = self.prepared(found, seen)
        for start in range(0, share.most, self.at_once):
            counts = start < len(rows)
            part = slice(start, start + self.at_once) if counts else slice(0, self.unit)
            piece = {name: value[part] for name, value in prepared.items()}
            loss = self.objective.measured(piece)
            metrics: dict[str, tuple[Tensor | float, Tensor | float]] = dict(loss.metrics)
            if each is not None:
                metrics |= each({name: value[part] for name, value in found.items()}, piece)
            self.sums.add(metrics, loss.sums, counts)
            yield max(0, min(self.at_once, len(rows) - start))

    def prepared(self, found: Batch, rows: range) -> Batch:
        """Prepared alone, whatever other ranks there are."""
        device = self.engine.device
        given = {name: value.to(device) for name, value in found.items()}
        numbers = torch.arange(rows.start, rows.stop, device=device)
        draws = Draws(self.seed, POSITION, numbers)
        return self.objective.prepare_held_out(given, draws, Engine.alone(device))


@torch.no_grad()
def measure(
    objective: Objective,
    held_out: HeldOutSplit,
    *,
    batch: int = 32,
    seed: int = 0,
    engine: Engine | None = None,
    each: Each | None = None,
    limit: int | None = None,
    task_name: str = "measuring held-out data",
) -> Means:
    """Every example of a held-out split, or the first `limit`, which of independent examples stand
    for all; every rank gets the same figures. batch: examples that are measured at once on each
    rank, which decides about time and memory, and no figure. each: gives more metrics of a batch.
    task_name: what the display of progress calls it. Raises GenwrightError where there is nothing
    to measure."""
    engine = engine or Engine.alone()
    measurement = _Measurement(objective, held_out, engine, seed, batch)
    unit = measurement.unit
    windows = min(held_out.windows, limit or held_out.windows) // unit * unit
    with evaluating(objective), task(task_name, windows) as shown:
        for share in measurement.shares(windows):
            for done in measurement.add(share, each):
                shown.advance(engine.size * done)
    pairs, tensors = measurement.sums.over_ranks(engine)
    means = Means({name: total / count for name, (total, count) in pairs.items() if count})
    means.counts = {name: int(count) for name, (_, count) in pairs.items()}
    if not means:
        raise GenwrightError(
            "the held-out split has nothing to measure",
            "hold out more data or use a shorter context",
        )
    for name, value in objective.held_out_figures(tensors).items():
        means[name] = value
        means.counts[name] = windows
    return means
