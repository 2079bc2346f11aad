"""The learning rate over a run: by hand, against an independent closed form, and as properties of
every recipe and length."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from genwright.core.registry import settings_of
from genwright.recipe.schema import Recipe
from genwright.recipe.shipped import shipped
from genwright.runs import assemble
from genwright.runs.resume import may_change, resumed_recipe
from genwright.training.schedules import momentum_at, rate_factor, shortened, warmup_steps
from genwright.training.settings import Optimizer, Schedule

kinds = st.sampled_from(["wsd", "cosine", "constant"])
unit = st.floats(0, 1)
spans = st.one_of(st.floats(0, 0.99), st.integers(1, 300).map(float))
RECIPES = [name for name, _ in shipped()]
# the learning rate's warm-up in steps that recipes gave before they gave shares
STEPS_BEFORE = {
    "digits-flow": 200,
    "digits-gan": 100,
    "digits-vae": 100,
    "emoji-flow": 200,
    "emoji-gan": 100,
    "emoji-vae": 200,
    "emoji-vq": 20,
    "moons-flow": 100,
    "sprites-vae": 200,
    "stacked-digits-gan": 100,
}


def curve(schedule: Schedule, steps: int) -> np.ndarray:
    return np.array([rate_factor(schedule, step, steps) for step in range(steps)])


def slope(schedule: Schedule, steps: int) -> float:
    """The steeper of the schedule's two lines, a step."""
    warmup = warmup_steps(schedule, steps)
    down = 0.0
    if schedule.kind == "wsd":
        down = (1 - schedule.final) / max(1.0, schedule.decay * steps)
    if schedule.kind == "cosine":
        down = (1 - schedule.final) * math.pi / 2 / max(1.0, steps - 1 - warmup)
    return max(1 / (warmup + 1), down)


def straight_lines(warmup: float, decay: float, final: float, steps: int) -> np.ndarray:
    """`wsd` by numpy's interpolation of its corners, where warm-up (in steps) and decay do not
    overlap."""
    corners = [-1.0, warmup, steps - decay * steps, float(steps)]
    return np.interp(np.arange(steps), corners, [0.0, 1.0, 1.0, final])


def earlier(schedule: Schedule, step: int, steps: int) -> float:
    """The rule before the schedule was made continuous: runs that were begun under it go on under
    the same rates."""
    warmup = schedule.warmup if schedule.warmup >= 1 else schedule.warmup * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "cosine":
        progress = min(1.0, (step - warmup) / max(1.0, steps - 1 - warmup))
        return schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * progress))
    left = (steps - step) / max(1.0, schedule.decay * steps)
    return schedule.final + (1 - schedule.final) * max(0.0, min(1.0, left))


def test_schedules_by_hand():
    wsd = Schedule(kind="wsd", warmup=2, decay=0.5, final=0.1)
    assert [round(rate_factor(wsd, s, 8), 4) for s in range(8)] == [
        0.3333,
        0.6667,
        1,
        1,
        1,
        0.775,
        0.55,
        0.325,
    ]
    cosine = Schedule(kind="cosine", warmup=1)
    assert [round(rate_factor(cosine, s, 6), 4) for s in range(6)] == [
        0.5,
        1.0,
        0.8536,
        0.5,
        0.1464,
        0.0,
    ]
    assert [rate_factor(Schedule(kind="constant"), s, 3) for s in range(3)] == [1, 1, 1]


def test_a_short_run_of_digits_flow_does_not_jump():
    """With 200 steps of warm-up and a decay over the last 40%, 264 steps went from 0.995 to 0.606
    at step 201."""
    for warmup in (200, 0.02):
        rates = curve(Schedule(kind="wsd", warmup=warmup, decay=0.4), 264)
        assert rates.max() > 0.99
        assert (
            np.abs(np.diff(rates)).max()
            <= max(1 / (min(warmup_steps(Schedule(warmup=warmup), 264), 158) + 1), 1 / (0.4 * 264))
            + 1e-9
        )
    assert warmup_steps(Schedule(warmup=200, decay=0.4), 264) == pytest.approx(158.4)


def test_a_run_that_is_shorter_than_its_warmup_leaves_it():
    for kind in ("wsd", "cosine", "constant"):
        rates = curve(Schedule(kind=kind, warmup=200), 50)
        assert rates.max() > 0.95 and rates.argmax() <= 30


def test_a_decay_over_the_whole_run_keeps_its_warmup():
    schedule = Schedule(kind="wsd", warmup=100, decay=1.0)
    rates = curve(schedule, 10_000)
    assert warmup_steps(schedule, 10_000) == 100
    assert rates[0] == pytest.approx(1 / 101) and rates.max() > 0.98
    assert np.abs(np.diff(rates)).max() <= 1 / 101 + 1e-12


@given(kinds, spans, unit, unit, st.integers(1, 400))
def test_the_rate_is_a_share_of_its_peak_and_never_jumps(kind, warmup, decay, final, steps):
    schedule = Schedule(kind=kind, warmup=warmup, decay=decay, final=final)
    rates = curve(schedule, steps)
    assert rates.min() >= 0 and rates.max() <= 1
    if steps > 1:
        assert np.abs(np.diff(rates)).max() <= slope(schedule, steps) + 1e-9


@given(kinds, spans, unit, unit, st.integers(1, 400))
def test_the_peak_is_reached_where_the_warmup_leaves_room(kind, warmup, decay, final, steps):
    asked = warmup if warmup >= 1 else warmup * steps
    assume(asked + (decay * steps if kind == "wsd" else 1) <= steps)
    schedule = Schedule(kind=kind, warmup=warmup, decay=decay, final=final)
    # the corner may lie between two steps
    assert curve(schedule, steps).max() >= 1 - slope(schedule, steps)
    if asked == int(asked) and asked < steps and (kind != "wsd" or steps - asked >= decay * steps):
        assert curve(schedule, steps).max() == 1


@given(st.sampled_from(["wsd", "cosine"]), spans, unit, unit, st.integers(10, 400))
def test_the_rate_ends_at_its_final_share(kind, warmup, decay, final, steps):
    schedule = Schedule(kind=kind, warmup=warmup, decay=decay, final=final)
    taken = warmup_steps(schedule, steps)
    if kind == "cosine":
        assume(taken <= steps - 2)
        assert rate_factor(schedule, steps - 1, steps) == pytest.approx(final, abs=1e-9)
    else:
        assume(decay * steps >= 1)
        # one step after the last
        assert rate_factor(schedule, steps, steps) == pytest.approx(final)


@given(spans, unit, unit, st.integers(1, 400))
def test_straight_lines_as_numpy_draws_them(warmup, decay, final, steps):
    asked = warmup if warmup >= 1 else warmup * steps
    assume(asked + decay * steps < steps and decay * steps > 1)
    schedule = Schedule(kind="wsd", warmup=warmup, decay=decay, final=final)
    assert curve(schedule, steps) == pytest.approx(
        straight_lines(asked, decay, final, steps), abs=1e-6
    )


@given(kinds, spans, unit, unit, st.integers(1, 400))
def test_runs_of_before_go_on_as_they_were_begun(kind, warmup, decay, final, steps):
    asked = warmup if warmup >= 1 else warmup * steps
    assume(asked <= (steps - decay * steps if kind == "wsd" else steps - 1))  # no overlap
    schedule = Schedule(kind=kind, warmup=warmup, decay=decay, final=final)
    expected = [earlier(schedule, step, steps) for step in range(steps)]
    # where warm-up and decay met within one step, it jumped by less than that step
    last = math.ceil(asked)
    allowed = slope(schedule, steps) if kind == "wsd" and steps - last < decay * steps else 0
    assert curve(schedule, steps) == pytest.approx(expected, abs=1e-12 + allowed)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_keep_their_schedule_at_their_own_length(name):
    training = Recipe.load(name).training
    assert training.schedule.warmup < 1
    before = training.schedule.model_copy(update={"warmup": float(STEPS_BEFORE.get(name, 0))})
    sampled = [*range(min(400, training.steps)), *range(400, training.steps, 97)]
    apart = [
        abs(rate_factor(training.schedule, s, training.steps) - earlier(before, s, training.steps))
        for s in sampled
    ]
    assert max(apart) <= slope(before, training.steps)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("steps", [10, 11, 25, 100, 264, 1000])
def test_every_recipe_has_a_whole_schedule_at_any_length(name, steps):
    schedule = Recipe.load(name, {"training.steps": steps}).training.schedule
    rates = curve(schedule, steps)
    assert rates.max() > 0.9 and rates[-1] <= max(0.3, 2 * schedule.final)
    assert np.abs(np.diff(rates)).max() <= slope(schedule, steps) + 1e-9
    assert not list(
        shortened(assemble.timed_parts(Recipe.load(name, {"training.steps": steps})), steps)
    )


def test_momentum_rises_and_stays():
    o = Optimizer(momentum=0.95, momentum_warmup=10).in_steps(1000)
    assert momentum_at(o, 0) == 0.85
    assert momentum_at(o, 5) == pytest.approx(0.9)
    assert momentum_at(o, 10) == momentum_at(o, 99) == 0.95
    # a share of the run
    assert momentum_at(Optimizer(momentum_warmup=0.1).in_steps(100), 5) == pytest.approx(0.9)
    # it ends in the run
    assert momentum_at(Optimizer(momentum_warmup=300).in_steps(100), 50) == 0.95


def test_the_warmup_of_the_divergence_and_the_fall_of_penalties_are_shares_of_the_run():
    variational, adversarial = (
        settings_of("objective", "variational"),
        settings_of("objective", "adversarial"),
    )
    assert variational(warmup=0.125).in_steps(8000).warmup == 1000
    assert variational(warmup=0.125).in_steps(80).warmup == 10
    assert variational(warmup=1000).in_steps(8000).warmup == 1000
    assert variational(warmup=1000).in_steps(264).warmup == 132
    assert adversarial(halve=0.1).in_steps(16000).halve == 1600
    assert adversarial(halve=5000).in_steps(1000).halve == 5000  # a slow fall needs no end
    assert adversarial().in_steps(1000).halve == 0


def test_a_recipe_of_pictures_hands_its_objective_the_steps_of_the_run():
    for name, steps in (("emoji-vae", 264), ("sprites-vae", 40), ("ring-gan", 100)):
        recipe = Recipe.load(name, {"training.steps": steps})
        objective = recipe.objective.in_steps(steps)
        share = recipe.objective.warmup if name.endswith("vae") else recipe.objective.halve
        assert (
            (objective.warmup if name.endswith("vae") else objective.halve)
            == share * steps
            < steps / 2
        )


def test_a_warmup_that_does_not_fit_is_said():
    recipe = Recipe.load("digits-flow", {"training.steps": 264, "training.schedule.warmup": 200})
    (said,) = shortened(assemble.timed_parts(recipe), 264)
    assert said.startswith(
        "training.schedule.warmup: 200 steps of warm-up do not fit in a run "
        "of 264, and 158 are taken"
    )
    recipe = Recipe.load("emoji-vae", {"training.steps": 264, "objective.warmup": 1000})
    (said,) = shortened(assemble.timed_parts(recipe), 264)
    assert said.startswith(
        "objective.warmup: 1,000 steps of warm-up do not fit in a run of 264, and 132 are taken"
    )
    recipe = Recipe.load("docs", {"training.steps": 10, "training.optimizer.momentum_warmup": 300})
    (said,) = shortened(assemble.timed_parts(recipe), 10)
    assert said.startswith("training.optimizer.momentum_warmup")


def test_a_run_that_recipes_started_in_steps_is_taken_up_in_steps():
    asked = Recipe.load("emoji-vae")
    saved = asked.overridden(
        {"training.schedule.warmup": 200, "objective.warmup": 1000, "training.batch_size": 64}
    )
    resumed, said = resumed_recipe(asked, saved, ())
    assert (resumed.training.schedule.warmup, resumed.objective.warmup) == (200, 1000)
    assert said == [
        "objective.warmup stays 1000 steps, as the run was started",
        "training.schedule.warmup stays 200 steps, as the run was started",
    ]
    # unless a person says otherwise
    with pytest.raises(Exception, match="started with another recipe"):
        resumed_recipe(asked, saved, ("training.schedule.warmup",))


def test_what_a_resumed_run_may_change_is_told_by_whole_names():
    allowed = ["training.steps", "data.cache", "watching", "watching.samples", "sampling.steps"]
    refused = ["training.steps_of_what", "data.cached", "data.path", "training", "names", "model"]
    assert all(map(may_change, allowed)) and not any(map(may_change, refused))
