import io
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.progress import showing
from genwright.data.examples import Split
from genwright.evaluation import features
from genwright.evaluation.features import Network, Recognition, extractor, right, spans, turned

ATTRIBUTES = {"side": ("left", "right"), "marks": ("a", "b", "c")}


def bars(n, seed, attributes=ATTRIBUTES):
    """8x8 pictures: a bright half says the side, bright corner pixels say which marks (any number
    of them)."""
    draw = torch.Generator().manual_seed(seed)
    side, marks = torch.randint(2, (n,), generator=draw), torch.rand(n, 3, generator=draw) < 0.4
    x = 0.3 * torch.randn(n, 1, 8, 8, generator=draw) - 0.5
    for i in range(n):
        x[i, 0, :, slice(0, 4) if side[i] == 0 else slice(4, 8)] += 1
        for m in range(3):
            x[i, 0, 2 * m : 2 * m + 2] += 3.0 * marks[i, m]
    condition = (
        torch.cat([torch.nn.functional.one_hot(side, 2), marks], 1).numpy().astype(np.uint8)
        if attributes
        else None
    )
    return Split(np.arange(n), lambda numbers: x[torch.from_numpy(numbers)], str, condition)


def dataset(attributes=ATTRIBUTES, digest="bars"):
    splits = {"train": bars(600, 1, attributes), "held_out": bars(200, 2, attributes)}
    return stand_in(Space(shape=(1, 8, 8), attributes=attributes), digest, splits.get)


def stand_in(space, digest="", split=None, originals=None):
    found = SimpleNamespace(
        codec=SimpleNamespace(space=space),
        digest=digest,
        own_digest=digest,
        split=split,
        unit="images",
    )
    found.originals = originals or found
    return found


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(features, "LEAST", 5_000)
    monkeypatch.setattr(features, "MOST", 5_000)


def test_it_learns_attributes_of_one_and_of_several_values_and_says_so(tmp_path):
    data, state = dataset(), torch.get_rng_state()
    found = extractor(data, tmp_path)
    assert torch.equal(torch.get_rng_state(), state), "the caller's random numbers are left alone"
    assert found.single == {"side": True, "marks": False}
    assert found.accuracy["side"][0] > 0.95 and found.accuracy["side"][1] == 200
    assert found.accuracy["marks"][0] > 0.8 and found.accuracy["marks"][1] < 200, (
        "pictures without a mark do not count"
    )
    assert 0.4 < found.majority["side"] < 0.6
    x, condition = features.of_split(data.split("held_out"))
    p = found.predict(x)
    assert torch.allclose(p[:, :2].sum(1), torch.ones(200)) and p.shape == (200, 5)
    assert float(((p[:, 2:] > 0.5) == (condition[:, 2:] > 0)).double().mean()) > 0.8, (
        "each mark stands alone"
    )
    assert (
        found.features(x).shape == (200, 64)
        and "side" in found.describe()
        and "%" in found.describe()
    )


def test_it_is_the_same_from_the_cache_and_when_made_again(tmp_path):
    first, x = extractor(dataset(), tmp_path / "a"), bars(5, 3).x(np.arange(5))
    torch.manual_seed(99)
    second = extractor(dataset(), tmp_path / "b")
    kept = sorted(p.name for p in (tmp_path / "a" / "extractors").iterdir())
    cached = extractor(dataset(), tmp_path / "a")
    for other in (second, cached):
        assert (
            torch.equal(first.features(x), other.features(x))
            and first.accuracy == other.accuracy
            and first.name == other.name
        )
    assert [k.rsplit(".")[1] for k in kept] == ["json", "safetensors"], (
        "nothing is left lying about"
    )
    assert sorted(p.name for p in (tmp_path / "a" / "extractors").iterdir()) == kept
    extractor(dataset(digest="others"), tmp_path / "a")
    assert len(list((tmp_path / "a" / "extractors").iterdir())) == 4


def test_without_attributes_it_learns_turns(tmp_path):
    found = extractor(dataset({}), tmp_path)
    share, count = found.accuracy["rotation"]
    assert share > 0.5 and count == 200 and found.majority["rotation"] == 0.25
    assert "four rotations" in found.name


def test_points_are_their_own_features(tmp_path):
    data = stand_in(Space(shape=(2,)))
    points = torch.randn(4, 2)
    assert torch.equal(extractor(data, tmp_path).features(points), points) and not list(
        tmp_path.iterdir()
    )


def test_right_by_hand():
    condition = torch.tensor([[1, 0, 1, 1, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1.0]])
    guess = torch.tensor([[0.9, 0.1, 0.2, 0.7, 0.1], [0.8, 0.2, 0, 0, 0], [0, 0, 1, 0, 0]])
    assert right(guess, condition, ATTRIBUTES) == {"side": (0.5, 2), "marks": (0.5, 2)}
    assert spans(ATTRIBUTES) == {"side": slice(0, 2), "marks": slice(2, 5)}


def test_turns_are_quarter_turns():
    x = torch.arange(4.0).view(1, 1, 2, 2).repeat(4, 1, 1, 1)
    found = turned(x, torch.arange(4))
    assert [f.flatten().tolist() for f in found["x"]] == [
        [0, 1, 2, 3],
        [1, 3, 0, 2],
        [3, 2, 1, 0],
        [2, 0, 3, 1],
    ]
    assert torch.equal(found["condition"], torch.eye(4))


def test_moves_are_whole_pixels_within_reach():
    x = torch.randn(40, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    objective = Recognition(Network((2, 32, 32), 2), {"side": ("left", "right")}, {"side": True})
    out = objective.prepare({"x": x}, Draws(0, 0, torch.arange(40)), None)["x"]
    shifts = set()
    for before, after in zip(x, out, strict=True):
        inside = after[:, 2:-2, 2:-2]
        hits = [
            m
            for m in itertools.product(range(-2, 3), repeat=2)
            if torch.equal(before.roll(m, (1, 2))[:, 2:-2, 2:-2], inside)
        ]
        assert len(hits) == 1
        shifts.update(hits)
    assert len(shifts) > 12


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 28, 28), (1, 33, 33), (3, 64, 64), (3, 128, 128)])
def test_any_square(shape):
    network = Network(shape, 3)
    scores, found = network(torch.randn(2, *shape))
    assert scores.shape == (2, 3) and found.shape == (2, 64)


def test_a_person_who_waits_sees_how_far_it_is(tmp_path, caplog):
    caplog.set_level("INFO", "genwright")
    shown = io.StringIO()
    with showing(console=Console(file=shown, force_terminal=True, width=100)):
        extractor(dataset(), tmp_path)
    assert "teaching a classifier" in shown.getvalue()
    assert caplog.messages == [features.NOTE]


def test_codes_have_the_extractor_of_their_pictures(tmp_path):
    pictures = dataset()
    found = extractor(pictures, tmp_path)
    codes = stand_in(Space(vocabulary=9, length=4), "codes", originals=pictures)
    assert extractor(codes, tmp_path).name == found.name
