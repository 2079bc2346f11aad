"""Gradients that are made in another way: private ones, of examples that are clipped one by one,
with noise."""

import json

import pytest
import torch

from genwright.core.contracts import Loss, Mean, Objective
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.training import checkpoint, loop
from genwright.training.engine import Engine
from genwright.training.gradients import scaling
from genwright.training.session import Session
from training import toys
from training.ranks import on_two_ranks
from training.test_loop import final, history, same

EXPECTED = 4.0  # examples of a batch, on average
EMPTY = 3  # the position whose batch has no example


class Private:
    """Per-example clipping, and Gaussian noise on the sum, the same on every rank (Abadi et al.,
    arXiv 1607.00133). It clips a little less with every query, and adds noise that falls with
    their number, so that a run that forgot either would end elsewhere."""

    def __init__(self, noise=0.1):
        self.noise = noise
        self.padding = []  # what is in the buffer beside gradients

    def begin(self, extra):
        self.extra = extra
        extra.setdefault("queries", 0)
        extra.setdefault("clip", torch.tensor(0.5))

    def micro(self, loss, batch, moving):
        losses = []
        for number in range(len(batch["points"])):
            one = {name: value[number : number + 1] for name, value in batch.items()}
            out = loss(one)
            losses.append(out)
            wanted = [p for weights in moving for p in weights.parameters.values()]
            found = torch.autograd.grad(out.total.sum(), wanted)
            norm = torch.stack([g.square().sum() for g in found]).sum().sqrt()
            shrunk = (self.extra["clip"] / norm).clamp(max=1.0)
            targets = [w.view(w.grad, n) for w in moving for n in w.parameters]
            for target, gradient in zip(targets, found, strict=True):
                target.add_(gradient * shrunk)
        metrics = {
            name: Mean(*(torch.cat([o.metrics[name][i] for o in losses]) for i in range(2)))
            for name in losses[0].metrics
        }
        total = torch.cat([out.total.detach() for out in losses])
        return Loss(total, torch.cat([out.count for out in losses]), metrics)

    def finish(self, moving, count, draws, engine):
        self.extra["queries"] += 1
        scale = self.noise * float(self.extra["clip"]) / self.extra["queries"]
        for number, weights in enumerate(moving):
            inside = torch.zeros_like(weights.grad)
            for name in weights.parameters:
                target = weights.view(weights.grad, name)
                noise = draws.normal(f"{number}.{name}", target.numel())[0]
                target.add_(noise.view(target.shape), alpha=scale)
                weights.view(inside, name).fill_(1.0)
            self.padding.append(float(weights.grad[inside == 0].abs().sum()))
        self.extra["clip"] = self.extra["clip"] * 0.99
        return EXPECTED


class Poisson(toys.Points):
    """Each point stands in a batch by a draw of its own; in one batch none does."""

    def batch(self, position, examples, policy=None):
        chosen = Draws(9, position, examples).uniform("chosen", 1)[:, 0] < EXPECTED / self.size
        if position == EMPTY:
            chosen = torch.zeros_like(chosen)
        return super().batch(position, examples, policy) | {"weight": chosen.float()}


class Line(Objective):
    """Points are drawn to the middle by a small network."""

    def __init__(self):
        torch.manual_seed(2)
        self.modules = {"model": toys.mlp(2, 9, 3)}

    def prepare(self, batch, draws, ranks):
        return batch

    def loss(self, batch):
        total = self.modules["model"](batch["points"]).square().sum(1)
        count = torch.ones_like(total)
        return Loss(total, count, {"loss": Mean(total.detach(), count)})


class Keep(loop.Hook):
    def __init__(self):
        self.records = []

    def after_step(self, state, record):
        self.records.append(dict(record))


def trained(gradients, engine=None, objective=None, steps=6, **training):
    engine = engine or Engine.alone()
    _, _, settings = toys.make("vae", steps=steps, ema=None, **training)
    objective = objective or Line()
    state = loop.start(objective, settings, engine, seed=5)
    keep = Keep()
    loop.run(
        objective,
        Poisson(),
        state,
        steps,
        settings=settings,
        engine=engine,
        hooks=[keep],
        gradients=gradients,
    )
    return state, keep.records


def test_an_empty_batch_is_no_error_of_private_gradients():
    gradients = Private()
    state, records = trained(gradients)
    assert len(records) == 6 and not any("skipped" in record for record in records)
    # nothing was measured, and noise alone moved the weights
    assert "loss" not in records[EMPTY] and records[EMPTY]["gradient_norm"] > 0
    assert all("loss" in record for record in records[:EMPTY])
    assert state.weights["model"].updates == 6
    assert state.extra["queries"] == 6
    assert gradients.padding == [0.0] * 6


def test_an_empty_batch_stops_plain_gradients():
    with pytest.raises(GenwrightError, match="step 4 has no target"):
        trained(None)


def test_every_example_is_clipped():
    """Without noise, the sum of some gradients of norm 0.5 at most."""
    _, records = trained(Private(noise=0.0), clip=None)
    stream = Poisson()
    for position, record in enumerate(records):
        chosen = stream.batch(position, torch.arange(12))["weight"].sum()
        assert record["gradient_norm"] <= 0.5 * chosen / EXPECTED + 1e-6
    assert records[EMPTY]["gradient_norm"] == 0


@pytest.mark.parametrize("micro", [None, 3])
def test_private_gradients_are_the_same_for_any_split_and_number_of_ranks(micro):
    expected, records = trained(Private())
    state, _ = trained(Private(), micro_batch=5)
    states = [state]
    found = on_two_ranks(Line, lambda e, made: trained(Private(), e, made, micro_batch=micro))
    for other, lines in found:
        states.append(other)
        norms = [record["gradient_norm"] for record in records]
        assert [line["gradient_norm"] for line in lines] == pytest.approx(norms, rel=1e-4)
    for other in states:
        wanted = expected.weights["model"].master
        assert torch.allclose(other.weights["model"].master, wanted, atol=1e-5)


def test_every_turn_has_noise_of_its_own():
    objective, stream, settings = toys.make("ppo")
    engine = Engine.alone()
    state = loop.start(objective, settings, engine)
    step = loop._Step(objective, stream, state, settings, engine, loop.PlainGradients())
    draws = [step.draws_of_turn(p, n).normal("noise", 4) for p in range(3) for n in range(3)]
    draws.append(Draws(0, 0, torch.tensor([0])).normal("noise", 4))  # of an example
    assert len(torch.cat(draws).unique(dim=0)) == 10


def session(folder):
    _, _, settings = toys.make("vae", steps=40, checkpoint_every=10)
    folder.mkdir(exist_ok=True)
    return Session(folder, Line(), Poisson(), settings, Engine.alone(), seed=3, gradients=Private())


def test_what_gradients_remember_is_saved_and_restored(tmp_path):
    whole, _ = session(tmp_path / "whole").train()
    session(tmp_path / "parts").train(until=13)
    session(tmp_path / "parts").train(resume=True, until=29)
    state, _ = session(tmp_path / "parts").train(resume=True)
    assert state.extra["queries"] == whole.extra["queries"] == 40
    assert torch.equal(state.extra["clip"], whole.extra["clip"])
    assert float(state.extra["clip"]) == pytest.approx(0.5 * 0.99**40)
    assert same(final(tmp_path / "parts"), final(tmp_path / "whole"))
    assert history(tmp_path / "parts") == history(tmp_path / "whole")
    folder = checkpoint.folder_of(tmp_path / "whole" / "checkpoints", 40)
    assert json.loads((folder / "state.json").read_text())["extra"] == {"queries": 40}
    assert ("extra", "clip") in final(tmp_path / "whole")
    assert not checkpoint.faults(folder)


def test_a_run_that_remembers_nothing_saves_as_before(tmp_path):
    objective, stream, settings = toys.make("vae", steps=2)
    state, _ = Session(tmp_path, objective, stream, settings, Engine.alone()).train()
    assert state.extra == {}
    folder = checkpoint.folder_of(tmp_path / "checkpoints", 2)
    assert "extra" not in json.loads((folder / "state.json").read_text())
    assert not (folder / "extra.safetensors").exists()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("total", [3.0, 0.0, NAN, INF])
@pytest.mark.parametrize("divisor", [4.0, 0.0, 0.3])
@pytest.mark.parametrize("square", [9.0, 0.0, 1e-30, NAN, INF])
@pytest.mark.parametrize("clip", [None, 0.5, 100.0])
def test_scaling_is_the_same_on_a_device(total, divisor, square, clip):
    here = scaling(total, divisor, square, clip)
    numbers = [torch.tensor(value, dtype=torch.float64) for value in (total, divisor, square)]
    there = scaling(*numbers, clip)
    assert bool(there.finite) == here.finite
    if here.finite:
        assert (float(there.norm), float(there.scale)) == (here.norm, here.scale)
        assert here.scale * square**0.5 <= (clip or INF) * (1 + 1e-12)
