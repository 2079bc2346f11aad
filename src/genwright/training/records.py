"""metrics.jsonl: one JSON object a step, appended. A checkpoint remembers the file's length;
resuming cuts it back to that. TensorBoard may mirror it."""

import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from genwright.core.errors import optional
from genwright.core.files import json_text, read_json
from genwright.training.loop import Hook
from genwright.training.state import State

# fields, with `*_per_second`, that differ between equal runs
CLOCK = ("seconds", "memory_mb", "elapsed")


def memory_mb() -> float:
    """Peak memory of this process so far, in MB: the GPU's where there is one."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


class Records(Hook):
    """Appends records to a file: those of steps as the first of the hooks, on the rank that writes.
    When the disk is full, records wait in memory and are written once there is room."""

    def __init__(self, path: Path, say: Callable[[str], None] = lambda text: None):
        self.path = path
        self.say = say
        self.warned = False
        self.waiting: list[dict[str, Any]] = []
        self.length = path.stat().st_size if path.exists() else 0
        self.written = time.monotonic()
        self.mirrors: list[Callable[[dict[str, Any]], None]] = []
        self.memory = memory_mb()

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        if state.step % 50 == 0:  # asking the system costs more than a small step may
            self.memory = memory_mb()
        record["memory_mb"] = round(self.memory, 1)
        self.append(record)

    def append(self, record: dict[str, Any]) -> None:
        self.waiting.append(dict(record))
        for mirror in self.mirrors:
            mirror(record)
        # often enough to be watched, seldom enough to cost nothing
        if len(self.waiting) >= 256 or time.monotonic() - self.written > 1:
            self.flush()

    def flush(self, to_disk: bool = False) -> int:
        """Writes what waits; returns the file's length in bytes."""
        lines = [json_text(record) + "\n" for record in self.waiting]
        data = "".join(lines).encode()
        self.written = time.monotonic()
        try:
            with open(self.path, "ab") as f:
                f.write(data)
                f.flush()
                if to_disk:
                    os.fsync(f.fileno())
            self.waiting, self.length, self.warned = [], self.length + len(data), False
        except OSError as problem:
            with suppress(OSError):
                os.truncate(self.path, self.length)  # half a line would be unreadable
            if not self.warned:
                self.say(
                    f"metrics.jsonl cannot be written ({problem.strerror}); its records are kept in memory until there is room"
                )
            self.warned = True
        return self.length

    def cut(self, length: int) -> None:
        """Back to what a checkpoint remembers."""
        self.waiting = []
        if self.path.exists():
            os.truncate(self.path, min(length, self.path.stat().st_size))
        self.length = length


def read(path: Path) -> list[dict[str, Any]]:
    """All whole records; a last line that is still being written is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    remedy = "put back a copy of the file, or delete that line"
    return [
        read_json(line, f"{path} line {i}", remedy)
        for i, line in enumerate(lines, 1)
        if line.endswith("\n")
    ]


def without_clock(record: dict[str, Any]) -> dict[str, Any]:
    """What equal runs have in common."""
    return {k: v for k, v in record.items() if k not in CLOCK and not k.endswith("_per_second")}


def tensorboard(folder: Path, step: int = 0) -> Callable[[dict[str, Any]], None]:
    """A function that writes a record's numbers as TensorBoard scalars under `folder`; what was
    written after `step`, before a run was resumed, is hidden."""
    installed = optional("torch.utils.tensorboard", "training.sinks has tensorboard", "tensorboard")
    writer = installed.SummaryWriter(str(folder), purge_step=step + 1)

    def write(record: dict[str, Any]) -> None:
        held_out = {f"held_out/{k}": v for k, v in record.get("held_out", {}).items()}
        for name, value in (record | held_out).items():
            if isinstance(value, float):
                writer.add_scalar(name, value, record["step"])
        if held_out:
            writer.flush()

    return write
