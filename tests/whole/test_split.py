"""Which documents are held out: whole clusters, the wanted share, and the same ones when others are
added."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.core.errors import GenwrightError
from genwright.data import split
from genwright.data.split import clusters_of, held_out_of, keys_of, records_of


def held(names, sizes, wanted, records=()):
    return held_out_of([keys_of(names)], np.array(sizes), wanted, "document", records)


def names(count, letter="d"):
    return [f"{letter}{i}" for i in range(count)]


def test_documents_that_agree_in_any_column_are_one_cluster():
    assert clusters_of([keys_of("bcad"), keys_of("1213")]).tolist() == [0, 1, 0, 2]
    assert clusters_of([keys_of("xyxz"), keys_of("1221")]).tolist() == [0, 0, 0, 0]
    chain = [keys_of(str(i // 2) for i in range(9)), keys_of(str((i + 1) // 2) for i in range(9))]
    assert clusters_of(chain).tolist() == [0] * 9
    assert clusters_of([keys_of("abc")]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("wanted", [0.02, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_the_wanted_share_of_what_is_counted_is_held_out(wanted, seed):
    """109 files as people have them: a few large, many small."""
    sizes = np.random.default_rng(seed).pareto(1.5, 109) * 1000 + 50
    side = held(names(109, str(seed)), sizes, wanted)
    assert wanted / 2 <= sizes[side].sum() / sizes.sum() <= wanted * 1.5


def test_many_documents_are_held_out_to_the_thousandth_and_small_ones_as_often_as_large_ones():
    sizes = np.tile([100, 1000], 5000)
    side = held(names(10_000), sizes, 0.1)
    assert abs(sizes[side].sum() / sizes.sum() - 0.1) < 1e-3
    assert 400 < side[::2].sum() < 600 and 400 < side[1::2].sum() < 600


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=30), st.floats(1e-6, 0.999999))
def test_both_sides_hold_something(sizes, wanted):
    if not any(sizes):
        assert not held(names(len(sizes)), sizes, wanted).any()
        return
    if sum(size > 0 for size in sizes) < 2:
        with pytest.raises(
            GenwrightError,
            match="cannot be held out and trained on; give more documents, or set data.held_out=0",
        ):
            held(names(len(sizes)), sizes, wanted)
        return
    side = held(names(len(sizes)), sizes, wanted)
    sizes = np.array(sizes)
    assert sizes[side].sum() > 0 and sizes[~side].sum() > 0


def test_few_documents():
    assert held("ab", [1, 1], 1e-9).sum() == held("ab", [1, 1], 0.999999).sum() == 1
    assert held("abc", [1, 5000, 5000], 0.05).tolist().count(True) >= 1
    sizes = np.array([1, 1000, 1000, 1000, 1000])
    assert sizes[held("abcde", sizes, 0.05)].sum() >= 1000, "a single byte measures nothing"
    assert held("ab", [99, 1], 0.05).tolist() == [False, True]
    assert not held("ab", [1, 1], 0).any()


def test_the_sides_stay_when_documents_are_added_taken_away_and_copied(tmp_path):
    records = records_of(tmp_path, ["/notes"], "text", 0.1)
    random = np.random.default_rng(0)
    all_names, all_sizes = names(400), random.pareto(1.5, 400) * 100 + 10
    before = held(all_names[:40], all_sizes[:40], 0.1, records)
    for count in (41, 60, 150, 400):
        now = held(all_names[:count], all_sizes[:count], 0.1, records)
        assert (now[: len(before)] == before).all()
        share = all_sizes[:count][now].sum() / all_sizes[:count].sum()
        assert 0.07 < share < 0.15
        before = now
    assert (held(all_names[100:200], all_sizes[100:200], 0.1, records) == before[100:200]).all()
    one, other = int(np.flatnonzero(before)[0]), int(np.flatnonzero(~before)[0])
    columns = [
        keys_of([*all_names, "new"]),
        keys_of([f"text {i if i != one else other}" for i in range(400)] + ["text new"]),
    ]
    after = held_out_of(columns, np.append(all_sizes, 5), 0.1, "document", records)
    assert not after[one] and not after[other], (
        "what became one cluster with a training document is trained on"
    )
    changed = np.flatnonzero(after[:400] != before)
    assert changed.tolist() == [one]


def test_without_its_training_documents_or_its_held_out_ones_a_record_is_forgotten(tmp_path):
    records = records_of(tmp_path, [], "text")
    everything, sizes = names(60), np.ones(60)
    before = held(everything, sizes, 0.1, records)
    for side in (before, ~before):
        chosen = [name for name, kept in zip(everything, side, strict=True) if kept]
        again = held(chosen, np.ones(len(chosen)), 0.1, records)
        assert 0 < again.sum() < len(chosen)


def test_a_folder_more_does_not_change_the_sides_of_the_first(tmp_path):
    first = held(names(50), np.ones(50), 0.2, records_of(tmp_path, ["/a"], "text"))
    both = held(
        names(50) + names(50, "e"), np.ones(100), 0.2, records_of(tmp_path, ["/b", "/a"], "text")
    )
    assert (both[:50] == first).all() and 15 <= both.sum() <= 25
    alone = held(names(50, "e"), np.ones(50), 0.2, records_of(tmp_path, ["/b"], "text"))
    assert (alone == both[50:]).all()


DECIDE = """
import sys
import numpy as np
from pathlib import Path
from genwright.data.split import held_out_of, keys_of, records_of
start, stop = map(int, sys.argv[2:])
for count in range(start + 2, stop):
    names = [f"d{i}" for i in range(start, count)]
    keys = [keys_of(names)]
    records = records_of(Path(sys.argv[1]), [], "text")
    held = held_out_of(keys, np.ones(len(names)), 0.3, "document", records)
print(" ".join(name for name, side in zip(names, held) if side))
"""


def test_processes_that_decide_at_once_lose_nothing(tmp_path):
    ranges = [(0, 40), (10, 50), (20, 60)]
    commands = [[sys.executable, "-c", DECIDE, str(tmp_path), str(a), str(b)] for a, b in ranges]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    found = [set(process.communicate(timeout=60)[0].split()) for process in running]
    assert all(process.returncode == 0 for process in running)
    for (start, stop), chosen in zip(ranges, found, strict=True):
        everything = [f"d{i}" for i in range(start, stop - 1)]
        side = held(everything, np.ones(len(everything)), 0.3, records_of(tmp_path, [], "text"))
        assert {name for name, is_held in zip(everything, side, strict=True) if is_held} == chosen


def test_a_damaged_record_is_named(tmp_path):
    (path,) = records_of(tmp_path, [], "text")
    path.parent.mkdir()
    for content in (b"", b"nothing", json.dumps([1]).encode()):
        path.write_bytes(content)
        with pytest.raises(
            GenwrightError, match=r"which says what is held out, is damaged; delete it"
        ):
            held("ab", [1, 1], 0.5, [path])
    np.save(path, np.zeros(3))
    with pytest.raises(GenwrightError, match="is damaged"):
        held("ab", [1, 1], 0.5, [path])
    assert split.RECORD.itemsize == 9


def test_copies_across_a_split_of_the_source_s_own_are_said(tmp_path):
    """An npz and a JSB json keep their split, whatever is equal in it; that is counted and said."""
    from genwright.contents.images.codec import ImageSettings
    from genwright.contents.images.data import ImagesData
    from genwright.contents.music.codec_grid import Jsb
    from genwright.contents.music.data import MusicData
    from genwright.runs import remarks

    x = np.random.default_rng(0).integers(0, 256, (20, 4, 4), np.uint8)
    np.savez(tmp_path / "x.npz", x_train=x, x_test=np.concatenate([x[:3], x[:2] ^ 255]))
    data = ImagesData(path=str(tmp_path / "x.npz"), cache=str(tmp_path)).prepare(
        ImageSettings(size=4, channels=1)
    )
    said = "3 held out equal a training one, for the split is the source's own"
    assert said in remarks.on_both_sides(data) and data.held is None
    pytest.importorskip("music21")
    pieces = [np.random.default_rng(i).integers(60, 72, (32, 4)).tolist() for i in range(6)]
    moved = (np.array(pieces[0]) + 1).tolist()
    (tmp_path / "jsb.json").write_text(
        json.dumps({"train": pieces[:4], "valid": [pieces[4], moved], "test": [pieces[5]]})
    )
    music = MusicData(path=str(tmp_path / "jsb.json"), cache=str(tmp_path), workers=1).prepare(
        Jsb()
    )
    assert (
        "1 held out equal a training one, for the split is the source's own"
        in remarks.on_both_sides(music)
    )


def test_copies_across_the_cut_of_a_tail_are_said(tmp_path):
    from genwright.contents.text.codec import Bytes
    from genwright.contents.text.data import TextData

    texts = ["a first text\n", "a second text\n", "a third text\n", "a first text\n"]
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.txt").write_text(text * 20)
    settings = {
        "path": str(tmp_path / "*.txt"),
        "cache": str(tmp_path / "cache"),
        "split": "tail",
        "held_out": 0.4,
        "context": 8,
    }
    data = TextData(**settings).prepare(Bytes())
    assert data.summary["copies"] == data.summary["copies across the split"] == 1
    (tmp_path / "3.txt").write_text("a fourth text\n" * 20)
    data = TextData(**settings).prepare(Bytes())
    assert data.summary["copies"] == data.summary["copies across the split"] == 0, (
        "the text that is cut in two is no copy of itself"
    )
