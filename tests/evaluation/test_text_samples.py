import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.evaluation.tokens import (
    distinct,
    longest_spans,
    measure_samples,
    noise,
    parses,
    repetition,
    until,
    windows,
)

tokens_of = st.lists(st.integers(0, 3), max_size=30)


def brute(sample, train):
    """Length of the longest common run, by trying every pair of places."""
    best = 0
    for i in range(len(sample)):
        for j in range(len(train)):
            n = 0
            while i + n < len(sample) and j + n < len(train) and sample[i + n] == train[j + n]:
                n += 1
            best = max(best, n)
    return best


@given(st.lists(tokens_of, max_size=4), tokens_of, st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_longest_spans_against_brute_force(samples, train, chunk):
    spans = longest_spans(
        [np.array(s, np.int64) for s in samples], np.array(train, np.uint16), 4, chunk
    )
    assert [s.length for s in spans] == [brute(s, train) for s in samples]
    for sample, (start, length, source) in zip(samples, spans, strict=True):
        assert length == 0 or sample[start : start + length] == train[source : source + length]
        assert length > 0 or source == -1


def test_a_planted_copy_is_found_with_its_source():
    rng = np.random.default_rng(0)
    train = rng.integers(0, 5000, 200_000).astype(np.uint16)
    sample = rng.integers(0, 5000, 100)
    sample[20:57] = train[123_456 : 123_456 + 37]
    (span,) = longest_spans([sample], train, 5000, chunk=30_000)
    assert span == (20, 37, 123_456)


def test_distinct_and_repetition_by_hand():
    a, b = np.array([1, 2, 1, 2]), np.array([1, 2])
    assert distinct([a, b], 1) == pytest.approx(2 / 6)
    assert distinct([a, b], 2) == pytest.approx(2 / 4)  # 12 21 12 | 12
    assert math.isnan(distinct([b], 3))
    assert repetition([np.zeros(8), np.arange(8)], 4) == pytest.approx((1 - 1 / 5) / 2)


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("x = 1\ny = (", True),
        ("def f(a):\n    if a:\n        return 1\n    els", True),
        ("def f(a):\n    if a:\n", None),
        ("x = 1\nfoo(a,\n    b,\n", True),
        ('x = 1\ns = """ open\nmore\n', True),
        ('"""Only the start of a docstring\nthat goes on\n', None),
        ("# a comment\n\n", None),
        ("no newline at all", None),
        ("", None),
        ("x = = 1\ny = 2\n", False),
        ("x = 1\ndef f(:\n    pass\n", False),
        ("if a:\n        x = 1\n    y = 2\n", False),
        ("x = 1\n  y = 2\n", False),
        ("x = '\\d'\n", True),  # an invalid escape only warns
        ("x = 1\0\n", False),
        ("try:\n    x = 1\nexcept", None),
        ("(" * 5000 + "\n", False),
        ("x = " + "-" * 100_000 + "1\n", False),
    ],
)
def test_parses(text, verdict, recwarn):
    assert parses(text) is verdict
    assert not recwarn.list


def test_beginnings_of_real_programs_never_count_as_wrong():
    folder = Path(os.__file__).parent
    for name in ("ast.py", "json/decoder.py", "heapq.py", "textwrap.py", "dataclasses.py"):
        text = (folder / name).read_text(encoding="utf-8")
        assert all(parses(text[:n]) is not False for n in range(100, 3000, 97)), name
        assert parses(text) is True


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


def test_noise_follows_the_unigram():
    drawn = np.concatenate(noise(np.array([0.0, 0.75, 0.25]), [4000, 4000], seed=0))
    assert (drawn == 0).sum() == 0
    assert (drawn == 1).mean() == pytest.approx(0.75, abs=0.02)


def test_until():
    assert until(np.array([1, 2, 0, 3]), 0).tolist() == [1, 2]
    assert until(np.array([1, 2]), None).tolist() == [1, 2]


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
        [good, bad], train, held, counts / counts.sum(), decode, end=0, code=True
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
