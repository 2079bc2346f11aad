"""Copies in a mix: what is dropped resembles what stays, and no cluster is on two sides."""

import random

import pyarrow.parquet as pq
import pytest
from test_build import recipe

from genwright.curation.build import build
from genwright.curation.mix import counts_of
from genwright.curation.settings import Near
from genwright.data.selection import selected, selections

WORDS = [f"word{number}" for number in range(400)]


def text(seed, count=60):
    return " ".join(random.Random(seed).sample(WORDS, count))


def changed(given, places):
    """A text with some words, at these places, replaced."""
    words = given.split()
    for place in places:
        words[place] = f"other{place}"
    return " ".join(words)


def write(folder, *files):
    folder.mkdir(exist_ok=True)
    for number, texts in enumerate(files):
        (folder / f"{number}.txt").write_text("\n".join(texts) + "\n")


def mixed(tmp_path, **changes):
    given = {"filters": [], "mix": {"held_out": 0.0}, "deduplicate": Near(similarity=0.7)}
    corpus, counts = build(recipe(tmp_path / "raw", **(given | changes)), tmp_path / "c", workers=1)
    kept = {"train": [], "held_out": []}
    for path in selections(str(corpus.folder)):
        kept[path.parent.name] += [found for _, found in selected(path)]
    return corpus, counts, kept


def test_of_exact_and_near_copies_one_stays(tmp_path):
    one, two = text(1), text(2)
    write(tmp_path / "raw", [one, two, one], [changed(one, [30]), text(3)])
    _, counts, kept = mixed(tmp_path)
    assert counts.dropped == {"copies.exact": 1, "copies.near": 1}
    assert len(kept["train"]) == 3
    assert {two, text(3)} < set(kept["train"])


def test_without_deduplication_all_stay(tmp_path):
    one = text(1)
    write(tmp_path / "raw", [one, one], [changed(one, [30])])
    _, counts, kept = mixed(tmp_path, deduplicate=None)
    assert not counts.dropped
    assert len(kept["train"]) == 3


def test_a_copy_stays_where_a_rule_drops_what_it_resembles(tmp_path):
    """Whichever of two near copies would stay, the one that a rule drops makes room."""
    for seed in range(6):
        long = text(seed)
        shorter = " ".join(long.split()[:55])
        folder = tmp_path / str(seed)
        folder.mkdir()
        write(folder / "raw", [long], [shorter], [text(100 + seed)])
        rule = [{"attribute": "toy words", "at_most": 58}]
        _, counts, kept = mixed(folder, filters=rule)
        assert counts.dropped == {"own.toy words": 2}
        assert kept["train"] == [shorter]


def test_of_equal_copies_that_stay_so_only_one_does(tmp_path):
    for seed in range(6):
        long = text(seed)
        shorter = " ".join(long.split()[:55])
        folder = tmp_path / str(seed)
        folder.mkdir()
        write(folder / "raw", [shorter, long], [shorter])
        rule = [{"attribute": "toy words", "at_most": 58}]
        _, counts, kept = mixed(folder, filters=rule)
        assert counts.dropped == {"copies.exact": 1, "own.toy words": 1}
        assert kept["train"] == [shorter]


ALIKE = 0.934  # of texts of 150 words of which one is another: 141 of 151 runs of five words


def similar(number):
    """Two texts that are nearly near copies, by the settings below."""
    own = text(number, 150)
    return own, changed(own, [20])


GIVEN = {"deduplicate": Near(similarity=0.94, recall=0.99), "mix": {"held_out": 0.4}}


def pairs_found(corpus):
    """The beginnings of texts of which both were found to be similar."""
    table = pq.read_table(corpus.folder / "near" / "pairs.parquet")
    assert all(abs(value - ALIKE) < 0.001 for value in table["similarity"].to_pylist())
    ids = {each for name in ("later_id", "earlier_id") for each in table[name].to_pylist()}
    found = set()
    for shard in corpus.shards:
        for row in pq.read_table(shard.documents, columns=["id", "text"]).to_pylist():
            if row["id"] in ids:
                found.add(row["text"][:60])
    return found


def test_similar_documents_that_stay_are_on_one_side(tmp_path):
    write(tmp_path / "raw", *(similar(number) for number in range(40)))
    corpus, counts, kept = mixed(tmp_path, **GIVEN)
    assert counts.dropped == {}
    found = pairs_found(corpus)
    assert len(found) > 35
    begins = {split: {each[:60] for each in texts} & found for split, texts in kept.items()}
    assert len(begins["train"]) > 5 and len(begins["held_out"]) > 5
    assert not begins["train"] & begins["held_out"]
    assert counts.crossing == 0


def test_a_similar_document_joins_the_side_that_its_cluster_had(tmp_path):
    write(tmp_path / "raw", *([similar(number)[0]] for number in range(40)))
    _, _, before = mixed(tmp_path, **GIVEN)
    files = [[text] for number in range(40) for text in similar(number)]
    write(tmp_path / "raw", *files[::2], *files[1::2])
    corpus, counts, after = mixed(tmp_path, **GIVEN)
    found = pairs_found(corpus)
    for split in ("train", "held_out"):
        assert set(before[split]) <= set(after[split])
        joined = {each[:60] for each in after[split]} & found
        assert joined == {each[:60] for each in before[split]} & found
    assert counts.crossing == 0


def test_counts_are_kept(tmp_path):
    one = text(1)
    write(tmp_path / "raw", [one, one, text(2)])
    corpus, counts, _ = mixed(tmp_path)
    stored = counts_of(corpus.folder)
    assert stored["dropped"] == counts.dropped == {"copies.exact": 1}
    shard = corpus.shards[0]
    listed = pq.read_table(corpus.folder / "mix" / "list" / f"{shard.key}.parquet").to_pylist()
    assert [row["times"] for row in listed].count(1) == 2
    assert pytest.approx(counts.repeated_bytes) == len(one) + len(text(2))


def test_a_mix_that_was_killed_while_it_took_its_place_loses_no_side(tmp_path):
    pairs = [[text(seed), changed(text(seed), [30])] for seed in range(12)]
    write(tmp_path / "raw", *pairs)
    _, _, first = mixed(tmp_path, mix={"held_out": 0.5})
    assert first["train"] and first["held_out"]
    (tmp_path / "c" / "mix").rename(tmp_path / "c" / "mix.old")  # and the new one is not there
    _, _, second = mixed(tmp_path, mix={"held_out": 0.5, "seed": 5})
    assert second == first
    assert not (tmp_path / "c" / "mix.old").exists()
