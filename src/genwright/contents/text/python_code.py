"""Whether a text that was cut off somewhere is the beginning of a Python program, and where it is
not."""

from __future__ import annotations

import ast
import codeop
import contextlib
import math
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


def code_lines(text: str) -> float:
    """The share of the lines of a text that are code, 0 to 1: of its longest beginning that parses,
    lines that hold a part of a statement which is more than a string. Lines of comments, of strings
    that go over several lines, and empty ones are none, nor is what comes behind an error. The
    partial last line does not count; NaN where there is no whole line."""
    lines = text.split("\n")[:-1]
    if not lines:
        return math.nan
    program = _beginning(lines)
    found: set[int] = set()
    strings: set[int] = set()
    for node in ast.walk(program):
        if isinstance(node, ast.stmt) and not _is_string(node):
            found.update(_own_lines(node))
        if isinstance(node, (ast.Constant, ast.JoinedStr)) and _is_long(node):
            strings.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    return len(found - strings) / len(lines)


def _beginning(lines: list[str]) -> ast.Module:
    """The longest beginning of some lines that parses."""
    with warnings.catch_warnings(action="ignore"):
        for count in range(len(lines), 0, -1):
            with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                return ast.parse("\n".join(lines[:count]) + "\n")
    return ast.Module([], [])


def _own_lines(statement: ast.stmt) -> range:
    """The lines of a statement; of one that holds others, those before the first of them."""
    last = statement.end_lineno or statement.lineno
    body = getattr(statement, "body", None)
    if isinstance(body, list) and body:
        last = max(statement.lineno, body[0].lineno - 1)
    return range(statement.lineno, last + 1)


def _is_long(node: ast.Constant | ast.JoinedStr) -> bool:
    """Whether a string goes over several lines."""
    text = isinstance(node, ast.JoinedStr) or isinstance(node.value, (str, bytes))
    return text and (node.end_lineno or node.lineno) > node.lineno


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
