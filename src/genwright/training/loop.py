"""The loop: every family of model is trained by these lines. It knows turns, not objectives; it
opens no file.

A step, for each turn of the objective: the turn's draw of the stream is fetched and prepared (whole
batch, all randomness), split into micro-batches, each differentiated; gradients are summed over
micro-batches and ranks, checked, divided once by the global count of units, clipped, and applied to
the modules that move. Every number that could differ between runs is a function of (seed,
position), so a run that stopped goes on bit for bit.

A turn whose loss or gradient is not finite on any rank updates nothing on all of them, and ends its
step.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genwright.core.contracts import Batch, Loss, Objective, Stream, Turn, describe
from genwright.core.draws import Draws, key
from genwright.core.errors import GenwrightError
from genwright.training.engine import Engine
from genwright.training.schedules import rate_factor
from genwright.training.settings import Training
from genwright.training.state import State, trained_modules
from genwright.training.state import start as start  # whoever runs the loop starts here
from genwright.training.weights import Weights


class Rollback(Exception):
    """Too many non-finite steps in a row, or an alarm; whoever keeps checkpoints goes back to
    one."""

    def __init__(self, step: int, reason: str, remedy: str):
        self.step = step
        self.reason = reason
        self.remedy = remedy
        super().__init__(reason)


class Hook:
    """What a caller wants done during a run. `after_step` gets the step's record (numbers only,
    written as a line of metrics); what it adds to the record is seen by later hooks. `stop` is
    asked on every rank after every step."""

    def after_step(self, state: State, record: dict[str, Any]) -> None: ...

    def stop(self, state: State) -> bool:
        return False


Pair = tuple[Any, Any]  # a sum and how many it is of: numbers or tensors
GradientMaker = Callable[[Callable[[Batch], Loss], Batch, Sequence[Weights]], Loss]


def plain_gradients(loss: Callable[[Batch], Loss], batch: Batch, moving: Sequence[Weights]) -> Loss:
    """Adds the gradient of the summed totals of one micro-batch to the moving modules' gradients.
    Examples that count for nothing are left out. Exchangeable: per example, clipped and noised, for
    private training."""
    out = loss(batch)
    # not multiplied: 0 times infinity is no number
    out = out._replace(total=out.total.masked_fill(out.count == 0, 0.0))
    if out.total.requires_grad:
        out.total.sum().backward()
    for weights in moving:
        weights.collect()
    # the graph is freed here, not after the optimizer
    return out._replace(total=out.total.detach())


def check(objective: Objective, size: int, settings: Training, engine: Engine) -> None:
    """Raises GenwrightError where batches of `size` examples cannot be dealt out to the processes,
    or split as the settings say."""
    unit = max(1, objective.unit)
    if size % unit or (settings.micro_batch or unit) % unit:
        what = f"training.batch_size and micro_batch must be multiples of {unit}"
        raise GenwrightError(what, "the objective keeps so many examples together")
    if size < engine.size * unit:
        raise GenwrightError(
            f"training.batch_size={size} leaves a process without examples",
            f"use at least {engine.size * unit}",
        )


class _Step:
    """One step's machinery, made once a run."""

    def __init__(
        self,
        objective: Objective,
        stream: Stream,
        state: State,
        settings: Training,
        engine: Engine,
        gradients: GradientMaker,
    ):
        self.objective = objective
        self.stream = stream
        self.state = state
        self.settings = settings
        self.engine = engine
        self.gradients = gradients
        self.unit = max(1, objective.unit)
        check(objective, stream.size, settings, engine)
        for weights in state.weights.values():
            weights.check_held()
        self.rows = engine.deal(stream.size, self.unit)
        self.own = self.rows[engine.rank]
        self.placed = self.own.to(engine.device)
        self.at_once = max(map(len, self.rows)) <= (settings.micro_batch or stream.size)
        self.trained = trained_modules(objective)
        self.moved: tuple[str, ...] | None = None

    def prepared(self, position: int) -> Batch:
        batch = self.stream.batch(position, self.own, self.objective)
        if self.engine.device.type != "cpu":
            batch = {k: v.to(self.engine.device, non_blocking=True) for k, v in batch.items()}
        return self.objective.prepare(
            batch, Draws(self.state.seed, position, self.placed), self.engine
        )

    def parts(self, batch: Batch, part: slice) -> list[tuple[Batch, bool]]:
        """This rank's micro-batches of a part of the global batch, and whether they count.

        Every rank has one at least, from which it learns the names of the metrics. Where modules
        are sharded every rank has as many as the others, since the collectives inside them must
        pair up. What is added for that does not count."""
        size = self.settings.micro_batch or self.stream.size
        if part == slice(None) and self.at_once:
            return [(batch, True)]
        start, stop, _ = part.indices(self.stream.size)
        local = [((r >= start) & (r < stop)).nonzero()[:, 0] for r in self.rows]
        index = local[self.engine.rank]
        pieces = [
            (self._take(batch, index[i : i + size]), True) for i in range(0, len(index), size)
        ]
        most = -(-max(map(len, local)) // size)
        missing = most - len(pieces) if self.engine.strategy == "fsdp" else int(not pieces)
        # examples that count elsewhere, if there are any
        spare = index[: self.unit] if len(index) else torch.arange(self.unit)
        return pieces + [(self._take(batch, spare), False) for _ in range(missing)]

    @staticmethod
    def _take(batch: Batch, index: Tensor) -> Batch:
        return {k: v[index.to(v.device)] for k, v in batch.items()}

    def freeze(self, moves: tuple[str, ...]) -> None:
        """Computes gradients of the modules that move alone. Raises GenwrightError for one that the
        objective does not train: it was frozen from the start."""
        if moves == self.moved:
            return
        for name in moves:
            if name not in self.trained:
                raise GenwrightError(
                    f"a turn of step {self.state.step + 1} moves module {name!r}, which the"
                    " objective does not train",
                    f"name {name!r} in the objective's `trained`, or leave it out of the turn",
                )
        for name, weights in self.state.weights.items():
            weights.allow_gradients(name in moves)
        self.moved = moves

    def unfreeze(self) -> None:
        """Leaves the modules as they came."""
        for weights in self.state.weights.values():
            weights.allow_gradients(True)

    def turn(
        self,
        turn: Turn,
        batch: Batch,
        factor: float,
        record: dict[str, Any],
        totals: dict[str, Pair],
    ) -> str:
        """Plays one turn; adds its reduced metrics to `totals`. Returns why nothing was updated, ""
        if all is well."""
        self.freeze(turn.moves)
        moving = [self.state.weights[name] for name in turn.moves]
        for w in moving:
            w.zero()
        added = _Added()
        for piece, counts in self.parts(batch, turn.part):
            if counts:
                added.add(self.gradients(turn.loss, piece, moving))
            elif self.engine.strategy == "fsdp":
                added.add(self.gradients(partial(_weightless, turn.loss), piece, moving))
            else:
                added.add(_weightless(turn.loss, piece))
        names = sorted(added.metrics)
        total, count, *values = self.reduced(
            [added.total, added.count, *(value for name in names for value in added.metrics[name])]
        )
        for w in moving:
            w.reduce(self.engine)
        square_norm = sum(float(w.square_norm(self.engine)) for w in moving)
        for name, pair in zip(names, zip(values[::2], values[1::2], strict=True), strict=True):
            totals[name] = _both(totals[name], pair) if name in totals else pair
        self.sums |= {name: self.engine.sum(added.sums[name]) for name in sorted(added.sums)}
        if count == 0 and math.isfinite(total):
            what = (
                f"step {self.state.step + 1} has no target: nothing in its batch counts in the loss"
            )
            raise GenwrightError(
                what, "look at the batch with `genwright inspect`, and check masks and context"
            )
        norm = math.sqrt(square_norm) / count if square_norm >= 0 and count else math.nan
        if not (math.isfinite(total) and math.isfinite(norm)):
            return "loss is not finite" if not math.isfinite(total) else "gradient is not finite"
        clip = min(1.0, self.settings.clip / norm) if self.settings.clip and norm > 0 else 1.0
        for w in moving:
            w.update(factor, clip / count)
        record[
            "gradient_norm"
            if len(self.objective.modules) == 1
            else "gradient_norm/" + "+".join(turn.moves)
        ] = norm
        return ""

    def reduced(self, scalars: Sequence[Tensor]) -> list[float]:
        """Sums over ranks as numbers, exact up to 2^53; one exchange with a GPU or other ranks for
        all of them."""
        if self.engine.device.type == "cpu" and self.engine.size == 1:
            return [float(s) for s in scalars]
        return self.engine.sum_(torch.stack([s.double() for s in scalars])).tolist()

    def __call__(self) -> dict[str, Any]:
        state = self.state
        objective = self.objective
        position = state.position(state.step)
        # whatever draws from torch's own generator (dropout) is a function of the position too
        seed = key(state.seed, position, self.engine.rank) & 0x7FFFFFFFFFFFFFFF
        # `torch.manual_seed` asks every kind of device, and takes 80 us
        torch.default_generator.manual_seed(seed)
        if self.engine.device.type == "cuda":
            torch.cuda.manual_seed(seed)
        factor = rate_factor(self.settings.schedule, state.step, self.settings.steps)
        record: dict[str, Any] = {"step": state.step + 1}
        batches: dict[int, Batch] = {}
        totals: dict[str, Pair] = {}
        self.sums: dict[str, Tensor] = {}  # of the turns, by name
        reason = ""
        for turn in objective.turns(state.step):
            if turn.draw not in batches:
                batches[turn.draw] = self.prepared(position * objective.draws + turn.draw)
            if reason := self.turn(turn, batches[turn.draw], factor, record, totals):
                where = describe(
                    self.stream,
                    position * objective.draws + turn.draw,
                    torch.arange(self.stream.size),
                )
                record["skipped"] = (
                    f"{reason} at step {state.step + 1}, position {position}: {where}"
                )
                break
        metrics = {name: total / count for name, (total, count) in totals.items() if count}
        record |= metrics | {"rate": factor}
        if not reason:
            for w in state.weights.values():
                w.move_average()
            record |= objective.after_step(metrics, self.sums) or {}
        state.bad = state.bad + 1 if reason else 0
        state.step += 1
        return record


def _weightless(loss: Callable[[Batch], Loss], batch: Batch) -> Loss:
    """The loss of a micro-batch that does not count: all zeros. They are selected, since 0 times
    what is not finite is no number."""
    out = loss(batch)
    metrics = {
        name: (torch.zeros_like(total), torch.zeros_like(count))
        for name, (total, count) in out.metrics.items()
    }
    total = out.total.masked_fill(torch.ones_like(out.total, dtype=torch.bool), 0.0)
    return Loss(
        total,
        torch.zeros_like(out.count),
        metrics,
        {name: torch.zeros_like(value) for name, value in out.sums.items()},
    )


def _both(a: Pair, b: Pair) -> Pair:
    return a[0] + b[0], a[1] + b[1]


class _Added:
    """What the micro-batches of a turn add up to. metrics: name -> (sum, count). sums: those of
    `Loss.sums`."""

    def __init__(self) -> None:
        self.total: Any = 0.0
        self.count: Any = 0.0
        self.metrics: dict[str, Pair] = {}
        self.sums: dict[str, Tensor] = {}

    def add(self, out: Loss) -> None:
        self.total = self.total + out.total.detach().sum()
        self.count = self.count + out.count.sum()
        for name, (total, count) in out.metrics.items():
            pair = total.detach(), count
            self.metrics[name] = _both(self.metrics[name], pair) if name in self.metrics else pair
        for name, tensor in out.sums.items():
            self.sums[name] = self.sums[name] + tensor if name in self.sums else tensor


def run(
    objective: Objective,
    stream: Stream,
    state: State,
    until: int,
    *,
    settings: Training,
    engine: Engine,
    hooks: Iterable[Hook] = (),
    gradients: GradientMaker = plain_gradients,
) -> State:
    """Trains from `state.step` to step `until`, or until a hook asks to stop. Without files: a
    federation's client, a test and `train` call the same, as often as they want: nothing but the
    state and the modules is changed, and torch's own generator is left as it was. Raises Rollback
    after `settings.guard.skips` non-finite steps in a row."""
    step = _Step(objective, stream, state, settings, engine, gradients)
    with torch.random.fork_rng([engine.device] if engine.device.type == "cuda" else []):
        try:
            _until(until, step, list(hooks))
        finally:
            step.unfreeze()
    return state


def _until(until: int, step: _Step, hooks: Sequence[Hook]) -> None:
    """Steps, with what hooks do between them."""
    objective = step.objective
    stream = step.stream
    state = step.state
    settings = step.settings
    while state.step < until:
        began = time.perf_counter()
        record = step()
        record["seconds"] = time.perf_counter() - began
        record[f"{stream.unit}_per_second"] = (
            stream.size * stream.units * objective.draws / record["seconds"]
        )
        for hook in hooks:
            hook.after_step(state, record)
        if state.bad >= settings.guard.skips:
            clip = (
                f"lower training.clip, which is {settings.clip:g}"
                if settings.clip
                else "set training.clip"
            )
            remedy = f"lower the learning rate, {clip}, or look at that batch"
            raise Rollback(
                state.step,
                f"{state.bad} steps in a row were not finite, the last: {record['skipped']}",
                remedy,
            )
        # every one, on every rank: a hook may have to agree with the other ranks
        asked = [hook.stop(state) for hook in hooks]
        if any(asked):
            break
