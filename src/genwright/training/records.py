"""metrics.jsonl: one JSON object a step, appended. A checkpoint remembers the file's length;
resuming cuts it back to that. TensorBoard may mirror it."""

import atexit
import logging
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

log = logging.getLogger(__name__)

# fields, with `*_seconds` and `*_per_second`, that differ between equal runs
CLOCK = ("seconds", "memory_mb", "elapsed")


def memory_mb() -> float:
    """Peak memory of this process so far, in MB: the GPU's where it uses one."""
    if torch.cuda.is_available():
        allocated = torch.cuda.max_memory_allocated()  # 0 where nothing was put there
        if allocated:
            return allocated / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":  # in bytes; elsewhere in kB
        return peak / 1e6
    return peak / 1e3


class Records(Hook):
    """Appends records to a file: those of steps as the first of the hooks, on the rank that writes.
    When the disk is full, records wait in memory and are written once there is room.

    path: of the file, which is made. mirrors: what is given every record too."""

    def __init__(self, path: Path):
        self.path = path
        self.warned = False  # about a disk that is full, since it last had room
        self.waiting: list[dict[str, Any]] = []
        self.length = path.stat().st_size if path.exists() else 0  # bytes
        self.written = time.monotonic()  # when the file was last written, seconds
        self.mirrors: list[Callable[[dict[str, Any]], None]] = []
        self.memory = memory_mb()

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Adds memory_mb, the process's memory in MB (asked every 50 steps), and writes the
        record."""
        if state.step % 50 == 0:  # asking the system costs more than a small step may
            self.memory = memory_mb()
        record["memory_mb"] = round(self.memory, 1)
        self.append(record)

    def append(self, record: dict[str, Any]) -> None:
        """Adds a line, which is written within a second or so."""
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
        except OSError as problem:
            self._keep(problem)
            return self.length
        self.waiting = []
        self.length += len(data)
        self.warned = False
        return self.length

    def _keep(self, problem: OSError) -> None:
        """After a failure to write: what waits goes on waiting."""
        with suppress(OSError):
            os.truncate(self.path, self.length)  # half a line would be unreadable
        if not self.warned:
            log.warning(
                f"metrics.jsonl cannot be written ({problem.strerror}); its records are kept in"
                " memory until there is room"
            )
        self.warned = True

    def cut(self, length: int) -> None:
        """Back to what a checkpoint remembers."""
        self.waiting = []
        if self.path.exists():
            os.truncate(self.path, min(length, self.path.stat().st_size))
        self.length = length


def read(path: Path) -> list[dict[str, Any]]:
    """All whole records; a last line that is still being written is left out. Raises GenwrightError
    for a line that is no JSON."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    remedy = "put back a copy of the file, or delete that line"
    records = []
    for number, line in enumerate(lines, 1):
        if line.endswith("\n"):
            records.append(read_json(line, f"{path} line {number}", remedy))
    return records


def without_clock(record: dict[str, Any]) -> dict[str, Any]:
    """What equal runs have in common."""
    kept = {}
    for name, value in record.items():
        if name not in CLOCK and not name.endswith(("_seconds", "_per_second")):
            kept[name] = value
    return kept


def tensorboard(folder: Path, step: int = 0) -> Callable[[dict[str, Any]], None]:
    """A function that writes a record's numbers as TensorBoard scalars under `folder`; what was
    written after `step`, before a run was resumed, is hidden."""
    installed = optional("torch.utils.tensorboard", "training.sinks has tensorboard", "tensorboard")
    writer = installed.SummaryWriter(str(folder), purge_step=step + 1)
    atexit.register(writer.close)

    def write(record: dict[str, Any]) -> None:
        held_out = {f"held_out/{k}": v for k, v in record.get("held_out", {}).items()}
        for name, value in (record | held_out).items():
            if isinstance(value, float):
                writer.add_scalar(name, value, record["step"])
        if held_out:
            writer.flush()

    return write
