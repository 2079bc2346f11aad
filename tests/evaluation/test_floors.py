import math
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.core.errors import GenwrightError
from genwright.evaluation import token_floors
from genwright.evaluation.token_floors import Floors, write_counts

tokens_of = st.lists(st.integers(0, 6), min_size=2, max_size=60)


@given(tokens_of, st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_pair_counts_match_a_counter_in_any_chunking(tokens, chunk):
    with tempfile.TemporaryDirectory() as folder:
        write_counts(np.array(tokens, np.uint16), 7, Path(folder), chunk)
        floors = Floors.read(Path(folder))
    codes, counts = floors.codes, floors.counts
    expected = Counter(a * 7 + b for a, b in zip(tokens, tokens[1:], strict=False))
    assert dict(zip(codes.tolist(), counts.tolist(), strict=True)) == expected
    assert codes.tolist() == sorted(expected)


@given(tokens_of, st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_tables_match_counters_in_any_chunking(tokens, chunk):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(token_floors, "CHUNK", chunk)
        write_counts(np.array(tokens, np.uint16), 7, Path(folder), chunk)
        floors = Floors.read(Path(folder))
    times = Counter(tokens)
    pairs = Counter(zip(tokens, tokens[1:], strict=False))
    assert floors.unigram.tolist() == [(times[a] + 0.5) / (len(tokens) + 3.5) for a in range(7)]
    kinds = Counter(b for _, b in pairs)
    assert floors.continuation.tolist() == [(kinds[a] + 0.5) / (len(pairs) + 3.5) for a in range(7)]
    once, twice = (sum(count == n for count in pairs.values()) for n in (1, 2))
    assert floors.discount == (once / (once + 2 * twice) if once and twice else 0.5)
    frequent = max(range(7), key=lambda a: (times[a], -a))
    for a in range(7):
        after = {b: count for (left, b), count in pairs.items() if left == a}
        best = max(after, key=lambda b: (after[b], -b)) if after else frequent
        assert floors.best[a] == best
        assert floors.left_total[a] == sum(after.values()) and floors.left_kinds[a] == len(after)


@given(tokens_of)
@settings(max_examples=60, deadline=None)
def test_both_are_distributions_after_every_left_token(tokens):
    floors = Floors.of(np.array(tokens), 7)
    assert floors.unigram.sum() == pytest.approx(1)
    everything = np.arange(7)
    for left in range(-1, 7):
        p = floors.probability(everything, np.full(7, left))
        assert p.sum() == pytest.approx(1) and (p > 0).all()


def test_unigram_by_hand():
    floors = Floors.of(np.array([0, 0, 0, 1]), 4)
    assert floors.unigram.tolist() == pytest.approx([3.5 / 6, 1.5 / 6, 0.5 / 6, 0.5 / 6])
    found = floors.measure(np.array([0, 1]), np.array([-1, -1]))
    assert found["loss"]["unigram"] == pytest.approx(-math.log(3.5 / 6) - math.log(1.5 / 6))
    assert found["loss"]["bigram"] == pytest.approx(found["loss"]["unigram"]), (
        "no left neighbour: the unigram's"
    )
    assert found["loss"]["uniform"] == pytest.approx(2 * math.log(4))
    assert found["accuracy"]["unigram"] == 1


def test_kneser_ney_by_hand():
    # pairs: 01 x3, 10 x2, 02 x1, 20 x1: n1 = 2, n2 = 1, D = 1/2; after 0: 01 x3, 02 x1; c(0) = 4,
    # T(0) = 2
    floors = Floors.of(np.array([0, 1, 0, 1, 0, 2, 0, 1]), 3)
    assert floors.discount == pytest.approx(2 / 4)
    continuation = [2.5 / 5.5, 1.5 / 5.5, 1.5 / 5.5]  # distinct left neighbours 2, 1, 1
    assert floors.continuation.tolist() == pytest.approx(continuation)
    expected = (3 - 0.5) / 4 + 0.5 * 2 / 4 * continuation[1]
    assert floors.probability(np.array([1]), np.array([0]))[0] == pytest.approx(expected)
    assert floors.best.tolist() == [1, 0, 0]


def test_bigram_learns_a_chain_and_unigram_its_entropy():
    rng = np.random.default_rng(0)
    step = rng.random(40_000) < 0.9
    chain = np.cumsum(np.where(step, 1, 2)) % 5
    floors = Floors.of(chain[:30_000], 5)
    held = chain[30_000:]
    found = floors.measure(held[1:], held[:-1])
    n = len(held) - 1
    assert found["loss"]["unigram"] / n == pytest.approx(math.log(5), abs=0.01)
    assert found["loss"]["bigram"] / n == pytest.approx(
        -0.9 * math.log(0.9) - 0.1 * math.log(0.1), abs=0.02
    )
    assert found["accuracy"]["bigram"] / n == pytest.approx(0.9, abs=0.02)


def test_memory_follows_neither_tokens_nor_distinct_pairs(tmp_path):
    tokens = np.tile(np.arange(1000, dtype=np.uint16), 3000)  # 6 MB of tokens, 1000 distinct pairs
    tracemalloc.start()
    write_counts(tokens, 50_000, tmp_path, chunk=1 << 14)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


def test_a_token_outside_the_vocabulary_is_refused():
    with pytest.raises(GenwrightError, match="outside the vocabulary"):
        Floors.of(np.array([0, 5]), 5)
    with pytest.raises(GenwrightError, match="outside the vocabulary"):
        Floors.of(np.array([0, 1]), 5).measure(np.array([5]), np.array([0]))
