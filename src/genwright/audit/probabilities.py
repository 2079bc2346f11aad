"""The distributions of `evaluation/probabilities.py`, under the name that audits know."""

from genwright.evaluation.probabilities import (
    beta_below,
    f_above,
    normal_quantile,
    t_above,
    t_quantile,
)

__all__ = ["beta_below", "f_above", "normal_quantile", "t_above", "t_quantile"]
