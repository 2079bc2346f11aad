"""What the measures of a run give of samples: of a model, of real data, of noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genwright.core.content import Sample
from genwright.objectives.terms import Term
from genwright.rewards.guard import values_of
from genwright.rewards.reward import numbers
from genwright.rewards.rollout import Rollouts, distinct

PATIENCE = 10.0  # times the time limit of a step that each measure may take


@dataclass(frozen=True)
class Measured:
    """Some samples. terms: name -> (n,) values without weights, NaN where a measure says nothing.
    watched: likewise, of what is not rewarded. reward: (n,) the weighted sum; NaN where a term of a
    sample has no value. distinct_4: NaN where nothing was drawn token by token. alike: so many
    samples that lie side by side answer one question."""

    samples: Sequence[Sample]
    terms: Mapping[str, Tensor]
    watched: Mapping[str, Tensor]
    reward: Tensor
    distinct_4: float = math.nan
    truncated: float = math.nan
    alike: int = 1

    @property
    def mean_reward(self) -> float:
        """Over the samples that have one."""
        return mean_of(self.reward)


def mean_of(values: Tensor) -> float:
    """Of those that are numbers; NaN where none is."""
    known = values[~values.isnan()]
    return float(known.mean()) if len(known) else math.nan


def error_of(values: Tensor, alike: int) -> float:
    """The standard error of `mean_of`. alike: so many values that lie side by side are of one
    question. Those are like each other and say less than as many independent ones, so deviations
    are summed within a question before they are squared (Liang and Zeger, "Longitudinal data
    analysis using generalized linear models", 1986). NaN where fewer than two questions have a
    value."""
    known = ~values.isnan()
    count = int(known.sum())
    questions = int(known.reshape(-1, alike).any(1).sum())
    if questions < 2:
        return math.nan
    deviations = torch.where(known, values - mean_of(values), 0.0)
    sums = deviations.reshape(-1, alike).sum(1)
    variance = float(sums.square().sum()) / count**2 * questions / (questions - 1)
    return math.sqrt(variance)


def measured(
    stream: Rollouts,
    samples: Sequence[Sample],
    of: str,
    ended: Sequence[bool] = (),
    alike: int = 1,
) -> Measured:
    """What the measures of a run give of samples. of: what they are, in words. ended: of samples
    that were drawn token by token, candidates side by side, whether each was over before its length
    ran out. alike: of `Measured`. Raises GenwrightError where a measure fails."""
    seconds = PATIENCE * stream.settings.rollout.time_limit
    terms = {}
    for name, measure in stream.reward.measures.items():
        found = numbers(values_of(name, measure, samples, seconds, of))
        terms[name] = torch.tensor(found, dtype=torch.float64)
    watched = stream.measured(samples, of, PATIENCE)
    reward = total(stream.reward.terms, terms)
    if not ended:
        return Measured(samples, terms, watched, reward, alike=alike)
    different, all_of_them = distinct(samples, stream.settings.candidates).sum(0).tolist()
    share = different / all_of_them if all_of_them else math.nan
    truncated = 1 - sum(ended) / len(ended)
    return Measured(samples, terms, watched, reward, share, truncated, alike)


def total(terms: Mapping[str, Term], values: Mapping[str, Tensor]) -> Tensor:
    """(n,) the weighted sum of what terms gave; NaN where one says nothing and has no value for
    that."""
    parts = []
    for name, term in terms.items():
        earned = [term.worth(value) for value in values[name].tolist()]
        parts.append(torch.tensor(earned, dtype=torch.float64))
    return torch.stack(parts).sum(0)
