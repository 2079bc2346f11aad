"""Near copies by fingerprints: the same as by every pair, whatever the workers and the memory."""

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from near_corpora import Made
from test_near import contents_of, decided

from genwright.core.corpus_content import (
    BITS,
    ByFingerprints,
    CorpusContent,
    Fingerprints,
    add_corpus_content,
)
from genwright.core.errors import GenwrightError
from genwright.curation.near import clusters_at, near_copies
from genwright.curation.near_kinds import distances, fingerprint_keys, keys_for
from genwright.curation.settings import CorpusRecipe, Near
from genwright.curation.store import SCHEMA

KIND = "toy fingerprints"
NONE = b"none"  # data of a document without a fingerprint


def bits_of(documents):
    """The first 8 bytes are the fingerprint."""
    known = np.array([data != NONE for data in documents], bool)
    bits = [int.from_bytes(data[:8], "big") for data in documents]
    return Fingerprints(np.array(bits, np.uint64) * known, known)


@pytest.fixture(autouse=True)
def kind():
    near = ByFingerprints(bits_of, "their bits differ")
    add_corpus_content(
        CorpusContent(KIND, "thing", bool, lambda name, data: iter(()), 9, near, repr, repr)
    )


def fingerprints(seed, families=25):
    """Numbers of 64 bits, of which each differs from the one before in 0 to 9 bits: chains."""
    rng = random.Random(seed)
    found = []
    for _ in range(families):
        bits = rng.getrandbits(BITS)
        for _ in range(rng.randint(1, 8)):
            found.append(bits)
            for place in rng.sample(range(BITS), rng.randint(0, 9)):
                bits ^= 1 << place
    return found


def documents(seed):
    """(source, data), shuffled; some without a fingerprint, some equal."""
    rng = random.Random(seed)
    made = []
    for number, bits in enumerate(fingerprints(seed)):
        data = bits.to_bytes(8, "big") + bytes([number % 3])
        made.append((rng.choice("ab"), data))
        if rng.random() < 0.1:
            made.append(("b", data))
    made += [("a", NONE), ("b", NONE)]
    made = list(dict.fromkeys(made))
    rng.shuffle(made)
    return made


def write_shards(folder, made, size):
    folder.mkdir(parents=True)
    paths = []
    for start in range(0, len(made), size):
        rows = []
        for source, data in made[start : start + size]:
            as_text = Made(source, data.hex())
            row = dict.fromkeys(SCHEMA.names, "") | {"id": as_text.id, "content": as_text.content}
            rows.append(row | {"source": source, "bytes": len(data), "data": data})
        path = folder / f"{start:032}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path, row_group_size=5)
        paths.append(path)
    return paths


def differing(one, other):
    if NONE in (one, other):
        return BITS
    return (int.from_bytes(one[:8], "big") ^ int.from_bytes(other[:8], "big")).bit_count()


def by_every_pair(made, distance):
    """id -> (kept id, similarity, kind) of all that have copies or are one."""
    sources = "".join(dict.fromkeys(source for source, _ in made))
    id_of = {each: Made(each[0], each[1].hex()).id for each in made}
    order = sorted(made, key=lambda each: (sources.index(each[0]), id_of[each]))
    kept, first_of, result = [], {}, {}
    for each in order:
        if each[1] in first_of:
            continue
        first_of[each[1]] = each
        best = min(kept, key=lambda other: differing(other[1], each[1]), default=None)
        if best and differing(best[1], each[1]) <= distance:
            similarity = 1 - differing(best[1], each[1]) / BITS
            result[id_of[each]] = (id_of[best], similarity, "near")
        else:
            kept.append(each)
    for each in order:
        first = first_of[each[1]]
        if first != each:
            result[id_of[each]] = result.get(id_of[first], (id_of[first], 1.0, "exact"))
    for each in kept:
        if any(value[0] == id_of[each] for value in result.values()):
            result[id_of[each]] = (id_of[each], 1.0, "kept")
    return result


@pytest.mark.parametrize("distance", [0, 4, 6, 9])
def test_the_same_as_by_every_pair(tmp_path, distance):
    """Recall 1 and precision 1; chains drop nothing; the source that comes first stays."""
    made = documents(distance)
    shards = write_shards(tmp_path / "documents", made, 11)
    near = Near(similarity=1 - distance / BITS)
    found = near_copies(shards, tmp_path / "near", near, content=KIND)
    result = by_every_pair(made, distance)
    assert decided(found) == result
    assert {kind for _, _, kind in result.values()} == {"kept", "near", "exact"}


def test_another_similarity_is_decided_from_what_is_stored(tmp_path):
    made = documents(2)
    shards = write_shards(tmp_path / "documents", made, 50)
    near_copies(shards, tmp_path / "near", Near(similarity=1 - 6 / BITS), content=KIND)
    path, counts = clusters_at(tmp_path / "near", 1 - 8 / BITS, tmp_path / "other.parquet")
    assert decided(path) == by_every_pair(made, 8)
    assert counts.expected == 1
    with pytest.raises(GenwrightError, match="pairs are stored from"):
        clusters_at(tmp_path / "near", 1 - 10 / BITS, tmp_path / "other.parquet")


def test_workers_and_memory_change_no_byte(tmp_path, monkeypatch):
    shards = write_shards(tmp_path / "documents", documents(7), 20)
    near = Near(similarity=1 - 6 / BITS)
    near_copies(shards, tmp_path / "one", near, content=KIND)
    monkeypatch.setattr("genwright.curation.near.LEAST", 30_000)
    near_copies(shards, tmp_path / "two", near.model_copy(update={"memory": 1e6}), content=KIND)
    assert contents_of(tmp_path / "one") == contents_of(tmp_path / "two")


def test_many_equal_fingerprints_make_few_pairs(tmp_path):
    """Each is paired with the first alone: pairs grow with the documents, not with their square."""
    made = [("a", bytes(8) + number.to_bytes(2, "big")) for number in range(400)]
    shards = write_shards(tmp_path / "documents", made, 400)
    found = near_copies(shards, tmp_path / "near", Near(similarity=1 - 6 / BITS), content=KIND)
    kinds = [kind for _, _, kind in decided(found).values()]
    assert kinds.count("near") == 399
    assert len(pq.read_table(tmp_path / "near" / "pairs.parquet")) == 399


def test_any_two_within_the_distance_have_a_key_in_common():
    rng = random.Random(3)
    for distance in (0, 1, 6, 8, 16):
        bands = keys_for(1 - distance / BITS)
        for _ in range(50):
            one = rng.getrandbits(BITS)
            other = one
            for place in rng.sample(range(BITS), distance):
                other ^= 1 << place
            both = np.array([one, other], np.uint64)
            keys = fingerprint_keys(Fingerprints(both, np.ones(2, bool)), bands.bands)
            assert (keys[0] == keys[1]).any()


def test_distances_count_bits():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 2**64, (2, 200), np.uint64)
    expected = [(int(a) ^ int(b)).bit_count() for a, b in zip(one, other, strict=True)]
    assert distances(one, other).tolist() == expected
    assert distances(np.array([2**64 - 1], np.uint64), np.zeros(1, np.uint64)).tolist() == [64]


def recipe(**near):
    return CorpusRecipe(
        name="x", kind=KIND, sources=[{"kind": "files", "path": "x"}], deduplicate=near
    )


def test_a_distance_is_a_similarity():
    assert recipe().deduplicate.similarity == 1 - 4 / BITS
    assert recipe(distance=3).deduplicate.similarity == 1 - 3 / BITS
    assert recipe(similarity=0.95).deduplicate.similarity == 0.95


@pytest.mark.parametrize(
    "near", [{"distance": 3, "similarity": 0.9}, {"distance": 40}, {"similarity": 0.5}]
)
def test_what_no_search_reaches_is_refused(near):
    with pytest.raises(GenwrightError, match="deduplicate"):
        recipe(**near)


def test_a_source_of_texts_is_refused():
    with pytest.raises(GenwrightError, match="gives no toy fingerprints"):
        CorpusRecipe(name="x", kind=KIND, sources=[{"kind": "html", "path": "x"}])


def test_an_unknown_kind_is_refused():
    with pytest.raises(GenwrightError, match="kind"):
        CorpusRecipe(name="x", kind="imagse", sources=[{"kind": "files", "path": "x"}])
