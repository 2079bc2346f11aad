"""Jobs of tests, which workers of Ray import."""

import os
import time
from pathlib import Path

from genwright.core.errors import GenwrightError


def slow(place: str, number: int) -> int:
    """A job that takes a while the first time, and says which process is at it."""
    mark = Path(place) / f"{number}.pid"
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        time.sleep(20)
    return 10 * number


def refuse(what: str) -> None:
    raise GenwrightError(what, "mend it")
