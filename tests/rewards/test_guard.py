"""Whatever a measure does wrong ends in one sentence that names the sample."""

import math
import re
import signal
import threading
import time

import pytest
import torch
from toy import objective, settings, stream

from genwright.core.content import Measure, Sample
from genwright.core.errors import GenwrightError
from genwright.core.registry import register
from genwright.objectives.terms import Rollout, Term
from genwright.rewards import guard
from genwright.rewards.guard import TimeIsUp, time_limit, values_of

SAMPLES = [Sample(text) for text in ("ab", "cde", "f")]


def given(call, gives="number", seconds=5.0, **more):
    measure = Measure("mine", lambda sample: call([sample])[0], gives=gives, of_all=call, **more)
    return values_of("mine", measure, SAMPLES, seconds)


def lengths(samples):
    return [len(sample.content) for sample in samples]


def refused(call, **more):
    with pytest.raises(GenwrightError) as error:
        given(call, **more)
    return str(error.value)


def test_values_are_numbers_however_they_are_given():
    tensors = [torch.tensor(1), True, torch.tensor([2.5])]
    assert given(lambda samples: tensors) == [1.0, 1.0, 2.5]
    assert math.isnan(given(lambda samples: [1.0, math.nan, 2.0])[1])
    assert given(lambda samples: torch.arange(3)) == [0.0, 1.0, 2.0]


def test_parts_are_pairs_or_a_mapping():
    pairs = [[(0, 1.0), (0, 2.0), (1, 0.5)], {}, {2: 1}]
    nothing = given(lambda samples: [{}, {}, {0: math.nan, 1: 1.0}], gives="parts")[2]
    assert math.isnan(sum(nothing.values()))
    assert given(lambda samples: pairs, gives="parts") == [{0: 3.0, 1: 0.5}, {}, {2: 1.0}]


def test_one_that_raises_names_the_sample_and_the_line():
    def fails(samples):
        return [1 / (len(sample.content) - 3) for sample in samples]

    said = refused(fails)
    assert "reward mine fails on sample 1 of the rollout, 'cde': ZeroDivisionError" in said
    assert re.search(r"test_guard.py, line \d+\); mend it", said)


def test_one_that_fails_on_all_together_says_so():
    def fails(samples):
        if len(samples) > 1:
            raise RuntimeError("too many")
        return [0.0]

    assert "3 samples of the rollout, though on none of them alone: RuntimeError" in refused(fails)


def test_one_that_gives_another_number_of_values():
    assert "gives 2 values for 3 samples" in refused(lambda samples: [1.0, 2.0])


@pytest.mark.parametrize("bad", [None, "0.5", math.inf, torch.zeros(2), [1.0], {}])
def test_one_that_gives_no_number_names_the_sample(bad):
    said = refused(lambda samples: [0.0, bad, 0.0])
    assert "sample 1 of the rollout, 'cde'" in said
    assert "give a number" in said


@pytest.mark.parametrize("bad", [3.0, [(0, "a")], [0], None, {0: math.inf}])
def test_parts_that_are_no_numbers_name_the_sample(bad):
    said = refused(lambda samples: [{}, {}, bad], gives="parts")
    assert "sample 2 of the rollout, 'f'" in said


def forever(samples):
    for sample in samples:
        while "c" in sample.content:
            pass
    return [0.0] * len(samples)


def stubborn(samples):
    for sample in samples:
        while "c" in sample.content:
            try:
                while True:
                    pass
            except Exception:
                pass
    return [0.0] * len(samples)


@pytest.mark.parametrize("never_ends", [forever, stubborn])
def test_one_that_never_ends_is_interrupted_and_names_the_sample(never_ends):
    began = time.process_time()  # of the process itself: a busy machine adds nothing
    said = refused(never_ends, seconds=0.2)
    assert time.process_time() - began < 3
    assert "reward mine was not done after 0.2 s, at sample 1 of the rollout, 'cde'" in said
    assert "objective.rollout.time_limit" in said


def test_code_that_swallows_the_first_alarm_is_rung_again():
    def swallows():
        for _ in range(3):
            try:
                while True:
                    pass
            except TimeIsUp:
                pass
        while True:
            pass

    with pytest.raises(TimeIsUp), time_limit(0.05):
        swallows()


def test_the_alarm_is_as_it_was_before():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.15)
        with time_limit(5):
            time.sleep(0.05)
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 0.15
        time.sleep(0.3)
        assert rung == [signal.SIGALRM]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_outside_of_the_main_thread_it_is_said_and_refused_behind(caplog, monkeypatch):
    monkeypatch.setattr(guard, "_said", set())
    said = []

    def work():
        said.append(refused(lambda samples: time.sleep(0.1) or [0.0] * 3, seconds=0.05))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "was not done after 0.05 s" in said[0]
    assert "cannot be interrupted here" in caplog.text
    assert len(caplog.records) == 1


def test_a_place_that_a_sample_has_not_names_the_sample():
    measure = Measure("nowhere", lambda sample: {"bar 90": 1.0}, gives="parts")
    register("measure", "toy nowhere", measure)
    policy = settings(rewards=(Term(measure="nowhere"),))
    built = objective(policy)
    with pytest.raises(GenwrightError, match="earned at 'bar 90' of sample 0 of the rollout"):
        stream(policy, built).batch(0, torch.arange(16), built)


def test_a_rollout_is_under_the_time_limit_of_its_settings():
    register("measure", "toy endless", Measure("endless", lambda sample: forever([Sample("c")])))
    for policy in (
        settings(rewards=(Term(measure="endless"),), rollout=Rollout(max_tokens=8, time_limit=0.1)),
        settings(watched=("endless",), rollout=Rollout(max_tokens=8, time_limit=0.1)),
    ):
        built = objective(policy)
        with pytest.raises(GenwrightError, match=r"endless was not done after 0.1 s"):
            stream(policy, built).batch(0, torch.arange(16), built)


def test_parts_that_are_nan_say_nothing_of_the_sample():
    measure = Measure("silent", lambda sample: {0: math.nan}, gives="parts")
    register("measure", "toy silent", measure)
    policy = settings(rewards=(Term(measure="silent"),))
    built = objective(policy)
    with pytest.raises(GenwrightError, match=r"says nothing \(NaN\) of sample 0 of the rollout"):
        stream(policy, built).batch(0, torch.arange(16), built)
    policy = settings(rewards=(Term(measure="silent", weight=2.0, otherwise=0.5),))
    batch = stream(policy, built).batch(0, torch.arange(16), built)
    assert batch["reward"].sum(1).tolist() == [1.0] * 16
