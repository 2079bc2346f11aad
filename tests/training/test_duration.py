"""How many steps fit into so much time: against a clock that goes through the run, and by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.training.duration import Costs, seconds_of, steps_that_fit, times_due
from genwright.training.hooks import due
from genwright.training.settings import Training

seconds = st.floats(0, 20, allow_subnormal=False)
every = st.integers(0, 12)


def clocked(steps: int, costs: Costs, settings: Training) -> float:
    """What a run takes, step by step, by what the session does at each."""
    clock = costs.once + costs.saving  # that of step 0
    if settings.evaluate_every:  # of what was not trained yet
        clock += costs.evaluation
    for step in range(1, steps + 1):
        clock += costs.step
        if due(step, settings.evaluate_every, steps):
            clock += costs.evaluation
        if due(step, settings.checkpoint_every, steps):
            clock += costs.saving
    return clock


@given(st.integers(1, 60), st.tuples(seconds, seconds, seconds, seconds), every, every)
def test_a_run_takes_what_its_parts_take(steps, costs, evaluate, save):
    settings = Training(steps=60, evaluate_every=evaluate, checkpoint_every=save)
    costs = Costs(*costs)
    assert seconds_of(steps, costs, settings) == pytest.approx(clocked(steps, costs, settings))


@given(st.floats(0, 900), st.tuples(seconds, seconds, seconds, seconds), every, every)
def test_as_many_steps_are_taken_as_fit(limit, costs, evaluate, save):
    settings = Training(steps=60, evaluate_every=evaluate, checkpoint_every=save)
    costs = Costs(*costs)
    taken = [steps for steps in range(1, 61) if seconds_of(steps, costs, settings) <= limit]
    assert steps_that_fit(limit, costs, settings) == max(taken, default=0)


def test_by_hand():
    """A minute: the timing took 3 s, evaluations 2 s each, before the first step and after 50, 100
    and the last; steps .25 s."""
    settings = Training(steps=800, evaluate_every=50, checkpoint_every=0)
    costs = Costs(step=0.25, evaluation=2.0, saving=0.5, once=3.0)
    # 3 + 4 evaluations + 2 checkpoints + 150 steps = 49.5; one step more means one evaluation more
    assert seconds_of(150, costs, settings) == 3 + 8 + 1 + 37.5
    assert steps_that_fit(60, costs, settings) == 184  # 3 + 10 + 1 + 46
    assert steps_that_fit(51.7, costs, settings) == 150  # 151 would take 51.75
    assert steps_that_fit(51.75, costs, settings) == 151
    assert steps_that_fit(1000, costs, settings) == 800
    assert steps_that_fit(2, costs, settings) == 0
    assert [times_due(0, 9), times_due(3, 9), times_due(3, 10), times_due(20, 9)] == [1, 4, 5, 2]
