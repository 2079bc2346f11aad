"""Variational networks of one layer: shapes, resolutions, the equivalence of their three calls."""

import pytest
import torch

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.registry import settings_of
from genwright.models.autoencoder import MlpVae
from genwright.models.ladder import ConvVae

KINDS = {
    "mlp-vae": {"width": 16},
    "conv-vae": {"width": 4, "units": 5},
    "ladder-vae": {"width": 8, "depth": 1},
}


def network(kind, shape=(1, 28, 28), outputs=1, attributes=None):
    torch.manual_seed(0)
    out = settings_of("model", kind)(**KINDS[kind]).build(
        Space(shape=shape, attributes=attributes or {}), outputs=outputs
    )
    for p in out.parameters():  # residual branches begin at zero: give every weight a say
        p.data += 0.05 * torch.randn_like(p)
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 64, 64)])
def test_three_ways_to_ask_at_every_resolution(kind, shape):
    vae = network(kind, shape, 2, {"tone": ("dark", "light")})
    x, condition = torch.randn(3, *shape).clamp(-1, 1), torch.eye(2)[[0, 1, 0]]
    noise = Draws(0, 0, torch.arange(3)).normal("noise", 4, vae.units)
    sampled = vae(x, condition, noise=noise)
    assert sampled.parameters.shape == (3, 4, 2, *shape) and sampled.log_ratio.shape == (3, 4)
    assert (
        sampled.kl.shape == (3, vae.units)
        and sampled.latent.shape == (3, 4, vae.units)
        and (sampled.kl >= -1e-5).all()
    )
    kept = vae(None, condition, state=vae(x, condition), noise=noise)
    assert all(torch.equal(a, b) for a, b in zip(sampled, kept, strict=True))
    decoded = vae(None, condition.repeat_interleave(4, 0), latent=sampled.latent.flatten(0, 1))
    assert torch.allclose(decoded.view_as(sampled.parameters), sampled.parameters, atol=1e-3)
    assert not torch.allclose(vae(x, 1 - condition, noise=noise).parameters, sampled.parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_ratio_averages_to_the_divergence(kind):
    vae = network(kind)
    with torch.no_grad():
        sampled = vae(
            torch.rand(2, 1, 28, 28),
            noise=Draws(0, 0, torch.arange(2)).normal("noise", 1000, vae.units),
        )
    kl = sampled.kl.sum(1)
    assert (
        (sampled.log_ratio.mean(1) - kl).abs() < 5 * sampled.log_ratio.std(1) / 1000**0.5 + 1e-3
    ).all() and (kl > 0.1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_stays_near_fp32_and_leaves_latents_exact(kind):
    vae, half = network(kind), network(kind).bfloat16()
    noise = Draws(0, 0, torch.arange(2)).normal("noise", 1, vae.units)
    x = torch.rand(2, 1, 28, 28).round()
    a, b = vae(x, noise=noise), half(x, noise=noise)
    assert b.parameters.dtype == b.log_ratio.dtype == b.latent.dtype == torch.float32
    assert (a.parameters - b.parameters).abs().max() < 0.25 * a.parameters.abs().max() + 0.1


@pytest.mark.parametrize("kind", ["conv-vae", "ladder-vae"])
@pytest.mark.parametrize("shape", [(1, 30, 30), (1, 7, 7), (1, 6, 6), (1, 28, 30), (2,)])
def test_a_resolution_that_cannot_be_made_is_said(kind, shape):
    with pytest.raises(GenwrightError, match="makes arrays whose sides are multiples"):
        network(kind, shape)


def test_pictures_do_not_depend_on_their_neighbours():
    for settings in (MlpVae(width=16), ConvVae(width=4)):
        vae = settings.build(Space(shape=(1, 28, 28)))
        x, noise = torch.rand(4, 1, 28, 28), torch.randn(4, 2, vae.units)
        assert torch.allclose(
            vae(x, noise=noise).log_ratio[:1], vae(x[:1], noise=noise[:1]).log_ratio, atol=1e-4
        )
