"""What was dropped and where a document comes from, as a person sees it."""

import re

import pyarrow.parquet as pq
import pytest
from corpora import write_files
from test_build import recipe

from genwright.core.errors import GenwrightError
from genwright.curation.build import build
from genwright.curation.look import built, dropped, trace


@pytest.fixture
def corpus(tmp_path):
    write_files(tmp_path / "raw", 4)
    made, _ = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    return made


def rows_of(corpus):
    found = []
    for shard in corpus.shards:
        found += [(shard, row) for row in pq.read_table(shard.documents).to_pylist()]
    return found


def test_what_was_dropped_is_shown_with_the_value_that_was_out_of_bounds(corpus):
    found = dropped(corpus, "toy.long", 5)
    assert len(found.documents) == 5
    every = [row["text"] for _, row in rows_of(corpus)]
    assert found.total == sum(len(text.split()) > 12 for text in every)
    for each in found.documents:
        words = len(each.text.split())
        assert words > 12
        assert each.why == f"toy words is {words}, at most 12"
    assert str(found).startswith(f"{found.total} documents were dropped for toy.long; 5 by chance")


def test_what_is_shown_is_by_chance_and_always_the_same(corpus):
    ids = [each.id for each in dropped(corpus, "toy", 6).documents]
    assert ids == [each.id for each in dropped(corpus, "toy", 6).documents]
    assert ids[:3] == [each.id for each in dropped(corpus, "toy", 3).documents]
    places = [(each.file, each.place) for each in dropped(corpus, "toy", 6).documents]
    assert len({file for file, _ in places}) > 1  # not the first ones of one file


def test_an_unknown_reason_names_the_near_one(corpus):
    with pytest.raises(GenwrightError, match="did you mean 'toy.short'"):
        dropped(corpus, "toy.shor")


def test_a_document_is_traced_to_its_raw_file(corpus, tmp_path):
    shard, row = rows_of(corpus)[37]
    found = trace(corpus, row["id"].hex())
    assert found.facts["raw file"] == str(tmp_path / "raw" / row["file"])
    assert found.facts["in it"] == row["place"]
    assert found.facts["sha256 of the file"] == f"{row['file_digest']} (unchanged)"
    assert found.text == row["text"]
    assert trace(corpus, row["id"].hex()[:10]) == found
    number = [each["id"] for s, each in rows_of(corpus) if s == shard].index(row["id"])
    assert trace(corpus, f"train/{shard.key}.selection:{number}") == found
    assert found.attributes["toy words"] == f"{len(row['text'].split())}"


def test_a_raw_file_that_changed_or_went_is_said(corpus, tmp_path):
    _, row = rows_of(corpus)[0]
    (tmp_path / "raw" / row["file"]).write_text("other")
    assert "has changed since" in trace(corpus, row["id"].hex()).facts["sha256 of the file"]
    (tmp_path / "raw" / row["file"]).unlink()
    assert "is gone" in trace(corpus, row["id"].hex()).facts["sha256 of the file"]


@pytest.mark.parametrize("word", ["0123456789", "abc", "key:3", "", "x" * 40])
def test_a_document_that_is_not_there_is_refused(corpus, word):
    with pytest.raises(GenwrightError, match="has no document"):
        trace(corpus, word)


def test_numbers_add_up(corpus):
    found = built(corpus)
    counts = found.counts
    assert counts["documents"] == sum(counts["kept"].values()) + sum(counts["dropped"].values())
    shown = [
        int(n.replace(",", "")) for n in re.findall(r"^  \S.*?  +([\d,]+)  ", str(found), re.M)
    ]
    assert counts["documents"] == sum(shown)
