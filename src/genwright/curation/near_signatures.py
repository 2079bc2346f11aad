"""Near copies, stage 1: of each shard of documents the keys of its bands, and who its documents
are; then the numbers of all documents.

    signatures-BANDSxROWS-VERSION/KEY/
        bands.*       runs of (key of a band, row)
        copies.*      runs of (the first 8 bytes of the content's SHA-256, row)
        identity      (rows, 3) uint64: place of the source in sources.json, the id as two numbers
        content       (rows, 4) uint64: SHA-256 of the content
        fingerprints  (rows,) uint64, of kinds of content that are compared by them
        known         (rows,) uint8, beside them: 0 where a document has none
        sources.json  the sources of the shard

They are of the shard alone: they stay when other shards come and go. A document has a number: its
row, after the rows of all shards before its own.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from genwright.core.corpus_content import ByShingles, Fingerprints
from genwright.core.files import json_text
from genwright.curation.minhash import EMPTY, VERSION, Bands, band_keys, signatures
from genwright.curation.near_kinds import alike_by, bytes_in, column_of, fingerprint_keys
from genwright.curation.store import batches_of
from genwright.data.sorted_runs import RunWriter, array_in, keep_heap, whole_folder
from genwright.data.workers import Work

BYTES = 1 << 19  # of text that is hashed at once, about: it stays in a processor's cache
AT_ONCE = 1 << 16  # documents that are copied at once
RUN = 1 << 18  # records of a run; never by the memory there is, for these files are the same always


FINGERPRINTS = "fingerprints"
KNOWN = "known"


def version_of(content: str) -> str:
    """Of what is kept of documents of a kind. content: "" for texts."""
    own = alike_by(content).version
    return str(VERSION) if own == 1 else f"{VERSION}.{own}"


def name_of(bands: Bands, content: str = "") -> str:
    """The folder of the signatures of these bands."""
    return f"signatures-{bands.bands}x{bands.rows}-{version_of(content)}"


def write_signatures(
    documents: str, folder: str, bands: int, rows: int, content: str = "", earlier: str = ""
) -> None:
    """Writes the folder of one shard. documents: its Parquet file. content: the kind of the corpus.
    earlier: a folder of the same shard for other bands, whose fingerprints are taken."""
    keep_heap()
    alike = alike_by(content)
    compared = column_of(content)
    with whole_folder(Path(folder)) as draft:
        by_band = RunWriter(draft, "bands", RUN)
        by_content = RunWriter(draft, "copies", RUN)
        sources: dict[str, int] = {}
        row = 0
        with open(draft / "identity", "wb") as identity, open(draft / "content", "wb") as digests:
            for batch in batches_of(Path(documents), ["id", "content", "source", compared]):
                places = [
                    sources.setdefault(name, len(sources))
                    for name in batch.column("source").to_pylist()
                ]
                ids = _numbers(batch.column("id"), 2)
                sums = _numbers(batch.column("content"), 4)
                np.column_stack([np.array(places, np.uint64), ids]).tofile(identity)
                sums.tofile(digests)
                by_content.add(sums[:, 0], np.arange(row, row + len(sums)))
                for contents in pieces(bytes_in(batch.column(compared))):
                    if isinstance(alike, ByShingles):
                        _add_keys(by_band, alike, contents, row, bands, rows)
                    else:
                        if earlier:
                            found = _fingerprints_in(Path(earlier), row, len(contents))
                        else:
                            found = alike.of(contents)
                        _add_fingerprints(by_band, draft, found, row, bands)
                    row += len(contents)
        by_band.close()
        by_content.close()
        (draft / "sources.json").write_text(json_text(list(sources)), encoding="utf-8")


def _add_keys(
    writer: RunWriter, alike: ByShingles, contents: list[bytes], row: int, bands: int, rows: int
) -> None:
    """The keys of some documents; none of those without words. row: of the first."""
    sketch = signatures(alike.of(contents), bands * rows)
    keys = band_keys(sketch, bands, rows)  # (documents, bands)
    has_words = np.flatnonzero(sketch[:, 0] != EMPTY)
    writer.add(keys[has_words].reshape(-1), np.repeat(row + has_words, bands))


def _fingerprints_in(folder: Path, row: int, count: int) -> Fingerprints:
    """Those of documents from a row on, which a folder holds."""
    part = slice(row, row + count)
    bits = np.array(array_in(folder / FINGERPRINTS)[part])
    known = np.array(array_in(folder / KNOWN, np.uint8)[part])
    return Fingerprints(bits, known.astype(bool))


def _add_fingerprints(
    writer: RunWriter, draft: Path, found: Fingerprints, row: int, bands: int
) -> None:
    """The fingerprints of some documents, and the keys of those that have one. row: of the
    first."""
    with open(draft / FINGERPRINTS, "ab") as file:
        found.bits.astype(np.uint64).tofile(file)
    with open(draft / KNOWN, "ab") as file:
        found.known.astype(np.uint8).tofile(file)
    keys = fingerprint_keys(found, bands)
    writer.add(keys.reshape(-1), np.repeat(row + np.flatnonzero(found.known), bands))


def pieces(column: pa.Array) -> Iterator[list[bytes]]:
    """Texts or data of documents, about BYTES of them at once."""
    offsets = np.frombuffer(column.buffers()[1], np.int64)
    ends = offsets[column.offset : column.offset + len(column) + 1]
    start = 0
    while start < len(column):
        stop = int(np.searchsorted(ends, ends[start] + BYTES, "right")) - 1
        stop = max(stop, start + 1)
        stop = min(stop, len(column))
        yield column[start:stop].to_pylist()
        start = stop


def _numbers(column: pa.Array, width: int) -> np.ndarray:
    """(rows, width) uint64 that compare as the bytes of fixed size of a column do."""
    size = 8 * width * len(column)
    start = 8 * width * column.offset
    raw = column.buffers()[1][start : start + size]
    return np.frombuffer(raw, ">u8").astype(np.uint64).reshape(-1, width)


def number_documents(shards: Sequence[Path], folder: Path) -> list[int]:
    """Writes `identity` and `content` of all documents, by number; of sources the place in the
    order in which they first occur. shards: their signatures. Returns the number at which each
    shard begins, and at last how many there are."""
    order: dict[str, int] = {}
    starts = [0]
    drafts = {name: folder / f"{name}.tmp" for name in ("identity", "content")}
    with open(drafts["identity"], "wb") as identity, open(drafts["content"], "wb") as content:
        for shard in shards:
            names = json.loads((shard / "sources.json").read_text(encoding="utf-8"))
            places = np.array([order.setdefault(name, len(order)) for name in names], np.uint64)
            own = array_in(shard / "identity", width=3)
            sums = array_in(shard / "content", width=4)
            for first in range(0, len(own), AT_ONCE):
                part = np.array(own[first : first + AT_ONCE])
                part[:, 0] = places[part[:, 0].astype(np.int64)]
                part.tofile(identity)
                np.array(sums[first : first + AT_ONCE]).tofile(content)
            starts.append(starts[-1] + len(own))
    for name, draft in drafts.items():
        draft.replace(folder / name)
    _join_fingerprints(shards, folder)
    return starts


def _join_fingerprints(shards: Sequence[Path], folder: Path) -> None:
    """Writes the fingerprints of all documents, by number, where there are any."""
    own = [shard / FINGERPRINTS for shard in shards if (shard / FINGERPRINTS).is_file()]
    if not own:
        return
    draft = folder / f"{FINGERPRINTS}.tmp"
    with open(draft, "wb") as file:
        for path in own:
            found = array_in(path)
            for first in range(0, len(found), AT_ONCE):
                np.array(found[first : first + AT_ONCE]).tofile(file)
    draft.replace(folder / FINGERPRINTS)


def _files(job: dict[str, Any]) -> list[str]:
    return [job["documents"]]


SIGN = Work(write_signatures, "sketching documents", _files)
