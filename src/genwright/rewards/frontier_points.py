"""Points of a frontier: ways to earn a reward, each with what it earns and how far it is from the
model of before; as a table, and as a file of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from genwright.core.errors import GenwrightError, in_words
from genwright.core.files import json_text, read_json, write_whole
from genwright.evaluation.figure import number

FILE = "frontier.json"

Kind = Literal["before", "policy", "best-of-n", "rules", "rejection", "supervised"]


@dataclass(frozen=True)
class Point:
    """One way to earn the reward. name: for a person. kind: what it is; `setting`: the weight of
    the divergence, or the n of best-of-n.

    reward: the mean, with its standard error over questions. kl: nats a sample from the model of
    before, with its standard error; `is_bound`: it is at most that. kl_token: nats a token. parts:
    "reward/TERM", "watched/MEASURE" -> mean, without weights. best_of: n -> the mean reward of the
    best of n of its samples. distinct_4, length, truncated, entropy: as records of steps have them.
    held_out: nats a token of real held-out data. draws: samples that one costs. seconds: of
    training behind the model of before, by the clock. folder: of its run, below this one."""

    name: str
    kind: Kind
    reward: float
    error: float
    kl: float
    setting: float | None = None
    kl_error: float | None = None
    kl_token: float | None = None
    is_bound: bool = False
    parts: Mapping[str, float] = field(default_factory=dict)
    best_of: Mapping[str, float] = field(default_factory=dict)
    distinct_4: float | None = None
    length: float | None = None
    truncated: float | None = None
    entropy: float | None = None
    held_out: float | None = None
    draws: int = 1
    seconds: float = 0.0
    folder: str = ""


@dataclass
class Frontier:
    """run, step: whose. samples: of each point, `candidates` of a question. split: of the data that
    questions are from. left_out: what could not be compared with, and why, a sentence each."""

    run: str
    step: int
    samples: int
    candidates: int
    split: str
    points: list[Point] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """A table for a terminal, and what was left out."""
        rows = [("", "reward", "nats from before", "distinct-4", "cost")]
        for point in self.points:
            rows.append(_row(point))
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = []
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells))
        return [*lines, *self.left_out]


def _row(point: Point) -> tuple[str, str, str, str, str]:
    kl = number(round(point.kl, 3))
    if point.is_bound:
        kl = f"at most {kl}"
    distinct = "" if point.distinct_4 is None else number(round(point.distinct_4, 3))
    cost = f"{point.seconds:,.0f} s of training" if point.seconds else ""
    if point.draws > 1:
        cost = f"{point.draws} draws a sample"
    reward = f"{number(round(point.reward, 4))} ± {number(round(point.error, 4))}"
    return point.name, reward, kl, distinct, cost


def read_frontier(folder: str | Path) -> Frontier | None:
    """What `frontier` wrote for a run; None where it did not. Raises GenwrightError for a file that
    is damaged."""
    path = Path(folder) / FILE
    if not path.is_file():
        return None
    remedy = "delete it, and measure again with genwright reward frontier"
    found = read_json(path.read_text(encoding="utf-8"), path, remedy)
    try:
        points = [Point(**point) for point in found.pop("points")]
        return Frontier(**found, points=points)
    except (AttributeError, KeyError, TypeError) as error:
        raise GenwrightError(f"{path} is damaged ({in_words(error)})", remedy) from None


def write_frontier(folder: str | Path, found: Frontier) -> None:
    """Writes what was found for a run, whole or not at all."""
    write_whole(Path(folder) / FILE, json_text(asdict(found), indent=1) + "\n")
