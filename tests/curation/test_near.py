"""Near copies out of core: the same as by plain Python over every pair, whatever the workers, the
shards and the order of documents; and after being killed."""

import random

import pyarrow.parquet as pq
import pytest
from near_corpora import corpus, expected, write_shards

from genwright.core.errors import GenwrightError
from genwright.curation.clusters import stored, write_clusters
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
