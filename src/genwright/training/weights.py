"""The weights of one module, laid out so that a step costs few operations whatever the number of
tensors.

1. All parameters that are trained become views of one flat buffer, all gradients of another:
   zeroing, norm, finiteness, scaling, averaging and the all-reduce are one operation each. AdamW is
   one fused call for each rate, and matrices of one shape lie side by side, so that Muon sees them
   as one stack without a copy.
2. With `bf16` the module's parameters are a bfloat16 copy of the fp32 masters, refreshed by one
   cast a step, and gradients are accumulated in fp32.
3. What is frozen, a whole module or single parameters of a trained one, is computed with in the
   same dtype; its values in full precision wait in the host's memory until they are saved or given
   back.
4. A module keeps, as `Held`, what it takes to make it plain again: `release` gives it back its
   parameters as they are now, in full precision, without hooks. A new start begins with that.

`sharded.py` does all this over FSDP2's shards instead.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from genwright.core.errors import GenwrightError
from genwright.training.buckets import Bucket, buckets_of
from genwright.training.engine import Engine
from genwright.training.modules import (
    HELD,
    SHARDED,
    Held,
    cast_inputs,
    full_precision_parts,
    persistent_buffers,
    release,
)
from genwright.training.optimizers import adamw_, add_orthogonal_, ahead_of, move_momentum_
from genwright.training.schedules import momentum_at
from genwright.training.settings import Optimizer
from genwright.training.shared_muon import Share, SharedMuon, Updates

_ALIGN = 16  # elements; 64 bytes of fp32


class Weights:
    """Weights, gradients, optimizer state and running average of one module, on one device, also
    where several processes hold equal copies.

    module: on its device. dtype: what it computes in (float32 or bfloat16); the weights themselves
    are fp32. ema: decay of the running average, or None. trained: whether the module is ever
    updated; otherwise it is frozen: in evaluation mode, without gradients. parameters: those that
    are trained, by name; frozen: the others. updates: optimizer steps made.

    A module is held by one `Weights` at a time: a new one begins by releasing it, and nobody can
    train with the older one any more.
    """

    parameters: Mapping[str, Any]
    frozen: Mapping[str, Any]
    steps: Mapping[Any, Tensor]  # AdamW's own counts of updates
    first: Any  # AdamW's first moment, Muon's momentum
    second: Any  # AdamW's second moment
    average: Any  # the running average, None without one

    def __init__(
        self,
        module: nn.Module,
        settings: Optimizer,
        dtype: torch.dtype = torch.float32,
        ema: float | None = None,
        trained: bool = True,
    ):
        release(module)
        requires_grad = {name: p.requires_grad for name, p in module.named_parameters()}
        in_training = {name for name, part in module.named_modules() if part.training}
        self.module = module
        self.settings = settings
        self.dtype = dtype
        self.ema = ema
        self.trained = trained
        self.updates = 0
        self.muon: SharedMuon | None = None
        if not trained:
            module.requires_grad_(False)
            module.eval()
        self.buckets = buckets_of(module, settings)
        self.lay_out()
        self.held = self.holding(requires_grad, in_training)
        module.__dict__[HELD] = self.held
        self.note_buffers()

    # -- laying out

    def lay_out(self) -> None:
        """Makes what is kept of each parameter, and points the module's parameters into it."""
        named = dict(self.module.named_parameters())
        if SHARDED in self.module.__dict__:
            raise GenwrightError(
                "a module that was shared out over processes cannot be started unshared",
                "build the objective again, or start it with training.strategy=fsdp",
            )
        self.parameters = {n: p for n, p in named.items() if p.requires_grad}
        self.frozen = {n: p for n, p in named.items() if not p.requires_grad}
        self._place()
        devices = [parameter.device for parameter in named.values()]
        device = devices[0] if devices else torch.device("cpu")

        def zeros(dtype: torch.dtype) -> Tensor:
            return torch.zeros(self.size, dtype=dtype, device=device)

        self.master = zeros(torch.float32)
        self.grad = zeros(torch.float32)
        self.compute = self.master
        self.compute_grad = self.grad
        if self.dtype != torch.float32:
            self.compute = zeros(self.dtype)
            self.compute_grad = zeros(self.dtype)
        self.first = zeros(torch.float32)
        self.second = zeros(torch.float32)
        self.steps = {b: torch.zeros((), device=device) for b in self.buckets if b.rule == "adamw"}
        for name, parameter in self.parameters.items():
            self.view(self.master, name).copy_(parameter.data)
            parameter.data = self.view(self.compute, name)
            parameter.grad = self.view(self.compute_grad, name)
        self.refresh()
        self._cast_frozen()
        self.average = self.master.clone() if self.ema else None
        self.casts = cast_inputs(self.module, self.dtype)

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

    def _cast_frozen(self) -> None:
        """Lets frozen parameters be computed with in the module's dtype. Their own values stay in
        the host's memory, where they cost a GPU nothing."""
        self.originals: dict[str, Tensor] = {}
        if self.dtype == torch.float32:
            return
        full: set[Tensor] = set()
        for part in full_precision_parts(self.module):
            full.update(part.parameters())
        for name, parameter in self.frozen.items():
            if parameter.is_floating_point() and parameter not in full:
                self.originals[name] = parameter.data.cpu()
                parameter.data = parameter.data.to(self.dtype)

    def holding(self, requires_grad: Mapping[str, bool], in_training: Collection[str]) -> Held:
        """What a release needs. The arguments: how the module came."""
        masters = {name: self.view(self.master, name) for name in self.parameters}
        return Held(masters | self.originals, requires_grad, in_training, self.casts)

    def check_held(self) -> None:
        """Raises GenwrightError where the module was released, or started again."""
        if self.module.__dict__.get(HELD) is not self.held:
            raise GenwrightError(
                "these weights are no longer those of their module, which was started again",
                "go on with the state of the last start",
            )

    def release(self) -> None:
        """Gives the module back its parameters, see `release`; what was trained elsewhere since
        stays as it is."""
        if self.module.__dict__.get(HELD) is self.held:
            release(self.module)

    def allow_gradients(self, wanted: bool) -> None:
        """Whether gradients of the trained parameters are computed from now on."""
        for parameter in self.parameters.values():
            parameter.requires_grad_(wanted)

    def view(self, flat: Tensor, name: str) -> Tensor:
        """The part of a flat buffer that belongs to a parameter, in the parameter's shape."""
        parameter = self.parameters[name]
        start = self.offsets[name]
        return flat[start : start + parameter.numel()].view(parameter.shape)

    def stack(self, flat: Tensor, bucket: Bucket) -> Tensor:
        """(n, rows, columns): the matrices of a muon bucket, without a copy."""
        rows, columns = bucket.shape
        padded = flat[self.spans[bucket]].view(len(bucket.names), -1)
        return padded[:, : rows * columns].view(-1, rows, columns)

    def refresh(self) -> None:
        """Brings the module's parameters up to the masters."""
        if self.compute is not self.master:
            self.compute.copy_(self.master)

    # -- a step

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

    def update(
        self,
        factor: float,
        scale: float | Tensor,
        finite: Tensor | None = None,
        engine: Engine | None = None,
    ) -> None:
        """One optimizer step with gradient `scale` * summed gradient and learning rates times
        `factor`. finite: () bool on the device; where it is not true, weights and optimizer stay as
        they are. None: it is certain. engine: the processes that make this step together, and share
        Muon's work; None: each does all of it."""
        self.grad.mul_(scale)
        updates = self._start_matrices(engine or Engine.alone(self.master.device), finite)
        for bucket in self.buckets:
            if bucket.rule == "adamw":
                self._update_elements(bucket, factor, finite)
        for share, update in updates():
            bucket = share.bucket
            add_orthogonal_(
                self.stack(self.master, bucket)[share.which],
                update,
                shape=bucket.shape,
                rate=bucket.rate * factor,
                decay=bucket.decay,
                finite=finite,
            )
        self.updates += 1
        self.refresh()

    def _start_matrices(self, engine: Engine, finite: Tensor | None) -> Callable[[], Updates]:
        """Begins Muon's step of all matrices, see `SharedMuon.start`."""
        beta = momentum_at(self.settings, self.updates)
        for bucket in self.buckets:
            if bucket.rule == "muon":
                gradient = self.stack(self.grad, bucket)
                move_momentum_(gradient, self.stack(self.first, bucket), beta, finite)

        def ahead(share: Share) -> Tensor:
            gradient = self.stack(self.grad, share.bucket)[share.which]
            momentum = self.stack(self.first, share.bucket)[share.which]
            return ahead_of(gradient, momentum, beta, finite)

        return self.shared_muon(engine).start(ahead, self.settings.newton_schulz)

    def shared_muon(self, engine: Engine) -> SharedMuon:
        """How the matrices are shared out over the processes of an engine."""
        if self.muon is None or self.muon.engine is not engine:
            self.muon = SharedMuon(self.buckets, engine, self.dtype)
        return self.muon

    def _update_elements(self, bucket: Bucket, factor: float, finite: Tensor | None) -> None:
        span = self.spans[bucket]
        adamw_(
            [self.master[span]],
            [self.grad[span]],
            [self.first[span]],
            [self.second[span]],
            [self.steps[bucket]],
            rate=bucket.rate * factor,
            settings=self.settings,
            decay=bucket.decay,
            finite=finite,
        )

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

    def kept(self, kind: str) -> Mapping[str, Any]:
        """What is kept of each parameter, by name. kind: "trained" (those that are updated),
        "frozen" (the others), "weights" (both), "ema" (the average), "first" or "second"
        (moments)."""
        if kind == "weights":
            return {**self.kept("trained"), **self.kept("frozen")}
        if kind == "frozen":
            return {n: self.originals.get(n, p.data) for n, p in self.frozen.items()}
        if kind == "second":
            names = {name for bucket in self.steps for name in bucket.names}
            return {n: self.view(self.second, n) for n in self.parameters if n in names}
        flat = {"trained": self.master, "ema": self.average, "first": self.first}[kind]
        if flat is None:
            return {}
        return {name: self.view(flat, name) for name in self.parameters}

    def tensors(self, kind: str) -> Mapping[str, Tensor]:
        """The same, each a whole tensor."""
        return self.kept(kind)

    def load(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        for name, target in self.kept(kind).items():
            self.put(target, tensors[name])
        if kind in ("weights", "frozen"):
            for name, original in self.originals.items():
                self.frozen[name].data.copy_(original)
        self.refresh()

    @staticmethod
    def put(target: Any, whole: Tensor) -> None:
        """Copies a whole tensor to where it is kept."""
        target.copy_(whole)

    def set_updates(self, updates: int) -> None:
        """Goes on as if so many updates had been made."""
        self.updates = updates
        for step in self.steps.values():
            step.fill_(updates)

    def begin_again(self) -> None:
        """Forgets what the optimizer and the average remember; the weights stay."""
        for kind in ("first", "second"):
            for tensor in self.kept(kind).values():
                tensor.zero_()
        for name, average in self.kept("ema").items():
            average.copy_(self.kept("trained")[name])
        self.set_updates(0)

    def note_buffers(self) -> None:
        """Remembers the state that the buffers of a frozen module are in."""
        self._versions = {n: t._version for n, t in persistent_buffers(self.module).items()}

    def check_frozen(self) -> None:
        """Raises GenwrightError where a buffer of a frozen module was written to: it is stored
        once, and what was saved with it would no longer be true."""
        if self.trained:
            return
        for name, tensor in persistent_buffers(self.module).items():
            if tensor._version != self._versions[name]:
                raise GenwrightError(
                    f"buffer {name} of a module that is not trained was changed",
                    "name the module in the objective's `trained`, or leave its buffers alone",
                )

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the module computes with its averaged weights; without an average nothing
        changes."""
        average = self.kept("ema")
        if not average:
            yield
            return
        raw = {name: tensor.clone() for name, tensor in self.kept("trained").items()}
        self._compute_with(average)
        try:
            yield
        finally:
            self._compute_with(raw)

    def _compute_with(self, values: Mapping[str, Any]) -> None:
        own = self.kept("trained")
        for name, value in values.items():
            own[name].copy_(value)
        self.refresh()
