"""The game's losses and penalties against closed forms; packing, splitting, schedules; what a
latent is for."""

import math

import pytest
import torch
from torch import nn

from genwright.core.contracts import Source, Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.models.mlp import MLPDiscriminator, MLPGenerator
from genwright.objectives.adversarial import LOSSES, Adversarial, gradient_penalty, square_slopes
from genwright.sampling.drawing import Drawing
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.settings import Optimizer, Training

POINTS = Space(shape=(2,))
NAMED = Space(shape=(2,), attributes={"side": ("left", "right")})
ADAM = Optimizer(kind="adamw", learning_rate=2e-3, betas=(0.0, 0.99))


class Modes:
    """Four modes on a circle; with a condition, the side they lie on."""

    units, unit = 1, "points"

    def __init__(self, size=16, named=False):
        self.size, self.named = size, named

    def batch(self, position, examples, policy=None):
        draws = Draws(5, position, examples)
        angle = (draws.integers("mode", 4).float() + 0.5) * math.pi / 2
        x = torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * draws.normal("noise", 2)
        return {"x": x} | (
            {"condition": torch.stack([x[:, 0] < 0, x[:, 0] >= 0], 1).float()} if self.named else {}
        )

    def sources(self, position, examples):
        return [Source("points") for _ in examples]


def built(space=POINTS, seed=0, width=16, **settings):
    torch.manual_seed(seed)
    chosen = Adversarial(latent=3, **settings)
    parts = {
        "generator": MLPGenerator(width=width, depth=2),
        "discriminator": MLPDiscriminator(width=width, depth=2),
    }
    modules = {
        name: parts[name].build(space, **extra) for name, (_, extra) in chosen.needs(space).items()
    }
    return chosen.build(modules, space)


def prepared(objective, stream, position=0, examples=None):
    examples = torch.arange(stream.size) if examples is None else examples
    return objective.prepare(stream.batch(position, examples), Draws(0, position, examples), None)


def test_losses_by_hand():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])

    def log(v):
        return math.log1p(math.exp(v))

    expected = {
        "relativistic": ([log(-1.5), log(4.0)], [log(1.5), log(-4.0)]),
        "non-saturating": ([log(-2.0) + log(0.5), log(1.0) + log(3.0)], [log(-0.5), log(-3.0)]),
        "hinge": ([0 + 1.5, 2 + 4.0], [-0.5, -3.0]),
        "wasserstein": ([-1.5, 4.0], [-0.5, -3.0]),
    }
    for name, (d, g) in expected.items():
        of_discriminator, of_generator = LOSSES[name]
        torch.testing.assert_close(of_discriminator(real, fake), torch.tensor(d))
        torch.testing.assert_close(of_generator(real, fake), torch.tensor(g))


@pytest.mark.parametrize("packing", [1, 2])
def test_penalties_of_a_quadratic_discriminator(packing):
    """D(p) = p' A p / 2 has the gradient A p at a pack p, and d |A p|^2 / dA = 2 A p p' for
    symmetric A."""
    a = torch.randn(2 * packing, 2 * packing, dtype=torch.double)
    a = (a + a.T).requires_grad_()
    x = torch.randn(6, 2, dtype=torch.double, requires_grad=True)
    packs = x.detach().reshape(-1, 2 * packing)

    def score(x):
        return ((y := x.reshape(-1, 2 * packing)) @ (a + a.T) / 2 * y).sum(1) / 2

    square = square_slopes(score(x), x)
    torch.testing.assert_close(square, (packs @ a).square().sum(1))
    (found,) = torch.autograd.grad(square.sum(), a, retain_graph=True)
    expected = sum(2 * a @ torch.outer(p, p) for p in packs)
    torch.testing.assert_close(found, (expected + expected.T) / 2)
    torch.testing.assert_close(gradient_penalty(square), ((packs @ a).norm(dim=1) - 1).square())
    assert (
        torch.autograd.grad(
            gradient_penalty(torch.zeros(1, requires_grad=True) * 1).sum() * 0 + square.sum(), x
        )[0]
        .isfinite()
        .all()
    )


def test_discriminator_turn_is_the_game_plus_half_gamma_times_both_penalties():
    o = built(r1=0.3, r2=0.7)
    batch = prepared(o, Modes())
    d, g = o.modules["discriminator"], o.modules["generator"]
    x, fake = (
        batch["x"].clone().requires_grad_(),
        g(batch["latent"][:, 0]).detach().requires_grad_(),
    )
    total = torch.nn.functional.softplus(d(fake) - d(x))
    for weight, at in ((0.3, x), (0.7, fake)):
        (slope,) = torch.autograd.grad(d(at).sum(), at)
        total = total + weight / 2 * slope.square().sum(1)
    out = o.discriminate(batch)
    torch.testing.assert_close(out.total, total)
    torch.testing.assert_close(
        o.discriminate(batch, 0.0).total, torch.nn.functional.softplus(d(fake) - d(x))
    )
    wins = (d(x) > d(fake)).float().sum()
    assert out.metrics["wins"].total.sum() == wins and out.metrics["wins"].count.sum() == 16


def test_penalties_follow_their_schedule():
    o = built(penalty_every=4, halve=8, r1=1, r2=0)
    assert [o.penalty_weight(step) for step in (0, 1, 8)] == [4.0, 0.0, 2.0]
    batch = prepared(o, Modes())
    full, none, half = (next(o.turns(step)).loss(batch).total for step in (0, 1, 8))
    torch.testing.assert_close(full - none, 2 * (half - none))


@pytest.mark.parametrize("loss", LOSSES)
def test_every_game_trains_the_same_in_parts_of_whole_packs(loss):
    # a bias that shifts all scores alike has a gradient of 0 up to rounding, which Adam would blow
    # up
    adam, ends = Optimizer(kind="adamw", learning_rate=2e-3, betas=(0.0, 0.99), eps=1e-4), []
    for micro in (None, 4):
        o = built(NAMED, loss=loss, packing=2, drop=0.3)
        settings = Training(steps=3, batch_size=16, micro_batch=micro, optimizer=adam)
        loop.run(
            o,
            Modes(named=True),
            loop.start(o, settings, Engine("cpu")),
            3,
            settings=settings,
            engine=Engine("cpu"),
        )
        ends.append(
            torch.cat([p.flatten() for m in o.modules.values() for p in m.parameters()]).detach()
        )
    start = torch.cat(
        [
            p.flatten()
            for m in built(NAMED, loss=loss, packing=2).modules.values()
            for p in m.parameters()
        ]
    )
    torch.testing.assert_close(*ends, atol=2e-5, rtol=1e-4)
    assert (ends[0] - start).abs().max() > 1e-3


def test_random_numbers_belong_to_examples():
    o = built(NAMED, loss="wasserstein")
    whole, some = (
        prepared(o, Modes(named=True)),
        prepared(o, Modes(named=True), examples=torch.tensor([3, 9])),
    )
    assert set(whole) == {"x", "latent", "condition", "between"}
    for name in whole:
        assert torch.equal(whole[name][[3, 9]], some[name])


def test_gradients_of_gradients_are_announced():
    assert (
        built().double_backward
        and built(loss="wasserstein").double_backward
        and built(loss="non-saturating").r2 == 0
    )
    assert not built(loss="hinge").double_backward and not built(r1=0, r2=0).double_backward


def test_augmentation_follows_how_sure_the_discriminator_is():
    space = Space(shape=(1, 8, 8))
    torch.manual_seed(0)
    parts = {"generator": MLPGenerator(width=8), "discriminator": MLPDiscriminator(width=8)}
    chosen = Adversarial(latent=3, augment=True, augment_step=0.1)
    o = chosen.build(
        {
            name: parts[name].build(space, **extra)
            for name, (_, extra) in chosen.needs(space).items()
        },
        space,
    )
    for sign, expected in ((0.9, 0.1), (0.9, 0.2), (0.1, 0.1), (0.1, 0.0), (0.1, 0.0)):
        o.after_step({"real_sign": sign}, {})
        assert o.modules["discriminator"].augmentation.item() == pytest.approx(expected, abs=1e-6)
    for _ in range(12):
        o.after_step({"real_sign": 1.0}, {})
    # saved, and bounded
    assert o.modules["discriminator"].state_dict()["augmentation"].item() == pytest.approx(0.8)
    examples = torch.arange(4)
    batch = o.prepare({"x": torch.randn(4, 1, 8, 8)}, Draws(0, 0, examples), None)
    with_it = o.discriminate(batch).total
    o.modules["discriminator"].augmentation.zero_()
    assert (
        not torch.allclose(with_it, o.discriminate(batch).total)
        and o.generate(batch).total.isfinite().all()
    )


def test_augmentation_needs_pictures():
    with pytest.raises(GenwrightError, match="is for arrays"):
        built(augment=True)


def test_measured_leaves_out_a_last_pack_that_is_not_full():
    o = built(packing=4)
    with torch.no_grad():
        out = o.measured(prepared(o, Modes(10)))
    assert (
        out.metrics["wins"].count.sum() == 2 and len(out.total) == 8 and "loss" not in out.metrics
    )


def test_inversion_finds_what_was_made_and_truncation_scales_latents():
    o = built(NAMED, width=32)
    examples = torch.arange(5)
    z, c = Draws(1, 0, examples).normal("z", 3), torch.eye(2)[[0, 1, 0, 1, 0]]
    x = o.decode(z, c, None, Drawing())
    with torch.no_grad():
        found = o.invert(x, c, Draws(2, 0, examples), Drawing())
    assert (o.decode(found, c, None, Drawing()) - x).square().mean() < 0.01 * x.var()
    assert torch.equal(found, o.invert(x, c, Draws(2, 0, examples), Drawing()))
    assert torch.equal(
        o.decode(z, c, None, Drawing(truncation=0.5)), o.decode(z / 2, c, None, Drawing())
    )
    assert torch.equal(
        o.decode(z, c, torch.eye(2)[:1], Drawing()),
        o.decode(z, c - torch.eye(2)[:1], None, Drawing()),
    )


def test_directions_are_the_eigenvectors_of_the_first_map():
    o = built(NAMED)
    turn = torch.linalg.qr(torch.randn(3, 3)).Q
    with torch.no_grad():
        o.modules["generator"].first.weight[:, :3] = (
            nn.init.orthogonal_(torch.empty(16, 3)) * torch.tensor([1.0, 5.0, 3.0]) @ turn.T
        )
    found = o.directions(2)
    torch.testing.assert_close(
        (found @ turn).abs(), torch.tensor([[0.0, 1, 0], [0, 0, 1]]), atol=1e-5, rtol=0
    )
    assert (found.gather(1, found.abs().argmax(1, keepdim=True)) > 0).all()
    with pytest.raises(GenwrightError, match="4 directions"):
        o.directions(4)


def test_four_modes_are_learned():
    o, stream = built(width=48, r1=0.1, r2=0.1), Modes(64)
    settings = Training(steps=200, batch_size=64, optimizer=ADAM, ema=0.98, ema_of=("generator",))
    state = loop.run(
        o,
        stream,
        loop.start(o, settings, Engine("cpu")),
        200,
        settings=settings,
        engine=Engine("cpu"),
    )
    with torch.no_grad(), state.weights["generator"].averaged():
        x = o.decode(Draws(9, 0, torch.arange(400)).normal("latent", 3), None, None, Drawing())
    near = (x.norm(dim=1) - 1).abs() < 0.35
    quadrants = torch.bincount(((x[near, 0] > 0).long() * 2 + (x[near, 1] > 0).long()), minlength=4)
    assert near.float().mean() > 0.7 and quadrants.min() > 25
