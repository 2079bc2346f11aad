"""Where a text stops being a Python program, and how much of it is code, as measures."""

from __future__ import annotations

from genwright.contents.text.measures import text_of
from genwright.contents.text.python_code import code_lines, judge
from genwright.core.content import Measure, Sample, add_measures

SYNTAX_ERROR = "syntax error"


def syntax_error(sample: Sample) -> dict[int, float]:
    """{offset of the first syntax error: 1}; nothing where the text is the beginning of a Python
    program, or where nothing can be judged."""
    fault = judge(text_of(sample)).fault
    return {} if fault is None else {fault: 1.0}


def share_of_code(sample: Sample) -> float:
    """See `python_code.code_lines`."""
    return code_lines(text_of(sample))


add_measures(
    "text",
    Measure(
        "lines of code",
        share_of_code,
        "share of lines",
        "near",
        detail="of Python, up to the first syntax error; not comments and long strings",
    ),
    Measure(
        SYNTAX_ERROR,
        syntax_error,
        "errors",
        "lower",
        detail="of Python, the first one, at its place",
        gives="parts",
    ),
)
