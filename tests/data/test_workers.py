"""Worker processes: one that dies is named with its files and hangs nobody, and nothing of the
parent runs again in them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from worker_jobs import (
    die,
    die_at_the_seventh,
    double,
    leave,
    modules,
    refuse,
    speak,
    starve,
    trip,
)

from genwright.core.errors import GenwrightError
from genwright.data import file_parts, workers
from genwright.data.workers import Work, spread


def jobs_of(count=8, **more):
    return [{"path": f"/data/{i}.txt", "number": i} | more for i in range(count)]


def work_of(function):
    return Work(function, "working", lambda job: [job["path"]])


def test_every_result_comes_once_with_its_index():
    jobs = jobs_of(20)
    found = list(spread(work_of(double), jobs, 2))
    assert (
        dict(found) == {i: {"path": jobs[i]["path"], "number": 2 * i} for i in range(20)}
        and len(found) == 20
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_worker_that_is_killed_is_named_with_its_file(how):
    began = time.monotonic()
    with pytest.raises(
        GenwrightError, match=r"a worker process ended in the middle of its work .*at .*/data/3.txt"
    ) as caught:
        list(spread(work_of(die), jobs_of(how=int(how)), 2))
    assert "lower data.workers" in caught.value.remedy
    if how != signal.SIGTERM:  # with which the pool ends the others
        assert how.name in caught.value.what and "/data/4.txt" not in caught.value.what
    assert time.monotonic() - began < 120  # no wait for a time to run out, on a busy machine too


def test_a_worker_that_leaves_is_named_with_its_exit_code():
    with pytest.raises(
        GenwrightError, match=r"ended in the middle of its work \(exit code 7\), at /data/3.txt;"
    ):
        list(spread(work_of(leave), jobs_of(), 2))


def test_many_files_of_a_job_are_counted():
    many = Work(leave, "working", lambda job: [f"{job['path']}/{i}" for i in range(9)])
    with pytest.raises(
        GenwrightError, match=r"at /data/3.txt/0, /data/3.txt/1, /data/3.txt/2 or 6 more;"
    ):
        list(spread(many, jobs_of(), 2))


def test_the_file_of_a_job_is_named_where_the_job_says_it():
    jobs = [job | {"paths": [f"/data/{job['number']}-{i}" for i in range(9)]} for job in jobs_of()]
    with pytest.raises(GenwrightError, match=r"\(by SIGKILL\), at /data/3-6;"):
        list(spread(Work(die_at_the_seventh, "working", lambda job: job["paths"]), jobs, 2))


def test_what_a_job_raises_is_raised_here():
    with pytest.raises(GenwrightError) as caught:
        list(spread(work_of(refuse), jobs_of(), 2))
    assert (caught.value.what, caught.value.remedy) == ("/data/3.txt is bad", "mend it")
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(spread(work_of(trip), jobs_of(), 2))
    with pytest.raises(GenwrightError, match="no memory left; .*lower data.workers"):
        list(spread(work_of(starve), jobs_of(), 2))


def test_a_worker_holds_no_torch_and_one_thread():
    for _, (names, threads, _) in spread(work_of(modules), jobs_of(4), 2):
        assert "torch" not in names and threads == "1"
    assert os.environ.get("PYTHONSAFEPATH") is None


def test_workers_end_when_nobody_asks_for_more():
    results = spread(work_of(double), jobs_of(40), 2)
    next(results)
    results.close()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    commands = [
        Path(f"/proc/{child}/cmdline").read_bytes()
        for child in children
        if Path(f"/proc/{child}").exists()
    ]
    assert not [command for command in commands if b"spawn_main" in command]


def test_what_a_worker_prints_is_no_output(capfd):
    list(spread(work_of(speak), jobs_of(4), 2))
    said = capfd.readouterr()
    assert said.out == "" and said.err.count("from a worker") == 4


def test_a_real_job_names_its_files(monkeypatch):
    jobs = [{"paths": ["/nowhere/a", "/nowhere/b"]}, {"paths": ["/nowhere/c"]}]
    found = dict(workers.parallel(file_parts.SCAN, jobs, 2))
    assert [len(found[0]), len(found[1])] == [2, 1] and found[1][0]["bad"].startswith(
        "cannot be read"
    )
    assert file_parts.SCAN.files(jobs[0]) == ["/nowhere/a", "/nowhere/b"]


SCRIPT = """
import os, signal, sys, time
# a test run in the background inherits that Ctrl-C is ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
with open(sys.argv[1], "a") as file:
    file.write("the script ran\\n")
sys.path.insert(0, {here!r})
from genwright.data.workers import Work, spread
from worker_jobs import {function} as function
jobs = [{{"path": str(i), "number": i}} for i in range(8)]
done = 0
for _ in spread(Work(function, "working", lambda job: [job["path"]]), jobs, 2):
    done += 1
    print(done, flush=True)
"""


def start(tmp_path, function):
    """A script without `if __name__ == "__main__"`, in a folder whose modules would shadow Python's
    own."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent), function=function))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("multiprocessing", "random", "queue", "json", "signal"):
        (elsewhere / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(
        [sys.executable, script, tmp_path / "log"], cwd=elsewhere, start_new_session=True, **pipes
    )


def test_the_script_is_not_run_again(tmp_path):
    process = start(tmp_path, "double")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert (
        out.split() == [str(i) for i in range(1, 9)]
        and (tmp_path / "log").read_text() == "the script ran\n"
    )


def processes_of(session):
    """Processes of a session that are not zombies."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(entry.parent.name)
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_end_of_the_parent_ends_the_workers(tmp_path, how):
    process = start(tmp_path, "slow")
    assert process.stdout.readline() == "1\n"
    assert len(processes_of(process.pid)) >= 3
    if how == signal.SIGINT:
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    else:
        process.kill()
    _, err = process.communicate(timeout=20)
    assert err.count("Traceback") == (how == signal.SIGINT) and err.count("KeyboardInterrupt") == (
        how == signal.SIGINT
    )
    until = time.monotonic() + 10
    while processes_of(process.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not processes_of(process.pid)
