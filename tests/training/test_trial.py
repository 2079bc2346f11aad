"""Steps that are timed and thrown away."""

import math

import pytest
import torch
import toys

from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.trial import MOST, FirstRows, _Clock, seconds_of_saving, tried, typical
from ranks import on_two_ranks


def played(objective, stream, settings, seconds, least=2):
    return tried(objective, stream, settings, Engine.alone(), 0, torch.float32, seconds, least)


def test_what_a_step_takes_by_the_first_ones():
    assert typical([9.0]) == 9.0
    assert typical([9.0, 2.0]) == 2.0
    # a penalty at every fourth step is a part of what steps take
    assert typical([9.0, 1.0, 1.0, 3.0, 1.0]) == 1.5
    # a step that waited for other work of the machine is none of it
    assert typical([9.0, 1.0, 1.0, 50.0, 1.0]) == 1.5


@pytest.mark.parametrize("seconds, least, count", [(0.0, 2, 2), (0.0, 1, 1), (1e9, 2, MOST)])
def test_steps_are_whole_ones_of_the_loop(seconds, least, count):
    objective, stream, settings = toys.make("vae", steps=100)
    found = played(objective, stream, settings, seconds, least)
    again, stream, settings = toys.make("vae", steps=100)
    state = loop.start(again, settings, Engine.alone())
    loop.run(again, stream, state, count, settings=settings, engine=Engine.alone())
    assert found.state.step == count
    assert torch.equal(found.state.read(), state.read())
    assert 0 < found.step < 60
    assert 0 < found.first < 60


def test_no_more_steps_are_tried_than_a_run_has():
    objective, stream, settings = toys.make("vae", steps=7)
    assert played(objective, stream, settings, 1e9).state.step == 7


def test_steps_that_are_not_finite_are_timed_like_others():
    objective, stream, settings = toys.make("vae", steps=100)
    loss = objective.loss
    objective.loss = lambda batch, weight: loss(batch, math.nan)
    assert played(objective, stream, settings, 1e9).state.step == settings.guard.skips


def test_a_part_of_a_batch_is_its_first_rows():
    _, stream, _ = toys.make("gan")
    few = FirstRows(stream, 4)
    assert (few.size, few.units, few.unit) == (4, stream.units, stream.unit)
    whole = stream.batch(3, torch.arange(12))["points"]
    assert torch.equal(few.batch(3, torch.arange(4))["points"], whole[:4])
    assert few.sources(3, torch.arange(2)) == stream.sources(3, torch.arange(2))


def test_the_clock_of_the_first_rank_decides_for_both():
    own = {0: [1.0, 1.0, 1.0, 1.0], 1: [9.0, 9.0, 0.1, 0.1]}

    def steps(engine, _):
        clock = _Clock(engine, seconds=3.0, least=2)
        for step, seconds in enumerate(own[engine.rank], start=1):
            clock.after_step(None, {"seconds": seconds})
            if clock.stop(None):
                return step
        return None

    assert on_two_ranks(lambda: None, steps) == [3, 3]


def test_a_checkpoint_is_written_to_be_timed(tmp_path):
    objective, stream, settings = toys.make("vae")
    state = played(objective, stream, settings, 0.0).state
    assert 0 < seconds_of_saving(objective, state, Engine.alone(), tmp_path / "trial") < 60
    written = tmp_path / "trial" / "step-00000002"
    assert {path.name for path in written.iterdir()} > {"weights.safetensors", "manifest.json"}
