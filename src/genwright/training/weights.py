"""What the loop asks of the trained weights of one module, wherever they lie, and which parameters are updated together.

`Weights` is the contract. `flat.py` keeps it on one device, also where several processes hold equal copies; `sharded.py` over FSDP2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from genwright.training.engine import Engine
from genwright.training.settings import Optimizer


@dataclass(frozen=True)
class Bucket:
    """Parameters that are updated by one call. rule: "muon" or "adamw"; a muon bucket holds one shape."""

    rule: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    rate: float
    decay: float


def groups_of(module: nn.Module) -> dict[str, str]:
    """Parameter name -> "matrix", "embedding", "head" or "scalar". A module may say so itself (`groups()`); without, embeddings
    are known by their class, and whatever else has two or more axes is a matrix."""
    own = getattr(module, "groups", None)
    if callable(own):
        return own()
    embeddings = {f"{n}.weight".lstrip(".") for n, m in module.named_modules() if isinstance(m, nn.Embedding)}
    return {n: "embedding" if n in embeddings else "matrix" if p.ndim >= 2 else "scalar" for n, p in module.named_parameters()}


def buckets_of(module: nn.Module, settings: Optimizer) -> list[Bucket]:
    """Which parameters are updated together, and how. Frozen parameters are in none."""
    if settings.learning_rate is None:
        raise ValueError("the learning rate must be resolved before training")
    groups = groups_of(module)
    keys: dict[tuple[str, tuple[int, ...], float, float], list[str]] = {}
    key: tuple[str, tuple[int, ...], float, float]
    for name, p in module.named_parameters():
        if not p.requires_grad:
            continue
        group = groups[name]
        decay = settings.weight_decay if p.ndim >= 2 else 0.0
        if settings.kind == "muon" and group == "matrix" and p.ndim >= 2:
            key = ("muon", (p.size(0), p.numel() // p.size(0)), settings.matrix_rate, decay)
        else:
            factor = {"embedding": settings.embedding_rate, "head": settings.head_rate, "scalar": settings.scalar_rate}.get(group, 1.0)
            key = ("adamw", (), settings.learning_rate * (factor if settings.kind == "muon" else 1.0), decay)
        keys.setdefault(key, []).append(name)
    return [Bucket(rule, tuple(names), shape, rate, decay) for (rule, shape, rate, decay), names in keys.items()]


def cast_inputs(module: nn.Module, dtype: torch.dtype) -> RemovableHandle:
    """Gives a module its positional inputs in the dtype it computes in; integers and keywords are left alone."""

    def cast(_: nn.Module, inputs: tuple) -> tuple:
        return tuple(x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs)

    return module.register_forward_pre_hook(cast)


class Weights(ABC):
    """Weights, gradients, optimizer state and running average of one module.

    module: on its device. dtype: what it computes in (float32 or bfloat16); the weights themselves are fp32. ema: decay of the
    running average, or None. parameters: those that are trained, by name. updates: optimizer steps made.
    """

    parameters: Mapping[str, Tensor]
    steps: Mapping[Any, Tensor]  # AdamW's own counts of updates
    average: Any  # the running average, None without one

    def __init__(self, module: nn.Module, settings: Optimizer, dtype: torch.dtype = torch.float32, ema: float | None = None):
        self.module, self.settings, self.dtype, self.ema, self.updates = module, settings, dtype, ema, 0
        self.buckets = buckets_of(module, settings)

    # -- a step ---------------------------------------------------------------------------------------------------------------
    @abstractmethod
    def zero(self) -> None:
        """Gradients to zero."""

    @abstractmethod
    def collect(self) -> None:
        """After each backward: adds what was computed to the fp32 sum of gradients."""

    @abstractmethod
    def reduce(self, engine: Engine) -> None:
        """Sums the gradients over the ranks."""

    @abstractmethod
    def square_norm(self, engine: Engine) -> Tensor:
        """() squared 2-norm of the summed gradients, the same on every rank."""

    @abstractmethod
    def update(self, factor: float, scale: float) -> None:
        """One optimizer step with gradient `scale` * summed gradient and learning rates times `factor`."""

    @abstractmethod
    def move_average(self) -> None:
        """Moves the running average, where there is one, towards the weights."""

    def average_share(self, decay: float) -> float:
        """How far the average moves: less than `decay` remembers in the first steps, when the weights are far from their end."""
        return 1 - min(decay, (1 + self.updates) / (10 + self.updates))

    # -- what is saved ---------------------------------------------------------------------------------------------------------
    @abstractmethod
    def tensors(self, kind: str) -> dict[str, Tensor]:
        """Full tensors by parameter name. kind: "weights", "ema", "first" or "second" (moments). Frozen parameters are among the
        weights."""

    @abstractmethod
    def load(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`."""

    def set_updates(self, updates: int) -> None:
        self.updates = updates
        for step in self.steps.values():
            step.fill_(updates)

    @abstractmethod
    def swap(self, values: Any) -> Any:
        """Lets the module compute with `values`, laid out as `average`; returns what it computed with."""

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the module computes with its averaged weights; without an average nothing changes."""
        if self.average is None:
            yield
            return
        kept = self.swap(self.average)
        try:
            yield
        finally:
            self.swap(kept)
