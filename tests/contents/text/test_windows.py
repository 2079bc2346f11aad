"""Windows: computed permutations, exact cover, speed of a batch."""

import hashlib
import sys
from collections import Counter

import numpy as np
import pytest
import torch

from genwright.contents.text import prepare
from genwright.contents.text.codec import Bytes
from genwright.contents.text.data import TextData
from genwright.contents.text.windows import Tokens
from genwright.core.contracts import Source, Stream, describe
from genwright.core.errors import GenwrightError
from genwright.data import file_parts, readers
from genwright.data.examples import permute


def dataset(tmp_path, size=1000, documents=4, **settings):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(documents):
        (folder / f"{i}.txt").write_bytes(
            bytes(97 + (i + k * k) % 23 for k in range(size // documents))
        )
    settings = {"held_out": 0.3, "context": 8} | settings
    return TextData(path=str(folder), cache=str(tmp_path / "cache"), **settings).prepare(Bytes())


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 64, 65, 1000, 4097])
def test_an_epoch_is_a_permutation(size):
    orders = [
        permute(np.arange(size), size, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    for order in orders:
        assert sorted(order.tolist()) == list(range(size))
    if size >= 64:
        assert all((orders[0] == order).mean() < 0.2 for order in (*orders[1:], np.arange(size)))


def test_the_order_looks_random():
    size = 5000
    order = permute(np.arange(size), size, 3, 0)
    # Neighbours in the order, and the order against the index, are uncorrelated: |r| < 5 / sqrt(n).
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 5 / size**0.5
    assert abs(np.corrcoef(order, np.arange(size))[0, 1]) < 5 / size**0.5
    steps = Counter(np.diff(order).tolist())
    assert steps.most_common(1)[0][1] < 20  # no stride repeats, as it would under i -> a*i + b


def test_stream_visits_every_window_of_an_epoch_once(tmp_path):
    data = dataset(tmp_path, size=997)
    stream = data.stream(5, seed=7)
    assert isinstance(stream, Stream) and stream.size == 5
    tokens = np.asarray(data.tokens("train"))
    numbers = np.arange(3 * stream.windows)
    starts = np.concatenate(
        [stream.indices(int(n) // 5, torch.tensor([n % 5])) for n in numbers]
    ).reshape(3, -1)
    shifts = set()
    for epoch in starts:
        assert (
            len(set(epoch.tolist())) == stream.windows and np.ptp(epoch) == (stream.windows - 1) * 8
        )
        assert epoch.min() >= 0 and epoch.max() + 9 <= len(tokens)
        shifts.add(int(epoch.min()))
    assert len(shifts) > 1 and (starts[0] != starts[1]).any()
    across = stream.windows // 5  # this batch begins in one epoch and ends in the next
    batch = stream.batch(across, torch.arange(5))["tokens"]
    assert batch.shape == (5, 9) and batch.dtype == torch.int64
    for row, number in zip(batch, range(across * 5, across * 5 + 5), strict=True):
        start = starts.ravel()[number]
        assert row.tolist() == tokens[start : start + 9].tolist()


def test_a_batch_is_a_pure_function_of_its_position(tmp_path):
    data = dataset(tmp_path)
    stream = data.stream(6, seed=1)
    whole = stream.batch(11, torch.arange(6))["tokens"]
    parts = [
        data.stream(6, seed=1).batch(11, torch.tensor(part))["tokens"]
        for part in ([4, 5], [0], [1, 2, 3])
    ]
    assert torch.equal(whole, torch.cat([parts[1], parts[2], parts[0]]))
    assert not torch.equal(whole, data.stream(6, seed=2).batch(11, torch.arange(6))["tokens"])
    assert stream.batch(11, torch.arange(0))["tokens"].shape == (0, 9)


@pytest.mark.parametrize("lookahead", [0, 1])
@pytest.mark.parametrize("size", [400, 403, 407])
def test_held_out_windows_cover_the_split(tmp_path, lookahead, size):
    data = dataset(tmp_path, size=size)
    held = data.held_out(lookahead)
    tokens = data.tokens("held_out")
    batch = torch.cat([held.batch(0, 2)["tokens"], held.batch(2, held.windows + 5)["tokens"]])
    assert batch.shape == (held.windows, 8 + lookahead)
    targets = batch[:, lookahead:].flatten()
    assert targets[targets >= 0].tolist() == tokens[lookahead:].tolist()
    assert (targets[: len(tokens) - lookahead] >= 0).all()
    if lookahead:
        assert torch.equal(batch[1:, 0], batch[:-1, -1])


def test_documents_are_told_apart(tmp_path):
    data = dataset(tmp_path, isolate_documents=True)
    batch = data.stream(4, 0).batch(3, torch.arange(4))
    end = data.codec.space.special["end"]
    ends_before = torch.cumsum((batch["tokens"] == end).long(), 1) - (batch["tokens"] == end).long()
    assert torch.equal(batch["documents"] - batch["documents"][:, :1], ends_before)
    held = data.held_out().batch(0, 10**6)
    assert torch.equal(held["documents"] < 0, held["tokens"] < 0)


def test_context_longer_than_the_data(tmp_path):
    data = dataset(tmp_path, context=5000)
    with pytest.raises(
        GenwrightError,
        match="data.context = 5000 is longer than the training data .* lower data.context",
    ):
        data.stream(2, 0)
    exact = (
        dataset(tmp_path / "b", context=len(data.tokens("train")) - 1)
        if (tmp_path / "b").mkdir() is None
        else None
    )
    assert (
        exact.stream(2, 0).batch(5, torch.arange(2))["tokens"].tolist()
        == [data.tokens("train")[:].tolist()] * 2
    )


def test_tokens_over_shards_are_one_array():
    shards = [
        np.arange(0, 5, dtype="<u2"),
        np.arange(5, 5, dtype="<u2"),
        np.arange(5, 12, dtype="<u2"),
    ]
    tokens = Tokens(shards, np.dtype("<u2"))
    whole = np.arange(12)
    assert len(tokens) == 12 and tokens.shape == (12,) and tokens[-1] == 11 and tokens[5] == 5
    for cut in (
        slice(None),
        slice(3, 9),
        slice(9, 3),
        slice(-2, None),
        slice(0, 12, 3),
        slice(None, None, -1),
    ):
        assert tokens[cut].tolist() == whole[cut].tolist()
    assert np.array_equal(np.asarray(tokens), whole) and np.bincount(tokens).sum() == 12
    with pytest.raises(IndexError):
        tokens[12]


def test_a_batch_is_quick(tmp_path, monkeypatch):
    """A batch takes some calls a window and reads its own tokens: 15 us on a quiet machine, where
    300 us would be 3% of a step of 10 ms. Both are counted, for time depends on the machine."""
    stream = dataset(tmp_path, size=40_000, context=64).stream(12, 0)
    examples = torch.arange(12)
    calls = read = 0
    copy = Tokens.copy

    def counted_copy(self, start, out):
        nonlocal read
        read += len(out)
        copy(self, start, out)

    def count(frame, event, argument):
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1

    monkeypatch.setattr(Tokens, "copy", counted_copy)
    monkeypatch.setattr(Tokens, "__array__", lambda *_: pytest.fail("the split was read whole"))
    sys.setprofile(count)
    try:
        for position in range(200):
            stream.batch(position, examples)
    finally:
        sys.setprofile(None)
    wanted = 200 * 12 * stream.width
    assert calls < 200 * 12 * 15
    assert wanted <= read < 1.5 * wanted


def test_describe_names_documents(tmp_path):
    data = dataset(tmp_path)
    stream = data.stream(3, 0)
    text = describe(stream, 2, torch.tensor([0, 2]))
    assert text.count(".txt (from token ") == 2
    starts = stream.indices(2, torch.tensor([0, 2])).tolist()
    first = [data.document_at("train", start) for start in starts]
    assert text == ", ".join(f"{name} (from token {offset})" for name, offset in first)


def digest_of(text):
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def test_sources_are_the_documents_of_a_window(tmp_path):
    (tmp_path / "a.txt").write_text("abcde")  # with its end 6 tokens of bytes: 0 to 5
    (tmp_path / "b.jsonl").write_text('{"text": "fg"}\n{"text": ""}\n"hij"\n')  # 6 to 8, 9 to 12
    (tmp_path / "c.txt").write_text("klmnopqrstuvwxyz")  # 13 to 29
    settings = {"cache": str(tmp_path / "cache"), "held_out": 0, "context": 4, "workers": 1}
    data = TextData(path=str(tmp_path / "?.*"), **settings).prepare(Bytes())
    a = Source("a.txt", "a.txt", digest_of("abcde"))
    b0 = Source("b.jsonl:0", "b.jsonl", digest_of("fg"))
    b2 = Source("b.jsonl:2", "b.jsonl", digest_of("hij"))
    c = Source("c.txt", "c.txt", digest_of("klmnopqrstuvwxyz"))
    windows = data.stream(2, 0).split  # 5 tokens wide, the last target included
    assert windows.sources(np.array([0])) == [a]
    assert windows.sources(np.array([2])) == [a._replace(offset=2), b0]
    assert windows.sources(np.array([5])) == [a._replace(offset=5), b0, b2]
    assert windows.sources(np.array([8])) == [b0._replace(offset=2), b2]
    assert windows.sources(np.array([9])) == [b2, c]
    assert windows.sources(np.array([28, 0])) == [c._replace(offset=15), a]  # the split has ended
    stream = data.stream(2, 3)
    for position in range(9):
        starts = stream.indices(position, torch.arange(2))
        assert stream.sources(position, torch.arange(2)) == windows.sources(starts)


def test_a_document_in_several_shards_is_one_source(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK", 500)
    monkeypatch.setattr(file_parts, "PART", 1000)
    monkeypatch.setattr(prepare, "UNIT", 1000)
    lines = "".join(f"line {i}\n" for i in range(600))
    (tmp_path / "long.txt").write_text(lines)
    settings = {"cache": str(tmp_path / "cache"), "split": "tail", "context": 4, "workers": 1}
    data = TextData(path=str(tmp_path / "long.txt"), **settings).prepare(Bytes())
    whole = Source("long.txt", "long.txt", digest_of(lines))
    assert len({key.split("/")[0] for key in data.shards}) > 3
    windows = data.stream(1, 0).split
    for start in (0, 1500, 3000):
        assert windows.sources(np.array([start])) == [whole._replace(offset=start)]
