"""What was prepared is used again only for the same content, and a file is read again only where it
may have changed."""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pytest
from composed import tunes
from PIL import Image

from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.music.codec_event import Event
from genwright.contents.music.data import MusicData
from genwright.core.errors import GenwrightError
from genwright.data import scans
from genwright.data.scans import digests, roots_of

WHEN = 1_600_000_000 * 10**9


def dated(folder):
    """Gives every file in it the same time of change, years ago."""
    for path in folder.rglob("*"):
        os.utime(path, ns=(WHEN, WHEN))
    return folder


def as_large(path, size):
    """Fills a text up with spaces to a size."""
    path.write_text(path.read_text().ljust(size))


def two_collections(tmp_path):
    """Folders of other tunes under the same names, of the same sizes and dates."""
    mine, yours = tunes(tmp_path / "mine"), tunes(tmp_path / "yours")
    for path in yours.glob("*.abc"):
        path.write_text(path.read_text().replace("d", "b").replace("e", "A"))
    for folder in (mine, yours):
        for path in folder.glob("*.abc"):
            as_large(path, 400)
        dated(folder)
    return mine, yours


def music(tmp_path, path, **settings):
    return MusicData(
        path=str(path), cache=str(tmp_path / "cache"), minimum=2, workers=1, **settings
    ).prepare(Event())


def test_another_folder_of_music_with_equal_names_sizes_and_dates_is_read(tmp_path):
    mine, yours = two_collections(tmp_path)
    first, second = music(tmp_path, mine), music(tmp_path, yours)
    assert first.names == second.names
    assert first.all_tokens[:1000].tolist() != second.all_tokens[:1000].tolist()
    shutil.rmtree(mine)
    yours.rename(mine)
    third = music(tmp_path, mine)
    assert third.all_tokens.tolist() == second.all_tokens.tolist()
    assert sorted(third.names) == sorted(second.names)


def test_music_that_moved_is_not_read_again(tmp_path, monkeypatch):
    from genwright.contents.music import prepare as module

    mine, _ = two_collections(tmp_path)
    first = music(tmp_path, mine)
    mine.rename(tmp_path / "elsewhere")
    monkeypatch.setattr(module, "parallel", None)  # would fail
    assert music(tmp_path, tmp_path / "elsewhere").digest == first.digest


def test_pieces_that_cannot_be_used_are_refused_though_they_were_passed_over_before(tmp_path):
    folder = tunes(tmp_path / "tunes")
    (folder / "broken.mid").write_bytes(b"MThd nothing")
    assert music(tmp_path, folder, on_bad_file="skip").summary["skipped"]
    with pytest.raises(GenwrightError, match="1 of 17 pieces cannot be used"):
        music(tmp_path, folder)


def pictures(tmp_path, path):
    return ImagesData(path=str(path), cache=str(tmp_path / "cache"), workers=1, held_out=0).prepare(
        ImageSettings(size=4)
    )


def test_another_picture_of_equal_size_and_date_is_read(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(6):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(folder / f"{i}.bmp")
    first = pictures(tmp_path, dated(folder))
    Image.new("RGB", (4, 4), (0, 200, 0)).save(folder / "3.bmp")
    second = pictures(tmp_path, dated(folder))
    assert second.digest != first.digest
    train = second.split("train")
    changed = train.x([train.names(range(6)).index("3.bmp")])[0, 1]
    assert changed.min() > 0.5


def test_another_npz_of_equal_size_and_date_is_read(tmp_path):
    path = tmp_path / "x.npz"
    found = []
    for value in (10, 200):
        np.savez(
            path,
            np.full((20, 4, 4), value, np.uint8) + np.arange(20, dtype=np.uint8)[:, None, None],
        )
        os.utime(path, ns=(WHEN, WHEN))
        data = ImagesData(path=str(path), cache=str(tmp_path / "cache"), held_out=0.2).prepare(
            ImageSettings(size=4, channels=1)
        )
        found.append(data.split("train").x([0]).mean().item())
    assert found[0] < 0 < found[1]


def wait():
    """Until a file that was just written is older than the margin."""
    time.sleep(0.05)


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that are read for their digest."""
    seen: list[str] = []
    digest = scans._digest
    monkeypatch.setattr(scans, "MARGIN", 10_000_000)
    monkeypatch.setattr(
        scans, "_digest", lambda path: (seen.append(os.path.basename(path)), digest(path))[1]
    )
    return seen


def test_a_file_is_read_again_only_where_it_may_have_changed(tmp_path, reads):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.txt").write_text(f"text {i}")

    def found():
        return digests(
            [str(path) for path in sorted(folder.iterdir())],
            tmp_path / "cache",
            roots_of([str(folder)]),
        )

    wait()
    first = found()
    assert sorted(reads) == [f"{i}.txt" for i in range(5)]
    reads.clear()
    assert found() == first and not reads
    (folder / "new.txt").write_text("new")
    wait()
    more = found()
    assert reads == ["new.txt"] and {path: more[path] for path in first} == first
    reads.clear()
    (folder / "2.txt").write_text("TEXT 2")
    os.utime(folder / "2.txt", ns=(WHEN, WHEN))
    (folder / "3.txt").write_text("TEXT 3")
    os.utime(folder / "3.txt", ns=(WHEN, WHEN))
    wait()
    changed = found()
    assert sorted(reads) == ["2.txt", "3.txt"]
    assert {path for path in more if changed[path] != more[path]} == {
        str(folder / "2.txt"),
        str(folder / "3.txt"),
    }


def test_what_was_written_in_the_moment_of_the_scan_is_read_again(tmp_path, reads, monkeypatch):
    monkeypatch.setattr(scans, "MARGIN", 3_600_000_000_000)
    (tmp_path / "a.txt").write_text("one")
    path = str(tmp_path / "a.txt")
    for _ in range(2):
        digests([path], tmp_path / "cache")
    assert reads == ["a.txt", "a.txt"]


def test_roots_are_the_folders_that_paths_name(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "x.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    given = ["a", "a/x.txt", "a/*.txt", "a/b/**/*.txt", "*.txt", "nothing/there"]
    expected = ["a", "a", "a", "a/b", ".", "."]
    assert roots_of(given) == [os.path.realpath(tmp_path / folder) for folder in expected]


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mid")
    assert digests([str(tmp_path / "pipe.mid"), str(tmp_path / "none")], tmp_path / "cache") == {
        str(tmp_path / "pipe.mid"): "",
        str(tmp_path / "none"): "",
    }


def test_a_draft_of_another_host_is_left_alone(tmp_path, monkeypatch):
    """Host node must not take the draft of host node-2 for its own, nor stumble over it."""
    import socket

    from genwright.data.cache import publish

    others = [
        tmp_path / f"key.{host}.tmp"
        for host in ("node-2-77", "node-2-1-999999", "node2-5", "node-x")
    ]
    mine = tmp_path / "key.node-999999999.tmp"
    for path in (*others, mine):
        path.mkdir()
    monkeypatch.setattr(socket, "gethostname", lambda: "node")
    publish(tmp_path / "key", lambda draft: (draft / "x").write_text("whole") and None)
    assert (tmp_path / "key" / "x").read_text() == "whole"
    assert all(path.is_dir() for path in others) and not mine.exists()


def test_two_machines_may_write_one_file_at_once(tmp_path, monkeypatch):
    """Their processes may have the same number: a shared cache must not mix their drafts."""
    from genwright.core import files

    path = tmp_path / "record.json"
    replace = os.replace
    between = []

    def other_writes_in_between(source, target):
        if not between:
            between.append(source)
            files.write_whole(path, "the other's")
        return replace(source, target)

    monkeypatch.setattr(os, "getpid", lambda: 42)
    monkeypatch.setattr(files.os, "replace", other_writes_in_between)
    files.write_whole(path, "mine")
    assert path.read_text() == "mine" and [its.name for its in tmp_path.iterdir()] == [
        "record.json"
    ]


def test_a_file_that_changes_while_it_is_prepared_is_not_kept_under_its_old_digest(
    tmp_path, monkeypatch
):
    """Its digest is taken before it is decoded; another program may write in between."""
    from genwright.contents.images import album as of_images
    from genwright.contents.music import data as of_music

    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(8):
        Image.fromarray(np.full((4, 4), 10 * i, np.uint8)).save(pictures / f"{i}.png")
    arrays = tmp_path / "a.npz"
    np.savez(arrays, x=np.random.default_rng(0).integers(0, 256, (8, 4, 4), np.uint8))
    songs = tunes(tmp_path / "songs")
    cases = [
        (
            of_images,
            pictures / "3.png",
            lambda: ImagesData(path=str(pictures), **common).prepare(ImageSettings(size=4)),
        ),
        (
            of_images,
            arrays,
            lambda: ImagesData(path=str(arrays), **common).prepare(ImageSettings(size=4)),
        ),
        (of_music, sorted(songs.iterdir())[0], lambda: music(tmp_path, songs)),
    ]
    common = {"cache": str(tmp_path / "cache"), "workers": 1, "held_out": 0.2}
    for module, path, prepare in cases:
        before = path.read_bytes()

        def late(paths, *more, path=path, before=before):
            found = digests(paths, *more)
            path.write_bytes(before + b"\n")
            return found

        monkeypatch.setattr(module, "digests", late)
        with pytest.raises(
            GenwrightError,
            match=f"{path.name} changed while it was prepared; run the same command again",
        ):
            prepare()
        monkeypatch.undo()
        path.write_bytes(before)
        prepare()
