"""Drawing reads weights and nothing else; the device can be chosen; the library prints nothing."""

import shutil

import pytest
import torch

import genwright
from commands import command
from genwright.core.errors import GenwrightError
from genwright.training import checkpoint


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("weights-only")
    (place / "text").mkdir()
    for number in range(12):
        text = "\n".join(f"line {number * row % 7} of {number}" for row in range(40))
        (place / "text" / f"{number}.txt").write_text(text)
    settings = {
        "data.path": str(place / "text"),
        "data.cache": str(place / "cache"),
        "data.context": 16,
        "data.held_out": 0.3,
        "codec": "bytes",
        "model.depth": 1,
        "model.width": 16,
        "model.heads": 1,
        "training.batch_size": 4,
        "training.steps": 4,
        "training.threads": 1,
        "training.precision": "fp32",
        "training.evaluate_every": 0,
        "training.checkpoint_every": 2,
        "training.ema": 0.9,
    }
    return genwright.train("docs", run=place / "run", quiet=True, **settings), settings


def copied(trained, tmp_path):
    """A copy of the run, and its newest checkpoint."""
    shutil.copytree(trained[0].folder, tmp_path / "run")
    return tmp_path / "run", checkpoint.folder_of(tmp_path / "run" / "checkpoints", 4)


def drawn(run):
    return [sample.text for sample in run.sample("line", n=2, max_tokens=12, seed=1)]


@pytest.mark.parametrize("harm", ["absent", "changed"])
def test_drawing_needs_no_optimizer_and_resuming_does(trained, tmp_path, harm):
    folder, newest = copied(trained, tmp_path)
    file = newest / "optimizer.safetensors"
    if harm == "absent":
        file.unlink()
    else:
        file.write_bytes(b"damaged")
    run = genwright.load(folder)
    assert run.step == 4
    assert drawn(run) == drawn(trained[0])
    with pytest.raises(GenwrightError, match="optimizer.safetensors is"):
        checkpoint.load(newest)
    said = []
    earlier = checkpoint.newest(folder / "checkpoints", said.append)
    assert earlier == checkpoint.folder_of(folder / "checkpoints", 2)
    assert "optimizer.safetensors is" in said[0]


@pytest.mark.parametrize(
    "weights, opened",
    [
        # state.json is small, and names the step that is the run's result
        (None, {"manifest.json", "state.json", "weights.safetensors", "ema.safetensors"}),
        ("raw", {"manifest.json", "state.json", "weights.safetensors"}),
    ],
)
def test_only_weights_are_opened(trained, tmp_path, monkeypatch, weights, opened):
    folder, newest = copied(trained, tmp_path)
    seen = set()
    read, digest, load_file = (
        type(newest).read_text,
        checkpoint.digest,
        checkpoint.load_file,
    )

    def note(path):
        if path.parent == newest:
            seen.add(path.name)
        return path

    monkeypatch.setattr(checkpoint, "digest", lambda path: digest(note(path)))
    monkeypatch.setattr(checkpoint, "load_file", lambda path: load_file(note(path)))
    monkeypatch.setattr(type(newest), "read_text", lambda path, *a, **k: read(note(path), *a, **k))
    drawn(genwright.load(folder, weights=weights))
    assert seen == opened


@pytest.mark.parametrize("name", ["weights.safetensors", "ema.safetensors"])
def test_damaged_weights_are_noted_by_the_command_and_logged_by_the_library(
    trained, tmp_path, name, capsys, caplog
):
    folder, newest = copied(trained, tmp_path)
    (newest / name).unlink()
    with pytest.raises(GenwrightError, match=f"damaged: {name} is missing"):
        genwright.load(folder, step=4).tensors()
    assert genwright.load(folder).step == 2
    assert capsys.readouterr() == ("", "")
    (record,) = caplog.records
    assert record.name.startswith("genwright.") and f"({name} is missing)" in record.getMessage()
    code, _, said = command(capsys, "sample", folder, "--prompt", "line", "--max-tokens", "3")
    assert code == 0
    assert said.startswith("note: checkpoint ") and said.count("\n") == 1
    assert f"({name} is missing): falling back to an earlier one" in said


def test_the_device_can_be_chosen(trained, tmp_path, monkeypatch):
    folder, _ = copied(trained, tmp_path)
    assert genwright.load(folder, device="cpu").device == torch.device("cpu")
    with pytest.raises(GenwrightError, match="device is 'gpu', which is none of auto, cpu, cuda"):
        genwright.load(folder, device="gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert genwright.load(folder, device="auto").device == torch.device("cpu")
    with pytest.raises(GenwrightError, match="device=cuda, but this torch sees no GPU; install"):
        genwright.load(folder, device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert genwright.load(folder, device="auto").device == torch.device("cuda", 0)
    run = genwright.load(folder, device="cpu")
    assert {p.device for p in run.model.parameters()} == {torch.device("cpu")}


def test_a_run_that_starts_from_another_one_needs_no_optimizer_of_it(trained, tmp_path):
    folder, newest = copied(trained, tmp_path)
    (newest / "optimizer.safetensors").unlink()
    again = genwright.train(
        "docs", run=tmp_path / "again", start=str(folder), until=1, quiet=True, **trained[1]
    )
    begun = checkpoint.read_tensors(checkpoint.folder_of(again.folder / "checkpoints", 0))
    wanted = genwright.load(folder).tensors()["model"]
    assert all(torch.equal(begun["weights"][f"model.{n}"], t) for n, t in wanted.items())


def test_what_a_run_keeps_as_frozen_is_drawn_with_and_started_from(trained, tmp_path):
    folder, newest = copied(trained, tmp_path)
    files, plain = checkpoint.load(newest)
    weights = files["weights"]
    frozen = {name: weights.pop(name) for name in list(weights) if "embedding" in name}
    stored = checkpoint.store_frozen(folder, frozen)
    checkpoint.save(folder / "checkpoints", 4, files, plain, stored)
    assert drawn(genwright.load(folder, weights="raw")) == drawn(
        genwright.load(trained[0].folder, weights="raw")
    )
    again = genwright.train(
        "docs", run=tmp_path / "again", start=str(folder), until=1, quiet=True, **trained[1]
    )
    begun = checkpoint.read_tensors(checkpoint.folder_of(again.folder / "checkpoints", 0))
    wanted = trained[0].tensors()["model"]
    assert frozen and all(torch.equal(begun["weights"][f"model.{n}"], wanted[n]) for n in wanted)
    (folder / stored[0]).unlink()
    with pytest.raises(GenwrightError, match=rf"{stored[0]} is missing"):
        genwright.load(folder, step=4).tensors()
    assert genwright.load(folder).step == 2
