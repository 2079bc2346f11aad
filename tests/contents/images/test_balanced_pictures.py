"""data.balance of pictures: shares of their attributes in training."""

from collections import Counter

import numpy as np
import pytest
import torch
from drawn import png, scene
from PIL import Image

from genwright.contents.images import importance
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.core.errors import GenwrightError
from genwright.evaluation.features import Extractor

COUNTS = {"cat": 12, "dog": 4}


def prepared(tmp_path, **settings):
    folder = tmp_path / "pictures"
    if not folder.is_dir():
        number = 0
        for name, count in COUNTS.items():
            (folder / name).mkdir(parents=True)
            for _ in range(count):
                (folder / name / f"{number}.png").write_bytes(png(scene(number)))
                number += 1
    data = ImagesData(
        path=str(folder), held_out=0.25, cache=str(tmp_path / "cache"), workers=1, **settings
    )
    return data.prepare(ImageSettings(size=16))


def seen(dataset, epochs=50):
    """class -> how often in so many epochs."""
    stream = dataset.stream(len(dataset.parts["train"]), 0)
    values = dataset.codec.space.attributes["class"]
    found = Counter()
    for position in range(epochs):
        condition = stream.batch(position, torch.arange(stream.size))["condition"]
        found.update(values[place] for place in condition.argmax(1).tolist())
    return found


def test_sampling(tmp_path):
    plain = prepared(tmp_path)
    dataset = prepared(tmp_path, balance={"class": "uniform"})
    found = seen(dataset)
    assert abs(found["cat"] - found["dog"]) <= 50  # less than one an epoch
    assert seen(plain)["cat"] > 2 * seen(plain)["dog"]
    assert "class is balanced by sampling" in dataset.summary["balance"][0]


def test_digests_and_held_out(tmp_path):
    plain = prepared(tmp_path)
    sampled = prepared(tmp_path, balance={"class": "uniform"})
    weighted = prepared(tmp_path, balance={"class": "uniform"}, balance_by="weights")
    assert len({plain.digest, sampled.digest, weighted.digest}) == 3
    assert sampled.own_digest == plain.digest
    assert prepared(tmp_path, balance_by="weights").digest == plain.digest
    assert "balance" not in plain.summary
    held = [dataset.held_out().batch(0, 99)["x"] for dataset in (plain, sampled, weighted)]
    assert torch.equal(held[0], held[1])
    assert torch.equal(held[0], held[2])
    assert weighted.stream(4, 0).batch(0, torch.arange(4))["weight"].shape == (4,)


def square(number, bright):
    """A picture of a square, bright or dark, another one for each number."""
    values = np.random.default_rng(number).integers(0, 60, (8, 8, 3), np.uint8)
    return Image.fromarray(values + 120 * bright)


def squares(folder, count, share):
    folder.mkdir()
    for number in range(count):
        bright = number < share * count
        name = f"{'bright' if bright else 'dark'}-{number}.png"
        (folder / name).write_bytes(png(square(number + len(folder.name) * 10_000, bright)))
    return str(folder)


def test_balanced_to_a_reference(tmp_path, monkeypatch):
    # the network takes a minute to train: pixels are their own features here
    monkeypatch.setattr(importance, "extractor", lambda *_: Extractor(None, "pixels", {}))
    path = squares(tmp_path / "data", 200, 0.1)

    def balanced(reference):
        data = ImagesData(path=path, cache=str(tmp_path / "cache"), balance_to=reference)
        return data.prepare(ImageSettings(size=8))

    dataset = balanced(squares(tmp_path / "reference", 60, 0.5))
    train = dataset.parts["train"]
    names = train.names(range(len(train)))
    bright = np.array([name.startswith("bright") for name in names])
    weights = dataset.balance.weights
    assert abs(weights[bright].sum() / weights.sum() - 0.5) < 0.1
    assert "images are balanced to" in dataset.summary["balance"][0]
    alike = balanced(squares(tmp_path / "like", 100, 0.1))
    assert alike.balance is None
    assert "cannot be told from the data" in alike.summary["balance"][0]
    with pytest.raises(GenwrightError, match="holds 20 pictures, and a classifier needs 50"):
        balanced(squares(tmp_path / "few", 20, 0.5))
