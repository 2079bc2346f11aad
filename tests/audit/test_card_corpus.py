"""The card of a corpus: its documents counted a second time from what plain Python reads."""

import hashlib
import json
from pathlib import Path

import pytest

from commands import command
from genwright import api_data
from genwright.api_card import card
from genwright.core.errors import GenwrightError
from pages import Page
from rooms_here import needs

pytestmark = needs("text")


@pytest.fixture
def corpus(tmp_path):
    """40 documents of two sources, those of fewer than 5 words dropped, two of them equal."""
    for source in ("letters", "drafts"):
        folder = tmp_path / "hidden-place" / source
        folder.mkdir(parents=True)
        for number in range(20):
            words = [f"{source}{number}word{place}" for place in range(2 + number)]
            if number == 19:
                words = ["the", "same", "words", "in", "both", "of", "them"]
            (folder / f"{number}.txt").write_text(" ".join(words) + "\n")
    recipe = tmp_path / "corpus.yaml"
    recipe.write_text(
        f"""
name: small
sources:
  - {{kind: files, path: {tmp_path}/hidden-place/letters, licence: MIT}}
  - {{kind: files, path: {tmp_path}/hidden-place/drafts}}
filters: [{{attribute: words, at_least: 5}}]
mix: {{held_out: 0.2}}
"""
    )
    api_data.data_build(recipe, corpus=tmp_path / "small", workers=1)
    return tmp_path / "small"


def rows_of(data, name):
    (found,) = [each for each in data["recordSet"] if each["@id"] == name]
    places = [each["@id"] for each in found["field"]]
    return [tuple(row[place] for place in places) for row in found["data"]]


def read(corpus):
    return json.loads((corpus / "croissant.json").read_text(encoding="utf-8"))


def test_counts_are_those_of_the_raw_files(corpus):
    found = card(corpus)
    assert [path.name for path in found.written] == ["croissant.json", "card.html"]
    data = read(corpus)
    raw = corpus.parent / "hidden-place"
    sizes = {}
    for source in ("letters", "drafts"):
        sizes[source] = sum(path.stat().st_size for path in (raw / source).iterdir())
    labels = {(label, value): tuple(rest) for label, value, *rest in rows_of(data, "labels")}
    for source, size in sizes.items():
        documents, stored, train, held_out = labels["source", source]
        assert (documents, abs(stored - size) <= 20) == (20, True)  # line ends may go
        # 0, 1, 2 are too short; the copy in the second source is dropped
        assert train + held_out == {"letters": 17, "drafts": 16}[source]
    assert labels["licence", "MIT"][0] == labels["licence", "not said"][0] == 20
    assert dict(rows_of(data, "dropped")) == {"own.words": 6, "copies.exact": 1}
    assert data["license"] == "MIT (20 documents), not said (20 documents)"
    held_out = labels["source", "letters"][3] + labels["source", "drafts"][3]
    text = Page((corpus / "card.html").read_text(encoding="utf-8")).text
    assert f"{33 - held_out} to be trained on, {held_out} held out, 7 dropped." in text
    assert "Dropped for own.words: 6 documents" in text


def test_shards_are_files_with_their_digests(corpus):
    card(corpus)
    data = read(corpus)
    files = [each for each in data["distribution"] if each["@type"] == "cr:FileObject"]
    assert len(files) == len(list((corpus / "documents").glob("*.parquet")))
    for file in files:
        stored = (corpus / file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(stored).hexdigest()
        assert file["contentSize"] == f"{len(stored)} B"


def test_croissants_own_reader_gives_the_documents(corpus):
    croissant = pytest.importorskip("mlcroissant")
    card(corpus)
    found = croissant.Dataset(jsonld=str(corpus / "croissant.json"))
    assert not found.metadata.issues.errors
    texts = {row["document/text"].decode().split()[0] for row in found.records("document")}
    assert {"letters3word0", "drafts0word0", "the"} < texts and len(texts) == 39


def test_no_place_of_the_disk_and_the_same_bytes_again(corpus, tmp_path):
    for name in ("a", "b"):
        card(corpus, output=tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "hidden-place" not in text and str(tmp_path) not in text
        assert text == (tmp_path / "b" / path.name).read_text(encoding="utf-8")


def test_answers_are_kept_and_data_alone_is_asked_for(corpus):
    found = card(corpus, data_licence="CC0-1.0")
    assert "intended_use" not in found.missing and "data_collection" in found.missing
    card(corpus)
    assert read(corpus)["license"] == "CC0-1.0"
    assert (corpus / "card.yaml").read_text() == "data_licence: CC0-1.0\n"


def test_a_corpus_without_a_mix_or_with_another_one_is_refused(corpus, capsys):
    counts = corpus / "mix" / "counts.json"
    values = json.loads(counts.read_text())
    counts.write_text(json.dumps({**values, "documents": 41}))
    with pytest.raises(GenwrightError, match="is of other documents; run genwright data mix"):
        card(corpus)
    counts.unlink()
    code, _, error = command(capsys, "card", corpus)
    assert code == 2 and "has no mix yet; run genwright data mix" in error
    assert not Path(corpus / "croissant.json").exists()
