"""Points from known distributions: their means, spreads and noise are those of the published
protocols."""

import math
from types import SimpleNamespace

import pytest
import torch

from genwright.contents.points.codec import Points, PointsCodec
from genwright.contents.points.data import PointsData
from genwright.core.contracts import Source, describe
from genwright.core.errors import GenwrightError


def prepare(**settings):
    return PointsData(**{"points": 20_000} | settings).prepare(Points())


@pytest.mark.parametrize(
    "source, modes, std", [("ring", 8, 0.01), ("grid", 25, 0.05), ("8gaussians", 8, math.sqrt(0.1))]
)
def test_mixtures(source, modes, std):
    data = prepare(source=source)
    x = data.split("train").x(range(20_000))
    distance = torch.cdist(x, data.means)
    nearest = distance.argmin(1)
    assert data.means.shape == (modes, 2) and data.std == std
    share = nearest.bincount(minlength=modes) / 20_000
    assert (share - 1 / modes).abs().max() < 5 * math.sqrt(1 / modes / 20_000)
    noise = x - data.means[nearest]
    assert noise.std() == pytest.approx(std, rel=0.03) and noise.mean().abs() < 5 * std / 140
    if std < 0.1:  # within three standard deviations: 1 - exp(-9/2)
        assert (distance.amin(1) < 3 * std).float().mean() == pytest.approx(
            1 - math.exp(-4.5), abs=0.004
        )


def test_means_are_pacgans():
    ring = prepare().means
    assert torch.allclose(ring.norm(dim=1), torch.ones(8)) and torch.allclose(
        ring[1], torch.full((2,), math.sqrt(0.5))
    )
    grid = prepare(source="grid").means
    assert {tuple(p) for p in grid.tolist()} == {
        (float(a), float(b)) for a in (-4, -2, 0, 2, 4) for b in (-4, -2, 0, 2, 4)
    }
    assert prepare(scale=2, std=0.02).means.norm(dim=1).max() == pytest.approx(2)


def test_moons():
    x = (prepare(source="moons").split("train").x(range(20_000)) + 1) / 3
    # one number is added to both coordinates: go back along the diagonal to the nearest of the two
    # half circles
    noise = []
    for centre, up in (((0.0, 0.0), 1), ((1.0, 0.5), -1)):
        a, b = x[:, 0] - centre[0], x[:, 1] - centre[1]
        root = ((a + b).square() - 2 * (a.square() + b.square() - 1)).clamp(0).sqrt()
        for s in ((a + b - root) / 2, (a + b + root) / 2):
            fits = (
                (s > -1e-4)
                & (s < 0.2001)
                & (up * (b - s) > -1e-3)
                & (((a - s).square() + (b - s).square() - 1).abs() < 1e-3)
            )
            noise.append(torch.where(fits, s, torch.nan))
    noise = torch.stack(noise)
    assert (~noise.isnan()).any(0).all()  # every point is explained
    assert prepare(source="moons").means is None and x.std(0).tolist() == pytest.approx(
        [0.868, 0.498], abs=0.01
    )


def test_stream_and_start():
    data = prepare(source="moons", start="8gaussians")
    batch = data.stream(64, 0).batch(5, torch.arange(64))
    part = data.stream(64, 0).batch(5, torch.tensor([9, 3]))
    assert (
        set(batch) == {"x", "start"}
        and torch.equal(batch["start"][[9, 3]], part["start"])
        and torch.equal(batch["x"][[9, 3]], part["x"])
    )
    assert batch["start"].norm(dim=1).min() > 3.5 and batch["start"].norm(dim=1).max() < 6.5
    assert not torch.equal(data.stream(64, 0).batch(6, torch.arange(64))["start"], batch["start"])
    assert set(prepare().stream(8, 0).batch(0, torch.arange(8))) == {"x"}
    held = data.held_out()
    assert held.windows == 10_000 and held.batch(9_990, 10_010)["start"].shape == (10, 2)
    assert not torch.equal(data.split("held_out").x([0]), data.split("train").x([0]))


def test_points_are_their_own_documents():
    stream = prepare(source="moons", points=50).stream(4, 0)
    numbers = stream.indices(3, torch.arange(4)).tolist()
    assert stream.sources(3, torch.arange(4)) == [Source(f"point {number}") for number in numbers]
    assert describe(stream, 3, torch.arange(4)) == ", ".join(f"point {n}" for n in numbers)


def test_prepare_and_codec(tmp_path):
    with pytest.raises(GenwrightError, match="set codec=points"):
        PointsData().prepare(SimpleNamespace(kind="bytes"))
    data = prepare(points=10)
    assert (
        PointsData(points=10).prepare(Points()).digest == data.digest != prepare(points=11).digest
    )
    data.codec.save(tmp_path / "codec")
    assert isinstance(
        Points().load(tmp_path / "codec"), PointsCodec
    ) and data.codec.space.shape == (2,)
    assert data.codec.decode(data.codec.encode((1.5, 2))[None]) == [(1.5, 2.0)]
