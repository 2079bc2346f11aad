"""The weights of one module on one device, laid out so that a step costs few operations whatever the number of tensors.

All parameters become views of one flat buffer, all gradients of another: zeroing, norm, finiteness, scaling, averaging and the
all-reduce are one operation each, AdamW is one fused call for each rate, and equal-shaped matrices lie side by side, so that Muon
sees them as one stack without a copy. With `bf16` the module's parameters are a bfloat16 copy of the fp32 masters, refreshed by
one cast a step, and gradients are accumulated in fp32.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from genwright.training.engine import Engine
from genwright.training.optimizers import adamw_, momentum_at, muon_
from genwright.training.settings import Optimizer
from genwright.training.weights import Bucket, Weights, cast_inputs

_ALIGN = 16  # elements; 64 bytes of fp32


class FlatWeights(Weights):
    """Flat weights of one module on one device. The module's parameters are re-pointed into the flat buffer."""

    parameters: dict[str, nn.Parameter]

    def __init__(self, module: nn.Module, settings: Optimizer, dtype: torch.dtype = torch.float32, ema: float | None = None):
        super().__init__(module, settings, dtype, ema)
        self.parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        self._place()
        zeros = lambda dt: torch.zeros(self.size, dtype=dt, device=device)  # noqa: E731
        self.master, self.grad = zeros(torch.float32), zeros(torch.float32)
        self.compute = self.master if dtype == torch.float32 else zeros(dtype)
        self.compute_grad = self.grad if dtype == torch.float32 else zeros(dtype)
        self.first, self.second = zeros(torch.float32), zeros(torch.float32)  # Muon's momentum is in `first`
        self.average = zeros(torch.float32) if ema else None
        self.steps = {b: torch.zeros((), device=device) for b in self.buckets if b.rule == "adamw"}
        for name, p in self.parameters.items():
            self.view(self.master, name).copy_(p.data)
            p.data = self.view(self.compute, name)
            p.grad = self.view(self.compute_grad, name)
        self.refresh()
        if self.average is not None:
            self.average.copy_(self.master)
        if dtype != torch.float32:
            cast_inputs(module, dtype)

    def _place(self) -> None:
        """Offsets: buckets one after another, every parameter aligned."""
        self.offsets: dict[str, int] = {}
        self.spans: dict[Bucket, tuple[int, int]] = {}
        at = 0
        for bucket in self.buckets:
            start = at
            for name in bucket.names:
                self.offsets[name] = at
                at += -(-self.parameters[name].numel() // _ALIGN) * _ALIGN
            self.spans[bucket] = (start, at)
        self.size = at

    def view(self, flat: Tensor, name: str) -> Tensor:
        p = self.parameters[name]
        return flat[self.offsets[name] : self.offsets[name] + p.numel()].view(p.shape)

    def stack(self, flat: Tensor, bucket: Bucket) -> Tensor:
        """(n, rows, columns): the matrices of a muon bucket, without a copy."""
        start, stop = self.spans[bucket]
        rows, columns = bucket.shape
        return flat[start:stop].view(len(bucket.names), -1)[:, : rows * columns].unflatten(1, (rows, columns))

    def refresh(self) -> None:
        """Brings the module's parameters up to the masters."""
        if self.compute is not self.master:
            self.compute.copy_(self.master)

    # -- a step ---------------------------------------------------------------------------------------------------------------
    def zero(self) -> None:
        self.compute_grad.zero_()
        self.collected = False

    def collect(self) -> None:
        if self.compute_grad is self.grad:
            return
        if self.collected:
            self.grad.add_(self.compute_grad)
        else:  # the first micro-batch replaces what the last step left, which saves a pass
            self.grad.copy_(self.compute_grad)
        self.collected = True
        self.compute_grad.zero_()

    def reduce(self, engine: Engine) -> None:
        engine.sum_(self.grad)

    def square_norm(self, engine: Engine) -> Tensor:
        return torch.dot(self.grad, self.grad)

    def update(self, factor: float, scale: float) -> None:
        self.grad.mul_(scale)
        s, beta = self.settings, momentum_at(self.settings, self.updates)
        for b in self.buckets:
            if b.rule == "muon":
                p, g, m = (self.stack(t, b) for t in (self.master, self.grad, self.first))
                muon_(p, g, m, rate=b.rate * factor, beta=beta, decay=b.decay, iterations=s.newton_schulz, dtype=self.dtype)
            else:
                start, stop = self.spans[b]
                p, g, m, v = (t[start:stop] for t in (self.master, self.grad, self.first, self.second))
                adamw_([p], [g], [m], [v], [self.steps[b]], rate=b.rate * factor, settings=s, decay=b.decay)
        self.updates += 1
        self.refresh()

    def move_average(self) -> None:
        if self.average is not None and self.ema is not None:
            self.average.lerp_(self.master, self.average_share(self.ema))

    # -- what is saved ---------------------------------------------------------------------------------------------------------
    def tensors(self, kind: str) -> dict[str, Tensor]:
        flat = {"weights": self.master, "ema": self.average, "first": self.first, "second": self.second}[kind]
        if flat is None:
            return {}
        out = {name: self.view(flat, name) for name in self.parameters}
        if kind == "second":
            out = {name: t for name, t in out.items() if any(name in b.names for b in self.steps)}
        if kind == "weights":
            out |= {n: p.data for n, p in self.module.named_parameters() if n not in out}
        return out

    def load(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        for name, target in self.tensors(kind).items():
            target.copy_(tensors[name])
        self.refresh()

    def swap(self, values: Tensor) -> Tensor:
        kept = self.compute.clone()
        self.compute.copy_(values)
        return kept
