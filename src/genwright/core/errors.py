"""One exception for everything a person can put right: a sentence that says what and where, and a
remedy."""

import importlib
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
        super().__init__(f"{what}; {remedy}" + ("" if remedy.endswith(("?", "!", ".")) else "."))


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python or torch says that there is not enough memory."""
    words = (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "cannot allocate memory",
    )
    said = isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or said


def optional(module: str, purpose: str, extra: str) -> Any:
    """A module that only some need, imported. purpose: what needs it; extra: of the package's, the
    one that brings it. Raises GenwrightError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise GenwrightError(
            f"{purpose}, which is not installed", f"pip install 'genwright[{extra}]'"
        ) from error


def did_you_mean(word: str, known) -> str:
    """A remedy that names the nearest known word, or lists the known ones."""
    import difflib

    known = sorted(str(k) for k in known)
    near = difflib.get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(known)


def named(things, between: str = ", ") -> str:
    """The first three of some things, and how many more there are."""
    first = between.join(map(str, things[:3]))
    return first if len(things) <= 3 else f"{first}{between}and {len(things) - 3:,} more"
