"""The trained weights of one module, laid out so that a step costs few operations whatever the
number of tensors, and which parameters are updated together.

All parameters become views of one flat buffer, all gradients of another: zeroing, norm, finiteness,
scaling, averaging and the all-reduce are one operation each, AdamW is one fused call for each rate,
and equal-shaped matrices lie side by side, so that Muon sees them as one stack without a copy. With
`bf16` the module's parameters are a bfloat16 copy of the fp32 masters, refreshed by one cast a
step, and gradients are accumulated in fp32. `sharded.py` does all this over FSDP2's shards instead.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from genwright.training.engine import Engine
from genwright.training.optimizers import adamw_, muon_
from genwright.training.schedules import momentum_at
from genwright.training.settings import Optimizer

_ALIGN = 16  # elements; 64 bytes of fp32


@dataclass(frozen=True)
class Bucket:
    """Parameters that are updated by one call. rule: "muon" or "adamw"; a muon bucket holds one
    shape."""

    rule: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    rate: float
    decay: float


def groups_of(module: nn.Module) -> dict[str, str]:
    """Parameter name -> "matrix", "embedding", "head" or "scalar". A module may say so itself
    (`groups()`); without, embeddings are known by their class, and whatever else has two or more
    axes is a matrix."""
    if callable(own := getattr(module, "groups", None)):
        return own()
    embeddings = {
        f"{n}.weight".lstrip(".") for n, m in module.named_modules() if isinstance(m, nn.Embedding)
    }
    return {
        n: "embedding" if n in embeddings else "matrix" if p.ndim >= 2 else "scalar"
        for n, p in module.named_parameters()
    }


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
            factor = {
                "embedding": settings.embedding_rate,
                "head": settings.head_rate,
                "scalar": settings.scalar_rate,
            }.get(group, 1.0)
            key = (
                "adamw",
                (),
                settings.learning_rate * (factor if settings.kind == "muon" else 1.0),
                decay,
            )
        keys.setdefault(key, []).append(name)
    return [
        Bucket(rule, tuple(names), shape, rate, decay)
        for (rule, shape, rate, decay), names in keys.items()
    ]


def cast_inputs(module: nn.Module, dtype: torch.dtype) -> None:
    """Gives a module its positional inputs in the dtype it computes in; integers and keywords are
    left alone."""

    def cast(_: nn.Module, inputs: tuple) -> tuple:
        return tuple(
            x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs
        )

    if dtype != torch.float32:
        module.register_forward_pre_hook(cast)


class Weights:
    """Weights, gradients, optimizer state and running average of one module, on one device, also
    where several processes hold equal copies.

    module: on its device. dtype: what it computes in (float32 or bfloat16); the weights themselves
    are fp32. ema: decay of the running average, or None. parameters: those that are trained, by
    name. updates: optimizer steps made.
    """

    parameters: Mapping[str, Any]
    steps: Mapping[Any, Tensor]  # AdamW's own counts of updates
    first: Any  # AdamW's first moment, Muon's momentum
    second: Any
    average: Any  # the running average, None without one

    def __init__(
        self,
        module: nn.Module,
        settings: Optimizer,
        dtype: torch.dtype = torch.float32,
        ema: float | None = None,
    ):
        self.module = module
        self.settings = settings
        self.dtype = dtype
        self.ema = ema
        self.updates = 0
        self.buckets = buckets_of(module, settings)
        self.lay_out()

    def lay_out(self) -> None:
        """Makes what is kept of each parameter, and points the module's parameters into it."""
        module = self.module
        dtype = self.dtype
        self.parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        self._place()

        def zeros(dt):
            return torch.zeros(self.size, dtype=dt, device=device)

        self.master = zeros(torch.float32)
        self.grad = zeros(torch.float32)
        self.compute = self.master if dtype == torch.float32 else zeros(dtype)
        self.compute_grad = self.grad if dtype == torch.float32 else zeros(dtype)
        self.first = zeros(torch.float32)
        self.second = zeros(torch.float32)
        self.steps = {b: torch.zeros((), device=device) for b in self.buckets if b.rule == "adamw"}
        for name, p in self.parameters.items():
            self.view(self.master, name).copy_(p.data)
            p.data = self.view(self.compute, name)
            p.grad = self.view(self.compute_grad, name)
        self.refresh()
        self.average = self.master.clone() if self.ema else None
        cast_inputs(module, dtype)

    def _place(self) -> None:
        """Offsets: buckets one after another, every parameter aligned."""
        self.offsets: dict[str, int] = {}
        self.spans: dict[Bucket, slice] = {}
        self.size = 0
        for bucket in self.buckets:
            start = self.size
            for name in bucket.names:
                self.offsets[name] = self.size
                self.size += -(-self.parameters[name].numel() // _ALIGN) * _ALIGN
            self.spans[bucket] = slice(start, self.size)

    def view(self, flat: Tensor, name: str) -> Tensor:
        p = self.parameters[name]
        return flat[self.offsets[name] : self.offsets[name] + p.numel()].view(p.shape)

    def stack(self, flat: Tensor, bucket: Bucket) -> Tensor:
        """(n, rows, columns): the matrices of a muon bucket, without a copy."""
        rows, columns = bucket.shape
        return (
            flat[self.spans[bucket]]
            .view(len(bucket.names), -1)[:, : rows * columns]
            .unflatten(1, (rows, columns))
        )

    def refresh(self) -> None:
        """Brings the module's parameters up to the masters."""
        if self.compute is not self.master:
            self.compute.copy_(self.master)

    # -- a step
    # ---------------------------------------------------------------------------------------------------------------
    def zero(self) -> None:
        """Gradients to zero."""
        self.compute_grad.zero_()
        self.collected = False

    def collect(self) -> None:
        """After each backward: adds what was computed to the fp32 sum of gradients."""
        if self.compute_grad is self.grad:
            return
        if self.collected:
            self.grad.add_(self.compute_grad)
        else:  # the first micro-batch replaces what the last step left, which saves a pass
            self.grad.copy_(self.compute_grad)
        self.collected = True
        self.compute_grad.zero_()

    def reduce(self, engine: Engine) -> None:
        """Sums the gradients over the ranks."""
        engine.sum_(self.grad)

    def square_norm(self, engine: Engine) -> Tensor:
        """() squared 2-norm of the summed gradients, the same on every rank."""
        return torch.dot(self.grad, self.grad)

    def update(self, factor: float, scale: float) -> None:
        """One optimizer step with gradient `scale` * summed gradient and learning rates times
        `factor`."""
        self.grad.mul_(scale)
        s = self.settings
        beta = momentum_at(self.settings, self.updates)
        for b in self.buckets:
            if b.rule == "muon":
                p, g, m = (self.stack(t, b) for t in (self.master, self.grad, self.first))
                muon_(
                    p,
                    g,
                    m,
                    rate=b.rate * factor,
                    beta=beta,
                    decay=b.decay,
                    iterations=s.newton_schulz,
                    dtype=self.dtype,
                )
            else:
                p, g, m, v = (
                    t[self.spans[b]] for t in (self.master, self.grad, self.first, self.second)
                )
                adamw_(
                    [p],
                    [g],
                    [m],
                    [v],
                    [self.steps[b]],
                    rate=b.rate * factor,
                    settings=s,
                    decay=b.decay,
                )
        self.updates += 1
        self.refresh()

    def move_average(self) -> None:
        """Moves the running average, where there is one, towards the weights."""
        if self.average is not None:
            self.average.lerp_(self.master, self.average_share())

    def average_share(self) -> float:
        """How far the average moves: less than `ema` remembers in the first steps, when the weights
        are far from their end."""
        assert self.ema is not None
        return 1 - min(self.ema, (1 + self.updates) / (10 + self.updates))

    # -- what is saved
    # ---------------------------------------------------------------------------------------------------------
    def kept(self, kind: str) -> Mapping[str, Tensor]:
        """What is kept of each parameter, by name. kind: "weights", "ema", "first" or "second"
        (moments). Frozen parameters are among the weights."""
        flat = {
            "weights": self.master,
            "ema": self.average,
            "first": self.first,
            "second": self.second,
        }[kind]
        if flat is None:
            return {}
        out = {name: self.view(flat, name) for name in self.parameters}
        if kind == "second":
            out = {name: t for name, t in out.items() if any(name in b.names for b in self.steps)}
        if kind == "weights":
            out |= {n: p.data for n, p in self.module.named_parameters() if n not in out}
        return out

    def tensors(self, kind: str) -> Mapping[str, Tensor]:
        """The same, each a whole tensor."""
        return self.kept(kind)

    def load(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        for name, target in self.kept(kind).items():
            self.put(target, tensors[name])
        self.refresh()

    @staticmethod
    def put(target: Any, whole: Tensor) -> None:
        """Copies a whole tensor to where it is kept."""
        target.copy_(whole)

    def set_updates(self, updates: int) -> None:
        self.updates = updates
        for step in self.steps.values():
            step.fill_(updates)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the module computes with its averaged weights; without an average nothing
        changes."""
        average = self.kept("ema")
        own = self.kept("weights")
        raw = {name: own[name].clone() for name in average}
        self._compute_with(average)
        try:
            yield
        finally:
            self._compute_with(raw)

    def _compute_with(self, values: Mapping[str, Tensor]) -> None:
        own = self.kept("weights")
        for name, value in values.items():
            own[name].copy_(value)
        self.refresh()
