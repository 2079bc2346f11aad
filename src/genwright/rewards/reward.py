"""The reward of samples: weighted measures, each at the tokens that earned it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genwright.core.content import Measure, Sample
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import measure_kinds_of, measures_of
from genwright.objectives.terms import Term
from genwright.recipe.schema import build
from genwright.rewards.guard import shown, values_of

NUMBERS = ("number", "parts")
TokenOf = Callable[[Sample, Any], int]
"""A sample and a place of it -> the index of its token, see `core.content.TokenSampler`."""


@dataclass(frozen=True)
class Scored:
    """What samples earned. earned: (n, width) float32, at each token. values: name of a term ->
    (n,) float64, as measured, without its weight; NaN where a term says nothing."""

    earned: Tensor
    values: Mapping[str, Tensor]

    @property
    def total(self) -> Tensor:
        """(n,) the reward of each sample."""
        return self.earned.sum(1)


def measure_of(term: Term, content: str, own: Mapping[str, Measure] | None = None) -> Measure:
    """The measure of a term. own: measures of a person's own, by name. Raises GenwrightError for
    one that there is not, whose settings are wrong, or that gives no numbers."""
    plain = {**measures_of(content), **(own or {})}
    with_settings = measure_kinds_of(content)
    if term.measure in with_settings:
        kind = with_settings[term.measure]
        settings = build(kind.settings, term.options, f"options of {term.measure}")
        found: Any = kind.make(settings)
    elif term.measure in plain:
        found = plain[term.measure]
        if term.options:
            raise GenwrightError(f"measure {term.measure} takes no options", "leave them out")
    else:
        what = f"there is no measure {term.measure!r} of {content}"
        if term.measure.isidentifier():  # as a function is called
            what += f", and no --reward FILE:{term.measure}"
        raise GenwrightError(what, did_you_mean(term.measure, [*plain, *with_settings]))
    if not isinstance(found, Measure) or found.gives not in NUMBERS:
        raise GenwrightError(
            f"measure {term.measure} gives no number for a sample, so it cannot be a reward",
            "choose another one",
        )
    return found


class Reward:
    """Weighted measures of one kind of content. Raises GenwrightError as `measure_of`."""

    def __init__(
        self,
        terms: Sequence[Term],
        content: str,
        own: Mapping[str, Measure] | None = None,
        seconds: float = 10.0,
    ):
        """own: measures of a person's own, by name. seconds: time limit of each measure."""
        self.seconds = seconds
        self.terms = {term.title: term for term in terms}
        if len(self.terms) < len(terms):
            raise GenwrightError("two terms of the reward have one name", "give them a `name`")
        self.measures = {}
        for name, term in self.terms.items():
            self.measures[name] = measure_of(term, content, own)

    def __call__(self, samples: Sequence[Sample], width: int, token_of: TokenOf) -> Scored:
        """What samples of at most `width` tokens earned. Raises GenwrightError where a measure
        fails, naming the sample."""
        earned = torch.zeros(len(samples), width, dtype=torch.float64)
        values = {}
        for name, term in self.terms.items():
            found = values_of(name, self.measures[name], samples, self.seconds)
            values[name] = self._add(term, found, samples, earned, token_of)
        return Scored(earned.float(), values)

    def _add(
        self,
        term: Term,
        found: Sequence[Any],
        samples: Sequence[Sample],
        earned: Tensor,
        token_of: TokenOf,
    ) -> Tensor:
        """Adds what a term gives to `earned`; returns its value for each sample."""
        dense = self.measures[term.title].gives == "parts"
        values = torch.full((len(samples),), math.nan, dtype=torch.float64)
        for i, (sample, value) in enumerate(zip(samples, found, strict=True)):
            parts: Mapping[Any, float] = value if dense else {}
            number = math.fsum(parts.values()) if dense else value
            values[i] = number
            if dense and term.target is None and not math.isnan(number):
                for place, part in parts.items():
                    token = _placed(token_of, sample, place, term, i)
                    earned[i, token] += term.weight * part
                continue
            if math.isnan(number) and term.otherwise is None:
                raise _silent(term, sample, i)
            earned[i, len(sample.tokens) - 1] += term.worth(number)
        return values


def numbers(values: Sequence[Any]) -> list[float]:
    """Of values of a measure, as of `guard.values_of`: the number of each sample, which of parts is
    the sum of theirs."""
    found = []
    for value in values:
        found.append(math.fsum(value.values()) if isinstance(value, Mapping) else value)
    return found


def _placed(token_of: TokenOf, sample: Sample, place: Any, term: Term, number: int) -> int:
    """The token that a place is of. Raises GenwrightError where the sample has no such place."""
    try:
        return min(max(token_of(sample, place), 0), len(sample.tokens) - 1)
    except (LookupError, TypeError, ValueError) as error:
        raise GenwrightError(
            f"reward {term.title} is earned at {place!r} of"
            f" {shown(sample, number, 'the rollout')}, which has no such place",
            "give places as docs/rewards.md says for this kind of content",
        ) from error


def _silent(term: Term, sample: Sample, number: int) -> GenwrightError:
    """The complaint of a measure that says nothing, in a recipe that does not either."""
    return GenwrightError(
        f"reward {term.title} says nothing (NaN) of {shown(sample, number, 'the rollout')}",
        "give the term a value for such samples: `otherwise: 0`",
    )
