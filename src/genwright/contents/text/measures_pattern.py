"""Whether a text has a form, as a measure that takes a regular expression.

Python's expressions can take time that grows exponentially with the text ("(a+)+b"). A reward's
time limit ends that: matching looks for signals all the while.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from genwright.contents.text.measures import text_of
from genwright.core.content import Measure, MeasureKind, Sample, add_measure_kinds
from genwright.core.errors import GenwrightError
from genwright.core.registry import Settings


class Pattern(Settings):
    """A regular expression."""

    pattern: Annotated[str, Field(min_length=1)]
    """The expression, as of Python's `re`; "." matches line ends too, ^ and $ any line's."""
    whole: bool = True
    """Whether the whole text must match; else a part of it is enough."""
    strip: bool = True
    """Whether spaces and line ends around the text are passed over."""


def pattern(settings: Pattern) -> Measure:
    """1 where a text matches, else 0. Raises GenwrightError for what is no regular expression."""
    try:
        expression = re.compile(settings.pattern, re.DOTALL | re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise GenwrightError(
            f"options.pattern is {settings.pattern!r}, which is no regular expression ({error})",
            "write it as for Python's re",
        ) from error
    matches = expression.fullmatch if settings.whole else expression.search

    def of(sample: Sample) -> float:
        text = text_of(sample)
        if settings.strip:
            text = text.strip()
        return 0.0 if matches(text) is None else 1.0

    kind = "matches" if settings.whole else "holds"
    return Measure(f"{kind} {settings.pattern}", of, "share", "higher")


add_measure_kinds(
    "text", MeasureKind("pattern", Pattern, pattern, "whether a text matches a regular expression")
)
