"""The statistics of `evaluation/intervals.py`, under the name that audits know."""

from genwright.evaluation.intervals import (
    FEWEST,
    LEVEL,
    UNSEEN,
    Clustered,
    Difference,
    Ratio,
    Share,
    clustered,
    design_effects,
    difference,
    paired,
    ratio,
    score_interval,
    shares,
    wilson,
)

__all__ = [
    "Clustered",
    "Difference",
    "FEWEST",
    "LEVEL",
    "Ratio",
    "Share",
    "UNSEEN",
    "clustered",
    "design_effects",
    "difference",
    "paired",
    "ratio",
    "score_interval",
    "shares",
    "wilson",
]
