"""Versions of one tune in several folders stand on one side; pieces that only share a name do not
become one."""

from __future__ import annotations

import numpy as np
import pytest

import genwright
from genwright.contents.music.codec_event import Event
from genwright.contents.music.data import MusicData
from genwright.contents.music.tune_clusters import columns_of, same_names, stem_of
from genwright.core.errors import GenwrightError
from genwright.data.split import clusters_of
from genwright.recipe.overrides import parse_overrides
from genwright.recipe.schema import Recipe
from genwright.runs.preview import preview

pytest.importorskip("music21")

from composed import TINY  # noqa: E402


def abc(pitches, lengths) -> str:
    notes = "".join(f"{pitch}{length}" for pitch, length in zip(pitches, lengths, strict=True))
    return f"X:1\nT:x\nM:4/4\nL:1/8\nK:C\n{notes}|]\n"


def collection(root, folders, names, same_length: bool, count=20):
    """Pieces of `count` to `2 * count` beats; those of one name are as long in every folder, or
    not."""
    random = np.random.default_rng(5)
    for name in names:
        length = int(random.integers(count, 2 * count))
        for folder in folders:
            (root / folder).mkdir(parents=True, exist_ok=True)
            notes = length if same_length else int(random.integers(count, 2 * count))
            text = abc(random.choice(list("CDEFGABcdefg"), notes), random.choice([2], notes))
            (root / folder / f"{name}.abc").write_text(text)
    return root


def prepare(tmp_path, root, **settings):
    return MusicData(path=str(root), cache=str(tmp_path / "cache"), workers=1, **settings).prepare(
        Event()
    )


def sides(dataset):
    """Name of the file -> the sides that pieces of that name are on."""
    out: dict[str, set[str]] = {}
    for side, pieces in dataset.pieces.items():
        for piece in pieces:
            out.setdefault(dataset.names[piece].rpartition("/")[2], set()).add(side)
    return out


def test_melody_and_accompaniment_of_a_tune_are_on_one_side(tmp_path):
    root = collection(
        tmp_path / "in",
        ("melody", "accompaniment", "."),
        [f"tune{i}" for i in range(30)],
        same_length=True,
    )
    dataset = prepare(tmp_path, root, held_out=0.2)
    found = sides(dataset)
    assert len(found) == 30 and all(len(its) == 1 for its in found.values())
    assert 4 <= sum(its == {"held_out"} for its in found.values()) <= 8
    apart = sides(prepare(tmp_path, root, held_out=0.2, cluster="content"))
    assert any(len(its) == 2 for its in apart.values())


def test_pieces_that_only_share_a_name_stay_apart(tmp_path):
    root = collection(tmp_path / "in", ("bach", "mozart", "haydn"), range(1, 25), same_length=False)
    dataset = prepare(tmp_path, root, held_out=0.3)
    assert any(len(its) == 2 for its in sides(dataset).values())
    named = sides(prepare(tmp_path, root, held_out=0.3, cluster="name"))
    assert all(len(its) == 1 for its in named.values())
    by_folder = prepare(tmp_path, root, held_out=0.3, cluster="folder")
    folders = {
        side: {by_folder.names[i].split("/")[0] for i in its}
        for side, its in by_folder.pieces.items()
    }
    assert folders["train"] and folders["held_out"] and not folders["train"] & folders["held_out"]


def test_a_name_that_every_piece_has_says_nothing(tmp_path):
    root = collection(
        tmp_path / "in", [f"piece{i}" for i in range(20)], ["score"], same_length=True
    )
    assert len(prepare(tmp_path, root, held_out=0.2).pieces["held_out"]) == 4
    with pytest.raises(GenwrightError, match="all 20 pieces are equal or of one group"):
        prepare(tmp_path, root, held_out=0.2, cluster="name")


def test_one_piece_in_two_formats_is_one(tmp_path):
    stems = [
        stem_of(name)
        for name in ("a/b.c/x.mid", "a/b.c/x.musicxml", "y.abc#3", "C#minor.mid", "op.1.mid")
    ]
    assert stems == ["a/b.c/x", "a/b.c/x", "y#3", "C#minor", "op.1"]
    columns = columns_of(["x.mid", "x.abc", "y.abc"], ["1", "2", "3"], [4, 90, 4], "content")
    assert clusters_of(columns).tolist() == [0, 0, 1]


def test_folders_are_versions_of_the_same_tunes_where_lengths_say_so():
    stems = [f"{folder}/{i}" for folder in ("full", "chords", "other") for i in range(6)]
    lengths = [16, 32, 48, 64, 80, 96] + [16, 33, 48, 67, 80, 120] + [50, 20, 10, 90, 95, 30]
    found = same_names(stems, lengths)
    assert found[:6] == found[6:12] and not set(found[:6]) & set(found[12:])
    assert len(set(same_names(["a/x", "b/x"], [8, 8]))) == 2, "one common name is no evidence"


def test_near_copies_are_said_by_inspect_and_train(tmp_path, caplog):
    """Tunes of which each has a variation, with a few other notes at its end."""
    random = np.random.default_rng(2)
    (tmp_path / "in").mkdir()
    for i in range(30):
        notes = random.choice(list("CDEFGABcdefg"), 40)
        for name, changed in (("", 0), ("b", 9)):
            notes[40 - changed :] = random.choice(list("CDEFGABcdefg"), changed)
            (tmp_path / "in" / f"{i}{name}.abc").write_text(abc(notes, [2] * 40))
    settings = {
        "data.path": str(tmp_path / "in"),
        "data.cache": str(tmp_path / "cache"),
        "data.workers": 1,
        "data.held_out": 0.2,
    }
    settings |= parse_overrides(TINY)
    said = preview(Recipe.load("folk-tunes", settings)).facts["split"]
    near = int(said.split()[0])
    assert (
        said
        == f"{near} held out share at least half of their tune with a training piece (near-copies)"
        and 3 < near <= 12
    )
    caplog.set_level("INFO", "genwright")
    genwright.train("folk-tunes", run=tmp_path / "run", **settings | {"training.steps": 1})
    assert said in caplog.messages
