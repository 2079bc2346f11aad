"""Errors in the words of their caller: `--top-k` on a command line, `top_k` in Python.

Messages name an option as it is typed. A function of the Python interface names its parameters
instead (`parameters_named`), unless a command line is running (`as_typed`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from genwright.core.errors import GenwrightError

# options of commands -> what stands for them in Python
PARAMETERS: Mapping[str, str] = {
    "--from": "start",
    "--output": "path",
    "--processes": "processes",
    "--resume": "resume=True",
    "--run": "run",
    "--samples": "samples",
    "--step": "step",
    "--to": "kind",
    "--until": "until",
    "--weights": "weights",
}
# an option, and the space before a value that Python writes alike: in quotes, or a number
_OPTION = re.compile(r"(?<![\w-])(--?[a-z][a-z-]*)( (?=\"|\d+(?![\w-])))?")
_typed: ContextVar[bool] = ContextVar("typed", default=False)  # whether a command line is running


@contextmanager
def as_typed() -> Iterator[None]:
    """Inside, a command line is running: errors name options as they are typed."""
    token = _typed.set(True)
    try:
        yield
    finally:
        _typed.reset(token)


@contextmanager
def parameters_named(more: Mapping[str, str] | None = None) -> Iterator[None]:
    """Inside, errors name parameters of Python in place of options, unless a command line is
    running. more: option -> parameter, of this function's own."""
    try:
        yield
    except GenwrightError as error:
        names = {**PARAMETERS, **(more or {})}
        what = in_python(error.what, names)
        remedy = in_python(error.remedy, names)
        if _typed.get() or (what, remedy) == (error.what, error.remedy):
            raise
        raise GenwrightError(what, remedy) from error.__cause__


def in_python(text: str, names: Mapping[str, str]) -> str:
    """A message with its options as parameters, `--fill "text"` as `fill="text"`; what is no option
    of `names` stays."""

    def named(found: re.Match[str]) -> str:
        option, space = found.groups()
        if option not in names:
            return found[0]
        return names[option] + ("=" if space else "")

    return _OPTION.sub(named, text)
