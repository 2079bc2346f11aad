"""Optional mirrors of metrics.jsonl."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from genwright.errors import GenwrightError


def tensorboard(folder: Path, step: int = 0) -> Callable[[dict[str, Any]], None]:
    """A function that writes a record's numbers as TensorBoard scalars under `folder`; what was written
    after `step`, before a run was resumed, is hidden."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as problem:
        raise GenwrightError("training.sinks has tensorboard, which is not installed", "pip install 'genwright[tensorboard]'") from problem
    writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(record: dict[str, Any]) -> None:
        values = {k: v for k, v in record.items() if isinstance(v, float)}
        values |= {f"held_out/{k}": v for k, v in record.get("held_out", {}).items()}
        for name, value in values.items():
            writer.add_scalar(name, value, record["step"])
        if "held_out" in record:
            writer.flush()

    return write
