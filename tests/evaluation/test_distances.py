import math

import pytest
import torch

from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.evaluation.distances import (
    PERFECT,
    frechet,
    kernel_distance,
    kl_floor,
    mixture,
    numbered_modes,
    reverse_kl,
    sliced_wasserstein,
)


def normal(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whitened(n, d, seed):
    """Mean exactly 0, covariance exactly the identity."""
    x = normal(n, d, seed)
    x = x - x.mean(0)
    return x @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(x.T))).T


def test_frechet_is_the_closed_form_of_gaussians():
    x, y = whitened(400, 3, 1), whitened(300, 3, 2)
    scales, mean = torch.tensor([1.0, 2.0, 0.5]).double(), torch.tensor([1.0, -2.0, 0.0]).double()
    # commuting covariances: |mean|^2 + sum (s - t)^2
    assert frechet(x, y * scales + mean) == pytest.approx(5 + 1 + 0.25, abs=1e-9)
    turn = torch.linalg.qr(normal(3, 3, 3)).Q
    assert frechet(x @ turn, (y * scales + mean) @ turn) == pytest.approx(6.25, abs=1e-9)


def test_frechet_of_covariances_that_do_not_commute():
    """tr (A B)^(1/2) is the sum of the roots of the eigenvalues of A B, whatever the order."""
    a, b = whitened(200, 4, 1) @ normal(4, 4, 5), whitened(200, 4, 2) @ normal(4, 4, 6)
    first, second = torch.cov(a.T), torch.cov(b.T)
    cross = torch.linalg.eigvals(first @ second).real.sqrt().sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + first.trace() + second.trace() - 2 * cross
    assert frechet(a, b) == pytest.approx(float(expected), rel=1e-9)
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet(a[:, :1], b[:, :1]) >= 0  # one dimension


def test_kernel_distance_is_the_double_loop():
    a, b = normal(23, 5, 1), normal(17, 5, 2) + 0.5

    def kernel(x, y):
        return (float(x @ y) / 5 + 1) ** 3

    within = [
        sum(kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j)
        / (len(x) * (len(x) - 1))
        for x in (a, b)
    ]
    across = sum(kernel(x, y) for x in a for y in b) / (23 * 17)
    value, error = kernel_distance(a, b, blocks=2)
    assert value == pytest.approx(sum(within) - 2 * across, rel=1e-9)
    halves = [kernel_distance(a[i::2], b[i::2])[0] for i in range(2)]
    # std of two over sqrt(2)
    assert error == pytest.approx(abs(halves[0] - halves[1]) / 2, rel=1e-6)


def test_kernel_distance_is_unbiased():
    found = torch.tensor(
        [kernel_distance(normal(20, 3, 2 * i), normal(20, 3, 2 * i + 1))[0] for i in range(200)]
    )
    assert abs(float(found.mean())) < 3 * float(found.std()) / 200**0.5


def test_sliced_wasserstein_in_one_dimension_is_sorting():
    a, b = normal(50, 1, 1), 2 * normal(50, 1, 2)
    expected = (a.sort(0).values - b.sort(0).values).square().mean().sqrt()
    assert sliced_wasserstein(a, b) == pytest.approx(float(expected), rel=1e-9)
    # the same distribution, other numbers
    assert sliced_wasserstein(a, b.repeat(3, 1)) == pytest.approx(float(expected), rel=1e-9)
    assert sliced_wasserstein(
        torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [2.0]])
    ) == pytest.approx(math.sqrt(1 / 3))


def test_sliced_wasserstein_of_a_shift():
    """Over random directions the mean of (direction . shift)^2 is |shift|^2 / d."""
    a, shift = normal(40, 6, 1), torch.tensor([3.0, 0, 0, -4, 0, 0]).double()
    assert sliced_wasserstein(a, a + shift, projections=4000) == pytest.approx(
        5 / math.sqrt(6), rel=0.03
    )
    assert sliced_wasserstein(a, a) == 0


def test_distances_need_two():
    for distance in (frechet, kernel_distance, sliced_wasserstein):
        with pytest.raises(GenwrightError, match="says nothing"):
            distance(normal(1, 2, 0), normal(9, 2, 0))


def ring():
    angle = torch.arange(8) * math.pi / 4
    return torch.stack([angle.cos(), angle.sin()], 1)


def test_a_perfect_sampler_reaches_the_ceiling_and_the_floor():
    means, draw = ring(), torch.Generator().manual_seed(0)
    found = [
        mixture(
            means[torch.randint(8, (2500,), generator=draw)]
            + 0.01 * torch.randn(2500, 2, generator=draw),
            means,
            0.01,
        )
        for _ in range(40)
    ]
    assert all(f.modes == 8 for f in found)
    assert (
        sum(f.high_quality for f in found) / 40 == pytest.approx(PERFECT, abs=0.002)
        and pytest.approx(0.98889, abs=1e-5) == PERFECT
    )
    assert sum(f.kl for f in found) / 40 == pytest.approx(kl_floor(8, 2472), rel=0.3)


def test_modes_by_hand():
    means = ring()
    samples = torch.cat(
        [means[:1].repeat(6, 1), means[1:2].repeat(2, 1), means[2:3] + 0.05, torch.zeros(1, 2)]
    )
    # 6 and 2 in two modes; one 7 deviations away, one in the middle
    modes, share, kl = mixture(samples, means, 0.01)
    assert (modes, share) == (2, 0.8)
    assert kl == pytest.approx(0.75 * math.log(0.75 * 8) + 0.25 * math.log(0.25 * 8), rel=1e-9)
    assert mixture(torch.zeros(4, 2), means, 0.01) == (0, 0.0, math.inf)


def test_numbered_modes_by_hand():
    every = numbered_modes(torch.arange(1000), 1000)
    assert every.modes == 1000 and every.kl == pytest.approx(0, abs=1e-12)
    modes, share, kl = numbered_modes(torch.tensor([123, 123, 321, 999]), 1000)
    assert (modes, share) == (3, 1.0)
    assert kl == pytest.approx(math.log(1000) - 1.5 * math.log(2))
    assert reverse_kl(torch.tensor([5, 0])) == pytest.approx(math.log(2))


@pytest.mark.parametrize("rank", [2, 8, 40, 64])
def test_frechet_of_features_that_depend_on_one_another(rank):
    """Rows of a narrow subspace: the distance is that of their coordinates there, whatever is added
    of nothing."""
    draws = Draws(7, 0, torch.arange(130))
    a, b = draws.normal("a", rank).double(), 1.3 * draws.normal("b", rank).double() + 0.1
    basis = torch.linalg.qr(Draws(8, 0, torch.arange(64)).normal("basis", 64).double()).Q[:rank]
    expected = frechet(a, b)
    assert frechet(a @ basis, b @ basis) == pytest.approx(expected, rel=1e-9)
    eigenvalues = torch.linalg.eigvals(torch.cov(a.T) @ torch.cov(b.T)).real
    gaussians = (
        torch.cov(a.T).trace() + torch.cov(b.T).trace() - 2 * eigenvalues.clamp(min=0).sqrt().sum()
    )
    assert expected == pytest.approx(
        float((a.mean(0) - b.mean(0)).square().sum() + gaussians), rel=1e-6
    )
