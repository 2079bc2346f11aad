"""The source `files`: what it reads, and that what it cannot read is one sentence, with the rest
still read."""

import gzip
import json
import os
import subprocess
import sys
import tracemalloc

import pyarrow
import pyarrow.parquet
import pytest

from genwright.core.corpus import Document, RawFile, Unread
from genwright.core.errors import GenwrightError
from genwright.core.registry import settings_of
from genwright.curation.raw import LISTED
from genwright.curation.sources.files import Files


def found_in(path, **settings):
    """name -> what is found in each raw file."""
    source = Files(path=str(path), **settings)
    return {file.name: list(source.read(file)) for file in source.find()}


def rows(count, bad=()):
    lines = [json.dumps({"text": f"row {i}"}) for i in range(count)]
    for i in bad:
        lines[i] = '{"text": "row'
    return "\n".join(lines) + "\n"


def test_texts_and_rows_are_documents(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbfone\ntwo\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "r.jsonl").write_text('{"text": "x"}\n\n"y"\n{"text": null}\n')
    (tmp_path / "c.csv").write_text('id,text\n1,"a\nb"\n2,c\n')
    (tmp_path / "d.tsv.gz").write_bytes(gzip.compress(b"id\ttext\n1\te\n"))
    (tmp_path / "e.txt").write_bytes("h\u00e9".encode("utf-16"))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / ".hidden").write_text("no")
    table = pyarrow.table({"id": [1, 2], "text": ["p", "q"]})
    pyarrow.parquet.write_table(table, tmp_path / "f.parquet")
    found = found_in(tmp_path)
    assert list(found) == ["a/r.jsonl", "b.txt", "c.csv", "d.tsv.gz", "e.txt", "f.parquet"]
    assert found["b.txt"] == [Document("one\ntwo\n")]
    assert found["a/r.jsonl"] == [
        Document("x", "row 0"),
        Document("y", "row 2"),
        Unread("", "has 1 rows without text"),
    ]
    assert found["c.csv"] == [Document("a\nb", "row 0"), Document("c", "row 1")]
    assert found["d.tsv.gz"] == [Document("e", "row 0")]
    assert found["e.txt"] == [Document("h\u00e9")]
    assert found["f.parquet"] == [Document("p", "row 0"), Document("q", "row 1")]


def test_a_glob_and_a_file_and_a_field(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x"}\n')
    (tmp_path / "b.bin").write_text("named, so read")
    assert found_in(tmp_path / "*.jsonl", field="body") == {"a.jsonl": [Document("x", "row 0")]}
    assert found_in(tmp_path / "b.bin") == {"b.bin": [Document("named, so read")]}


def test_a_long_text_is_several_documents_that_together_are_the_text(tmp_path):
    text = "".join(f"line {i} of a long text\n" for i in range(200_000))
    (tmp_path / "long.txt").write_text(text)
    (tmp_path / "short.txt").write_text("short")
    found = found_in(tmp_path, longest=1)
    parts = found["long.txt"]
    assert len(parts) >= 4 and "".join(part.text for part in parts) == text
    assert [part.place for part in parts] == [f"part {i + 1}" for i in range(len(parts))]
    assert max(len(part.text) for part in parts) <= 2 << 20
    assert found["short.txt"] == [Document("short")]


def test_what_is_no_utf8_is_said_as_in_training(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9 au lait")
    (tmp_path / "b.txt").write_bytes("ab".encode("utf-16-le"))
    (tmp_path / "c.txt").write_bytes(b"binary\0")
    (tmp_path / "d.csv").write_bytes(b"text\ncaf\xe9\n")
    (tmp_path / "e.txt").write_text("fine")
    found = found_in(tmp_path)
    assert found["a.txt"] == [Unread("", "is not UTF-8: byte 0xe9 at offset 3")]
    assert "seems to be UTF-16 (little-endian)" in found["b.txt"][0].what
    assert found["c.txt"] == [Unread("", "is binary: a zero byte at offset 6")]
    assert found["d.csv"] == [Unread("", "is not UTF-8: byte 0xe9 at offset 8")]
    assert found["e.txt"] == [Document("fine")]


def test_mixed_encodings_in_one_file_cost_their_row(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'"one"\n"caf\xe9"\n"caf\xc3\xa9"\n')
    first, bad, last = found_in(tmp_path)["a.jsonl"]
    assert first == Document("one", "row 0") and last == Document("caf\u00e9", "row 2")
    assert bad == Unread("line 2 (row 1 from 0)", "is not UTF-8: byte 0xe9 at its byte 4")


def test_one_bad_row_among_a_million_is_named(tmp_path):
    path = tmp_path / "many.jsonl"
    thousand = '"a row"' + "\n" * 1000  # a row and blank lines, which are quick to read
    path.write_text(thousand * 1000 + '{"text": \n"last"\n')
    source = Files(path=str(path))
    count = 0
    unread = []
    for each in source.read(source.find()[0]):
        if isinstance(each, Unread):
            unread.append(each)
        else:
            count += 1
    assert count == 1001 and each == Document("last", "row 1000001")
    assert len(unread) == 1 and unread[0].place.startswith("line 1,000,001 ")
    assert unread[0].what.startswith("is not JSON")


def test_a_file_of_bad_rows_is_a_short_list(tmp_path):
    (tmp_path / "a.jsonl").write_text(rows(LISTED + 50, bad=range(LISTED + 40)))
    found = found_in(tmp_path)["a.jsonl"]
    unread = [each for each in found if isinstance(each, Unread)]
    assert len(found) - len(unread) == 10 and len(unread) == LISTED + 1
    assert unread[-1] == Unread("", "has 40 more rows that cannot be read")


def test_a_truncated_gzip_gives_what_is_whole(tmp_path):
    data = "".join(f'"{i * 7919 % 999983} is a row"\n' for i in range(200_000)).encode()
    whole = gzip.compress(data)
    (tmp_path / "a.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"text")[:-3])
    found = found_in(tmp_path)
    *given, last = found["a.jsonl.gz"]
    assert len(given) > 30_000 and given[-1].place in last.what
    assert last.what.startswith("cannot be read (Truncated compressed stream); what follows row ")
    assert found["b.txt.gz"] == [Unread("", "cannot be read (Truncated compressed stream)")]


def test_a_parquet_file_of_another_schema_and_a_damaged_one(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"], "n": [1]}), tmp_path / "a.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"text": [1, 2]}), tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and no more")
    found = found_in(tmp_path)
    assert found["a.parquet"] == [Unread("", "has no column 'text' (it has body, n)")]
    assert [each.what for each in found["b.parquet"]] == ["holds no text in 'text'"] * 2
    assert found["c.parquet"][0].what.startswith("cannot be read (")


def test_an_empty_source_is_refused_and_an_empty_file_is_nothing(tmp_path):
    with pytest.raises(GenwrightError, match="holds no text; give another path or kind"):
        Files(path=str(tmp_path)).find()
    with pytest.raises(GenwrightError, match="the path of a source: .*gone does not exist"):
        Files(path=str(tmp_path / "gone")).find()
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "empty.csv").write_bytes(b"")
    found = found_in(tmp_path)
    assert found["empty.txt"] == []
    assert found["empty.csv"] == [Unread("", "is empty: no line names the columns")]


def test_a_file_that_vanishes_or_shrinks(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(rows(120_000))
    source = Files(path=str(tmp_path))
    (file,) = source.find()
    reading = source.read(file)
    assert next(reading) == Document("row 0", "row 0")
    os.truncate(path, 1_500_000)
    *_, last = reading
    assert last == Unread("", "changed while it was read: build again")
    path.unlink()
    assert list(source.read(file)) == [Unread("", "cannot be read (No such file or directory)")]


def test_a_pipe_is_not_waited_for_and_odd_names_are_written(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "wb") as file:
        file.write(b"text")
    found = found_in(tmp_path)
    assert found[r"caf\xe9.txt"] == [Document("text")]
    assert found["pipe.txt"] == [Unread("", "is a named pipe (FIFO) and no regular file")]


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    (tmp_path / "a.txt").write_text("text")
    scandir, listdir = os.scandir, os.listdir

    def guard(call):
        def guarded(path="."):
            if os.fspath(path) == str(tmp_path / "shut"):
                raise PermissionError(13, "Permission denied", path)
            return call(path)

        return guarded

    monkeypatch.setattr(os, "scandir", guard(scandir))
    monkeypatch.setattr(os, "listdir", guard(listdir))
    found = found_in(tmp_path)
    assert found["a.txt"] == [Document("text")]
    assert found["shut"] == [Unread("", "is a folder that cannot be listed (Permission denied)")]


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.txt.gz", "a.parquet"])
def test_memory_does_not_grow_with_a_file(tmp_path, name):
    def peak(megabytes):
        path = tmp_path / f"{megabytes}{name}"
        lines = ["some words " * 500 for _ in range(200)]
        if name.endswith("parquet"):
            table = pyarrow.table({"text": lines})
            with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
                for _ in range(megabytes):
                    writer.write_table(table)
        else:
            text = "\n".join(["text", *lines] if name.endswith("csv") else lines) + "\n"
            if name.endswith("jsonl"):
                text = "".join(f'"{line}"\n' for line in lines)
            opened = gzip.open if name.endswith("gz") else open
            with opened(path, "wt") as file:
                for _ in range(megabytes):
                    file.write(text)
        source = Files(path=str(path), longest=2)
        tracemalloc.start()
        for each in source.read(RawFile(str(path), name)):
            assert isinstance(each, Document)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small, large = peak(8), peak(24)
    assert large < 1.1 * small + (1 << 19)


def test_workers_read_without_torch():
    code = (
        "import sys; import genwright.curation.sources.files; print('torch' in sys.modules);"
        "from genwright.core.registry import kinds; print('files' in kinds('raw'));"
        "print('torch' in sys.modules, 'resiliparse' in sys.modules, 'datasets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\nTrue\nFalse False False\n", done.stderr
    assert settings_of("raw", "files") is Files


def test_a_row_group_is_not_held_in_memory_as_a_whole(tmp_path):
    path = tmp_path / "a.parquet"
    table = pyarrow.table({"text": [os.urandom(16_384).hex() for _ in range(1500)]})
    pyarrow.parquet.write_table(table, path, compression="none", use_dictionary=False)
    assert pyarrow.parquet.read_metadata(path).num_row_groups == 1
    size = path.stat().st_size
    del table
    pool = pyarrow.proxy_memory_pool(pyarrow.default_memory_pool())
    usual = pyarrow.default_memory_pool()
    pyarrow.set_memory_pool(pool)
    try:
        found = Files(path=str(path)).read(RawFile(str(path), "a.parquet"))
        assert sum(1 for _ in found) == 1500
    finally:
        pyarrow.set_memory_pool(usual)
    assert size > 48_000_000 and pool.max_memory() < 0.8 * size
