"""A corpus keeps the lists that its filters name: it is looked at and mixed again without them."""

import logging

import pytest

from genwright.core.errors import GenwrightError
from genwright.core.kept_files import keep_files
from genwright.curation.build import build, open_corpus, read_corpus_recipe, remix
from genwright.curation.built import built
from genwright.curation.look import dropped
from genwright.curation.page import write_page
from rooms_here import needs

pytestmark = needs("text")
RECIPE = """
name: mine
sources: [{kind: listed, path: raw}]
filters: [{words: "my lists/bad.txt 10%"}]
deduplicate: null
mix: {held_out: 0}
"""


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    lines = ["heck this is bad", "darn that is bad too", "nothing of the kind here"]
    (tmp_path / "raw" / "a.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "my lists").mkdir()
    (tmp_path / "my lists" / "bad.txt").write_text("heck\n")
    (tmp_path / "corpus.yaml").write_text(RECIPE)
    made, counts = build(read_corpus_recipe("corpus.yaml"), tmp_path / "c", workers=1)
    assert counts.dropped == {"words.bad": 1}
    return made


def kept_in(corpus):
    return sorted(
        path.read_text() for path in (corpus.folder / "kept").rglob("*.txt") if path.is_file()
    )


def test_a_corpus_is_looked_at_where_its_list_is_gone(corpus, tmp_path, caplog):
    (tmp_path / "my lists" / "bad.txt").unlink()
    with caplog.at_level(logging.WARNING):
        again = open_corpus(corpus.folder)
    assert "my lists/bad.txt is not there: the copy that" in caplog.text
    (found,) = dropped(again, "words.bad").documents
    assert found.text == "heck this is bad"
    write_page(again, tmp_path / "page.html")
    assert "words.bad" in (tmp_path / "page.html").read_text()


def test_it_is_mixed_again_elsewhere(corpus, tmp_path, monkeypatch):
    """With another rule, and a document whose attributes are not there."""
    monkeypatch.chdir("/")
    recipe = corpus.folder / "corpus.yaml"
    recipe.write_text(recipe.read_text().replace("10%", "60%"))
    for path in (corpus.folder / "attributes").rglob("*.parquet"):
        path.unlink()
    counts = remix(open_corpus(corpus.folder), workers=1)
    assert counts.dropped == {}
    assert kept_in(corpus) == ["heck\n"]


def test_a_list_that_changed_decides_as_it_is_now(corpus, tmp_path):
    (tmp_path / "my lists" / "bad.txt").write_text("heck\ndarn\n")
    counts = remix(open_corpus(corpus.folder), workers=1)
    assert counts.dropped == {"words.bad": 2}
    assert kept_in(corpus) == ["heck\ndarn\n"]  # that of before is gone
    (tmp_path / "my lists" / "bad.txt").unlink()
    assert built(open_corpus(corpus.folder)).counts["dropped"] == {"words.bad": 2}


def test_a_list_that_no_filter_names_goes(corpus):
    keep_files(corpus.folder, [])
    assert kept_in(corpus) == []


def test_another_corpus_does_not_find_it(corpus, tmp_path):
    open_corpus(corpus.folder)
    (tmp_path / "my lists" / "bad.txt").unlink()
    with pytest.raises(GenwrightError, match=r"the list of words my lists/bad.txt cannot be"):
        read_corpus_recipe(tmp_path / "corpus.yaml")


def test_the_list_of_bad_words_of_c4_is_kept_too(corpus, tmp_path):
    (tmp_path / "corpus.yaml").write_text(RECIPE.replace('words: "my lists/bad.txt 10%"', "c4: l"))
    (tmp_path / "l").write_text("heck\n")
    recipe = read_corpus_recipe(tmp_path / "corpus.yaml")
    assert [rules.files for rules in recipe.rule_sets()] == [("l",)]
