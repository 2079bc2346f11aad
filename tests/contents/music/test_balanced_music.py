"""data.balance of music: pieces' attributes in training; a window counts like its piece."""

from collections import Counter

import pytest
import torch
from composed import tunes

from genwright.contents.music.codec_grid import Grid
from genwright.contents.music.data import MusicData
from genwright.core.attributes import decode


def prepared(tmp_path, **settings):
    data = MusicData(
        path=str(tunes(tmp_path / "tunes")),
        context=32,
        minimum=2,
        held_out=0.2,
        cache=str(tmp_path / "cache"),
        workers=1,
        **settings,
    )
    return data.prepare(Grid())


def weights_of_pieces(dataset):
    """(type of tune, what it weighs) of each training piece, by its first window."""
    train = dataset.parts["train"]
    found = {}
    for window, (piece, _, _) in enumerate(train.x(range(len(train))).tolist()):
        found.setdefault(piece, dataset.balance.weights[window])
        assert found[piece] == dataset.balance.weights[window]
    possible = dataset.codec.space.attributes
    kinds = {p: decode(possible, dataset.conditions[p])["type"][0] for p in found}
    return [(kinds[piece], weight) for piece, weight in found.items()]


def test_pieces_have_their_shares(tmp_path):
    dataset = prepared(tmp_path, balance={"type": {"jig": 0.8, "reel": 0.2}}, balance_by="weights")
    totals = Counter()
    for kind, weight in weights_of_pieces(dataset):
        totals[kind] += weight
    assert totals["jig"] / totals.total() == pytest.approx(0.8)
    batch = dataset.stream(4, 0).batch(0, torch.arange(4))
    assert batch["weight"].shape == (4,)
    assert batch["tokens"].shape[0] == 4


def test_sampling_and_lineage(tmp_path):
    dataset = prepared(tmp_path, balance={"type": {"jig": 1, "reel": 0}})
    stream = dataset.stream(8, 0)
    names = {source.document for source in stream.sources(3, torch.arange(8))}
    jigs = {f"{number}.abc" for number in range(1, 16, 2)}
    assert {name.partition(":")[0] for name in names} <= jigs
    assert dataset.digest != prepared(tmp_path).digest
    assert dataset.own_digest == prepared(tmp_path).digest
