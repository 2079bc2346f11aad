"""`--processes N`: the same command line N times on this machine, joined through
torch.distributed's environment variables."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from genwright.core.errors import GenwrightError

# environment variable of a rank: the number of the process that launched it
LAUNCHER = "GENWRIGHT_LAUNCHER"


def launch(arguments: Sequence[str], processes: int) -> None:
    """Runs `python -m genwright ARGUMENTS` as `processes` ranks and waits. When one fails the
    others are ended. SIGTERM and Ctrl-C reach every rank, which then saves and stops. Raises
    GenwrightError when a rank failed; it has said why on stderr itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        LAUNCHER: str(os.getpid()),
    }
    # -P: nothing is imported from the current folder
    command = [sys.executable, "-P", "-m", "genwright", *arguments]
    with ExitStack() as stack:
        said: list[Any] = [
            None if i == 0 else stack.enter_context(tempfile.TemporaryFile())
            for i in range(processes)
        ]
        children = [
            subprocess.Popen(
                command,
                env=os.environ | shared | {"RANK": str(i), "LOCAL_RANK": str(i)},
                stderr=file,
                stdout=None if i == 0 else subprocess.DEVNULL,
                start_new_session=True,
            )
            for i, file in enumerate(said)
        ]
        _wait(children)
        failed = [i for i, child in enumerate(children) if child.returncode]
        if 0 in failed:  # the others failed with it
            raise GenwrightError(
                f"process 0 of {processes} failed",
                "see its message above; --debug shows the traceback",
            )
        for i in failed:
            said[i].seek(0)
            last = (
                said[i].read().decode(errors="replace").strip().splitlines() or ["it was killed"]
            )[-1]
            raise GenwrightError(
                f"process {i} of {processes} failed: {last}", "--debug shows the traceback"
            )


def _wait(children: Sequence[subprocess.Popen]) -> None:
    """Until all have ended; five seconds after one failed the others are killed. Signals are passed
    on."""

    def pass_on(number: int, frame: Any) -> None:
        for child in children:
            child.send_signal(number)

    with heeding(pass_on):
        try:
            while any(c.poll() is None for c in children) and not any(c.poll() for c in children):
                time.sleep(0.05)
            deadline = time.monotonic() + 5
            while any(c.poll() is None for c in children) and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            for child in children:
                child.kill()
                child.wait()


@contextmanager
def heeding(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Inside, SIGTERM and Ctrl-C call `handler(number, frame)`, in the main thread; another thread
    cannot ask for them."""
    mine = threading.current_thread() is threading.main_thread()
    before = (
        {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
        if mine
        else {}
    )
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def orphaned() -> bool:
    """Whether this process is a rank whose launcher is gone: nobody would pass a signal on to
    it."""
    return str(os.getppid()) != os.environ.get(LAUNCHER, str(os.getppid()))
