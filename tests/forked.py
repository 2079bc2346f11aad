"""Commands in processes of their own, forked from one that has imported the program already: its
imports, two seconds of every start, are paid for once.

A command finds what a new process gives it: its words, folder and environment, `__main__`, and what
is to be done at its end. Only its modules may be there before it imports them, so what is about
imports takes a new process.
"""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SERVER = """
import atexit, gc, json, os, runpy, sys, traceback
import genwright.api
import genwright.cli
from genwright.core.registry import PLACES, kinds
from genwright.evaluation import features

features.LEAST, features.MOST = 2_000, 4_000  # as in conftest.py
for family in PLACES:
    kinds(family)
gc.collect()
gc.freeze()  # no collection of a child writes to, and so copies, the memory of all modules
while True:
    line = sys.stdin.readline()
    if not line:
        sys.exit()
    job = json.loads(line)
    child = os.fork()
    if not child:
        break
    status = os.waitpid(child, 0)[1]
    print(os.waitstatus_to_exitcode(status), flush=True)
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
            [sys.executable, "-c", SERVER],
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
        out = Path(self.scratch.name) / "out"
        err = Path(self.scratch.name) / "err"
        job = {
            "words": words,
            "folder": str(folder),
            "environment": dict(environment or {}),
            "out": str(out),
            "err": str(err),
        }
        print(json.dumps(job), file=self.server.stdin, flush=True)
        answered, _, _ = select.select([self.server.stdout], [], [], self.seconds)
        if not answered:
            self.server.kill()
            raise subprocess.TimeoutExpired(words, self.seconds)
        code = int(self.server.stdout.readline())
        return subprocess.CompletedProcess(words, code, out.read_text(), err.read_text())
