"""Near copies out of core: the same as by plain Python over every pair, whatever the workers, the
shards and the order of documents; and after being killed."""

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from near_corpora import Made, corpus, expected, write_shard, write_shards

import genwright.curation.near_verify
from genwright.curation.near import near_copies
from genwright.curation.settings import Near

CERTAIN = Near(similarity=0.5, recall=0.99999, memory=1e9)  # finds every pair, nearly surely


def rows_of(path):
    return pq.read_table(path).to_pylist()


def decided(path):
    """id -> (kept id, similarity, kind) of documents that have copies."""
    rows = rows_of(path)
    dropped_for = {row["kept"] for row in rows if row["kind"] != "kept"}
    return {
        row["id"]: (row["kept"], row["similarity"], row["kind"])
        for row in rows
        if row["kind"] != "kept" or row["id"] in dropped_for
    }


@pytest.mark.parametrize("seed", range(4))
def test_the_same_as_by_every_pair(tmp_path, seed):
    documents = corpus(seed)
    shards = write_shards(tmp_path / "documents", documents, 17)
    found = near_copies(shards, tmp_path / "near", CERTAIN)
    sources = "".join(dict.fromkeys(made.source for made in documents))
    result = expected(documents, sources, 0.5)
    assert decided(found) == result
    assert {kind for _, _, kind in result.values()} == {"kept", "near", "exact"}
    for row in rows_of(found):
        shard = next(path for path in shards if path.stem == row["shard"])
        assert pq.read_table(shard, columns=["id"])["id"][row["row"]].as_py() == row["id"]


def contents_of(folder):
    """Name -> bytes of all files that stay."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files[str(path.relative_to(folder))] = path.read_bytes()
    return files


def by_source(documents):
    return sorted(documents, key=lambda made: made.source)


def test_workers_change_no_byte(tmp_path, monkeypatch):
    """With two processes for every stage."""
    shards = write_shards(tmp_path / "documents", corpus(7), 20)
    near_copies(shards, tmp_path / "one", CERTAIN)
    monkeypatch.setattr("genwright.curation.near.SMALL", 0)
    near_copies(shards, tmp_path / "two", CERTAIN, workers=2)
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


def test_memory_changes_no_result(tmp_path, monkeypatch):
    """With jobs that have room for a few records only."""
    shards = write_shards(tmp_path / "documents", corpus(7), 11)
    near_copies(shards, tmp_path / "one", CERTAIN)
    monkeypatch.setattr("genwright.curation.near.LEAST", 30_000)
    near_copies(shards, tmp_path / "two", CERTAIN.model_copy(update={"memory": 1e6}))
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


def test_runs_change_no_result(tmp_path, monkeypatch):
    shards = write_shards(tmp_path / "documents", corpus(7), 11)
    near_copies(shards, tmp_path / "one", CERTAIN)
    monkeypatch.setattr("genwright.curation.near_signatures.RUN", 100)
    near_copies(shards, tmp_path / "two", CERTAIN)
    one = contents_of(tmp_path / "one")
    two = contents_of(tmp_path / "two")
    assert any(one[name] != two[name] for name in one if name.endswith("bands.ends"))
    for name in ("clusters.parquet", "pairs.parquet", "near.json"):
        assert one[name] == two[name]


def test_shards_and_order_change_no_decision(tmp_path):
    documents = by_source(corpus(3))
    first = near_copies(write_shards(tmp_path / "a", documents, 17), tmp_path / "near-a", CERTAIN)
    random.Random(0).shuffle(documents)
    shards = write_shards(tmp_path / "b", by_source(documents), 5)
    second = near_copies(shards, tmp_path / "near-b", CERTAIN)
    assert decided(first) == decided(second)
    clusters = [{row["id"]: row["cluster"] for row in rows_of(path)} for path in (first, second)]
    assert clusters[0] == clusters[1]


@pytest.mark.parametrize("change", ["added", "removed", "changed", "moved"])
def test_next_build_is_as_a_fresh_one(tmp_path, change):
    documents = by_source(corpus(5))
    shards = write_shards(tmp_path / "documents", documents, 9)
    folder = tmp_path / "near"
    if change == "added":
        near_copies(shards[:2] + shards[3:], folder, CERTAIN)
    elif change == "removed":
        near_copies(shards, folder, CERTAIN)
        shards = shards[:2] + shards[3:]
    elif change == "changed":
        near_copies(shards, folder, CERTAIN)
        others = write_shards(tmp_path / "others", by_source(corpus(6)), 9)
        shards = [*shards[:2], others[2], *shards[3:]]
    else:
        near_copies(shards[::-1], folder, CERTAIN)
    near_copies(shards, folder, CERTAIN)
    near_copies(shards, tmp_path / "fresh", CERTAIN)
    assert contents_of(folder) == contents_of(tmp_path / "fresh")


def test_one_more_shard_reads_no_text_that_is_known(tmp_path, monkeypatch):
    shards = write_shards(tmp_path / "documents", corpus(5), 9)
    near_copies(shards[:-1], tmp_path / "near", CERTAIN)
    read = []

    def batches_of(path, columns):
        read.append(path)
        return original(path, columns)

    original = genwright.curation.near_verify.batches_of
    monkeypatch.setattr("genwright.curation.near_verify.batches_of", batches_of)
    unrelated = [Made("z", f"{number} words of its own that resemble none") for number in range(5)]
    more = write_shards(tmp_path / "more", unrelated, 5)
    near_copies([*shards[:-1], *more], tmp_path / "near", CERTAIN)
    assert set(read) <= set(more)


def test_same_again_does_nothing(tmp_path, monkeypatch):
    shards = write_shards(tmp_path / "documents", corpus(5), 9)
    found = near_copies(shards, tmp_path / "near", CERTAIN)
    stamp = found.stat().st_mtime_ns
    monkeypatch.setattr("genwright.curation.near.number_documents", None)
    assert near_copies(shards, tmp_path / "near", CERTAIN).stat().st_mtime_ns == stamp


class Stopped(BaseException):
    pass


def test_stopped_at_every_step_and_gone_on(tmp_path, monkeypatch):
    """Stops before each rename of a file or folder in turn, and begins again."""
    shards = write_shards(tmp_path / "documents", corpus(8, families=4), 15)
    near_copies(shards, tmp_path / "fresh", CERTAIN)
    left = 0

    def counted(original):
        def move(self, target):
            nonlocal left
            if left == 0:
                raise Stopped
            left -= 1
            return original(self, target)

        return move

    monkeypatch.setattr(Path, "rename", counted(Path.rename))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    stops = 0
    while True:
        left = stops  # one step further each time, at least
        try:
            near_copies(shards, tmp_path / "near", CERTAIN)
            break
        except Stopped:
            stops += 1
            assert stops < 500
    assert stops > 5
    assert contents_of(tmp_path / "near") == contents_of(tmp_path / "fresh")


def test_shards_without_documents_and_no_shards(tmp_path):
    documents = by_source(corpus(5))
    shards = write_shards(tmp_path / "documents", documents, 30)
    whole = decided(near_copies(shards, tmp_path / "whole", CERTAIN))
    empty = write_shard(tmp_path / "documents" / "empty.parquet", [])
    assert decided(near_copies([empty, *shards], tmp_path / "near", CERTAIN)) == whole
    assert decided(near_copies([empty], tmp_path / "near", CERTAIN)) == {}
    assert decided(near_copies([], tmp_path / "near", CERTAIN)) == {}
    left = {path.name for path in (tmp_path / "near").iterdir()}
    assert not [name for name in left if name.startswith(("work", "clusters-"))]
