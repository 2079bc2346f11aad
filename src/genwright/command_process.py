"""How the process of a command starts and ends in little time.

1. While modules are imported nobody looks for garbage: what they make stays, and looking through it
   again and again takes .2 of the 1.3 s that torch takes.
2. At the end the process ends at once, when all that was registered with `atexit` is done. Python
   would take every module apart first, which takes another .4 s.
"""

import atexit
import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_codes: list[int] = []  # the exit code that `leave` was called with, if it was


@contextmanager
def quick_imports() -> Iterator[None]:
    """Inside, torch is imported without garbage being collected. What is there afterwards is never
    looked at again: garbage, too, so that this is done once in a process."""
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def end_at_once() -> None:
    """Lets this process end without taking its modules apart, once `leave` was called. To be called
    first, so that it is the last thing done: what is registered later is done before."""
    atexit.register(_end)


def _end() -> None:
    if not _codes:
        return
    logging.shutdown()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # a closed pipe or a full disk: Python says it
    os._exit(_codes[-1])


def leave(code: int) -> NoReturn:
    """Exits; a rank does so at once: threads of torch's process groups can outlive the interpreter
    and abort its exit."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _codes.append(code)
    sys.exit(code)
