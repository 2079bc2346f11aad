import pytest
import torch

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.mlp import Layers, MLPDiscriminator, MLPGenerator

POINTS = Space(shape=(2,))
NAMED = Space(shape=(2,), attributes={"side": ("left", "right"), "size": ("s", "m", "l")})


def test_maxout_takes_the_largest_of_neighbouring_affine_maps():
    layer = Layers(2, 3, 1, "relu", pieces=4)
    x = torch.randn(5, 2)
    affine = x @ layer.affine[0].weight.T + layer.affine[0].bias
    assert torch.equal(
        layer(x), torch.stack([affine[:, 4 * i : 4 * i + 4].max(1).values for i in range(3)], 1)
    )


def test_sizes_of_pacgans_networks():
    g = MLPGenerator(width=400, depth=4).build(POINTS, latent=2)
    d = MLPDiscriminator(width=200, depth=3, maxout=5).build(POINTS, packing=2)
    assert sum(p.numel() for p in g.parameters()) == 3 * 400 + 3 * 401 * 400 + 401 * 2
    assert sum(p.numel() for p in d.parameters()) == 5 * 1000 + 2 * 201 * 1000 + 200
    assert g(torch.zeros(6, 2)).shape == (6, 2) and d(torch.zeros(3, 4)).shape == (3,)


def test_condition_enters_the_discriminator_by_projection():
    d = MLPDiscriminator(width=8, depth=2).build(NAMED, packing=1)
    x, nothing = torch.randn(4, 2), torch.zeros(4, 5)
    a, b = torch.eye(5)[[0, 1, 0, 1]], torch.eye(5)[[2, 3, 4, 2]]

    def score(c):
        return d(x, c) - d(x, nothing)

    torch.testing.assert_close(score(a + b), score(a) + score(b))  # linear in the condition
    torch.testing.assert_close(score(a), (d.embed(a) * d.layers(x)).sum(1))
    assert score(a).abs().min() > 1e-4


def test_generator_follows_its_condition_and_its_latent_columns_come_first():
    g = MLPGenerator(width=8, depth=2).build(NAMED, latent=3)
    z = torch.randn(2, 3)
    assert not torch.allclose(g(z, torch.eye(5)[:2]), g(z, torch.eye(5)[2:4]))
    with torch.no_grad():
        g.first.weight[:, :3] = 0
    c = torch.eye(5)[:2]
    assert torch.equal(g(z, c), g(torch.randn(2, 3), c))


def test_content_without_a_shape_is_refused():
    with pytest.raises(GenwrightError, match="fixed shape"):
        MLPGenerator().build(Space(vocabulary=10), latent=2)
