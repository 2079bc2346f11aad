"""Corpora whose filters name folders that are gone are looked at, trained on and mixed again."""

import json
import logging
import shutil

import pytest

import genwright
from genwright import api_data
from genwright.contents.text import corpus_contamination, corpus_ngrams, corpus_quality_trained
from genwright.core.errors import GenwrightError
from genwright.core.kept_files import Input, keep_digests, kept_digest, open_kept
from genwright.curation.build import open_corpus
from short_runs import SHORT

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."
)
OTHER = "How far does a ferry go in an hour when it needs two hours for an island 30 miles away?"
TALE = "The ferry leaves twice a day, and nobody on the island minds when it is late."
LISTED = """
name: mine
sources: [{kind: files, path: raw}]
filters:
"""
MIX = """
deduplicate: {similarity: 1}
mix: {held_out: 0}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with raw files and evaluation sets, in which one works."""
    monkeypatch.chdir(tmp_path)
    for name in ("raw", "evals", "more evals"):
        (tmp_path / name).mkdir()
    texts = {"a": TALE, "b": f"Look: {QUESTION} Easy!", "c": f"And this: {OTHER} Hm."}
    for name, text in texts.items():
        (tmp_path / "raw" / f"{name}.txt").write_text(text)
    (tmp_path / "evals" / "q.jsonl").write_text(json.dumps({"question": QUESTION}))
    (tmp_path / "more evals" / "q.txt").write_text(OTHER)
    return tmp_path


def built_with(place, *filters):
    """What a corpus of these filters has dropped, after `data build corpus.yaml`."""
    lines = [f"  - {each}\n" for each in filters]
    (place / "corpus.yaml").write_text(LISTED + "".join(lines) + MIX)
    return api_data.data_build("corpus.yaml", workers=1).counts["dropped"]


def mixed(place, old="", new=""):
    """What is dropped after another mix. old, new: what changes in the recipe."""
    recipe = place / "corpora" / "mine" / "corpus.yaml"
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new))
    return api_data.data_mix("corpora/mine", workers=1).counts["dropped"]


def test_it_is_looked_at(place, caplog):
    assert built_with(place, "{contamination: evals}") == {"contamination.evals": 1}
    shutil.rmtree(place / "evals")
    with caplog.at_level(logging.WARNING):
        shown = str(api_data.data_dropped("corpora/mine", reason="contamination"))
    assert "evals is not there: what " in caplog.text
    assert "raw/b.txt" in shown and "as in q.jsonl, row 0" in shown
    page = api_data.data_report("corpora/mine").read_text(encoding="utf-8")
    assert "as in q.jsonl, row 0" in page and "8 different n-grams of 13 words" in page
    api_data.data_clusters("corpora/mine")
    document = shown.splitlines()[1].split()[0]
    assert "dropped for contamination.evals" in str(api_data.data_trace("corpora/mine", document))


def test_it_is_trained_on(place):
    built_with(place, "{contamination: evals}")
    shutil.rmtree(place / "evals")
    given = SHORT | {
        "training.steps": 2,
        "training.batch_size": 2,
        "training.device": "cpu",
        "data.path": "corpora/mine",
        "data.source": "files",
        "data.cache": str(place / "cache"),
        "data.context": 16,
        "data.held_out": 0,
        "model.depth": 1,
        "model.width": 32,
        "model.heads": 2,
        "codec": "bytes",
    }
    assert genwright.train("docs", run=place / "run", quiet=True, **given).step == 2


def test_it_is_mixed_with_another_bound(place, monkeypatch):
    given = "{contamination: {path: evals, at_most: 0}}"
    assert built_with(place, given) == {"contamination.evals": 1}
    shutil.rmtree(place / "evals")
    monkeypatch.setattr(corpus_ngrams, "_word_hashes", None)  # whoever used it would fail
    assert mixed(place, "at_most: 0", "at_most: 0.95") == {}
    assert mixed(place, "at_most: 0.95", "at_most: 0.5") == {"contamination.evals": 1}


def test_it_is_built_again_with_a_new_raw_file(place):
    built_with(place, "{contamination: evals}")
    shutil.rmtree(place / "evals")
    assert built_with(place, "{contamination: evals}") == {"contamination.evals": 1}
    (place / "raw" / "d.txt").write_text(f"Again: {QUESTION}")
    assert built_with(place, "{contamination: evals}") == {"contamination.evals": 2}
    made = api_data.data_build("corpora/mine", workers=2)
    assert made.counts["dropped"] == {"contamination.evals": 2}


def test_only_what_is_computed_anew_asks_for_the_folder(place):
    built_with(place, "{contamination: {path: evals, words: 13}}")
    shutil.rmtree(place / "evals")
    what = (
        "^evals is gone, and the corpus does not hold what a filter computes of it; bring it back"
    )
    with pytest.raises(GenwrightError, match=what):
        mixed(place, "words: 13", "words: 8")
    assert mixed(place, "words: 8", "words: 13") == {"contamination.evals": 1}


def test_a_new_version_of_what_is_computed_asks_for_the_folder(place, monkeypatch):
    built_with(place, "{contamination: evals}")
    shutil.rmtree(place / "evals")
    monkeypatch.setattr(corpus_contamination, "FORMAT", 2)
    with pytest.raises(GenwrightError, match="evals is gone"):
        mixed(place)


def test_two_filters_have_their_own_folders(place):
    filters = ["{contamination: evals}", "{contamination: more evals/*.txt}"]
    both = {"contamination.evals": 1, "contamination.*.txt": 1}
    assert built_with(place, *filters) == both
    shutil.rmtree(place / "evals")
    (place / "more evals" / "q.txt").unlink()  # a glob that matches nothing
    assert mixed(place) == both
    (place / "raw" / "d.txt").write_text(f"Again: {OTHER}")
    assert built_with(place, *filters) == both | {"contamination.*.txt": 2}
    assert built_with(place, filters[0]) == {"contamination.evals": 1}
    assert built_with(place, *filters) == both | {"contamination.*.txt": 2}  # named again


def test_a_folder_that_changed_decides_as_it_is_now(place):
    built_with(place, "{contamination: evals}")
    (place / "evals" / "other.txt").write_text(OTHER)
    assert mixed(place) == {"contamination.evals": 2}
    shutil.rmtree(place / "evals")
    assert mixed(place) == {"contamination.evals": 2}  # not as it was at first
    (place / "evals").mkdir()
    with pytest.raises(GenwrightError, match="evals holds no file of text"):
        mixed(place)
    (place / "evals" / "other.txt").write_text(OTHER)
    assert mixed(place) == {"contamination.evals": 1}


def test_another_field_is_another_input(place):
    built_with(place, "{contamination: {path: evals, field: question}}")
    shutil.rmtree(place / "evals")
    with pytest.raises(GenwrightError, match=r"filters.contamination.path: evals does not exist"):
        mixed(place, "field: question", "field: answer")


def test_another_corpus_does_not_know_it(place):
    built_with(place, "{contamination: evals}")
    shutil.rmtree(place / "evals")
    with pytest.raises(GenwrightError, match=r"filters.contamination.path: evals does not exist"):
        api_data.data_build("corpus.yaml", corpus=place / "other", workers=1)


def test_a_classifier_is_used_without_its_folders(place, monkeypatch):
    for name, words in (("good", "theorem proof lemma"), ("bad", "buy cheap click")):
        (place / name).mkdir()
        for number in range(corpus_quality_trained.LEAST):
            (place / name / f"{number}.txt").write_text(f"{words} {words} n{number}")
    (place / "raw" / "a.txt").write_text("a proof of the lemma")
    for name in "bc":
        (place / "raw" / f"{name}.txt").write_text(f"click here to buy {name}")
    given = "{quality: {good: good, bad: bad, at_least: 0.5}}"
    assert built_with(place, given) == {"quality.good": 2}
    shutil.rmtree(place / "good")
    shutil.rmtree(place / "bad")
    monkeypatch.setattr(corpus_quality_trained, "trained", None)  # whoever used it would fail
    (place / "raw" / "d.txt").write_text("buy it, click here")
    assert built_with(place, given) == {"quality.good": 3}
    assert "raw/d.txt" in str(api_data.data_dropped("corpora/mine"))
    assert mixed(place, "at_least: 0.5", "at_least: 1.0e-09") == {}
    (place / "bad").mkdir()  # the other folder is there, and holds something else
    (place / "bad" / "1.txt").write_text("nothing of the kind")
    with pytest.raises(GenwrightError, match="^good is gone, and the corpus does not hold"):
        mixed(place)


def test_digests_that_are_damaged_are_none(tmp_path):
    keep_digests(tmp_path, [Input("evals", "", "12", False)])
    open_kept(tmp_path)
    assert kept_digest("evals") == "12"
    assert kept_digest("evals", "text") == ""
    (tmp_path / "kept" / "digests.json").write_text('{"evals": 1}')
    open_kept(tmp_path)
    assert kept_digest("evals") == ""


def test_a_build_that_cannot_prepare_keeps_no_digest(place):
    built_with(place, "{contamination: evals}")
    (place / "evals" / "q.jsonl").write_text("{")
    with pytest.raises(GenwrightError, match="q.jsonl row 0"):
        mixed(place)
    shutil.rmtree(place / "evals")
    assert mixed(place) == {"contamination.evals": 1}
    assert len(open_corpus("corpora/mine").shards) == 1
