"""Whether a text that was cut off somewhere is the beginning of a Python program, and where it is
not."""

from __future__ import annotations

import ast
import codeop
import contextlib
import re
import warnings
from typing import NamedTuple

PARSES = "parses as Python"  # the figure's name
_LINE_END = re.compile(r"\r\n|\r|\n")  # what ends a line for the parser


class Verdict(NamedTuple):
    """parses: see `parses`. fault: where the syntax error is, an offset in the text; None where
    there is none. program: what is left, where it parses."""

    parses: bool | None
    fault: int | None = None
    program: ast.Module | None = None


def parses(text: str) -> bool | None:
    """Whether text that was cut off somewhere is the beginning of a Python program.

    The partial last line goes (all after the last newline), then whole lines from the end for as
    long as the parser says that the input merely stops too early (an open bracket, string or
    block). True: what is left parses and holds a statement. False: a syntax error before the end.
    None: nothing is left to judge, as when a docstring is longer than the text.
    """
    return judge(text).parses


def does_something(text: str) -> bool:
    """Whether the text parses and holds a statement that is more than a string: a docstring with
    comments parses too."""
    program = judge(text).program
    if program is None:
        return False
    return not all(_is_string(statement) for statement in program.body)


def _is_string(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def judge(text: str) -> Verdict:
    """The same, with the place of the syntax error."""
    lines = text.split("\n")[:-1]
    with warnings.catch_warnings(action="ignore"):  # SyntaxWarning: an invalid escape is no error
        while lines:
            source = "\n".join(lines) + "\n"
            try:
                program = ast.parse(source)
            # nested too deeply for the parser: not a program anybody runs
            except (RecursionError, MemoryError):
                return Verdict(False, len(source) - 1)
            except (SyntaxError, ValueError) as error:  # ValueError: a null byte
                if not _stops_early(source):
                    return Verdict(False, _place(source, error))
                lines.pop()
                continue
            if program.body:
                return Verdict(True, program=program)
            return Verdict(None)
    return Verdict(None)


def _stops_early(source: str) -> bool:
    """Whether more lines could make a program of what is no program yet."""
    errors = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)
    with contextlib.suppress(*errors):
        # None: the parser asks for more; no code object is made of what does not parse
        return codeop.compile_command(source, "<sample>", "exec") is None
    return False


def _place(source: str, error: SyntaxError | ValueError) -> int:
    """The offset in a source, which is not empty, of the character that an error of the parser
    points at; its last one where the error names no place."""
    last = len(source) - 1
    null = source.find("\0")
    if null >= 0:
        return null
    line = getattr(error, "lineno", None)
    column = getattr(error, "offset", None)
    if line is None:
        return last
    starts = [0, *(end.end() for end in _LINE_END.finditer(source))]
    start = starts[min(max(line, 1), len(starts)) - 1]
    return min(start + max((column or 1) - 1, 0), last)
