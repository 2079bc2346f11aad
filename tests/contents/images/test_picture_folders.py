"""What lies in folders of pictures, and how: parts of a data set, classes, links, other files.
Read, or named."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.images.picture_folders import Place, places_of
from genwright.core.attributes import decode
from genwright.core.errors import GenwrightError
from genwright.data.source_files import SourceFile, collect, walk

SMALL = ImageSettings(size=4)
DICE = np.random.default_rng(0)


def fill(root, *names, each=6):
    """Pictures, no two alike, `each` in every folder."""
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(each):
            Image.fromarray(DICE.integers(0, 256, (4, 4, 3), np.uint8)).save(
                root / name / f"{i}.png"
            )
    return root


@pytest.fixture
def root(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def prepared(root, path=None, **settings):
    cache = str(root.parent / "cache")
    return ImagesData(path=path or str(root), cache=cache, workers=1, **settings).prepare(SMALL)


def refused(match, root, **settings):
    with pytest.raises(GenwrightError, match=match):
        prepared(root, **settings)


def sides(data):
    return {
        side: sorted(data.split(side).names(range(len(data.split(side)))))
        for side in ("train", "held_out")
    }


def folders_of(names):
    return sorted({os.path.dirname(name) for name in names})


# ---- parts of a data set ----


@pytest.mark.parametrize(
    "train, held",
    [
        (["train"], ["test"]),
        (["Train"], ["Val"]),
        (["TRAIN"], ["valid", "Test"]),
        (["training"], ["validation", "testing"]),
        (["train2017"], ["val2017", "test2017"]),
        (["train_images"], ["test1"]),
        (["Training Set"], ["Test Set"]),
        (["data/train"], ["data/test"]),
        (["images/train"], ["images/val", "images/test"]),
    ],
)
def test_flat_parts_are_sides_of_the_split_and_no_classes(root, train, held):
    data = prepared(fill(root, *train, *held))
    assert folders_of(sides(data)["train"]) == train and folders_of(
        sides(data)["held_out"]
    ) == sorted(held)
    assert data.codec.space.attributes == {} and len(data.split("train")) == 6
    (note,) = data.summary["remarks"]
    assert note.startswith("held out, as the data says: ") and note.count("(6)") == len(held)


@pytest.mark.parametrize(
    "train, held",
    [
        (["train/cat", "train/dog"], ["test/cat", "test/dog"]),
        (["Train/cat", "Train/dog"], ["Val/dog"]),
        (["cat/train", "dog/train"], ["cat/test", "dog/test"]),
        (["x/train/cat", "x/train/dog"], ["x/test/cat"]),
        (["train/cat/a", "train/dog/b/c"], ["test/cat/d"]),
    ],
)
def test_classes_below_and_above_the_parts(root, train, held):
    data = prepared(fill(root, *train, *held))
    assert folders_of(sides(data)["train"]) == train and folders_of(sides(data)["held_out"]) == held
    assert data.codec.space.attributes == {"class": ("cat", "dog")}
    for side in ("train", "held_out"):
        split = data.split(side)
        for name, row in zip(
            split.names(range(len(split))), split.condition(range(len(split))), strict=True
        ):
            assert decode(data.codec.space.attributes, row)["class"] == [
                "cat" if "cat" in name else "dog"
            ]


@pytest.mark.parametrize(
    "folders, classes",
    [
        (["cats_train", "cats_test", "dogs_train", "dogs_test"], ("cats", "dogs")),
        (["trainA", "trainB", "testA", "testB"], ("a", "b")),
        (["cats_train", "cats_test2", "dogs_train1", "dogs_train2"], ("cats", "dogs")),
    ],
)
def test_parts_in_the_names_of_classes(root, folders, classes):
    data = prepared(fill(root, *folders))
    assert all("test" in name for name in sides(data)["held_out"]) and not any(
        "test" in name for name in sides(data)["train"]
    )
    assert data.codec.space.attributes == {"class": classes}


@pytest.mark.parametrize(
    "part",
    ["eval", "evaluation", "holdout", "hold_out", "held_out", "Held-Out", "heldout", "validation"],
)
def test_every_word_for_a_part_is_known_in_the_names_of_classes(root, part):
    data = prepared(fill(root, "cats_train", f"cats_{part}", "dogs_train", f"dogs_{part}"))
    assert folders_of(sides(data)["held_out"]) == [f"cats_{part}", f"dogs_{part}"]
    assert data.codec.space.attributes == {"class": ("cats", "dogs")}


def test_words_that_only_sound_like_parts_are_classes(root):
    data = prepared(fill(root, "train station", "test tubes", "trains"))
    assert (
        data.codec.space.attributes == {"class": ("test tubes", "train station", "trains")}
        and not data.summary["remarks"]
    )


@pytest.mark.parametrize(
    "folders, what",
    [
        (
            ["cat", "dog", "test"],
            (
                "in holds test beside cat, dog: is that a class, or a part that must not be "
                "trained on.; leave only parts"
            ),
        ),
        (["train", "test", "extra"], "in holds test, train beside extra: is that"),
        (["train", "Test", "."], "in holds Test, train beside pictures of its own"),
        (["cat/train", "cat/test", "dog"], "in holds test, train beside pictures of its own"),
        (["cat/train", "cat/test", "dog/other"], "in holds test, train beside other"),
        (
            ["cats_train", "cats_test", "misc"],
            "in holds cats_test, cats_train beside misc: is that",
        ),
        (
            ["cats_train", "cats_val", "dogs_val"],
            "in holds cats_train, cats_val beside dogs_val: is that",
        ),
        (
            ["test"],
            (
                "in holds test and nothing that is called train, .*; "
                "to train on it, give the folder itself, as in data.path=.*in/test"
            ),
        ),
        (["val", "test"], "in holds test, val and nothing that is called train"),
    ],
)
def test_parts_that_cannot_be_told_from_classes_are_refused(root, folders, what):
    fill(root, *folders)
    refused(what, root)
    refused(what, root, on_bad_file="skip")


def test_a_part_alone_is_what_was_asked_for(root):
    fill(root, "train/cat", "train/dog", "test/cat")
    assert prepared(root, str(root / "test"), held_out=0).summary["files"] == 6
    train = prepared(root, str(root / "train"))
    assert (
        train.codec.space.attributes == {"class": ("cat", "dog")} and train.summary["remarks"] == []
    )
    both = prepared(root, (str(root / "train"), str(root / "test")))
    assert folders_of(sides(both)["held_out"]) == ["test/cat"] and both.codec.space.attributes == {
        "class": ("cat", "dog")
    }
    globbed = prepared(root, str(root / "**" / "*.png"))
    assert folders_of(sides(globbed)["held_out"]) == ["test/cat"]
    only = fill(root.parent / "only", "train/a", "train/b")
    assert prepared(root, str(only)).codec.space.attributes == {"class": ("a", "b")}


def test_a_table_beside_parts(root):
    fill(root, "train", "test")
    (root / "attributes.csv").write_text(
        "file,mood\n"
        + "".join(f"{part}/{i}.png,m{i % 2}\n" for part in ("train", "test") for i in range(6))
    )
    data = prepared(root, minimum=1)
    assert data.codec.space.attributes == {"mood": ("m0", "m1")} and folders_of(
        sides(data)["held_out"]
    ) == ["test"]
    fill(root, "extra")
    data = prepared(root, minimum=1)  # the table says what is what
    assert data.summary["remarks"][-1].endswith(
        "holds test, train beside extra: none of them is taken for a part of the data set"
    )


def test_a_column_of_the_table_that_says_the_part(root):
    fill(root, ".", each=12)
    rows = [f"{i}.png,m{i % 2},{('Train', 'val', 'test')[i % 3]}" for i in range(12)]
    (root / "attributes.csv").write_text("\n".join(["file,mood,split", *rows]))
    data = prepared(root, minimum=1)
    assert data.codec.space.attributes == {"mood": ("m0", "m1")} and sides(data)["train"] == [
        "0.png",
        "3.png",
        "6.png",
        "9.png",
    ]
    assert data.summary["remarks"] == ["held out, as the data says: val (4), test (4)"]
    (root / "attributes.csv").write_text(
        "\n".join(["file,mood,split", *rows]).replace("Train", "odd")
    )
    assert set(prepared(root, minimum=1).codec.space.attributes) == {"mood", "split"}


def test_parts_that_other_data_does_not_heed_are_said(tmp_path):
    from genwright.data.parts import unheeded

    assert unheeded(["train/a.txt", "test/b.txt"]) == [
        (
            "test, train are folders like any other, and files of each are trained on; "
            "name train alone to leave out the rest"
        )
    ]
    assert (
        unheeded(["x/Train/a.mid", "x/Val/b.mid"])
        and not unheeded(["test/a", "tests/b", "c", "train.txt"])
        and not unheeded([])
    )
    assert unheeded(["cats_train/a.txt", "cats_test2/b.txt", "dogs/c.txt"]) == [
        (
            "cats_test2, cats_train are folders like any other, and files of each are trained on; "
            "name cats_train alone to leave out the rest"
        )
    ]
    assert not unheeded(["steam_train/a.txt", "model_test/b.txt"])
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        for i in range(9):
            (tmp_path / part / f"{i}.txt").write_text(f"{part} {i}")
            (tmp_path / part / f"{i}.abc").write_text(
                f"X:1\nK:C\nCDEF GAB{'cdefgabCD'[i]}|{'CDEFGABcd'[i]}4 "
                f"{part[-1].replace('n', 'g').replace('t', 'a')}4|"
            )
    pytest.importorskip("genwright.contents.text")
    from genwright.contents.text.codec import Bytes
    from genwright.contents.text.data import TextData

    text = TextData(path=str(tmp_path), cache=str(tmp_path / "c"), held_out=0.3).prepare(Bytes())
    assert text.summary["remarks"][0].startswith("test, train are folders like any other")
    pytest.importorskip("music21")
    pytest.importorskip("genwright.contents.music")
    from genwright.contents.music.codec_event import Event
    from genwright.contents.music.data import MusicData

    music = MusicData(
        path=str(tmp_path), cache=str(tmp_path / "c"), held_out=0.3, workers=1
    ).prepare(Event())
    assert music.summary["remarks"][0].startswith("test, train are folders like any other")


def test_empty_parts_and_classes_are_named(root):
    fill(root, "train", "test")
    (root / "val").mkdir()
    refused("the class val is empty: its folder holds no picture", root)
    assert folders_of(sides(prepared(root, on_bad_file="skip"))["held_out"]) == ["test"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["train", "Test", "val"]), st.sampled_from("abc"), st.integers()),
        min_size=1,
    )
)
def test_of_clean_parts_no_picture_changes_its_side(rows):
    rows = [("train", "a", 0), *rows]
    places = places_of([f"{part}/{label}/{i}.png" for part, label, i in rows], "x")
    several = len({label for _, label, _ in rows}) > 1
    held = any(part != "train" for part, _, _ in rows)
    for (part, label, _), place in zip(rows, places, strict=True):
        assert place == Place(part.lower() if held else "", label if several else "")


# ---- links ----


def test_folders_behind_links_are_read(root, tmp_path):
    fill(tmp_path / "pool", "cats", "dogs")
    fill(root, "birds")
    for name in ("cats", "dogs"):
        (root / name).symlink_to(tmp_path / "pool" / name)
    data = prepared(root)
    assert (
        data.codec.space.attributes == {"class": ("birds", "cats", "dogs")}
        and data.summary["files"] == 18
    )
    assert (
        folders_of(sum(sides(data).values(), [])) == ["birds", "cats", "dogs"]
        and data.summary["remarks"] == []
    )
    link = tmp_path / "link"
    link.symlink_to(root)
    assert prepared(root, str(link)).summary["files"] == 18


def test_links_that_lead_round_end(root, tmp_path):
    fill(root, "a/b", "c")
    (root / "a" / "b" / "up").symlink_to(root)
    (root / "a" / "self").symlink_to(root / "a" / "self")
    (root / "c" / "out").symlink_to(tmp_path)  # holds the folder itself, and all of its neighbours
    (root / "c" / "disk").symlink_to("/")
    (root / "c" / "again").symlink_to(root / "a")
    (tmp_path / "neighbour.png").write_bytes((root / "c" / "0.png").read_bytes())
    assert sorted(file.name for file in walk(str(root)) if file.name.endswith(".png")) == sorted(
        f"{folder}/{i}.png" for folder in ("a/b", "c") for i in range(6)
    )
    other = fill(tmp_path / "other", "x/y")
    (other / "x" / "y" / "back").symlink_to(other / "x")
    (root / "c" / "z").symlink_to(other / "x" / "y")
    (root / "c" / "zz").symlink_to(other)
    names = [file.name for file in walk(str(root)) if file.name.endswith(".png")]
    assert len(names) == 18 and sum(name.startswith("c/z/") for name in names) == 6


def test_a_file_that_is_reached_twice_is_read_once_and_said(root):
    fill(root, "cats", "dogs")
    (root / "dogs" / "a cat.png").symlink_to(root / "cats" / "3.png")
    data = prepared(root)
    assert data.summary["files"] == 12 and data.summary["remarks"] == [
        "files that are reached in two ways are read once (1): dogs/a cat.png"
    ]
    assert "cats/3.png" in sum(sides(data).values(), [])


def test_a_broken_link_is_named(root):
    fill(root, ".")
    (root / "lost.png").symlink_to(root / "nowhere")
    refused("1 of 7 pictures cannot be used: lost.png ", root)
    assert prepared(root, on_bad_file="skip").summary["files"] == 6


def test_text_behind_links_is_read_too(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.txt").write_text("x")
    (tmp_path / "a" / "b").symlink_to(tmp_path / "b")
    pytest.importorskip("genwright.contents.text")
    from genwright.contents.text.source_files import files

    assert files((str(tmp_path / "a"),), "", tmp_path) == [
        SourceFile(str(tmp_path / "a" / "b" / "x.txt"), "b/x.txt")
    ]


def test_a_folder_that_cannot_be_listed_is_no_empty_one(root, monkeypatch):
    fill(root, "a", "b")
    whole = os.scandir

    def scandir(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        list(walk(str(root)))


def test_two_files_never_have_one_name(tmp_path):
    fill(tmp_path, "x/cats", "y/cats", each=2)
    found = collect((str(tmp_path / "x" / "cats"), str(tmp_path / "y" / "cats")), lambda path: True)
    assert sorted(file.name for file in found) == [
        "x/cats/0.png",
        "x/cats/1.png",
        "y/cats/0.png",
        "y/cats/1.png",
    ]
    found = collect(
        (str(tmp_path / "x" / "cats" / "0.png"), str(tmp_path / "y" / "cats" / "0.png")),
        lambda path: True,
    )
    assert sorted(file.name for file in found) == ["x/cats/0.png", "y/cats/0.png"]


# ---- other files ----


@pytest.mark.parametrize(
    "name, content, what",
    [
        (
            "phone.HEIC",
            b"any",
            "phone.HEIC is of a format that is not read: save it as png or jpeg",
        ),
        ("icon.ico", b"any", "icon.ico is of a format that is not read"),
        (
            "IMG_0001",
            b"\xff\xd8\xff\xe0 and so on",
            "IMG_0001 holds a jpg under another name: give it the suffix .jpg",
        ),
        ("a.png.part", b"\x89PNG\r\n\x1a\n", "a.png.part holds a png under another name"),
        ("a.web", b"RIFF\0\0\0\0WEBPVP8 ", "a.web holds a webp under another name"),
        ("b.tmp", b"\0\0\0\x18ftypheic\0\0\0\0", "b.tmp is a heic: save it as png or jpeg"),
        ("c.x", b"MM\0*", "c.x holds a tiff under another name"),
        ("d.x", b"8BPS", "d.x is a psd"),
        ("e.PNG", b"", "1 of 7 pictures cannot be used: e.PNG is empty"),
        ("f.TGA", b"too short", "1 of 7 pictures cannot be used: f.TGA is "),
    ],
)
def test_what_looks_like_a_picture_and_is_not_read_is_named(root, name, content, what):
    fill(root, ".")
    (root / name).write_bytes(content)
    refused(what, root)
    assert prepared(root, on_bad_file="skip").summary["skipped"][0].startswith(name)


def test_what_is_no_picture_is_passed_over_and_tables_and_archives_are_noted(root):
    fill(root, ".")
    for name, content in (
        ("notes.txt", b"\xff\xd8\xff"),
        ("film.mp4", b"\0\0\0\x18ftypmp42"),
        ("film", b"\0\0\0\x18ftypmp42"),
        ("data.bin", b"II*\0"),
    ):
        (root / name).write_bytes(content)
    assert prepared(root).summary["remarks"] == []
    for name in ("more.zip", "train.csv", "metadata.jsonl", "x.npz", "y.NPY"):
        (root / name).write_bytes(b"any")
    assert prepared(root).summary["remarks"] == [
        "not looked into: more.zip, x.npz, y.NPY",
        (
            "not read: metadata.jsonl, train.csv; a table of attributes is named by "
            "data.attributes, or called attributes.csv"
        ),
    ]
    (root / "train.csv").write_text("file,mood\n0.png,shy\n")
    with_table = prepared(root, attributes=str(root / "train.csv"), minimum=1)
    assert with_table.codec.space.attributes == {"mood": ("shy",)} and "train.csv" not in str(
        with_table.summary["remarks"]
    )


def test_hidden_pictures_are_passed_over_and_said(root):
    fill(root, "a", "b")
    for name in (".x.png", "._0.png", ".git.cfg", "a/.y.JPG"):
        (root / name).write_bytes(b"any")
    (root / ".trash").mkdir()
    data = prepared(root)
    assert data.summary["files"] == 12 and data.summary["remarks"] == [
        "hidden pictures are passed over (2): .x.png, .y.JPG"
    ]


def test_a_pipe_called_like_a_picture_does_not_hang(root):
    fill(root, ".")
    os.mkfifo(root / "pipe.png")
    os.mkfifo(root / "pipe")
    refused("1 of 7 pictures cannot be used: pipe.png is a named pipe", root)


def test_every_suffix_in_any_letter_case_is_found(root):
    fill(root, ".", each=1)
    for form, suffix in (
        ("JPEG", "JFIF"),
        ("JPEG", "jpe"),
        ("PPM", "pgm"),
        ("PPM", "PPM"),
        ("TGA", "tga"),
        ("PNG", "aPNG"),
        ("BMP", "dib"),
    ):
        Image.fromarray(DICE.integers(0, 256, (4, 4, 3), np.uint8)).save(root / f"a.{suffix}", form)
    assert prepared(root).summary["files"] == 8


def test_npz_beside_other_paths_is_refused(root):
    np.savez(root / "x.npz", x=np.zeros((3, 4, 4), np.uint8))
    refused(
        "data.path names .*x.npz and more; give one npz file alone",
        root,
        path=(str(root / "x.npz"), str(root)),
    )
