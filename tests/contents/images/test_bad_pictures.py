"""Whatever a file of pictures or a table holds: a sentence that names it, and nothing lost."""

import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.core.errors import GenwrightError

SMALL = ImageSettings(size=8)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "in"
    root.mkdir()
    for i in range(30):
        Image.new("RGB", (10, 10), (i * 8, 0, 99)).save(root / f"{i}.png")
    return root


def prepare(tmp_path, codec=SMALL, **settings):
    return ImagesData(**{"cache": str(tmp_path / "cache"), "workers": 1} | settings).prepare(codec)


def refused(match, *arguments, **settings):
    with pytest.raises(GenwrightError, match=match):
        prepare(*arguments, **settings)


def bomb(width, height):
    """A png of a few bytes that claims to be large."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def damaged(tmp_path, suffix, keep):
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / f"whole{suffix}")
    data = (tmp_path / f"whole{suffix}").read_bytes()
    return data[: int(len(data) * keep)]


@pytest.mark.parametrize(
    "name, content, what",
    [
        ("bad.png", lambda t: b"no picture at all", "is no picture"),
        ("bad.png", lambda t: b"", "is empty"),
        ("bad.png", lambda t: damaged(t, ".png", 0.5), "is damaged"),
        ("bad.jpg", lambda t: damaged(t, ".jpg", 0.5), "is damaged"),
        ("bad.webp", lambda t: damaged(t, ".webp", 0.5), "is damaged|is no picture"),
        ("bad.gif", lambda t: damaged(t, ".gif", 0.5), "is damaged"),
        ("bad.png", lambda t: bomb(10_001, 10_000), "claims more than 100 million pixels"),
        ("bad.png", lambda t: bomb(60_000, 60_000), "claims more than 100 million pixels"),
        # no other format is tried
        (
            "bad.png",
            lambda t: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
            "is no picture",
        ),
    ],
)
def test_one_bad_picture_among_many(tmp_path, folder, name, content, what):
    before = prepare(tmp_path, path=str(folder))
    (folder / name).write_bytes(content(tmp_path))
    refused(
        rf"1 of 31 pictures cannot be used: {name} ({what}).*set data.on_bad_file=skip",
        tmp_path,
        path=str(folder),
    )
    data = prepare(tmp_path, path=str(folder), on_bad_file="skip")
    assert len(data.summary["skipped"]) == 1 and data.summary["skipped"][0].startswith(name)
    assert data.summary["files"] == 30 and len(data.split("train")) == len(before.split("train"))
    before.verify()


def test_many_bad_pictures_are_counted_and_three_named(tmp_path, folder):
    for i in range(5):
        (folder / f"bad{i}.png").write_bytes(b"?")
    refused(
        (
            r"5 of 35 pictures cannot be used: bad0.png is no .*; bad1.png .*; "
            r"bad2.png .*; and 2 more; mend"
        ),
        tmp_path,
        path=str(folder),
    )
    for path in folder.glob("[0-9]*.png"):
        path.unlink()
    refused(
        "5 of 5 pictures cannot be used.*; give other files",
        tmp_path,
        path=str(folder),
        on_bad_file="skip",
    )


def test_nothing_to_read(tmp_path, folder):
    refused("data.path is not set; give a folder of pictures", tmp_path)
    refused("nowhere does not exist", tmp_path, path=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no picture")
    refused(
        "there is no picture in .*empty; give a path that holds .apng, .bmp",
        tmp_path,
        path=str(tmp_path / "empty"),
    )
    refused(
        "data.path is given, but data.source is sprites",
        tmp_path,
        path=str(folder),
        source="sprites",
    )
    for settings in ({"path": str(folder)}, {"source": "sprites"}):
        refused("data.stacked is for one npz file", tmp_path, stacked=True, **settings)
    for settings in ({"path": "x.npz"}, {"source": "sprites"}):
        refused(
            "data.attributes is for files of pictures", tmp_path, attributes="a.csv", **settings
        )
    refused("data.path: .*none.npz does not exist", tmp_path, path=str(tmp_path / "none.npz"))


def test_one_picture(tmp_path, folder):
    one = str(folder / "3.png")
    refused(
        (
            "there is a single picture, which cannot be held out and trained on; "
            "give more pictures, or"
        ),
        tmp_path,
        path=one,
    )
    assert len(prepare(tmp_path, path=one, held_out=0).split("train")) == 1
    for i in range(30):
        Image.new("RGB", (10, 10)).save(folder / f"{i}.png")
    refused("all 30 pictures are equal or of one group", tmp_path, path=str(folder))


def test_an_empty_class(tmp_path, folder):
    for name in ("a", "b", "void"):
        (folder / name).mkdir()
    for i in range(30):
        (folder / f"{i}.png").rename(folder / "ab"[i % 2] / f"{i}.png")
    refused(
        (
            "the class void is empty: its folder holds no picture; "
            "put it right, or set data.on_bad_file"
        ),
        tmp_path,
        path=str(folder),
    )
    data = prepare(tmp_path, path=str(folder), on_bad_file="skip")
    assert data.codec.space.attributes == {"class": ("a", "b")} and data.summary["skipped"] == [
        "the class void is empty: its folder holds no picture"
    ]
    for path in (folder / "b").iterdir():
        path.rename(folder / "a" / path.name)
    refused(
        "the class b is empty: its folder holds no picture .and 1 more", tmp_path, path=str(folder)
    )


def test_a_format_that_is_not_read_is_named(tmp_path, folder):
    (folder / "phone.HEIC").write_bytes(b"anything")
    (folder / "notes.txt").write_text("no picture, and none that a person meant")
    refused(
        "phone.HEIC is of a format that is not read: save it as png or jpeg; put it right",
        tmp_path,
        path=str(folder),
    )
    data = prepare(tmp_path, path=str(folder), on_bad_file="skip")
    assert data.summary["files"] == 30 and len(data.summary["skipped"]) == 1


@pytest.mark.parametrize(
    "table, what",
    [
        (
            "file,mood\n0.png,shy\nlost.png,shy\ngone.png,shy\n",
            r"attributes.csv names gone.png, which is not there \(and 1 more",
        ),
        ("file,mood\n0.png,shy\n0.png,calm\n", "line 3 names 0.png a second time"),
        ("file,mood\n0.png,shy,extra\n", "attributes.csv line 2 has 3 cells"),
        (b"file,mood\n0.png,\xff\n", "attributes.csv is not UTF-8: byte 0xff at offset 16"),
    ],
)
def test_bad_table(tmp_path, folder, table, what):
    (folder / "attributes.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    refused(what, tmp_path, path=str(folder))


def test_table_that_names_missing_files_may_be_skipped(tmp_path, folder):
    (folder / "attributes.csv").write_text("file,mood\n0.png,shy\nlost.png,shy\n")
    data = prepare(tmp_path, path=str(folder), on_bad_file="skip", minimum=1)
    assert (
        data.summary["skipped"] == ["attributes.csv names lost.png, which is not there"]
        and data.summary["files"] == 30
    )
    refused(
        "data.attributes: .*none.csv does not exist",
        tmp_path,
        path=str(folder),
        attributes=str(tmp_path / "none.csv"),
    )
    (tmp_path / "bad.jsonl").write_text('{"file": "0.png"}\n{oops\n')
    refused(
        "bad.jsonl line 2 is not JSON",
        tmp_path,
        path=str(folder),
        attributes=str(tmp_path / "bad.jsonl"),
    )


@pytest.mark.parametrize(
    "arrays, what",
    [
        (
            {"x": np.full((4, 8, 8), 1.5, np.float32)},
            "x holds float32 from 1.5 to 1.5, which may mean several things; save pictures as",
        ),
        (
            {"x": np.zeros((4, 8, 8, 5), np.uint8)},
            r"holds no pictures to train on: x uint8 \(4, 8, 8, 5\); save arrays",
        ),
        ({"x": np.array([{}], object)}, "holds no pictures to train on: x .no plain array"),
    ],
)
def test_bad_npz(tmp_path, arrays, what):
    np.savez(tmp_path / "x.npz", **arrays)
    refused(what, tmp_path, path=str(tmp_path / "x.npz"))
    (tmp_path / "x.npz").write_bytes(b"PK not a zip")
    refused("cannot be read", tmp_path, path=str(tmp_path / "x.npz"))


def test_the_codec_must_be_of_pictures(tmp_path, folder):
    refused(
        "codec.kind is bytes, and this data is pictures; set codec=image",
        tmp_path,
        SimpleNamespace(kind="bytes"),
        path=str(folder),
    )
