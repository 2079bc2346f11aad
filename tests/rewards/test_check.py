"""What a look at rewards says of a term, from numbers alone."""

import math

import pytest

from genwright.core.content import Measure
from genwright.objectives.terms import Term
from genwright.rewards.check import best_of, compared, dead_share, remarks_on, spread_of


def said_of(term=None, real=(0.9, 0.8), model=(0.2, 0.4), noise=(0.0, 0.1), **measure):
    term = term or Term(measure="m")
    given = {"direction": "higher"} | measure
    found = [spread_of(values) for values in (real, model, noise)]
    earned = []
    for values in (real, model, noise):
        earned.append(spread_of([term.worth(value) for value in values]))
    return remarks_on(term, Measure("m", lambda sample: 0.0, **given), found, earned)


def test_a_spread_is_of_what_is_known():
    found = spread_of([1.0, math.nan, 3.0])
    assert (found.mean, found.spread, found.count, found.samples) == (2.0, 1.0, 2, 3)
    assert math.isnan(spread_of([math.nan]).mean)


def test_nothing_is_said_of_a_good_term():
    assert said_of() == []


def test_noise_that_earns_as_much_is_said():
    assert "noise earns more than real data by it (1 against 0.85)" in said_of(noise=(1, 1))[0]
    assert "noise earns as much as real data by it" in said_of(noise=(0.8, 0.9))[0]
    assert said_of(noise=(1, 1), floor="none") == []
    avoided = Term(measure="m", weight=-1)
    assert "noise earns more" in said_of(avoided, (9, 9), (5, 6), (1, 1), direction="lower")[0]
    assert said_of(Term(measure="m", target=0.85), noise=(1, 1.1)) == []


def test_what_does_not_vary_is_said():
    assert said_of(model=(0.5, 0.5)) == [
        "it does not vary on the model's samples, so nothing is learned from it"
    ]


def test_what_would_stop_a_run_is_said():
    words = said_of(model=(0.1, math.nan, 0.3))[0]
    assert "says nothing of 1 of 3 samples of the model, which stops a run" in words
    assert said_of(Term(measure="m", otherwise=0.0), model=(0.1, math.nan, 0.3)) == []
    assert "it says nothing of real data" in said_of(real=(math.nan,))


def test_a_model_that_is_there_already_is_said():
    words = said_of(model=(1.0, 0.99), real=(0.5, 0.51))
    assert words == ["the model earns more than real data by it already"]


def test_a_term_that_asks_for_the_opposite_is_said():
    assert "lower is better, and its weight of 1 rewards what is higher" in said_of(
        direction="lower"
    )
    assert "best near real data (target: 0.85), and more and more" in said_of(direction="near")[0]
    assert said_of(Term(measure="m", target=0.8), direction="near") == []


def test_two_means_differ_by_two_standard_errors():
    one = spread_of([0.0, 2.0] * 50)  # 1 +- 0.1
    assert compared(one, spread_of([0.7] * 100)) == "more"
    assert compared(one, spread_of([0.9] * 100)) == "as much"
    assert compared(spread_of([0.7] * 100), one) == "less"
    assert compared(one, spread_of([])) == ""


def test_questions_without_variance_are_counted():
    assert dead_share([1, 1, 0, 1, 2, 2], 2) == pytest.approx(2 / 3)


def test_the_best_that_can_be_is_known_of_shares():
    share = Measure("m", lambda sample: 0.0)
    assert best_of(Term(measure="m"), share) == 1.0
    assert best_of(Term(measure="m", weight=-1), share) == 0.0
    assert best_of(Term(measure="m", target=0.3), share) == 0.3
    assert best_of(Term(measure="m"), Measure("m", lambda sample: 0.0, "points")) is None
