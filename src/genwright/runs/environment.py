"""The surroundings of a run: versions, hardware, commit, data."""

import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import torch

from genwright.core.dataset import Dataset
from genwright.core.version import __version__
from genwright.training.engine import Engine, cores

PACKAGES = ("torch", "numpy", "tokenizers", "safetensors", "pyarrow", "pydantic")


def environment(dataset: Dataset, engine: Engine, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Versions, hardware, commit, data: what a reader needs to judge or repeat a run. extra: what
    else is kept beside them."""
    packages = {found.name: found.version for found in distributions() if found.name in PACKAGES}
    gpu = torch.cuda.get_device_name() if engine.device.type == "cuda" else None
    return {
        "genwright": __version__,
        "commit": _commit(),
        "python": sys.version.split()[0],
        "packages": packages,
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "processes": engine.size,
        "data": {
            "digest": dataset.digest,
            "shards": dict(dataset.shards),
            "summary": dict(dataset.summary),
        },
        **extra,
    }


def _processor() -> str:
    """What the processor is called."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor()


def _commit() -> str | None:
    """The commit of genwright's own source, where it runs from a checkout."""
    here = Path(__file__).parent
    if not (here.parents[2] / ".git").exists():
        return None
    try:
        out = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if out.returncode != 0:
        return None
    return out.stdout.strip()
