"""Raw files that are deleted while a corpus is built are named, and stop nothing."""

import shutil
from pathlib import Path

import pytest
from corpora import Listed, write_files
from test_build import bytes_of, recipe, texts_of

from genwright.core.errors import GenwrightError
from genwright.curation.build import build
from genwright.curation.sources.files import Files
from genwright.curation.store import GONE


def deleting(monkeypatch, cls, delete):
    """While a file is read: calls `delete` with its path, before and in the middle of it."""
    read = cls.read

    def reading(self, file):
        for number, found in enumerate(read(self, file)):
            if number == 1:
                delete(Path(file.path))
            yield found

    monkeypatch.setattr(cls, "read", reading)


def sources(kind, folder):
    return [{"kind": kind, "path": str(folder), "name": "raw"}]


@pytest.mark.parametrize(("kind", "cls"), [("listed", Listed), ("files", Files)])
def test_files_that_vanish_are_named_and_the_others_read(tmp_path, monkeypatch, kind, cls):
    """One half way, one before it is read."""
    every = write_files(tmp_path / "raw", 4)
    if kind == "files":
        for path in (tmp_path / "raw").iterdir():
            rows = path.read_text().splitlines()
            path.with_suffix(".jsonl").write_text("".join(f'{{"text": "{row}"}}\n' for row in rows))
            path.unlink()

    def delete(path):
        if path.stem == "001":
            path.unlink(missing_ok=True)
            path.with_stem("002").unlink(missing_ok=True)

    deleting(monkeypatch, cls, delete)
    own = recipe(None, sources=sources(kind, tmp_path / "raw"))
    corpus, counts = build(own, tmp_path / "c", workers=1)
    suffix = ".jsonl" if kind == "files" else ".txt"
    assert corpus.unread == [(f"001{suffix}", "", GONE), (f"002{suffix}", "", GONE)]
    assert texts_of(corpus) == [*every[:30], *every[90:]]
    assert counts.documents == 60
    assert not list(tmp_path.rglob("*.tmp"))
    again, _ = build(own, tmp_path / "c", workers=1)
    assert again.unread == []
    fresh, _ = build(own, tmp_path / "f", workers=1)
    assert [shard.key for shard in again.shards] == [shard.key for shard in fresh.shards]
    assert bytes_of(again.folder / "mix") == bytes_of(fresh.folder / "mix")


def test_a_file_that_comes_back_is_read(tmp_path, monkeypatch):
    every = write_files(tmp_path / "raw", 2)
    words = (tmp_path / "raw" / "001.txt").read_text()
    with monkeypatch.context() as patch:
        deleting(patch, Listed, lambda path: path.with_stem("001").unlink(missing_ok=True))
        corpus, _ = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    assert corpus.unread == [("001.txt", "", GONE)]
    (tmp_path / "raw" / "001.txt").write_text(words)
    corpus, _ = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    assert corpus.unread == []
    assert texts_of(corpus) == every


def test_a_folder_that_vanishes_is_one_sentence(tmp_path, monkeypatch):
    write_files(tmp_path / "raw", 3)
    deleting(monkeypatch, Listed, lambda path: shutil.rmtree(path.parent, ignore_errors=True))
    with pytest.raises(GenwrightError, match="folder .*raw of the source raw vanished") as raised:
        build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    assert raised.value.remedy == "bring it back, or leave the source out"
    assert not (tmp_path / "c" / "sources.json").exists()
