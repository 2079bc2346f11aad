"""Commands in processes of their own, forked from one that has imported the program already: its
imports, two seconds of every start, are paid for once. So are those of ranks: of several processes
that train together.

A command finds what a new process gives it: its words, folder and environment, `__main__`, and what
is to be done at its end. Only its modules may be there before it imports them, so what is about
imports takes a new process.
"""

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

SERVER = """
import atexit, gc, json, os, runpy, signal, sys, traceback
import torch.distributed.fsdp, torch.distributed.tensor  # which ranks need
import genwright.api
import genwright.cli
from genwright.core.registry import PLACES, kinds
sys.path[0] = sys.argv[1]
from quick import make_quick

make_quick()
for family in PLACES:
    kinds(family)
gc.collect()
gc.freeze()  # no collection of a child writes to, and so copies, the memory of all modules
while True:
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    jobs = json.loads(line)
    children = []
    for job in jobs:
        child = os.fork()
        if not child:
            break
        children.append(child)
    if not child:
        break
    codes = {}
    while len(codes) < len(children):
        ended, status = os.wait()
        codes[ended] = os.waitstatus_to_exitcode(status)
        if status:  # the others would wait for it
            for other in set(children) - set(codes):
                os.kill(other, signal.SIGKILL)
    print(json.dumps([codes[child] for child in children]), flush=True)
for number, path in enumerate((os.devnull, job["out"], job["err"])):
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, number)
    os.close(handle)
os.chdir(job["folder"])
os.environ.update(job["environment"])
name, *words = job["words"]
code = None
try:
    if name == "genwright":
        sys.path[0] = os.getcwd()
        sys.argv[1:] = words
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(name)
        sys.argv = [name, *words]
        runpy.run_path(name, run_name="__main__")
except SystemExit as stopped:
    code = stopped.code
except BaseException:
    traceback.print_exc()
    code = 1
if not isinstance(code, int | None):
    print(code, file=sys.stderr)
    code = 1
atexit._run_exitfuncs()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code or 0)  # to take all modules apart would take longer than most commands
"""


class Forks:
    """Runs one command after another. paths: where modules are looked for, before all others.
    Raises subprocess.TimeoutExpired for a command that takes longer than `seconds`."""

    def __init__(self, *paths: Path, seconds: float = 300):
        self.seconds = seconds
        self.scratch = tempfile.TemporaryDirectory()
        environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        if paths:
            environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
        self.server = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(Path(__file__).parent)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, *error) -> None:
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()
        self.scratch.cleanup()

    def run(
        self, words: list[str], folder: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess:
        """What `python words` gives in a folder, where the first word is a script, or
        `python -m words`, where it is genwright. environment: beside this process's."""
        return self.run_together([words], folder, [environment or {}])[0]

    def run_ranks(self, count: int, words: list[str], folder: Path) -> None:
        """Runs a command as so many ranks, as torch.distributed.run would. Fails with what the
        first of them said that failed."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        environments = []
        for rank in range(count):
            environments.append(shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        ended = self.run_together([words] * count, folder, environments)
        failed = [done for done in ended if done.returncode]
        failed.sort(key=lambda done: done.returncode < 0)  # those that were ended come last
        assert not failed, failed[0].stderr[-3000:]

    def run_together(
        self,
        commands: list[list[str]],
        folder: Path,
        environments: Sequence[Mapping[str, str]],
    ) -> list[subprocess.CompletedProcess]:
        """Commands that run at the same time, each as `run`. Where one fails, the others are
        ended."""
        jobs = []
        for number, (words, environment) in enumerate(zip(commands, environments, strict=True)):
            job = {
                "words": words,
                "folder": str(folder),
                "environment": dict(environment),
                "out": str(Path(self.scratch.name) / f"out{number}"),
                "err": str(Path(self.scratch.name) / f"err{number}"),
            }
            jobs.append(job)
        print(json.dumps(jobs), file=self.server.stdin, flush=True)
        answered, _, _ = select.select([self.server.stdout], [], [], self.seconds)
        if not answered:
            self.server.kill()
            raise subprocess.TimeoutExpired(commands[0], self.seconds)
        codes = json.loads(self.server.stdout.readline())
        ended = []
        for job, code in zip(jobs, codes, strict=True):
            out = Path(job["out"]).read_text()
            err = Path(job["err"]).read_text()
            ended.append(subprocess.CompletedProcess(job["words"], code, out, err))
        return ended
