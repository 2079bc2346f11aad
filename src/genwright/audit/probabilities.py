"""The statistics of `evaluation/probabilities.py`, under the name that audits know."""

from genwright.evaluation.probabilities import (
    CLOSE,
    HALVINGS,
    LARGE,
    STEPS,
    TINY,
    beta_below,
    f_above,
    normal_quantile,
    t_above,
    t_quantile,
)

__all__ = [
    "CLOSE",
    "HALVINGS",
    "LARGE",
    "STEPS",
    "TINY",
    "beta_below",
    "f_above",
    "normal_quantile",
    "t_above",
    "t_quantile",
]
