"""Jobs of tests, which worker processes import: a module that imports little."""

import os
import signal
import sys
import time

from genwright.core.errors import GenwrightError
from genwright.data import workers


def double(path, number):
    time.sleep(0.02 * (number % 3))  # they end in another order than they began
    return {"path": path, "number": 2 * number}


def die(path, number, how):
    if number == 3:
        os.kill(os.getpid(), how)
    time.sleep(0.05)
    return number


def leave(path, number):
    if number == 3:
        os._exit(7)
    return number


def die_at_the_seventh(path, number, paths):
    for i in range(9):
        workers.at_file(i)
        if (number, i) == (3, 6):
            os.kill(os.getpid(), signal.SIGKILL)


def refuse(path, number):
    if number == 3:
        raise GenwrightError(f"{path} is bad", "mend it")
    return number


def trip(path, number):
    return 1 / (number - 3)


def starve(path, number):
    raise MemoryError


def modules(path, number):
    return sorted(sys.modules), os.environ.get("OMP_NUM_THREADS"), sys.path


def speak(path, number):
    print("from a worker")
    return number


def slow(path, number):
    time.sleep(60 if number else 0)
