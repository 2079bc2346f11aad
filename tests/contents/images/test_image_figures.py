"""Figures of samples whose quality is known, because a test made them."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genwright.contents.images import evaluate as images
from genwright.contents.images import recognised
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.images.evaluate import compare, stacked_modes
from genwright.core.contracts import Space
from genwright.data.examples import Split
from genwright.evaluation import arrays, features
from genwright.evaluation.features import extractor
from genwright.evaluation.pilot import SampleCounts

ATTRIBUTES = {"kind": ("a", "b")}


def drawn(n, seed, shares=(0.75, 0.25)):
    """8x8 pictures of two kinds: bright above, bright on the left; and which."""
    draw = torch.Generator().manual_seed(seed)
    kind = (torch.rand(n, generator=draw) < shares[1]).long()
    x = 0.3 * torch.randn(n, 1, 8, 8, generator=draw) - 0.5
    x[kind == 0, :, :4] += 1
    x[kind == 1, :, :, :4] += 1
    return x, torch.nn.functional.one_hot(kind, 2).float()


def split(x, condition):
    return Split(
        np.arange(len(x)),
        lambda numbers: x[torch.from_numpy(numbers)],
        str,
        condition.numpy().astype(np.uint8),
    )


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    splits = {"train": split(*drawn(500, 1)), "held_out": split(*drawn(200, 2))}
    space = Space(shape=(1, 8, 8), attributes=ATTRIBUTES)
    data = SimpleNamespace(
        codec=SimpleNamespace(space=space),
        digest="two kinds",
        own_digest="two kinds",
        split=splits.get,
        unit="images",
    )
    data.originals = data
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((features, "LEAST"), (features, "MOST"), (recognised, "TAUGHT")):
            patch.setattr(module, name, 5000)
        yield data, extractor(data, tmp_path_factory.mktemp("cache"))


def figures(known, x, condition):
    return {f.name: f for f in compare(known[0], x, condition, known[1])}


def test_fresh_real_examples_reach_every_ceiling(known):
    found = figures(known, *drawn(200, 3))
    for name in ("precision", "recall", "coverage", "recognised kind", "train on samples, kind"):
        f = found[name]
        (ceiling,) = f.ceilings.values()
        assert abs(f.value - ceiling) < 0.12, name
        assert f.direction == "higher" and known[1].name in f.detail or name.startswith("train")
    for name in ("Frechet distance", "kernel distance", "sliced Wasserstein"):
        f = found[name]
        assert abs(f.value - f.ceilings["real"]) < 0.2 * (
            f.floors["independent pixels"] - f.ceilings["real"]
        ), name
    assert found["memorised, by values"].value < 0.15 and found["memorised, by values"].ceilings[
        "real"
    ] == pytest.approx(0.055)
    assert found["balance of kind"].value < 0.1 and found["balance of kind"].floors[
        "one value"
    ] == pytest.approx(0.25, abs=0.1)
    assert found["recognised kind"].value > 0.95 and found["train on samples, kind"].value > 0.9


def test_copies_are_found(known):
    train = known[0].split("train")
    found = figures(known, train.x(np.arange(200)), None)
    assert (
        found["memorised, by values"].value == 1.0 and found["memorised, by features"].value == 1.0
    )


def test_samples_of_one_kind_that_were_asked_for_both(known):
    x, _ = drawn(200, 3, (1.0, 0.0))
    asked = drawn(200, 4, (0.5, 0.5))[1]
    found = figures(known, x, asked)
    assert found["recognised kind"].value == pytest.approx(float(asked[:, 0].mean()), abs=0.05)
    assert found["balance of kind"].value == pytest.approx(0.25, abs=0.05)
    assert "b 0." in found["balance of kind"].detail or "b 1." in found["balance of kind"].detail
    assert found["coverage"].value < found["coverage"].ceilings["real"] - 0.1


def test_noise_is_far_from_everything(known):
    found = figures(
        known, 3 * torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(0)), None
    )
    assert found["precision"].value == 0 and found["coverage"].value == 0
    assert not any("kind" in name for name in found), "nothing was asked for"
    assert found["Frechet distance"].value > 10 * found["Frechet distance"].ceilings["real"]


@pytest.mark.parametrize("train, held_out", [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1)])
def test_a_few_pictures_have_what_figures_they_can(known, train, held_out):
    splits = {"train": split(*drawn(train, 1)), "held_out": split(*drawn(held_out, 2))}
    data = SimpleNamespace(codec=known[0].codec, split=splits.get)
    x, condition = drawn(train, 3)
    found = {f.name for f in compare(data, x, condition, known[1])}
    assert (
        "recognised kind" in found
        and "balance of kind" in found
        and "Frechet distance" not in found
    )


def of_a_run(data, x, features, conditional=True):
    """(figures of what draws x whatever it is asked, what it was asked)."""
    asked = []

    def make(count, condition=None, first=0):
        asked.append(condition)
        return x[torch.arange(first, first + count) % len(x)]

    make.conditional = conditional
    samples, wanted = images.drawn_samples(data, make, SampleCounts())
    found = {f.name: f for f in compare(data, samples, wanted, features)}
    return found, torch.cat(asked) if conditional else asked[0]


def test_samples_are_asked_for_what_was_not_trained_on_and_by_none_who_cannot_hear(known):
    x, _ = drawn(200, 3)
    found, asked = of_a_run(known[0], x, known[1])
    held_out = known[0].split("held_out").condition(np.arange(200))
    assert len(asked) == 500 and torch.equal(asked[:100], asked[200:300]), (
        "all of them in turn, in a drawn order"
    )
    assert torch.equal(asked[:200].sort(0).values, held_out.sort(0).values) and not torch.equal(
        asked[:200], held_out
    )
    assert "asked for what held-out pictures have" in found["recognised kind"].detail
    found, asked = of_a_run(known[0], x, known[1], conditional=False)
    assert asked is None and not any("kind" in name for name in found)


def test_few_samples_for_inception_are_said(known, monkeypatch):
    monkeypatch.setattr(images.inception, "load", lambda path: None)
    monkeypatch.setattr(
        images.inception, "features", lambda network, x: torch.cat([x.flatten(1)] * 4, 1)
    )
    found = {f.name: f for f in compare(known[0], drawn(200, 3)[0], None, known[1], "weights")}
    assert "200 samples against 500 training pictures" in found["FID"].detail
    assert found["FID"].detail.startswith("fewer samples than the 256 dimensions")


def test_stacked_digits_have_modes(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    label = np.arange(600) % 10
    x = random.integers(0, 60, (600, 8, 8)).astype(np.uint8)
    for i, digit in enumerate(label):
        x[i, digit // 4 * 3 : digit // 4 * 3 + 2, digit % 4 * 2 : digit % 4 * 2 + 2] = 255
    np.savez(
        tmp_path / "d.npz", x_train=x[:500], y_train=label[:500], x_test=x[500:], y_test=label[500:]
    )
    for module, name, value in (
        (features, "LEAST", 20_000),
        (images, "SAMPLES", 300),
        (arrays, "REFERENCE", 300),
        (arrays, "SEARCHED", 2),
    ):
        monkeypatch.setattr(module, name, value)
    settings = ImagesData(path=str(tmp_path / "d.npz"), stacked=True, cache=str(tmp_path))
    data = settings.prepare(ImageSettings(size=8, channels=3))
    made = torch.from_numpy(x[[1, 2, 3]] / 127.5 - 1).float()[None]
    samples = made.expand(300, -1, -1, -1)
    found = {f.name: f for f in images.stacked_figures(settings, data, samples)}
    assert found["modes"].value == 1 and found["reverse KL"].value == pytest.approx(math.log(1000))
    assert found["modes"].ceilings["real"] > 220 and found["reverse KL"].ceilings["real"] < 1.5


def test_modes_of_stacked_digits_by_hand():
    labels = torch.cartesian_prod(*[torch.arange(10)] * 3)
    every = stacked_modes(labels)
    assert every.modes == 1000 and every.kl == pytest.approx(0, abs=1e-12)
    modes, _, kl = stacked_modes(torch.tensor([[1, 2, 3], [1, 2, 3], [3, 2, 1], [9, 9, 9]]))
    assert modes == 3 and kl == pytest.approx(math.log(1000) - 1.5 * math.log(2))
