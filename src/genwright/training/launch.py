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
from typing import IO, Any

from genwright.core.errors import GenwrightError

# environment variable of a rank: the number of the process that launched it
LAUNCHER = "GENWRIGHT_LAUNCHER"


def launch(arguments: Sequence[str], processes: int) -> None:
    """Runs `python -m genwright ARGUMENTS` as `processes` ranks and waits. When one fails the
    others are ended. SIGTERM and Ctrl-C reach every rank, which then saves and stops. Raises
    GenwrightError when a rank failed; it has said why on stderr itself."""
    shared = os.environ | {
        "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        LAUNCHER: str(os.getpid()),
    }
    # -P: nothing is imported from the current folder
    command = [sys.executable, "-P", "-m", "genwright", *arguments]
    with ExitStack() as stack:
        children: list[subprocess.Popen[bytes]] = []
        messages: list[IO[bytes]] = []  # what ranks write to stderr; that of rank 0 is shown
        for rank in range(processes):
            file = stack.enter_context(tempfile.TemporaryFile())
            child = subprocess.Popen(
                command,
                env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                stderr=None if rank == 0 else file,
                stdout=None if rank == 0 else subprocess.DEVNULL,
                start_new_session=True,
            )
            children.append(child)
            messages.append(file)
        _wait(children)
        failed = [rank for rank, child in enumerate(children) if child.returncode]
        if not failed:
            return
        if failed[0] == 0:  # the others failed with it
            raise GenwrightError(
                f"process 0 of {processes} failed",
                "see its message above; --debug shows the traceback",
            )
        message = _last_line(messages[failed[0]])
        raise GenwrightError(
            f"process {failed[0]} of {processes} failed: {message}",
            "--debug shows the traceback",
        )


def _free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _last_line(file: IO[bytes]) -> str:
    """The last line that a process wrote; one that was killed wrote none."""
    file.seek(0)
    lines = file.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it was killed"


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until all have ended; five seconds after one failed the others are killed. Signals are passed
    on."""

    def pass_on(number: int, frame: Any) -> None:
        for child in children:
            child.send_signal(number)

    def running() -> bool:
        return any(child.poll() is None for child in children)

    def failed() -> bool:
        return any(child.poll() for child in children)

    with handling_signals(pass_on):
        try:
            while running() and not failed():
                time.sleep(0.05)
            deadline = time.monotonic() + 5
            while running() and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            for child in children:
                child.kill()
                child.wait()


@contextmanager
def handling_signals(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Inside, SIGTERM and Ctrl-C call `handler(number, frame)`, in the main thread; in another
    thread nothing changes, for Python gives it no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        earlier[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)


def launcher_is_gone() -> bool:
    """Whether this process is a rank whose launcher has ended: nobody would pass a signal on to
    it."""
    launcher = os.environ.get(LAUNCHER)
    return launcher is not None and launcher != str(os.getppid())
