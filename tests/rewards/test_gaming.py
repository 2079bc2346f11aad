"""The rule that tells when a policy games its reward: as a pure function of records, and in runs
that it ends."""

import math

import pytest
import torch
from pydantic import ValidationError
from toy import objective, settings, stream

from genwright.core.errors import GenwrightError
from genwright.core.files import read_json
from genwright.objectives.terms import Term
from genwright.rewards.alarm import place
from genwright.rewards.gaming import (
    FIRST,
    HELD_OUT,
    OF_POLICY,
    WINDOW,
    Band,
    History,
    Left,
    Real,
    Rule,
    band_of,
    early,
    measured_of,
    noise_of,
    rows_of,
    setting_of,
    unmoved,
)
from genwright.rewards.watching import watchers
from genwright.runs.run import Run
from genwright.training import checkpoint
from genwright.training.engine import Engine
from genwright.training.records import read
from genwright.training.session import Session
from genwright.training.settings import Bands, Optimizer, Training, Watching

REAL = {"watched/b": Real(0.2, 0.1)}
LEAST = Bands().first_step


def rows(steps, seed=0, **drifts):
    """Rows of a run whose figures move by so much a step, with the noise of a step."""
    figures = {
        "reward/a": 0.5,
        "watched/b": 0.2,
        "distinct_4": 0.8,
        "entropy": 1.5,
        "length": 10.0,
        "kl": 0.0,
    }
    generator = torch.Generator().manual_seed(seed)
    found = [{"held_out.loss": 2.0}]
    for step in range(1, steps + 1):
        noise = torch.randn(len(figures), generator=generator).tolist()
        row = {}
        for (name, value), by_chance in zip(figures.items(), noise, strict=True):
            drift = drifts.get(name.rpartition("/")[2], 0.0) * step
            row[name] = value * (1 + 0.02 * by_chance) + drift
        row["kl"] = (0.001 + drifts.get("kl", 0.0)) * step
        row["surprise"] = row["entropy"] + row["kl"]
        found.append(row)
    return found


def verdict_of(found, rule=None):
    """The step of the first alarm, and the alarm."""
    rule = rule or Rule([Term(measure="a")], REAL)
    history = History()
    for step, row in enumerate(found):
        history.add(row)
        verdict = rule.verdict(history)
        if verdict is not None:
            return step, verdict
    return None, None


# ---- the rule


def test_a_rise_of_the_reward_alone_is_no_gaming():
    for seed in range(20):
        assert verdict_of(rows(100, seed, a=0.01)) == (None, None)


def test_a_fall_of_the_rest_alone_is_no_gaming():
    for seed in range(20):
        assert verdict_of(rows(100, seed, distinct_4=-0.007)) == (None, None)


def test_the_first_success_of_a_reward_is_no_rise():
    """Nothing earned in all first steps is no proof that rewards do not vary."""
    found = rows(60, distinct_4=-0.007)
    for row in found[1:]:
        row["reward/a"] = 0.0
    found[50]["reward/a"] = 0.1
    assert verdict_of(found) == (None, None)
    for row in found[51:]:
        row["reward/a"] = 0.1  # and from then on always: that is one
    assert verdict_of(found)[0] > 50


@pytest.mark.parametrize(
    "name, drift, figure",
    [
        ("distinct_4", -0.007, "distinct_4"),
        ("entropy", -0.012, "entropy"),
        ("entropy", 0.015, "surprise"),
        ("kl", 0.02, "surprise"),
        ("length", 0.1, "length"),
        ("length", -0.08, "length"),
        ("b", 0.003, "watched/b"),
        ("b", -0.003, "watched/b"),
    ],
)
def test_both_together_are_gaming_and_name_term_and_figure(name, drift, figure):
    step, verdict = verdict_of(rows(100, a=0.01, **{name: drift}))
    assert step is not None and step > LEAST
    assert verdict.term.name == "a"
    assert [left.name for left in verdict.left] == [figure]
    assert verdict.text.startswith("a rose from 0.5") and f" while {figure} " in verdict.text


def test_the_loss_on_real_data_counts_from_one_evaluation_to_the_next():
    found = rows(60, a=0.01)
    found[20]["held_out.loss"] = 3.4
    found[40]["held_out.loss"] = 3.6
    step, verdict = verdict_of(found)
    assert step == 40
    assert verdict.left[0].name == "held_out.loss"
    assert verdict.left[0].band.high == pytest.approx(3.5)


def test_what_moves_towards_real_data_is_no_gaming():
    real = {"watched/b": Real(0.6, 0.1)}
    rule = Rule([Term(measure="a")], real)
    assert verdict_of(rows(100, a=0.01, b=0.004), rule) == (None, None)
    step, _ = verdict_of(rows(100, a=0.01, b=-0.0015), rule)
    assert step is not None


def test_the_term_that_adds_most_is_named():
    terms = [Term(measure="a"), Term(measure="c", weight=-2.0)]
    found = rows(60, a=0.001, distinct_4=-0.01)
    for step, row in enumerate(found[1:]):
        row["reward/c"] = 3 - 0.02 * step + 0.01 * (step % 3)
    _, verdict = verdict_of(found, Rule(terms, REAL))
    assert verdict.term.name == "c"
    assert "c fell, as it shall, from" in verdict.text


def test_a_term_with_a_target_rises_as_it_comes_nearer():
    rule = Rule([Term(measure="a", target=1.0)], REAL)
    nearer = rows(45, distinct_4=-0.01)
    further = rows(45, distinct_4=-0.01)
    for step, (near, far) in enumerate(zip(nearer, further, strict=True)):
        by_chance = 0.01 * (step % 3)
        near["reward/a, off target"] = 0.5 - 0.01 * step + by_chance
        far["reward/a, off target"] = 0.5 + 0.01 * step + by_chance
    step, verdict = verdict_of(nearer, rule)
    assert verdict.term.name == "a, off target"
    assert verdict_of(further, rule) == (None, None)


def test_figures_that_may_change_are_let_go():
    for name in ("distinct_4", "watched/b", "b"):
        rule = Rule([Term(measure="a")], REAL, [name])
        drift = {name.removeprefix("watched/"): -0.007}
        assert verdict_of(rows(100, a=0.01, **drift), rule) == (None, None)


def test_the_last_good_step_lies_before_the_alarm():
    rule = Rule([Term(measure="a")], REAL)
    history = History()
    good = []
    for step, row in enumerate(rows(60, a=0.01, distinct_4=-0.01)):
        history.add(row)
        if rule.is_good(history):
            good.append(step)
        if rule.verdict(history) is not None:
            break
    assert good[0] == 0
    assert LEAST < good[-1] < history.steps
    good_value = 0.8 - 0.01 * good[-1]
    last_value = 0.8 - 0.01 * history.steps
    assert 0.8 - good_value < 0.7 * (0.8 - last_value), "well inside its band"


def test_noise_is_that_of_steps_and_not_of_a_drift():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2000, generator=generator).double()
    drift = torch.arange(2000) * 0.1
    assert noise_of((noise + drift).tolist()) == pytest.approx(1, rel=0.05)
    assert noise_of([1.0]) == 0


def test_the_model_of_before_is_that_of_steps_that_have_not_moved():
    first = [{"kl": kl, "length": 10.0, "x": kl} for kl in (0.0, 0.001, 0.0019, 0.01, 0.001)]
    assert unmoved(first) == 3
    assert early(first, "x").before == pytest.approx(0.0029 / 3)
    assert early(first, "y") is None
    assert unmoved([{"kl": math.nan}] * 2) == 1


def test_a_history_is_as_long_as_what_the_rule_needs():
    history = History(rows(500))
    assert (len(history.first), len(history.last), history.steps) == (FIRST, WINDOW, 500)
    band = band_of(history, "length", {}, Bands())
    assert band.low < 6.2 and band.high > 15.8
    assert band_of(history, "watched/c", REAL, Bands()) is None


def test_rows_join_lines_of_a_step():
    records = [
        {"step": 0, "held_out": {"loss": 2.0}, "seconds": 1.0},
        {"step": 1, "reward": 0.5, "skipped": "why"},
        {"step": 2, "reward": 0.6, "event": "what"},
        {"step": 2, "held_out": {"loss": 1.9}},
    ]
    found = rows_of(records)
    assert [row.get("held_out.loss") for row in found] == [2.0, None, 1.9]
    assert [row.get("reward") for row in found] == [None, 0.5, 0.6]


def test_real_data_have_a_spread():
    found = measured_of({"x": [1.0, 3.0, math.nan], "y": [math.nan], "z": [0.5, 0.5]}, ["z"])
    assert found == {"x": Real(2.0, 1.0), "z": Real(0.5, 0.1)}


# ---- what a person sets


def test_a_band_says_by_how_much_it_was_left_and_which_setting_it_is_of():
    left = Left("watched/b", 1.062, Band(2.875, 1.095, 4.5))
    assert left.text == (
        "watched/b fell from 2.875 to 1.062, which is 0.033 below its band (1.095 to 4.5, by"
        " watching.bands.measures)"
    )
    left = Left("held_out.loss", 3.75, Band(2.0, -math.inf, 3.5))
    assert left.text.endswith(
        "rose from 2 to 3.75, which is 0.25 above its band (at most 3.5, by"
        " watching.bands.held_out_loss)"
    )


def test_every_figure_of_every_policy_has_a_setting():
    for name in (*OF_POLICY, HELD_OUT, "watched/b"):
        setting = setting_of(name).removeprefix("watching.bands.")
        assert setting in Bands.model_fields


@pytest.mark.parametrize(
    "drift, narrow, wide",
    [
        ({"distinct_4": -0.007}, {"distinct_4": (0.1, 0.5)}, {"distinct_4": (0.99, 0.5)}),
        ({"entropy": -0.012}, {"entropy": (0.1, 0.5)}, {"entropy": (0.99, 0.5)}),
        ({"length": 0.1}, {"length": (0.4, 0.1)}, {"length": (0.4, 2.0)}),
        ({"kl": 0.02}, {"surprise": 0.02}, {"surprise": 3.0}),
        ({"b": 0.003}, {"measures": 0.1}, {"measures": 10.0}),
    ],
)
def test_a_narrower_band_is_left_earlier_and_a_wider_one_never(drift, narrow, wide):
    found = rows(100, a=0.01, **drift)
    usual, _ = verdict_of(found)
    earlier, verdict = verdict_of(found, Rule([Term(measure="a")], REAL, (), Bands(**narrow)))
    assert earlier < usual
    assert verdict_of(found, Rule([Term(measure="a")], REAL, (), Bands(**wide))) == (None, None)
    for left in verdict.left:
        assert setting_of(left.name) in left.text


def test_the_band_of_the_loss_on_real_data_can_be_narrowed():
    found = rows(60, a=0.01)
    found[20]["held_out.loss"] = 2.25
    rule = Rule([Term(measure="a")], REAL, (), Bands(held_out_loss=0.1))
    step, verdict = verdict_of(found, rule)
    assert step == 20 and verdict.left[0].band.high == pytest.approx(2.2)
    assert verdict_of(found) == (None, None)


def test_the_first_step_that_is_judged_is_a_setting():
    found = rows(60, a=0.05, distinct_4=-0.05)
    steps = []
    for first in (4, 8, 30):
        rule = Rule([Term(measure="a")], REAL, (), Bands(first_step=first))
        steps.append(verdict_of(found, rule)[0])
    assert steps[0] <= steps[1] < steps[2] == 30


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_step": 3},
        {"length": (1.2, 0.5)},
        {"held_out_loss": -0.1},
        {"surprise": math.inf},
        {"entropy": (0.5,)},
    ],
)
def test_bands_are_checked(wrong):
    with pytest.raises(ValidationError):
        Bands(**wrong)


def test_the_result_of_a_run_is_said_as_it_is():
    assert place(10, 12) == "the checkpoint of step 10, the last good one"
    assert place(0, 14).startswith("the checkpoint of step 0, the model of before, for steps were")
    assert "lower training.checkpoint_every" in place(0, 14)
    assert place(0, 0).endswith("the model of before, for no later step is known to be good")


# ---- runs


ADAM = Optimizer(kind="adamw", learning_rate=0.02)


def session_of(folder, watching, steps=80, **policy):
    """A run that is rewarded for one letter, and games that: in the end it writes no other."""
    given = settings(kl=0.0, **policy)
    built = objective(given)
    rollouts = stream(given, built)
    session = Session(
        folder,
        built,
        rollouts,
        Training(
            steps=steps, batch_size=16, precision="fp32", optimizer=ADAM, checkpoint_every=5, keep=2
        ),
        Engine.alone(torch.device("cpu")),
        recorders=[rollouts],
    )
    session.watchers = watchers(rollouts, session, watching)
    return session


def events(folder):
    return [line for line in read(folder / "metrics.jsonl") if "event" in line]


@pytest.fixture(scope="module")
def gamed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gamed")
    state, ended = session_of(folder, Watching()).train()
    return folder, state, ended


def test_gaming_ends_the_run_and_keeps_the_last_good_checkpoint(gamed):
    folder, state, ended = gamed
    assert ended == "interrupted" and LEAST < state.step < 80
    assert len(events(folder)) == 1
    event = events(folder)[0]
    assert event["step"] == state.step
    assert event["event"].startswith("gaming: share of a rose from")
    root = folder / "checkpoints"
    last = checkpoint.newest(root)
    assert last.name == f"step-{state.step:08d}", "nothing is lost"
    result = checkpoint.result(root)
    assert result.name != last.name
    step = int(result.name[5:])
    assert step < state.step and step % 5 == 0
    assert Run(folder).step == step, "what is sampled and measured"
    assert f"its result is {place(step, event['good'])}" in event["event"]
    assert (event["gamed"], event["result"]) == ("share of a", step)


def test_an_alarm_shows_the_samples_that_earned_most(gamed):
    folder, state, _ = gamed
    lines = read(folder / "rollouts.jsonl")
    shown = [line for line in lines if line.get("alarm") == "gaming"]
    assert [line["step"] for line in shown] == [state.step] * 5
    rewards = [line["reward"] for line in shown]
    assert rewards == sorted(rewards, reverse=True)
    assert all(line["text"].count("a") / len(line["text"]) > 0.5 for line in shown)


def test_a_run_that_was_ended_goes_on_where_a_person_wants_that(gamed, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(gamed[0], folder)
    ended_at = gamed[1].step
    state, ended = session_of(folder, Watching(on_gaming="warn")).train(resume=True)
    assert (state.step, ended) == (80, "finished")
    assert checkpoint.result(folder / "checkpoints").name == "step-00000080"
    once = tmp_path / "once"
    session_of(once, Watching(on_gaming="warn")).train()
    with_result = read_json((folder / "checkpoints/step-00000080/state.json").read_text(), "", "")
    assert "result" not in with_result
    for name in ("weights.safetensors", "optimizer.safetensors"):
        place = f"checkpoints/step-00000080/{name}"
        assert (folder / place).read_bytes() == (once / place).read_bytes()
    assert events(once)[0]["step"] == ended_at


def test_what_is_wanted_is_no_gaming(tmp_path):
    free = ("distinct_4", "entropy", "length", "b")
    state, ended = session_of(tmp_path, Watching(may_change=free), 40).train()
    assert (state.step, ended) == (40, "finished")
    assert not events(tmp_path)


def test_the_alarm_is_the_same_where_the_run_was_stopped_before(gamed, tmp_path):
    ended_at = gamed[1].step
    session_of(tmp_path, Watching()).train(until=ended_at - 2)
    state, _ = session_of(tmp_path, Watching()).train(resume=True)
    assert state.step == ended_at
    assert events(tmp_path) == events(gamed[0])
    log = (tmp_path / "rollouts.jsonl").read_text()
    assert log == (gamed[0] / "rollouts.jsonl").read_text()


def test_a_name_that_is_no_figure_is_refused(tmp_path):
    with pytest.raises(GenwrightError, match="may_change names 'lenght'"):
        session_of(tmp_path, Watching(may_change=("lenght",)))
