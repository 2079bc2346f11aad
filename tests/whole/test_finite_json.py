"""What is not finite: JSON that every program reads, and examples that do not count."""

import ast
import json
import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import genwright
from genwright.core.contracts import Loss, Objective, Source, Turn
from genwright.core.files import json_text
from genwright.evaluation.figure import Figure
from genwright.reporting.page import RunData
from genwright.reporting.report import write_report
from genwright.runs.checkpoint_figures import Evaluation
from genwright.training import checkpoint, loop
from genwright.training.engine import Engine
from genwright.training.records import Records, read
from genwright.training.settings import Optimizer, Schedule, Training
from genwright.training.weighting import weightless
from training.ranks import on_two_ranks

ROOT = Path(__file__).parents[2]
BAD = (math.nan, math.inf, -math.inf)


def strict(text):
    """JSON as other programs read it."""

    def refuse(word):
        raise ValueError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_that_are_not_finite_are_null_at_any_depth():
    for bad in BAD:
        found = strict(json_text({"a": bad, "b": [1.5, {"c": (bad, 2)}], "d": True}))
        assert found == {"a": None, "b": [1.5, {"c": [None, 2]}], "d": True}


@pytest.mark.parametrize("bad", BAD)
def test_an_evaluation_is_json_and_comes_back(bad):
    figure = Figure(
        "reverse KL",
        bad,
        "nats",
        4,
        "samples",
        {"one mode": 2.0, "noise": bad},
        {"perfect": bad},
        "lower",
        "how",
    )
    found = Evaluation(3, "raw", [figure], [{"parts": ["a"], "gaps": [[["b", bad]]]}])
    again = Evaluation.from_json(strict(json_text(found.to_json())))
    (read_back,) = again.figures
    assert (
        math.isnan(read_back.value)
        and math.isnan(read_back.floors["noise"])
        and math.isnan(read_back.ceilings["perfect"])
    )
    assert read_back.floors["one mode"] == 2.0 and (read_back.name, read_back.count) == (
        figure.name,
        4,
    )
    assert again.samples == [{"parts": ["a"], "gaps": [[["b", None]]]}]
    assert "not finite" in str(again)


def test_a_report_of_figures_that_are_not_finite_is_written(tmp_path):
    losses = [
        Figure(
            "loss, held out",
            math.nan,
            "nats/token",
            9,
            "tokens",
            {"bigram": math.nan, "unigram": 3.0},
            {"best": math.nan},
        )
    ]
    for figures in (
        losses,
        [
            Figure(
                "loss, held out",
                2.0,
                "nats/token",
                9,
                "tokens",
                {"bigram": math.nan},
                {"text": math.inf},
            )
        ],
    ):
        records = [
            {"step": 0, "held_out": {"loss": None}},
            *({"step": i, "loss": 2.0, "seconds": 0.1} for i in range(1, 9)),
        ]
        page = write_report(
            [RunData("run", figures=figures, records=records)], tmp_path / "report.html"
        ).read_text()
        assert "not finite" in page and not re.search(r"\b(nan|inf|NaN|Infinity)\b", page)


def test_what_evaluate_writes_and_reads_again(tmp_path):
    settings = {
        "data.points": 200,
        "data.held_out": 40,
        "training.steps": 1,
        "training.evaluate_every": 0,
        "training.checkpoint_every": 0,
        "training.precision": "fp32",
        "training.batch_size": 8,
        "watching.samples": 0,
        "data.source": "ring",
        "data.std": 1e-9,
    }
    run = genwright.train("moons-flow", run=tmp_path / "run", quiet=True, **settings)
    found = run.evaluate(samples=20)
    kl = next(f for f in found.figures if f.name == "reverse KL")
    assert not math.isfinite(kl.value) and "no sample is of high quality" in kl.detail
    (path,) = (run.folder / "evaluations").iterdir()
    stored = {figure["name"]: figure["value"] for figure in strict(path.read_text())["figures"]}
    assert stored["reverse KL"] is None
    assert run.report().is_file(), "which reads it again"


def test_records_and_checkpoints_are_json(tmp_path):
    records = Records(tmp_path / "metrics.jsonl")
    records.append(
        {"step": 1, "loss": math.nan, "held_out": {"loss": math.inf}, "list": [math.nan, 1.0]}
    )
    records.flush()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert strict(line)["loss"] is None and read(tmp_path / "metrics.jsonl")[0]["list"] == [
        None,
        1.0,
    ]
    for step, held_out in ((1, 5.0), (2, math.nan), (3, 7.0), (4, math.inf)):
        folder = checkpoint.save(
            tmp_path,
            step,
            {"weights": {"a": torch.zeros(1)}},
            {"scheduled": True, "held_out": held_out},
        )
        assert strict((folder / "state.json").read_text())["held_out"] == (
            held_out if math.isfinite(held_out) else None
        )
    checkpoint.prune(tmp_path, keep=1)
    assert checkpoint.steps(tmp_path) == [1, 4], "the best that was measured, and the newest"


def test_a_checkpoint_with_nan_in_it_written_before_is_never_the_best(tmp_path):
    for step, held_out in ((1, "NaN"), (2, "3.0"), (3, "4.0")):
        folder = checkpoint.save(tmp_path, step, {"weights": {"a": torch.zeros(1)}}, {})
        (folder / "state.json").write_text(f'{{"scheduled": true, "held_out": {held_out}}}')
    checkpoint.prune(tmp_path, keep=1)
    assert checkpoint.steps(tmp_path) == [2, 3]


# words between this program's own processes, command words, and what only a digest is made of
INSIDE = {
    "training/engine.py",
    "data/workers.py",
    "runs/train.py",
    "data/cache.py",
    "contents/images/codec.py",
    "contents/text/codec.py",
    "contents/images/attribute_table.py",
    "core/files.py",
}


def test_no_file_is_written_by_a_json_that_would_write_nan():
    """Whatever writes JSON calls `files.json_text`, or says allow_nan=False."""
    package = ROOT / "src" / "genwright"
    sources = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    sources |= {f"benchmarks/{path.name}": path for path in (ROOT / "benchmarks").glob("*.py")}
    wrong = []
    for name, path in sources.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("json.dumps", "json.dump"):
                told = any(
                    word.arg == "allow_nan" and ast.unparse(word.value) == "False"
                    for word in node.keywords
                )
                if not told and name not in INSIDE and not name.startswith("benchmarks/"):
                    wrong.append(f"{name}:{node.lineno}")
                kept = "write_text" in ast.unparse(node)
                assert not (kept and not told), f"{name}:{node.lineno}"
    assert not wrong


# ---- examples that do not count


class Part(Objective):
    """A line through the first example of the batch; the others do not count. Losses of the
    examples in `bad` are infinite, and their gradients not numbers."""

    def __init__(self, bad=()):
        torch.manual_seed(0)
        self.modules, self.bad = {"model": nn.Linear(1, 1)}, bad

    def prepare(self, batch, draws, ranks):
        x = batch["x"].clone()
        for number in self.bad:
            x[draws.examples == number] = math.inf
        return {"x": x}

    def turns(self, step):
        yield Turn(("model",), self.loss, part=slice(0, 1))

    def loss(self, batch):
        total = (self.modules["model"](batch["x"]) - 1).square().sum(1)
        count = torch.ones_like(total)
        return Loss(
            total, count, {"loss": (total.detach().sum(), count.sum())}, {"seen": count.sum()}
        )


class Numbers:
    size, units, unit = 4, 1, "numbers"

    def batch(self, position, examples, policy=None):
        return {"x": (examples.float()[:, None] + 1 + position) / 4}

    def sources(self, position, examples):
        return [Source(f"numbers {position}") for _ in examples]


SETTINGS = Training(
    steps=3,
    batch_size=4,
    precision="fp32",
    optimizer=Optimizer(kind="adamw", learning_rate=0.1),
    schedule=Schedule(kind="constant"),
)


class Keep(loop.Hook):
    def __init__(self):
        self.records = []

    def after_step(self, state, record):
        self.records.append(dict(record))


def trained(engine, objective):
    state, keep = loop.start(objective, SETTINGS, engine, seed=0), Keep()
    loop.run(objective, Numbers(), state, 3, settings=SETTINGS, engine=engine, hooks=[keep])
    return state.weights["model"].master.clone(), keep.records


def test_a_rank_whose_examples_do_not_count_spoils_no_step():
    expected, alone = trained(Engine.alone(), Part())
    # the second rank's examples are the bad ones
    found = on_two_ranks(lambda: Part(bad=(1, 3)), trained)
    for weights, records in found:
        assert not any("skipped" in record for record in records)
        assert torch.allclose(weights, expected, rtol=1e-6)
        assert [record["loss"] for record in records] == pytest.approx(
            [record["loss"] for record in alone]
        )


class Uncounted(Part):
    """All four examples stand in the batch; those in `bad` count for nothing, and their totals are
    infinite."""

    def turns(self, step):
        yield Turn(("model",), self.loss)

    def prepare(self, batch, draws, ranks):
        return batch | {"bad": torch.tensor([int(number) in self.bad for number in draws.examples])}

    def loss(self, batch):
        total = (self.modules["model"](batch["x"]) - 1).square().sum(1) + torch.where(
            batch["bad"], math.inf, 0.0
        )
        count = (~batch["bad"]).float()
        shown = total.detach()[~batch["bad"]].sum()
        return Loss(total, count, {"loss": (shown, count.sum())})


def test_an_example_that_does_not_count_is_left_out_whatever_its_loss():
    weights, records = trained(Engine.alone(), Uncounted(bad=(1, 2)))
    assert not any("skipped" in record for record in records)
    assert weights.isfinite().all() and records[0]["loss"] > 0 and records[-1]["gradient_norm"] > 0


@pytest.mark.parametrize("bad", BAD)
def test_weightless_is_zero_and_no_product(bad):
    parameter = nn.Parameter(torch.ones(3))

    def loss(batch):
        total = parameter + torch.tensor([bad, 0.0, 1.0])
        return Loss(
            total,
            torch.ones(3),
            {"loss": (total.detach().sum(), torch.tensor(3.0))},
            {"sum": torch.full((2,), bad)},
        )

    out = weightless(loss, {})
    assert out.total.tolist() == [0, 0, 0] and out.count.tolist() == [0, 0, 0]
    assert [float(value) for value in out.metrics["loss"]] == [0, 0] and out.sums[
        "sum"
    ].tolist() == [0, 0]
    out.total.sum().backward()
    assert parameter.grad.tolist() == [0, 0, 0], (
        "collectives of a sharded module meet in backward, so there is one"
    )
