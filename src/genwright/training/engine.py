"""Where the loop runs: one process, or several that share every step.

The engine joins a process group that exists (torchrun's environment, or one that Ray, Slurm or a
caller has made) and makes its own reductions: gradients are summed, never averaged, and divided
once by the global count of units, so that ranks with unequal counts agree with one process exactly.
Examples are dealt out round-robin in blocks of `unit`, so that any part of a batch is shared
evenly.
"""

import json
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from torch import Tensor

from genwright.core.errors import GenwrightError, did_you_mean

DEVICES = ("auto", "cpu", "cuda")


def cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def device_of(name: str, setting: str = "training.device") -> torch.device:
    """The device that a setting means: "auto" (a GPU where there is one), "cpu" or "cuda". setting:
    what it is called. Raises GenwrightError for another name, and where there is no GPU but one
    was asked for."""
    if _means_gpu(name, setting):
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def _means_gpu(name: str, setting: str) -> bool:
    """Whether a setting means a GPU; nothing is made on it yet."""
    if name not in DEVICES:
        what = f"{setting} is {name!r}, which is none of {', '.join(DEVICES)}"
        raise GenwrightError(what, did_you_mean(name, DEVICES))
    if name == "cpu":
        return False
    if torch.cuda.is_available():
        return True
    if name == "cuda":
        what = f"{setting}=cuda, but this torch sees no GPU"
        raise GenwrightError(what, f"install a CUDA build of torch or set {setting}=auto")
    return False


def _join_group(device: str) -> bool:
    """Joins the process group that the environment describes (torchrun's variables), unless there
    is a group already. Returns whether it did. Raises GenwrightError for a process without a GPU
    of its own."""
    on_gpu = _means_gpu(device, "training.device")
    if dist.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return False
    if on_gpu:
        own = int(os.environ.get("LOCAL_RANK", "0"))
        count = torch.cuda.device_count()
        if own >= count:
            what = f"process {own} has no GPU: this machine has {count}"
            remedy = f"use at most {count} processes, or training.device=cpu"
            raise GenwrightError(what, remedy)
        torch.cuda.set_device(own)
    # others wait while rank 0 prepares the data, which may take hours
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(hours=12))
    return True


class Engine:
    """The processes of a run; `contracts.Ranks` too. rank, size: this process among them. device:
    where modules and batches live. strategy: "ddp" or "fsdp"."""

    owns: bool  # whether this engine made the process group, and ends it
    rank: int
    size: int
    device: torch.device
    strategy: str
    rows: list[Tensor]  # of each rank, once a batch was dealt out

    def __init__(self, device: str = "auto", strategy: str = "ddp"):
        self.owns = _join_group(device)
        self.device = device_of(device)
        self.rank = 0
        self.size = 1
        if dist.is_initialized():
            self.rank = dist.get_rank()
            self.size = dist.get_world_size()
        self.strategy = strategy if self.size > 1 else "ddp"

    @classmethod
    def alone(cls, device: torch.device | str = "cpu") -> Self:
        """One process without a process group, whatever other processes there are."""
        engine = cls.__new__(cls)
        engine.owns = False
        engine.rank = 0
        engine.size = 1
        engine.device = torch.device(device)
        engine.strategy = "ddp"
        return engine

    @property
    def main(self) -> bool:
        """The one rank that writes."""
        return self.rank == 0

    def close(self) -> None:
        """Leaves the process group, if this engine made it."""
        if self.owns and dist.is_initialized():
            dist.barrier()  # nobody leaves while another still talks to it
            dist.destroy_process_group()

    def sum_(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, as a new tensor where there are several."""
        return self.sum_(tensor.clone()) if self.size > 1 else tensor

    def exchange(self, parts: Sequence[Tensor]) -> Callable[[], None]:
        """Part r, which rank r has filled, to every rank, in place. It has begun when this returns;
        what is returned waits for its end. parts: flat, each of the same size on every rank."""
        begun = []
        for rank, part in enumerate(parts):
            if part.numel():
                begun.append(dist.broadcast(part, rank, async_op=True))

        def wait() -> None:
            for work in begun:
                work.wait()

        return wait

    def any(self, flag: bool) -> bool:
        """Whether any rank says so."""
        if self.size == 1:
            return flag
        return bool(self.sum_(torch.tensor(float(flag), device=self.device)).item())

    def barrier(self) -> None:
        """Waits for the other ranks."""
        if self.size > 1:
            dist.barrier()

    def broadcast(self, value: Any) -> Any:
        """A JSON-like value of rank 0, on every rank (as bytes of UTF-8 JSON: nothing executable
        travels)."""
        if self.size == 1:
            return value
        data = list(json.dumps(value).encode()) if self.main else []
        length = int(self.sum_(torch.tensor(len(data), device=self.device)))
        buffer = torch.tensor(data or [0] * length, dtype=torch.uint8, device=self.device)
        return json.loads(bytes(self.sum_(buffer).tolist()))  # the other ranks' bytes are zero

    def raise_on_all(self, error: GenwrightError | None) -> None:
        """Raises the error of rank 0 on every rank, if there is one."""
        parts = self.broadcast([error.what, error.remedy] if error else [])
        if parts:
            raise GenwrightError(*parts)

    def deal(self, batch_size: int, unit: int = 1) -> list[Tensor]:
        """For each rank, the example indices of the global batch that it computes; `gather` puts
        them together again."""
        index = torch.arange(batch_size)
        owner = (index // unit) % self.size
        self.rows = [index[owner == rank] for rank in range(self.size)]
        return self.rows

    def gather(self, tensor: Tensor) -> Tensor:
        """(own examples, ...) -> (all examples, ...), in the global order of the batch that was
        dealt out."""
        if self.size == 1:
            return tensor
        examples = sum(len(rows) for rows in self.rows)
        whole = tensor.new_zeros((examples, *tensor.shape[1:]))
        # the other ranks' rows are zero: a sum gathers
        whole[self.rows[self.rank].to(tensor.device)] = tensor
        return self.sum_(whole)
