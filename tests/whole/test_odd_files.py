"""Pipes, sockets, names that are no UTF-8, damaged Parquet, rows without end: a sentence, no
traceback and no hang."""

import gzip
import os
import random
import socket
import time

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from texts import documents, prepare, refused

from commands import command
from genwright.contents.images import attribute_table
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.music import sources as source_music
from genwright.core.errors import GenwrightError
from genwright.data import file_parts, readers


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("good")
    return tmp_path / "in"


@pytest.mark.parametrize(
    "name", ["pipe.txt", "pipe.csv", "pipe.jsonl", "pipe.txt.gz", "pipe.parquet"]
)
def test_a_pipe_is_not_waited_for(tmp_path, folder, name):
    os.mkfifo(folder / name)
    refused(
        f"{name} is a named pipe .FIFO. and no regular file; .*set data.on_bad_file=skip",
        tmp_path,
        folder,
    )
    refused(f"{name} is a named pipe", tmp_path, folder / name)
    refused(f"{name} is a named pipe", tmp_path, folder / "*")
    skipping = prepare(tmp_path, folder, on_bad_file="skip")
    assert documents(skipping) == ["good"] and skipping.summary["skipped"] == [
        f"{name} is a named pipe (FIFO) and no regular file"
    ]


def test_sockets_and_devices_are_not_read(tmp_path, folder):
    refused("/dev/zero is a device and no regular file", tmp_path, "/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(os.path.relpath(folder / "s"))  # the name of a socket is short
        refused("s is a socket and no regular file", tmp_path, folder)


def test_pictures_tables_and_music_do_not_wait_for_a_pipe(tmp_path):
    for i in range(3):
        Image.new("RGB", (8, 8), (i * 9, 0, 0)).save(tmp_path / f"{i}.png")
    for name in ("pipe.png", "t.csv", "tune.abc", "x.npz"):
        os.mkfifo(tmp_path / name)
    settings = {"cache": str(tmp_path / "cache"), "workers": 1}
    with pytest.raises(GenwrightError, match="pipe.png is a named pipe"):
        ImagesData(path=str(tmp_path), **settings).prepare(ImageSettings(size=8))
    with pytest.raises(GenwrightError, match="x.npz is a named pipe"):
        ImagesData(path=str(tmp_path / "x.npz"), **settings).prepare(ImageSettings(size=8))
    with pytest.raises(GenwrightError, match="t.csv is a named pipe"):
        attribute_table.read_table(str(tmp_path / "t.csv"))
    with pytest.raises(GenwrightError, match="tune.abc is a named pipe"):
        source_music.read_file(str(tmp_path / "tune.abc"), 4)


def test_names_that_are_no_utf8(tmp_path):
    folder = os.fsencode(tmp_path / "in")
    os.makedirs(folder + b"/caf\xe9")
    for i in range(6):
        with open(folder + b"/caf\xe9/na\xefve %d.txt" % i, "wb") as file:
            file.write(b"text %d" % i)
    with open(folder + b"/b\xe9.jsonl", "wb") as file:
        file.write(b'{"text": "row"}\n{"text": 1}\n')
    dataset = prepare(tmp_path, tmp_path / "in", held_out=0.3, on_bad_file="skip")
    names = {name for split in ("train", "held_out") for name, _ in dataset.documents(split)}
    assert names == {rf"caf\xe9/na\xefve {i}.txt" for i in range(6)} | {r"b\xe9.jsonl:0"}
    assert dataset.summary["skipped"][0].startswith(r"b\xe9.jsonl line 2")
    with open(folder + b"/x\xe9.txt", "wb") as file:
        file.write(b"\xe9")
    refused(
        "is not UTF-8: byte 0xe9 at offset 0",
        tmp_path,
        tmp_path / "in",
        on_bad_file="stop",
        held_out=0.3,
    )


@pytest.mark.parametrize("word", [b"caf\xe9", b"data.path=caf\xe9"])
def test_a_word_of_the_command_line_that_is_no_utf8(capsys, word):
    for words in (("sample", "runs/x", "--prompt"), ("train", "code")):
        code, out, err = command(capsys, *words, os.fsdecode(word))
        assert code == 2 and not out
        assert r"caf\xe9; write it in UTF-8" in err and err.startswith(
            "error: a word of the command line is not UTF-8"
        )


def test_an_interruption_is_said(capsys, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("genwright.recipe.shipped.shipped", interrupted)
    assert command(capsys, "recipes") == (130, "", "interrupted\n")
    monkeypatch.setattr("genwright.api_data.data_build", lambda *_, **__: interrupted())
    said = "interrupted; the same command goes on from here\n"
    assert command(capsys, "data", "build", "corpus.yaml") == (130, "", said)


def test_a_prompt_that_is_no_text(tmp_path, folder):
    codec = prepare(tmp_path, folder).codec
    with pytest.raises(
        GenwrightError, match="the text is not UTF-8 at character 4, after 'caf'; give it in UTF-8"
    ):
        codec.encode("caf\udce9")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.txt.gz"])
@pytest.mark.parametrize("later", [b"text\n\xe9\xe9\xe9\n", b"\xff\xfea\x00\xd8"])
def test_a_file_that_is_no_text_any_more(tmp_path, name, later):
    write = gzip.compress if name.endswith(".gz") else bytes
    path = tmp_path / name
    path.write_bytes(write(b"text\nsome words\n"))
    start, end, row = file_parts.scan(str(path))["parts"][0]
    path.write_bytes(write(later))
    with pytest.raises(
        GenwrightError, match=f"{name} changed while it was prepared; run the same command again"
    ):
        list(readers.read(readers.Part(str(path), name, "", start, end, row, True, 0), "text", []))


# --- Parquet ---

ROWS = [f"row {i} " + "x" * (i % 7) for i in range(900)]


def parquet(path, **options):
    options = {"row_group_size": 100, "compression": "none", "use_dictionary": False} | options
    pyarrow.parquet.write_table(
        pyarrow.table({"id": range(len(ROWS)), "text": ROWS}), path, **options
    )
    return path.read_bytes()


def test_a_damaged_page_is_named_by_its_row_group(tmp_path):
    path = tmp_path / "a.parquet"
    data = bytearray(parquet(path, write_page_checksum=True))
    at = data.index(b"row 250 ")
    data[at : at + 3] = b"ROW"
    path.write_bytes(data)
    refused(r"a.parquet row group 2 cannot be read from row 200 to 299 \(from 0\)", tmp_path, path)
    skipping = prepare(tmp_path, path, on_bad_file="skip")
    assert documents(skipping) == ROWS[:200] + ROWS[300:]
    assert len(skipping.summary["skipped"]) == 1 and "row group 2" in skipping.summary["skipped"][0]
    # rows keep their numbers
    assert dict(skipping.documents("train")).keys() >= {"a.parquet:199", "a.parquet:300"}


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_parquet_that_is_damaged_anywhere(tmp_path, compression):
    whole = parquet(tmp_path / "a.parquet", compression=compression, write_page_checksum=True)
    choice = random.Random(7)
    for case in range(60):
        data = bytearray(whole)
        for _ in range(choice.choice([1, 1, 3, 30])):
            data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
        if case % 5 == 0:
            data = data[: choice.randrange(len(data))]
        path = tmp_path / f"{case}.parquet"
        path.write_bytes(data)
        facts, skipped = file_parts.scan(str(path)), []
        found = {}
        for start, end, row in [] if facts["bad"] else facts["parts"]:
            part = readers.Part(str(path), "a.parquet", "", start, end, row, True, 0)
            found |= {piece.row: piece.text for piece in readers.read(part, "text", skipped)}
        wrong = [row for row, text in found.items() if row >= len(ROWS) or text != ROWS[row]]
        assert not wrong and (len(found) == len(ROWS) or skipped or facts["bad"])


def test_text_of_parquet_that_is_no_utf8(tmp_path):
    column = pyarrow.array([b"good", b"caf\xe9", b"fine"]).view(pyarrow.string())
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), tmp_path / "a.parquet")
    refused(r"a.parquet row 1 \(from 0\) is not UTF-8", tmp_path, tmp_path / "a.parquet")
    assert documents(prepare(tmp_path, tmp_path / "a.parquet", on_bad_file="skip")) == [
        "good",
        "fine",
    ]


def test_parquet_without_the_column(tmp_path):
    parquet(tmp_path / "a.parquet")
    refused(
        r"a.parquet has no column 'body' \(it has id, text\)",
        tmp_path,
        tmp_path / "a.parquet",
        field="body",
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "a.parquet").rename(tmp_path / "in" / "a.parquet")
    (tmp_path / "in" / "b.jsonl").write_text('{"body": "x"}')
    skipping = prepare(tmp_path, tmp_path / "in", field="body", on_bad_file="skip")
    assert documents(skipping) == ["x"] and len(skipping.summary["skipped"]) == 1


# --- linear time ---


def seconds(path):
    data = file_parts.scan(str(path))
    began = time.process_time()
    file_parts.scan(str(path))
    for start, end, row in data["parts"]:
        part = readers.Part(str(path), path.name, "", start, end, row, True, 0)
        for _ in readers.read(part, "text", []):
            pass
    return time.process_time() - began


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "b.txt", "a.csv"])
def test_a_file_without_line_ends_is_read_in_linear_time(tmp_path, monkeypatch, name):
    monkeypatch.setattr(readers, "BLOCK", 1 << 12)
    monkeypatch.setattr(readers, "LONGEST_BLOCK", 1 << 14)
    taken = []
    for megabytes in (1, 8):
        size = megabytes << 20
        content = {
            "a.jsonl": b'"' + b"x" * size + b'"',
            "a.txt": b"x" * size,
            "b.txt": b"\n" * size,
            "a.csv": b"text\n" + b"x" * size,
        }
        (tmp_path / name).write_bytes(content[name])
        taken.append(min(seconds(tmp_path / name) for _ in range(2)))
    # eight times the bytes; quadratic would be sixty-four times the seconds
    assert taken[1] < 8 * 3 * max(taken[0], 0.01)


def test_a_long_row_needs_little_more_than_itself(tmp_path):
    import tracemalloc

    (tmp_path / "a.jsonl").write_bytes(b'{"text": "' + b"x" * (8 << 20) + b'"}')
    tracemalloc.start()
    file_parts.scan(str(tmp_path / "a.jsonl"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20  # scanning holds blocks, not the row


def test_safe_cut_searches_what_is_new_alone():
    generator = np.random.default_rng(0)
    for _ in range(300):
        block = bytes(generator.choice(list(b"\n\n ab\xc3\xa9"), size=generator.integers(0, 40)))
        whole = readers.safe_cut(block)
        for known in range(len(block) + 1):
            if readers.safe_cut(block[:known]) == 0:
                assert readers.safe_cut(block, known) == whole


def test_a_link_to_nothing_is_named_and_passed_over_when_asked(folder, tmp_path):
    (folder / "there.txt").write_text("a text that is there")
    (folder / "gone.txt").symlink_to(tmp_path / "nowhere")
    refused("gone.txt cannot be read .*set data.on_bad_file=skip", tmp_path, folder)
    dataset = prepare(tmp_path, folder, on_bad_file="skip")
    assert sorted(documents(dataset)) == ["a text that is there", "good"]
    assert len(dataset.summary["skipped"]) == 1 and "gone.txt" in dataset.summary["skipped"][0]
