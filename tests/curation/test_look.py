"""What was dropped and where a document comes from, as a person sees it."""

import re
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from corpora import write_files
from test_build import recipe
from test_mix_copies import changed, text

from genwright.core.corpus import Attributes, Column, add_attributes
from genwright.core.errors import GenwrightError
from genwright.curation.build import build
from genwright.curation.built import built
from genwright.curation.groups import clusters
from genwright.curation.look import dropped, trace
from genwright.curation.settings import Near


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


def test_a_filter_that_was_added_since_the_mix_is_named(corpus, tmp_path):
    column = Column("letters", unit="letters")
    add_attributes("text", Attributes("toy letters", (column,), letters))
    _, row = rows_of(corpus)[37]
    added = [{"attribute": "letters", "at_most": 9}]
    edited = replace(corpus, recipe=recipe(tmp_path / "raw", filters=added))
    with pytest.raises(GenwrightError, match="no values of toy letters .*run genwright data mix"):
        trace(edited, row["id"].hex())


def letters(texts):
    return {"letters": np.array(list(map(len, texts)), float)}


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


def with_copies(tmp_path, *texts, **given):
    (tmp_path / "raw").mkdir()
    for number, words in enumerate(texts):
        (tmp_path / "raw" / f"{number}.txt").write_text(words + "\n")
    own = recipe(tmp_path / "raw", deduplicate=Near(similarity=0.7), **given)
    return build(own, tmp_path / "c", workers=1)[0]


def test_of_a_copy_is_said_what_it_resembles(tmp_path):
    one = text(1)
    corpus = with_copies(tmp_path, one, changed(one, [30]), one, text(2), filters=[])
    ids = {row["file"]: row["id"].hex() for _, row in rows_of(corpus)}
    (near,) = dropped(corpus, "copies.near").documents
    (exact,) = dropped(corpus, "copies.exact").documents
    kept = ({"0.txt", "1.txt", "2.txt"} - {near.file, exact.file}).pop()
    similarity = 51 / 61  # of 56 runs of five words, 5 hold the word that is another
    name = f"{ids[kept][:12]}  raw/{kept}, line 1"
    assert near.why == f"similarity {similarity:.3f} to {name}"
    assert near.why in str(near)
    assert trace(corpus, near.id).facts["why"] == near.why
    if exact.file != "1.txt" and kept != "1.txt":
        assert exact.why == f"equal to {name}"


def test_of_a_copy_whose_original_was_dropped_is_said_so(tmp_path):
    """Two equal near copies of a document that a rule drops: one of them stays."""
    found = []
    for seed in range(6):
        long = text(seed)
        shorter = " ".join(long.split()[:55])
        folder = tmp_path / str(seed)
        folder.mkdir()
        rule = [{"attribute": "toy words", "at_most": 58}]
        corpus = with_copies(folder, long, shorter, shorter, filters=rule)
        (copy,) = dropped(corpus, "copies.exact").documents
        found.append(copy.why.partition(" near copy of ")[0])
    assert "equal to another" in found


def test_what_edits_replace_is_shown_nowhere(tmp_path):
    """c4 takes lines out, personal-data puts words in place of addresses."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.txt").write_text(
        "Write to anna@corner-shop.com about the garden.\n"
        "This line of the text ends with no stop, ask bob@corner-shop.com\n"
        "The garden is open on every day of the whole week.\n"
    )
    given = [{"kind": "files", "path": str(tmp_path / "raw")}]
    filters = ["c4", "personal-data", {"attribute": "words", "at_most": 5}]
    corpus, _ = build(recipe(None, sources=given, filters=filters), tmp_path / "c", workers=1)
    (one,) = dropped(corpus).documents
    printed = str(trace(corpus, one.id))
    for shown in (str(dropped(corpus)), one.text, printed):
        assert "@" not in shown
    assert "Write to <email> about" in one.text
    assert "replaced by <email>: 2" in printed
    assert "taken out: This line of the text ends with no stop, ask <email>" in printed
    assert str(dropped(corpus)).startswith("1 document was dropped in all:")
    assert str(built(corpus)).startswith(f"{corpus.folder}: 1 document, 0.16 kB")


def test_of_a_large_cluster_is_said_how_many_are_not_shown(tmp_path):
    corpus = with_copies(tmp_path, *[text(1)] * 6, filters=[])
    printed = str(clusters(corpus))
    assert printed.count("exact  1.000") == 3
    assert printed.endswith("\n  and 2 more, at least as similar")
