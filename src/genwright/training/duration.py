"""How many steps fit into so much time, by what they cost: pure functions.

A run of n steps takes n times a step, its held-out evaluations and checkpoints on their schedule,
and what is paid once. That rises with n, so the largest n that fits is found by bisection.
"""

from bisect import bisect_right
from typing import NamedTuple

from genwright.training.settings import Training

LEAST = 5  # steps of a run, whatever they take: fewer pass through no schedule


class Costs(NamedTuple):
    """Seconds of a step, of a held-out evaluation, of a checkpoint, and of what comes once."""

    step: float
    evaluation: float = 0.0
    saving: float = 0.0
    once: float = 0.0


def times_due(every: int, steps: int) -> int:
    """How often in a run of `steps` something is done every so many steps (0: never), before the
    first of them, and at the last one."""
    if every == 0:
        return 1
    return 1 + -(-steps // every)


def seconds_of(steps: int, costs: Costs, settings: Training) -> float:
    """What a run of `steps` takes."""
    evaluations = times_due(settings.evaluate_every, steps)
    # the first one is saved in any case
    checkpoints = times_due(settings.checkpoint_every, steps) + (settings.checkpoint_every == 0)
    between = costs.evaluation * evaluations + costs.saving * checkpoints
    return costs.once + costs.step * steps + between


def steps_that_fit(seconds: float, costs: Costs, settings: Training) -> int:
    """The most steps, `settings.steps` at most, that take no longer; 0 where not one does."""
    counts = range(1, settings.steps + 1)
    return bisect_right(counts, seconds, key=lambda steps: seconds_of(steps, costs, settings))
