"""Likelihoods and bounds against closed forms, enumeration and Monte Carlo."""

import math

import torch
import torch.nn.functional as F

from genwright.core.draws import Draws
from genwright.models.autoencoder import gaussian_kl
from genwright.objectives.likelihoods import (
    bernoulli,
    binarised,
    fixed_draws,
    importance_bound,
    logistic,
)


def test_gaussian_kl_is_what_monte_carlo_says_and_torch_too():
    mean, log_scale = torch.tensor([0.7, -1.5, 0.0]), torch.tensor([-0.4, 0.3, 0.0])
    q, p = torch.distributions.Normal(mean, log_scale.exp()), torch.distributions.Normal(0.0, 1.0)
    assert torch.allclose(
        gaussian_kl(mean, log_scale),
        torch.distributions.kl_divergence(q, p.expand((3,))),
        atol=1e-6,
    )
    z = mean + log_scale.exp() * Draws(0, 0, torch.arange(200_000)).normal("z", 3)
    assert torch.allclose(
        gaussian_kl(mean, log_scale), (q.log_prob(z) - p.log_prob(z)).mean(0), atol=0.02
    )


def test_bernoulli_equals_cross_entropy_and_sums_to_one():
    logits = torch.randn(2, 3, 1, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 5
    x = torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]], [[[1.0, 1.0], [0.0, 1.0]]]])
    expected = -F.binary_cross_entropy_with_logits(
        logits[:, :, 0], x[:, None].expand(2, 3, 1, 2, 2), reduction="none"
    ).sum((2, 3, 4))
    assert torch.allclose(bernoulli(logits, x), expected, atol=1e-5)
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).view(16, 1, 2, 2)
    total = bernoulli(logits[:1].expand(16, 3, 1, 1, 2, 2), every).exp().sum(0)
    assert torch.allclose(total, torch.ones(3), atol=1e-5)


def test_the_256_levels_of_a_logistic_share_a_mass_of_one():
    levels = (torch.arange(256) / 127.5 - 1).view(256, 1, 1, 1)
    for mean, log_scale in [(0.0, -2.0), (-1.0, -5.0), (1.3, -1.0), (0.501, -9.0), (-3.0, 3.0)]:
        parameters = (
            torch.tensor([mean, log_scale]).view(1, 1, 2, 1, 1, 1).expand(256, 1, 2, 1, 1, 1)
        )
        mass = logistic(parameters, levels).double().exp()
        assert abs(float(mass.sum()) - 1) < 1e-4, (mean, log_scale)


def test_the_mass_of_a_level_is_the_difference_of_two_sigmoids():
    mean, log_scale, level = 0.2, -1.5, 130
    x = level / 127.5 - 1

    def cdf(v):
        return 1 / (1 + math.exp(-(v - mean) / math.exp(log_scale)))

    got = logistic(
        torch.tensor([mean, log_scale]).view(1, 1, 2, 1, 1, 1), torch.full((1, 1, 1, 1), x)
    )
    assert abs(float(got) - math.log(cdf(x + 1 / 255) - cdf(x - 1 / 255))) < 1e-4


def test_far_levels_keep_finite_slopes():
    parameters = torch.tensor([1.0, -7.0]).view(1, 1, 2, 1, 1, 1).requires_grad_()
    logistic(parameters, torch.full((1, 1, 1, 1), -1.0)).sum().backward()
    assert torch.isfinite(parameters.grad).all()


def linear_gaussian(k):
    """z ~ N(0, 1), x | z ~ N(z, 1), q = N(x / 2 + 0.3, 0.9^2): (log weights (50000, k), log p(x))
    at x = 1.5."""
    x, normal = torch.tensor(1.5), torch.distributions.Normal
    q = normal(x / 2 + 0.3, 0.9)
    z = q.mean + q.stddev * Draws(1, 0, torch.arange(50_000)).normal("z", k)
    return normal(0.0, 1.0).log_prob(z) + normal(z, 1.0).log_prob(x) - q.log_prob(z), normal(
        0.0, 2**0.5
    ).log_prob(x)


def test_the_importance_bound_rises_with_k_to_the_exact_likelihood():
    bounds = []
    for k in (1, 5, 50):
        log_weights, exact = linear_gaussian(k)
        bounds.append(float(importance_bound(log_weights).mean()))
    assert bounds[0] < bounds[1] < bounds[2] < float(exact) + 1e-3
    assert abs(bounds[2] - float(exact)) < 5e-3
    q, posterior = torch.distributions.Normal(1.05, 0.9), torch.distributions.Normal(0.75, 0.5**0.5)
    assert abs(bounds[0] - float(exact - torch.distributions.kl_divergence(q, posterior))) < 0.01


def test_binarised_pixels_are_on_as_often_as_they_are_bright():
    x = (
        torch.tensor([0, 64, 128, 255, 255])
        .div(127.5)
        .sub(1)
        .view(1, 1, 1, 5)
        .expand(20_000, 1, 1, 5)
    )
    share = binarised(x, Draws(0, 3, torch.arange(20_000))).mean(0).flatten()
    assert share[0] == 0 and share[3] == 1 and share[4] == 1
    assert abs(float(share[1]) - 64 / 255) < 0.01 and abs(float(share[2]) - 128 / 255) < 0.01


def test_fixed_binarisation_follows_the_picture_and_not_its_place():
    x = (
        torch.randint(0, 256, (6, 1, 5, 5), generator=torch.Generator().manual_seed(0)).float()
        / 127.5
        - 1
    )
    once, again = binarised(x, fixed_draws(x)), binarised(x.flip(0), fixed_draws(x.flip(0))).flip(0)
    assert torch.equal(once, again)
    y = x.clone()
    y[0, 0, 0, 0] *= -1
    assert not torch.equal(binarised(y, fixed_draws(y))[0], once[0])
