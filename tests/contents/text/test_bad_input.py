"""Whatever is wrong with the input is said in a sentence, and nothing that is on disk already is
lost."""

import errno
import gzip
import json
import os
import shutil

import numpy as np
import pytest

from genwright.contents.text import shards
from genwright.contents.text.codec import BPE, Bytes, Characters, TextCodec
from genwright.contents.text.data import TextData
from genwright.core.errors import GenwrightError


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for i in range(8):
        (folder / f"{i}.txt").write_text(f"document {i}\n" * (i + 5))
    return folder


def prepare(tmp_path, path, codec=None, expect=None, **settings):
    settings = {"context": 8, "held_out": 0.3, "cache": str(tmp_path / "cache")} | settings
    return TextData(path=str(path), **settings).prepare(codec or Bytes(), expect=expect)


def refused(match, *arguments, **settings):
    with pytest.raises(GenwrightError, match=match):
        prepare(*arguments, **settings)


def test_a_list_of_paths_without_its_bracket(tmp_path):
    with pytest.raises(
        GenwrightError, match=r"\[a, b matches no file; .*: a bracket \] is missing"
    ):
        TextData(path="[a, b", cache=str(tmp_path)).prepare(Bytes())


@pytest.mark.parametrize(
    "name, what", [("nowhere", "does not exist"), ("*.nothing", "matches no file")]
)
def test_missing_path(tmp_path, name, what):
    refused(rf"data.path: .*{what}; give a file, a folder or a glob", tmp_path, tmp_path / name)


def test_no_path(tmp_path):
    with pytest.raises(GenwrightError, match="data.path is not set"):
        TextData(cache=str(tmp_path)).prepare(Bytes())


def test_a_path_that_the_source_does_not_take(tmp_path):
    refused(
        "data.path is given, but data.source is python-docs; set data.source=files",
        tmp_path,
        tmp_path,
        source="python-docs",
    )


def test_empty_corpus(tmp_path):
    (tmp_path / "in").mkdir()
    refused("the corpus is empty: there is no text in .*in; give a path", tmp_path, tmp_path / "in")
    (tmp_path / "in" / "a.txt").write_text("")
    refused("the corpus is empty", tmp_path, tmp_path / "in")
    (tmp_path / "in" / "a.jsonl").write_text('{"text": ""}\n\n')
    refused("the corpus is empty", tmp_path, tmp_path / "in" / "a.jsonl")


@pytest.mark.parametrize(
    "content, what",
    [
        (
            b"a good line\n" * 200_000 + b"caf\xe9 au lait\n",
            "is not UTF-8: byte 0xe9 at offset 2400003",
        ),
        (b"text\n" + b"PK\0\1", "is binary: a zero byte at offset 7"),
        (b"cut \xe2\x80", "is not UTF-8: byte 0xe2 at offset 4"),
    ],
)
def test_a_file_that_is_no_text(tmp_path, corpus, content, what):
    first = prepare(tmp_path, corpus)
    (corpus / "bad.txt").write_bytes(content)
    refused(
        rf"bad.txt {what}; mend or leave out the file, or set data.on_bad_file=skip",
        tmp_path,
        corpus,
    )
    skipping = prepare(tmp_path, corpus, on_bad_file="skip")
    assert skipping.summary["skipped"] == [f"bad.txt {what}"] and skipping.summary["files"] == 8
    assert np.array_equal(skipping.tokens("train")[:], first.tokens("train")[:])
    first.verify()


def test_a_named_binary_file(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    for path in ("photo.png", "*.png"):
        refused("photo.png is binary: a zero byte at offset 8", tmp_path, tmp_path / path)


def test_broken_compression(tmp_path, corpus):
    (corpus / "z.txt.gz").write_bytes(gzip.compress(b"text " * 1000)[:-12])
    refused("z.txt.gz cannot be read", tmp_path, corpus)
    (corpus / "z.txt.gz").write_bytes(gzip.compress(b"fine\xff"))
    refused("z.txt.gz is not UTF-8: byte 0xff at offset 4", tmp_path, corpus)


@pytest.mark.parametrize(
    "row, what",
    [
        ("{oops", "rows.jsonl line 3 .row 2 from 0. is not JSON"),
        (
            '{"body": "x"}',
            (
                r"rows.jsonl line 3 \(row 2 from 0\) has no field 'text' "
                r"\(it has body\); set data.field"
            ),
        ),
        ("[1]", "rows.jsonl line 3 .* is neither an object nor a string"),
        ('{"text": "\\ud800"}', "rows.jsonl line 3 .* holds half of a surrogate pair"),
    ],
)
def test_bad_rows(tmp_path, row, what):
    good = [json.dumps({"text": f"row {i}"}) for i in range(20)]
    (tmp_path / "rows.jsonl").write_text("\n".join([*good[:2], row, *good[2:]]))
    refused(what, tmp_path, tmp_path / "rows.jsonl")
    skipping = prepare(tmp_path, tmp_path / "rows.jsonl", on_bad_file="skip")
    assert skipping.summary["train"]["documents"] + skipping.summary["held_out"]["documents"] == 20
    assert len(skipping.summary["skipped"]) == 1


def test_a_table_without_the_column(tmp_path):
    import pyarrow
    import pyarrow.parquet

    (tmp_path / "a.csv").write_text("id,body\n1,x\n")
    refused(
        r"a.csv has no column 'text' \(it has id, body\); set data.field",
        tmp_path,
        tmp_path / "a.csv",
    )
    pyarrow.parquet.write_table(pyarrow.table({"text": [1, 2]}), tmp_path / "a.parquet")
    refused("a.parquet row 0 .from 0. holds no text", tmp_path, tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    refused("b.parquet is not a parquet file", tmp_path, tmp_path / "b.parquet")


def test_one_document(tmp_path):
    (tmp_path / "one.txt").write_text("only one\n" * 30)
    (tmp_path / "one.jsonl").write_text(json.dumps({"text": "only one " * 30}))
    for name in ("one.txt", "one.jsonl"):
        refused("the corpus is a single document.*set data.split=tail", tmp_path, tmp_path / name)
        assert len(prepare(tmp_path, tmp_path / name, split="tail").tokens("held_out")) > 0
        assert len(prepare(tmp_path, tmp_path / name, held_out=0).tokens("train")) > 0


def test_nothing_falls_into_a_split(tmp_path):
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(5))
    )
    dataset = prepare(tmp_path, tmp_path / "rows.jsonl", held_out=0.0001)
    assert (
        dataset.summary["held_out"]["documents"] == 1 and dataset.summary["train"]["documents"] == 4
    )
    (tmp_path / "equal.jsonl").write_text(
        json.dumps({"text": "row"}) + "\n" + json.dumps({"text": "row"}) + "\n"
    )
    refused(
        "all 2 documents are equal or of one group, which cannot be held out",
        tmp_path,
        tmp_path / "equal.jsonl",
    )


def test_a_file_that_changes_while_it_is_read(tmp_path, corpus, monkeypatch):
    def change(document):
        (corpus / "3.txt").write_text("other text\n")
        return Bytes.train(Bytes(), document)

    class Slow(Bytes):
        def train(self, documents):
            return change(documents)

    refused(
        "3.txt changed while it was prepared; run the same command again",
        tmp_path,
        corpus,
        codec=Slow(),
    )
    assert not list((tmp_path / "cache" / "shards").glob("*"))
    prepare(tmp_path, corpus).verify()


def test_a_token_outside_of_the_vocabulary(tmp_path, corpus):
    import torch

    dataset = prepare(tmp_path, corpus)
    dataset.codec.space = type(dataset.codec.space)(vocabulary=100)
    with pytest.raises(
        GenwrightError, match="position 0 holds token .* outside of the vocabulary of 100"
    ):
        dataset.stream(3, 0).batch(4, torch.arange(3))
    key = next(iter(dataset.shards)).split("/")[0]
    path = tmp_path / "cache" / "shards" / key / "shard.json"
    facts = json.loads(path.read_text())
    facts["train"]["largest"] = 9999
    path.write_text(json.dumps(facts))
    refused("holds token 9999, outside of the vocabulary of 259", tmp_path, corpus)


def test_a_shard_that_was_changed(tmp_path, corpus):
    dataset = prepare(tmp_path, corpus)
    path = (
        tmp_path
        / "cache"
        / "shards"
        / next(name for name in dataset.shards if name.endswith("train.bin"))
    )
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    with pytest.raises(GenwrightError, match="train.bin was changed on disk; delete"):
        dataset.verify()
    path.write_bytes(content[:-2])
    refused("train.bin was changed on disk; delete", tmp_path, corpus)
    shutil.rmtree(path.parent)
    assert prepare(tmp_path, corpus).digest == dataset.digest


def test_full_disk(tmp_path, corpus, monkeypatch):
    first = prepare(tmp_path, corpus)
    (corpus / "new.txt").write_text("new\n" * 50)

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused("the disk that holds .* is full; set GENWRIGHT_CACHE", tmp_path, corpus)
    assert not list((tmp_path / "cache").rglob("*.tmp"))  # its space is given back
    monkeypatch.undo()
    first.verify()
    assert prepare(tmp_path, corpus, codec=BPE(vocabulary=300)).summary["files"] == 9


def test_no_permission(tmp_path, corpus, monkeypatch):
    (tmp_path / "file").write_text("")
    refused(
        "file/cache cannot be written", tmp_path, corpus, cache=str(tmp_path / "file" / "cache")
    )

    def denied(*arguments, **more):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(shards.Path, "mkdir", denied)
    refused("cannot be written .*denied.*; set GENWRIGHT_CACHE", tmp_path, corpus)


def test_unknown_character_later(tmp_path, corpus):
    codec = prepare(tmp_path, corpus, codec=Characters()).codec
    codec.save(tmp_path / "codec")
    with pytest.raises(GenwrightError, match="'é' is not among"):
        TextCodec.load(tmp_path / "codec").encode("document é")
