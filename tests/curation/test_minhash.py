"""Shingles, sketches and bands against plain Python, against closed forms, and by enumeration."""

import itertools
import random
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.core.errors import GenwrightError
from genwright.curation import minhash
from genwright.curation.minhash import (
    EMPTY,
    WORDS,
    band_keys,
    bands_and_rows,
    expected_recall,
    jaccard,
    shingles,
    signatures,
)
from genwright.curation.near_verify import distinct_hashes

SPACES = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]


def plain_shingles(text: str) -> list[tuple[str, ...]]:
    """The definition, in plain Python."""
    words = text.lower().split()
    if len(words) < WORDS:
        return [tuple(words)] if words else []
    return [tuple(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1)]


def plain_jaccard(one: str, other: str) -> float:
    first = set(plain_shingles(one))
    second = set(plain_shingles(other))
    if not first and not second:
        return 0.0
    return len(first & second) / len(first | second)


def one_by_one(texts: list[str]) -> list[list[int]]:
    hashes, offsets = shingles(texts)
    bounds = zip(offsets[:-1], offsets[1:], strict=True)
    return [hashes[start:stop].tolist() for start, stop in bounds]


WORD = st.one_of(
    st.sampled_from(["a", "b", "A", "aa", "\0", "a\0", "İ", "ΑΣ", "ß", "𝔘", "x" * 8, "x" * 9]),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=90),
)
TEXT = st.lists(
    st.tuples(WORD, st.sampled_from([" ", "\n", "\t\r", "\x1c", "\x85", "\xa0", "\u2003", ""])),
    max_size=14,
).map(lambda pairs: "".join(itertools.chain(*pairs)))


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, max_size=6))
def test_two_hashes_are_equal_where_the_shingles_are(texts):
    found = one_by_one(texts)
    expected = [plain_shingles(text) for text in texts]
    assert [len(each) for each in found] == [len(each) for each in expected]
    by_hash = dict(zip(itertools.chain(*found), itertools.chain(*expected), strict=True))
    by_shingle = dict(zip(itertools.chain(*expected), itertools.chain(*found), strict=True))
    for hashes, grams in zip(found, expected, strict=True):
        assert [by_hash[value] for value in hashes] == grams
        assert [by_shingle[gram] for gram in grams] == hashes


@settings(max_examples=60, deadline=None)
@given(TEXT, TEXT)
def test_similarity_is_that_of_plain_python(one, other):
    first, second = (np.unique(np.array(each, np.uint64)) for each in one_by_one([one, other]))
    assert jaccard(first, second) == plain_jaccard(one, other)


def test_every_white_space_of_python_splits_words():
    assert len(one_by_one(["".join(f"w{space}" for space in SPACES)])[0]) == len(SPACES) - WORDS + 1


def test_words_that_differ_beyond_the_first_groups_of_bytes_differ():
    words = ["x" * 100 + end for end in ("", "a", "b", "ba", "\0")]
    assert len({value for values in one_by_one(words) for value in values}) == len(words)


def test_it_does_not_matter_which_documents_are_beside_one_another():
    texts = ["", "a b", "a b c d e f g", "Ünïcode " * 9, "x" * 200, "a b c d e"]
    alone = [one_by_one([text])[0] for text in texts]
    assert one_by_one(texts) == alone
    sketches = signatures(shingles(texts), 30)
    for row, text in enumerate(texts):
        assert (signatures(shingles([text]), 30)[0] == sketches[row]).all()


@pytest.mark.parametrize("bins", [1, 7, 126, 700])
def test_sketches_are_full_unless_there_are_no_words(bins):
    texts = ["", " \n", "one", "a b c d e", "a b c d e f", "w " * 300]
    sketch = signatures(shingles(texts), bins)
    assert sketch.shape == (len(texts), bins) and sketch.dtype == np.uint32
    assert (sketch[:2] == EMPTY).all()
    assert (sketch[2:] != EMPTY).all()


def test_order_and_repetition_of_shingles_do_not_change_a_sketch():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 63, 90, dtype=np.uint64)
    again = rng.permutation(np.concatenate([hashes, hashes[:40]]))
    one = signatures(minhash.Shingles(hashes, np.array([0, len(hashes)])), 126)
    other = signatures(minhash.Shingles(again, np.array([0, len(again)])), 126)
    assert (one == other).all()


@pytest.mark.parametrize("size", [5, 40, 150, 1500])
@pytest.mark.parametrize("similarity", [0.3, 0.8])
def test_equal_share_of_two_sketches_is_their_similarity(size, similarity):
    """Its mean over many pairs, within four standard errors; also of short documents."""
    pairs = 400
    rng = np.random.default_rng(size)
    shared = round(2 * size * similarity / (1 + similarity))
    true = shared / (2 * size - shared)
    hashes = rng.integers(0, 1 << 64, (pairs, 2 * size - shared), dtype=np.uint64)
    sets = np.stack([hashes[:, :size], hashes[:, -size:]], 1)
    offsets = np.arange(2 * pairs + 1) * size
    sketch = signatures(minhash.Shingles(sets.reshape(-1), offsets), 126)
    equal = (sketch[0::2] == sketch[1::2]).mean(1)
    error = equal.std() / pairs**0.5
    assert abs(equal.mean() - true) < 4 * error + 1e-9
    # no wider than independent hash functions
    assert equal.std() < 1.25 * (true * (1 - true) / 126) ** 0.5


def test_bands_agree_where_all_their_rows_do():
    """Every way in which 6 numbers of two sketches can agree or not."""
    bands, rows = 3, 2
    base = np.arange(6, dtype=np.uint32)
    for agree in itertools.product([False, True], repeat=6):
        other = np.where(agree, base, base + 100).astype(np.uint32)
        one_keys, other_keys = band_keys(np.stack([base, other]), bands, rows)
        expected = np.array(agree).reshape(bands, rows).all(1)
        assert (one_keys == other_keys).tolist() == expected.tolist()
    same = band_keys(np.zeros((1, 6), np.uint32), bands, rows)[0]
    assert len(set(same.tolist())) == bands  # equal numbers in another band are no agreement


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.95])
@pytest.mark.parametrize("recall", [0.5, 0.9, 0.95, 0.99])
def test_bands_have_the_most_rows_that_reach_the_recall(similarity, recall):
    chosen = bands_and_rows(similarity, recall, 126)
    assert chosen.bands * chosen.rows <= 126
    assert chosen.recall == 1 - (1 - similarity**chosen.rows) ** chosen.bands >= recall
    for rows in range(chosen.rows + 1, 127):
        assert expected_recall(similarity, 126 // rows, rows) < recall


def test_bands_of_the_defaults():
    assert bands_and_rows(0.8, 0.95, 126) == (18, 7, pytest.approx(0.9855, abs=1e-4))


def test_recall_that_cannot_be_reached_is_refused():
    with pytest.raises(GenwrightError, match="deduplicate.similarity"):
        bands_and_rows(0.01, 0.99, 126)


def test_share_of_candidates_is_the_closed_form():
    """2,000 pairs of similarity .8: within four standard deviations."""
    pairs, size, bands, rows = 2000, 200, 9, 13
    rng = random.Random(1)
    draw = np.random.default_rng(rng.randrange(1 << 30))
    shared = round(2 * size * 0.8 / 1.8)
    true = shared / (2 * size - shared)
    hashes = draw.integers(0, 1 << 64, (pairs, 2 * size - shared), dtype=np.uint64)
    sets = np.stack([hashes[:, :size], hashes[:, -size:]], 1)
    offsets = np.arange(2 * pairs + 1) * size
    sketch = signatures(minhash.Shingles(sets.reshape(-1), offsets), bands * rows)
    keys = band_keys(sketch, bands, rows)
    found = (keys[0::2] == keys[1::2]).any(1).mean()
    expected = expected_recall(true, bands, rows)
    assert abs(found - expected) < 4 * (expected * (1 - expected) / pairs) ** 0.5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=6))
def test_distinct_hashes_are_the_sets(documents):
    offsets = np.cumsum([0, *map(len, documents)])
    hashes = np.array(list(itertools.chain(*documents)), np.uint64)
    distinct, ends = distinct_hashes(minhash.Shingles(hashes, offsets))
    starts = [0, *ends.tolist()]
    found = [distinct[start:stop].tolist() for start, stop in zip(starts, ends, strict=False)]
    assert found == [sorted(set(each)) for each in documents]
