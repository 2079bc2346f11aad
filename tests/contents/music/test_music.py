"""Prepared music: what is held out, what a window holds, what is refused."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from composed import chorales, jsb, tunes

from genwright.contents.music import sources as source_music
from genwright.contents.music.codec_event import Event
from genwright.contents.music.codec_grid import Grid, Jsb
from genwright.contents.music.data import MusicData
from genwright.contents.music.dataset import by_piece
from genwright.core.attributes import decode
from genwright.core.contracts import Source, describe
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError

pytest.importorskip("music21")


def data(tmp_path, **settings) -> MusicData:
    return MusicData(cache=str(tmp_path / "cache"), **{"minimum": 2, "workers": 1} | settings)


def test_a_json_of_chorales_keeps_its_split_and_is_four_tokens_a_frame(tmp_path):
    dataset = data(tmp_path, path=str(jsb(tmp_path / "jsb.json")), context=64).prepare(Jsb())
    assert {name: len(its) for name, its in dataset.pieces.items()} == {
        "train": 6,
        "held_out": 2,
        "test": 1,
    }
    assert all(len(dataset.row(i)) == 4 * 96 for i in range(9))
    assert (
        dataset.names[0].endswith("jsb.json/train/0")
        and dataset.summary["train"]["tokens"] == 6 * 384
    )
    grid = dataset.scores("held_out")[0].grid()[0]
    said = dataset.codec.slots(dataset.row(dataset.pieces["held_out"][0]))
    span = dataset.codec.high - dataset.codec.low + 1  # each voice has tokens of its own
    assert np.array_equal(said, grid - dataset.codec.low + span * np.arange(4))


@pytest.mark.parametrize("lookahead", [0, 1])
@pytest.mark.parametrize("context", [40, 64, 1000])
def test_every_held_out_token_counts_once_and_sees_half_a_window(tmp_path, lookahead, context):
    dataset = data(tmp_path, path=str(jsb(tmp_path / "jsb.json")), context=context).prepare(Jsb())
    found: dict[int, list[int]] = {}
    for piece, batch in by_piece(dataset, "held_out", lookahead):
        counted, tokens = batch["counted"][0], batch["tokens"][0]
        first = int(counted.nonzero()[0])
        assert len(tokens) <= context + lookahead and (first == lookahead or first >= context // 2)
        found.setdefault(piece, []).extend(tokens[counted].tolist())
    assert found == {i: dataset.row(i).tolist() for i in dataset.pieces["held_out"].tolist()}
    windows = dataset.held_out(lookahead)
    batch = windows.batch(0, windows.windows)
    assert int(batch["counted"].sum()) == dataset.summary["held_out"]["tokens"]


def test_windows_begin_with_what_is_known_and_are_transposed_within_the_voices_ranges(tmp_path):
    dataset = data(tmp_path, path=str(tunes(tmp_path / "tunes")), context=300).prepare(Event())
    assert set(dataset.codec.space.attributes) == {"key", "metre", "type"}
    windows = dataset.held_out(1)
    batch = windows.batch(0, windows.windows)
    piece = int(dataset.parts["held_out"].x(windows.order[:1])[0, 0])
    said = decode(dataset.codec.space.attributes, dataset.conditions[piece])
    assert said["type"] in (["jig"], ["reel"]) and said["key"] in (["G"], ["D"])
    before = {
        dataset.codec.tokens[t] for t in batch["tokens"][0, : 1 + dataset.codec.prefix].tolist()
    }
    assert ("start",) in before and ("asked", "type", said["type"][0]) in before
    stream, rows = dataset.stream(8, seed=3), torch.arange(8)
    moved = set()
    for position in range(6):
        batch = stream.batch(position, rows)
        for tokens in batch["tokens"]:
            score, unread = dataset.codec.read(tokens[tokens >= 0].tolist())
            pitches = [n.pitch for n in score.voices[0]]
            assert (
                unread == 0
                and dataset.codec.low <= min(pitches)
                and max(pitches) <= dataset.codec.high
            )
            moved.add(score.keys[0].sharps)
    assert len(moved) > 2
    still = data(tmp_path, path=str(tmp_path / "tunes"), context=300, transpose=False).prepare(
        Event()
    )
    tokens = still.stream(8, 3).batch(0, rows)["tokens"]
    assert {still.codec.read(t[t >= 0].tolist())[0].keys[0].sharps for t in tokens} <= {1, 2}


def test_windows_of_jsb_begin_with_a_bar(tmp_path):
    """So that a network's places are those of the bar; one token before it, as `start` stands
    before the first."""
    path = str(jsb(tmp_path / "jsb.json"))
    dataset = data(tmp_path, path=path, context=128).prepare(Jsb())
    codec = dataset.codec
    before = [
        codec.id["start",],
        *(i for token, i in codec.id.items() if token[0] == "pitch" and token[2] == 3),
    ]
    stream = dataset.stream(8, seed=3, lookahead=1)
    made = [stream.batch(position, torch.arange(8))["tokens"] for position in range(12)]
    held_out = [batch["tokens"] for _, batch in by_piece(dataset, "held_out", 1)]
    assert all(first in before for tokens in (*made, *held_out) for first in tokens[:, 0].tolist())
    odd = data(tmp_path, path=path, context=140).prepare(Jsb())
    windows = odd.parts["train"]
    later = np.flatnonzero(windows.x(np.arange(len(windows)))[:, 2] < 0)[:1].repeat(99)
    drawn = odd.change(1, training=True)(windows.batch(later), Draws(0, 0, torch.arange(99)))[
        "tokens"
    ]
    assert {int(n) for n in (drawn >= 0).sum(1)} == {141, 385 - 256}, (
        "no end of a piece is out of reach"
    )


@pytest.mark.parametrize("lookahead", [0, 1])
def test_sources_say_the_piece_and_where_the_window_begins_in_it(tmp_path, lookahead):
    path = jsb(tmp_path / "jsb.json")
    settings = {"context": 100, "transpose": False}
    dataset = data(tmp_path, path=str(path), **settings).prepare(Jsb())
    sha = hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    stream = dataset.stream(16, seed=5, lookahead=lookahead)
    pieces = {name: dataset.row(i).tolist() for i, name in enumerate(dataset.names)}
    offsets = set()
    for position in range(4):
        rows = stream.batch(position, torch.arange(16))["tokens"].tolist()
        sources = stream.sources(position, torch.arange(16))
        for row, source in zip(rows, sources, strict=True):
            piece = pieces[source.document]
            window = [token for token in row if token >= 0]
            at_beginning = source.offset == 0
            cut = len(window) if at_beginning else 0  # what stands before a piece is none of it
            first = next((i for i in range(cut) if window[i:] == piece[: len(window) - i]), 0)
            assert window[first:] == piece[source.offset :][: len(window) - first]
            assert source._replace(offset=0) == Source(source.document, "jsb.json", sha)
            offsets.add(source.offset)
    assert len(offsets) > 3
    names = [source.document for source in stream.sources(0, torch.tensor([3, 9]))]
    assert describe(stream, 0, torch.tensor([3, 9])) == ", ".join(dict.fromkeys(names))


def test_the_file_of_a_piece():
    files = {"a.abc": "", "songs/b.abc": "", "c.json": "", "d#1.abc": ""}
    named = {
        "a.abc": "a.abc",
        "a.abc#12": "a.abc",
        "songs/b.abc#2": "songs/b.abc",
        "c.json/train/0": "c.json",
        "d#1.abc#3": "d#1.abc",
        "gone.abc#1": "",
    }
    for piece, file in named.items():
        assert source_music.file_of(piece, files) == file


def test_workers_import_no_torch():
    code = "import sys; import genwright.contents.music.sources; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert source_music.READ.files({"files": [("/data/a.abc", "a.abc")]}) == ["/data/a.abc"]


def test_a_batch_is_the_same_in_parts(tmp_path):
    dataset = data(tmp_path, path=str(jsb(tmp_path / "jsb.json")), context=48).prepare(Jsb())
    stream = dataset.stream(8, seed=5)
    whole = stream.batch(7, torch.arange(8))["tokens"]
    parts = torch.cat([stream.batch(7, torch.arange(i, i + 4))["tokens"] for i in (0, 4)])
    assert torch.equal(whole, parts)
    assert not torch.equal(whole, stream.batch(8, torch.arange(8))["tokens"])


def test_the_pieces_of_a_window_are_those_of_the_transposed_score(tmp_path):
    from dataclasses import replace

    dataset = data(tmp_path, path=str(chorales(tmp_path / "xml"))).prepare(Grid())
    piece = next(i for i, (low, high) in enumerate(dataset.transposition_ranges) if high > low)
    score, codec, (low, high) = (
        dataset.codec.decode(dataset.row(piece).tolist()),
        dataset.codec,
        dataset.transposition_ranges[piece],
    )
    assert low <= 0 <= high
    step = high or low
    up = replace(
        score,
        voices=tuple(tuple(n._replace(pitch=n.pitch + step) for n in v) for v in score.voices),
        keys=(),
    )
    tokens = [t for t in codec.encode(replace(score, keys=())) if t >= 0]
    assert codec.transpose(torch.tensor(tokens), step).tolist() == codec.encode(up)


def test_a_tune_and_its_transposition_stay_on_one_side(tmp_path):
    folder = tunes(tmp_path / "tunes", 20)
    for i in range(20):
        text = (folder / f"{i}.abc").read_text()
        (folder / f"z{i}.abc").write_text(
            text.replace("K:G", "K:A transpose=2").replace("K:D", "K:D")
        )
    dataset = data(tmp_path, path=str(folder), held_out=0.3).prepare(Event())
    side = {dataset.names[i]: name for name, its in dataset.pieces.items() for i in its}
    assert 0 < len(dataset.pieces["held_out"]) < 40
    assert all(side[f"{i}.abc"] == side[f"z{i}.abc"] for i in range(0, 20, 2))
    assert dataset.summary["near-copies across the split"] == 0


def test_prepared_once_and_again_when_a_file_changes(tmp_path, monkeypatch):
    from genwright.contents.music import prepare as music

    folder = tunes(tmp_path / "tunes")
    first = data(tmp_path, path=str(folder)).prepare(Event())
    monkeypatch.setattr(music, "parallel", None)  # would fail: nothing is read
    again = data(tmp_path, path=str(folder)).prepare(Event(), expect=first.digest)
    assert (
        again.digest == first.digest
        and again.tokens("train").tolist() == first.tokens("train").tolist()
    )
    monkeypatch.undo()
    (folder / "0.abc").write_text((folder / "0.abc").read_text().replace("G", "A"))
    with pytest.raises(GenwrightError, match="the data changed since it was prepared"):
        data(tmp_path, path=str(folder)).prepare(Event(), expect=first.digest)


def test_two_processes_read_what_one_does(tmp_path):
    folder = str(tunes(tmp_path / "tunes"))
    one = data(tmp_path, path=folder).prepare(Event())
    two = MusicData(cache=str(tmp_path / "other"), path=folder, minimum=2, workers=2).prepare(
        Event()
    )
    assert one.digest == two.digest


def test_what_cannot_be_used_is_named_or_passed_over(tmp_path):
    folder = tunes(tmp_path / "tunes")
    (folder / "broken.mid").write_bytes(b"MThd nothing")
    with pytest.raises(
        GenwrightError, match=r"1 of 17 pieces cannot be used: broken.mid.*on_bad_file=skip"
    ):
        data(tmp_path, path=str(folder)).prepare(Event())
    dataset = data(tmp_path, path=str(folder), on_bad_file="skip").prepare(Event())
    assert len(dataset.names) == 16 and "broken.mid" in dataset.summary["skipped"][0]
    with pytest.raises(
        GenwrightError, match=r"1 of 1 pieces cannot be used: broken.mid.*give other files"
    ):
        data(tmp_path, path=str(folder / "broken.mid"), on_bad_file="skip").prepare(Event())
    with pytest.raises(
        GenwrightError, match="a single piece, which cannot be held out and trained on"
    ):
        data(tmp_path, path=str(folder / "0.abc")).prepare(Event())
    with pytest.raises(GenwrightError, match="data.path is not set"):
        data(tmp_path).prepare(Event())
    with pytest.raises(GenwrightError, match=r"data.source is chorales.*set data.source=files"):
        data(tmp_path, source="chorales", path="x").prepare(Grid())
    jsb(folder / "four.json")
    with pytest.raises(
        GenwrightError,
        match="16 of 25 pieces cannot be used: 0.abc: the piece has 1 voices, and the model 4",
    ):
        data(tmp_path, path=(str(folder / "[0-9]*.abc"), str(folder / "four.json"))).prepare(Grid())


def test_draws_of_a_window_depend_on_its_place_alone(tmp_path):
    dataset = data(tmp_path, path=str(jsb(tmp_path / "jsb.json")), context=32).prepare(Jsb())
    windows = dataset.parts["train"]
    assert len(windows) == 6 * 12 == dataset.summary["train"]["examples"]
    drawn = windows.x(np.arange(len(windows)))[:, 2] < 0
    later = np.flatnonzero(drawn)[:1].repeat(50)
    batch = dataset.change(1, training=True)(windows.batch(later), Draws(0, 0, torch.arange(50)))
    assert len({tuple(row) for row in batch["tokens"].tolist()}) > 20
    first = np.flatnonzero(~drawn)[:1]
    tokens = dataset.change(1, training=True)(windows.batch(first), Draws(0, 0, torch.arange(1)))[
        "tokens"
    ]
    assert tokens[0, 0] == dataset.codec.id["start",]
