import numpy as np
import pytest
import torch

from genwright.contents.text import sample_figures
from genwright.contents.text.evaluate import PYTHON
from genwright.contents.text.sample_figures import measure_samples, noise, windows
from genwright.core.draws import Draws


def test_windows_begin_documents_and_stop_at_their_end():
    tokens = np.array([1, 2, 3, 0, 4, 5, 6, 7, 0, 8, 0, 9, 9, 9])
    found, whole = windows(tokens, [3, 3, 3], seed=1, end=0)
    assert {tuple(w) for w in found} == {(1, 2, 3), (4, 5, 6), (9, 9, 9)}, (
        "documents long enough come first, each once"
    )
    assert whole == 3
    assert windows(tokens, [4], seed=1, end=0)[0][0].tolist() == [4, 5, 6, 7]
    assert [w.tolist() for w in windows(tokens, [3], 1, 0)[0]] == [
        w.tolist() for w in windows(tokens, [3], 1, 0)[0]
    ]


def test_windows_without_documents_left_are_spread_not_repeated():
    # token 0 ends an empty document: one is left
    found, whole = windows(np.arange(100), [5] * 4, seed=2, end=0)
    assert whole == 1 and found[0].tolist() == [1, 2, 3, 4, 5]
    assert len({tuple(w) for w in found}) == 4 and all(len(w) == 5 for w in found)
    found, whole = windows(np.arange(50), [5, 5], seed=2)
    assert whole == 0 and [len(w) for w in found] == [5, 5]


@pytest.mark.parametrize("piece", [1, 3, 50, 1 << 18])
def test_documents_are_drawn_as_from_all_of_them_at_once(monkeypatch, piece):
    monkeypatch.setattr(sample_figures, "PIECE", piece)
    for seed in range(12):
        dice = np.random.default_rng(seed)
        tokens = dice.integers(0, int(dice.choice([2, 6, 40])), int(dice.integers(0, 120)))
        lengths = dice.integers(0, 12, int(dice.integers(0, 9))).tolist()
        starts = np.concatenate([[0], np.flatnonzero(tokens == 0) + 1])
        sizes = np.diff(np.append(starts, len(tokens) + 1)) - 1
        bits = Draws(seed, 0, torch.arange(len(starts))).bits("windows").reshape(-1).tolist()
        longest = max(lengths, default=0)
        order = sorted(range(len(starts)), key=lambda n: (sizes[n] < longest, bits[n], n))
        order = [n for n in order if sizes[n] > 0 or not longest]
        expected = []
        for n, document in zip(lengths, order, strict=False):
            start = starts[document]
            expected.append(tokens[start : start + min(n, sizes[document])].tolist())
        found, whole = windows(tokens, lengths, seed, end=0)
        assert [window.tolist() for window in found[:whole]] == expected


def test_noise_follows_the_unigram():
    drawn = np.concatenate(noise(np.array([0.0, 0.75, 0.25]), [4000, 4000], seed=0))
    assert (drawn == 0).sum() == 0
    assert (drawn == 1).mean() == pytest.approx(0.75, abs=0.02)


def test_measure_samples_puts_model_between_noise_and_text():
    text = "".join(f"def f{i}(a):\n    return a + {i}\n\n\n# {i * 1009}\n\0" for i in range(200))
    data = np.frombuffer(text.encode(), np.uint8)
    train, held = data[:4000], data[4000:]
    counts = np.bincount(train, minlength=128) + 0.5
    lines = (
        b"def f1(a):\n    return a + 1\n\n\n# 1009\n",
        b"def f1(a:\n    return a + 1\n\n\n# 1009\n",
    )
    good, bad = (np.frombuffer(line, np.uint8) for line in lines)

    def decode(tokens):
        return bytes(tokens).decode()

    figures, spans = measure_samples(
        [good, bad], train, held, counts / counts.sum(), decode, end=0, judge=PYTHON
    )
    by_name = {(f.name, f.unit): f for f in figures}
    assert (
        spans[0].length
        == len(good)
        == by_name["verbatim, longest, in characters", "characters"].value
    )
    share = by_name["parses as Python", "share"]
    assert (share.value, share.ceilings["held-out text"], share.count) == (0.5, 1.0, 2)
    assert by_name["verbatim, longest", "tokens"].value == len(good)
    assert by_name["distinct-1", "share"].count == len(good) + len(bad)
    assert (
        by_name["verbatim, mean", "tokens"].floors["token noise"]
        < by_name["verbatim, mean", "tokens"].ceilings["held-out text"]
    )
