"""Importance-sampled likelihood against a model whose likelihood is known, and against itself cut
into other blocks."""

import math
from types import SimpleNamespace

import pytest
import torch

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.evaluation.likelihood import (
    active_units,
    estimate,
    figures,
    histogram_nll,
    marginal_nll,
)
from genwright.models.autoencoder import Autoencoder, MlpVae, Sampled
from genwright.models.ladder import LadderVae
from genwright.objectives.variational import Variational


class Linear(Autoencoder):
    """z ~ N(0, I_3), x | z ~ N(z, I): q is a bit off the posterior N(x / 2, 1 / 2). `calls` counts
    the encoder's."""

    def __init__(self):
        super().__init__(Space(shape=(3,)), 1, [(3,)])
        self.weight, self.calls = torch.nn.Parameter(torch.zeros(1)), 0

    def encode(self, x, condition):
        self.calls += len(x)
        scale = math.log(0.8)
        return (torch.cat([x / 2 + 0.1, torch.full_like(x, 5 * math.atanh(scale / 5))], 1),)

    def descend(self, draw, condition):
        return draw(0, None)


def normal(parameters, x):
    return torch.distributions.Normal(parameters[:, :, 0], 1.0).log_prob(x[:, None]).sum(2)


def test_the_estimate_is_the_exact_likelihood_of_a_linear_gaussian_model():
    x = Draws(3, 0, torch.arange(40)).normal("x", 3) * 1.4
    network = Linear()
    objective = SimpleNamespace(
        network=network, latent=(3,), log_likelihood=normal, given=lambda condition: None
    )
    e = estimate(objective, lambda a, b: {"x": x[a:b]}, 40, samples=4000, block=1000)
    exact = -torch.distributions.Normal(0.0, math.sqrt(2)).log_prob(x).sum(1)
    assert (e.nll - exact).abs().max() < 0.05 and (-e.elbo > exact + 0.01).all()
    assert network.calls == 40  # each picture once
    assert torch.allclose(e.mean, x / 2 + 0.1)


def made(settings):
    torch.manual_seed(0)
    space = Space(shape=(1, 8, 8))
    objective = Variational(likelihood="bernoulli").build({"model": settings.build(space)}, space)
    for p in objective.network.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return objective


def test_the_estimate_falls_with_samples_and_does_not_depend_on_its_neighbours():
    x = (torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    for settings in (MlpVae(width=16, units=4), LadderVae(width=4, channels=1, depth=1, units=3)):
        objective = made(settings)
        one, many = (estimate(objective, lambda a, b: {"x": x[a:b]}, 30, k) for k in (1, 100))
        assert many.nll.mean() < one.nll.mean() and torch.allclose(one.nll, -one.elbo)
        alone = estimate(objective, lambda a, b: {"x": x[a:b]}, 10, 100, block=300)
        assert torch.allclose(alone.nll, many.nll[:10], atol=1e-3) and isinstance(
            objective.network(x, noise=torch.zeros(30, 1, objective.latent[0])), Sampled
        )


def test_figures_have_floors_and_counts():
    objective = made(MlpVae(width=16, units=4))
    x = torch.zeros(12, 1, 8, 8)
    found = {
        f.name: f
        for f in figures(
            objective,
            lambda a, b: {"x": x[a:b]},
            12,
            20,
            floors={"independent pixels": 3.0},
            thing="picture",
        )
    }
    assert found["negative log-likelihood"].value <= found["negative ELBO"].value
    # every picture is the same
    assert found["active units"].value == 0 and found["active units"].ceilings["all"] == 4
    assert found["negative log-likelihood"].floors == {"independent pixels": 3.0}
    assert found["negative ELBO"].unit == "nats/picture"


def conditional(drop):
    torch.manual_seed(0)
    space = Space(shape=(1, 8, 8), attributes={"side": ("left", "right")})
    objective = Variational(likelihood="bernoulli", drop=drop).build(
        {"model": MlpVae(width=16, units=4).build(space)}, space
    )
    for p in objective.network.parameters():
        p.data += 0.1 * torch.randn_like(p)
    x = (torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    return objective, lambda a, b: {"x": x[a:b], "condition": torch.ones(12, 2)[a:b]}


def test_a_condition_that_training_never_showed_does_not_reach_the_network():
    objective, pictures = conditional(drop=1.0)
    plain = estimate(objective, lambda a, b: {"x": pictures(a, b)["x"]}, 12, 5)
    assert torch.equal(estimate(objective, pictures, 12, 5).nll, plain.nll)
    assert [f.name for f in figures(objective, pictures, 12, 5)] == [
        "negative log-likelihood",
        "negative ELBO",
        "active units",
    ]


def test_figures_of_a_conditional_run_say_so_and_stand_beside_those_without():
    objective, pictures = conditional(drop=0.1)
    found = {f.name: f.value for f in figures(objective, pictures, 12, 5)}
    assert found["negative log-likelihood, given its attributes"] == float(
        estimate(objective, pictures, 12, 5).nll.mean()
    )
    nothing = estimate(
        objective,
        lambda a, b: {"x": pictures(a, b)["x"], "condition": torch.zeros(12, 2)[a:b]},
        12,
        5,
    )
    assert (
        found["negative log-likelihood"]
        == float(nothing.nll.mean())
        != found["negative log-likelihood, given its attributes"]
    )


def test_active_units_and_the_floor_by_hand():
    mean = torch.stack([torch.arange(10.0), torch.zeros(10), 0.05 * torch.arange(10.0) / 9], 1)
    assert active_units(mean) == 1
    p, x = torch.tensor([[0.25, 0.5]]), torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])
    expected = -(math.log(0.25) + math.log(0.75)) / 2 - math.log(0.5)
    assert abs(marginal_nll(p, x) - expected) < 1e-6


def test_the_floor_of_levels_by_hand():
    """Two values a picture: the first always 0, the second 0 or 255 in three pictures of four and
    one."""
    levels = torch.tensor([[0, 0], [0, 0], [0, 0], [0, 255]]).view(4, 1, 1, 2)
    train = levels / 127.5 - 1
    common, rare, never = (share * 255 / 256 + 1 / 256**2 for share in (0.75, 0.25, 0.0))
    sure = 255 / 256 + 1 / 256**2
    seen = [math.log(sure) + math.log(common), math.log(sure) + math.log(rare), 2 * math.log(never)]
    x = torch.tensor([[0, 0], [0, 255], [9, 9]]).view(3, 1, 1, 2) / 127.5 - 1
    assert histogram_nll(train, x) == pytest.approx(-sum(seen) / 3, rel=1e-9)
