import numpy as np
import pytest
import torch

from genwright.core.errors import GenwrightError
from genwright.evaluation import distances
from genwright.evaluation.distances import Memory, nearest, prdc


def direct(real, fake, k):
    """The definitions, example by example, by differences."""

    def distance(a, b):
        return np.array([[np.sqrt(((x - y) ** 2).sum()) for y in b] for x in a])

    rr, ff, rf = distance(real, real), distance(fake, fake), distance(real, fake)
    # the first is the example itself
    real_radius, fake_radius = np.sort(rr, 1)[:, k], np.sort(ff, 1)[:, k]
    inside = rf < real_radius[:, None]
    return {
        "precision": inside.any(0).mean(),
        "recall": (rf < fake_radius[None]).any(1).mean(),
        "density": inside.sum(0).mean() / k,
        "coverage": inside.any(1).mean(),
    }


@pytest.mark.parametrize("shift, scale", [(0.0, 1.0), (0.0, 0.3), (1.0, 1.0)])
def test_prdc_is_the_definition_in_any_blocks(monkeypatch, shift, scale):
    generator = torch.Generator().manual_seed(1)
    real, fake = (
        torch.randn(83, 3, generator=generator),
        shift + scale * torch.randn(61, 3, generator=generator),
    )
    expected = direct(real.double().numpy(), fake.double().numpy(), 5)
    assert prdc(real, fake) == pytest.approx(expected, abs=1e-12)
    monkeypatch.setattr(distances, "BLOCK", 7)
    assert prdc(real, fake) == pytest.approx(expected, abs=1e-12)


def test_precision_and_recall_tell_apart_what_is_narrow_and_what_is_beside():
    real = torch.randn(500, 4, generator=torch.Generator().manual_seed(2))
    narrow, beside = prdc(real, 0.1 * real), prdc(real, real + 100)
    assert narrow["precision"] > 0.99 and narrow["recall"] < 0.3 and narrow["coverage"] < 0.3
    assert beside == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_too_few():
    with pytest.raises(GenwrightError, match="too few"):
        prdc(torch.randn(5, 2), torch.randn(50, 2))


def test_nearest_is_exact_far_from_the_origin_and_in_any_blocks(monkeypatch):
    generator = torch.Generator().manual_seed(3)
    points = 1000 + 1e-3 * torch.randn(200, 2, generator=generator).double()
    queries = points[::7] + 1e-6 * torch.randn(29, 2, generator=generator)
    whole = torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist").sort(1)
    for block in (2048, 6):
        monkeypatch.setattr(distances, "BLOCK", block)
        distance, index = nearest(queries, points, 3)
        assert torch.equal(index, whole.indices[:, :3])
        assert torch.allclose(distance, whole.values[:, :3], rtol=1e-4, atol=0)


def test_nearest_of_copies_is_near_zero():
    x = torch.rand(50, 3, 8, 8, generator=torch.Generator().manual_seed(4)) * 2 - 1
    distance, index = nearest(x, x)
    assert torch.equal(index[:, 0], torch.arange(50)) and float(distance.max()) < 1e-5


def pictures(n, seed):
    """Smooth random fields: neighbours differ."""
    return torch.nn.functional.interpolate(
        torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed)), 8
    )


def test_copies_are_memorised_fresh_ones_and_blurred_ones_are_not():
    train, held_out, fresh = pictures(400, 1), pictures(300, 2), pictures(300, 3)
    memory = Memory(train, held_out)
    assert (
        memory.share(train[:300] + 0.05 * torch.randn(300, 1, 8, 8)) > 0.99
        and 0.05 <= memory.floor < 0.06
    )
    assert memory.share(fresh) < 0.1
    blurred = 0.3 * fresh  # nearer to every training example than a fresh one is
    assert float(nearest(blurred, train)[0].mean()) < float(nearest(held_out, train)[0].mean())
    assert memory.share(blurred) < 0.1


def test_half_copied():
    train, held_out = pictures(400, 1), pictures(300, 2)
    share = Memory(train, held_out).share(torch.cat([train[:100], pictures(100, 5)]))
    assert 0.5 <= share < 0.58


def test_an_example_that_is_there_many_times_is_still_recognised():
    one = torch.ones(1, 2)
    memory = Memory(
        one.repeat(60, 1), torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    )
    assert memory.share(one) == 1.0


def test_nothing_held_out():
    with pytest.raises(GenwrightError, match="nothing tells"):
        Memory(torch.randn(10, 2), torch.randn(0, 2))
