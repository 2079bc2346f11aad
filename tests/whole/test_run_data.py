"""A run and its data: what is held out stays what it was, whatever becomes of the cache and
wherever the run's folder is."""

import fcntl
import json
import shutil

import numpy as np
import pytest

import genwright
from genwright.core.errors import GenwrightError
from genwright.recipe.schema import Recipe

WORDS = ["alpha", "beta", "gamma", "delta", "x", "y"]
TINY = {
    "codec": "bytes",
    "model.depth": 1,
    "model.width": 16,
    "model.heads": 1,
    "training.steps": 4,
    "training.batch_size": 2,
    "training.precision": "fp32",
    "training.checkpoint_every": 2,
    "training.evaluate_every": 0,
    "data.context": 16,
    "data.held_out": 0.2,
}


def write(folder, start, stop):
    folder.mkdir(exist_ok=True)
    for i in range(start, stop):
        text = " ".join(np.random.default_rng(i).choice(WORDS, 60))
        (folder / f"{i}.txt").write_text(text + "\n")


def train(tmp_path, **more):
    settings = (
        TINY | {"data.path": str(tmp_path / "in"), "data.cache": str(tmp_path / "cache")} | more
    )
    return genwright.train("docs", run=tmp_path / "run", quiet=True, **settings)


def held(dataset):
    return {name for name, _ in dataset.documents("held_out")}


def test_a_run_keeps_its_split_when_the_cache_is_deleted(tmp_path):
    """Documents were added before it began, so that the texts alone do not say which are held
    out."""
    settings = Recipe.load(
        "docs", TINY | {"data.path": str(tmp_path / "in"), "data.cache": str(tmp_path / "cache")}
    )
    for stop in (6, 12, 60):
        write(tmp_path / "in", 0, stop)
        before = held(settings.data.prepare(settings.codec))
    run = train(tmp_path, until=2)
    shutil.rmtree(tmp_path / "cache")
    assert held(settings.data.prepare(settings.codec)) != before, (
        "the record decides, or this test shows nothing"
    )
    assert held(run.dataset()) == before
    assert run.dataset() is run.dataset()  # it is read once
    assert train(tmp_path, resume=True).step == 4
    (tmp_path / "run" / "held_out.npy").write_bytes(b"no keys")
    with pytest.raises(
        GenwrightError, match=r"held_out.npy cannot be read .*; bring it back, or begin a new run"
    ):
        genwright.load(tmp_path / "run").dataset()


def test_a_run_of_an_earlier_version_is_refused_in_one_sentence(tmp_path):
    """It kept no keys of what is held out, and its digest was of other sides."""
    write(tmp_path / "in", 0, 20)
    run = train(tmp_path, until=2)
    path = tmp_path / "run" / "environment.json"
    environment = json.loads(path.read_text())
    environment["data"]["digest"] = "0" * 64
    path.write_text(json.dumps(environment))
    (tmp_path / "run" / "held_out.npy").unlink()
    match = (
        r"recorded digest 0{16}, .* or begin a new run "
        r"\(one of an earlier version held out other data, and cannot go on\)"
    )
    with pytest.raises(GenwrightError, match=match):
        train(tmp_path, resume=True)
    with pytest.raises(GenwrightError, match=match):
        run.dataset()


def test_what_an_interrupted_start_left_decides_nothing(tmp_path):
    write(tmp_path / "in", 0, 20)
    (tmp_path / "run").mkdir()
    np.save(tmp_path / "run" / "held_out.npy", np.arange(3, dtype=np.uint64))
    run = train(tmp_path, until=2)
    assert held(run.dataset())


def test_of_two_trainings_that_start_at_once_the_second_writes_nothing(tmp_path, monkeypatch):
    """The other one locks the folder, trains and ends between any two steps of this one."""
    write(tmp_path / "in", 0, 20)
    flock = fcntl.flock

    def other_first(handle, operation):
        monkeypatch.undo()
        train(tmp_path)
        return flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", other_first)
    with pytest.raises(GenwrightError, match=r"run exists already, and a run is never overwritten"):
        train(tmp_path, seed=5)
    assert genwright.load(tmp_path / "run").recipe.seed == 0
    assert genwright.load(tmp_path / "run").step == 4


def test_a_folder_that_is_no_run_is_left_as_it_was(tmp_path):
    write(tmp_path / "in", 0, 20)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(GenwrightError):
            train(tmp_path, resume=resume)
        assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]
    (tmp_path / "run" / ".lock").write_text("also mine")
    with pytest.raises(GenwrightError):
        train(tmp_path)
    assert (tmp_path / "run" / ".lock").read_text() == "also mine"


def test_an_empty_checkpoint_is_passed_over_and_named(tmp_path, caplog):
    write(tmp_path / "in", 0, 20)
    train(tmp_path, until=2)
    empty = tmp_path / "run" / "checkpoints" / "step-00000100"
    empty.mkdir()
    assert train(tmp_path, resume=True).step == 4
    (tmp_path / "run" / "checkpoints" / "step-00000200").mkdir()
    half = tmp_path / "run" / "checkpoints" / "step-00000300"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"half")
    assert genwright.load(tmp_path / "run").step == 4
    said = caplog.text
    assert "step-00000200 is empty, and passed over" in said
    assert (
        "step-00000300 is damaged (manifest.json is missing or unreadable): "
        "falling back to an earlier one"
    ) in said
    assert train(tmp_path, resume=True, **{"training.steps": 6}).step == 6


def test_a_run_with_nothing_but_an_empty_checkpoint_starts_at_its_beginning(tmp_path):
    write(tmp_path / "in", 0, 20)
    train(tmp_path, until=2)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "checkpoints" / "step-00000100").mkdir(parents=True)
    assert train(tmp_path, resume=True).step == 4


DAMAGES = (
    lambda text: text[:90],
    lambda text: "",
    lambda text: "[]",
    lambda text: text.replace('"unit"', '"of"'),
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_evaluation_is_named_and_measured_again(tmp_path, damage):
    write(tmp_path / "in", 0, 12)
    run = train(tmp_path)
    run.evaluate(samples=2)
    (path,) = (run.folder / "evaluations").iterdir()
    path.write_text(damage(path.read_text()))
    with pytest.raises(
        GenwrightError,
        match=r"evaluations/.*json is damaged, .*; measure again: genwright evaluate .*run",
    ):
        run.report()
    run.evaluate(samples=2)
    assert run.report().is_file()


@pytest.mark.parametrize(
    "name,place",
    [("environment.json", "environment.json"), ("metrics.jsonl", "metrics.jsonl line 2")],
)
def test_a_damaged_file_of_a_run_is_named(tmp_path, name, place):
    write(tmp_path / "in", 0, 12)
    run = train(tmp_path)
    path = run.folder / name
    first = path.read_text().splitlines()[0]
    path.write_text(f"{first}\n{{\n")
    with pytest.raises(
        GenwrightError, match=rf"{place} is damaged, for it is not JSON .*; put back a copy"
    ):
        run.report()


@pytest.mark.parametrize("damage", ["", "{", "[]", "null"])
def test_what_a_checkpoint_says_of_itself_is_named_where_it_is_damaged(tmp_path, damage):
    write(tmp_path / "in", 0, 12)
    run = train(tmp_path)
    (last,) = (run.folder / "checkpoints").glob("step-*4")
    manifest, state = (last / name for name in ("manifest.json", "state.json"))
    whole = manifest.read_text()
    manifest.write_text(damage)
    assert genwright.load(run.folder).step == 2  # it is passed over
    manifest.write_text(whole)
    if damage != "[]":
        state.write_text(damage)
        with pytest.raises(GenwrightError, match=r"state.json is damaged .*; bring it back"):
            genwright.load(run.folder).sample(max_tokens=2)
    if damage in ("[]", "null"):
        (run.folder / "environment.json").write_text(damage)
        with pytest.raises(GenwrightError, match=r"environment.json is damaged, for it holds no"):
            genwright.load(run.folder).environment  # noqa: B018
