"""What a run is beside its data, and how it begins."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from genwright.core.contracts import Objective
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.training.engine import Engine
from genwright.training.modules import persistent_buffers, release
from genwright.training.settings import Training
from genwright.training.weights import Weights

EXACT = 1 << 24  # whole numbers up to this are exact in fp32


@dataclass
class State:
    """All that a run is, beside its data.

    weights: those of each module, by its name, of frozen modules too. step: updates made or passed
    over. skipped: windows of data (start, length) that the run passed over after rolling back. bad:
    non-finite steps in a row. extra: what gradients or hooks remember from step to step, by name:
    tensors, and values of JSON; saved and restored with the rest."""

    weights: dict[str, Weights]
    seed: int = 0
    step: int = 0
    skipped: list[tuple[int, int]] = field(default_factory=list)
    bad: int = 0
    rollbacks: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def position(self, step: int) -> int:
        """Where in the data a step is: the step, plus the windows passed over before it."""
        return step + sum(length for start, length in self.skipped if step >= start)

    def read(self) -> Tensor:
        """(n,) float32: all that is trained, one after another, as a copy: of each trained module
        its trained parameters, then its persistent buffers (codebooks, running statistics). The
        order is the same however the run is laid out. Under FSDP2 every rank must call it.

        Raises GenwrightError for a whole number in a buffer that float32 cannot hold."""
        parts = []
        for weights in self._trained():
            parts += [tensor.flatten() for tensor in weights.tensors("trained").values()]
            for name, buffer in persistent_buffers(weights.module).items():
                parts.append(_as_float(name, buffer).flatten())
        return torch.cat(parts) if parts else torch.zeros(0)

    def write(self, flat: Tensor) -> None:
        """The inverse of `read`, in place: whole numbers are rounded. What the optimizer and the
        running average remember stays, see `begin_again`. Raises GenwrightError for a vector of
        another length."""
        wanted = sum(_size(weights) for weights in self._trained())
        if flat.shape != (wanted,):
            raise GenwrightError(
                f"a vector of shape {tuple(flat.shape)} was written to a state of {wanted} numbers",
                "write what `read` gave for the same objective",
            )
        at = 0
        for weights in self._trained():
            values = {}
            for name, parameter in weights.parameters.items():
                values[name] = flat[at : at + parameter.numel()].view(parameter.shape)
                at += parameter.numel()
            weights.load("trained", values)
            for buffer in persistent_buffers(weights.module).values():
                value = flat[at : at + buffer.numel()].view(buffer.shape)
                buffer.copy_(value if buffer.is_floating_point() else value.round())
                at += buffer.numel()

    def begin_again(self, seed: int | None = None) -> None:
        """Back to step 0 with the weights as they are: optimizers at zero, averages equal to the
        weights. seed: another one. Nothing is laid out anew, so that many short runs (the clients
        of a federation) share one set of buffers."""
        for weights in self.weights.values():
            weights.begin_again()
        if seed is not None:
            self.seed = seed
        self.step = 0
        self.skipped = []
        self.bad = 0
        self.rollbacks = 0
        self.extra = {}

    def release(self) -> None:
        """Gives the modules back their parameters as they are now, in full precision and without
        hooks. The state is of no use after that."""
        for weights in self.weights.values():
            weights.release()

    def _trained(self) -> Iterator[Weights]:
        return (weights for weights in self.weights.values() if weights.trained)


def _size(weights: Weights) -> int:
    """How many numbers `State.read` gives of a module."""
    count = 0
    for parameter in weights.parameters.values():
        count += parameter.numel()
    for buffer in persistent_buffers(weights.module).values():
        count += buffer.numel()
    return count


def _as_float(name: str, buffer: Tensor) -> Tensor:
    """A buffer in float32. Raises GenwrightError where that is not exact for whole numbers."""
    whole = not buffer.is_floating_point() and buffer.dtype != torch.bool
    if whole and buffer.numel() and int(buffer.abs().max()) > EXACT:
        raise GenwrightError(
            f"buffer {name} holds a whole number over {EXACT:,}, which a vector of float32 cannot",
            "count in float32, or leave the buffer out of what is saved (persistent=False)",
        )
    return buffer.float()


def trained_modules(objective: Objective) -> tuple[str, ...]:
    """The names of the modules that are ever updated. Raises GenwrightError for a name that no
    module has."""
    for name in objective.trained:
        if name not in objective.modules:
            raise GenwrightError(
                f"the objective trains {name!r}, and has no module of that name",
                did_you_mean(name, objective.modules),
            )
    return tuple(objective.trained)


def start(
    objective: Objective,
    settings: Training,
    engine: Engine,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> State:
    """A fresh state: optimizers at zero, averages equal to the weights. Moves the modules to the
    engine's device; those that `objective.trained` does not name are frozen. Modules that were
    started before begin with the weights they have now; their older state is of no use any more.
    Raises GenwrightError for what cannot be done together."""
    _check_double_backward(objective, settings, engine)
    kind = Weights
    if engine.strategy == "fsdp":
        from genwright.training.sharded import ShardedWeights

        kind = ShardedWeights
    trained = trained_modules(objective)
    weights = dict[str, Weights]()
    for name, module in objective.modules.items():
        release(module)
        module.to(engine.device)
        optimizer = settings.optimizers.get(name, settings.optimizer).in_steps(settings.steps)
        averaged = name in trained and (not settings.ema_of or name in settings.ema_of)
        ema = settings.ema if averaged else None
        weights[name] = kind(module, optimizer, dtype, ema, trained=name in trained)
    return State(weights, seed)


def _check_double_backward(objective: Objective, settings: Training, engine: Engine) -> None:
    """Raises GenwrightError where gradients of gradients are needed and cannot be had."""
    if not objective.double_backward:
        return
    what = "this objective differentiates gradients, which {} cannot do"
    if engine.strategy == "fsdp":
        raise GenwrightError(what.format("training.strategy=fsdp"), "set training.strategy=ddp")
    if settings.compile:
        raise GenwrightError(what.format("training.compile=true"), "set training.compile=false")
