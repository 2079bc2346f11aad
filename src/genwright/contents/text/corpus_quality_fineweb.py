"""The rules that FineWeb adds to those of Gopher and C4: Penedo et al., "The FineWeb Datasets:
Decanting the Web for the Finest Text Data at Scale", 2024, arXiv 2406.17557, section 3.6.

A page is dropped where
- the share of lines that end with punctuation is .12 or less. As in C4 these are period, question
  mark, exclamation mark and end quotation mark;
- the share of characters in duplicated lines is .1 or more: of the characters of lines, those of
  lines that stood before, as Gopher has it;
- the share of lines shorter than 30 characters is .67 or more.

Lines: as `corpus_quality_pieces` says, without blank ones. datatrove 0.10 drops above a share of
characters of .01, has a fourth rule (line ends to words), and counts lines of 30 characters as
short; the paper has none of these.
"""

from __future__ import annotations

import math

import numpy as np

from genwright.contents.text.corpus_quality_pieces import ENDING, Pieces, share, sums_before
from genwright.core.corpus import Column, Rule, RuleSet, add_rules

SHORT = 30  # characters

COLUMNS = (
    Column("ended-lines", unit="share", detail="of lines that end with punctuation"),
    Column("short-lines", unit="share", detail=f"of lines of fewer than {SHORT} characters"),
)


def fineweb(pieces: Pieces) -> dict[str, np.ndarray]:
    """COLUMNS of documents. NaN: of those without lines."""
    ended = (pieces.flags[pieces.line_end - 1] & ENDING) != 0
    short = pieces.line_length < SHORT
    return {
        "ended-lines": _share_of_lines(pieces, ended),
        "short-lines": _share_of_lines(pieces, short),
    }


def _share_of_lines(pieces: Pieces, which: np.ndarray) -> np.ndarray:
    count = pieces.by_document(sums_before(which), pieces.first_line)
    return share(count, pieces.lines)


# a share that is equal to the paper's number is dropped, so the bounds are the numbers beside it
RULES = RuleSet(
    "fineweb",
    (
        Rule(
            "fineweb.ended-lines",
            "ended-lines",
            at_least=math.nextafter(0.12, 1),
            detail="more than 12% of lines end with punctuation",
        ),
        Rule(
            "fineweb.duplicate-line-characters",
            "duplicate-line-characters",
            at_most=math.nextafter(0.1, 0),
            detail="less than 10% of characters are of lines that stood before",
        ),
        Rule(
            "fineweb.short-lines",
            "short-lines",
            at_most=math.nextafter(0.67, 0),
            detail=f"less than 67% of lines are shorter than {SHORT} characters",
        ),
    ),
    ("quality",),
    source="Penedo et al. 2024, arXiv 2406.17557, section 3.6",
)

add_rules("text", RULES)
