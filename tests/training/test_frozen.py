"""What is frozen is stored once in a run, verified with every checkpoint, and read back."""

import json

import pytest
import torch
from safetensors.torch import load_file

from genwright.core.errors import GenwrightError
from genwright.training import checkpoint
from genwright.training.engine import Engine
from genwright.training.session import Session
from training import toy_run, toys
from training.test_loop import final, history, near, same, words_of
from training.test_state import SETTINGS, values

BFLOAT16 = torch.bfloat16


def session(folder, seed=0, dtype=torch.float32, **training):
    folder.mkdir(parents=True, exist_ok=True)
    settings = SETTINGS.model_copy(
        update={"checkpoint_every": 2, "evaluate_every": 0, "keep": 9} | training
    )
    engine = Engine.alone()
    return Session(
        folder, toys.Distillation(seed), toys.Points(8), settings, engine, seed=3, dtype=dtype
    )


def frozen_files(run):
    return sorted((run / "frozen").iterdir())


@pytest.mark.parametrize("dtype", [torch.float32, BFLOAT16])
def test_what_is_frozen_is_stored_once(tmp_path, dtype):
    before = values(toys.Distillation())
    session(tmp_path, dtype=dtype).train()
    files = frozen_files(tmp_path)
    assert len(files) == 2, "of the reference, and of the student's first layer"
    stored = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert {"student.0.weight", "student.0.bias"} <= stored.keys()
    assert all(torch.equal(tensor, before[tuple(n.split(".", 1))]) for n, tensor in stored.items())
    assert {name for name in stored if name.startswith("reference.")} == {
        ".".join(key) for key in before if key[0] == "reference"
    }
    for step in (0, 2, 4, 6):
        folder = checkpoint.folder_of(tmp_path / "checkpoints", step)
        own = load_file(folder / "weights.safetensors")
        assert not own.keys() & stored.keys()
        assert "student.codebook" in own and "student.2.weight" in own
        listed = json.loads((folder / "manifest.json").read_text())
        assert {f"frozen/{file.name}": file.stem for file in files}.items() <= listed.items()
        assert checkpoint.load(folder)[0]["weights"].keys() == own.keys() | stored.keys()


def test_four_checkpoints_with_a_large_frozen_module_take_its_space_once(tmp_path):
    trained = session(tmp_path)
    trained.objective.modules["reference"][1] = torch.nn.Linear(8, 2)
    trained.objective.modules["reference"].register_buffer("large", torch.zeros(1 << 18))
    trained.train()
    sizes = [file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()]
    assert 1 << 20 < sum(sizes) < 1.5 * (1 << 20)
    assert len(checkpoint.steps(tmp_path / "checkpoints")) == 4


@pytest.mark.parametrize("dtype", [torch.float32, BFLOAT16])
def test_a_run_with_frozen_modules_goes_on_bit_for_bit(tmp_path, dtype):
    session(tmp_path / "whole", dtype=dtype).train()
    session(tmp_path / "stopped", dtype=dtype).train(until=3)
    # frozen modules that begin otherwise, to see that they are read back
    session(tmp_path / "stopped", seed=1, dtype=dtype).train(resume=True)
    assert same(final(tmp_path / "stopped", 6), final(tmp_path / "whole", 6))
    assert history(tmp_path / "stopped") == history(tmp_path / "whole")
    names = [[file.name for file in frozen_files(tmp_path / run)] for run in ("stopped", "whole")]
    assert names[0] == names[1]


@pytest.mark.parametrize("harm", ["missing", "not what was written"])
def test_a_damaged_frozen_file_is_named_and_an_earlier_checkpoint_is_taken(tmp_path, harm):
    session(tmp_path, keep=1).train(until=2)
    earlier = frozen_files(tmp_path)
    root = tmp_path / "checkpoints"
    other = session(tmp_path, seed=1)
    files, plain = checkpoint.load(checkpoint.folder_of(root, 2))
    files["weights"]["reference.1.bias"] += 1
    stored = checkpoint.store_frozen(
        tmp_path, {n: t for n, t in files["weights"].items() if n.startswith("reference.")}
    )
    own = {n: t for n, t in files["weights"].items() if not n.startswith("reference.")}
    last = checkpoint.save(root, 4, files | {"weights": own}, plain, stored)
    assert checkpoint.newest(root) == last
    place = tmp_path / stored[0]
    if harm == "missing":
        place.unlink()
    else:
        place.write_bytes(place.read_bytes()[:-1] + b"!")
    said = []
    assert checkpoint.newest(root, said.append) == checkpoint.folder_of(root, 2)
    assert f"step-00000004 is damaged ({stored[0]} is {harm}): falling back" in said[0]
    with pytest.raises(GenwrightError, match=f"{stored[0]} is {harm}; use an earlier one"):
        checkpoint.load(last)
    other.train(resume=True)  # from step 2, with what was frozen then
    assert [file for file in frozen_files(tmp_path) if file in earlier] == earlier
    session(tmp_path / "whole").train()
    assert same(final(tmp_path, 6), final(tmp_path / "whole", 6))


def test_pruning_keeps_what_any_checkpoint_lists(tmp_path):
    root = tmp_path / "checkpoints"
    names = []
    for step in (1, 2, 3):
        names += checkpoint.store_frozen(tmp_path, {"reference.w": torch.full((4,), float(step))})
        checkpoint.save(root, step, {"weights": {}}, {"step": step}, names[-1:])
    checkpoint.set_aside(root, 2)
    unlisted = checkpoint.store_frozen(tmp_path, {"reference.w": torch.zeros(4)})
    checkpoint.prune(root, 9)
    assert {f"frozen/{file.name}" for file in frozen_files(tmp_path)} == set(names)
    assert unlisted[0] not in names
    (root / "aside-step-00000003" / "manifest.json").write_text("{")
    checkpoint.prune(root, 1)
    assert checkpoint.steps(root) == [2]
    assert len(frozen_files(tmp_path)) == 3, "nothing is deleted while a manifest is unreadable"
    (root / "aside-step-00000003" / "manifest.json").unlink()
    (root / "aside-step-00000003" / "state.json").unlink()
    (root / "aside-step-00000003" / "weights.safetensors").unlink()
    checkpoint.prune(root, 1)
    assert [f"frozen/{file.name}" for file in frozen_files(tmp_path)] == names[1:2]


def test_a_checkpoint_from_before_still_loads(tmp_path):
    """Everything, frozen or not, in weights.safetensors."""
    session(tmp_path / "whole").train()
    session(tmp_path, seed=0).train(until=2)
    root = tmp_path / "checkpoints"
    files, plain = checkpoint.load(checkpoint.folder_of(root, 2))
    checkpoint.save(root, 2, files, plain)
    for file in frozen_files(tmp_path):
        file.unlink()
    session(tmp_path, seed=1).train(resume=True)
    assert same(final(tmp_path, 6), final(tmp_path / "whole", 6))
    assert len(frozen_files(tmp_path)) == 2


def test_a_frozen_buffer_that_is_written_to_stops_the_run(tmp_path):
    broken = session(tmp_path)

    def after_step(metrics, sums):
        broken.objective.modules["reference"][0][1].running_mean.add_(1)

    broken.objective.after_step = after_step
    with pytest.raises(GenwrightError, match=r"buffer 0\.1\.running_mean of a module that is not"):
        broken.train()


def test_sharded_processes_freeze_as_one_does_and_start_again(tmp_path, forks):
    common = ("--steps", 6, "--strategy", "fsdp", "--every", 3, "--read", tmp_path / "flat")
    words = words_of("distillation", tmp_path / "a", *common, "--again", tmp_path / "b")
    forks.run_ranks(2, words, tmp_path)
    first = toy_run.session("distillation", tmp_path / "c", steps=6, checkpoint_every=3)
    first.train()
    second = toy_run.session(
        "distillation", tmp_path / "d", steps=6, checkpoint_every=3, objective=first.objective
    )
    state, _ = second.train()
    torch.testing.assert_close(state.read(), load_file(tmp_path / "flat")["flat"])
    for two, one in (("a", "c"), ("b", "d")):
        assert near(final(tmp_path / two, 6), final(tmp_path / one, 6))
        names = [[file.name for file in frozen_files(tmp_path / run)] for run in (two, one)]
        assert names[0] == names[1] and len(names[0]) == 2
    assert not near(final(tmp_path / "c", 6), final(tmp_path / "d", 6))


def test_sharded_processes_freeze_in_bf16_and_go_on(tmp_path, forks):
    common = ("--steps", 4, "--strategy", "fsdp", "--every", 2, "--bf16")
    words = words_of("distillation", tmp_path / "two", *common)
    forks.run_ranks(2, [*words, "--until", "3"], tmp_path)
    forks.run_ranks(2, [*words, "--resume"], tmp_path)
    one = toy_run.session("distillation", tmp_path / "one", steps=4, checkpoint_every=2)
    one.dtype = BFLOAT16
    one.train()
    assert near(final(tmp_path / "two", 4), final(tmp_path / "one", 4), 0.02)
    names = [[file.name for file in frozen_files(tmp_path / run)] for run in ("two", "one")]
    assert names[0] == names[1] and len(names[0]) == 2
