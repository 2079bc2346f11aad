"""Velocity networks: shapes, sizes they cannot make, conditions, precision of time, gradients."""

import pytest
import torch

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.unet import UNetSettings
from genwright.models.velocity import MlpVelocity

ATTRIBUTES = {"group": ("a", "b"), "tone": ("c", "d", "e")}


def awake(network):
    """The same network with no layer at its initial zero, so that everything reaches the output."""
    torch.manual_seed(0)
    for p in network.parameters():
        p.data.add_(0.05 * torch.randn_like(p))
    return network


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 64, 64), (4, 8, 8)])
def test_unet_shapes(shape):
    network = UNetSettings(width=8).build(Space(shape=shape, attributes=ATTRIBUTES))
    x = torch.randn(2, *shape)
    out = network(x, time=torch.rand(2), condition=torch.ones(2, 5))
    assert out.shape == x.shape
    assert not out.any()  # an untrained velocity is none
    assert awake(network)(x, time=torch.rand(2), condition=torch.ones(2, 5)).abs().min() > 0


@pytest.mark.parametrize(
    "settings",
    [
        UNetSettings(width=8),
        UNetSettings(width=8, levels=1, patch=1, attention=False),
        UNetSettings(width=8, levels=3, blocks=1),
        MlpVelocity(width=8),
    ],
)
def test_every_input_and_weight_matters(settings):
    shape = (2,) if settings.kind == "mlp-velocity" else (1, 8, 8)
    network = awake(settings.build(Space(shape=shape, attributes=ATTRIBUTES)))
    x, t, c = torch.randn(3, *shape), torch.tensor([0.1, 0.5, 0.9]), torch.eye(5)[:3]
    out = network(x, time=t, condition=c)
    out.square().sum().backward()
    for name, p in network.named_parameters():
        assert p.grad is not None and float(p.grad.abs().sum()) > 0, name
    assert not torch.equal(network(x, time=1 - t, condition=c), out)
    assert not torch.allclose(network(x, time=t, condition=c.flip(0)), out)
    nothing = torch.zeros(3, 5)
    assert torch.allclose(network(x, time=t, condition=nothing), network(x, time=t, condition=None))
    alone = torch.cat(
        [network(x[i : i + 1], time=t[i : i + 1], condition=c[i : i + 1]) for i in range(3)]
    )
    assert torch.allclose(alone, out, atol=1e-5)  # examples do not see each other
    assert set(network.groups()) == {n for n, _ in network.named_parameters()}


def test_close_times_differ_in_bfloat16():
    network = awake(MlpVelocity(width=16).build(Space(shape=(2,)))).bfloat16()
    context = network.context(torch.tensor([0.5, 0.501]), None)
    assert not torch.equal(context[0], context[1])  # as bfloat16 numbers the two times are equal
    assert (
        network(torch.zeros(2, 2).bfloat16(), time=torch.tensor([0.5, 0.501])).dtype
        == torch.bfloat16
    )


def test_sizes_a_network_cannot_make():
    with pytest.raises(
        GenwrightError,
        match=(
            r"model.kind=unet .*multiples of 4 here.* not 3x30x30.*"
            r"such a number, lower model.levels"
        ),
    ):
        UNetSettings().build(Space(shape=(3, 30, 30)))
    with pytest.raises(
        GenwrightError, match="model.kind=unet makes arrays .* not 2; .*another model.kind"
    ):
        UNetSettings().build(Space(shape=(2,)))
    with pytest.raises(GenwrightError, match="use model.kind=unet"):
        MlpVelocity().build(Space(shape=(3, 32, 32)))
