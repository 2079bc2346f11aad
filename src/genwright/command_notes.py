"""What the library logs, shown by the command line as lines on stderr."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Notes(logging.Handler):
    """Shows what the library logs as lines on stderr. A moving line of progress stays whole: while
    there is one, rich takes what is printed to stderr and puts it above."""

    def emit(self, record: logging.LogRecord) -> None:
        """Shows a record."""
        text = record.getMessage()
        if sys.stderr.isatty():
            text = _coloured(text)
        else:
            text = f"note: {text}"
        print(text, file=sys.stderr)


def _coloured(text: str) -> str:
    """A note for a terminal: broken between words, its first word in colour where there are any."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    with console.capture() as captured:
        console.print(Text.assemble(("note:", "yellow"), " ", text))
    return captured.get().rstrip("\n")


@contextmanager
def notes_shown() -> Iterator[None]:
    """Inside, what the library logs is shown."""
    log = logging.getLogger("genwright")
    level = log.level
    notes = Notes()
    log.addHandler(notes)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(notes)
        log.setLevel(level)
