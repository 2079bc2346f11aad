"""Pictures from every source: what they become, which side they are on, and that a batch is a pure
function of its position."""

import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from genwright.contents.images import pictures, source_openmoji
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.images.source_sprites import VALUES, Sprites
from genwright.core.attributes import decode
from genwright.core.contracts import Source, describe
from genwright.core.errors import GenwrightError
from genwright.data.workers import parallel

SMALL = ImageSettings(size=8)


@pytest.fixture
def folder(tmp_path):
    """12 cats and 12 dogs of various sizes and modes, no two alike."""
    root, random = tmp_path / "in", np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (root / name).mkdir(parents=True)
        for i in range(12):
            mode, suffix = (("RGB", "png"), ("L", "jpg"), ("RGBA", "webp"), ("P", "gif"))[i % 4]
            noise = random.integers(0, 256, (5 + i, 9, 4), np.uint8)
            Image.fromarray(noise).convert("RGB").convert(mode).save(root / name / f"{i}.{suffix}")
    return root


def prepare(tmp_path, codec=SMALL, expect=None, **settings):
    return ImagesData(**{"cache": str(tmp_path / "cache"), "workers": 1} | settings).prepare(
        codec, expect=expect
    )


def test_folder_with_a_class_per_subfolder(tmp_path, folder):
    data = prepare(tmp_path, path=str(folder), held_out=0.25)
    assert data.codec.space.attributes == {
        "class": ("cats", "dogs")
    } and data.codec.space.shape == (3, 8, 8)
    assert (
        data.summary["attributes"] == {"class": {"cats": 12, "dogs": 12}}
        and data.summary["skipped"] == []
    )
    train, held = data.split("train"), data.split("held_out")
    assert len(train) + len(held) == 24 and 1 <= len(held) < 12
    assert sorted(train.names(range(len(train))) + held.names(range(len(held)))) == sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*.*")
    )
    name = train.names([3])[0]
    # the codec alone makes the same of the file
    assert torch.equal(train.x([3])[0], data.codec.encode(folder / name))
    assert decode(data.codec.space.attributes, train.condition([3])[0]) == {
        "class": [name.split("/")[0]]
    }
    data.verify()
    again = prepare(tmp_path, path=str(folder), held_out=0.25, expect=data.digest)
    assert again.digest == data.digest and torch.equal(
        again.split("train").x(range(5)), train.x(range(5))
    )
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    # where the files are is of no account
    assert prepare(tmp_path, path=str(moved), held_out=0.25).digest == data.digest


def test_changed_data_and_changed_shards_are_noticed(tmp_path, folder):
    data = prepare(tmp_path, path=str(folder))
    shard = next((tmp_path / "cache").rglob("pixels.npy"))
    shard.write_bytes(
        shard.read_bytes()[:-1] + b"\0\1"[:1]
        if shard.read_bytes()[-1]
        else shard.read_bytes()[:-1] + b"\1"
    )
    with pytest.raises(GenwrightError, match="was changed on disk; delete"):
        data.verify()
    Image.new("RGB", (8, 8), "red").save(folder / "cats" / "0.png")
    with pytest.raises(GenwrightError, match="the data changed since it was prepared"):
        prepare(tmp_path, path=str(folder), expect=data.digest)


def test_stream_is_a_pure_function_of_seed_and_position(tmp_path, folder):
    data = prepare(tmp_path, path=str(folder), held_out=0)
    stream = data.stream(10, seed=3)
    seen = np.concatenate([stream.indices(position, torch.arange(10)) for position in range(12)])
    for epoch in range(5):
        # each epoch: every picture once
        assert sorted(seen[24 * epoch : 24 * (epoch + 1)]) == list(range(24))
    assert not np.array_equal(seen[:24], seen[24:48])
    whole, part = (
        stream.batch(7, torch.arange(10)),
        data.stream(10, seed=3).batch(7, torch.tensor([8, 2])),
    )
    assert torch.equal(whole["x"][[8, 2]], part["x"]) and torch.equal(
        whole["condition"][[8, 2]], part["condition"]
    )
    names = data.split("train").names(stream.indices(7, torch.tensor([8, 2])))
    assert describe(stream, 7, torch.tensor([8, 2])) == ", ".join(names)
    assert stream.sources(7, torch.tensor([8, 2])) == [
        Source(name, name, hashlib.sha256((folder / name).read_bytes()).hexdigest()[:32])
        for name in names
    ]
    assert not torch.equal(data.stream(10, seed=4).batch(7, torch.arange(10))["x"], whole["x"])


def test_flips_are_off_unless_asked_and_half_of_the_pictures(tmp_path, folder):
    plain = prepare(tmp_path, path=str(folder)).stream(400, 0).batch(0, torch.arange(400))["x"]
    turned = (
        prepare(tmp_path, path=str(folder), flips=True)
        .stream(400, 0)
        .batch(0, torch.arange(400))["x"]
    )
    mirrored = [torch.equal(b, a.flip(2)) for a, b in zip(plain, turned, strict=True)]
    assert (
        all(torch.equal(a, b) or m for a, b, m in zip(plain, turned, mirrored, strict=True))
        and 150 < sum(mirrored) < 250
    )
    held = prepare(tmp_path, path=str(folder), flips=True).held_out()
    assert torch.equal(
        held.batch(0, 99)["x"], prepare(tmp_path, path=str(folder)).held_out().batch(0, 99)["x"]
    )


def test_workers_make_the_same_shards(tmp_path, folder):
    files = [[p.name, str(p)] for p in sorted(folder.rglob("*.*"))]
    common = {"codec": SMALL.shape(), "stamps": {}}
    jobs = [
        common | {"folder": str(tmp_path / f"{w}-{i}"), "files": files[i::2]}
        for w in (1, 2)
        for i in (0, 1)
    ]
    list(parallel(pictures.DECODE, jobs[:2], 1))
    list(parallel(pictures.DECODE, jobs[2:], 2))
    for i in (0, 1):
        assert (tmp_path / f"1-{i}" / "pixels.npy").read_bytes() == (
            tmp_path / f"2-{i}" / "pixels.npy"
        ).read_bytes()


def test_many_shards_read_as_one_row(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(700):
        Image.new("L", (1, 1), i % 251).save(tmp_path / "in" / f"{i:03}.png")
    data = prepare(
        tmp_path, ImageSettings(size=4, channels=1), path=str(tmp_path / "in"), held_out=0
    )
    assert len(data.shards) > 1
    order = np.random.default_rng(0).permutation(700)
    names = data.split("train").names(order)
    x = data.split("train").x(order)
    assert [int(v) for v in ((x[:, 0, 0, 0] + 1) * 127.5).round()] == [
        int(name[:3]) % 251 for name in names
    ]
    folders = sorted(path.name for path in (tmp_path / "cache" / "pictures").iterdir())
    Image.new("L", (1, 1), 9).save(tmp_path / "in" / "350a.png")
    prepare(tmp_path, ImageSettings(size=4, channels=1), path=str(tmp_path / "in"), held_out=0)
    new = {path.name for path in (tmp_path / "cache" / "pictures").iterdir()} - set(folders)
    assert 1 <= len(new) <= 2  # one more file costs its own shard


def test_equal_pictures_are_on_one_side(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(40):
        Image.new("RGB", (4, 4), (i // 4 * 20, 0, 0)).save(tmp_path / "in" / f"{i}.png")
    data = prepare(tmp_path, path=str(tmp_path / "in"), held_out=0.4)
    sides = [
        {tuple(x.flatten().tolist()) for x in data.split(s).x(range(len(data.split(s))))}
        for s in ("train", "held_out")
    ]
    assert (
        not sides[0] & sides[1] and len(sides[0] | sides[1]) == 10 and data.summary["copies"] == 30
    )
    assert data.summary["copies across the split"] == 0


def test_table_of_attributes(tmp_path, folder):
    rows = [
        "file,kind,mood",
        *(
            f"{n}/{i}.{s},{n[:-1]},{m}"
            for n, m in (("cats", "shy|calm"), ("dogs", ""))
            for i, s in enumerate(("png", "jpg"))
        ),
    ]
    (folder / "attributes.csv").write_text("\n".join(rows))
    data = prepare(tmp_path, path=str(folder), minimum=2, held_out=0)
    assert data.codec.space.attributes == {"kind": ("cat", "dog"), "mood": ("calm", "shy")}
    assert data.summary["unlabelled"] == 20 and data.summary["rare"] == 0
    known = {
        n: decode(data.codec.space.attributes, c)
        for n, c in zip(
            *(f(range(24)) for f in (data.split("train").names, data.split("train").condition)),
            strict=True,
        )
    }
    assert known["cats/0.png"] == {"kind": ["cat"], "mood": ["calm", "shy"]} and known[
        "dogs/1.jpg"
    ] == {"kind": ["dog"]}
    assert known["cats/2.webp"] == {}
    assert (
        prepare(tmp_path, path=str(folder)).codec.space.attributes == {}
        and prepare(tmp_path, path=str(folder)).summary["rare"] == 4
    )
    lines = [
        {"file_name": "cats/0.png", "mood": ["shy", "calm"], "age": 3},
        {"file_name": "dogs/1.jpg", "age": 3},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    data = prepare(tmp_path, path=str(folder), minimum=1, attributes=str(tmp_path / "t.jsonl"))
    assert data.codec.space.attributes == {"mood": ("calm", "shy"), "age": ("3",)}


def test_several_paths_and_globs(tmp_path, folder):
    both = prepare(tmp_path, path=(str(folder / "cats"), str(folder / "dogs")))
    assert (
        both.codec.space.attributes == {"class": ("cats", "dogs")} and both.summary["files"] == 24
    )
    some = prepare(tmp_path, path=str(folder / "**" / "*.png"))
    assert some.summary["files"] == 6 and some.codec.space.attributes == {"class": ("cats", "dogs")}


def digits(path, n=30, size=10, **more):
    random = np.random.default_rng(1)
    x = random.integers(0, 256, (n, size, size), np.uint8)
    arrays = {
        "train_images": x,
        "train_labels": np.arange(n) % 10,
        "test_images": x[:7] ^ 1,
        "test_labels": np.arange(7),
    }
    np.savez_compressed(path, **arrays | more)
    return arrays


def test_the_first_held_out_pictures_stand_for_all(tmp_path):
    held = prepare(tmp_path, source="sprites").held_out()
    shapes = held.batch(0, 300)["condition"][:, :3].mean(0)
    assert (shapes - 1 / 3).abs().max() < 0.1, (
        "sorted by shape, as they are drawn, all of them would be squares"
    )
    assert sorted(held.order) == list(range(held.windows))


def test_npz_keeps_its_own_split(tmp_path):
    arrays = digits(tmp_path / "d.npz")
    data = prepare(tmp_path, ImageSettings(size=10, channels=1), path=str(tmp_path / "d.npz"))
    train, held = data.split("train"), data.split("held_out")
    assert len(train) == 30 and len(held) == 7 and data.held_out().windows == 7
    assert torch.equal(
        train.x(range(30))[:, 0], torch.from_numpy(arrays["train_images"]) / 127.5 - 1
    )
    order = data.held_out().order
    assert torch.equal(
        data.held_out().batch(2, 99)["x"][:, 0],
        torch.from_numpy(arrays["test_images"])[order[2:]] / 127.5 - 1,
    )
    assert data.codec.space.attributes == {"label": tuple("0123456789")}
    assert torch.equal(train.condition(range(30)).argmax(1), torch.arange(30) % 10)
    smaller = (
        prepare(tmp_path, ImageSettings(size=5, channels=3), path=str(tmp_path / "d.npz"))
        .split("train")
        .x([4])[0]
    )
    blocks = arrays["train_images"][4].reshape(5, 2, 5, 2).mean((1, 3))
    assert np.abs((smaller[1].numpy() + 1) * 127.5 - blocks).max() <= 0.51


def test_npz_without_a_split_or_labels(tmp_path):
    np.savez(tmp_path / "x.npz", np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), np.uint8))
    data = prepare(tmp_path, path=str(tmp_path / "x.npz"), held_out=0.2)
    assert data.codec.space.columns == 0 and "condition" not in data.stream(4, 0).batch(
        0, torch.arange(4)
    )
    assert (
        len(data.split("train")) + len(data.split("held_out")) == 50
        and 2 < len(data.split("held_out")) < 20
    )


def test_stacked_digits(tmp_path):
    arrays = digits(tmp_path / "d.npz")
    with pytest.raises(GenwrightError, match="set codec.channels=3"):
        prepare(
            tmp_path, ImageSettings(size=10, channels=1), path=str(tmp_path / "d.npz"), stacked=True
        )
    data = prepare(tmp_path, ImageSettings(size=10), path=str(tmp_path / "d.npz"), stacked=True)
    x = data.split("train").x([17])[0]
    digit = data.album.pixels.numbers[17]
    every = np.concatenate([arrays["train_images"], arrays["test_images"]])
    assert (
        torch.equal(x, torch.from_numpy(every[digit]) / 127.5 - 1) and data.codec.space.columns == 0
    )
    used = np.bincount(data.album.pixels.numbers.reshape(-1), minlength=37)
    assert (
        used.min() > 12_000
        and len(data.split("train")) == 128_000
        and len(data.split("held_out")) == 26_000
    )


def test_sprites_are_what_their_factors_say():
    sprites = Sprites(64, 3, (255, 255, 255))
    assert len(sprites) == 36864 == np.prod(VALUES)
    numbers = np.ravel_multi_index(
        np.array([[0, 2, 0, 0, 7, 0], [0, 2, 4, 7, 0, 0], [0, 3, 0, 3, 3, 2]]).T, VALUES
    )
    drawn = sprites.take(numbers).astype(float)
    assert np.array_equal(Sprites.factors(numbers)[2], [0, 3, 0, 3, 3, 2])
    # of the green channel, 1 inside
    ink = (255 - drawn[:, 1]) / (255 - np.array([40, 40, 80]))[:, None, None]
    sides = 2 * 0.85 * np.array([0.18, 0.18, 0.22])
    assert np.allclose(ink.mean((1, 2)), sides**2, rtol=0.03)  # the squares' areas
    middle = (np.arange(64) + 0.5) / 64
    for picture, x, y in zip(
        ink, (0.25, 0.75, 0.25 + 1.5 / 7), (0.75, 0.25, 0.25 + 1.5 / 7), strict=True
    ):
        assert (
            abs((picture.sum(0) @ middle) / picture.sum() - x) < 0.003
            and abs((picture.sum(1) @ middle) / picture.sum() - y) < 0.003
        )
    assert np.array_equal(drawn[0, :, 0, 63], [255, 255, 255]) and np.array_equal(
        drawn[2, :, 29, 29], [40, 80, 220]
    )


def test_sprites_as_data(tmp_path):
    data = prepare(tmp_path, source="sprites")
    train = data.split("train")
    assert (
        Sprites.factors(train.numbers).shape == (len(train), 6)
        and len(train) + len(data.split("held_out")) == 36864
    )
    factors = Sprites.factors(data.split("held_out").numbers)[5]
    known = decode(data.codec.space.attributes, data.split("held_out").condition([5])[0])
    assert data.split("held_out").sources([5]) == [Source("-".join(map(str, factors)))]
    assert data.split("held_out").names([5]) == ["-".join(map(str, factors))] and set(known) == {
        "shape",
        "size",
        "colour",
    }
    assert not data.shards
    grey = (
        prepare(tmp_path, ImageSettings(size=8, channels=1), source="sprites")
        .split("train")
        .x(range(9))
    )
    assert grey.shape == (9, 1, 8, 8) and grey.max() == 1


def test_openmoji(tmp_path, monkeypatch):
    pytest.importorskip("resvg_py")
    everything = {item.name: item for item in source_openmoji.find()}
    assert len(everything) > 4000
    astronaut = everything["1F469-1F3FF-200D-1F680"]
    assert (
        astronaut.known["tone"] == ("dark",)
        and astronaut.known["gender"] == ("woman",)
        and astronaut.known["group"] == ("people-body",)
    )
    assert everything["1F408"].known == {"group": ("animals-nature",), "name": ("cat",)}
    assert (
        everything["1F600"].known["group"] == ("smileys-emotion",)
        and "tone" not in everything["1F600"].known
    )
    same = ("1F469-1F3FF-200D-1F680", "1F468-200D-1F680", "1F9D1-1F3FB-200D-1F680")
    assert (
        len({everything[name].group for name in same}) == 1
        and everything["1F408"].group != everything["1F415"].group
    )
    assert everything["1F468-1F3FB-200D-1F91D-200D-1F468-1F3FF"].known["tone"] == ("mixed",)
    chosen = [
        item for item in everything.values() if item.name.startswith(("1F44B", "1F408", "1F60"))
    ]
    monkeypatch.setattr(source_openmoji, "find", lambda: chosen)
    data = prepare(tmp_path, ImageSettings(size=16), source="openmoji", held_out=0.2)
    names = data.split("train").names(range(len(data.split("train"))))
    assert len({"1F44B", "1F44B-1F3FF", "1F44B-1F3FB"} & set(names)) in (0, 3)
    side = "train" if "1F44B" in names else "held_out"
    names = data.split(side).names(range(len(data.split(side))))
    light, dark = (
        data.split(side).x([names.index(f"1F44B-1F3F{tone}")])[0].mean() for tone in "BF"
    )
    # drawn, on white
    assert light > dark + 0.1 and data.split(side).x([0])[0, :, 0, 0].tolist() == [1, 1, 1]


def test_openmoji_without_its_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(source_openmoji, "find_spec", lambda name: None)
    with pytest.raises(GenwrightError, match=r"pip install 'genwright\[emoji\]'"):
        prepare(tmp_path, source="openmoji")


def test_workers_import_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; from genwright.contents.images.pictures import DECODE; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert pictures.DECODE.files({"files": [("a.png", "/data/a.png")]}) == ["/data/a.png"]
