"""A mix decides again only of the shards for which something changed, and gives what a mix of
everything gives."""

import random

import pytest
from corpora import write_files
from test_build import bytes_of, recipe
from test_mix_copies import changed, text

from genwright.core.errors import GenwrightError
from genwright.curation import mix as mixing
from genwright.curation import store
from genwright.curation.build import build, open_corpus, remix
from genwright.curation.settings import Near
from genwright.data.selection import MIX


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Each raw file is a shard."""
    monkeypatch.setattr("genwright.curation.build.UNIT", 1)
    assert store.UNIT > 1


@pytest.fixture
def done(monkeypatch):
    """The steps that a mix does, as (step, shard)."""
    found = []

    def counting(work):
        def function(**job):
            found.append((work.label, job["key"]))
            return work.function(**job)

        return work._replace(function=function)

    for name in ("DECIDE", "DROP", "SELECT"):
        monkeypatch.setattr(mixing, name, counting(getattr(mixing, name)))
    return found


def shards_of(done):
    return {key for _, key in done}


def test_only_the_shard_that_changed_is_mixed_again(tmp_path, done):
    write_files(tmp_path / "raw", 6)
    own = recipe(tmp_path / "raw")
    first, _ = build(own, tmp_path / "c", workers=1)
    assert shards_of(done) == {shard.key for shard in first.shards}
    done.clear()
    (tmp_path / "raw" / "003.txt").write_text("another text of five words\n")
    second, counts = build(own, tmp_path / "c", workers=1)
    new = {shard.key for shard in second.shards} - {shard.key for shard in first.shards}
    assert len(new) == 1
    assert shards_of(done) == new
    fresh, again = build(own, tmp_path / "f", workers=1)
    assert again == counts
    assert bytes_of(second.folder / MIX) == bytes_of(fresh.folder / MIX)


def test_another_rule_has_every_shard_mixed_again(tmp_path, done):
    write_files(tmp_path / "raw", 4)
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    done.clear()
    rule = [{"attribute": "toy words", "at_most": 5}]
    corpus, _ = build(recipe(tmp_path / "raw", filters=rule), tmp_path / "c", workers=1)
    assert shards_of(done) == {shard.key for shard in corpus.shards}


def test_a_part_whose_file_is_gone_is_made_again(tmp_path, done):
    write_files(tmp_path / "raw", 4)
    own = recipe(tmp_path / "raw")
    corpus, _ = build(own, tmp_path / "c", workers=1)
    before = bytes_of(corpus.folder / MIX)
    lost = corpus.shards[1].key
    (corpus.folder / MIX / "list" / f"{lost}.parquet").unlink()
    done.clear()
    build(own, tmp_path / "c", workers=1)
    assert shards_of(done) == {lost}
    assert bytes_of(corpus.folder / MIX) == before


@pytest.mark.parametrize("name", ["sources.json", "mix/counts.json", "mix/shards.json"])
def test_a_damaged_file_is_named_with_a_remedy(tmp_path, name):
    write_files(tmp_path / "raw", 2)
    own = recipe(tmp_path / "raw")
    corpus, counts = build(own, tmp_path / "c", workers=1)
    (corpus.folder / name).write_text("{")
    with pytest.raises(GenwrightError, match=f"{name} is damaged.*; delete it, and build the corp"):
        remix(open_corpus(corpus.folder), workers=1)
    (corpus.folder / name).unlink()
    assert build(own, tmp_path / "c", workers=1)[1] == counts


GIVEN = {"mix": {"held_out": 0.0}, "deduplicate": Near(similarity=0.7)}


def write(folder, *texts):
    """One file of each text."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, words in enumerate(texts):
        (folder / f"{number}.txt").write_text(words + "\n")


def test_a_copy_comes_back_whose_shard_did_not_change(tmp_path, done):
    """What it resembles is dropped since its source has another licence."""
    one = text(1)
    write(tmp_path / "a", one)
    write(tmp_path / "b", changed(one, [30]), text(2))
    mix = {"held_out": 0.0, "weights": {"licence": {"closed": 0}}}

    def with_licence(licence):
        sources = [
            {"kind": "listed", "path": str(tmp_path / "a"), "licence": licence},
            {"kind": "listed", "path": str(tmp_path / "b")},
        ]
        return recipe(None, sources=sources, filters=[], **(GIVEN | {"mix": mix}))

    first, counts = build(with_licence("open"), tmp_path / "c", workers=1)
    assert counts.dropped == {"copies.near": 1}
    done.clear()
    second, counts = build(with_licence("closed"), tmp_path / "c", workers=1)
    assert counts.dropped == {"mix.weight": 1}
    unchanged = {shard.key for shard in first.shards} & {shard.key for shard in second.shards}
    assert len(shards_of(done)) == 2  # of three
    assert len(shards_of(done) & unchanged) == 1
    fresh, _ = build(with_licence("closed"), tmp_path / "f", workers=1)
    assert bytes_of(second.folder / MIX) == bytes_of(fresh.folder / MIX)


def test_an_equal_document_in_a_new_shard_matters_to_the_others(tmp_path):
    """Two equal documents stay in place of a longer one that a rule drops: the first of them."""
    dropped_from = set()
    for seed in range(8):
        folder = tmp_path / str(seed)
        long = text(seed)
        shorter = " ".join(long.split()[:55])
        own = recipe(folder / "raw", filters=[{"attribute": "toy words", "at_most": 58}], **GIVEN)
        write(folder / "raw", long, shorter)
        build(own, folder / "c", workers=1)
        write(folder / "raw", long, shorter, shorter)
        corpus, counts = build(own, folder / "c", workers=1)
        assert counts.dropped == {"copies.exact": 1, "own.toy words": 1}
        fresh, _ = build(own, folder / "f", workers=1)
        assert bytes_of(corpus.folder / MIX) == bytes_of(fresh.folder / MIX)
        for number, shard in enumerate(corpus.shards):
            listed = store.read_table(corpus.folder / MIX / "list" / f"{shard.key}.parquet")
            if "copies.exact" in listed["reason"].to_pylist():
                dropped_from.add(number)
    assert dropped_from == {1, 2}  # of the shard that was there, and of the new one


def test_with_a_budget_every_shard_depends_on_all(tmp_path):
    raw = tmp_path / "raw"
    write_files(raw, 6)
    mix = {"held_out": 0.0, "tokens": 300}
    own = recipe(raw, filters=[], deduplicate=None, mix=mix)
    _, before = build(own, tmp_path / "c", workers=1)
    for number in range(5):
        (raw / f"{number:03}.txt").write_text("few\n")
    corpus, counts = build(own, tmp_path / "c", workers=1)
    assert counts.dropped["mix.budget"] < before.dropped["mix.budget"] / 2
    fresh, again = build(own, tmp_path / "f", workers=1)
    assert counts == again
    assert bytes_of(corpus.folder / MIX) == bytes_of(fresh.folder / MIX)


def test_after_any_changes_a_mix_is_what_a_fresh_one_is(tmp_path):
    dice = random.Random(5)
    raw = tmp_path / "raw"
    raw.mkdir()
    own = recipe(raw, filters=[{"attribute": "toy words", "at_most": 58}], **GIVEN)

    def write_lines(number):
        lines = []
        for _ in range(dice.randrange(1, 5)):
            words = text(dice.randrange(5), dice.choice([55, 60]))
            lines.append(changed(words, dice.sample(range(50), dice.randrange(2))))
        (raw / f"{number}.txt").write_text("\n".join(lines) + "\n")

    for number in range(8):
        write_lines(number)
    seen = set()
    for step in range(6):
        corpus, counts = build(own, tmp_path / "c", workers=1)
        seen |= set(counts.dropped)
        fresh, again = build(own, tmp_path / f"fresh{step}", workers=1)
        assert counts == again
        assert bytes_of(corpus.folder / MIX) == bytes_of(fresh.folder / MIX)
        write_lines(dice.randrange(8))
        if step == 2:
            (raw / "7.txt").unlink()
    assert {"own.toy words", "copies.near", "copies.exact"} <= seen
