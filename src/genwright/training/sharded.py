"""FSDP2: weights, gradients and optimizer state shared out over the processes (Zhao et al., arXiv 2304.11277; torch's fully_shard).

Element-wise rules work on each rank's own shard. Muon needs whole matrices: its stacks are gathered, orthogonalised on every rank
and cut again; the momentum stays sharded. Gradients are summed by FSDP2's reduce-scatter, with no division.
"""

from collections.abc import Mapping
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from genwright.training.engine import Engine
from genwright.training.optimizers import adamw_, momentum_at, muon_
from genwright.training.weights import Bucket, Weights


class ShardedWeights(Weights):
    """Weights by name, each a local shard. Blocks (`module.blocks`, where there are any) are gathered one at a time."""

    parameters: dict[str, DTensor]

    def lay_out(self) -> None:
        module, dtype = self.module, self.dtype
        policy = MixedPrecisionPolicy(param_dtype=None if dtype == torch.float32 else dtype, reduce_dtype=torch.float32)
        frozen = {n for n, p in module.named_parameters() if not p.requires_grad}
        mesh = init_device_mesh(next(module.parameters()).device.type, (dist.get_world_size(),))  # not whatever accelerator there is
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
        like = lambda: {n: torch.zeros_like(p.to_local()) for n, p in self.parameters.items()}  # noqa: E731
        self.first, self.second = like(), like()
        self.average = {n: p.to_local().detach().clone() for n, p in self.parameters.items()} if self.ema else None
        self.steps = {n: torch.zeros((), device=p.device) for n, p in self.parameters.items()}

    def zero(self) -> None:
        for p in self.parameters.values():
            p.grad = None

    def collect(self) -> None:
        """FSDP2 accumulates in fp32 shards itself."""

    def reduce(self, engine: Engine) -> None:
        """FSDP2 has summed over the ranks during each backward."""

    def grad_of(self, p: DTensor) -> Tensor:
        return cast(DTensor, p.grad).to_local() if p.grad is not None else torch.zeros_like(p.to_local())

    def square_norm(self, engine: Engine) -> Tensor:
        squares = [self.grad_of(p).square().sum() for p in self.parameters.values()]
        return engine.sum_(torch.stack(squares).sum())

    def update(self, factor: float, scale: float) -> None:
        s, beta = self.settings, momentum_at(self.settings, self.updates)
        for b in self.buckets:
            shards = [self.parameters[n] for n in b.names]
            if b.rule == "muon":
                self._muon(b, shards, factor, scale, beta)
                continue
            pairs = [(n, p) for n, p in zip(b.names, shards, strict=True) if p.to_local().numel()]
            grads = [self.grad_of(p) * scale for _, p in pairs]
            first, second, steps = ([kept[n] for n, _ in pairs] for kept in (self.first, self.second, self.steps))
            if pairs:
                locals_ = [p.to_local().detach() for _, p in pairs]
                adamw_(locals_, grads, first, second, steps, rate=b.rate * factor, settings=s, decay=b.decay)
        self.updates += 1

    def _muon(self, b: Bucket, shards: list[DTensor], factor: float, scale: float, beta: float) -> None:
        def whole(local: Tensor, p: DTensor) -> Tensor:
            return self._gather(local, p).reshape(b.shape)

        stack = torch.stack([whole(p.to_local().detach(), p) for p in shards])
        gradient = torch.stack([whole(self.grad_of(p) * scale, p) for p in shards])
        momentum = torch.stack([whole(self.first[n], p) for n, p in zip(b.names, shards, strict=True)])
        rate, iterations = b.rate * factor, self.settings.newton_schulz
        muon_(stack, gradient, momentum, rate=rate, beta=beta, decay=b.decay, iterations=iterations, dtype=self.dtype)
        for i, (n, p) in enumerate(zip(b.names, shards, strict=True)):
            p.to_local().detach().copy_(self._cut(stack[i], p))
            self.first[n].copy_(self._cut(momentum[i], p))

    @staticmethod
    def _gather(local: Tensor, p: DTensor) -> Tensor:
        return DTensor.from_local(local, p.device_mesh, p.placements, shape=p.shape, stride=p.stride()).full_tensor()

    @staticmethod
    def _cut(full: Tensor, p: DTensor) -> Tensor:
        return distribute_tensor(full.reshape(p.shape).contiguous(), p.device_mesh, p.placements, src_data_rank=None).to_local()

    def move_average(self) -> None:
        if self.average is not None:
            for n, p in self.parameters.items():
                self.average[n].lerp_(p.to_local().detach(), self.average_share())

    def _locals(self, kind: str) -> dict[str, Tensor]:
        if kind == "weights":
            return {n: p.to_local().detach() for n, p in self.every.items()}
        kept: dict[str, Tensor] = {"ema": self.average or {}, "first": self.first, "second": self.second}[kind]
        muon = {n for b in self.buckets if b.rule == "muon" for n in b.names}
        return {n: t for n, t in kept.items() if kind != "second" or n not in muon}

    def tensors(self, kind: str) -> dict[str, Tensor]:
        return {n: self._gather(t, self.every[n]) for n, t in self._locals(kind).items()}

    def load(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        self._reshard()
        for n, local in self._locals(kind).items():
            local.copy_(self._cut(tensors[n].to(local.device), self.every[n]))

    def swap(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own = self._locals("weights")
        kept = {n: t.clone() for n, t in own.items()}
        self._reshard()
        for n, t in values.items():
            own[n].copy_(t)
        return kept

    def _reshard(self) -> None:
        """Drops gathered copies, which would be stale after the shards change."""
        for part in self.module.modules():
            if isinstance(part, FSDPModule):
                part.reshard()
