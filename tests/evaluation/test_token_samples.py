import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.evaluation.token_samples import distinct, longest_spans, repetition, until

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


@given(st.lists(tokens_of, max_size=4), tokens_of, st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_longest_spans_against_brute_force(samples, train, stretch, piece):
    given_ones = [np.array(s, np.int64) for s in samples]
    spans = longest_spans(given_ones, np.array(train, np.uint16), 4, stretch, piece)
    at_once = longest_spans(given_ones, np.array(train, np.uint16), 4, stretch, stretch)
    assert spans == at_once, "a smaller piece takes less memory, and changes nothing"
    assert [s.length for s in spans] == [brute(s, train) for s in samples]
    for sample, (start, length, source) in zip(samples, spans, strict=True):
        assert length == 0 or sample[start : start + length] == train[source : source + length]
        assert length > 0 or source == -1


def test_a_planted_copy_is_found_with_its_source():
    rng = np.random.default_rng(0)
    train = rng.integers(0, 5000, 200_000).astype(np.uint16)
    sample = rng.integers(0, 5000, 100)
    sample[20:57] = train[123_456 : 123_456 + 37]
    (span,) = longest_spans([sample], train, 5000, stretch=30_000, piece=7_000)
    assert span == (20, 37, 123_456)


def test_distinct_and_repetition_by_hand():
    a, b = np.array([1, 2, 1, 2]), np.array([1, 2])
    assert distinct([a, b], 1) == pytest.approx(2 / 6)
    assert distinct([a, b], 2) == pytest.approx(2 / 4)  # 12 21 12 | 12
    assert math.isnan(distinct([b], 3))
    assert repetition([np.zeros(8), np.arange(8)], 4) == pytest.approx((1 - 1 / 5) / 2)


def test_until():
    assert until(np.array([1, 2, 0, 3]), 0).tolist() == [1, 2]
    assert until(np.array([1, 2]), None).tolist() == [1, 2]
