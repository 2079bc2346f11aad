"""Ways through a latent space, against closed forms."""

import math

import pytest
import torch
from torch import nn

from genwright.core.contracts import Latent, Space
from genwright.core.errors import GenwrightError
from genwright.sampling import latent
from genwright.sampling.drawing import Drawing

SPACE = Space(shape=(1, 2, 2), attributes={"kind": ("a", "b")})


def draw(objective, count, condition, negative, settings):
    return latent.decoded(
        objective, SPACE, latent.latents(objective, count, settings), condition, negative, settings
    )


class Linear(nn.Module):
    """Content = latent @ weight + condition: what comes out says what went in."""

    def __init__(self, size=4):
        super().__init__()
        self.weight = nn.Parameter(torch.diag(torch.tensor([1.0, 4.0, 2.0, 0.0])[:size]))


class Objective(Latent):
    latent, axes = (4,), 4

    def __init__(self):
        self.modules, self.calls = {"net": Linear()}, []

    def decode(self, z, condition, negative, settings):
        assert not torch.is_grad_enabled()
        self.calls.append((len(z), condition.shape, None if negative is None else negative.shape))
        return (z @ self.modules["net"].weight).view(-1, 1, 2, 2) + condition[:, :1, None, None]

    def invert(self, x, condition, draws, settings):
        return (x - condition[:, :1, None, None]).flatten(1) / torch.tensor([1.0, 4.0, 2.0, 1.0])


def test_a_sample_depends_on_its_number_alone_and_batches_are_bounded():
    objective, settings = Objective(), Drawing(seed=5)
    many = draw(objective, 150, None, torch.ones(1, 2), settings)
    few = draw(objective, 3, None, None, settings)
    assert torch.equal(many[:3], few) and many.shape == (150, 1, 2, 2)
    assert objective.calls[:3] == [
        (64, (64, 2), (64, 2)),
        (64, (64, 2), (64, 2)),
        (22, (22, 2), (22, 2)),
    ]
    assert torch.equal(
        latent.latents(objective, 2, settings, first=1), latent.latents(objective, 3, settings)[1:]
    )
    assert not torch.equal(few, draw(objective, 3, None, None, Drawing(seed=6)))
    condition = torch.tensor([[7.0, 0.0]])
    assert torch.allclose(draw(objective, 3, condition, None, settings), few + 7)


def test_the_spherical_way_by_hand():
    a, b = torch.tensor([[1.0, 0.0]] * 3), torch.tensor([[0.0, 2.0]] * 3)
    out = latent.spherical(a, b, torch.tensor([0.0, 0.5, 1.0]))
    root = math.sqrt(0.5)
    assert torch.allclose(out, torch.tensor([[1.0, 0.0], [root, 2 * root], [0.0, 2.0]]), atol=1e-6)
    same = latent.spherical(a, a * 3, torch.tensor([0.0, 0.5, 1.0]))
    assert torch.allclose(same, torch.tensor([[1.0, 0], [2.0, 0], [3.0, 0]])), (
        "parallel: the straight line"
    )
    torch.manual_seed(0)
    u, v = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    norms = latent.interpolate(u, v, 9).flatten(1).norm(dim=1)
    assert norms.min() > 0.97 * min(u.norm(), v.norm()), (
        "a straight line's middle would have 0.7 of it"
    )


def test_a_walk_is_a_closed_loop_of_even_steps():
    torch.manual_seed(0)
    stops = torch.randn(4, 512)
    way = latent.walk(stops, 40)
    assert way.shape == (40, 512) and torch.allclose(way[::10], stops, atol=1e-6)
    steps = (way - way.roll(1, 0)).norm(dim=1)
    assert steps.max() < 1.5 * steps.min(), (
        "the step from the last frame to the first is like any other"
    )


def test_traversal_sets_one_coordinate_and_keeps_the_others():
    base, values = torch.tensor([[5.0, 6.0, 7.0]]), torch.tensor([-3.0, 0.0, 3.0])
    out = latent.traverse(base, torch.eye(3)[1:2], values)
    assert torch.equal(out, torch.tensor([[5.0, -3, 7], [5, 0, 7], [5, 3, 7]]))
    slant = torch.tensor([[0.6], [0.8], [0.0]]).T  # as a decomposition leaves it: not contiguous
    out = latent.traverse(base, slant, values)
    assert torch.allclose(out @ slant[0], values, atol=1e-5) and torch.allclose(
        out[:, 2], torch.tensor(7.0)
    )


def test_the_most_active_dimensions_come_first():
    objective = Objective()
    along, order = latent.axes(objective, SPACE, torch.zeros(1, 4), 3, None, Drawing())
    assert order == [1, 2, 0] and torch.equal(along, torch.eye(4)[[1, 2, 0]])
    objective.latent, objective.axes = (3, 32, 32), 3 * 32 * 32
    with pytest.raises(GenwrightError, match="3,072 dimensions"):
        latent.axes(objective, SPACE, torch.zeros(1, 3, 32, 32), 3, None, Drawing())


def test_inversion_returns_and_variation_keeps_the_prior():
    objective = Objective()
    z = torch.tensor([[1.0, -2.0, 0.5, 0.0]])
    x = latent.decoded(objective, SPACE, z, torch.tensor([[2.0, 0.0]]), None, Drawing())
    assert torch.allclose(
        latent.invert(objective, SPACE, x, torch.tensor([[2.0, 0.0]]), Drawing()), z
    )
    torch.manual_seed(0)
    noise = torch.randn(4000, 16)
    assert torch.equal(
        latent.vary(noise[:1], noise, 0.0), noise[:1].expand(4000, 16)
    ) and torch.equal(latent.vary(noise[:1], noise, 1.0), noise)
    assert latent.vary(torch.randn(4000, 16), noise, 0.6).std() == pytest.approx(1, abs=0.02)
