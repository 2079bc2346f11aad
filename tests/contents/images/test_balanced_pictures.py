"""data.balance of pictures: shares of their attributes in training."""

from collections import Counter

import torch
from drawn import png, scene

from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData

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
