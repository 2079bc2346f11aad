"""`--processes N`: the same command line N times on this machine, joined through torch.distributed's environment variables."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from genwright.errors import GenwrightError


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def launch(arguments: Sequence[str], processes: int) -> None:
    """Runs `python -m genwright ARGUMENTS` as `processes` ranks and waits. When one fails the others are ended. SIGTERM and Ctrl-C
    reach every rank, which then saves and stops. Raises GenwrightError when a rank failed; it has said why on stderr itself."""
    shared = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-P", "-m", "genwright", *arguments]  # -P: nothing is imported from the current folder
    children = [
        subprocess.Popen(
            command, env=os.environ | shared | {"RANK": str(i), "LOCAL_RANK": str(i)}, stdout=None if i == 0 else subprocess.DEVNULL,
            stderr=None if i == 0 else subprocess.PIPE, start_new_session=True,
        )
        for i in range(processes)
    ]  # fmt: skip

    def pass_on(number: int, frame) -> None:
        for child in children:
            if child.poll() is None:
                child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while any(c.poll() is None for c in children) and not any(c.poll() for c in children):
            time.sleep(0.05)
        deadline = time.monotonic() + 5
        while any(c.poll() is None for c in children) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
            child.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    failed = [i for i, c in enumerate(children) if c.returncode]
    if failed:
        told = [(i, children[i].stderr.read().decode(errors="replace").strip()) for i in failed if children[i].stderr is not None]  # type: ignore[union-attr]
        what = next((f": {text.splitlines()[-1]}" for _, text in told if text), "")
        raise GenwrightError(f"process {failed[0]} of {processes} failed{what}", "see its message above; --debug shows the traceback")
