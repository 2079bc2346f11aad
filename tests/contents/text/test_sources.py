"""Sources: the standard library as code and as documentation, files, Hugging Face datasets."""

import json
import os
from pathlib import Path

import pytest

from genwright.contents.text import source_python
from genwright.contents.text.codec import BPE, Bytes
from genwright.contents.text.data import TextData
from genwright.contents.text.encoding import Encoder
from genwright.contents.text.source_python import docstrings, documentation, library
from genwright.core.errors import GenwrightError
from genwright.data.source_files import SourceFile


def test_python_stdlib(tmp_path):
    names = {file.name for file in library((), "", tmp_path)}
    assert {"ast.py", "json/decoder.py", "asyncio/tasks.py"} <= names and len(names) > 300
    assert not {"site-packages", "test", "tests", "__pycache__"} & {
        folder for name in names for folder in name.split("/")[:-1]
    }


def test_our_encoder_gives_the_tokens_of_the_library_on_real_code():
    files = [
        file
        for file in library((), "", None)
        if file.name in ("ast.py", "argparse.py", "heapq.py", "difflib.py")
    ]
    texts = [Path(file.path).read_text("utf-8") for file in files]
    codec = BPE(vocabulary=1000).train(iter(texts))
    for text in texts:
        ids = codec.tokenizer.encode(text, add_special_tokens=False).ids
        assert codec.encode(text) == ids and Encoder(codec.tokenizer)._by_tokenizer(
            text
        ) == Encoder(codec.tokenizer).encode(text)


def test_docstrings():
    source = b'''"""Module."""
class A:
    """A thing.

    More.
    """
    async def f(self, x: int = 1, *rest):
        "Runs."
    def g(self): pass
'''
    assert (
        docstrings(source, "m")
        == "m\n\nModule.\n\n\nm.A\n\nA thing.\n\nMore.\n\n\nm.A.f(self, x: int=1, *rest)\n\nRuns.\n"
    )
    assert docstrings(b"x = 1", "m") == docstrings(b"def (", "m") == ""


def test_python_docs(tmp_path, monkeypatch):
    chosen = [
        file
        for file in library((), "", tmp_path)
        if file.name in ("heapq.py", "json/__init__.py", "this.py")
    ]
    monkeypatch.setattr(source_python, "library", lambda: chosen)
    files = documentation((), "", tmp_path)
    names = {file.name: file.path for file in files}
    assert {"modules/heapq.txt", "modules/json/__init__.txt", "topics/assert.txt"} <= set(names)
    assert "json.dumps(obj" in Path(names["modules/json/__init__.txt"]).read_text("utf-8")
    assert "AssertionError" in Path(names["topics/assert.txt"]).read_text("utf-8")
    assert documentation((), "", tmp_path) == files  # made once
    dataset = TextData(source="python-docs", cache=str(tmp_path), context=64).prepare(Bytes())
    assert dataset.summary["held_out"]["tokens"] > 0


def test_hugging_face(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "train.jsonl").write_text(
        "".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(50))
    )
    dataset = TextData(
        source=f"hf:{tmp_path / 'rows'}", cache=str(tmp_path / "cache"), context=4, held_out=0.2
    ).prepare(Bytes())
    assert dataset.summary["train"]["documents"] + dataset.summary["held_out"]["documents"] == 50
    with pytest.raises(GenwrightError, match="hf:.*nothing cannot be loaded"):
        TextData(source=f"hf:{tmp_path / 'nothing'}", cache=str(tmp_path / "cache")).prepare(
            Bytes()
        )


def test_a_hugging_face_folder_whose_files_changed_under_the_same_date_is_read_again(tmp_path):
    (tmp_path / "rows").mkdir()
    found = []
    for word in ("one", "two"):
        path = tmp_path / "rows" / "train.jsonl"
        path.write_text("".join(json.dumps({"text": f"{word} {i}"}) + "\n" for i in range(20)))
        os.utime(path, (1_600_000_000, 1_600_000_000))
        dataset = TextData(
            source=f"hf:{tmp_path / 'rows'}", cache=str(tmp_path / "cache"), context=4, held_out=0.2
        ).prepare(Bytes())
        found.append(dataset.codec.decode(dataset.tokens("train")[:3].tolist()))
    assert found == ["one", "two"]


def test_unknown_source(tmp_path):
    with pytest.raises(
        GenwrightError, match="data.source is 'python-stdlb'; did you mean 'python-stdlib'"
    ):
        TextData(source="python-stdlb", cache=str(tmp_path)).prepare(Bytes())


def test_the_same_file_is_read_once(tmp_path):
    from genwright.contents.text.source_files import files

    (tmp_path / "a.txt").write_text("x")
    found = files((str(tmp_path), str(tmp_path / "a.txt"), str(tmp_path / "*.txt")), "", tmp_path)
    assert found == [SourceFile(str(tmp_path / "a.txt"), "a.txt")]
