"""A corpus is equal byte for byte, whatever it is built by, and however many workers there are."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from corpora import write_files
from ray_jobs import refuse, slow
from test_build import bytes_of, recipe

from genwright.core.errors import GenwrightError
from genwright.curation.build import build
from genwright.curation.engines import engine
from genwright.data.workers import Work
from rooms_here import needs

SOURCES = [{"kind": "files", "path": "raw", "name": "notes"}]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A folder of files that make several shards."""
    folder = tmp_path_factory.mktemp("engines")
    write_files(folder / "raw", 40)
    return folder


@pytest.fixture(autouse=True)
def small_shards(monkeypatch, raw):
    monkeypatch.setattr("genwright.curation.build.UNIT", 8000)
    monkeypatch.setattr("genwright.curation.engines.SMALL", 0)  # other processes for any work
    monkeypatch.chdir(raw)


def plain():
    return recipe(None, sources=SOURCES, filters=[{"attribute": "words", "at_least": 3}])


@pytest.fixture(scope="module")
def alone(raw, tmp_path_factory):
    """What one process makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genwright.curation.build.UNIT", 8000)
        patch.chdir(raw)
        made, _ = build(plain(), tmp_path_factory.mktemp("alone") / "c", workers=1)
    assert len(made.shards) > 3
    return bytes_of(made.folder)


@needs("text")
def test_two_processes_make_the_same(tmp_path, alone):
    build(plain(), tmp_path / "c", workers=2)
    assert bytes_of(tmp_path / "c") == alone


def process_of(file):
    return os.getpid()


def test_little_work_is_done_in_this_process(tmp_path, monkeypatch):
    """Others take longer to start."""
    path = tmp_path / "a"
    path.write_bytes(bytes(1000))
    work = Work(process_of, "looking", lambda job: [job["file"]])
    jobs = [{"file": str(path)}] * 2
    for smallest, is_here in ((2001, True), (2000, False)):
        monkeypatch.setattr("genwright.curation.engines.SMALL", smallest)
        with engine(workers=2) as spread:
            found = {process for _, process in spread(work, jobs)}
        assert (found == {os.getpid()}) == is_here


@pytest.fixture(scope="module")
def ray():
    """One session of Ray for the module."""
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        log_to_driver=False,
        logging_level="error",
        runtime_env={"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}},
    )
    yield ray
    ray.shutdown()


@needs("text")
def test_ray_makes_the_same(tmp_path, alone, ray):
    build(plain(), tmp_path / "c", workers=2, by="ray")
    assert bytes_of(tmp_path / "c") == alone
    assert ray.is_initialized()  # whoever started it ends it


def test_a_task_whose_worker_is_killed_is_done_again(tmp_path, ray):
    work = Work(slow, "waiting", lambda job: [])

    def kill():
        marks: list[Path] = []
        while len(marks) < 2:
            marks = [path for path in tmp_path.glob("*.pid") if path.read_text()]
            time.sleep(0.05)
        for mark in marks:
            os.kill(int(mark.read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with engine("ray", 2) as spread:
        jobs = [{"place": str(tmp_path), "number": number} for number in range(2)]
        assert dict(spread(work, jobs)) == {0: 0, 1: 10}
    killer.join(5)


def test_what_a_task_refuses_is_a_sentence(ray):
    work = Work(refuse, "refusing", lambda job: [])
    with (
        engine("ray", 1) as spread,
        pytest.raises(GenwrightError, match="the file is odd; mend it"),
    ):
        list(spread(work, [{"what": "the file is odd"}]))


def test_without_ray_its_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(GenwrightError, match=r"which is not installed; pip install 'genwright\[ray"),
        engine("ray"),
    ):
        pass
