"""Whether a text answers its prompt rightly, where that can be verified."""

from __future__ import annotations

import math

from genwright.contents.text.arithmetic import number_written, solution
from genwright.contents.text.measures import text_of
from genwright.core.content import Measure, Sample, add_measures

RIGHT_RESULT = "right result"
RIGHT_ANSWER = "right answer"


def right_result(sample: Sample) -> float:
    """1 where the text is the value of the arithmetic that its prompt ends with ("12+34="), 0 where
    it is not, NaN where the prompt asks for none. What follows the text's first line is not looked
    at."""
    wanted = solution(str(sample.prompt or ""))
    if wanted is None:
        return math.nan
    return float(number_written(text_of(sample)) == wanted)


def right_answer(sample: Sample) -> float:
    """1 where the text is what the data go on with after the prompt, spaces and line ends around
    both aside, 0 where it is not, NaN where the data say nothing."""
    if sample.answer is None:
        return math.nan
    return float(text_of(sample).strip() == str(sample.answer).strip())


add_measures(
    "text",
    Measure(
        RIGHT_RESULT, right_result, "share", "higher", detail="of the arithmetic that is asked for"
    ),
    Measure(RIGHT_ANSWER, right_answer, "share", "higher", detail="the one that the data give"),
)
