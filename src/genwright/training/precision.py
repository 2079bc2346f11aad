"""`precision: auto`: compute in bf16 where a measurement on this machine, with this model and
batch, shows it faster.

1. Where it cannot be faster nothing is measured: gradients of gradients, and processors that have
   no arithmetic in bf16.
2. Each precision is tried once, and the one that looks slower once more, for other work of the
   machine may have delayed it. If it is clearly slower, that is all: trials take longer than the
   steps of a short run.
3. Else both are tried some more times, and the best time of each counts.
"""

import copy
import time
from pathlib import Path

import torch

from genwright.core.contracts import Batch, Objective, Stream
from genwright.training.batches import Batches
from genwright.training.engine import Engine
from genwright.training.modules import cast_inputs
from genwright.training.settings import Training
from genwright.training.weighting import weighted

GAIN = 1.25  # bf16 has less precision: a draw goes to fp32
CLEAR = 1.25  # this far from GAIN there is no doubt
ROUNDS = 3  # of further trials, where there is
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
PROCESSOR = Path("/proc/cpuinfo")


def choose(
    objective: Objective, stream: Stream, settings: Training, engine: Engine, seed: int
) -> tuple[torch.dtype, dict[str, float]]:
    """The dtype, and seconds of forward and backward of a step's first turn in each that was tried
    (none, where nothing had to be measured). Weights and buffers are as before afterwards. Rank 0
    decides for all."""
    if why_fp32(objective, engine.device):
        return torch.float32, {}
    for module in objective.modules.values():
        module.to(engine.device)
    batches = Batches(objective, stream, settings, engine, seed)
    first = next(batches.pieces(batches.prepared(0))).batch
    seconds = {name: _trial(objective, first, engine, name, warm_up=True) for name in DTYPES}
    for _ in range(ROUNDS):
        is_clear = _is_clear(seconds)
        slower = max(seconds, key=seconds.__getitem__)
        for name in [slower] if is_clear else DTYPES:
            again = _trial(objective, first, engine, name, warm_up=False)
            seconds[name] = min(seconds[name], again)
        if is_clear and _is_clear(seconds) and slower == max(seconds, key=seconds.__getitem__):
            break
    faster = engine.broadcast(bool(seconds["fp32"] > GAIN * seconds["bf16"]))
    return torch.bfloat16 if faster else torch.float32, seconds


def why_fp32(objective: Objective, device: torch.device) -> str:
    """Why bf16 is not even tried, for a person; "" where it is."""
    if objective.double_backward:
        return "gradients of gradients"
    if device.type == "cpu" and not _has_bf16():
        return "this processor has no arithmetic in bf16"
    return ""


def _has_bf16() -> bool:
    """Whether the processor multiplies in bf16 (avx512_bf16, amx_bf16, bf16 of Arm). True where the
    system does not say."""
    try:
        lines = PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return True
    flags = [line for line in lines if line.lower().startswith(("flags", "features"))]
    return not flags or "bf16" in flags[0]


def _is_clear(seconds: dict[str, float]) -> bool:
    """Whether the gain of bf16 is far from what decides."""
    gain = seconds["fp32"] / seconds["bf16"]
    return gain > GAIN * CLEAR or gain < GAIN / CLEAR


def _trial(objective: Objective, micro: Batch, engine: Engine, name: str, warm_up: bool) -> float:
    """Seconds in a precision. warm_up: whether another go is made before, which is not counted."""
    tried = copy.deepcopy(objective)  # a step moves buffers
    dtype = DTYPES[name]
    for module in tried.modules.values():
        cast_inputs(module, dtype)
        for parameter in module.parameters():
            parameter.data = parameter.data.to(dtype)
    if warm_up:  # kernels are chosen, and memory is asked for
        _differentiate(tried, micro)
    _finish(engine)
    began = time.perf_counter()
    _differentiate(tried, micro)
    _finish(engine)
    return time.perf_counter() - began


def _differentiate(objective: Objective, micro: Batch) -> None:
    """The gradients of the first turn of step 0. No weights change."""
    plan = objective.turns(0)
    turn = next(plan, None)
    if turn is not None:
        loss = weighted(turn.loss, dict(micro))
        torch.autograd.backward(loss.total.sum())
    plan.close()


def _finish(engine: Engine) -> None:
    """Waits for a GPU to have done what it was asked."""
    if engine.device.type == "cuda":
        torch.cuda.synchronize()
