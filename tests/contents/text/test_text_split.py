"""Texts: equal ones on one side, the wanted share of bytes, sides that stay, and only what is new
is read."""

import codecs
import gzip
import json
import os

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from genwright.contents.text import prepare
from genwright.contents.text.codec import Bytes
from genwright.contents.text.data import TextData
from genwright.data import file_parts, readers, scans
from genwright.recipe.schema import Recipe
from genwright.runs.preview import preview

WORDS = ["alpha", "beta", "gamma", "naïve", "日本", "x", "y"]


def words(seed, count=60):
    return " ".join(np.random.default_rng(seed).choice(WORDS, count)) + "\n"


def data(tmp_path, path, **settings):
    given = {
        "context": 8,
        "held_out": 0.1,
        "workers": 1,
        "cache": str(tmp_path / "cache"),
    } | settings
    return TextData(path=str(path), **given).prepare(Bytes())


def sides(dataset):
    """name -> side"""
    return {name: side for side in ("train", "held_out") for name, _ in dataset.documents(side)}


def share(dataset):
    sizes = [dataset.summary[side]["bytes"] for side in ("train", "held_out")]
    return sizes[1] / sum(sizes)


def test_equal_files_under_other_names_are_on_one_side(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(40):
        (folder / f"copy{i}.txt").write_text(words(0), encoding="utf-8")
        (folder / f"other{i}.txt").write_text(words(i + 1), encoding="utf-8")
    found = sides(data(tmp_path, folder, held_out=0.2))
    assert len({found[f"copy{i}.txt"] for i in range(40)}) == 1
    assert {found[f"other{i}.txt"] for i in range(40)} == {"train", "held_out"}


def test_a_text_is_equal_whatever_its_encoding_its_compression_and_its_format(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    texts = [words(i) for i in range(30)]
    for i, text in enumerate(texts):
        (folder / f"{i}.txt").write_bytes(text.encode())
        (folder / f"{i}-bom.txt").write_bytes(codecs.BOM_UTF8 + text.encode())
        (folder / f"{i}-16.txt").write_bytes(text.encode("utf-16"))
        (folder / f"{i}-32.md").write_bytes(text.encode("utf-32"))
        (folder / f"{i}.txt.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "rows.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "table.csv").write_text(
        "text\n" + "".join(f'"{text}"\n' for text in texts), encoding="utf-8"
    )
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), folder / "rows.parquet")
    dataset = data(tmp_path, folder, held_out=0.2)
    found: dict[str, set[str]] = {}
    for side in ("train", "held_out"):
        for _, tokens in dataset.documents(side):
            found.setdefault(dataset.codec.decode(tokens[:-1]), set()).add(side)
    assert set(found) == set(texts) and all(len(its) == 1 for its in found.values())
    assert (
        dataset.summary["train"]["documents"] + dataset.summary["held_out"]["documents"] == 8 * 30
    )
    assert dataset.summary["copies"] == 7 * 30 and dataset.summary["copies across the split"] == 0


def test_a_large_text_is_one_document_however_it_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(file_parts, "PART", 500)
    monkeypatch.setattr(readers, "BLOCK", 200)
    monkeypatch.setattr(prepare, "UNIT", 2000)
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(12):
        text = words(i, 300)
        (folder / f"{i}.txt").write_bytes(text.encode())
        (folder / f"{i}-bom.txt").write_bytes(codecs.BOM_UTF8 + text.encode())
    dataset = data(tmp_path, folder, held_out=0.25)
    found = sides(dataset)
    assert all(found[f"{i}.txt"] == found[f"{i}-bom.txt"] for i in range(12))
    assert dataset.summary["copies"] == 12 and 0.2 < share(dataset) < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_the_share_of_109_files_is_what_was_asked_for(tmp_path, seed):
    """Where a hash of names held out 2 of 109 files, with 0.35% of the bytes."""
    folder = tmp_path / "in"
    folder.mkdir()
    sizes = np.random.default_rng(seed).lognormal(4, 1.3, 109).astype(int) + 5
    for i, size in enumerate(sizes.tolist()):
        (folder / f"{seed}-{i}.md").write_text(words(1000 * seed + i, size), encoding="utf-8")
    dataset = data(tmp_path, folder, held_out=0.05)
    assert 0.04 < share(dataset) < 0.06
    assert 1 <= dataset.summary["held_out"]["documents"] < 30


def test_rows_are_held_out_to_the_wanted_share(tmp_path):
    rows = [words(i, 1 + i % 40) for i in range(2000)]
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"text": row}) + "\n" for row in rows + rows[:500])
    )
    dataset = data(tmp_path, tmp_path / "rows.jsonl", held_out=0.1)
    assert abs(share(dataset) - 0.1) < 0.002
    texts = [
        {dataset.codec.decode(tokens[:-1]) for _, tokens in dataset.documents(side)}
        for side in ("train", "held_out")
    ]
    assert not texts[0] & texts[1]
    assert dataset.summary["copies"] == 2500 - len(set(rows))


def test_documents_keep_their_side_when_others_are_added_and_when_they_are_edited(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    before: dict[str, str] = {}
    for start, stop in ((0, 20), (20, 30), (30, 120)):
        for i in range(start, stop):
            (folder / f"{i}.txt").write_text(words(i), encoding="utf-8")
        dataset = data(tmp_path, folder)
        now = sides(dataset)
        assert before.items() <= now.items()
        assert 0.05 < share(dataset) < 0.15
        before = now
    for i in range(0, 120, 5):
        (folder / f"{i}.txt").write_text(words(i + 1000), encoding="utf-8")
    assert sides(data(tmp_path, folder)) == before
    # is read in one go with them
    (folder / "rows.jsonl").write_text(json.dumps({"text": "a row among files"}))
    for i in range(0, 120, 7):
        (folder / f"{i}.txt").write_text(words(i + 2000), encoding="utf-8")
    assert before.items() <= sides(data(tmp_path, folder)).items()
    (folder / "rows.jsonl").unlink()
    fresh = sides(data(tmp_path, folder, cache=str(tmp_path / "other")))
    assert fresh != before, "the record decides, or this test shows nothing"


def test_a_copy_of_a_held_out_text_is_held_out(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(30):
        (folder / f"{i}.txt").write_text(words(i), encoding="utf-8")
    before = sides(data(tmp_path, folder))
    held = next(name for name, side in before.items() if side == "held_out")
    (folder / "copy.txt").write_bytes((folder / held).read_bytes())
    after = sides(data(tmp_path, folder))
    assert after == before | {"copy.txt": "held_out"}


def test_another_text_of_equal_size_and_date_is_read(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(10):
        (folder / f"{i}.txt").write_text(f"text number {i}\n")
    for path in folder.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    data(tmp_path, folder)
    (folder / "3.txt").write_text("TEXT NUMBER 3\n")
    os.utime(folder / "3.txt", (1_600_000_000, 1_600_000_000))
    dataset = data(tmp_path, folder)
    texts = [
        dataset.codec.decode(tokens[:-1])
        for side in ("train", "held_out")
        for _, tokens in dataset.documents(side)
    ]
    assert "TEXT NUMBER 3\n" in texts and "text number 3\n" not in texts


def test_a_file_more_is_all_that_is_scanned(tmp_path, monkeypatch):
    monkeypatch.setattr(scans, "MARGIN", -(10**18))  # the files are as young as the scan
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i}.txt").write_text(words(i), encoding="utf-8")
    data(tmp_path, folder)
    scanned = []
    scan = file_parts.scan
    monkeypatch.setattr(
        file_parts, "scan", lambda path: (scanned.append(os.path.basename(path)), scan(path))[1]
    )
    data(tmp_path, folder)
    assert scanned == []
    (folder / "new.txt").write_text(words(99), encoding="utf-8")
    data(tmp_path, folder)
    assert scanned == ["new.txt"]
    both = TextData(
        path=(str(folder / "3.txt"), str(folder / "new.txt")),
        cache=str(tmp_path / "cache"),
        context=8,
        held_out=0.5,
    )
    both.prepare(Bytes())
    assert scanned == ["new.txt"]


def test_inspect_says_what_is_equal(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i}.txt").write_text(words(i % 10, 200), encoding="utf-8")
    settings = {
        "data.path": str(folder),
        "data.cache": str(tmp_path / "cache"),
        "data.context": 16,
        "codec": "bytes",
        "data.held_out": 0.2,
    }
    facts = preview(
        Recipe.load("docs", settings | {"model.depth": 1, "model.width": 16, "model.heads": 1})
    ).facts
    assert facts["split"] == "10 equal to an earlier one"
    assert "4 documents, 20.6% of the bytes" in facts["data"] and facts["left out"] == "nothing"


def test_a_share_that_cannot_be_had_is_said(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(2):
        (folder / f"{i}.txt").write_text(words(i, 400), encoding="utf-8")
    settings = {
        "data.path": str(folder),
        "data.cache": str(tmp_path / "cache"),
        "data.context": 16,
        "codec": "bytes",
        "data.held_out": 0.05,
    }
    facts = preview(
        Recipe.load("docs", settings | {"model.depth": 1, "model.width": 16, "model.heads": 1})
    ).facts
    assert (
        "% are held out, for data.held_out = 0.05 cannot be had from whole documents"
        in facts["split"]
    )
    assert 40 < float(facts["split"].partition("%")[0]) < 60
