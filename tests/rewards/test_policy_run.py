"""The policy objective on rollouts of a toy, through the loop: it learns, resumes bit for bit, and
means the distribution that it samples."""

import math

import pytest
import torch
from toy import END, objective, settings, stream

from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.objectives.policy import chosen, drawn_tokens
from genwright.objectives.terms import Rollout, Term
from genwright.training import loop, precision
from genwright.training.engine import Engine
from genwright.training.precision import choose
from genwright.training.session import Session
from genwright.training.settings import Optimizer, Training

ADAM = Optimizer(kind="adamw", learning_rate=0.01)


def training(steps, **changes):
    given = {"steps": steps, "batch_size": 16, "precision": "fp32", "optimizer": ADAM}
    return Training(**(given | changes))


def trained(steps, policy=None, **changes):
    policy = policy or settings()
    built = objective(policy)
    rollouts = stream(policy, built)
    records = []

    class Keep(loop.Hook):
        def after_step(self, state, record):
            records.append(dict(record))

    engine = Engine.alone(torch.device("cpu"))
    given = training(steps, **changes)
    state = loop.start(built, given, engine, 0, torch.float32)
    loop.run(built, rollouts, state, steps, settings=given, engine=engine, hooks=[Keep()])
    return built, records


def batch_of(policy, rows=16):
    built = objective(policy)
    rollouts = stream(policy, built)
    examples = torch.arange(rows)
    batch = rollouts.batch(0, examples, built)
    return built, rollouts, built.settle(batch, Draws(0, 0, examples), Engine.alone("cpu"))


def test_a_reward_is_learned():
    _, records = trained(60)
    first = sum(record["reward"] for record in records[:5]) / 5
    last = sum(record["reward"] for record in records[-5:]) / 5
    assert last > first + 0.3
    assert records[-1]["kl"] > records[0]["kl"]
    assert records[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert records[0]["ratio"] == pytest.approx(1, abs=1e-5)


def test_records_name_all_that_a_person_wants_to_see():
    _, records = trained(1)
    names = {"loss", "reward", "reward/share of a", "watched/length", "watched/b", "kl", "entropy"}
    names |= {"length", "truncated", "dead_groups", "distinct_4", "ratio", "clipped"}
    assert names <= set(records[0])


def test_the_sampler_and_the_loss_mean_one_distribution():
    built, _, batch = batch_of(settings())
    logprobs = chosen(built._logits("model", batch), drawn_tokens(batch))
    apart = (logprobs - batch["logprobs"]).abs()[batch["mask"]]
    assert apart.max() < 1e-5


def test_a_policy_that_samples_otherwise_is_refused():
    built, _, batch = batch_of(settings())
    batch["logprobs"] = batch["logprobs"] - 0.01 * batch["mask"]
    with pytest.raises(GenwrightError, match="differ by 0.01 nats"):
        built.loss(batch)


def test_bf16_may_be_tried_on_what_fp32_drew(monkeypatch):
    monkeypatch.setattr(precision, "_has_bf16", lambda: True)
    policy = settings()
    built = objective(policy)
    engine = Engine.alone(torch.device("cpu"))
    dtype, seconds = choose(built, stream(policy, built), training(1), engine, 0)
    assert dtype in (torch.float32, torch.bfloat16) and set(seconds) == {"fp32", "bf16"}
    assert not built.checked  # of what learns


def test_the_end_that_is_drawn_is_learned_from():
    built, _, batch = batch_of(settings())
    tokens = drawn_tokens(batch)
    ends = (tokens == END) & batch["mask"]
    assert ends.any()
    lengths = batch["mask"].sum(1)
    for row in range(len(tokens)):
        if ends[row].any():
            assert lengths[row] == ends[row].nonzero()[0, 0] + 1


def test_truncated_samples_can_be_left_out():
    policy = settings(rollout=Rollout(max_tokens=3, truncated="leave out"))
    _, _, batch = batch_of(policy)
    assert batch["truncated"].any()
    assert not batch["mask"][batch["truncated"]].any()
    assert batch["mask"][~batch["truncated"]].any()


def test_a_step_whose_samples_all_were_cut_is_refused_in_words():
    policy = settings(rollout=Rollout(max_tokens=3, truncated="leave out"))
    built = objective(policy)
    examples = torch.arange(16)
    batch = stream(policy, built).batch(0, examples, built)
    batch["truncated"][:] = True
    with pytest.raises(GenwrightError, match="raise objective.rollout.max_tokens"):
        built.settle(batch, Draws(0, 0, examples), Engine.alone("cpu"))


def test_dense_rewards_are_credited_where_they_were_earned():
    policy = settings(rewards=(Term(measure="b", weight=2.0),))
    _, rollouts, batch = batch_of(policy)
    for row, sample in enumerate(rollouts.last.samples):
        earned = batch["reward"][row]
        for place, letter in enumerate(sample.content):
            assert earned[place] == (2.0 if letter == "b" else 0.0)
        assert earned.sum() == 2 * sample.content.count("b")


def test_a_target_rewards_being_near_it():
    policy = settings(rewards=(Term(measure="length", weight=0.5, target=3.0),))
    _, rollouts, batch = batch_of(policy)
    for row, sample in enumerate(rollouts.last.samples):
        wanted = -0.5 * abs(len(sample.content) - 3)
        assert batch["reward"][row].sum() == pytest.approx(wanted)
        assert batch["reward"][row, len(sample.tokens) - 1] == pytest.approx(wanted)


def test_candidates_of_a_question_lie_side_by_side():
    _, rollouts, _ = batch_of(settings())
    prompts = [sample.prompt for sample in rollouts.last.samples]
    for first in range(0, 16, 4):
        assert len(set(prompts[first : first + 4])) == 1
    assert set(prompts) == {"a", "bc"}


def gradient_of(batch, built, rows):
    for parameter in built.modules["model"].parameters():
        parameter.grad = None
    total = 0
    count = 0
    for part in torch.arange(16).split(rows):
        loss = built.loss({name: value[part] for name, value in batch.items()})
        total = total + loss.total.sum()
        count = count + loss.count.sum()
    total.backward()
    grads = [p.grad.flatten() for p in built.modules["model"].parameters() if p.grad is not None]
    return torch.cat(grads) / count


def test_micro_batches_give_the_gradient_of_the_whole():
    built, _, batch = batch_of(settings(kl=0.3))
    whole = gradient_of(batch, built, 16)
    parts = gradient_of(batch, built, 4)
    assert (whole - parts).abs().max() < 1e-6 * whole.abs().max() + 1e-7


def test_distinct_4_is_that_of_a_count():
    _, rollouts, batch = batch_of(settings())
    for first in range(0, 16, 4):
        grams = []
        for sample in rollouts.last.samples[first : first + 4]:
            grams += [sample.tokens[i : i + 4] for i in range(len(sample.tokens) - 3)]
        assert batch["distinct"][first].tolist() == [len(set(grams)), len(grams)]


def test_real_examples_are_learned_beside_samples():
    _, with_data = trained(40, settings(data=1.0))
    _, without = trained(1)
    assert "data_loss" not in without[0]
    assert with_data[0]["data_loss"] > 1.5  # of log 7 = 1.95 nats
    assert with_data[-1]["data_loss"] < 0.7


@pytest.mark.parametrize("data", [0.0, 1.0])
def test_a_run_that_stopped_goes_on_bit_for_bit(tmp_path, data):
    def session(folder):
        policy = settings(data=data)
        built = objective(policy)
        engine = Engine.alone(torch.device("cpu"))
        given = training(6, checkpoint_every=3)
        return Session(folder, built, stream(policy, built), given, engine), built

    once, built = session(tmp_path / "once")
    once.train()
    twice, _ = session(tmp_path / "twice")
    twice.train(until=3)
    again, resumed = session(tmp_path / "twice")
    for parameter in resumed.modules["reference"].parameters():
        parameter.data.zero_()  # comes from the run, not from how the objective was made
    again.train(resume=True)
    for name in ("model", "reference"):
        one = built.modules[name].state_dict()
        other = resumed.modules[name].state_dict()
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_prompts_that_do_not_fit_are_refused():
    policy = settings(rollout=Rollout(max_tokens=11))
    built = objective(policy)
    # a prompt of two tokens; the last token that is drawn is not read
    batch = stream(policy, built).batch(0, torch.arange(16), built)
    assert batch["mask"].shape[1] <= 11
    policy = settings(rollout=Rollout(max_tokens=12))
    rollouts = stream(policy, built)
    with pytest.raises(GenwrightError, match="more than the context of 12"):
        rollouts.batch(0, torch.arange(16), built)


def test_terms_are_checked_before_work_starts():
    for term, words in (
        (Term(measure="share of x"), "there is no measure 'share of x'"),
        (Term(measure="first"), "gives no number"),
        (Term(measure="length", options={"a": 1}), "takes no options"),
    ):
        with pytest.raises(GenwrightError, match=words):
            stream(settings(rewards=(term,)), objective(settings()))


def test_a_measure_that_says_nothing_needs_a_value(monkeypatch):
    from genwright.core.content import Measure
    from genwright.core.registry import register

    register("measure", "toy silent", Measure("silent", lambda sample: math.nan))
    policy = settings(rewards=(Term(measure="silent"),))
    built = objective(policy)
    with pytest.raises(GenwrightError, match="says nothing"):
        stream(policy, built).batch(0, torch.arange(16), built)
    policy = settings(rewards=(Term(measure="silent", otherwise=0.5),))
    batch = stream(policy, built).batch(0, torch.arange(16), built)
    assert batch["reward"].sum(1).tolist() == [0.5] * 16


def test_nothing_moves_where_all_candidates_earn_the_same():
    policy = settings(rewards=(Term(measure="length", weight=0.0),), kl=0.3)
    before = objective(policy).modules["model"].state_dict()
    built, records = trained(3, policy)
    after = built.modules["model"].state_dict()
    assert all(record["dead_groups"] == 1 for record in records)
    assert all(torch.equal(before[name], after[name]) for name in before)
