"""The source `hf`, with a local folder in place of the hub."""

import json
import sys

import pytest

from genwright.core.corpus import Document, Unread
from genwright.core.errors import GenwrightError
from genwright.curation.sources import hf
from genwright.curation.sources.hf import HuggingFace

pytest.importorskip("datasets")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GENWRIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "in"
    folder.mkdir()
    rows = [{"text": f"row {i}", "n": i} for i in range(40)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "test.jsonl").write_text('{"text": "of the test", "n": 0}\n')
    return folder


def test_rows_are_documents_in_several_raw_files(folder, monkeypatch):
    monkeypatch.setattr(hf, "PART", 200)
    source = HuggingFace(path=str(folder))
    files = source.find()
    assert len(files) > 1 and files[0].name == "train/00000.parquet"
    found = [list(source.read(file)) for file in files]
    assert found[1][0].place == "row 0"
    assert [each.text for some in found for each in some] == [f"row {i}" for i in range(40)]
    assert source.find() == files
    (only,) = HuggingFace(path=str(folder), split="test").find()
    assert list(source.read(only)) == [Document("of the test", "row 0")]
    other = HuggingFace(path=str(folder), field="body")
    assert list(other.read(files[0])) == [Unread("", "has no column 'body' (it has text, n)")]


def test_what_cannot_be_loaded_is_one_sentence(folder, monkeypatch):
    with pytest.raises(GenwrightError, match="the source hf .* cannot be loaded: "):
        HuggingFace(path=str(folder), split="gone").find()
    (folder / "train.jsonl").write_text('{"text": \n')
    with pytest.raises(GenwrightError, match="the source hf .* cannot be loaded: "):
        HuggingFace(path=str(folder)).find()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(GenwrightError, match=r"needs datasets, which is not .*\[hf\]"):
        HuggingFace(path=str(folder)).find()
