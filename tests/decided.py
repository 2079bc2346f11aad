"""What a mix decided, for tests of corpora of several kinds."""

import pyarrow.parquet as pq


def decisions(corpus):
    """Name of a file, and its place where it has one -> what the list says of the document."""
    found = {}
    for shard in corpus.shards:
        rows = pq.read_table(shard.documents, columns=["file", "place"]).to_pylist()
        listed = pq.read_table(corpus.folder / "mix" / "list" / f"{shard.key}.parquet").to_pylist()
        for row, decision in zip(rows, listed, strict=True):
            found[f"{row['file']} {row['place']}".strip()] = decision
    return found


def reasons(corpus):
    """The same names -> the reason, of documents that were dropped."""
    return {name: each["reason"] for name, each in decisions(corpus).items() if each["reason"]}
