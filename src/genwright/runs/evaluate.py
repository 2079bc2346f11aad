"""A run, measured and shown: the figures of evaluation and the data of its report, from what lies
in its folder."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, write_whole
from genwright.evaluation.figure import Figure, details, table
from genwright.evaluation.pilot import SampleCounts
from genwright.evaluation.telling import tells_nothing

if TYPE_CHECKING:
    from genwright.runs.run import Run


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
            return f"step {self.step}: nothing can be measured, for nothing is held out and there is too little to compare samples with"
        console = Console(width=160)
        with console.capture() as captured:
            console.print(table(self.figures, f"step {self.step}, {self.weights} weights"))
        notes = [
            f"{reason[:1].upper()}{reason[1:]}."
            for f in self.figures
            if (reason := tells_nothing(f))
        ]
        drawn = ", ".join(f"{count:,} {kind}" for kind, count in self.counts.items())
        again = (
            f"drawn: {drawn}; this checkpoint is measured on as many again, unless --samples gives a number"
            if drawn
            else ""
        )
        return "\n\n".join(
            part
            for part in (captured.get().rstrip(), "\n".join(notes), details(self.figures), again)
            if part
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "weights": self.weights,
            "figures": [f.to_json() for f in self.figures],
            "samples": self.samples,
            "counts": self.counts,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        figures = [Figure.from_json(f) for f in data["figures"]]
        return cls(
            data["step"],
            data["weights"],
            figures,
            list(data["samples"]),
            dict(data.get("counts", {})),
        )


def evaluate(
    run: Run, inception: str | Path | None = None, samples: int | None = None, whole: bool = False
) -> Evaluation:
    """The held-out split, and samples; every figure beside its floors. Kept in the run's folder.
    See `Run.evaluate`.

    samples: how many are drawn; None: as many as for these weights before, else what takes about a
    minute (`evaluation.pilot`)."""
    counts = SampleCounts(samples, _counts_before(run))
    if run.content == "text":
        from genwright.contents.text.evaluate import evaluate_text

        figures, drawn = evaluate_text(run, counts)
    elif run.content == "music":
        from genwright.contents.music.composing import evaluate_music

        figures, drawn = evaluate_music(run, counts)
    else:
        from genwright.contents.images.evaluate import evaluate_images

        figures = evaluate_images(run, inception, counts, whole)
        drawn = []
    found = Evaluation(run.step, run.weights, figures, drawn, counts.drawn)
    if figures:
        write_whole(_place(run), _written(found))
    return found


def _counts_before(run: Run) -> dict[str, int]:
    """How many samples the last evaluation of this checkpoint drew; nothing where its file is of an
    older form, for it is written anew."""
    try:
        kept = json.loads(_place(run).read_text(encoding="utf-8")).get("counts", {})
        return {str(kind): int(count) for kind, count in kept.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _written(found: Evaluation) -> str:
    """JSON: figures a value a line, for a person; samples, which may be thousands of notes, a
    sample a line."""
    plain = found.to_json()
    samples = ",\n".join(json_text(sample) for sample in plain.pop("samples"))
    head = json_text(plain, indent=1).removesuffix("\n}")
    return f'{head},\n "samples": [\n{samples}\n ]\n}}\n'


def _place(run: Run) -> Path:
    folder = run.folder / "evaluations"
    folder.mkdir(exist_ok=True)
    return folder / f"step-{run.step:08d}-{run.weights}.json"


def latest(run: Run) -> Evaluation | None:
    """The kept evaluation of this checkpoint and these weights. Raises GenwrightError for a file
    that holds none."""
    path = _place(run)
    if not path.is_file():
        return None
    try:
        return Evaluation.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        what = f"{path} is damaged, or was written by another version"
        raise GenwrightError(
            what, f"measure again: genwright evaluate {shlex.quote(str(run.folder))}"
        ) from None


def _shown(run: Run, name: str, found: Evaluation) -> Any:
    """What the report says of a run, under this name."""
    from genwright.reporting.page import Fill, RunData, Sample
    from genwright.reporting.provenance import data_facts, own_description, trained_on
    from genwright.runs.watch import sizes_of

    recipe = run.recipe
    records = run.records
    environment = dict(run.environment)
    data = environment.pop("data", {})
    summary = data.get("summary", {})
    sizes: dict[str, Any] = {
        "parameters": sum(
            p.numel() for module in run.objective.modules.values() for p in module.parameters()
        ),
        "checkpoint": f"step {found.step}, {found.weights} weights",
    }
    told: dict[str, Any] = {}
    if run.content == "music":
        from genwright.contents.music.composing import samples_shown
        from genwright.contents.music.pieces import pieces_of

        told["music"], told["spread"] = pieces_of(run, found.samples or samples_shown(run))
    elif run.content != "text":
        from genwright.contents.images.pictured import pictures_of

        told["pictures"] = pictures_of(run, lambda x: run.eyes.features(x))
    else:
        sizes["FLOP per token, forward and backward"] = run.model.flops_per_token(
            recipe.data.context
        )  # type: ignore[operator]
    done = max((r["step"] for r in records), default=0)
    fills = [Fill(s["parts"], s["gaps"]) for s in found.samples if "gaps" in s]
    samples = [
        Sample(s["prompt"], s["text"], found.step, s["span"]) for s in found.samples if "text" in s
    ]
    told["status"] = (
        "finished"
        if done >= recipe.training.steps
        else f"stopped at step {done} of {recipe.training.steps}"
    )
    return RunData(
        name=name,
        trained_on=trained_on(recipe, summary),
        recipe_name=recipe.name,
        description=own_description(recipe, environment.get("overrides", {})),
        recipe=recipe.dump(),
        records=records,
        figures=found.figures,
        measured_at=f"step {found.step:,}, {found.weights} weights",
        watched=sizes_of(recipe, summary),
        samples=samples[:8],
        fills=fills,
        data=data_facts(recipe, data),
        sizes=sizes,
        environment=environment,
        **told,
    )


def _page_at(path: Path) -> Path:
    """Where a page can be written: a new file, a regular one that it replaces, or what a link leads
    to. Raises GenwrightError."""
    place = path.resolve() if path.is_symlink() else path
    if not place.name or place.exists() and not place.is_file():
        raise GenwrightError(
            f"{path} cannot be written: it is no regular file", "choose another place with --output"
        )
    return place


def write(runs: Sequence[Run], path: Path) -> Path:
    """The report of runs; what was not evaluated yet is, first."""
    from genwright.reporting.provenance import differences, run_names
    from genwright.reporting.report import write_report

    path = _page_at(path)
    names = run_names([run.folder for run in runs])
    data = [
        _shown(run, name, latest(run) or evaluate(run))
        for run, name in zip(runs, names, strict=True)
    ]
    for text in differences(data):
        print(f"note: {text}", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_report(data, path)
