"""A corpus is no raw data of another, nor of itself, nor of a training; and no build writes over
another corpus, or over what a person wrote in its recipe, without a word."""

import shutil

import pytest
from corpora import write_files
from test_build import recipe

from genwright import api_data
from genwright.core.errors import GenwrightError
from genwright.curation.build import LOCK
from genwright.data.source_files import collect, is_text, own_output

RECIPE = "name: dot\nsources: [{kind: files, path: .}]\ndeduplicate: null\n"


def test_a_source_of_the_folder_that_holds_the_corpus_reads_no_corpus(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.chdir(tmp_path)
    caplog.set_level("INFO", "genwright")
    (tmp_path / "corpus.yaml").write_text(RECIPE)
    (tmp_path / "a.txt").write_text("some words\n")
    first = api_data.data_build("corpus.yaml", workers=1)
    assert first.counts["documents"] == 2  # a.txt, and corpus.yaml beside it
    note = "the source .: corpora/dot (a corpus of genwright) passed over"
    assert note in caplog.text  # that it is one is known while it is built for the first time
    caplog.clear()
    assert api_data.data_build("corpora/dot", workers=1).counts == first.counts
    assert note in caplog.text


def test_training_passes_over_corpora(tmp_path):
    write_files(tmp_path / "raw", 1)
    (tmp_path / "corpus.yaml").write_text(
        f"name: mine\nsources: [{{kind: files, path: {tmp_path / 'raw'}}}]\n"
    )
    folder = tmp_path / "corpora" / "mine"
    api_data.data_build(tmp_path / "corpus.yaml", corpus=folder, workers=1)
    for path in (str(tmp_path), str(tmp_path / "**" / "*.*")):
        names = [file.name for file in collect((path,), is_text)]
        assert names == ["corpus.yaml", "raw/000.txt"]
        assert list(map(str, own_output([path]))) == ["corpora/mine (a corpus of genwright)"]
    shutil.rmtree(folder)  # of a build that was stopped while it read
    folder.mkdir()
    for name in ("corpus.yaml", LOCK, "half.json"):
        (folder / name).write_text("")
    assert len(collect((str(tmp_path),), is_text)) == 2
    (folder / LOCK).unlink()  # a recipe beside raw data is no corpus yet
    assert len(collect((str(tmp_path),), is_text)) == 4


def test_a_source_that_is_the_folder_of_its_corpus_is_refused(tmp_path):
    write_files(tmp_path / "c", 1)
    with pytest.raises(GenwrightError, match="reads the folder of its own corpus") as refused:
        api_data.build(recipe(tmp_path / "c"), tmp_path / "c", workers=1)
    assert "--corpus" in refused.value.remedy


def written(path, name="mine", filters="", comment=""):
    raw = path.parent / "raw"
    path.write_text(
        f"{comment}name: {name}\nsources: [{{kind: files, path: {raw}}}]\nfilters: [{filters}]\n"
    )
    return path


def test_a_recipe_of_another_corpus_is_refused(tmp_path):
    write_files(tmp_path / "raw", 1)
    folder = tmp_path / "corpora" / "mine"
    api_data.data_build(written(tmp_path / "corpus.yaml"), corpus=folder, workers=1)
    before = (folder / "corpus.yaml").read_bytes()
    other = written(tmp_path / "corpus2.yaml", name="other")
    with pytest.raises(GenwrightError, match="mine holds the corpus 'mine'.*'other'") as refused:
        api_data.data_build(other, corpus=folder, workers=1)
    assert f"--corpus, or bring that corpus up to date by genwright data build {folder}" in str(
        refused.value.remedy
    )
    assert (folder / "corpus.yaml").read_bytes() == before


def test_edits_that_a_given_recipe_replaces_are_noted(tmp_path, caplog):
    write_files(tmp_path / "raw", 1)
    folder = tmp_path / "corpora" / "mine"
    given = written(tmp_path / "corpus.yaml")
    api_data.data_build(given, corpus=folder, workers=1)
    written(given, filters="gopher")  # the usual way: its own file, edited
    api_data.data_build(given, corpus=folder, workers=1)
    assert "was edited" not in caplog.text
    kept = folder / "corpus.yaml"
    kept.write_text(kept.read_text().replace("gopher", "c4"))
    api_data.data_build(given, corpus=folder, workers=1)
    note = f"{kept} was edited since the corpus was made: the recipe that was given is taken"
    assert caplog.text.count(note) == 1
    assert "gopher" in kept.read_text()
    caplog.clear()
    kept.write_text("name: mine\nsources: [{kind: flies}]\n")  # an edit that means nothing
    api_data.data_build(given, corpus=folder, workers=1)
    assert caplog.text.count(note) == 1


def test_comments_stay_where_nothing_changed(tmp_path):
    write_files(tmp_path / "raw", 1)
    folder = tmp_path / "corpora" / "mine"
    given = written(tmp_path / "corpus.yaml", filters="gopher")
    api_data.data_build(given, corpus=folder, workers=1)
    kept = folder / "corpus.yaml"
    kept.write_text("# what it is for\n" + kept.read_text())
    before = kept.read_bytes()
    api_data.data_build(folder, workers=1)
    api_data.data_build(given, corpus=folder, workers=1)
    assert kept.read_bytes() == before
