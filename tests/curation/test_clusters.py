"""Which documents stay, at any similarity, by plain Python; chains; clusters that are too long."""

import itertools
import math
import random

import numpy as np
import pyarrow.parquet as pq
import pytest
from near_corpora import Made, corpus, expected, write_shards
from test_near import CERTAIN, by_source, decided

from genwright.core.errors import GenwrightError
from genwright.curation import clusters, near_pairs
from genwright.curation.clusters import recall_between, stored, write_clusters
from genwright.curation.near import clusters_at, near_copies
from genwright.curation.near_pairs import pairs_of
from genwright.curation.settings import Near


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    documents = by_source(corpus(11, families=25))
    near_copies(write_shards(folder / "documents", documents, 13), folder / "near", CERTAIN)
    return folder / "near", documents


@pytest.mark.parametrize("similarity", [0.45, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("limit", [1, 7, 10**6])
def test_another_similarity_is_as_by_every_pair(tmp_path, searched, similarity, limit):
    """Also where a few edges alone fit in memory."""
    folder, documents = searched
    path = tmp_path / "clusters.parquet"
    counts = write_clusters(stored(folder), similarity, path, limit * clusters.EDGE)
    result = expected(documents, "abc", similarity)
    assert decided(path) == result
    kinds = [kind for _, _, kind in result.values()]
    assert (counts.exact, counts.near) == (kinds.count("exact"), kinds.count("near"))
    assert counts.documents == len(documents)


def test_similarity_below_what_is_stored_is_refused(tmp_path, searched):
    with pytest.raises(GenwrightError, match="stored from a similarity of 0.4"):
        clusters_at(searched[0], 0.39, tmp_path / "clusters.parquet")


def test_a_folder_without_a_search_is_refused(tmp_path):
    with pytest.raises(GenwrightError, match="holds no near copies"):
        stored(tmp_path)


def test_clusters_are_what_pairs_join(searched):
    """Of documents that stay and of copies, by plain Python."""
    folder, _ = searched
    rows = pq.read_table(folder / "clusters.parquet").to_pylist()
    group = {row["id"]: {row["id"]} for row in rows}
    joined = [(row["id"], row["kept"]) for row in rows]
    pairs = pq.read_table(folder / "pairs.parquet").to_pylist()
    joined += [(row["later_id"], row["earlier_id"]) for row in pairs]
    for one, other in joined:
        both = group[one] | group[other]
        for each in both:
            group[each] = both
    for row in rows:
        assert row["cluster"] == min(int.from_bytes(each[:8], "big") for each in group[row["id"]])


def chain(length, step=3, words=40):
    """Documents of which each resembles only the ones near it."""
    rng = random.Random(0)
    text = [f"w{number}" for number in range(words + step * length)]
    rng.shuffle(text)
    return [Made("a", " ".join(text[step * at : step * at + words])) for at in range(length)]


def test_a_chain_drops_nothing_by_itself(tmp_path):
    """Every dropped document resembles the one that it is dropped for."""
    documents = chain(40)
    found = near_copies(write_shards(tmp_path / "d", documents, 9), tmp_path / "near", CERTAIN)
    result = decided(found)
    assert result == expected(documents, "a", 0.5)
    assert all(similarity >= 0.5 for _, similarity, _ in result.values())
    rows = pq.read_table(found).to_pylist()
    assert len({row["kept"] for row in rows}) > 5
    assert len({row["cluster"] for row in rows}) == 1  # but a split does not cut it


def test_a_cluster_that_is_too_long_is_cut_at_what_is_kept(tmp_path, monkeypatch):
    documents = chain(40)
    shards = write_shards(tmp_path / "d", documents, 9)
    whole = near_copies(shards, tmp_path / "near", CERTAIN)
    monkeypatch.setattr(clusters, "CAP", 20)
    cut = tmp_path / "cut.parquet"
    assert write_clusters(stored(tmp_path / "near"), 0.5, cut).cut == 1
    assert decided(cut) == decided(whole)
    for row in pq.read_table(cut).to_pylist():
        assert row["cluster"] == int.from_bytes(row["kept"][:8], "big")


def test_pairs_of_groups_are_all_pairs_of_each():
    rng = random.Random(2)
    sizes = [rng.randint(1, 6) for _ in range(30)]
    keys = np.repeat(np.arange(30, dtype=np.uint64) << np.uint64(59), sizes)
    documents = np.random.default_rng(0).permutation(len(keys)).astype(np.uint64)
    plain = set()
    for key in range(30):
        own = documents[keys == np.uint64(key << 59)].tolist()
        plain |= {(later, earlier) for earlier, later in itertools.combinations(own, 2)}
    for limit in (1, 5, 1000):
        found = list(pairs_of(keys, documents, limit))
        later, earlier, half = (np.concatenate(each) for each in zip(*found, strict=True))
        assert len(later) == len(plain)
        assert set(zip(later.tolist(), earlier.tolist(), strict=True)) == plain
        key_of = dict(zip(documents.tolist(), keys.tolist(), strict=True))
        assert half.tolist() == [key_of[each] >= 1 << 63 for each in later.tolist()]


def test_a_large_group_is_compared_with_its_first(monkeypatch):
    monkeypatch.setattr(near_pairs, "GROUP", 3)
    documents = np.arange(50, dtype=np.uint64)
    found = list(pairs_of(np.zeros(50, np.uint64), documents, 10))
    later, earlier, _ = (np.concatenate(each) for each in zip(*found, strict=True))
    assert len(later) == 1 + 2 + 47 * 3
    assert (earlier < np.minimum(later, 3)).all()


def test_recall_between_two_searches():
    assert recall_between(80, 60, 48) == pytest.approx(1 - 0.2 * 0.4)
    assert recall_between(50, 50, 50) == 1
    assert math.isnan(recall_between(19, 19, 19))


def test_measured_recall_is_near_the_expected(tmp_path):
    """Of 1,500 pairs of similarity .5 or a little more, with bands that find about 80%."""
    rng = random.Random(4)
    documents = []
    for number in range(1500):
        shared = [f"s{number}-{at}" for at in range(44)]
        # 40 shingles in common, 19 of each alone: 40 / 78
        for side in ("x", "y"):
            own = [f"{side}{number}-{at}-{rng.random()}" for at in range(19)]
            documents.append(Made("a", " ".join([*shared, *own])))
    settings = Near(similarity=0.5, recall=0.8)
    shards = write_shards(tmp_path / "d", documents, 1000)
    near_copies(shards, tmp_path / "near", settings)
    counts = write_clusters(stored(tmp_path / "near"), 0.5, tmp_path / "c.parquet")
    assert counts.expected >= 0.8
    assert counts.measured == pytest.approx(counts.near / 1500, abs=0.03)
