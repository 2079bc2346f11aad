"""Whether a text that was cut off somewhere is the beginning of a Python program."""

import ast
import codeop
import contextlib
import warnings

PARSES = "parses as Python"  # the figure's name


def parses(text: str) -> bool | None:
    """Whether text that was cut off somewhere is the beginning of a Python program.

    The partial last line goes (all after the last newline), then whole lines from the end for as
    long as the parser says that the input merely stops too early (an open bracket, string or
    block). True: what is left parses and holds a statement. False: a syntax error before the end.
    None: nothing is left to judge, as when a docstring is longer than the text.
    """
    lines = text.split("\n")[:-1]
    with warnings.catch_warnings(action="ignore"):  # SyntaxWarning: an invalid escape is no error
        while lines:
            source = "\n".join(lines) + "\n"
            try:
                program = ast.parse(source)
            # nested too deeply for the parser: not a program anybody runs
            except (RecursionError, MemoryError):
                return False
            except (SyntaxError, ValueError):  # ValueError: a null byte
                if not _stops_early(source):
                    return False
                lines.pop()
                continue
            if program.body:
                return True
            return None
    return None


def _stops_early(source: str) -> bool:
    """Whether more lines could make a program of what is no program yet."""
    errors = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)
    with contextlib.suppress(*errors):
        # None: the parser asks for more; no code object is made of what does not parse
        return codeop.compile_command(source, "<sample>", "exec") is None
    return False
