"""FSDP2: weights, gradients and optimizer state shared out over the processes (Zhao et al., arXiv
2304.11277; torch's fully_shard).

Element-wise rules work on each rank's own shard. Muon needs whole matrices: its stacks are
gathered, orthogonalised on every rank and cut again; the momentum stays sharded. Gradients are
summed by FSDP2's reduce-scatter, with no division.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from genwright.training.engine import Engine
from genwright.training.optimizers import adamw_, muon_
from genwright.training.schedules import momentum_at
from genwright.training.weights import Weights


class ShardedWeights(Weights):
    """Weights by name, each a local shard. Blocks (`module.blocks`, where there are any) are
    gathered one at a time."""

    parameters: dict[str, DTensor]

    def lay_out(self) -> None:
        module = self.module
        dtype = self.dtype
        policy = MixedPrecisionPolicy(
            param_dtype=None if dtype == torch.float32 else dtype, reduce_dtype=torch.float32
        )
        frozen = {n for n, p in module.named_parameters() if not p.requires_grad}
        # not whatever accelerator there is
        mesh = init_device_mesh(next(module.parameters()).device.type, (dist.get_world_size(),))
        for block in getattr(module, "blocks", ()):
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(module, mesh=mesh, mp_policy=policy)
        for part in module.modules():
            if isinstance(part, FSDPModule):
                part.set_gradient_divide_factor(1.0)
                part.set_force_sum_reduction_for_comms(True)
        # the shards themselves: while a module is gathered, its attributes are other tensors
        self.every = {n: cast(DTensor, p) for n, p in module.named_parameters()}
        self.parameters = {n: p for n, p in self.every.items() if n not in frozen}
        self.first, self.second = (
            {n: torch.zeros_like(p.data) for n, p in self.parameters.items()} for _ in range(2)
        )
        self.average = (
            {n: p.detach().clone() for n, p in self.parameters.items()} if self.ema else None
        )
        self.steps = {n: torch.zeros((), device=p.device) for n, p in self.parameters.items()}

    def zero(self) -> None:
        for p in self.parameters.values():
            p.grad = None

    def collect(self) -> None:
        """FSDP2 accumulates in fp32 shards itself."""

    def reduce(self, engine: Engine) -> None:
        """FSDP2 has summed over the ranks during each backward."""

    def grad_of(self, name: str) -> DTensor:
        p = self.parameters[name]
        return cast(DTensor, p.grad if p.grad is not None else torch.zeros_like(p.data))

    def square_norm(self, engine: Engine) -> Tensor:
        return engine.sum_(
            torch.stack([self.grad_of(n).to_local().square().sum() for n in self.parameters]).sum()
        )

    def update(self, factor: float, scale: float) -> None:
        s = self.settings
        beta = momentum_at(self.settings, self.updates)
        for b in self.buckets:
            weights, first, second = (
                [cast(DTensor, of[n].detach()) for n in b.names]
                for of in (self.parameters, self.first, self.second)
            )
            grads = [cast(DTensor, self.grad_of(n) * scale) for n in b.names]
            if b.rule == "muon":
                p, g, m = (
                    torch.stack([t.full_tensor().reshape(b.shape) for t in ts])
                    for ts in (weights, grads, first)
                )
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
                for target, whole in zip([*weights, *first], [*p, *m], strict=True):
                    self.put(target, whole)
            else:
                ps, gs, ms, vs = (
                    [t.to_local() for t in ts] for ts in (weights, grads, first, second)
                )
                adamw_(
                    ps,
                    gs,
                    ms,
                    vs,
                    [self.steps[n] for n in b.names],
                    rate=b.rate * factor,
                    settings=s,
                    decay=b.decay,
                )
        self.updates += 1

    def move_average(self) -> None:
        for n, average in (self.average or {}).items():
            average.lerp_(self.parameters[n].detach(), self.average_share())

    def kept(self, kind: str) -> Mapping[str, Any]:
        if kind == "weights":
            return {n: p.detach() for n, p in self.every.items()}
        muon = {n for b in self.buckets if b.rule == "muon" for n in b.names}
        named: dict[str, Any] = {
            "ema": self.average or {},
            "first": self.first,
            "second": self.second,
        }[kind]
        return {n: t for n, t in named.items() if kind != "second" or n not in muon}

    def tensors(self, kind: str) -> Mapping[str, Tensor]:
        return {n: t.full_tensor() for n, t in self.kept(kind).items()}

    @staticmethod
    def put(target: DTensor, whole: Tensor) -> None:
        """Each rank copies its part of what all of them have."""
        whole = whole.to(target.device).reshape(target.shape).contiguous()
        target.copy_(
            distribute_tensor(whole, target.device_mesh, target.placements, src_data_rank=None)
        )

    def refresh(self) -> None:
        """Drops gathered copies, which are stale after the shards change."""
        for part in self.module.modules():
            if isinstance(part, FSDPModule):
                part.reshard()
