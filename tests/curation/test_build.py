"""Corpora are built from raw files: every document is there with its place, every drop has its
reason, and what was stopped, changed or built by other numbers of workers gives the same."""

import errno
import hashlib
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from corpora import write_files

import genwright
from genwright.core.errors import GenwrightError
from genwright.curation import build as building
from genwright.curation import engines
from genwright.curation.attributes import COMPUTE
from genwright.curation.build import build, open_corpus, read_corpus_recipe, remix
from genwright.curation.mix import counts_of
from genwright.curation.settings import CorpusRecipe
from genwright.curation.store import WRITE
from genwright.data.selection import selected, selections
from rooms_here import needs


def recipe(folder, **changes):
    given = {
        "name": "mine",
        "sources": [{"kind": "listed", "path": str(folder), "licence": "CC0-1.0"}],
        "filters": ["toy"],
        "mix": {"held_out": 0.1},
    }
    return CorpusRecipe(**(given | changes))


def bytes_of(folder: Path) -> dict[str, str]:
    """What a corpus holds, file by file."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "scans" not in path.parts:
            found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def texts_of(corpus):
    return [
        text
        for shard in corpus.shards
        for text in pq.read_table(shard.documents)["text"].to_pylist()
    ]


def test_every_document_is_there_with_its_place(tmp_path):
    every = write_files(tmp_path / "raw", 3)
    corpus, counts = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    rows = [row for shard in corpus.shards for row in pq.read_table(shard.documents).to_pylist()]
    assert [row["text"] for row in rows] == every
    assert counts.documents == len(every)
    for row in rows:
        lines = (tmp_path / "raw" / row["file"]).read_text().splitlines()
        assert lines[int(row["place"].removeprefix("line ")) - 1] == row["text"]
        assert row["content"] == hashlib.sha256(row["text"].encode()).digest()
        raw = (tmp_path / "raw" / row["file"]).read_bytes()
        assert row["file_digest"] == hashlib.sha256(raw).hexdigest()
        assert row["licence"] == "CC0-1.0"
    assert len({row["id"] for row in rows}) == len(every)


def test_every_drop_has_the_first_rule_that_is_broken(tmp_path):
    every = write_files(tmp_path / "raw", 4)
    corpus, counts = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    words = [len(text.split()) for text in every]
    expected = {"toy.short": sum(n < 3 for n in words), "toy.long": sum(n > 12 for n in words)}
    assert counts.dropped == dict(sorted(expected.items()))
    assert sum(counts.kept.values()) == len(every) - sum(expected.values())
    kept = [text for path in selections(str(corpus.folder)) for _, text in selected(path)]
    assert sorted(kept) == sorted(text for text in every if 3 <= len(text.split()) <= 12)


def test_edits_are_made_in_what_is_read_and_not_in_what_is_kept(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.txt").write_text("a secret word and secret more\nno such word here\n")
    own = recipe(tmp_path / "raw", mix={"held_out": 0.0})
    corpus, counts = build(own, tmp_path / "c", workers=1)
    assert texts_of(corpus)[0] == "a secret word and secret more"
    kept = [text for path in selections(str(corpus.folder)) for _, text in selected(path)]
    assert kept == ["a <gone> word and <gone> more", "no such word here"]
    assert counts.edits == 2


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.txt").write_text("one two three four\n?\nfive six seven eight\n")
    corpus, counts = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    assert corpus.unread == [("a.txt", "line 2", "is a question mark")]
    assert counts.documents == 2


def test_a_second_build_reads_nothing_again(tmp_path, monkeypatch):
    write_files(tmp_path / "raw", 3)
    own = recipe(tmp_path / "raw")
    build(own, tmp_path / "c", workers=1)
    before = bytes_of(tmp_path / "c")
    monkeypatch.setattr(building, "WRITE", None)  # whoever used it would fail
    monkeypatch.setattr(building, "COMPUTE", None)
    monkeypatch.setattr(engines, "parallel", _refusing_none)
    build(own, tmp_path / "c", workers=1)
    assert bytes_of(tmp_path / "c") == before


def _refusing_none(work, jobs, workers):
    assert work is not None or not jobs
    return [(number, work.function(**job)) for number, job in enumerate(jobs)]


def test_a_bound_changes_without_anything_being_measured_again(tmp_path, monkeypatch):
    write_files(tmp_path / "raw", 3)
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    monkeypatch.setattr(building, "WRITE", None)
    monkeypatch.setattr(building, "COMPUTE", None)
    monkeypatch.setattr(engines, "parallel", _refusing_none)
    own = [{"attribute": "toy words", "at_most": 5}]
    _, counts = build(recipe(tmp_path / "raw", filters=own), tmp_path / "c", workers=1)
    assert set(counts.dropped) == {"own.toy words"}
    monkeypatch.setattr(building, "WRITE", WRITE)
    monkeypatch.setattr(building, "COMPUTE", COMPUTE)
    fresh, again = build(recipe(tmp_path / "raw", filters=own), tmp_path / "f", workers=1)
    assert again == counts
    assert fresh.folder != tmp_path / "c"


def test_an_added_file_gives_what_a_fresh_build_gives(tmp_path):
    write_files(tmp_path / "raw", 3)
    own = recipe(tmp_path / "raw")
    build(own, tmp_path / "c", workers=1)
    write_files(tmp_path / "raw", 4)
    corpus, _ = build(own, tmp_path / "c", workers=1)
    fresh, _ = build(own, tmp_path / "f", workers=1)
    used = {f"{shard.key}" for shard in fresh.shards}
    assert [shard.key for shard in corpus.shards] == [shard.key for shard in fresh.shards]
    left = {
        name: digest
        for name, digest in bytes_of(tmp_path / "c").items()
        if Path(name).parts[0] in ("corpus.yaml", "sources.json", "mix", "near")
        or Path(name).stem.split(".")[0] in used
    }
    assert left == bytes_of(tmp_path / "f")


def test_a_changed_file_is_found(tmp_path):
    write_files(tmp_path / "raw", 2)
    own = recipe(tmp_path / "raw")
    first, _ = build(own, tmp_path / "c", workers=1)
    (tmp_path / "raw" / "000.txt").write_text("another text of five words\n")
    second, _ = build(own, tmp_path / "c", workers=1)
    assert texts_of(second)[0] == "another text of five words"
    assert first.shards != second.shards


def test_what_killed_builds_left_is_deleted(tmp_path):
    write_files(tmp_path / "raw", 2)
    build(recipe(tmp_path / "raw"), tmp_path / "whole", workers=1)
    killed = subprocess.Popen(["true"])  # a process that has been
    killed.wait()
    here = socket.gethostname()
    documents = tmp_path / "c" / "documents"
    documents.mkdir(parents=True)
    (documents / f"a.parquet.{here}-{killed.pid}.tmp").write_bytes(b"half")
    (tmp_path / "c" / f"corpus.yaml.{here}-{killed.pid}-0a1b.tmp").write_bytes(b"half")
    others = [f"a.parquet.{here}-{os.getpid()}.tmp", f"a.parquet.elsewhere-{killed.pid}.tmp"]
    for name in others:
        (documents / name).write_bytes(b"at work")
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    assert sorted(path.name for path in (tmp_path / "c").rglob("*.tmp")) == sorted(others)
    for name in others:
        (documents / name).unlink()
    assert bytes_of(tmp_path / "c") == bytes_of(tmp_path / "whole")


def test_what_a_search_left_that_was_killed_at_its_end_is_deleted(tmp_path):
    write_files(tmp_path / "raw", 2)
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    whole = bytes_of(tmp_path / "c")
    work = tmp_path / "c" / "near" / "work-0123456789abcdef"
    (work / "found").mkdir(parents=True)
    (work / "found" / "pairs").write_bytes(b"handed on")
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    assert bytes_of(tmp_path / "c") == whole


def test_two_builds_at_once_are_refused(tmp_path):
    write_files(tmp_path / "raw", 2)
    folder = tmp_path / "c"
    corpus, _ = build(recipe(tmp_path / "raw"), folder, workers=1)
    with building.one_writer(folder):
        with pytest.raises(GenwrightError, match="another process is building the corpus"):
            build(recipe(tmp_path / "raw"), folder, workers=1)
        with pytest.raises(GenwrightError, match="--corpus"):
            building.remix(corpus, workers=1)
    build(recipe(tmp_path / "raw"), folder, workers=1)
    assert not (folder / building.LOCK).exists()


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(tmp_path, monkeypatch):
    write_files(tmp_path / "raw", 2)
    build(recipe(tmp_path / "raw"), tmp_path / "whole", workers=1)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)  # attributes and the mix are not written
        with pytest.raises(GenwrightError, match="disk .* is full"):
            build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    assert bytes_of(tmp_path / "c") == bytes_of(tmp_path / "whole")


def test_weights_and_a_budget_decide_how_often(tmp_path):
    write_files(tmp_path / "a", 6)
    write_files(tmp_path / "b", 5)
    sources = [
        {"kind": "listed", "path": str(tmp_path / "a"), "name": "a"},
        {"kind": "listed", "path": str(tmp_path / "b"), "name": "b"},
    ]
    mixed = {"weights": {"source": {"a": 2.5}}, "held_out": 0.0}
    own = recipe(None, sources=sources, filters=[], mix=mixed, deduplicate=None)
    corpus, counts = build(own, tmp_path / "c", workers=1)
    of_a = sum(len(t.encode()) for t in texts_of(corpus)[: 6 * 30])
    of_b = counts.bytes - of_a
    assert counts.repeated_bytes == pytest.approx(2.5 * of_a + of_b, rel=0.03)
    budget = counts.repeated_bytes / 4 / 3
    own = recipe(
        None, sources=sources, filters=[], mix=mixed | {"tokens": budget}, deduplicate=None
    )
    _, less = build(own, tmp_path / "c", workers=1)
    assert less.repeated_bytes / 4 == pytest.approx(budget, rel=0.1)
    own = recipe(None, sources=sources, filters=[], mix=mixed | {"tokens": 1e9}, deduplicate=None)
    with pytest.raises(GenwrightError, match="mix.tokens asks for 1,000,000,000 tokens, and there"):
        build(own, tmp_path / "c", workers=1)
    assert counts_of(tmp_path / "c")["repeated_bytes"] == less.repeated_bytes  # the mix of before


def test_equal_texts_are_on_one_side(tmp_path):
    (tmp_path / "raw").mkdir()
    lines = [f"these are the words of {number} and more" for number in range(200)]
    (tmp_path / "raw" / "a.txt").write_text("\n".join(lines))
    (tmp_path / "raw" / "b.txt").write_text("\n".join(reversed(lines)))
    own = recipe(tmp_path / "raw", mix={"held_out": 0.3}, deduplicate=None)
    corpus, counts = build(own, tmp_path / "c", workers=1)
    sides = {"train": set(), "held_out": set()}
    for path in selections(str(corpus.folder)):
        sides[path.parent.name] |= {text for _, text in selected(path)}
    assert not sides["train"] & sides["held_out"]
    assert 0.2 < counts.kept["held_out"] / 400 < 0.4


def test_a_recipe_reads_back_as_it_was_written(tmp_path):
    write_files(tmp_path / "raw", 1)
    own = recipe(tmp_path / "raw", filters=["toy", {"attribute": "toy words", "at_most": 9}])
    build(own, tmp_path / "c", workers=1)
    assert read_corpus_recipe(tmp_path / "c") == own
    assert open_corpus(tmp_path / "c").recipe == own


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"filters": ["gophers"]}, "filters names 'gophers'"),
        ({"filters": [{"attribute": "wrds", "at_most": 3}]}, "called 'wrds'"),
        ({"filters": [{"attribute": "toy words"}]}, "no bound"),
        (
            {"filters": [{"attribute": "toy words", "at_least": 9, "at_most": 5}]},
            "at least 9 and at most 5, which no document satisfies; give an at_most",
        ),
        ({"sources": []}, "mine has no sources; write sources: "),
        ({"name": "../out"}, "cannot be called '../out', for that leads out of the folder corpora"),
        ({"name": "/out"}, "cannot be called '/out'"),
        ({"filters": [{"toy": "redact"}]}, "has no option 'redact'"),
        ({"sources": [{"kind": "listd", "path": "x"}]}, "'listd'; did you mean 'listed'"),
        (
            {"filters": [{"attribute": "toy edits", "at_most": 3}]},
            "toy edits, which has no numbers",
        ),
        ({"mix": {"weights": {"colour": {"red": 2}}}}, "mix.weights names 'colour'"),
        ({"mix": {"weights": {"source": {"raws": 2}}}}, "names 'raws'; did you mean 'raw'"),
        ({"mix": {"weights": {"source": {"raw": -1}}}}, "mix.weights.source.raw is -1; give 0"),
    ],
)
def test_what_is_unknown_is_refused_with_a_remedy(tmp_path, changes, words):
    write_files(tmp_path / "raw", 1)
    with pytest.raises(GenwrightError, match=words):
        build(recipe(tmp_path / "raw", **changes), tmp_path / "c", workers=1)


def test_a_mix_of_other_sources_than_were_read_is_refused(tmp_path):
    write_files(tmp_path / "raw", 1)
    write_files(tmp_path / "more", 1)
    corpus, _ = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    both = [{"kind": "listed", "path": str(tmp_path / name)} for name in ("raw", "more")]
    edited = replace(corpus, recipe=recipe(None, sources=both))
    with pytest.raises(GenwrightError, match="sources raw, more, and what was read is raw; run ge"):
        remix(edited, workers=1)


def test_an_empty_source_is_refused(tmp_path):
    (tmp_path / "raw").mkdir()
    with pytest.raises(GenwrightError, match="the source raw holds no file that is read"):
        build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)


@needs("text")
def test_a_corpus_is_trained_on_as_its_mix_says(tmp_path):
    every = write_files(tmp_path / "raw", 8)
    corpus, counts = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    settings = {
        "data.path": str(corpus.folder),
        "data.cache": str(tmp_path / "cache"),
        "data.context": 16,
        "codec": "bytes",
        "model.depth": 1,
        "model.width": 16,
        "model.heads": 1,
        "training.steps": 1,
        "training.batch_size": 2,
        "training.precision": "fp32",
    }
    run = genwright.train("shakespeare", run=tmp_path / "run", quiet=True, **settings)
    dataset = run.dataset()
    for split in ("train", "held_out"):
        assert len(list(dataset.documents(split))) == counts.kept[split]
    source = dataset.stream(2, 0).sources(0, torch.arange(2))[0]
    assert ".selection" in source.file
    assert len(every) > counts.kept["train"]


@needs("text")
def test_a_corpus_that_holds_nothing_out_says_what_to_change(tmp_path):
    write_files(tmp_path / "raw", 2)
    own = recipe(tmp_path / "raw", mix={"held_out": 0.0})
    corpus, _ = build(own, tmp_path / "c", workers=1)
    settings = {"data.path": str(corpus.folder), "data.cache": str(tmp_path / "cache")}
    with pytest.raises(GenwrightError, match="nothing of the corpus is held out; change mix.held"):
        genwright.inspect("code", **{**settings, "data.source": "files", "codec": "bytes"})


def test_a_setting_in_the_wrong_place_is_named_with_the_right_one(tmp_path):
    words = "name: mine\nsources: [{kind: listed, path: x}]\nheld_out: 0.1\n"
    (tmp_path / "corpus.yaml").write_text(words)
    with pytest.raises(GenwrightError, match="held_out is not a setting") as raised:
        read_corpus_recipe(tmp_path / "corpus.yaml")
    assert "mix.held_out" in raised.value.remedy


def test_building_needs_no_torch():
    """To import torch takes longer than to build a corpus again that hardly changed."""
    code = "import genwright.api_data, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def test_a_recipe_that_is_changed_has_other_rules(tmp_path):
    own = recipe(tmp_path)
    assert own.rule_sets() is own.rule_sets()  # to make them may read a great many files
    filters = CorpusRecipe(name="x", sources=own.sources).filters
    assert [rules.name for rules in own.rule_sets()] == ["toy"]
    assert own.model_copy(update={"filters": filters}).rule_sets() == []
