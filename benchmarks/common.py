"""What every benchmark prints beside its figures: the machine, the versions, one JSON line."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from genwright.core.files import json_text


def machine() -> dict:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")),
        platform.processor(),
    )
    flags = next((x for x in lines if x.startswith("flags")), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": model,
        "cores": cores,
        "amx": "amx_bf16" in flags,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": version("torch"),
    }


def finish(name: str, figures: dict, out: str | None = None) -> None:
    """Prints the result as one JSON object, and keeps it in a file if asked."""
    text = json_text({"benchmark": name, "figures": figures, "machine": machine()}, indent=1)
    print(text)
    if out:
        Path(out).write_text(text + "\n", encoding="utf-8")
