"""Benchmarks, their bars and their last figures; or one benchmark, run.

    make bench                                     (python benchmarks/bench.py)
    make bench NAME=audit_speed [ARGS="--of text"] (python benchmarks/bench.py audit_speed ...)

The figures are those of `benchmarks/results/*.json`, held against the bars of today (`bars.py`). Of
several results of one benchmark the newest counts in which a bar's figure was measured. The date is
the day of the measurement; results of before it was kept have the day on which they were committed,
after "by".
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from bars import BARS, REPORTED
from judging import Bar, Value, verdict, written

BENCHMARKS = Path(__file__).parent
RESULTS = BENCHMARKS / "results"
COLUMNS = ("", "bar", "figure", "", "date", "machine")


@dataclass(frozen=True)
class Result:
    """A result in a file. at: when it was measured, or committed where that was not kept; None
    where neither is known."""

    file: str
    name: str
    figures: dict[str, Any]
    machine: dict[str, Any]
    at: datetime | None
    is_committed: bool

    @property
    def age(self) -> tuple[float, int]:
        """The newest is the largest; of equal ones that with the plainest name."""
        return self.at.timestamp() if self.at else 0.0, -len(self.file)

    @property
    def day(self) -> str:
        """When, for a person."""
        if self.at is None:
            return "-"
        day = self.at.date().isoformat()
        return f"by {day}" if self.is_committed else day

    def measured(self, bar: Bar) -> Value:
        """The figure of a bar; None where the result was measured before there was such a one."""
        try:
            return bar.measured(self.figures)
        except (KeyError, TypeError, AttributeError):
            return None


def results(folder: Path = RESULTS) -> list[Result]:
    """All results of a folder."""
    committed = commits(folder)
    found = []
    for path in sorted(folder.glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        at = committed.get(path.name)
        if "date" in kept:
            at = datetime.fromisoformat(kept["date"])
        found.append(
            Result(
                file=path.name,
                name=kept.get("benchmark", path.stem.partition("-")[0]),
                figures=kept.get("figures", kept),
                machine=kept.get("machine", {}),
                at=at,
                is_committed="date" not in kept,
            )
        )
    return found


def commits(folder: Path) -> dict[str, datetime]:
    """File name -> when it was last changed by a commit; empty outside a repository."""
    command = ["git", "log", "--format=@%ct", "--name-only", "--", "."]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return {}
    found: dict[str, datetime] = {}
    at = datetime.fromtimestamp(0, UTC)
    for line in done.stdout.splitlines():
        if line.startswith("@"):
            at = datetime.fromtimestamp(int(line[1:]), UTC)
        elif line:
            found.setdefault(Path(line).name, at)
    return found


def machine_text(machine: dict[str, Any]) -> str:
    """A machine in a few words."""
    parts = [machine.get("processor", "").replace("(R)", "").replace(" Processor", "")]
    if "cores" in machine:
        parts.append(f"{machine['cores']} cores")
    if "amx" in machine:
        parts.append("AMX" if machine["amx"] else "no AMX")
    if machine.get("threads"):
        parts.append(f"{machine['threads']} threads")
    if "torch" in machine:
        parts.append(f"torch {machine['torch']}")
    return ", ".join(filter(None, parts)) or "-"


def newest(kept: Sequence[Result], name: str) -> list[Result]:
    """The results of a benchmark, the newest first."""
    found = [result for result in kept if result.name == name]
    return sorted(found, key=lambda result: result.age, reverse=True)


def rows_of(name: str, kept: Sequence[Result]) -> Iterator[tuple[str, ...]]:
    """A row a bar: name, bar, figure, whether it is met, date, machine."""
    found = newest(kept, name)
    if name in REPORTED:
        about = (found[0].day, machine_text(found[0].machine)) if found else ("never measured", "")
        yield (f"no bar: {REPORTED[name]}", "", "", "", *about)
        return
    for bar in BARS[name]:
        measured = [result for result in found if result.measured(bar) is not None]
        if not measured:
            missing = "not in its results" if found else "never measured"
            yield (bar.name, bar.text, "-", missing, "", "")
            continue
        value = measured[0].measured(bar)
        met = verdict(bar.judged(measured[0].figures)["met"])
        about = (measured[0].day, machine_text(measured[0].machine))
        yield (bar.name, bar.text, written(value), met, *about)


def listing(kept: Sequence[Result]) -> str:
    """All benchmarks as a table; those that were never measured at its end."""
    known = sorted([*BARS, *REPORTED])
    rows = {name: list(rows_of(name, kept)) for name in known}
    every = [COLUMNS, *(row for name in known for row in rows[name])]
    widths = [max(len(row[column]) for row in every) for column in range(len(COLUMNS))]
    lines = [aligned(COLUMNS, widths)]
    for name in known:
        lines += ["", name]
        lines += [aligned(row, widths) for row in rows[name]]
    verdicts = [row[3] for name in known for row in rows[name]]
    lines += ["", f"bars: {verdicts.count('met')} met, {verdicts.count('MISSED')} missed,"]
    open_ones = verdicts.count("never measured") + verdicts.count("not in its results")
    lines[-1] += f" {open_ones} without a figure"
    never = [name for name in known if not newest(kept, name)]
    lines.append(f"never measured, or no result kept: {'; '.join(never) or 'none'}")
    return "\n".join(lines)


def aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    return ("  " + "  ".join(cells)).rstrip()


def main(words: list[str]) -> int:
    if not words:
        print(listing(results()))
        return 0
    name, *rest = words
    script = BENCHMARKS / f"{name}.py"
    known = sorted({each.partition(",")[0].partition(" ")[0] for each in [*BARS, *REPORTED]})
    if name not in known:
        print(f"error: no benchmark {name!r}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    return subprocess.run([sys.executable, str(script), *rest], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
