"""`precision: auto`: compute in bf16 where a measurement on this machine, with this model and
batch, shows it faster."""

import copy
import time
from collections.abc import Sequence

import torch

from genwright.core.contracts import Batch, Objective, Stream, Turn
from genwright.core.draws import Draws
from genwright.training.engine import Engine
from genwright.training.settings import Training
from genwright.training.weights import cast_inputs

GAIN = 1.25  # bf16 has less precision: a draw goes to fp32
ROUNDS = 2
REPEATS = 2


def choose(
    objective: Objective, stream: Stream, settings: Training, engine: Engine, seed: int
) -> tuple[torch.dtype, dict[str, float]]:
    """The dtype, and seconds of forward and backward in each that was tried. Weights and buffers
    are as before afterwards. Rank 0 decides for all."""
    if objective.double_backward:
        return torch.float32, {}
    rows = engine.deal(stream.size, objective.unit)[engine.rank]
    batch = {k: v.to(engine.device) for k, v in stream.batch(0, rows, objective).items()}
    for module in objective.modules.values():
        module.to(engine.device)
    prepared = objective.prepare(batch, Draws(seed, 0, rows.to(engine.device)), engine)
    prepared = {k: v[: settings.micro_batch or stream.size] for k, v in prepared.items()}
    times: dict[str, list[float]] = {"fp32": [], "bf16": []}
    # in turns, and the best of each: what else the machine does must not decide
    for _ in range(ROUNDS):
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            tried = copy.deepcopy(objective)  # a step moves buffers
            for module in tried.modules.values():
                cast_inputs(module, dtype)
                for parameter in module.parameters():
                    parameter.data = parameter.data.to(dtype)
            times[name] += timed(tried.turns(0)[:1], prepared, engine, REPEATS)
    seconds = {name: min(found) for name, found in times.items()}
    faster = engine.broadcast(bool(seconds["fp32"] > GAIN * seconds["bf16"]))
    return torch.bfloat16 if faster else torch.float32, seconds


def timed(turns: Sequence[Turn], prepared: Batch, engine: Engine, repeats: int) -> list[float]:
    """Seconds of the gradients of all these turns on a batch, so many times."""
    times = []
    for _ in range(repeats + 1):
        if engine.device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        for turn in turns:
            turn.loss(dict(prepared)).total.sum().backward()
        if engine.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return times[1:]  # the first one pays for kernels being chosen
