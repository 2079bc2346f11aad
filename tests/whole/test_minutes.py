"""`training.minutes`: a run has as many steps as fit, and is then like one that was asked for so
many."""

import hashlib
import json

import pytest

import genwright
from commands import command
from genwright.core.errors import GenwrightError
from genwright.evaluation import held_out
from genwright.recipe.schema import Recipe
from genwright.rewards.rollout import Rollouts
from genwright.runs import assemble, measuring, minutes
from genwright.runs.minutes import Fit
from genwright.runs.parts import RunParts
from genwright.runs.preview import preview
from genwright.runs.request import read_request
from genwright.runs.resume import as_long
from genwright.runs.train import _words_of
from genwright.training.duration import Costs
from genwright.training.engine import Engine
from genwright.training.records import without_clock

POINTS = {
    "data.points": 120,
    "data.held_out": 40,
    "training.batch_size": 12,
    "training.precision": "fp32",
    "training.threads": 1,
    "training.checkpoint_every": 2,
    "training.evaluate_every": 3,
    "watching.samples": 20,
}
FLOW = POINTS | {"model.width": 16, "model.depth": 2, "sampling.steps": 2}
TEXT = {
    "model.depth": 1,
    "model.width": 16,
    "model.heads": 1,
    "training.batch_size": 16,
    "training.precision": "fp32",
    "training.threads": 1,
    "training.evaluate_every": 0,
    "watching.samples": 0,
}


@pytest.fixture
def seven(monkeypatch):
    """Seven steps fit, whatever they take."""
    monkeypatch.setattr(minutes, "steps_that_fit", lambda seconds, costs, settings: 7)


def learn(recipe, run, settings, **more):
    return genwright.train(recipe, run=run, quiet=True, **more, **settings)


def of(run):
    """All that two equal runs share: weights by checkpoint, and records."""
    tensors = {}
    for path in sorted((run.folder / "checkpoints").rglob("*.safetensors")):
        tensors[str(path.relative_to(run.folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return tensors, [without_clock(record) for record in run.records]


@pytest.mark.parametrize("recipe, settings", [("moons-flow", FLOW), ("ring-gan", POINTS)])
def test_it_is_the_run_of_so_many_steps(tmp_path, seven, recipe, settings, caplog):
    """Spans that are shares of a run (warm-up, decay, penalties that are halved) are of the steps
    that were decided; nothing is left of those that were tried."""
    limited = settings | {"training.steps": 90, "training.minutes": 0.01}
    with caplog.at_level("INFO", logger="genwright"):
        decided = learn(recipe, tmp_path / "decided", limited)
    asked = learn(recipe, tmp_path / "asked", settings | {"training.steps": 7})
    note = "7 of 90 steps fit in 0.01 minutes here (training.minutes=null trains all of them)"
    assert f"training.minutes: {note}" in caplog.messages
    assert of(decided) == of(asked)
    assert decided.recipe == asked.recipe
    assert decided.recipe.training.steps == 7 and decided.recipe.training.minutes is None
    facts = decided.environment["minutes"]
    assert (facts["minutes"], facts["asked"], facts["steps"]) == (0.01, 90, 7)
    assert all(0 < facts["seconds"][name] < 60 for name in Costs._fields)
    names = {path.name for path in decided.folder.iterdir()}
    assert names == {path.name for path in asked.folder.iterdir()}


def test_a_policy_is_tried_with_its_rollouts(tmp_path, seven, monkeypatch):
    few = TEXT | {"data.cache": str(tmp_path / "cache"), "training.steps": 2}
    base = learn("arithmetic-base", tmp_path / "base", few)
    drawn = []
    batch = Rollouts.batch

    def counted(self, position, examples, policy=None):
        drawn.append(position)
        return batch(self, position, examples, policy)

    monkeypatch.setattr(Rollouts, "batch", counted)
    limited = few | {"training.steps": 90, "training.minutes": 1e-6}
    decided = learn("arithmetic", tmp_path / "decided", limited, start=str(base.folder))
    assert drawn == [0, 1, *range(7)]
    few = few | {"training.steps": 7}
    assert of(decided) == of(learn("arithmetic", tmp_path / "asked", few, start=str(base.folder)))


def test_a_run_goes_on_with_the_steps_that_were_decided(tmp_path, seven, capsys, monkeypatch):
    limited = FLOW | {"training.steps": 90, "training.minutes": 0.01}
    whole = learn("moons-flow", tmp_path / "whole", limited)
    stopped = learn("moons-flow", tmp_path / "stopped", limited, until=3)
    monkeypatch.setattr("genwright.runs.train.fitted", None)  # nothing is measured again
    words = [f"{name}={value}" for name, value in FLOW.items()]
    words += ["training.steps=90", "training.minutes=0.01"]
    code, out, said = command(
        capsys, "train", "moons-flow", "--run", stopped.folder, "--resume", *words[:-2]
    )
    assert code == 0 and "training.minutes" not in said
    assert of(genwright.load(stopped.folder)) == of(whole)
    code, out, _ = command(
        capsys, "train", "moons-flow", "--run", stopped.folder, "--resume", words[-1]
    )
    assert code == 0 and "done" in out
    assert genwright.load(stopped.folder).recipe.training.steps == 7


def test_a_run_can_be_made_longer(tmp_path, seven, capsys):
    folder = tmp_path / "run"
    learn("moons-flow", folder, FLOW | {"training.steps": 9, "training.minutes": 0.01})
    go_on = ["train", "moons-flow", "--run", folder, "--resume", "--quiet"]
    code, _, said = command(capsys, *go_on, "training.minutes=3")
    assert code == 2
    assert said == (
        "error: training.minutes counts when a run starts, and this one has 7 steps; name "
        "training.steps to make them more, or start another run with --run.\n"
    )
    assert command(capsys, *go_on, "training.steps=8")[0] == 0
    assert genwright.load(folder).step == 8
    assert command(capsys, *go_on)[0] == 0
    assert genwright.load(folder).step == 8


def test_a_run_can_be_made_whole(tmp_path, seven, capsys):
    folder = tmp_path / "run"
    learn("moons-flow", folder, FLOW | {"training.steps": 9, "training.minutes": 0.01})
    go_on = ["train", "moons-flow", "--run", folder, "--resume", "--quiet"]
    assert command(capsys, *go_on, "training.minutes=null")[0] == 0
    assert genwright.load(folder).step == 9
    assert command(capsys, *go_on)[0] == 0
    assert genwright.load(folder).step == 9


def test_what_a_resumed_run_takes_as_its_length():
    saved = Recipe.load("tunes", {"training.steps": 412, "training.minutes": None})
    decided = {"minutes": 1.5, "asked": 800, "steps": 412}

    def steps(decided, *named, **training):
        changes = {f"training.{name}": value for name, value in training.items()}
        found = as_long(Recipe.load("tunes", changes), saved, named, decided).training
        assert found.minutes is None
        return found.steps

    assert steps(decided, minutes=1.5, steps=800) == 412
    assert steps(decided, "training.minutes", minutes=1.5, steps=800) == 412
    assert steps(decided, "training.steps", minutes=1.5, steps=900) == 900
    assert steps(decided, minutes=None, steps=800) == 800
    # of a run that was started before its recipe had minutes
    assert steps({}, minutes=1.5, steps=800) == 800
    with pytest.raises(GenwrightError, match="counts when a run starts"):
        steps({}, "training.minutes", minutes=1.5, steps=800)


def test_processes_read_from_the_run_what_it_was_started_with(tmp_path, seven):
    """Else they would take its upper bound for steps that are asked for now."""
    folder = tmp_path / "run"
    learn("moons-flow", folder, FLOW | {"training.steps": 9, "training.minutes": 0.01}, until=1)
    again = {"training.keep": 3}
    request = read_request("moons-flow", again, folder, True, None, None, True)
    assert request.recipe.training.minutes == 0.01
    assert _words_of(request) == [
        "training.keep:=3", "--run", str(folder), "--resume", "--quiet",
    ]  # fmt: skip


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_several_processes_agree(tmp_path, forks, strategy):
    """Each has a clock of its own, and they would wait for one another at the last steps."""
    settings = FLOW | {
        "training.steps": 100_000,
        "training.minutes": 0.02,
        "training.strategy": strategy,
        "training.checkpoint_every": 0,
        "training.evaluate_every": 0,
        "watching.samples": 0,
    }
    words = [f"{name}={value}" for name, value in settings.items()]
    forks.run_ranks(2, ["genwright", "train", "moons-flow", "--run", "run", *words], tmp_path)
    run = genwright.load(tmp_path / "run")
    assert 5 <= run.step == run.recipe.training.steps < 100_000
    assert run.environment["minutes"]["steps"] == run.step


@pytest.mark.parametrize(
    "minutes, said",
    [
        ("0", "training.minutes is 0; it must be more than 0"),
        ("-2", "training.minutes is -2; it must be more than 0"),
        ("soon", "training.minutes is 'soon'; it must be a number"),
        ("inf", "training.minutes is 'inf'; input should be a finite number"),
    ],
)
def test_what_is_no_time_is_refused(tmp_path, capsys, minutes, said):
    folder = tmp_path / "run"
    code, _, error = command(
        capsys, "train", "moons-flow", "--run", folder, f"training.minutes={minutes}"
    )
    assert code == 2 and error.startswith(f"error: {said}")
    assert not folder.exists()


def test_what_was_decided_is_said():
    costs = Costs(0.1)
    assert str(Fit(1.3, 800, 412, costs)) == "412 of 800 steps fit in 1.3 minutes here"
    assert str(Fit(1.3, 800, 800, costs)) == "all 800 steps fit in 1.3 minutes here"
    assert str(Fit(0.1, 800, 2, costs)) == (
        "fewer than 5 steps fit in 0.1 minutes here, and 5 are taken"
    )
    assert [Fit(1, 800, fitting, costs).steps for fitting in (0, 5, 6, 800)] == [5, 5, 6, 800]


LITTLE = {"training.minutes": 1e-6}


def test_a_short_run_is_not_timed(tmp_path, caplog, monkeypatch):
    """A run has five steps in any case."""
    monkeypatch.setattr(minutes, "tried", None)
    with caplog.at_level("INFO", logger="genwright"):
        run = learn("moons-flow", tmp_path / "run", FLOW | {"training.steps": 2} | LITTLE)
    assert run.step == 2 and run.recipe.training.minutes is None
    assert "training.minutes" not in caplog.text


def test_at_least_five_steps_are_made(tmp_path, caplog):
    with caplog.at_level("INFO", logger="genwright"):
        run = learn("moons-flow", tmp_path / "run", FLOW | {"training.steps": 50} | LITTLE)
    assert run.step == 5
    assert "training.minutes: fewer than 5 steps fit in 1e-06 minutes here" in caplog.text


def test_inspect_says_what_would_be_decided(seven):
    limited = FLOW | {"training.steps": 90, "training.minutes": 0.01}
    facts = preview(Recipe.load("moons-flow", limited)).facts
    assert (
        facts["run"] == "7 steps of 12 points, 0.7 epochs (7 of 90 steps fit in 0.01 minutes here)"
    )
    assert facts["time"].endswith("evaluation included")
    facts = preview(Recipe.load("moons-flow", FLOW | {"training.steps": 90})).facts
    assert facts["run"] == "90 steps of 12 points, 9.0 epochs"
    assert facts["time"].endswith("evaluation aside")


@pytest.mark.parametrize("size", [3, 100])
def test_an_evaluation_is_estimated_by_a_part_of_it(tmp_path, monkeypatch, size):
    """100 held-out examples of 2 s each, and 5 s that only the first evaluation takes."""
    clock = [0.0]
    first = [5.0]
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: clock[0])

    def measured(objective, windows, *, limit, **others):
        assert limit < 100
        clock[0] += 2 * limit + first[0]
        first[0] = 0.0
        return held_out.Means()

    monkeypatch.setattr(measuring, "measure", measured)
    changes = FLOW | {"data.held_out": 100, "watching.samples": 0, "training.batch_size": size}
    recipe = Recipe.load("moons-flow", changes)
    engine = Engine.alone()
    dataset = recipe.data.prepare(recipe.codec)
    space = assemble.space_of(recipe, dataset.codec)
    recipe = assemble.resolve(recipe, space)
    objective = assemble.objective(recipe, space)
    stream = assemble.stream(recipe, objective, dataset, "run")
    found = measuring.evaluation_time(
        RunParts(recipe, objective, dataset, stream, engine), tmp_path
    )
    assert found.each == pytest.approx(200) and found.once == pytest.approx(5)


def test_what_is_kept_is_json():
    kept = Fit(1.5, 800, 412, Costs(0.1, 2.0, 0.5, 3.0)).to_json()
    assert json.loads(json.dumps(kept)) == {
        "minutes": 1.5,
        "asked": 800,
        "steps": 412,
        "seconds": {"step": 0.1, "evaluation": 2.0, "saving": 0.5, "once": 3.0},
    }
