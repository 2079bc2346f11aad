import math

import pytest
import torch
import torch.nn.functional as F

from genwright.objectives.augment import NUMBERS, augment, kept, resample

NONE, ALL = torch.tensor(0.0), torch.tensor(1.0)


def one(value=0.0, n=2):
    return torch.full((n,), float(value))


def test_nothing_at_probability_zero():
    x = torch.randn(3, 2, 8, 8)
    assert torch.equal(augment(x, torch.rand(3, NUMBERS), NONE, flips=True), x)


def test_each_transform_alone_against_torch():
    x = torch.randn(2, 3, 8, 8)
    still = torch.zeros(2, 2)
    torch.testing.assert_close(
        resample(x, one(math.pi / 2), one(1), one(1), still),
        torch.rot90(x, -1, (2, 3)),
        atol=1e-5,
        rtol=0,
    )
    torch.testing.assert_close(
        resample(x, one(), one(1), one(-1), still), x.flip(3), atol=1e-5, rtol=0
    )
    moved = resample(x, one(), one(1), one(1), torch.tensor([[0.25, 0.5]]).expand(2, 2))
    # a quarter of half a side: one pixel of 8
    torch.testing.assert_close(moved[:, :, 2:, 1:], x[:, :, :-2, :-1], atol=1e-5, rtol=0)


def test_resampling_is_torchs_grid_sample():
    x = torch.randn(2, 2, 8, 8)
    angle, scale, shift = (
        torch.tensor([0.2, -0.3]),
        torch.tensor([1.2, 0.8]),
        torch.tensor([[0.1, -0.2], [0.3, 0.05]]),
    )
    rows = []
    for a, s, (dx, dy) in zip(angle.tolist(), scale.tolist(), shift.tolist(), strict=True):
        cos, sin = math.cos(a) / s, math.sin(a) / s
        rows.append([[cos, sin, -cos * dx - sin * dy], [-sin, cos, sin * dx - cos * dy]])
    grid = F.affine_grid(torch.tensor(rows), [2, 2, 8, 8], align_corners=False)
    expected = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    torch.testing.assert_close(
        resample(x, angle, scale, one(1), shift), expected, atol=1e-4, rtol=1e-4
    )


def test_cutout_takes_a_square_of_half_the_side():
    mask = kept(torch.zeros(2, 1, 8, 8), torch.zeros(2, 2), torch.tensor([1.0, 0.0]))
    assert (mask[0, 0, 2:6, 2:6] == 0).all() and mask[0].sum() == 64 - 16 and mask[1].all()


def test_only_what_is_chosen_and_flips_only_when_asked():
    # all amounts in the middle: nothing moves
    x, numbers = torch.randn(2, 1, 8, 8), torch.full((2, NUMBERS), 0.5)
    numbers[:, :5], numbers[:, 2] = 0.9, 0.9
    numbers[:, 4] = 0.1
    at = torch.tensor(0.5)
    assert torch.equal(augment(x, numbers, at, flips=False), x)
    torch.testing.assert_close(augment(x, numbers, at, flips=True), x.flip(3))


def test_twice_differentiable():
    torch.manual_seed(0)
    numbers, w = (
        torch.rand(1, NUMBERS, dtype=torch.double),
        torch.randn(1, 1, 4, 4, dtype=torch.double),
    )
    x = torch.randn(1, 1, 4, 4, dtype=torch.double, requires_grad=True)

    def f(x):
        return (augment(x, numbers, ALL).double() ** 3 * w).sum()

    assert torch.autograd.gradcheck(f, x) and torch.autograd.gradgradcheck(f, x)


@pytest.mark.parametrize("amount", [0.0, 0.999])
def test_extremes_stay_finite_and_in_reach(amount):
    numbers = torch.full((1, NUMBERS), amount)
    numbers[:, :5] = 0
    out = augment(torch.ones(1, 3, 16, 16), numbers, ALL, flips=True)
    assert out.isfinite().all() and out.abs().max() < 2
