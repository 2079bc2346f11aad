import pytest
import torch

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.residual import Block, ResidualDiscriminator, ResidualGenerator


def space(side, channels=3, **attributes):
    return Space(shape=(channels, side, side), attributes=attributes)


@pytest.mark.parametrize(
    "side, patch, start",
    [(4, 1, 4), (8, 2, 4), (14, 2, 7), (28, 1, 7), (28, 2, 7), (32, 2, 4), (64, 2, 4)],
)
def test_resolution_comes_from_the_space(side, patch, start):
    g = ResidualGenerator(width=4, patch=patch).build(space(side), latent=5)
    d = ResidualDiscriminator(width=4, patch=patch).build(space(side), packing=2)
    assert g.basis.shape[1:] == d.basis.shape[1:] == (start, start)
    x = g(torch.randn(4, 5))
    assert x.shape == (4, 3, side, side)
    assert d(x.reshape(2, 6, side, side)).shape == (2,)


@pytest.mark.parametrize(
    "shape, patch",
    [((3, 30, 30), 2), ((3, 32, 16), 2), ((2,), 2), ((3, 4, 4), 2), ((1, 56, 56), 1)],
)
def test_resolution_that_cannot_be_made(shape, patch):
    with pytest.raises(GenwrightError, match=r"cannot make.*codec.size.*28, 32, 64"):
        ResidualGenerator(patch=patch).build(Space(shape=shape), latent=4)


def test_a_block_starts_as_the_identity_and_groups_keep_channels_apart():
    torch.manual_seed(0)
    block, x = Block(8, 2, 4, 1.0), torch.randn(2, 8, 4, 4)
    assert torch.equal(block(x), x)
    assert block.mix.groups == 4 and block.mix.weight.shape == (16, 4, 3, 3)
    assert [Block(width, 1, 16, 1.0).mix.groups for width in (8, 16, 56, 64)] == [1, 1, 1, 4]


def test_folded_pixels_start_equal():
    torch.manual_seed(0)
    x = ResidualGenerator(width=4).build(space(16), latent=5)(torch.randn(2, 5))
    assert torch.equal(x[:, :, ::2, ::2], x[:, :, 1::2, 1::2]) and x.std() > 0.1


def test_signal_keeps_its_size_through_deep_networks():
    torch.manual_seed(0)
    g = ResidualGenerator(width=8, blocks=6).build(space(32), latent=64)
    d = ResidualDiscriminator(width=8, blocks=6).build(space(32))
    for network in (g, d):  # as if every last map had been trained to the usual gain
        for block in network.modules():
            if isinstance(block, Block):
                torch.nn.init.normal_(block.down.weight, std=block.down.in_channels**-0.5)
    x = g(torch.randn(64, 64))
    assert 0.2 < x.std() < 8
    assert 0.05 < d(torch.randn(64, 3, 32, 32)).std() < 30


def test_examples_do_not_touch_each_other_and_conditions_do_their_work():
    torch.manual_seed(0)
    s = space(16, 1, colour=("red", "blue"))
    g = ResidualGenerator(width=4).build(s, latent=4)
    d = ResidualDiscriminator(width=4).build(s, packing=1)
    z, c = torch.randn(3, 4), torch.eye(2)[[0, 1, 0]]
    x = g(z, c)
    torch.testing.assert_close(g(z[1:2], c[1:2]), x[1:2])
    torch.testing.assert_close(d(x, c)[2:], d(x[2:], c[2:]))
    assert not torch.allclose(g(z, 1 - c), x) and not torch.allclose(d(x, 1 - c), d(x, c))


def test_gradients_of_gradients():
    torch.manual_seed(0)
    d = ResidualDiscriminator(width=2, group=2, expansion=2).build(space(8, 1)).double()
    for block in d.modules():
        if isinstance(block, Block):
            torch.nn.init.normal_(block.down.weight, std=0.3)
    x = torch.randn(1, 1, 8, 8, dtype=torch.double, requires_grad=True)
    weight = d.first.weight

    def penalty():
        (slope,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
        return slope.square().sum()

    (exact,) = torch.autograd.grad(penalty(), weight)
    with torch.no_grad():
        weight[0, 0, 1, 1] += 1e-6
    high = penalty().item()
    with torch.no_grad():
        weight[0, 0, 1, 1] -= 2e-6
    assert exact[0, 0, 1, 1].item() == pytest.approx((high - penalty().item()) / 2e-6, rel=1e-4)
