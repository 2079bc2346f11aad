"""One exception for everything a person can put right: a sentence that says what and where, and a
remedy."""

import importlib
from collections.abc import Iterable, Sequence
from typing import Any


class GenwrightError(Exception):
    """What went wrong (with the place), then what to do about it; the command line prints it
    without a traceback.

    >>> str(GenwrightError("data.path: notes/ does not exist", "give a file, a folder or a glob"))
    'data.path: notes/ does not exist; give a file, a folder or a glob.'
    """

    def __init__(self, what: str, remedy: str):
        self.what = what
        self.remedy = remedy
        end = "" if remedy.endswith(("?", "!", ".")) else "."
        super().__init__(f"{what}; {remedy}{end}")


def in_words(problem: BaseException) -> str:
    """What an error of the system or of a decoder says, without numbers that no person knows.

    >>> in_words(FileNotFoundError(2, "No such file or directory", "words.csv"))
    'No such file or directory'
    """
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    if isinstance(problem, UnicodeDecodeError):
        return f"it is not UTF-8 text: byte {problem.start:,}"
    return " ".join(str(problem).split())


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python or torch says that there is not enough memory."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    words = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "cannot allocate memory",
    )
    return any(word in text for word in words)


def optional(module: str, purpose: str, extra: str) -> Any:
    """A module that only some need, imported. purpose: what needs it; extra: of the package's, the
    one that brings it. Raises GenwrightError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise GenwrightError(
            f"{purpose}, which is not installed", f"pip install 'genwright[{extra}]'"
        ) from error


def did_you_mean(word: str, known: Iterable[object]) -> str:
    """A remedy that names the nearest known word, or lists the known ones."""
    import difflib

    names = sorted(str(name) for name in known)
    near = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known: " + ", ".join(names)


def first_named(things: Sequence[object], between: str = ", ") -> str:
    """The first three of some things, and how many more there are."""
    first = between.join(map(str, things[:3]))
    if len(things) <= 3:
        return first
    return f"{first}{between}and {len(things) - 3:,} more"
