"""What is on disk is whole or ignored; nothing that was whole is lost."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from genwright.core.errors import GenwrightError
from genwright.training import checkpoint
from genwright.training.records import Records, read
from training.test_loop import final, history, same
from training.toy_run import session


def tree(root):
    return {
        p.relative_to(root): p.read_bytes() for p in sorted(Path(root).rglob("*")) if p.is_file()
    }


def write(root, step, value=1.0, **state):
    return checkpoint.save(
        root, step, {"weights": {"w": torch.full((1000,), value)}}, {"step": step} | state
    )


def test_what_is_saved_is_loaded(tmp_path):
    write(tmp_path, 5, 2.0, skipped=[[1, 2]])
    tensors, state = checkpoint.load(checkpoint.folder_of(tmp_path, 5))
    assert torch.equal(tensors["weights"]["w"], torch.full((1000,), 2.0))
    assert state == {"step": 5, "skipped": [[1, 2]]}


@pytest.mark.parametrize("name", ["weights.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("harm", ["truncate", "flip", "delete"])
def test_damage_is_found_and_an_earlier_checkpoint_is_taken(tmp_path, name, harm):
    write(tmp_path, 5)
    file = write(tmp_path, 9) / name
    data = file.read_bytes()
    if harm == "delete":
        file.unlink()
    else:
        file.write_bytes(
            data[: len(data) // 2]
            if harm == "truncate"
            else data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
        )
    said = []
    before = tree(tmp_path)
    assert checkpoint.newest(tmp_path, said.append) == checkpoint.folder_of(tmp_path, 5)
    assert "step-00000009 is damaged" in said[0] and "falling back" in said[0]
    with pytest.raises(GenwrightError, match="is damaged"):
        checkpoint.load(file.parent)
    assert tree(tmp_path) == before


def test_no_whole_checkpoint_is_an_error_none_at_all_is_not(tmp_path):
    assert checkpoint.newest(tmp_path) is None
    (write(tmp_path, 3) / "weights.safetensors").write_bytes(b"")
    with pytest.raises(GenwrightError, match="no checkpoint under .* is whole; start again"):
        checkpoint.newest(tmp_path)


def test_half_written_folders_are_never_seen(tmp_path):
    write(tmp_path, 3)
    (tmp_path / ".step-00000004.tmp").mkdir()
    assert checkpoint.steps(tmp_path) == [3]


def test_pruning_keeps_the_newest_and_the_best_and_what_is_damaged(tmp_path):
    for step, held_out in [(0, 9.0), (10, 1.0), (20, 3.0), (30, 2.0), (40, 5.0)]:
        write(tmp_path, step, scheduled=True, held_out=held_out)
    write(tmp_path, 43, scheduled=False, held_out=None)
    (checkpoint.folder_of(tmp_path, 20) / "state.json").write_text("{")
    checkpoint.prune(tmp_path, 2)
    assert checkpoint.steps(tmp_path) == [10, 20, 30, 40, 43]


def test_pruning_keeps_the_last_good_one(tmp_path):
    for step in (0, 10, 20, 30, 40):
        write(tmp_path, step, scheduled=True, held_out=None)
    checkpoint.prune(tmp_path, 2, good=29)
    assert checkpoint.steps(tmp_path) == [20, 30, 40]
    checkpoint.prune(tmp_path, 1, good=24)
    assert checkpoint.steps(tmp_path) == [20, 40]


def test_the_newest_may_name_an_earlier_one_as_the_result(tmp_path):
    assert checkpoint.result(tmp_path) is None
    for step in (10, 20):
        write(tmp_path, step, scheduled=True)
    assert checkpoint.result(tmp_path).name == "step-00000020"
    write(tmp_path, 25, scheduled=False, result=10)
    assert checkpoint.result(tmp_path).name == "step-00000010"
    assert checkpoint.newest(tmp_path).name == "step-00000025", "from where a run goes on"
    (checkpoint.folder_of(tmp_path, 10) / "weights.safetensors").write_bytes(b"")
    said = []
    assert checkpoint.result(tmp_path, said.append).name == "step-00000025"
    assert "is damaged" in said[0]


class Full:
    """A disk that is full after some files."""

    def __init__(self, room, monkeypatch):
        self.room, self.real = room, checkpoint.save_file
        monkeypatch.setattr(checkpoint, "save_file", self)

    def __call__(self, tensors, path):
        self.room -= 1
        if self.room < 0:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.real(tensors, path)


def test_a_full_disk_is_said_and_the_last_good_checkpoint_stays(tmp_path, monkeypatch, caplog):
    Full(3 * 2, monkeypatch)  # steps 0 and 10 fit, three files each
    s = session("vae", tmp_path, checkpoint_every=10)
    with pytest.raises(
        GenwrightError,
        match=r"stopped at step 40 unsaved: the disk is full.*free some space and train --resume",
    ):
        s.train()
    said = caplog.messages
    assert len(said) == 4 and "step-00000020 was not written, earlier ones are whole" in said[0]
    assert checkpoint.steps(s.root) == [0, 10]
    assert not checkpoint.faults(checkpoint.newest(s.root))
    assert not list(s.root.glob(".*"))
    monkeypatch.undo()
    session("vae", tmp_path / "whole", checkpoint_every=10).train()
    session("vae", tmp_path, checkpoint_every=10).train(resume=True)
    assert same(final(tmp_path), final(tmp_path / "whole"))
    assert history(tmp_path) == history(tmp_path / "whole")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission_to_write(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(GenwrightError, match="no permission to write"):
        write(tmp_path / "checkpoints", 1)


def test_no_permission_is_a_sentence(tmp_path, monkeypatch):
    def refuse(tensors, path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(checkpoint, "save_file", refuse)
    with pytest.raises(GenwrightError, match="no permission to write .*step-00000001"):
        write(tmp_path, 1)
    assert checkpoint.steps(tmp_path) == []


def test_records_wait_in_memory_while_the_disk_is_full(tmp_path, monkeypatch, caplog):
    records = Records(tmp_path / "metrics.jsonl")
    records.append({"step": 1, "loss": 0.1})
    records.flush()
    good = (tmp_path / "metrics.jsonl").read_bytes()
    real = open

    class Broken:
        def __init__(self, f):
            self.f = f

        def __enter__(self):
            return self

        def __exit__(self, *what):
            self.f.close()

        def write(self, data):
            self.f.write(data[:5])
            self.f.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.f, name)

    monkeypatch.setattr("builtins.open", lambda *a, **k: Broken(real(*a, **k)))
    records.append({"step": 2, "loss": float("nan")})
    records.flush()
    records.flush()
    monkeypatch.undo()
    assert (tmp_path / "metrics.jsonl").read_bytes() == good
    (said,) = caplog.messages
    assert "kept in memory" in said
    records.flush()
    assert read(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 0.1}, {"step": 2, "loss": None}]


def test_sigterm_saves_and_exits_cleanly_and_the_run_goes_on_bit_for_bit(tmp_path):
    script = Path(__file__).with_name("toy_run.py")
    args = [
        sys.executable,
        str(script),
        "gan",
        str(tmp_path / "run"),
        "--steps",
        "4000",
        "--every",
        "1000",
    ]
    child = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.stat().st_size > 20000) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.terminate()
    assert child.communicate(timeout=60)[0].split() == ["interrupted"]
    assert child.returncode == 0
    stopped = checkpoint.steps(tmp_path / "run" / "checkpoints")[-1]
    assert 0 < stopped < 4000
    state = json.loads(
        (checkpoint.folder_of(tmp_path / "run" / "checkpoints", stopped) / "state.json").read_text()
    )
    assert state["scheduled"] is (stopped % 1000 == 0)
    goal = stopped + 7
    common = {"steps": 4000, "checkpoint_every": 1000, "evaluate_every": 7}
    torch.set_num_threads(1)
    session("gan", tmp_path / "run", **common).train(resume=True, until=goal)
    session("gan", tmp_path / "whole", **common).train(until=goal)
    assert same(final(tmp_path / "run", goal), final(tmp_path / "whole", goal))
    assert history(tmp_path / "run") == history(tmp_path / "whole")
