"""The loop: every family of model is trained by these lines. It knows turns, not objectives; it
opens no file.

A step. For each turn of the objective:

1. The turn's draw of the stream is fetched, and prepared as a whole, with all that is random; once,
   for all turns of the step that use it (`batches.py`).
2. The turn's part of it is split into micro-batches. Each is differentiated (`gradients.py`).
3. What micro-batches have measured, and their gradients, are summed over the ranks.
4. The gradients are finished and divided, once, by the global count of units; clipped; and applied
   to the modules that move.
5. What the turn has measured is sent to the objective, which gives the next turn, or none.

Then, of the step:

6. The numbers are looked at, and become its record. This is where a GPU is waited for: once a step,
   unless an objective looks at what a turn has measured.

A turn whose loss or gradient is not finite on any rank updates nothing on all of them, and ends its
step. Every number that could differ between runs is a function of (seed, position), so a run that
stopped goes on bit for bit.
"""

import math
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genwright.core.contracts import Metrics, Objective, Stream, Turn, describe
from genwright.core.draws import Draws, key
from genwright.core.errors import GenwrightError
from genwright.training.batches import Batches, Prepared
from genwright.training.engine import Engine
from genwright.training.gradients import Gradients, PlainGradients, Scaling, scaling
from genwright.training.metrics import Added, Measured, Number, look_at, means
from genwright.training.schedules import rate_factor
from genwright.training.settings import Training
from genwright.training.state import State, trained_modules
from genwright.training.state import start as start  # whoever runs the loop starts here
from genwright.training.weighting import weighted, weightless
from genwright.training.weights import Weights


class Rollback(Exception):
    """Too many non-finite steps in a row, or an alarm; whoever keeps checkpoints goes back to
    one."""

    def __init__(self, step: int, reason: str, remedy: str):
        self.step = step
        self.reason = reason
        self.remedy = remedy
        super().__init__(reason)


class NoBatch(GenwrightError):
    """The stream or the objective could not make the first batch of a step: the state is still that
    behind the step before."""


class Hook:
    """What a caller wants done during a run. `after_step` gets the step's record (numbers only,
    written as a line of metrics); what it adds to the record is seen by later hooks. `stop` is
    asked on every rank after every step."""

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Called after every step, an update or a skipped one, on each rank that has the hook."""

    def stop(self, state: State) -> bool:
        """True ends the run after this step; all ranks must answer alike."""
        return False


class _Step:
    """What a step needs, made once a run. The numbers are those of the module's docstring."""

    def __init__(
        self,
        objective: Objective,
        stream: Stream,
        state: State,
        settings: Training,
        engine: Engine,
        gradients: Gradients,
    ):
        self.objective = objective
        self.stream = stream
        self.state = state
        self.settings = settings
        self.engine = engine
        self.gradients = gradients
        # On a CPU looking at a number costs nothing; elsewhere it waits for all that came before.
        self.on_host = engine.device.type == "cpu"
        self.batches = Batches(objective, stream, settings, engine, state.seed)
        for weights in state.weights.values():
            weights.check_held()
        self.trained = trained_modules(objective)
        self.seed_of_gradients = key(state.seed, "gradients")
        self.turn_numbers: list[Tensor] = []  # (1,) each, for the random numbers of a turn
        self.moved: tuple[str, ...] | None = None
        self.finite: Tensor | None = None  # whether all turns of the step were, so far
        self.sums: dict[str, Tensor] = {}  # `Loss.sums` of the step's turns

    def __call__(self) -> dict[str, Any]:
        """Plays a step; gives its record."""
        state = self.state
        position = state.position(state.step)
        self._seed(position)
        factor = rate_factor(self.settings.schedule, state.step, self.settings.steps)
        turns, measured = self.play(position, factor)
        record: dict[str, Any] = {"step": state.step + 1}
        failed = self._failed(measured)  # 6
        for turn, found in zip(turns[:failed], measured[:failed], strict=True):
            record[self._norm_name(turn)] = found.norm
        if failed is not None:
            record["skipped"] = self._reason(turns[failed], measured[failed], position)
            self._take_back(turns[failed:])
            measured = measured[: failed + 1]
        metrics = means(measured)
        record |= metrics
        record["rate"] = factor
        if failed is None:
            for weights in state.weights.values():
                weights.move_average()
            record |= self.objective.after_step(metrics, self.sums) or {}
            state.bad = 0
        else:
            state.bad += 1
        state.step += 1
        return record

    def play(self, position: int, factor: float) -> tuple[list[Turn], list[Measured]]:
        """The turns of a step, and what each has measured. Where it is seen at once that a turn was
        not finite, it is the last."""
        draws = self.objective.draws
        batches: dict[int, Prepared] = {}
        turns: list[Turn] = []
        measured: list[Measured] = []
        self.finite = None
        self.sums = {}
        plan = self.objective.turns(self.state.step)
        turn = next(plan, None)
        while turn is not None:
            if turn.draw not in batches:
                batches[turn.draw] = self.prepared(position * draws + turn.draw, turns)  # 1
            found = self.turn(turn, batches[turn.draw], position, factor, len(turns))
            turns.append(turn)
            measured.append(found)
            if found.on_host and not found.finite:
                break
            turn = following(plan, found)  # 5
            if found.on_host and not found.finite:  # the objective has looked
                break
        plan.close()
        return turns, measured

    def prepared(self, position: int, played: list[Turn]) -> Prepared:
        """The batch at a position. played: the step's turns before it. Raises NoBatch where it
        cannot be made and nothing was updated yet."""
        try:
            return self.batches.prepared(position)
        except GenwrightError as error:
            if played:
                raise
            raise NoBatch(error.what, error.remedy) from error

    def turn(
        self, turn: Turn, prepared: Prepared, position: int, factor: float, number: int
    ) -> Measured:
        """Plays the step's turn `number`; gives what it has measured."""
        engine = self.engine
        self.freeze(turn.moves)
        moving = [self.state.weights[name] for name in turn.moves]
        added = self.differentiate(turn, prepared, moving)  # 2
        names, numbers = added.over_ranks(engine, self.on_host)  # 3
        total, count, *pairs = numbers
        for weights in moving:
            weights.reduce(engine)
        for name in sorted(added.sums):
            self.sums[name] = engine.sum(added.sums[name])
        draws = self.draws_of_turn(position, number)
        divisor = self.gradients.finish(moving, count, draws, engine)  # 4
        square_norm = self.square_norm(moving)
        scaled = scaling(total, divisor, square_norm, self.settings.clip)
        self.update(moving, factor, scaled)
        return Measured.of(names, [total, divisor, scaled.norm, *pairs])

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

    def differentiate(self, turn: Turn, prepared: Prepared, moving: list[Weights]) -> Added:
        """Fills the moving modules' gradients from this rank's micro-batches."""
        loss = partial(weighted, turn.loss)
        nothing = partial(weightless, turn.loss)
        added = Added()
        for weights in moving:
            weights.zero()
        for micro in self.batches.pieces(prepared, turn.part):
            if micro.counts:
                added.add(self.gradients.micro(loss, micro.batch, moving))
            elif self.engine.strategy == "fsdp":  # the ranks meet in backward
                added.add(self.gradients.micro(nothing, micro.batch, moving))
            else:
                added.add(nothing(micro.batch))
                for weights in moving:
                    weights.collect()
        return added

    def square_norm(self, moving: list[Weights]) -> Number:
        """Of the gradients of all moving modules together."""
        squares = [weights.square_norm(self.engine) for weights in moving]
        if self.on_host:
            return sum(float(square) for square in squares)
        return torch.stack(squares).double().sum()

    def update(self, moving: list[Weights], factor: float, scaled: Scaling) -> None:
        """One optimizer step of the moving modules, unless something was not finite."""
        if isinstance(scaled.finite, Tensor):
            # A turn after one that was not finite, which nobody has seen yet, updates nothing
            # either.
            self.finite = scaled.finite if self.finite is None else self.finite & scaled.finite
            for weights in moving:
                weights.update(factor, scaled.scale, self.finite, self.engine)
        elif scaled.finite:
            for weights in moving:
                weights.update(factor, scaled.scale, engine=self.engine)

    def draws_of_turn(self, position: int, number: int) -> Draws:
        """Random numbers for the gradients of a turn, apart from those of examples."""
        while number >= len(self.turn_numbers):
            turn = torch.full((1,), len(self.turn_numbers), device=self.engine.device)
            self.turn_numbers.append(turn)
        return Draws(self.seed_of_gradients, position, self.turn_numbers[number])

    def _seed(self, position: int) -> None:
        """Makes what draws from torch's own generator (dropout) a function of the position."""
        seed = key(self.state.seed, position, self.engine.rank) & 0x7FFFFFFFFFFFFFFF
        # `torch.manual_seed` asks every kind of device, and takes 80 us
        torch.default_generator.manual_seed(seed)
        if self.engine.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _failed(self, measured: list[Measured]) -> int | None:
        """The first turn that was not finite; None if there is none. Raises GenwrightError where
        there was nothing to learn from."""
        look_at(measured)
        for number, found in enumerate(measured):
            if found.divisor == 0 and math.isfinite(found.total):
                step = self.state.step + 1
                raise GenwrightError(
                    f"step {step} has no target: nothing in its batch counts in the loss",
                    "look at the batch with `genwright inspect`, and check masks and context",
                )
            if not found.finite:
                return number
        return None

    def _take_back(self, turns: list[Turn]) -> None:
        """Updates that turned out to be none do not count."""
        if self.on_host:
            return  # it was seen before they were made
        for turn in turns:
            for name in turn.moves:
                self.state.weights[name].updates -= 1

    def _norm_name(self, turn: Turn) -> str:
        if len(self.objective.modules) == 1:
            return "gradient_norm"
        return "gradient_norm/" + "+".join(turn.moves)

    def _reason(self, turn: Turn, found: Measured, position: int) -> str:
        """Why a step is passed over, for a person."""
        what = "gradient" if math.isfinite(found.total) else "loss"
        place = position * self.objective.draws + turn.draw
        where = describe(self.stream, place, torch.arange(self.stream.size))
        step = self.state.step + 1
        return f"{what} is not finite at step {step}, position {position}: {where}"


def following(plan: Generator[Turn, Metrics, None], measured: Metrics) -> Turn | None:
    """The next turn of a step, after one that has measured this; None after the last."""
    try:
        return plan.send(measured)
    except StopIteration:
        return None


def run(
    objective: Objective,
    stream: Stream,
    state: State,
    until: int,
    *,
    settings: Training,
    engine: Engine,
    hooks: Iterable[Hook] = (),
    gradients: Gradients | None = None,
) -> State:
    """Trains from `state.step` to step `until`, or until a hook asks to stop. Without files: a
    federation's client, a test and `train` call the same, as often as they want: nothing but the
    state and the modules is changed, and torch's own generator is left as it was. Raises Rollback
    after `settings.guard.skips` non-finite steps in a row."""
    gradients = gradients or PlainGradients()
    for name, value in state.extra.items():
        if isinstance(value, Tensor):  # a checkpoint gives them on the CPU
            state.extra[name] = value.to(engine.device)
    gradients.begin(state.extra)
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
    units = stream.size * stream.units * objective.draws  # of a step
    while state.step < until:
        began = time.perf_counter()
        record = step()
        seconds = time.perf_counter() - began
        record["seconds"] = seconds
        record[f"{stream.unit}_per_second"] = units / seconds
        for hook in hooks:
            hook.after_step(state, record)
        if state.bad >= settings.guard.skips:
            raise _rollback(state, settings, record)
        # every one, on every rank: a hook may have to agree with the other ranks
        asked = [hook.stop(state) for hook in hooks]
        if any(asked):
            break


def _rollback(state: State, settings: Training, record: Mapping[str, Any]) -> Rollback:
    """After too many steps in a row that were not finite, of which this is the last record."""
    clip = "set training.clip"
    if settings.clip:
        clip = f"lower training.clip, which is {settings.clip:g}"
    return Rollback(
        state.step,
        f"{state.bad} steps in a row were not finite, the last: {record['skipped']}",
        f"lower the learning rate, {clip}, or look at that batch",
    )
