"""Preparing text: what is read, what is held out, what is kept, what is made again."""

import csv
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from genwright.contents.text import prepare, shards, units
from genwright.contents.text.codec import BPE, Bytes, Characters, File
from genwright.contents.text.data import TextData
from genwright.data import file_parts, readers, scans
from genwright.data.cache import FORMAT, digest_of_pieces, json_list, json_of

WORDS = ["alpha", "beta", "gamma", "delta", "naïve", "“quoted”", "x", "=", "y[10]", "日本"]


def text(seed, size=400):
    rng = np.random.default_rng(seed)
    return "".join(
        str(rng.choice(WORDS)) + str(rng.choice([" ", "\n", "\n\n    "])) for _ in range(size // 6)
    )


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    (folder / "sub").mkdir(parents=True)
    for i in range(12):
        (folder / ("sub" if i % 2 else "") / f"{i}.md").write_text(
            text(i), encoding="utf-8", newline=""
        )
    return folder


def data(tmp_path, path, **settings):
    paths = tuple(map(str, path)) if isinstance(path, list) else str(path)
    return TextData(
        path=paths, cache=str(tmp_path / "cache"), **{"context": 8, "held_out": 0.3} | settings
    )


def texts(dataset, split):
    """name -> text, from the tokens; every document ends with the end token."""
    end, out = dataset.codec.space.special["end"], {}
    for name, tokens in dataset.documents(split):
        assert tokens[-1] == end and (tokens[:-1] != end).all()
        out[name] = dataset.codec.decode(tokens[:-1])
    return out


@pytest.mark.parametrize(
    "codec", [Bytes(), Characters(), BPE(vocabulary=300)], ids=lambda c: c.kind
)
def test_documents_come_back_whole(tmp_path, corpus, codec):
    dataset = data(tmp_path, corpus).prepare(codec)
    train, held = texts(dataset, "train"), texts(dataset, "held_out")
    assert train and held and not set(train) & set(held)
    read = {
        path.relative_to(corpus).as_posix(): path.read_bytes().decode()
        for path in corpus.rglob("*.md")
    }
    assert train | held == read
    assert dataset.summary["files"] == 12 and dataset.summary["held_out"]["documents"] == len(held)
    assert dataset.summary["held_out"]["bytes"] == sum(len(t.encode()) for t in held.values())
    assert dataset.summary["train"]["characters"] == sum(map(len, train.values()))
    assert dataset.summary["train"]["tokens"] == len(dataset.tokens("train"))
    dataset.verify()


def test_document_at(tmp_path, corpus):
    dataset = data(tmp_path, corpus).prepare(Bytes())
    at = 0
    for name, tokens in dataset.documents("train"):
        assert dataset.document_at("train", at) == (name, 0)
        assert dataset.document_at("train", at + len(tokens) - 1) == (name, len(tokens) - 1)
        at += len(tokens)
    assert at == len(dataset.tokens("train"))


def test_the_same_input_is_never_prepared_twice(tmp_path, corpus, monkeypatch):
    first = data(tmp_path, corpus).prepare(BPE(vocabulary=300))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")}
    monkeypatch.setattr(
        prepare, "parallel", lambda name, jobs, workers: pytest.fail(name) if jobs else iter(())
    )
    monkeypatch.setattr(scans, "MARGIN", -(10**18))  # the files are as young as the scan
    assert data(tmp_path, corpus).prepare(BPE(vocabulary=300)).digest == first.digest
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")} == before


def test_moving_the_folder_changes_nothing_and_a_new_file_costs_itself(
    tmp_path, corpus, monkeypatch
):
    monkeypatch.setattr(prepare, "UNIT", 800)  # a unit holds about two files
    first = data(tmp_path, corpus).prepare(Bytes())
    moved = corpus.rename(tmp_path / "elsewhere")
    assert data(tmp_path, moved).prepare(Bytes()).digest == first.digest
    (moved / "5b.md").write_text(text(99), encoding="utf-8")
    more = data(tmp_path, moved).prepare(Bytes())
    assert more.digest != first.digest
    new = {name.split("/")[0] for name in more.shards} - {
        name.split("/")[0] for name in first.shards
    }
    assert 1 <= len(new) <= 2 < len(first.shards) // 3


def test_workers_and_cuts_do_not_change_the_tokens(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text(text(1, 200_000), encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(
        "".join(json.dumps({"text": text(i, 100)}) + "\n" for i in range(900))
    )
    both = [tmp_path / "a.txt", tmp_path / "b.jsonl"]
    codec = BPE(vocabulary=320)
    whole = data(tmp_path, both, workers=1).prepare(codec)
    whole.codec.save(tmp_path / "codec")
    monkeypatch.setattr(readers, "BLOCK", 1000)
    monkeypatch.setattr(file_parts, "PART", 10_000)
    monkeypatch.setattr(prepare, "UNIT", 20_000)
    cut = data(tmp_path / "2", both, workers=1).prepare(File(path=str(tmp_path / "codec")))
    assert len(cut.shards) > 3 * len(whole.shards)
    for split in ("train", "held_out"):
        assert np.array_equal(np.asarray(cut.tokens(split)), np.asarray(whole.tokens(split)))
        assert [name for name, _ in cut.documents(split)] == [
            name for name, _ in whole.documents(split)
        ]
    monkeypatch.setattr(prepare, "SMALL", 0)
    by_two = data(tmp_path / "3", both, workers=2).prepare(File(path=str(tmp_path / "codec")))
    assert np.array_equal(np.asarray(by_two.tokens("train")), np.asarray(whole.tokens("train")))


def test_rows_of_every_format_are_the_same_documents(tmp_path, monkeypatch):
    import pyarrow
    import pyarrow.parquet

    rows = [text(i, 80) for i in range(40)]
    lines = "".join(
        json.dumps({"body": row, "id": i}) + "\n" for i, row in enumerate(rows)
    ).encode()
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.jsonl.zst").write_bytes(pyarrow.compress(lines, "zstd", asbytes=True))
    with open(tmp_path / "d.csv", "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([["id", "body"], *enumerate(rows)])
    pyarrow.parquet.write_table(
        pyarrow.table({"body": rows}), tmp_path / "e.parquet", row_group_size=7
    )
    monkeypatch.setattr(file_parts, "PART", 800)
    results = {}
    for path in sorted(tmp_path.glob("?.*")):
        dataset = data(tmp_path, path, field="body").prepare(Bytes())
        results[path.name] = [
            np.asarray(dataset.tokens(split)).tolist() for split in ("train", "held_out")
        ]
        assert (
            dataset.summary["train"]["documents"] + dataset.summary["held_out"]["documents"] == 40
        )
        name, offset = dataset.document_at("train", 0)
        assert name.startswith(path.name + ":") and offset == 0
    assert len(results) == 5 and all(result == results["a.jsonl"] for result in results.values())


def test_tail_is_cut_at_the_character(tmp_path, monkeypatch):
    content = text(3, 9001)
    (tmp_path / "long.txt").write_text(content, encoding="utf-8", newline="")
    cut = int(0.9 * len(content))
    for unit in (1 << 23, 500):
        monkeypatch.setattr(prepare, "UNIT", unit)
        monkeypatch.setattr(file_parts, "PART", unit)
        monkeypatch.setattr(readers, "BLOCK", min(unit, 1 << 20))
        dataset = data(tmp_path, tmp_path / "long.txt", split="tail", held_out=0.1).prepare(
            Characters()
        )
        # no end token in one document
        assert dataset.codec.decode(dataset.tokens("train")) == content[:cut]
        assert dataset.codec.decode(dataset.tokens("held_out")) == content[cut:]
        assert dataset.summary["held_out"]["tokens"] == len(content) - cut
        assert dataset.document_at("held_out", 5) == ("long.txt", 5)
        assert [name for name, _ in dataset.documents("train")] == ["long.txt"]


def test_tail_of_many_documents(tmp_path, corpus):
    dataset = data(tmp_path, corpus, split="tail").prepare(Bytes())
    end = dataset.codec.space.special["end"]
    joined = [np.asarray(dataset.tokens(split)) for split in ("train", "held_out")]
    files = sorted((path.relative_to(corpus).as_posix(), path) for path in corpus.rglob("*.md"))
    assert dataset.codec.decode(np.concatenate(joined)) == "".join(
        path.read_bytes().decode() for _, path in files
    )
    assert sum((tokens == end).sum() for tokens in joined) == 12
    characters = [dataset.summary[split]["characters"] for split in ("train", "held_out")]
    assert characters[0] == int(sum(characters) * (1 - 0.3))


def test_nothing_held_out(tmp_path, corpus):
    dataset = data(tmp_path, corpus, held_out=0).prepare(Bytes())
    assert len(texts(dataset, "train")) == 12 and len(dataset.tokens("held_out")) == 0
    assert dataset.held_out().windows == 0


def test_a_small_corpus_has_both_parts(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(2):
        (tmp_path / "in" / f"{i}.txt").write_text(text(i))
    for share in (0.001, 0.999):
        dataset = data(tmp_path, tmp_path / "in", held_out=share).prepare(Bytes())
        assert len(texts(dataset, "train")) == len(texts(dataset, "held_out")) == 1


def test_equal_rows_fall_on_one_side(tmp_path):
    rows = [text(i % 10, 60) for i in range(60)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    dataset = data(tmp_path, tmp_path / "a.jsonl").prepare(Bytes())
    assert not set(texts(dataset, "train").values()) & set(texts(dataset, "held_out").values())


KILLED = """
import sys
from genwright.contents.text.codec import Bytes
from genwright.contents.text import prepare
from genwright.contents.text.data import TextData
prepare.UNIT = 20_000
parallel = prepare.parallel
def told(work, *jobs):
    for done in parallel(work, *jobs):
        print(work.label, flush=True)
        yield done
prepare.parallel = told
TextData(path=sys.argv[1], cache=sys.argv[2], context=8).prepare(Bytes())
"""


def test_a_kill_keeps_what_is_finished(tmp_path, monkeypatch):
    for i in range(24):
        (tmp_path / f"{i}.txt").write_text(text(i, 10_000), encoding="utf-8")
    cache = tmp_path / "killed"
    for wait in (1, 2):  # shards that are done before the kill
        command = [sys.executable, "-c", KILLED, str(tmp_path / "*.txt"), str(cache)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        while wait and (line := process.stdout.readline()):
            wait -= line.startswith("tokenising")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    kept = {
        path.name: path.stat().st_mtime_ns
        for path in (cache / "shards").iterdir()
        if path.suffix != ".tmp"
    }
    assert len(kept) >= 3
    # as a killed process leaves it
    (cache / "shards" / f"{next(iter(kept))}.{socket.gethostname()}-{process.pid}.tmp").mkdir()
    monkeypatch.setattr(prepare, "UNIT", 20_000)
    settings = {"path": str(tmp_path / "*.txt"), "context": 8}
    resumed = TextData(cache=str(cache), **settings).prepare(Bytes())
    assert (
        resumed.digest
        == TextData(cache=str(tmp_path / "fresh"), **settings).prepare(Bytes()).digest
    )
    assert all(
        (cache / "shards" / name).stat().st_mtime_ns == changed for name, changed in kept.items()
    )
    resumed.verify()
    shutil.rmtree(cache / "shards" / next(iter(kept)))
    assert TextData(cache=str(cache), **settings).prepare(Bytes()).digest == resumed.digest
    assert not list(cache.rglob("*.tmp"))


def test_folders_pass_over_what_is_no_text(tmp_path, corpus):
    (corpus / ".hidden.md").write_text("secret")
    (corpus / ".git").mkdir()
    (corpus / ".git" / "config").write_text("x")
    (corpus / "picture.PNG").write_bytes(b"\x89PNG\0")
    (corpus / "empty.md").write_text("")
    dataset = data(tmp_path, corpus).prepare(Bytes())
    assert dataset.summary["train"]["documents"] + dataset.summary["held_out"]["documents"] == 12


def test_two_folders_and_a_glob(tmp_path, corpus):
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.md").write_text("another zero")
    dataset = data(tmp_path, [corpus, other, corpus / "**" / "*.md"], held_out=0).prepare(Bytes())
    names = [name for name, _ in dataset.documents("train")]
    assert len(names) == 13 and "other/0.md" in names


def test_rows_need_little_memory(tmp_path):
    """What a process needs beyond its imports does not grow with the input."""
    with open(tmp_path / "rows.jsonl", "w") as file:
        for i in range(100_000):
            file.write(json.dumps({"text": f"row {i} " + "lorem ipsum dolor sit amet " * 8}) + "\n")
    code = """
import resource, sys
from genwright.contents.text.codec import Bytes
from genwright.contents.text.data import TextData
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = TextData(path=sys.argv[1], cache=sys.argv[2], workers=1, held_out=0.1).prepare(Bytes())
assert data.summary["train"]["documents"] + data.summary["held_out"]["documents"] == 100_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "rows.jsonl"), str(tmp_path / "cache")]
    # MB; the file has 23 MB
    assert float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) < 60


def key_of(unit, codec, end):
    rest = [json_of(codec), json_of(end)]
    return digest_of_pieces(json_list([json_of(FORMAT), unit.content(), *rest]))


def test_the_key_of_a_shard_is_what_it_was(tmp_path, monkeypatch):
    """Another key would prepare again what a person's cache holds; raise cache.FORMAT where that is
    wanted (units.PASSED_OVER for rows of jsonl), and take the keys here from the new code."""
    a = readers.Part("/x/a.txt", "a.txt", "aa", 0, 1 << 62, 0, True, [1, 2, 3, 4], "bb", 9)
    b = readers.Part("/x/b.jsonl", "b.jsonl", "cc", 5, 70, 3, False, [1, 2, 3, 4])
    held = units.Unit([a, b], "text", skip=False, held=[0, 2])
    cut = units.Unit([a, b], "text", skip=True, cut=100)
    assert FORMAT == 4 and units.PASSED_OVER == 2
    assert key_of(held, "codec", 256) == (
        "15cc8c0f3f2c67aebce7db534a71be918774701d1a29427aca20b5f5eaaf164f"
    )
    assert key_of(cut, "codec", None) == (
        "6ccfe1f739035df777e979a2388c452ea17aa427ee64eaade11f27939dd5d87d"
    )
    alone = units.Unit([a], "text", skip=True, cut=100)
    assert "".join(alone.content()).endswith(', 100, "text", true]')  # no row is read
    monkeypatch.setattr(units, "AT_ONCE", 3)
    for numbers in ([], [0, 2], list(range(10))):
        np.save(tmp_path / "held.npy", np.array(numbers, np.int64))
        for held in (numbers, tmp_path / "held.npy"):
            unit = units.Unit([a, b], "text", skip=False, held=held)
            plain = [unit.identity, numbers, None, "text", False]
            assert "".join(unit.content()) == json.dumps(plain)


def test_workers_import_no_torch():
    code = "import sys; import genwright.contents.text.shards; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    part = readers.Part("/data/a.txt", "a.txt", "", 0, 1, 0, True, [])
    unit = units.Unit([part, part._replace(path="/data/b.txt")], "text", False)
    for work in (units.COUNT, units.SURVEY, shards.WRITE):
        assert work.files({"unit": unit}) == ["/data/a.txt", "/data/b.txt"]


def test_expected_digest(tmp_path, corpus):
    from genwright.core.errors import GenwrightError

    first = data(tmp_path, corpus).prepare(Bytes())
    assert data(tmp_path, corpus).prepare(Bytes(), expect=first.digest).digest == first.digest
    (corpus / "0.md").write_text("changed\n")
    now = time.time_ns() + 5_000_000_000
    os.utime(corpus / "0.md", ns=(now, now))
    with pytest.raises(
        GenwrightError,
        match=f"recorded digest {first.digest[:16]}, the sources now give [0-9a-f]{{16}}; bring",
    ):
        data(tmp_path, corpus).prepare(Bytes(), expect=first.digest)
    first.verify()  # what was prepared before is still there
