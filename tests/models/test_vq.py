"""The VQ autoencoder against brute force and enumeration."""

import itertools
import math

import pytest
import torch

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.vq import Codebook, Scalars, VQSettings

PICTURES = Space(shape=(3, 16, 8))
SMALL = {"width": 4, "blocks": 1, "codes": 16, "code_width": 4}


def network(**settings):
    torch.manual_seed(0)
    return VQSettings(**SMALL | settings).build(PICTURES)


@pytest.mark.parametrize("normalised", [True, False])
def test_nearest_code_is_the_one_of_brute_force(normalised):
    torch.manual_seed(1)
    book = Codebook(37, 5, normalised)
    z = book.bound(torch.randn(3, 11, 5))
    found = book.nearest(z)
    for i, j in itertools.product(range(3), range(11)):
        distances = [math.dist(z[i, j].tolist(), code.tolist()) for code in book.codebook]
        assert found[i, j] == distances.index(min(distances))
    assert torch.equal(book.nearest(book.codebook), torch.arange(37))
    if normalised:
        assert torch.allclose(book.codebook.norm(dim=1), torch.ones(37))


@pytest.mark.parametrize("levels", [(8, 8, 8), (8, 5, 5, 5), (2, 3), (2,), (7,)])
def test_scalar_codes_and_their_vectors_are_one_to_one(levels):
    book = Scalars(levels)
    vectors = book.vectors(torch.arange(book.size))
    assert book.size == math.prod(levels) and len(vectors.unique(dim=0)) == book.size
    # mixed radix, the first coordinate fastest; evenly spaced in [-1, 1]
    grid = [
        tuple(reversed(digits))
        for digits in itertools.product(*(range(level) for level in reversed(levels)))
    ]
    expected = [
        [2 * digit / (level - 1) - 1 for digit, level in zip(digits, levels, strict=True)]
        for digits in grid
    ]
    assert torch.allclose(vectors, torch.tensor(expected), atol=1e-6)
    assert torch.equal(book.nearest(vectors), torch.arange(book.size))


@pytest.mark.parametrize("levels", [(8, 8, 8), (8, 5, 5, 5), (2, 3)])
def test_every_scalar_code_can_be_reached_and_none_beyond(levels):
    book = Scalars(levels)
    torch.manual_seed(0)
    z = book.bound(torch.randn(200_000, len(levels)) * 2)
    assert len(book.nearest(z).unique()) == book.size
    for far in (-1e4, 1e4):
        assert book.nearest(book.bound(torch.full((1, len(levels)), far))) == (
            0 if far < 0 else book.size - 1
        )


def test_a_scalar_code_is_the_nearest_of_all():
    book = Scalars((5, 4, 3))
    torch.manual_seed(2)
    z = book.bound(torch.randn(500, 3))
    assert torch.equal(book.nearest(z), torch.cdist(z, book.vectors(torch.arange(60))).argmin(1))


def test_an_encoder_of_zeros_takes_a_middle_code():
    assert torch.allclose(
        Scalars((5, 4)).bound(torch.zeros(1, 2)), torch.tensor([[0.0, -1 / 3]]), atol=1e-6
    )


@pytest.mark.parametrize("bottleneck", ["vq", "fsq"])
def test_the_gradient_passes_straight_through(bottleneck):
    net = network(bottleneck=bottleneck, levels=(5, 5, 5), normalised=False)
    with torch.no_grad():  # residual branches begin at zero
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    x = torch.randn(2, 3, 16, 8)
    z, codes, made, vectors = net(x, decode=True)
    probe = torch.randn_like(made)
    (through,) = torch.autograd.grad((made * probe).sum(), z, retain_graph=True)
    at = vectors.detach().clone().requires_grad_(True)
    again = net.decode(at)
    (expected,) = torch.autograd.grad((again * probe).sum(), at)
    assert torch.allclose(made, again, atol=1e-5) and torch.allclose(
        through, expected, rtol=1e-4, atol=1e-5
    )
    assert (
        expected.abs().sum() > 0
        and torch.autograd.grad((made * probe).sum(), net.encoder[0].weight)[0].abs().sum() > 0
    )


@pytest.mark.parametrize("bottleneck", ["vq", "fsq"])
def test_codes_make_the_pictures_that_learning_sees(bottleneck):
    net = network(bottleneck=bottleneck)
    x = torch.randn(3, 3, 16, 8)
    z, codes = net(x)
    assert net.grid == (4, 2) and codes.shape == (3, 8) and z.shape == (3, 8, net.bottleneck.width)
    assert (
        torch.allclose(net(codes=codes), net(x, decode=True)[2], atol=1e-6)
        and net(codes=codes).shape == x.shape
    )


def test_a_code_takes_the_running_mean_of_its_latents_and_idle_ones_begin_anew():
    book = Codebook(3, 1, normalised=False)
    candidates = torch.tensor([[10.0], [20.0], [30.0]])

    def step(counts, sums):
        return book.learn(torch.tensor(counts), torch.tensor(sums)[:, None], candidates, 0.5, 4)

    step([2, 0, 0], [4.0, 0.0, 0.0])
    # never chosen: begun at their candidates
    assert book.codebook[:, 0].tolist() == [2.0, 20.0, 30.0]
    candidates += 1
    step([1, 1, 0], [6.0, 22.0, 0.0])
    # masses .5 * 1 + .5 * 1 and .5 * .5 + .5 * 1; sums .5 * 2 + .5 * 6 and .5 * 10 + .5 * 22
    assert book.codebook[:, 0].tolist() == pytest.approx([4.0, 16 / 0.75, 30.0])
    step([1, 0, 0], [4.0, 0.0, 0.0])
    assert book.idle.tolist() == [0, 1, 3] and book.codebook[2] == 30
    step([1, 0, 0], [4.0, 0.0, 0.0])
    assert book.codebook[2] == 31 and book.codebook[1].item() == pytest.approx(16 / 0.75)
    for _ in range(400):  # the mass of an idle code vanishes, its place does not become nan
        step([1, 0, 0], [4.0, 0.0, 0.0])
    assert book.codebook.isfinite().all()


@pytest.mark.parametrize(
    "space, settings, word",
    [
        (PICTURES, {"halvings": 4}, "16x8"),
        (Space(shape=(3, 30, 30)), {}, "30x30"),
        (Space(shape=(2,)), {}, "arrays"),
        (Space(vocabulary=9), {}, "arrays"),
        (PICTURES, {"bottleneck": "fsq", "levels": (8, 1)}, "levels"),
    ],
)
def test_what_cannot_be_made_is_refused(space, settings, word):
    with pytest.raises(GenwrightError, match=word):
        VQSettings(**settings).build(space)


def test_resolution_and_channels_are_settings():
    for shape, halvings in (((1, 28, 28), 2), ((3, 64, 64), 3), ((3, 8, 24), 1)):
        net = VQSettings(**SMALL, halvings=halvings).build(Space(shape=shape))
        _, codes = net(torch.zeros(1, *shape))
        assert codes.shape[1] == (shape[1] >> halvings) * (shape[2] >> halvings) and net(
            codes=codes
        ).shape == (1, *shape)
