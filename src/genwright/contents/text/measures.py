"""Measures of a text (`core.content.Measure`): what it is made of, whether it repeats itself,
whether it is a program."""

from __future__ import annotations

import math

import numpy as np

from genwright.contents.text.generate import Generated
from genwright.contents.text.python_code import PARSES, parses
from genwright.core.content import Measure, Sample, add_measures
from genwright.evaluation.token_samples import repetition


def text_of(sample: Sample) -> str:
    """A sample's own text, without its prompt."""
    content = sample.content
    return content.text if isinstance(content, Generated) else str(content)


def characters(sample: Sample) -> float:
    """How many code points the text has, without its prompt."""
    return float(len(text_of(sample)))


def repeated(sample: Sample) -> float:
    """The share of its 4-grams of tokens that it held before (Welleck et al. 2020); NaN below four
    tokens."""
    return repetition([np.asarray(sample.tokens, dtype=np.int64)])


def is_python(sample: Sample) -> float:
    """1 where it begins a Python program, 0 where it does not, NaN where nothing can be judged."""
    verdict = parses(text_of(sample))
    return math.nan if verdict is None else float(verdict)


def ending(sample: Sample) -> str:
    """Why it ended: "end", "stop" or "length"."""
    content = sample.content
    return content.stopped if isinstance(content, Generated) else ""


add_measures(
    "text",
    Measure("length", characters, "characters", detail="without the prompt"),
    Measure("repetition", repeated, "share", detail="4-grams that the sample held before"),
    Measure(PARSES, is_python, "share", "higher", detail="cut at the last whole statement"),
    Measure("ending", ending, "", gives="label"),
)
