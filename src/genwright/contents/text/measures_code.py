"""Where a text stops being a Python program, as a measure."""

from __future__ import annotations

from genwright.contents.text.measures import text_of
from genwright.contents.text.python_code import judge
from genwright.core.content import Measure, Sample, add_measures

SYNTAX_ERROR = "syntax error"


def syntax_error(sample: Sample) -> dict[int, float]:
    """{offset of the first syntax error: 1}; nothing where the text is the beginning of a Python
    program, or where nothing can be judged."""
    fault = judge(text_of(sample)).fault
    return {} if fault is None else {fault: 1.0}


add_measures(
    "text",
    Measure(
        SYNTAX_ERROR,
        syntax_error,
        "errors",
        "lower",
        detail="of Python, the first one, at its place",
        gives="parts",
    ),
)
