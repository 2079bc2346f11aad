"""Clusters of copies, as a person sees them."""

import pytest
from test_build import recipe
from test_mix_copies import changed, text, write

from genwright.core.errors import GenwrightError
from genwright.curation.build import build
from genwright.curation.groups import clusters
from genwright.curation.settings import Near


@pytest.fixture
def corpus(tmp_path):
    """Five of one kind: three equal, one with one word changed, one with three; and two others."""
    one = text(1, 100)
    far = changed(one, [10, 40, 70])
    write(tmp_path / "raw", [one, one, one, changed(one, [50]), far, text(2, 100), text(3, 100)])
    own = recipe(tmp_path / "raw", filters=[], deduplicate=Near(similarity=0.8, recall=0.99))
    made, _ = build(own, tmp_path / "c", workers=1)
    return made


def test_copies_are_counted_and_shown_with_their_places(corpus):
    found = clusters(corpus)
    assert (found.counts.exact, found.counts.near) == (2, 1)
    ((stays, *copies),) = found.texts
    assert stays[:2] == (1.0, "kept")
    # 96 runs of five words, of which five are others: 91 of 101
    assert [each[:2] for each in copies] == [
        (pytest.approx(91 / 101), "near"),
        (1.0, "exact"),
        (1.0, "exact"),
    ]
    assert all("raw/0.txt, line" in each[2] for each in (stays, *copies))
    assert "2 exact and 1 near copies of 7 documents go" in str(found)


def test_another_similarity_needs_no_other_search(corpus):
    before = {p: p.read_bytes() for p in (corpus.folder / "near").rglob("*") if p.is_file()}
    assert clusters(corpus, 0.95).counts.near == 0
    # three words changed: 81 of 111
    assert clusters(corpus, 0.72).counts.near == 2
    after = {p: p.read_bytes() for p in (corpus.folder / "near").rglob("*") if p.is_file()}
    assert after == before
    with pytest.raises(GenwrightError, match="stored from a similarity of 0.7"):
        clusters(corpus, 0.5)


def test_where_copies_were_not_looked_for_that_is_said(tmp_path):
    write(tmp_path / "raw", [text(1), text(2)])
    own = recipe(tmp_path / "raw", filters=[], deduplicate=None)
    made, _ = build(own, tmp_path / "c", workers=1)
    with pytest.raises(GenwrightError, match="copies were not looked for"):
        clusters(made)
