"""Where the loop runs: one process, or several that share every step.

The engine joins a process group that exists (torchrun's environment, or one that Ray, Slurm or a
caller has made) and makes its own reductions: gradients are summed, never averaged, and divided
once by the global count of units, so that ranks with unequal counts agree with one process exactly.
Examples are dealt out round-robin in blocks of `unit`, so that any part of a batch is shared
evenly.
"""

import json
import os
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from genwright.core.errors import GenwrightError


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Engine:
    """The processes of a run; `contracts.Ranks` too. rank, size: this process among them. device:
    where modules and batches live. strategy: "ddp" or "fsdp"."""

    def __init__(self, device: str = "auto", strategy: str = "ddp"):
        cuda = torch.cuda.is_available() and device != "cpu"
        if device == "cuda" and not cuda:
            what = "training.device=cuda, but this torch sees no GPU"
            raise GenwrightError(what, "install a CUDA build of torch or set training.device=auto")
        self.owns = False
        if not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            if cuda:
                place = int(os.environ.get("LOCAL_RANK", "0"))
                there = torch.cuda.device_count()
                if place >= there:
                    what = f"process {place} has no GPU: this machine has {there}"
                    raise GenwrightError(
                        what, f"use at most {there} processes, or training.device=cpu"
                    )
                torch.cuda.set_device(place)
            # others wait while rank 0 prepares the data, which may take hours
            dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(hours=12))
            self.owns = True
        self.rank, self.size = (
            (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        )
        self.device = (
            torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
        )
        self.strategy = strategy if self.size > 1 else "ddp"

    @property
    def main(self) -> bool:
        """The one rank that writes."""
        return self.rank == 0

    def close(self) -> None:
        if self.owns and dist.is_initialized():
            dist.barrier()  # nobody leaves while another still talks to it
            dist.destroy_process_group()

    def sum_(self, tensor: Tensor) -> Tensor:
        """Sum over ranks, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum(self, tensor: Tensor) -> Tensor:
        return self.sum_(tensor.clone()) if self.size > 1 else tensor

    def any(self, flag: bool) -> bool:
        """Whether any rank says so."""
        return (
            bool(self.sum_(torch.tensor(float(flag), device=self.device)).item())
            if self.size > 1
            else flag
        )

    def barrier(self) -> None:
        if self.size > 1:
            dist.barrier()

    def broadcast(self, value):
        """A JSON-like value of rank 0, on every rank (as bytes of UTF-8 JSON: nothing executable
        travels)."""
        if self.size == 1:
            return value
        data = list(json.dumps(value).encode()) if self.main else []
        length = int(self.sum_(torch.tensor(len(data), device=self.device)))
        buffer = torch.tensor(data or [0] * length, dtype=torch.uint8, device=self.device)
        return json.loads(bytes(self.sum_(buffer).tolist()))  # the other ranks' bytes are zero

    def deal(self, batch_size: int, unit: int = 1) -> list[Tensor]:
        """For each rank, the example indices of the global batch that it computes; `gather` puts
        them together again."""
        index = torch.arange(batch_size)
        self.rows = [index[(index // unit) % self.size == rank] for rank in range(self.size)]
        return self.rows

    def gather(self, tensor: Tensor) -> Tensor:
        """(own examples, ...) -> (all examples, ...), in the global order of the batch that was
        dealt out."""
        if self.size == 1:
            return tensor
        whole = tensor.new_zeros((sum(map(len, self.rows)), *tensor.shape[1:]))
        # the other ranks' rows are zero: a sum gathers
        whole[self.rows[self.rank].to(tensor.device)] = tensor
        return self.sum_(whole)
