"""A run's batches: this rank's rows of each, prepared, and split into micro-batches.

1. The stream gives this rank's rows. Weights of examples are taken off.
2. The objective prepares them as a whole: `prepare`, then `observe` on one micro-batch after
   another, where it has that, then `settle` on the whole again, where it has that.
3. Examples of weight 0 are left out: no loss sees them. Weights other than 1 go with the batch, and
   are applied to each loss (`weighting.py`).
4. A part of the batch is cut into micro-batches.

The price of weights: over several ranks, one exchange more for each draw of the stream, and on a
GPU one wait for it.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from genwright.core.contracts import Batch, Objective, Stream
from genwright.core.draws import Draws
from genwright.core.draws_ahead import DrawsAhead
from genwright.core.errors import GenwrightError
from genwright.training.engine import Engine
from genwright.training.settings import Training
from genwright.training.weighting import WEIGHT

WHOLE = slice(None)


class Micro(NamedTuple):
    """A micro-batch. counts: if not, it is there for the names of its metrics, or so that sharded
    modules meet the other ranks' inside."""

    batch: Batch
    counts: bool


class Prepared(NamedTuple):
    """This rank's rows of a draw of the stream, as `Objective.settle` left them. kept: (size of the
    global batch,) bool, examples that are not left out by a weight of 0; None: all."""

    batch: Batch
    kept: Tensor | None


def check(objective: Objective, size: int, settings: Training, engine: Engine) -> None:
    """Raises GenwrightError where batches of `size` examples cannot be dealt out to the processes,
    or split as the settings say."""
    unit = max(1, objective.unit)
    if size % unit or (settings.micro_batch or unit) % unit:
        what = f"training.batch_size and micro_batch must be multiples of {unit}"
        raise GenwrightError(what, "the objective keeps so many examples together")
    check_shares(size, engine.size, unit)


def check_shares(size: int, processes: int, unit: int = 1) -> None:
    """Raises GenwrightError where a batch of `size` examples, `unit` of which stay together, is not
    enough for so many processes."""
    if size < processes * unit:
        raise GenwrightError(
            f"training.batch_size={size} leaves a process without examples",
            f"use at least {processes * unit}",
        )


class Batches:
    """Made once a run. Raises GenwrightError as `check`."""

    def __init__(
        self,
        objective: Objective,
        stream: Stream,
        settings: Training,
        engine: Engine,
        seed: int,
    ):
        check(objective, stream.size, settings, engine)
        self.objective = objective
        self.stream = stream
        self.engine = engine
        self.unit = max(1, objective.unit)
        self.micro = settings.micro_batch or stream.size  # examples of a micro-batch
        self.rows = engine.deal(stream.size, self.unit)  # of each rank
        self.own = self.rows[engine.rank]
        self.draws = DrawsAhead(seed, self.own.to(engine.device))
        self.at_once = max(map(len, self.rows)) <= self.micro

    def prepared(self, position: int) -> Prepared:
        """The batch at a position of the stream, after `prepare`, `observe` and `settle`."""
        objective = self.objective
        engine = self.engine
        batch = dict(self.stream.batch(position, self.own, objective))
        weight = batch.pop(WEIGHT, None)  # (own,)
        if engine.device.type != "cpu":
            batch = {k: v.to(engine.device, non_blocking=True) for k, v in batch.items()}
        draws = self.draws.at(position)
        batch = objective.prepare(batch, draws, engine)
        if objective.observe is not None:
            batch = batch | self._observed(objective.observe, batch)
        if weight is None:
            return Prepared(self._settled(batch, draws), None)
        return self._weighed(batch, weight.cpu(), draws)

    def _weighed(self, batch: Batch, weight: Tensor, draws: Draws) -> Prepared:
        """Settles a batch whose examples have weights (own,), on the CPU, where it is decided which
        of them are left out."""
        placed = weight.to(self.engine.device)
        if WEIGHT in batch:  # the objective weighs too
            placed = placed * batch[WEIGHT]
        batch = {WEIGHT: placed} | self._settled(batch | {WEIGHT: placed}, draws)
        kept, equal = self._kept(weight)
        if equal and batch[WEIGHT] is placed:  # nothing is left to be multiplied
            del batch[WEIGHT]
        return Prepared(batch, kept)

    def _settled(self, batch: Batch, draws: Draws) -> Batch:
        if self.objective.settle is None:
            return batch
        return self.objective.settle(batch, draws, self.engine)

    @torch.no_grad()
    def _observed(self, observe: Callable[[Batch], Batch], batch: Batch) -> Batch:
        """What `observe` gives of all micro-batches, put together."""
        parts: dict[str, list[Tensor]] = {}
        for piece in self.pieces(Prepared(batch, None)):
            found = observe(piece.batch)
            if not piece.counts:
                continue
            for name, value in found.items():
                parts.setdefault(name, []).append(value)
        return {name: torch.cat(values) for name, values in parts.items()}

    def _kept(self, weight: Tensor) -> tuple[Tensor, bool]:
        """weight: (own,), on the CPU -> which examples of the global batch (size,) are computed:
        whole packs in which a weight is not 0; and whether all of those have weight 1."""
        if self.engine.size > 1:
            weight = self.engine.gather(weight.to(self.engine.device)).cpu()
        if not bool((weight >= 0).all() and weight.isfinite().all()):
            raise GenwrightError(
                "the stream gives an example a weight below 0, or one that is not finite",
                "give weights of 0 or more",
            )
        packs = (weight != 0).view(-1, self.unit).any(1)  # (size / unit,)
        kept = packs.repeat_interleave(self.unit)  # (size,)
        return kept, bool((weight[kept] == 1).all())

    def pieces(self, prepared: Prepared, part: slice = WHOLE) -> Iterator[Micro]:
        """This rank's micro-batches of a part of the global batch.

        Every rank has one at least, from which it learns the names of the metrics. Where modules
        are sharded every rank has as many as the others, since the collectives inside them must
        pair up. What is added for that does not count."""
        batch, kept = prepared
        if part == WHOLE and kept is None and self.at_once:
            yield Micro(batch, True)
            return
        start, stop, _ = part.indices(self.stream.size)
        chosen = torch.zeros(self.stream.size, dtype=torch.bool)
        chosen[start:stop] = True
        if kept is not None:
            chosen &= kept
        local = [chosen[rows].nonzero()[:, 0] for rows in self.rows]  # of each rank
        index = local[self.engine.rank]
        pieces = torch.split(index, self.micro) if len(index) else ()
        for piece in pieces:
            yield Micro(_rows(batch, piece), True)
        missing = int(not pieces)
        if self.engine.strategy == "fsdp":
            most = -(-max(map(len, local)) // self.micro)
            missing = max(1, most) - len(pieces)
        # examples that count elsewhere, if there are any
        spare = index[: self.unit] if len(index) else torch.arange(self.unit)
        for _ in range(missing):
            yield Micro(_rows(batch, spare), False)


def _rows(batch: Batch, index: Tensor) -> Batch:
    return {name: value[index.to(value.device)] for name, value in batch.items()}
