"""Figures of a checkpoint, as a run's folder keeps them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, write_whole
from genwright.evaluation.figure import Figure, details, table
from genwright.evaluation.telling import tells_nothing
from genwright.runs.trained import TrainedRun


@dataclass(frozen=True)
class Evaluation:
    """Figures of one checkpoint, and samples it drew, as plain data. counts: kind of sample -> how
    many the figures are of; the next evaluation of the checkpoint draws as many. Prints as a
    table."""

    step: int
    weights: str
    figures: list[Figure]
    samples: list[dict[str, Any]]
    counts: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.figures:
            return (
                f"step {self.step}: nothing can be measured, for nothing is held out"
                " and there is too little to compare samples with"
            )
        console = Console(width=160)
        with console.capture() as captured:
            console.print(table(self.figures, f"step {self.step}, {self.weights} weights"))
        notes = []
        for figure in self.figures:
            reason = tells_nothing(figure)
            if reason:
                notes.append(f"{reason[:1].upper()}{reason[1:]}.")
        again = ""
        if self.counts:
            drawn = ", ".join(f"{count:,} {kind}" for kind, count in self.counts.items())
            again = (
                f"drawn: {drawn}; this checkpoint is measured on as many again,"
                " unless --samples gives a number"
            )
        parts = [captured.get().rstrip(), "\n".join(notes), details(self.figures), again]
        return "\n\n".join(filter(None, parts))

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back; the layout is part of the files of a run."""
        return {
            "step": self.step,
            "weights": self.weights,
            "figures": [f.to_json() for f in self.figures],
            "samples": self.samples,
            "counts": self.counts,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        """Also reads files without `counts`, which earlier versions wrote. Raises KeyError where
        another field is missing."""
        figures = [Figure.from_json(f) for f in data["figures"]]
        return cls(
            data["step"],
            data["weights"],
            figures,
            list(data["samples"]),
            dict(data.get("counts", {})),
        )


def place_of(run: TrainedRun) -> Path:
    """The file of this checkpoint and these weights."""
    folder = run.folder / "evaluations"
    folder.mkdir(exist_ok=True)
    return folder / f"step-{run.step:08d}-{run.weights}.json"


def keep(run: TrainedRun, found: Evaluation) -> None:
    """Writes an evaluation into the run's folder."""
    write_whole(place_of(run), _written(found))


def counts_before(run: TrainedRun) -> dict[str, int]:
    """How many samples the last evaluation of this checkpoint drew; nothing where its file is of an
    older form, for it is written anew."""
    try:
        kept = json.loads(place_of(run).read_text(encoding="utf-8")).get("counts", {})
        return {str(kind): int(count) for kind, count in kept.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _written(found: Evaluation) -> str:
    """JSON: figures a value a line, for a person; samples, which may be long, a sample a line."""
    plain = found.to_json()
    samples = ",\n".join(json_text(sample) for sample in plain.pop("samples"))
    head = json_text(plain, indent=1).removesuffix("\n}")
    return f'{head},\n "samples": [\n{samples}\n ]\n}}\n'


def latest(run: TrainedRun) -> Evaluation | None:
    """The kept evaluation of this checkpoint and these weights. Raises GenwrightError for a file
    that holds none."""
    path = place_of(run)
    if not path.is_file():
        return None
    try:
        return Evaluation.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        what = f"{path} is damaged, or was written by another version"
        remedy = f"measure again: genwright evaluate {shlex.quote(str(run.folder))}"
        raise GenwrightError(what, remedy) from None
