"""Rewards that fail or never differ, in a run: nothing is lost, and it is said."""

import pytest
import torch
from toy import objective, settings, stream

from genwright.core.content import Measure
from genwright.core.errors import GenwrightError
from genwright.core.registry import register
from genwright.objectives.terms import Term
from genwright.reporting.report import _shares
from genwright.runs.alarms import CONSTANT, Alarms, constant
from genwright.training import checkpoint
from genwright.training.engine import Engine
from genwright.training.hooks import shares
from genwright.training.records import read, without_clock
from genwright.training.session import Session
from genwright.training.settings import Optimizer, Training, Watching

ADAM = Optimizer(kind="adamw", learning_rate=0.01)


def session_of(folder, rewards, steps=6, on_alarm="warn"):
    policy = settings(rewards=rewards)
    built = objective(policy)
    rollouts = stream(policy, built)
    given = Training(steps=steps, batch_size=16, precision="fp32", optimizer=ADAM)
    engine = Engine.alone(torch.device("cpu"))
    session = Session(folder, built, rollouts, given, engine, recorders=[rollouts])
    watching = Watching(on_alarm=on_alarm)
    session.watchers = [Alarms(watching, engine, folder / "metrics.jsonl", session.note)]
    return session, built


def fails_at(call):
    """A reward that raises at its call of this number."""
    calls = []

    def of_all(samples):
        calls.append(len(samples))
        if len(calls) >= call:
            raise KeyError("no such key")
        return [sample.content.count("a") / 8 for sample in samples]

    return Measure("flaky", lambda sample: of_all([sample])[0], of_all=of_all)


def test_a_reward_that_raises_loses_no_step(tmp_path, caplog):
    term = (Term(measure="flaky"),)
    register("measure", "toy flaky", fails_at(1000))
    whole, built = session_of(tmp_path / "whole", term)
    whole.train()
    register("measure", "toy flaky", fails_at(4))
    stopped, _ = session_of(tmp_path / "stopped", term)
    with pytest.raises(GenwrightError, match=r"reward flaky fails on sample 0 .*KeyError"):
        stopped.train()
    assert checkpoint.steps(stopped.root) == [0, 3]
    assert "the run is saved as it was behind step 3" in caplog.text
    register("measure", "toy flaky", fails_at(1000))
    resumed, again = session_of(tmp_path / "stopped", term)
    resumed.train(resume=True)
    one = built.modules["model"].state_dict()
    other = again.modules["model"].state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    records = [
        [without_clock(line) for line in read(s.folder / "metrics.jsonl")] for s in (whole, resumed)
    ]
    assert records[0] == records[1]


def test_a_constant_reward_is_said_once(tmp_path, caplog):
    register("measure", "toy same", Measure("same", lambda sample: 0.5))
    session, _ = session_of(tmp_path, (Term(measure="same"),), steps=CONSTANT + 5)
    session.train()
    events = [line for line in read(tmp_path / "metrics.jsonl") if "event" in line]
    assert [line["step"] for line in events] == [CONSTANT]
    assert events[0]["event"].startswith("constant reward: in 20 steps all candidates of each")
    assert "genwright reward check" in caplog.text


def test_a_constant_reward_may_stop_the_run(tmp_path):
    register("measure", "toy same", Measure("same", lambda sample: 0.5))
    session, _ = session_of(tmp_path, (Term(measure="same"),), steps=100, on_alarm="stop")
    state, _ = session.train()
    assert state.step == CONSTANT


def test_the_alarm_of_a_constant_reward_is_of_the_records_alone():
    dead = [{"dead_groups": 1.0}] * CONSTANT
    assert constant(dead)
    assert not constant(dead[1:])
    assert not constant([*dead, dead[0]])
    assert not constant([*dead[1:], {"dead_groups": 0.9}])
    assert constant([{"dead_groups": 0.5}, *dead])
    assert not constant([*dead, {"held_out": {}}])
    assert constant([*dead[1:], {"held_out": {}}, dead[0]])


def test_a_reward_that_varies_rings_no_alarm(tmp_path):
    session, _ = session_of(tmp_path, (Term(measure="share of a"),), steps=CONSTANT + 5)
    session.train()
    assert not [line for line in read(tmp_path / "metrics.jsonl") if "event" in line]


def test_the_share_of_rewards_in_a_step_is_shown():
    record = {"seconds": 2.0, "rollout_seconds": 1.0, "reward_seconds": 0.25, "loss": 1.0}
    assert shares(record) == ["rollout 50%", "reward 12% of the time"]
    assert shares({"seconds": 2.0}) == []


def test_rewards_are_measured_without_gradients():
    seen = []

    def of(sample):
        seen.append(torch.is_grad_enabled())
        return 0.0

    register("measure", "toy spy", Measure("spy", of))
    policy = settings(rewards=(Term(measure="spy"),))
    built = objective(policy)
    batch = stream(policy, built).batch(0, torch.arange(16), built)
    assert not any(value.requires_grad for value in batch.values())
    assert seen and not any(seen)


def test_the_share_of_rewards_is_in_the_report():
    steps = [
        {"seconds": 2.0, "rollout_seconds": 1.0, "reward_seconds": 0.5},
        {"seconds": 2.0, "rollout_seconds": 1.4, "reward_seconds": 0.3},
    ]
    assert _shares(steps) == {"rollout": pytest.approx(0.6), "reward": pytest.approx(0.2)}
