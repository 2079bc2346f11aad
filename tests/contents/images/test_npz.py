"""npz files as they are handed about: every array is read as what it is, or named."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.images.npz_arrays import Unusable, label_values, parts_of
from genwright.core.attributes import decode
from genwright.core.contracts import Source
from genwright.core.errors import GenwrightError
from genwright.data.parts import part_of_array, part_of_folder
from genwright.runs import remarks

N = 30
X = np.random.default_rng(1).integers(0, 256, (N, 6, 6), np.uint8)
Y = np.arange(N) % 3


def prepared(tmp_path, arrays, name="d.npz", **more):
    np.savez(tmp_path / name, **arrays)
    settings = {"cache": str(tmp_path / "cache"), "workers": 1, "path": str(tmp_path / name)} | more
    return ImagesData(**settings).prepare(
        ImageSettings(size=6, channels=3 if arrays.get("rgb") is not None else 1)
    )


def labels_of(data, side="train"):
    split = data.split(side)
    return [
        decode(data.codec.space.attributes, row)
        for row in (split.condition(range(len(split))) if data.codec.space.columns else [])
    ]


@pytest.mark.parametrize(
    "labels, wanted",
    [
        (Y, "012"),
        (Y[:, None], "012"),
        (Y[None], "012"),
        (Y.reshape(N, 1, 1).astype(np.uint8), "012"),
        (Y.astype(np.float32), "012"),
        (Y.astype(np.float64)[:, None], "012"),
        (np.eye(3)[Y], "012"),
        (np.eye(3, dtype=np.float32)[Y], "012"),
        (np.eye(3, dtype=bool)[Y], "012"),
        (np.eye(3, dtype=np.int64)[Y], "012"),
        (np.array(["cat", "dog", "猫"])[Y], ["cat", "dog", "猫"]),
        (np.array([b"cat", "é".encode(), b"owl"])[Y], ["cat", "é", "owl"]),
        (Y == 1, ["False", "True", "False"]),
        (-Y.astype(np.int8), ["0", "-1", "-2"]),
    ],
)
@pytest.mark.parametrize("split", [True, False])
def test_labels_of_every_form(tmp_path, labels, wanted, split):
    arrays = {"x": X, "y": labels}
    if split:
        arrays = {
            "x_train": X,
            "y_train": labels,
            "x_test": X[:6] ^ 1,
            "y_test": labels.reshape(N, -1)[:6] if len(labels) == N else Y[:6],
        }
    data = prepared(tmp_path, arrays, held_out=0)
    assert labels_of(data) == [{"label": [wanted[i]]} for i in Y]
    assert data.summary["skipped"] == [] and not [
        note for note in data.summary["remarks"] if "not read" in note
    ]


@pytest.mark.parametrize(
    "labels, why",
    [
        (Y[:-1], r"y is int64 \(29,\), and there are 30 pictures: give each one label"),
        (np.ones((N, 4)), "y has 4 values for each picture and is not one-hot"),
        (np.zeros((N, 4), bool), "y has 4 values for each picture and is not one-hot"),
        (Y + 0.5, "y holds fractions, which are no classes"),
        (np.where(Y == 1, np.nan, Y), "y holds fractions"),
        (
            np.array(["a", "b", "c"], object)[Y],
            (
                "y holds no plain numbers or texts, and Python objects are never read back: "
                "save texts with astype"
            ),
        ),
        (np.array([b"\xff", b"b", b"c"])[Y], "y holds bytes that are no UTF-8"),
        (Y.astype(np.complex64), "y is of complex64, which is no label"),
        (np.array(["2020-01-01"] * N, "M8[D]"), "y is of datetime64"),
    ],
)
def test_labels_that_cannot_be_used_are_named(tmp_path, labels, why):
    with pytest.raises(
        GenwrightError, match=f"d.npz: {why}.*; mend the file, or set data.on_bad_file=skip"
    ):
        prepared(tmp_path, {"x": X, "y": labels})
    data = prepared(tmp_path, {"x": X, "y": labels}, on_bad_file="skip")
    assert data.codec.space.columns == 0 and data.summary["skipped"][0].startswith("y ")
    assert remarks.left_out(data.summary)[0].startswith("1 passed over, the first: y ")


def test_what_is_not_called_train_is_held_out(tmp_path):
    arrays = {
        "x_train": X,
        "y_train": Y,
        "x_val": X[:5] ^ 1,
        "y_val": Y[:5],
        "x_test": X[:7] ^ 2,
        "y_test": Y[:7],
    }
    data = prepared(tmp_path, arrays)
    assert len(data.split("train")) == N and len(data.split("held_out")) == 12
    assert data.split("held_out").names(range(12)) == [f"val {i}" for i in range(5)] + [
        f"test {i}" for i in range(7)
    ]
    sha = hashlib.sha256((tmp_path / "d.npz").read_bytes()).hexdigest()
    assert data.split("held_out").sources([0, 6]) == [
        Source("val 0", "d.npz", sha[:32]),
        Source("test 1", "d.npz", sha[:32]),
    ]
    assert labels_of(data, "held_out") == [{"label": [str(i)]} for i in (*Y[:5], *Y[:7])]
    assert "held out, as the file says: val (5), test (7)" in remarks.left_out(data.summary)


@pytest.mark.parametrize(
    "names",
    [
        ("X_train", "Y_Train", "X_valid", "Y_VALID"),
        ("trainX", "trainY", "validX", "validY"),
        ("xtrain", "ytrain", "xval", "yval"),
        ("train_images", "train_labels", "validation_images", "validation_labels"),
        ("images", "labels", "val_images", "val_labels"),
        ("training.x", "training.y", "testing.x", "testing.y"),
        ("trainimages", "trainlabels", "testimages", "testlabels"),
        ("data_train", "target_train", "data_eval", "target_eval"),
        ("imagesTrain", "classTrain", "imagesTest", "classTest"),
    ],
)
def test_names_of_parts(tmp_path, names):
    data = prepared(tmp_path, dict(zip(names, (X, Y, X[:4] ^ 1, Y[:4]), strict=True)))
    assert len(data.split("train")) == N and len(data.split("held_out")) == 4
    assert labels_of(data, "held_out") == [{"label": [str(i)]} for i in Y[:4]]


def test_the_same_pictures_are_held_out_whatever_their_size(tmp_path):
    """Also where each size is prepared with a cache of its own."""
    np.savez(tmp_path / "d.npz", x=X)
    held = set()
    for size in (4, 6, 9):
        settings = ImagesData(
            path=str(tmp_path / "d.npz"), cache=str(tmp_path / f"cache{size}"), held_out=0.3
        )
        split = settings.prepare(ImageSettings(size=size)).split("held_out")
        held.add(tuple(sorted(split.names(range(len(split))))))
    assert len(held) == 1 and len(held.pop()) == 9


@pytest.mark.parametrize(
    "part", ["eval", "evaluation", "holdout", "held_out", "hold_out", "heldout", "val", "testing"]
)
def test_several_labels_have_the_same_names_in_every_part(tmp_path, part):
    arrays = {"train_images": X, "train_fine_labels": Y, "train_coarse_labels": Y // 2}
    arrays |= {
        f"{part}_images": X[:4] ^ 1,
        f"{part}_fine_labels": Y[:4],
        f"{part}_coarse_labels": Y[:4] // 2,
    }
    data = prepared(tmp_path, arrays)
    assert len(data.split("held_out")) == 4
    assert labels_of(data, "held_out") == [
        {"fine_labels": [str(y)], "coarse_labels": [str(y // 2)]} for y in Y[:4]
    ]


def test_a_part_without_labels_costs_the_others_nothing(tmp_path):
    data = prepared(tmp_path, {"x_train": X, "y_train": Y, "x_test": X[:4] ^ 1})
    assert (
        labels_of(data) == [{"label": [str(i)]} for i in Y]
        and labels_of(data, "held_out") == [{}] * 4
    )
    assert "there are no labels of the part test" in data.summary["remarks"]
    texts = np.array(["a", "", "c"])[Y]  # nothing is known where the text is empty
    assert labels_of(prepared(tmp_path, {"x": X, "y": texts}, "e.npz", held_out=0))[1] == {}


def test_several_labels_are_attributes_and_other_arrays_are_named(tmp_path):
    arrays = {
        "x_train": X,
        "fine_labels_train": Y,
        "coarse_labels_train": Y // 2,
        "ids_train": np.arange(N),
        "class_names": np.array(["a"]),
    }
    data = prepared(tmp_path, arrays, held_out=0)
    assert labels_of(data)[2] == {"fine_labels": ["2"], "coarse_labels": ["1"]}
    (note,) = data.summary["remarks"]
    assert note == "not read: ids_train int64 (30,), class_names <U1 (1,)"
    masks = prepared(
        tmp_path, {"images": X, "masks": X > 9, "weights": np.ones((N, 2))}, "m.npz", held_out=0
    )
    assert masks.summary["remarks"] == ["not read: masks bool (30, 6, 6), weights float64 (30, 2)"]
    alone = prepared(tmp_path, {"arr_0": X, "arr_1": Y}, "a.npz", held_out=0)
    assert labels_of(alone)[4] == {"label": ["1"]}
    assert (
        prepared(
            tmp_path, {"arr_0": X, "ids": np.arange(N)}, "i.npz", held_out=0
        ).codec.space.columns
        == 0
    )


RGB = np.random.default_rng(2).integers(0, 256, (N, 6, 6, 3), np.uint8)
BITS = np.random.default_rng(3).integers(0, 2, (N, 6, 6)).astype(bool)


@pytest.mark.parametrize(
    "array, wanted",
    [
        (RGB, RGB),
        (RGB.transpose(0, 3, 1, 2), RGB),
        (RGB / 255, RGB),
        ((RGB / 255).astype(np.float32).transpose(0, 3, 1, 2), RGB),
        (RGB.astype(np.float64), RGB),
        (RGB.astype(np.int64), RGB),
        (RGB.astype(np.uint16) * 257, RGB),
        (RGB[:, :, :, :1], RGB[:, :, :, :1].repeat(3, 3)),
        (RGB[:, None, :, :, 0], RGB[:, :, :, :1].repeat(3, 3)),
        (BITS, BITS[..., None].repeat(3, 3) * np.uint8(255)),
    ],
)
def test_pictures_of_every_form(tmp_path, array, wanted):
    np.savez(tmp_path / "d.npz", array)
    settings = {"cache": str(tmp_path / "cache"), "path": str(tmp_path / "d.npz"), "held_out": 0}
    x = ImagesData(**settings).prepare(ImageSettings(size=6)).split("train").x(range(N))
    assert np.array_equal(((x + 1) * 127.5).round().numpy().transpose(0, 2, 3, 1), wanted)


@pytest.mark.parametrize(
    "arrays, what",
    [
        (
            {"x": X.astype(np.float32) / 127.5 - 1},
            r"x holds float32 from -1 to 1, which may mean several things; save pictures as uint8",
        ),
        ({"x": np.full((3, 5, 5), np.nan)}, "x holds float64 from nan to nan"),
        ({"x": (X // 16).astype(np.float64)}, "x holds float64 from 0 to 15"),
        ({"x": X.astype(np.uint16)}, "x holds uint16 from 0 to 255"),
        ({"x": X.astype(np.int32) - 300}, "x holds int32 from -300 to -45"),
        ({"x": BITS.astype(np.uint8)}, "x holds uint8 from 0 to 1"),
        (
            {"x_train": X, "x_test": X / 255},
            "holds pictures of different types: x_train uint8 .*, x_test float64",
        ),
        (
            {"x": X, "images": X},
            (
                r"holds several arrays that may be the pictures: "
                r"x uint8 \(30, 6, 6\), images uint8 \(30, 6, 6\); call"
            ),
        ),
        ({"a": X, "b": X}, "holds several arrays that may be the pictures"),
        (
            {"x": X.reshape(N, 36), "y": Y},
            r"holds no pictures to train on: x uint8 \(30, 36\), y int64 \(30,\); save arrays",
        ),
        ({"x_test": X, "y_test": Y}, "holds no pictures to train on: x_test"),
        ({"x": X[:0]}, "holds no pictures to train on"),
        ({}, "holds no pictures to train on: nothing"),
    ],
)
def test_pictures_that_cannot_be_told_are_named(tmp_path, arrays, what):
    with pytest.raises(GenwrightError, match=what):
        prepared(tmp_path, arrays)


def test_any_letter_case_of_the_suffix_and_damaged_files(tmp_path):
    np.savez(tmp_path / "d.npz", x=X)
    whole = (tmp_path / "d.npz").read_bytes()
    (tmp_path / "D.NPZ").write_bytes(whole)
    assert (
        len(
            ImagesData(path=str(tmp_path / "D.NPZ"), cache=str(tmp_path / "c"), held_out=0)
            .prepare(ImageSettings(size=6))
            .split("train")
        )
        == N
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("x.npy", whole[30 : 30 + 400])
    for content in (
        whole[: len(whole) // 2],
        whole[:200] + b"?" * 50 + whole[250:],
        packed.getvalue(),
        b"",
        b"PK\5\6" + bytes(18),
    ):
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(GenwrightError, match="b.npz (cannot be read|holds no pictures)"):
            parts_of(str(tmp_path / "b.npz"))


@given(
    st.integers(1, 6), st.integers(2, 4), st.sampled_from(["b1", "i4", "f4", "u1"]), st.randoms()
)
def test_one_hot_rows_and_numbers_say_the_same(size, kinds, kind, random):
    numbers = np.array([random.randrange(kinds) for _ in range(size)])
    assert (
        label_values(np.eye(kinds)[numbers].astype(kind), size)
        == label_values(numbers, size)
        == [str(i) for i in numbers]
    )
    both = np.eye(kinds)[numbers]
    both[random.randrange(size)] = 1
    with pytest.raises(Unusable):
        label_values(both, size)


def test_words_that_say_a_part_and_words_that_only_hold_one():
    folders = {
        "train": "train",
        "Train": "train",
        "TRAINING": "train",
        "train2017": "train",
        "Val": "val",
        "validation": "val",
        "test1": "test",
    }
    folders |= {
        "test_images": "test",
        "Test Set": "test",
        "held-out": "val",
        "valid": "val",
        "eval": "val",
    }
    assert {name: part_of_folder(name) for name in folders} == folders
    others = (
        "trains",
        "test tubes",
        "latest",
        "contest",
        "values",
        "valley",
        "training shoes",
        "trainer",
        "a",
        "",
        "2017",
        "interval",
    )
    assert [name for name in others if part_of_folder(name)] == []
    assert [
        name
        for name in ("latest_images", "contest", "values", "constrained_x", "x", "arr_0")
        if part_of_array(name)[0]
    ] == []
