"""A run, measured and shown: the figures of evaluation and the data of its report, from what lies in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console

from genwright import assemble
from genwright.evaluation.figure import Figure
from genwright.evaluation.floors import count_floors
from genwright.evaluation.language import evaluate_language, measure
from genwright.evaluation.table import table
from genwright.evaluation.text_samples import measure_samples
from genwright.training.checkpoint import write_whole
from genwright.training.engine import Engine

if TYPE_CHECKING:
    from genwright.run import Run

SAMPLES = 32  # of which the figures of samples are made
FILLED = 4  # held-out passages that the report continues, or fills in
PROMPT = 16  # tokens of such a passage that are given


@dataclass(frozen=True)
class Evaluation:
    """Figures of one checkpoint, and samples it drew. Prints as a table."""

    step: int
    weights: str
    figures: list[Figure]
    samples: list[dict[str, Any]]

    def __str__(self) -> str:
        console = Console(width=160)
        with console.capture() as captured:
            console.print(table(self.figures, f"step {self.step}, {self.weights} weights"))
        return captured.get().rstrip()

    def to_json(self) -> dict[str, Any]:
        return {"step": self.step, "weights": self.weights, "figures": [f.to_json() for f in self.figures], "samples": self.samples}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evaluation:
        return cls(data["step"], data["weights"], [Figure.from_json(f) for f in data["figures"]], list(data["samples"]))


def evaluate(run: Run, samples: int = SAMPLES) -> Evaluation:
    """The whole held-out split and, for causal models, samples; every figure beside its floors. Kept in the run's folder."""
    dataset, recipe = run.dataset(), run.recipe
    engine = Engine("cpu" if recipe.training.device == "cpu" else "auto")
    lookahead = recipe.objective.lookahead
    if not dataset.held_out(lookahead).windows:  # nothing was held out: samples are all there is to show
        return Evaluation(run.step, run.weights, [], [])
    floors = count_floors(dataset.tokens("train"), dataset.codec.space.vocabulary)
    # accuracy needs all logits of a batch: at most 256 MB of them
    batch = max(1, min(32, 2**26 // (recipe.data.context * dataset.codec.space.vocabulary)))
    common: dict[str, Any] = {"batch": batch, "seed": recipe.seed, "engine": engine}

    def untrained() -> dict[str, float]:
        fresh = assemble.objective(recipe, dataset.codec.space)
        fresh.accuracy = True  # type: ignore[attr-defined]
        for module in fresh.modules.values():
            module.to(engine.device)
        return measure(fresh, dataset.held_out(lookahead), lookahead, **common).means()

    run.objective.accuracy = True
    figures = evaluate_language(run.objective, dataset, lookahead, untrained=untrained, floors=floors, **common)
    run.objective.accuracy = False
    drawn: list[dict[str, Any]] = []
    if recipe.objective.causal:
        more, drawn = _sampled(run, dataset, floors, samples)
        figures += more
    else:
        drawn = _filled(run, dataset)
    found = Evaluation(run.step, run.weights, figures, drawn)
    write_whole(_place(run), json.dumps(found.to_json(), indent=1))
    return found


def _place(run: Run) -> Path:
    folder = run.folder / "evaluations"
    folder.mkdir(exist_ok=True)
    return folder / f"step-{run.step:08d}-{run.weights}.json"


def _sampled(run: Run, dataset: Any, floors: Any, count: int) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Figures of samples drawn from nothing (a document's start), at temperature 1, where the model itself is measured."""
    length = min(run.recipe.data.context, 256)
    drawn = run.sample(
        prompts=[""], n=count, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, max_tokens=length, stop=(), seed=run.recipe.seed
    )
    end = dataset.codec.space.special["end"]
    found = measure_samples(
        [np.asarray(s.tokens, dtype=np.int64) for s in drawn], dataset.tokens("train"), dataset.tokens("held_out"), floors.unigram,
        dataset.codec.decode, end=end, code=_is_python(dataset), seed=run.recipe.seed,
    )  # fmt: skip
    texts = []
    for sample, span, characters in zip(drawn, found.spans, found.characters, strict=True):
        before = len(dataset.codec.decode(list(sample.tokens[: span.start])))
        texts.append({"prompt": sample.prompt, "text": sample.text, "span": [before, before + characters]})
    return found.figures, _prompted(run, dataset) + texts


def _is_python(dataset: Any) -> bool:
    """Whether most held-out documents are Python files."""
    names = [name for name, _ in dataset.documents("held_out")]
    return sum(name.endswith(".py") for name in names) > len(names) / 2


def _prompted(run: Run, dataset: Any) -> list[dict[str, Any]]:
    """The beginnings of some held-out documents, continued with the recipe's own settings: what a person would see."""
    prompts = []
    for _, tokens in dataset.documents("held_out"):
        begin = dataset.codec.decode(np.asarray(tokens[:PROMPT]).tolist())
        if begin.strip() and begin not in prompts:
            prompts.append(begin)
        if len(prompts) == FILLED:
            break
    drawn = run.sample(prompts=prompts, n=1) if prompts else []
    return [{"prompt": s.prompt, "text": s.text, "span": None} for s in drawn]


def _filled(run: Run, dataset: Any) -> list[dict[str, Any]]:
    """Passages of held-out text with some tokens hidden, and what the model puts there."""
    codec, out = dataset.codec, []
    special = codec.space.special
    windows = dataset.held_out(0)
    for i in np.linspace(0, windows.windows - 1, min(windows.windows, FILLED)).astype(int).tolist():
        tokens = windows.batch(i, i + 1)["tokens"][0].tolist()
        tokens = [t for t in tokens[:48] if t >= 0 and t not in special.values()]
        gaps = list(range(8, len(tokens), 12))
        given = torch.tensor([tokens])
        given[0, gaps] = special["mask"]
        with torch.no_grad():
            logits = run.model(given.to(next(run.model.parameters()).device))[0, gaps]
            logits[:, sorted(special.values())] = -torch.inf
            best = logits.softmax(-1).topk(5)
        parts = [codec.decode(tokens[a + 1 : b]) for a, b in zip([-1, *gaps], [*gaps, len(tokens)], strict=True)]
        found = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        out.append({"parts": parts, "gaps": [[[codec.decode([t]), p] for t, p in zip(*pair, strict=True)] for pair in found]})
    return out


def latest(run: Run) -> Evaluation | None:
    """The kept evaluation of this checkpoint and these weights."""
    path = _place(run)
    return Evaluation.from_json(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _shown(run: Run, found: Evaluation) -> Any:
    """What the report says of a run."""
    from genwright.reporting.page import Fill, RunData, Sample

    recipe, records, environment = run.recipe, run.records, dict(run.environment)
    data = environment.pop("data", {})
    model = run.model
    sizes: dict[str, Any] = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "checkpoint": f"step {found.step}, {found.weights} weights",
    }
    flops = getattr(model, "flops_per_token", None)
    if callable(flops):
        sizes["FLOP per token, forward and backward"] = flops(recipe.data.context)
    done = max((r["step"] for r in records), default=0)
    alarms = [r["event"] for r in records if "event" in r] + [r["skipped"] for r in records if "skipped" in r]
    samples, fills = [], []
    for s in found.samples:
        if "gaps" in s:
            fills.append(Fill(s["parts"], [[(c, p) for c, p in gap] for gap in s["gaps"]]))
        else:
            samples.append(Sample(s["prompt"], s["text"], found.step, tuple(s["span"]) if s["span"] else None))
    status = "finished" if done >= recipe.training.steps else f"stopped at step {done} of {recipe.training.steps}"
    return RunData(
        name=recipe.name, description=recipe.description, recipe=recipe.dump(), records=records, figures=found.figures, samples=samples[:8],
        fills=fills, data={"digest": data.get("digest"), **data.get("summary", {})}, sizes=sizes, environment=environment, status=status,
        alarms=alarms,
    )  # fmt: skip


def write(runs: Sequence[Run], path: Path) -> Path:
    """The report of runs; what was not evaluated yet is, first."""
    from genwright.reporting.report import write_report

    data = [_shown(run, latest(run) or evaluate(run)) for run in runs]
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_report(data, path)
