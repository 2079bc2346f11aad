"""Near copies of a corpus of any size, in memory that is given: from shards of documents to
clusters.parquet.

    NEAR/signatures-*/KEY/     keys of bands of a shard (near_signatures.py); they stay
         verified-*/KEY        true similarities of its pairs (near_verify.py); they stay
         exchange-*/           what jobs hand on (near_pairs.py); gone at the end
         identity, copies      of all documents, by number: order and id; what it is a copy of
         pairs.parquet         pairs from a similarity a little below what was asked for
         near.json             what was asked for and found; written last
         clusters.parquet      which documents stay and which are copies (clusters.py)

Each job writes one folder or file, whole or not at all, and is done only where that is not there:
work that was stopped goes on. What a shard costs is paid once; when one is added, what is done
again is to sort all keys, and to compare the pairs that are new.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genwright.core.files import flush, json_text, read_json, write_whole
from genwright.curation.clusters import PAIRS, ROWS, Stored, id_column, stored, write_clusters
from genwright.curation.minhash import VERSION, Bands, bands_and_rows, expected_recall
from genwright.curation.near_pairs import (
    CANDIDATES,
    COPIES,
    Exchange,
    ranges,
    write_copies,
)
from genwright.curation.near_signatures import SIGN, folder_of, number_documents
from genwright.curation.near_verify import FOUND, SETS, VERIFY, WANTED, mark_needed
from genwright.curation.runs import array_in
from genwright.curation.settings import Near
from genwright.data.cache import digest_of
from genwright.data.workers import Work, parallel

log = logging.getLogger(__name__)
PERMUTATIONS = 126  # numbers of a sketch, at most
PROCESS = 100e6  # bytes that a process takes before it works
LEAST = 16e6  # bytes that a job is given where the memory is less than that
SMALL = 64 << 20  # bytes: less work is done in this process, for others take longer to start
BOOT = Path("/proc/sys/kernel/random/boot_id")
Spread = Callable[[Work, Sequence[dict[str, Any]]], Iterable[tuple[int, Any]]]


def chosen_bands(settings: Near) -> Bands:
    """The bands for a similarity and a recall. Raises GenwrightError where none reach it."""
    return bands_and_rows(settings.similarity, settings.recall, PERMUTATIONS)


def curve(bands: Bands) -> list[tuple[float, float]]:
    """(similarity, share of the pairs of it that are found), from .5 to 1."""
    points = []
    for percent in range(50, 101, 5):
        similarity = percent / 100
        points.append((similarity, expected_recall(similarity, bands.bands, bands.rows)))
    return points


def near_copies(
    shards: Sequence[Path],
    folder: Path,
    settings: Near,
    workers: int = 1,
    spread: Spread | None = None,
) -> Path:
    """Finds exact and near copies, and returns clusters.parquet (`clusters.CLUSTERS`).

    shards: Parquet files of documents (`store.SCHEMA`), named by a digest of all that decides them,
    those of the source whose documents stay first; folder: for all files of this search; workers:
    processes, which share settings.memory; spread: what runs jobs, by default `parallel`. Which
    documents are copies of which depends on neither. Raises GenwrightError."""
    bands = chosen_bands(settings)
    log.info("%d bands of %d rows: %s", bands.bands, bands.rows, _curve_text(bands))
    memory = max(settings.memory / max(workers, 1) - PROCESS, LEAST)
    key = _key_of(shards, settings, bands)
    path = folder / "clusters.parquet"
    if path.is_file() and _finished(folder) == key:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "near.json").unlink(missing_ok=True)
    jobs = _Jobs(workers, spread, sum(shard.stat().st_size for shard in shards))
    signed = _sign(shards, folder, bands, jobs)
    exchange = _exchange(shards, signed, folder, key, memory)
    _find_copies(exchange, jobs)
    _find_candidates(exchange, bands, jobs)
    names = [shard.stem for shard in shards]
    found = Stored(folder, names, exchange.starts, settings.similarity, bands.bands, bands.rows)
    _verify(exchange, found.floor, jobs)
    _write_pairs(exchange, folder / "pairs.parquet")
    for name in ("identity", "copies"):
        shutil.copyfile(exchange.folder / name, folder / f"{name}.tmp")
        (folder / f"{name}.tmp").replace(folder / name)
    counts = write_clusters(found, settings.similarity, path, memory)
    _delete_others(folder, signed, exchange)
    values = found._asdict() | {"key": key, "counts": counts._asdict(), "curve": curve(bands)}
    del values["folder"]
    write_whole(folder / "near.json", json_text(values, indent=1))
    return path


def clusters_at(folder: Path, similarity: float, path: Path) -> tuple[Path, Any]:
    """Clusters at another similarity, from what a search left in its folder: nothing is computed of
    documents. Raises GenwrightError for a similarity below those that are stored."""
    return path, write_clusters(stored(folder), similarity, path)


def _key_of(shards: Sequence[Path], settings: Near, bands: Bands) -> str:
    """A digest of all that decides the result."""
    keys = [shard.stem for shard in shards]
    return digest_of(VERSION, keys, settings.similarity, bands.bands, bands.rows)[:32]


def _finished(folder: Path) -> str:
    """The key of the search that came to its end in a folder."""
    path = folder / "near.json"
    if not path.is_file():
        return ""
    values = read_json(path.read_text(encoding="utf-8"), path, f"delete {folder}")
    return str(values["key"])


class _Jobs:
    """Runs the jobs of a stage. size: bytes of all documents: few of them are not worth the start
    of other processes."""

    def __init__(self, workers: int, spread: Spread | None, size: int):
        self.workers = workers
        self.spread = spread
        self.size = size

    def run(self, work: Work, jobs: Sequence[dict[str, Any]], size: float) -> None:
        """Does all jobs. size: bytes that they read, about."""
        if not jobs:
            return
        if size < SMALL or (self.spread is None and self.workers <= 1):
            results = parallel(work, jobs, 1)
        elif self.spread is not None:
            results = self.spread(work, jobs)
        else:
            results = parallel(work, jobs, self.workers)
        for _ in results:
            pass


def _sign(shards: Sequence[Path], folder: Path, bands: Bands, run: _Jobs) -> list[Path]:
    """The folders of signatures, of which those that are not there are made."""
    within = folder_of(folder, bands)
    signed = [within / shard.stem for shard in shards]
    jobs = []
    size = 0
    for shard, own in zip(shards, signed, strict=True):
        if own.is_dir():
            continue
        size += shard.stat().st_size
        jobs.append(
            {
                "documents": str(shard),
                "folder": str(own),
                "bands": bands.bands,
                "rows": bands.rows,
            }
        )
    run.run(SIGN, jobs, size * 4)  # their text is compressed
    return signed


def _exchange(
    shards: Sequence[Path], signed: Sequence[Path], folder: Path, key: str, memory: float
) -> Exchange:
    """The folder for what jobs hand on. One of another search, or from before the machine last
    started, is not trusted and goes."""
    boot = ""
    if BOOT.is_file():
        boot = BOOT.read_text(encoding="ascii").strip()
    name = f"exchange-{digest_of(key, memory, boot)[:16]}"
    for other in folder.glob("exchange-*"):
        if other.name != name:
            shutil.rmtree(other, ignore_errors=True)
    own = folder / name
    own.mkdir(exist_ok=True)
    starts = number_documents(signed, own)
    verified = [folder / f"verified-{VERSION}" / shard.stem for shard in shards]
    exchange = Exchange(own, starts, list(signed), list(shards), verified, memory)
    exchange.write()
    return exchange


def _by_ranges(exchange: Exchange, name: str, records: int) -> tuple[list[dict[str, Any]], int]:
    """The jobs of ranges that are not done yet, and how many ranges there are."""
    jobs = []
    bounds = ranges(records, exchange.memory)
    for number, (low, high) in enumerate(bounds):
        if not (exchange.folder / name / str(number)).is_dir():
            job = {"folder": str(exchange.folder), "number": number, "low": low, "high": high}
            jobs.append(job)
    return jobs, len(bounds)


def _find_copies(exchange: Exchange, run: _Jobs) -> None:
    records = exchange.starts[-1]
    jobs, count = _by_ranges(exchange, "copies-found", records)
    run.run(COPIES, jobs, records * 8)
    write_copies(exchange, [exchange.folder / "copies-found" / str(n) for n in range(count)])


def _find_candidates(exchange: Exchange, bands: Bands, run: _Jobs) -> None:
    records = exchange.starts[-1] * bands.bands
    jobs, _ = _by_ranges(exchange, "candidates", records)
    run.run(CANDIDATES, jobs, records * 16)


def _verify(exchange: Exchange, floor: float, run: _Jobs) -> None:
    """The similarities of all candidates."""

    def jobs_of(name: str, shards: Iterable[int], **more: Any) -> list[dict[str, Any]]:
        jobs = []
        for shard in shards:
            if not (exchange.folder / name / str(shard)).is_dir():
                jobs.append({"folder": str(exchange.folder), "shard": shard, **more})
        return jobs

    every = range(len(exchange.documents))
    folder = exchange.folder / "candidates"
    pairs = sum(path.stat().st_size for path in folder.glob("*/pairs.keys"))
    run.run(WANTED, jobs_of("wanted", every), pairs * 2)
    needed = mark_needed(exchange)
    size = sum(exchange.documents[shard].stat().st_size for shard in needed)
    run.run(SETS, jobs_of("sets", needed), size * 4)
    sets = sum(path.stat().st_size for path in (exchange.folder / "sets").glob("*/hashes"))
    run.run(VERIFY, jobs_of("found", every, floor=floor), sets + pairs * 2)


def _write_pairs(exchange: Exchange, path: Path) -> None:
    """Joins what was found in all shards: by later document, then by earlier one."""
    identity = exchange.identity()
    draft = path.with_suffix(".tmp")
    with pq.ParquetWriter(draft, PAIRS, compression="zstd") as writer:
        for shard in range(len(exchange.documents)):
            found = array_in(exchange.folder / "found" / str(shard) / "pairs", FOUND)
            for start in range(0, len(found), ROWS):
                part = np.array(found[start : start + ROWS])
                columns = [
                    pa.array(part["later"]),
                    pa.array(part["earlier"]),
                    id_column(identity[part["later"].astype(np.int64)]),
                    id_column(identity[part["earlier"].astype(np.int64)]),
                    pa.array(part["similarity"]),
                    pa.array(part["halves"]),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=PAIRS))
    flush(draft)
    draft.replace(path)


def _delete_others(folder: Path, signed: Sequence[Path], exchange: Exchange) -> None:
    """Deletes what is of shards that are no longer there, and what jobs handed on."""
    used = {path.name for path in signed}
    for family in folder.glob("signatures-*"):
        for own in family.iterdir():
            if family != signed[0].parent or own.name not in used:
                shutil.rmtree(own, ignore_errors=True)
    for path in (folder / f"verified-{VERSION}").iterdir():
        if path.name not in used:
            path.unlink()
    shutil.rmtree(exchange.folder, ignore_errors=True)


def _curve_text(bands: Bands) -> str:
    points = [f"{similarity:.2f} {share:.1%}" for similarity, share in curve(bands)]
    return "pairs found by similarity: " + ", ".join(points)
