"""FSDP2: weights, gradients and optimizer state shared out over the processes (Zhao et al., arXiv
2304.11277; torch's fully_shard).

Element-wise rules work on each rank's own shard. Muon needs whole matrices: what its momentum,
which stays sharded, gives is gathered, each is orthogonalised on one rank, sent to the others and
cut again. Gradients are
summed by FSDP2's reduce-scatter, with no division. What is frozen is sharded too, and gathered in
the dtype that is computed in.

A module stays sharded once it is: a second start takes up its shards, in the same dtype.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from genwright.core.errors import GenwrightError
from genwright.training.buckets import Bucket
from genwright.training.engine import Engine
from genwright.training.modules import SHARDED, Held, full_precision_parts
from genwright.training.optimizers import adamw_, add_orthogonal_, ahead_of, move_momentum_
from genwright.training.schedules import momentum_at
from genwright.training.shared_muon import Share, Updates
from genwright.training.weights import Weights


def share_out(module: nn.Module, dtype: torch.dtype) -> None:
    """Shards a module over all processes, in place: its blocks (`module.blocks`, where there are
    any) are gathered one at a time. One that is sharded already stays as it is. Raises
    GenwrightError where that one computes in another dtype."""
    before = module.__dict__.get(SHARDED)
    if before is not None:
        if before != dtype:
            raise GenwrightError(
                "a module that was shared out over processes cannot change its precision",
                "build the objective again, or start it in the same precision",
            )
        return
    policy = MixedPrecisionPolicy(
        param_dtype=None if dtype == torch.float32 else dtype, reduce_dtype=torch.float32
    )
    # on the module's device, not on whatever accelerator there is
    device = next(module.parameters()).device.type
    mesh = init_device_mesh(device, (dist.get_world_size(),))
    for part in full_precision_parts(module):
        # the inputs stay in the dtype that is computed in
        whole = MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False)
        fully_shard(part, mesh=mesh, mp_policy=whole)
    for block in getattr(module, "blocks", ()):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(module, mesh=mesh, mp_policy=policy)
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
    module.__dict__[SHARDED] = dtype


class ShardedWeights(Weights):
    """Weights by name, each a local shard."""

    parameters: dict[str, DTensor]
    frozen: dict[str, DTensor]

    def lay_out(self) -> None:
        """Shards the module over the ranks and keeps moments and average as shards too, each by
        name."""
        named = dict(self.module.named_parameters())
        trained = {name for name, parameter in named.items() if parameter.requires_grad}
        if named:
            share_out(self.module, self.dtype)
        # the shards themselves: while a module is gathered, its attributes are other tensors
        shards = {n: cast(DTensor, p) for n, p in self.module.named_parameters()}
        self.parameters = {n: p for n, p in shards.items() if n in trained}
        self.frozen = {n: p for n, p in shards.items() if n not in trained}
        self.first = {n: torch.zeros_like(p.data) for n, p in self.parameters.items()}
        self.second = {n: torch.zeros_like(p.data) for n, p in self.parameters.items()}
        self.steps = {n: torch.zeros((), device=p.device) for n, p in self.parameters.items()}
        self.average = None
        if self.ema:
            self.average = {n: p.detach().clone() for n, p in self.parameters.items()}

    def holding(self, requires_grad: Mapping[str, bool], in_training: Collection[str]) -> Held:
        """A sharded module keeps its shards when it is let go; only gathered copies are dropped."""
        return Held({}, requires_grad, in_training, settle=drop_gathered)

    def zero(self) -> None:
        """Frees the gradients, which the next backward makes anew."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def collect(self) -> None:
        """FSDP2 accumulates in fp32 shards itself."""

    def reduce(self, engine: Engine) -> None:
        """FSDP2 has summed over the ranks during each backward."""

    def grad_of(self, name: str) -> DTensor:
        """A parameter's gradient; zeros where nothing depended on it."""
        parameter = self.parameters[name]
        if parameter.grad is None:
            return cast(DTensor, torch.zeros_like(parameter.data))
        return cast(DTensor, parameter.grad)

    def square_norm(self, engine: Engine) -> Tensor:
        """() squared 2-norm over the shards of all ranks."""
        squares = [self.grad_of(name).to_local().square().sum() for name in self.parameters]
        return engine.sum_(torch.stack(squares).sum())

    def update(
        self,
        factor: float,
        scale: float | Tensor,
        finite: Tensor | None = None,
        engine: Engine | None = None,
    ) -> None:
        """Muon gathers whole matrices, since it needs all their rows; AdamW moves each shard by
        itself."""
        for name in self.parameters:
            self.grad_of(name).to_local().mul_(scale)
        updates = self._start_whole(engine or Engine.alone(self._device()), finite)
        for bucket in self.buckets:
            if bucket.rule == "adamw":
                grads = [self.grad_of(name) for name in bucket.names]
                self._update_shards(bucket, grads, factor, finite)
        for share, update in updates():
            self._add_whole(share, update, factor, finite)
        self.updates += 1

    def _device(self) -> torch.device:
        """Where the shards are."""
        devices = [parameter.device for parameter in self.parameters.values()]
        return devices[0] if devices else torch.device("cpu")

    def _start_whole(self, engine: Engine, finite: Tensor | None) -> Callable[[], Updates]:
        """Begins Muon's step: what is to be orthogonalised is made in shards and gathered, matrix
        by matrix, on all ranks; each keeps its own share."""
        beta = momentum_at(self.settings, self.updates)
        shared = self.shared_muon(engine)
        found: dict[Share, Tensor] = {}
        for rank, shares in enumerate(shared.dealt):
            for share in shares:
                whole = [self._ahead(name, beta, finite) for name in share.names]
                if rank == engine.rank:
                    stacked = torch.stack([matrix.reshape(share.bucket.shape) for matrix in whole])
                    found[share] = stacked  # (n, rows, columns)
        return shared.start(found.__getitem__, self.settings.newton_schulz)

    def _ahead(self, name: str, beta: float, finite: Tensor | None) -> Tensor:
        """Moves a matrix's momentum; what is to be orthogonalised, whole."""
        momentum = self.first[name]
        gradient = self.grad_of(name).to_local()
        move_momentum_(gradient, momentum.to_local(), beta, finite)
        ahead = ahead_of(gradient, momentum.to_local(), beta, finite)
        shard = DTensor.from_local(
            ahead,
            momentum.device_mesh,
            momentum.placements,
            run_check=False,
            shape=momentum.shape,
            stride=momentum.stride(),
        )
        return shard.full_tensor()

    def _add_whole(
        self, share: Share, update: Tensor, factor: float, finite: Tensor | None
    ) -> None:
        """Every rank adds its part of each orthogonalised matrix. update: (n, rows, columns)."""
        bucket = share.bucket
        for name, matrix in zip(share.names, update, strict=True):
            target = cast(DTensor, self.parameters[name].detach())
            add_orthogonal_(
                target.to_local(),
                part_of(matrix, target).to_local(),
                shape=bucket.shape,
                rate=bucket.rate * factor,
                decay=bucket.decay,
                finite=finite,
            )

    def _update_shards(
        self, bucket: Bucket, grads: list[DTensor], factor: float, finite: Tensor | None
    ) -> None:
        """AdamW: every rank updates its own shards."""
        adamw_(
            [cast(DTensor, self.parameters[name].detach()).to_local() for name in bucket.names],
            [grad.to_local() for grad in grads],
            [self.first[name].to_local() for name in bucket.names],
            [self.second[name].to_local() for name in bucket.names],
            [self.steps[name] for name in bucket.names],
            rate=bucket.rate * factor,
            settings=self.settings,
            decay=bucket.decay,
            finite=finite,
        )

    def move_average(self) -> None:
        """Each rank moves its own shards, without communication."""
        for name, average in (self.average or {}).items():
            average.lerp_(self.parameters[name].detach(), self.average_share())

    def kept(self, kind: str) -> Mapping[str, Any]:
        """Local shards by name. kind: "weights", "trained", "frozen", "ema", "first", else second
        moments (of AdamW only: Muon has none)."""
        if kind == "weights":
            return {**self.kept("trained"), **self.kept("frozen")}
        if kind == "trained":
            return {name: parameter.detach() for name, parameter in self.parameters.items()}
        if kind == "frozen":
            return {name: parameter.detach() for name, parameter in self.frozen.items()}
        if kind == "ema":
            return self.average or {}
        if kind == "first":
            return cast(dict[str, DTensor], self.first)
        by_muon = {name for b in self.buckets if b.rule == "muon" for name in b.names}
        return {name: tensor for name, tensor in self.second.items() if name not in by_muon}

    def tensors(self, kind: str) -> Mapping[str, Tensor]:
        """Whole tensors, gathered: all ranks must call it together."""
        return {name: shard.full_tensor() for name, shard in self.kept(kind).items()}

    def load(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        """Each rank takes its part of the whole tensors by name; gathered copies are dropped."""
        for name, target in self.kept(kind).items():
            self.put(target, tensors[name])
        self.refresh()

    @staticmethod
    def put(target: DTensor, whole: Tensor) -> None:
        """Each rank copies its part of what all of them have."""
        target.copy_(part_of(whole, target))

    def refresh(self) -> None:
        """Gathers anew at the next use; the shards are the masters themselves."""
        drop_gathered(self.module)


def drop_gathered(module: nn.Module) -> None:
    """Drops gathered copies of weights, which are stale after the shards change."""
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


def part_of(whole: Tensor, like: DTensor) -> DTensor:
    """This rank's part of what all ranks have, sharded as `like`."""
    whole = whole.to(like.device).reshape(like.shape).contiguous()
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)
