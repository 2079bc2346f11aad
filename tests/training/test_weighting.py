"""Weights of examples: applied once, to totals, counts and metrics; 0 leaves an example out."""

import math

import pytest
import torch
from torch import nn

from genwright.core.contracts import Loss, Mean, Objective, Turn
from genwright.core.errors import GenwrightError
from genwright.training import loop
from genwright.training.batches import Batches
from genwright.training.engine import Engine
from genwright.training.settings import Optimizer, Schedule, Training
from genwright.training.weighting import weighted
from training.ranks import on_two_ranks

STEPS = 4
VALUES = torch.tensor([[0.5, 1.0], [-1.0, 0.25], [2.0, -0.5], [0.1, 0.2], [1.5, 1.5], [-0.7, 0.9]])


class Numbers:
    """Rows of VALUES by their numbers, with weights."""

    units, unit = 1, "numbers"

    def __init__(self, numbers, weights=None, bad=()):
        self.numbers = torch.tensor(numbers)
        self.weights = None if weights is None else torch.tensor(weights)
        self.size = len(numbers)
        self.bad = bad

    def batch(self, position, examples, policy=None):
        x = VALUES[self.numbers[examples]] * (1 + 0.1 * position)
        for number in self.bad:
            x[examples == number] = math.inf
        batch = {"x": x}
        if self.weights is not None:
            batch["weight"] = self.weights[examples]
        return batch

    def describe(self, position, examples):
        return "numbers"


class Fit(Objective):
    """A small network, whose loss counts one or two units an example. `unit` examples are one
    pack."""

    def __init__(self, unit=1):
        torch.manual_seed(0)
        self.unit = unit
        self.modules = {"model": nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))}

    def prepare(self, batch, draws, ranks):
        assert "weight" not in batch
        return batch

    def loss(self, batch):
        assert "weight" not in batch
        x = batch["x"]
        each = (self.modules["model"](x)[:, 0] - x.sum(1)).square()
        packs = each.view(-1, self.unit).mean(1)
        total = packs.repeat_interleave(self.unit)
        count = 1.0 + (x[:, 1] > 0.6)
        metrics = {
            "loss": Mean(total.detach(), count),
            "packs": Mean(packs.detach(), torch.ones_like(packs)),
        }
        return Loss(total, count, metrics)


class Keep(loop.Hook):
    def __init__(self):
        self.records = []

    def after_step(self, state, record):
        self.records.append(dict(record))


def trained(stream, engine=None, objective=None, **training):
    engine = engine or Engine.alone()
    objective = objective or Fit()
    settings = Training(
        steps=STEPS,
        batch_size=stream.size,
        precision="fp32",
        optimizer=Optimizer(kind="adamw", learning_rate=0.02),
        schedule=Schedule(kind="constant"),
        **training,
    )
    state = loop.start(objective, settings, engine)
    keep = Keep()
    loop.run(objective, stream, state, STEPS, settings=settings, engine=engine, hooks=[keep])
    return state.weights["model"].master, keep.records


def alike(one, other):
    """The same weights, and the same records."""
    assert one[0].isfinite().all()
    assert torch.allclose(one[0], other[0], atol=1e-6)
    assert len(one[1]) == len(other[1]) == STEPS
    for a, b in zip(one[1], other[1], strict=True):
        assert "skipped" not in a and "skipped" not in b
        for name in ("loss", "packs", "gradient_norm"):
            assert a[name] == pytest.approx(b[name], rel=1e-5), name


SPLITS = [{}, {"micro_batch": 2}, {"micro_batch": 4}]


@pytest.mark.parametrize("split", SPLITS)
def test_a_weight_is_an_example_that_stands_so_many_times(split):
    # 2.5 and 0.5 of an example, twice as often, are 5 and 1 of it
    stream = Numbers([0, 1, 2, 3, 4, 5], [2.5, 0.5, 1.0, 0.0, 1.5, 0.5])
    repeated = Numbers([0, 0, 0, 0, 0, 1, 2, 2, 4, 4, 4, 5])
    wanted = trained(repeated)
    alike(trained(stream, **split), wanted)
    for found in on_two_ranks(Fit, lambda engine, made: trained(stream, engine, made, **split)):
        alike(found, wanted)


@pytest.mark.parametrize("split", SPLITS)
def test_an_example_of_weight_0_is_left_out_whatever_its_loss_and_gradient(split):
    wanted = trained(Numbers([0, 2, 5]))
    stream = Numbers([0, 1, 2, 3, 4, 5], [1.0, 0.0, 1.0, 0.0, 0.0, 1.0], bad=(1, 3, 4))
    alike(trained(stream, **split), wanted)
    for found in on_two_ranks(Fit, lambda engine, made: trained(stream, engine, made, **split)):
        alike(found, wanted)


@pytest.mark.parametrize("split", SPLITS)
def test_a_rank_may_have_no_example_of_any_weight(split):
    # the second rank has examples 1, 3 and 5
    wanted = trained(Numbers([0, 2, 4]))
    stream = Numbers([0, 1, 2, 3, 4, 5], [1.0, 0.0, 1.0, 0.0, 1.0, 0.0], bad=(1, 3, 5))
    for found in on_two_ranks(Fit, lambda engine, made: trained(stream, engine, made, **split)):
        alike(found, wanted)


def test_a_rank_without_examples_sums_no_gradient_of_the_step_before():
    """In bf16 the sum of gradients is another buffer than the one that backward fills."""

    class Alternating(Numbers):
        """Every second batch is of the first rank alone."""

        def batch(self, position, examples, policy=None):
            batch = super().batch(position, examples, policy)
            if position % 2:
                batch["weight"] = batch["weight"] * (examples % 2 == 0)
            return batch

    stream = Alternating([0, 1, 2, 3], [1.0] * 4)

    def run(engine, objective):
        settings = Training(
            steps=STEPS,
            batch_size=4,
            optimizer=Optimizer(kind="adamw", learning_rate=0.02),
            schedule=Schedule(kind="constant"),
        )
        state = loop.start(objective, settings, engine, dtype=torch.bfloat16)
        keep = Keep()
        loop.run(objective, stream, state, STEPS, settings=settings, engine=engine, hooks=[keep])
        return [record["gradient_norm"] for record in keep.records]

    wanted = run(Engine.alone(), Fit())
    for found in on_two_ranks(Fit, run):
        assert found == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("split", SPLITS)
def test_packs_are_left_out_as_a_whole_and_weigh_as_their_examples(split):
    stream = Numbers([0, 1, 2, 3, 4, 5], [1.0, 1.0, 0.0, 0.0, 1.0, 1.0], bad=(2, 3))
    wanted = trained(Numbers([0, 1, 4, 5]), objective=Fit(2))
    alike(trained(stream, objective=Fit(2), **split), wanted)
    stream = Numbers([0, 1, 2, 3, 4, 5], [2.0, 2.0, 1.0, 1.0, 0.0, 0.0])
    wanted = trained(Numbers([0, 1, 0, 1, 2, 3]), objective=Fit(2))
    alike(trained(stream, objective=Fit(2), **split), wanted)


def test_no_weight_at_all_is_no_target():
    with pytest.raises(GenwrightError, match="step 1 has no target"):
        trained(Numbers([0, 1], [0.0, 0.0]))


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_weight_must_be_a_number_of_0_or_more(bad):
    with pytest.raises(GenwrightError, match="weight below 0, or one that is not finite"):
        trained(Numbers([0, 1], [1.0, bad]))


def test_selection_is_no_product():
    weight = torch.tensor([0.0, 0.5, 2.0])
    parameter = nn.Parameter(torch.ones(3))

    def loss(batch):
        assert batch.keys() == {"x"}
        total = parameter + torch.tensor([math.inf, 1.0, 2.0])
        count = torch.tensor([3, 3, 1])
        return Loss(total, count, {"loss": Mean(total.detach(), count)})

    out = weighted(loss, {"x": torch.zeros(3), "weight": weight})
    assert out.total.tolist() == [0.0, 1.0, 6.0]
    assert out.count.tolist() == [0.0, 1.5, 2.0]
    assert out.metrics["loss"].total.tolist() == [0.0, 1.0, 6.0]
    out.total.sum().backward()
    assert parameter.grad.tolist() == [0.0, 0.5, 2.0]


@pytest.mark.parametrize(
    ("metrics", "sums"),
    [({"loss": Mean(torch.tensor(1.0), torch.tensor(1.0))}, {}), ({}, {"codes": torch.ones(3)})],
)
def test_a_sum_over_examples_cannot_be_weighed(metrics, sums):
    class Summing(Fit):
        def loss(self, batch):
            return super().loss(batch)._replace(metrics=metrics, sums=sums)

    with pytest.raises(GenwrightError, match="as one sum over them; give a metric as a Mean"):
        trained(Numbers([0, 1], [0.5, 1.0]), objective=Summing())
    # what is left out needs no weighing
    trained(Numbers([0, 1], [0.0, 1.0]), objective=Summing())


def test_settle_sees_the_weights_and_may_change_them():
    class Balanced(Fit):
        """Weighs examples of a positive sum twice."""

        def settle(self, batch, draws, ranks):
            assert batch["weight"].tolist() == [1.0, 0.5, 1.0]
            positive = batch["x"].sum(1) > 0
            return batch | {"weight": batch["weight"] * (1 + positive.float())}

    wanted = trained(Numbers([0, 1, 2], [2.0, 0.5, 2.0]))
    alike(trained(Numbers([0, 1, 2], [1.0, 0.5, 1.0]), objective=Balanced()), wanted)


def test_only_what_counts_is_computed():
    stream = Numbers([0, 1, 2, 3, 4, 5], [1.0, 0.0, 1.0, 0.0, 1.0, 1.0])
    settings = Training(steps=1, batch_size=6, micro_batch=3)
    batches = Batches(Fit(), stream, settings, Engine.alone(), 0)
    pieces = list(batches.pieces(batches.prepared(0)))
    assert [(len(micro.batch["x"]), micro.counts) for micro in pieces] == [(3, True), (1, True)]
    assert "weight" not in pieces[0].batch
    (one,) = batches.pieces(batches.prepared(0), slice(1, 2))
    assert not one.counts


def test_a_turn_may_use_a_part(split=slice(0, 4)):
    class Part(Fit):
        def turns(self, step):
            yield Turn(("model",), self.loss, part=split)

    stream = Numbers([0, 1, 2, 3, 4, 5], [2.0, 0.0, 1.0, 1.0, 7.0, 7.0])
    alike(trained(stream, objective=Part()), trained(Numbers([0, 0, 2, 3])))
