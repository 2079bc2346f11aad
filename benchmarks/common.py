"""What every benchmark ends with: its figures, whether they meet its bars, the machine; as JSON."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bars import BARS, REPORTED
from genwright.core.files import json_text
from judging import overridden, passed, verdict, written


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
        "threads": threads(),
    }


def threads() -> int | None:
    """Of torch in this process, where it computed anything."""
    torch = sys.modules.get("torch")
    return None if torch is None else torch.get_num_threads()


def finish(
    name: str,
    figures: dict,
    out: str | Path | None = None,
    bounds: Mapping[str, float] | None = None,
) -> int:
    """Prints the result as one JSON object, and keeps it in a file if asked. Bars are printed for a
    person, too.

    name: of the result, as bars.py has it. bounds: other ones than its bars have, by name. Returns
    the exit code: 1 where a bar is missed or none was measured. Where some were not measured and
    none is missed, "passed" is null, and "not measured" names them."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    result: dict = {"benchmark": name, "date": now, "figures": figures}
    code = 0
    if name in REPORTED:
        result["reported"] = REPORTED[name]
        print(f"{name}: no bar ({REPORTED[name]})", file=sys.stderr)
    else:
        result["bars"] = [bar.judged(figures) for bar in overridden(BARS[name], bounds or {})]
        result["passed"] = passed(result["bars"])
        if result["passed"] is None:
            missing = [each["name"] for each in result["bars"] if each["met"] is None]
            result["not measured"] = missing
        code = 1 if result["passed"] is False else 0
        for each in result["bars"]:
            what = f"{each['name']}: {written(each['figure'])} (bar {each['bar']})"
            print(f"{verdict(each['met']):12}  {what}", file=sys.stderr)
    result["machine"] = machine()
    text = json_text(result, indent=1)
    print(text)
    if out:
        Path(out).write_text(text + "\n", encoding="utf-8")
    return code
