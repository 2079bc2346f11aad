"""`precision: auto`: compute in bf16 where a measurement on this machine, with this model and
batch, shows it faster."""

import copy
import time

import torch

from genwright.core.contracts import Batch, Objective, Stream
from genwright.training.batches import Batches
from genwright.training.engine import Engine
from genwright.training.loop import following
from genwright.training.metrics import Added, Measured
from genwright.training.modules import cast_inputs
from genwright.training.settings import Training
from genwright.training.weighting import weighted

GAIN = 1.25  # bf16 has less precision: a draw goes to fp32
ROUNDS = 2
REPEATS = 2
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def choose(
    objective: Objective, stream: Stream, settings: Training, engine: Engine, seed: int
) -> tuple[torch.dtype, dict[str, float]]:
    """The dtype, and seconds of forward and backward of a step's first turn in each that was tried.
    Weights and buffers are as before afterwards. Rank 0 decides for all."""
    if objective.double_backward:
        return torch.float32, {}
    for module in objective.modules.values():
        module.to(engine.device)
    batches = Batches(objective, stream, settings, engine, seed)
    first = next(batches.pieces(batches.prepared(0))).batch
    times: dict[str, list[float]] = {name: [] for name in DTYPES}
    # in turns, and the best of each: what else the machine does must not decide
    for _ in range(ROUNDS):
        for name, dtype in DTYPES.items():
            tried = copy.deepcopy(objective)  # a step moves buffers
            for module in tried.modules.values():
                cast_inputs(module, dtype)
                for parameter in module.parameters():
                    parameter.data = parameter.data.to(dtype)
            times[name] += timed(tried, first, engine, REPEATS, turns=1)
    seconds = {name: min(found) for name, found in times.items()}
    faster = engine.broadcast(bool(seconds["fp32"] > GAIN * seconds["bf16"]))
    return torch.bfloat16 if faster else torch.float32, seconds


def timed(
    objective: Objective, micro: Batch, engine: Engine, repeats: int, turns: int | None = None
) -> list[float]:
    """Seconds of the gradients of a step's first turns (None: all of them) on a micro-batch, so
    many times. No weights change."""
    times = []
    for _ in range(repeats + 1):
        _finish(engine)
        began = time.perf_counter()
        _differentiate(objective, micro, engine, turns)
        _finish(engine)
        times.append(time.perf_counter() - began)
    return times[1:]  # the first one pays for kernels being chosen


def _differentiate(objective: Objective, micro: Batch, engine: Engine, turns: int | None) -> None:
    """The turns of step 0, each of which is sent what the one before has measured here."""
    plan = objective.turns(0)
    turn = next(plan, None)
    played = 0
    while turn is not None:
        loss = weighted(turn.loss, dict(micro))
        torch.autograd.backward(loss.total.sum())
        played += 1
        if played == turns:
            break
        added = Added()
        added.add(loss)
        names, numbers = added.over_ranks(Engine.alone(engine.device), on_host=True)
        total, count, *pairs = numbers
        turn = following(plan, Measured.of(names, [total, count, 0.0, *pairs]))
    plan.close()


def _finish(engine: Engine) -> None:
    """Waits for a GPU to have done what it was asked."""
    if engine.device.type == "cuda":
        torch.cuda.synchronize()
