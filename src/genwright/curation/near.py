"""Near copies of a corpus of any size, in memory that is given: from shards of documents to
clusters.parquet.

    NEAR/signatures-*/KEY/     keys of bands of a shard (near_signatures.py); they stay
         verified-*/KEY        true similarities of its pairs (near_verify.py); they stay
         identity, copies      of all documents, by number: order and id; what it is a copy of
         pairs.parquet         pairs from a similarity a little below what was asked for
         clusters.parquet      which documents stay and which are copies (clusters.py)
         near.json             what was asked for and found; written last
         work-*/               what jobs hand on, and all of the above until the end

Each job writes one folder, whole or not at all, and is done only where that is not there: work that
was stopped goes on. What a shard costs is paid once; when one is added, what is done again is to
sort all keys, and to compare the pairs that are new.

Files are flushed to the disk together, at the end: to wait for each would take longer than the
work. What is not flushed is in a folder named by the machine's start, and is not trusted after the
next.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from genwright.core.corpus_content import BITS, ByFingerprints
from genwright.core.files import json_text, read_json, write_whole
from genwright.curation.clusters import (
    BELOW,
    PAIRS,
    ROWS,
    Stored,
    id_column,
    stored,
    write_clusters,
)
from genwright.curation.minhash import VERSION, Bands, bands_and_rows, expected_recall
from genwright.curation.near_kinds import SLACK, alike_by, keys_for
from genwright.curation.near_pairs import (
    CANDIDATES,
    COPIES,
    Exchange,
    ranges,
    write_copies,
)
from genwright.curation.near_signatures import (
    FINGERPRINTS,
    SIGN,
    name_of,
    number_documents,
    version_of,
)
from genwright.curation.near_verify import (
    FOUND,
    SETS,
    SHINGLES,
    VERIFY,
    WANTED,
    join_ends,
    mark_needed,
)
from genwright.curation.settings import Near
from genwright.data.cache import digest_of
from genwright.data.sorted_runs import array_in
from genwright.data.workers import Work, parallel

log = logging.getLogger(__name__)
PERMUTATIONS = 126  # numbers of a sketch, at most
PROCESS = 110e6  # bytes that a process takes before it works
LEAST = 16e6  # bytes that a job is given where the memory is less than that
SMALL = 64 << 20  # bytes: less work is done in this process, for others take longer to start
BOOT = Path("/proc/sys/kernel/random/boot_id")
Spread = Callable[[Work, Sequence[dict[str, Any]]], Iterable[tuple[int, Any]]]


def chosen_bands(settings: Near, content: str = "") -> Bands:
    """The bands for a similarity and a recall; of fingerprints the keys that find all pairs which
    are stored. Raises GenwrightError where none reach it."""
    if isinstance(alike_by(content), ByFingerprints):
        return keys_for(settings.similarity - below(content))
    return bands_and_rows(settings.similarity, settings.recall, PERMUTATIONS)


def below(content: str) -> float:
    """How much below the similarity asked for pairs are stored."""
    if isinstance(alike_by(content), ByFingerprints):
        return SLACK / BITS
    return BELOW


def verified_name(content: str = "") -> str:
    """The folder of similarities."""
    return f"verified-{version_of(content)}"


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
    content: str = "",
) -> Path:
    """Finds exact and near copies, and returns clusters.parquet (`clusters.CLUSTERS`).

    shards: Parquet files of documents (`store.SCHEMA`), named by a digest of all that decides them,
    those of the source whose documents stay first; folder: for all files of this search; workers:
    processes, which share settings.memory; spread: what runs jobs, by default `parallel`. Which
    documents are copies of which depends on neither. content: the kind of the corpus. Raises
    GenwrightError."""
    bands = chosen_bands(settings, content)
    if bands.rows:
        log.debug("%d bands of %d rows: %s", bands.bands, bands.rows, _curve_text(bands))
        log.info(
            "of pairs of documents that are %g alike %.1f%% are expected to be found",
            settings.similarity,
            100 * expected_recall(settings.similarity, bands.bands, bands.rows),
        )
    memory = max(settings.memory / max(workers, 1) - PROCESS, LEAST)
    key = _key_of(shards, settings, bands, content)
    path = folder / "clusters.parquet"
    if path.is_file() and _finished(folder) == key:
        _delete_work(folder)  # of a search that was killed when it had written its result
        return path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "near.json").unlink(missing_ok=True)
    work = _work_folder(folder)
    run = _Jobs(workers, spread)
    signatures = name_of(bands, content)
    signed = _sign(shards, folder, work, bands, run, content)
    verified = folder / verified_name(content)
    exchange = _exchange(shards, signed, verified, work / digest_of(key, memory)[:16], memory)
    _find_copies(exchange, run)
    names = [shard.stem for shard in shards]
    found = Stored(
        exchange.folder,
        names,
        exchange.starts,
        settings.similarity,
        bands.bands,
        bands.rows,
        below(content),
    )
    _find_candidates(exchange, bands, found.floor, run)
    _verify(exchange, found.floor, run, content)
    _write_pairs(exchange, exchange.folder / "pairs.parquet")
    counts = write_clusters(found, settings.similarity, exchange.folder / path.name, memory)
    os.sync()
    _keep(folder, folder / signatures, verified, exchange)
    values = found._asdict() | {"key": key, "counts": counts._asdict(), "curve": curve(bands)}
    del values["folder"]
    if found.below == BELOW:
        del values["below"]  # what is usual is not said
    write_whole(folder / "near.json", json_text(values, indent=1))
    _delete_work(folder)
    return path


def clusters_at(folder: Path, similarity: float, path: Path) -> tuple[Path, Any]:
    """Clusters at another similarity, from what a search left in its folder: nothing is computed of
    documents. Raises GenwrightError for a similarity below those that are stored."""
    return path, write_clusters(stored(folder), similarity, path)


def _key_of(shards: Sequence[Path], settings: Near, bands: Bands, content: str) -> str:
    """A digest of all that decides the result."""
    keys = [shard.stem for shard in shards]
    version: int | str = VERSION
    if alike_by(content).version != 1:
        version = version_of(content)
    return digest_of(version, keys, settings.similarity, bands.bands, bands.rows)[:32]


def _finished(folder: Path) -> str:
    """The key of the search that came to its end in a folder."""
    path = folder / "near.json"
    if not path.is_file():
        return ""
    values = read_json(path.read_text(encoding="utf-8"), path, f"delete {folder}")
    return str(values["key"])


class _Jobs:
    """Runs the jobs of a stage."""

    def __init__(self, workers: int, spread: Spread | None):
        self.workers = workers
        self.spread = spread

    def run(self, work: Work, jobs: Sequence[dict[str, Any]], size: float) -> None:
        """Does all jobs. size: bytes that they read, about: few are not worth other processes."""
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


def _work_folder(folder: Path) -> Path:
    """For what is not flushed to the disk. That of an earlier start of the machine goes."""
    boot = ""
    if BOOT.is_file():
        boot = BOOT.read_text(encoding="ascii").strip()
    work = folder / f"work-{digest_of(boot)[:16]}"
    _delete_work(folder, but=work)
    work.mkdir(exist_ok=True)
    return work


def _delete_work(folder: Path, but: Path | None = None) -> None:
    """Deletes what searches handed on from job to job. but: the folder that stays."""
    for left in folder.glob("work-*"):
        if left != but:
            shutil.rmtree(left, ignore_errors=True)


def _sign(
    shards: Sequence[Path], folder: Path, work: Path, bands: Bands, run: _Jobs, content: str
) -> list[Path]:
    """The folders of signatures, of which those that are not there are made in `work`."""
    signed = []
    jobs = []
    size = 0
    for shard in shards:
        name = name_of(bands, content)
        own = folder / name / shard.stem
        if not own.is_dir():
            own = work / name / shard.stem
        signed.append(own)
        if own.is_dir():
            continue
        size += shard.stat().st_size
        job: dict[str, Any] = {"documents": str(shard), "folder": str(own), "content": content}
        job |= {"bands": bands.bands, "rows": bands.rows}
        jobs.append(job | {"earlier": _earlier(folder, shard.stem, content)})
    run.run(SIGN, jobs, size * 4)  # their text is compressed
    return signed


def _earlier(folder: Path, key: str, content: str) -> str:
    """A folder of a shard with its fingerprints, of a search at another distance; "" for none."""
    for family in sorted(folder.glob(f"signatures-*-{version_of(content)}")):
        if (family / key / FINGERPRINTS).is_file():
            return str(family / key)
    return ""


def _exchange(
    shards: Sequence[Path], signed: Sequence[Path], kept: Path, own: Path, memory: float
) -> Exchange:
    """The folder `own`, for what jobs of this search hand on; those of others go. kept: the folder
    of similarities."""
    for other in own.parent.iterdir():
        if other != own and not other.name.startswith("signatures-"):
            shutil.rmtree(other, ignore_errors=True)
    own.mkdir(exist_ok=True)
    starts = number_documents(signed, own)
    verified = [kept / shard.stem for shard in shards]
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
    run.run(COPIES, jobs, records * 2)  # they are only sorted
    write_copies(exchange, [exchange.folder / "copies-found" / str(n) for n in range(count)])


def _find_candidates(exchange: Exchange, bands: Bands, floor: float, run: _Jobs) -> None:
    records = exchange.starts[-1] * bands.bands
    jobs, _ = _by_ranges(exchange, "candidates", records)
    # they are only sorted
    run.run(CANDIDATES, [job | {"floor": floor} for job in jobs], records * 4)


def _verify(exchange: Exchange, floor: float, run: _Jobs, content: str) -> None:
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
    if exchange.fingerprints() is not None:
        run.run(VERIFY, jobs_of("found", every, floor=floor), pairs * 2)
        return
    run.run(WANTED, jobs_of("wanted", every), pairs * 2)
    needed = mark_needed(exchange)
    size = sum(exchange.documents[shard].stat().st_size for shard in needed)
    run.run(SETS, jobs_of(SHINGLES, needed, content=content), size * 4)
    sets = sum(path.stat().st_size for path in (exchange.folder / SHINGLES).glob("*/hashes"))
    join_ends(exchange)
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
    draft.replace(path)


def _keep(folder: Path, signatures: Path, verified: Path, exchange: Exchange) -> None:
    """Moves what stays to its place, and deletes what is of shards that are no longer there. It may
    be stopped, and done again. signatures: where those of these bands stay; verified: where
    similarities do."""
    verified.mkdir(exist_ok=True)
    for number, kept in enumerate(exchange.verified):
        _move(exchange.folder / "found" / str(number) / "all", kept)
    signatures.mkdir(exist_ok=True)
    for own in exchange.signatures:
        _move(own, signatures / own.name)
    for name in ("identity", "copies", "pairs.parquet", "clusters.parquet"):
        _move(exchange.folder / name, folder / name)
    used = {path.name for path in exchange.verified}
    for left in folder.glob("clusters-*"):  # of a search at another similarity that was killed
        shutil.rmtree(left, ignore_errors=True)
    for family in folder.glob("signatures-*"):
        for own in family.iterdir():
            if family != signatures or own.name not in used:
                shutil.rmtree(own, ignore_errors=True)
        if family != signatures:
            family.rmdir()
    for path in verified.iterdir():
        if path.name not in used:
            path.unlink()


def _move(path: Path, target: Path) -> None:
    if path != target and path.exists():
        path.replace(target)


def _curve_text(bands: Bands) -> str:
    points = [f"{similarity:.2f} {share:.1%}" for similarity, share in curve(bands)]
    return "pairs found by similarity: " + ", ".join(points)
