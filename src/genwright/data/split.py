"""What is held out: whole clusters, in the order of a seeded hash, until the wanted share is
reached.

1. Every document has a key of some columns (a digest of its content, its name). Documents that
   agree in any column are one cluster: copies, or versions of one thing. A cluster is never
   divided.
2. Clusters are walked through in the order of a hash. One is held out where that brings the
   held-out amount (bytes, say) nearer to the wanted share, so that neither many small documents
   nor a few large ones decide how much is measured.
3. What was decided is recorded in the cache, by the keys: a document that is added later takes the
   side of its cluster if it has one, and only new clusters fill up the share. A cluster with keys
   on both sides (a copy has joined two) is trained on, for a part of it was.

The order depends on the first column alone. A document takes some 32 bytes; `split_blocks` decides
the same of more documents than that leaves room for.
"""

import fcntl
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genwright.core.errors import GenwrightError, in_words
from genwright.core.files import write_whole
from genwright.data.cache import digest_of, writing
from genwright.data.npy import mapped

SEED = 0x67656E7772696768  # of the hash that orders clusters; another one would give other sides
RECORD = np.dtype([("key", "<u8"), ("held", "u1")])
UNDECIDED = -1
TRAINED = 0
HELD = 1


def key_of(content: str) -> int:
    """A key of 64 bits. That two of a million documents agree by chance has a probability of 3e-8,
    and would only join their clusters."""
    written = content.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(written, digest_size=8).digest(), "little")


def keys_of(contents: Iterable[str]) -> np.ndarray:
    """(n,) uint64."""
    return np.array([key_of(content) for content in contents], np.uint64)


def clusters_of(columns: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) int64, from 0: the cluster of each document. columns: (n,) each, a key of every
    document; a key of its own joins it to none."""
    numbered = [np.unique(column, return_inverse=True)[1] for column in columns]
    size = len(columns[0])
    label = np.arange(size)  # of each document the first one that it is known to be joined to
    while True:
        before = label
        for keys in numbered:
            least = np.full(size, size)  # of each key the least label of its documents
            np.minimum.at(least, keys, label)
            label = least[keys]
        if np.array_equal(label, before):
            return np.unique(label, return_inverse=True)[1]


def held_out_of(
    columns: Sequence[np.ndarray],
    sizes: np.ndarray,
    wanted: float,
    unit: str,
    records: Sequence[Path] = (),
) -> np.ndarray:
    """(n,) bool: which documents are held out. At least one cluster is on either side.

    columns: see `clusters_of`. sizes: (n,) what each document counts. wanted: the share, 0 to 1.
    unit: what a document is called. records: files of earlier decisions (see `records_of`),
    written where there are new ones. Raises GenwrightError for a single cluster.
    """
    if not wanted or not len(sizes):
        return np.zeros(len(sizes), bool)
    clusters = clusters_of(columns)
    amounts = np.bincount(clusters, sizes)
    if not amounts.any():
        return np.zeros(len(sizes), bool)
    if np.count_nonzero(amounts) < 2:
        raise single_error(len(sizes), unit)
    order = _order(clusters, columns[0])
    known = _known(clusters, columns, records)
    if not records or UNDECIDED not in known[amounts > 0]:
        return _divide(amounts, order, wanted, known)[clusters]
    with locked(records):  # another process may have decided in the meantime
        known = _known(clusters, columns, records)
        held = _divide(amounts, order, wanted, known)[clusters]
        for record in records:
            _write(record, columns, held)
    return held


def held_before(columns: Sequence[np.ndarray], keys: Path) -> np.ndarray:
    """(n,) bool: which documents are held out as in a run, whose file (see `keys_held`) is given.
    Raises GenwrightError."""
    try:
        held = np.load(keys, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise unreadable_keys(keys, error) from None
    clusters = clusters_of(columns)
    side = np.zeros(clusters.max(initial=-1) + 1, bool)
    for column in columns:
        side[clusters[np.isin(column, held)]] = True
    return side[clusters]


def unreadable_keys(keys: Path, error: Exception) -> GenwrightError:
    """What to say of a run's file of keys that is none."""
    return GenwrightError(
        f"{keys} cannot be read ({in_words(error)})", "bring it back, or begin a new run"
    )


class HeldOut(NamedTuple):
    """mask: (n,) bool; keys: see `keys_held`; share: of all that is counted; wanted: the share that
    was asked for."""

    mask: np.ndarray
    keys: np.ndarray
    share: float
    wanted: float


def keys_held(columns: Sequence[np.ndarray], held: np.ndarray) -> np.ndarray:
    """The keys of what is held out, sorted, uint64: what a run keeps of its split."""
    return np.unique(np.concatenate([column[held] for column in columns]))


def single_error(documents: int, unit: str) -> GenwrightError:
    """What to say where there is a single cluster."""
    if documents == 1:
        what = f"there is a single {unit}"
    else:
        what = f"all {documents} {unit}s are equal or of one group"
    return GenwrightError(
        f"{what}, which cannot be held out and trained on",
        f"give more {unit}s, or set data.held_out=0",
    )


def _order(clusters: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The numbers of the clusters, in the order of a hash of their least key."""
    least = np.full(clusters.max() + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, clusters, column)
    return np.argsort(mixed(least ^ np.uint64(SEED)), kind="stable")


def mixed(x: np.ndarray) -> np.ndarray:
    """uint64 -> uint64, one to one: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA
    2014). The least of many keys is small; its hash is not, so that large clusters do not come
    first."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)  # wraps at 64 bits
    return x ^ (x >> np.uint64(31))


def _divide(amounts: np.ndarray, order: np.ndarray, wanted: float, known: np.ndarray) -> np.ndarray:
    """(clusters,) bool: which are held out, at least one on either side.

    amounts: (clusters,), two of them above 0. order: (clusters,) their numbers. known: (clusters,)
    what was decided before, which is forgotten where it leaves a side empty.
    """
    filled = amounts > 0
    held = (known == HELD) & filled
    target = wanted * amounts.sum()
    undecided = order[(known[order] == UNDECIDED) & filled[order]]
    total, too_large = fill(held, undecided, amounts, target, amounts[held].sum())
    if total < target / 2 and len(too_large):
        enough = _enough(too_large, amounts, target / 2 - total, amounts.sum() - total)
        held[enough] = True
    if held.any() and not held[filled].all():
        return held
    if (known[filled] != UNDECIDED).any():
        return _divide(amounts, order, wanted, np.full_like(known, UNDECIDED))
    smallest = np.argmin(np.where(filled, amounts, np.inf))
    held[smallest] = not held[smallest]
    return held


def fill(
    held: np.ndarray, undecided: np.ndarray, amounts: np.ndarray, target: float, total: float
) -> tuple[float, np.ndarray]:
    """Holds out clusters, in order, each of which brings the held-out amount nearer to the target.
    (the amount then, the clusters that were each too large for what was missing).

    held, amounts: (clusters,), the first is written; undecided: numbers of clusters, in order;
    total: held out before."""
    rest = undecided
    too_large = [rest[:0]]
    while len(rest):
        fits = total + amounts[rest] / 2 <= target  # which brings the total nearer to the target
        too_large.append(rest[~fits])
        rest = rest[fits]
        # the same of each, with all before it
        middles = total + np.cumsum(amounts[rest]) - amounts[rest] / 2
        taken = np.logical_and.accumulate(middles <= target)
        count = int(np.count_nonzero(taken))
        held[rest[:count]] = True
        total += amounts[rest[:count]].sum()
        rest = rest[count:]
    return total, np.concatenate(too_large)


def _enough(free: np.ndarray, amounts: np.ndarray, missing: float, rest: float) -> np.ndarray:
    """The smallest cluster that gives what is missing, unless it is more than half of the rest: (0
    or 1,)."""
    large = free[(amounts[free] >= missing) & (amounts[free] <= rest / 2)]
    if not len(large):
        return large
    return large[[np.argmin(amounts[large])]]


# ---- the record of earlier decisions


def records_of(cache: Path, roots: Sequence[str], *settings: object) -> list[Path]:
    """Where decisions for data of these settings are kept: one file for each folder that a person
    named, so that one more folder changes nothing for the others."""
    named = [digest_of(RECORD.descr, root, *settings) for root in sorted(set(roots)) or [""]]
    return [cache / "splits" / f"{name}.npy" for name in sorted(named)]


def _known(
    clusters: np.ndarray, columns: Sequence[np.ndarray], records: Sequence[Path]
) -> np.ndarray:
    """(clusters,) int8: TRAINED, HELD or UNDECIDED, by the keys that are recorded."""
    known = np.full(clusters.max() + 1, UNDECIDED, np.int8)
    earlier = [record for record in map(read_record, records) if len(record)]
    if not earlier:
        return known
    recorded = np.concatenate(earlier)
    for side in (HELD, TRAINED):  # the last one wins
        keys = recorded["key"][recorded["held"] == side]
        for column in columns:
            known[clusters[np.isin(column, keys)]] = side
    return known


def read_record(path: Path) -> np.ndarray:
    """(keys,) of dtype RECORD, mapped; empty where there is no record yet. Raises GenwrightError
    for a damaged one."""
    try:
        record = mapped(path)
    except FileNotFoundError:
        return np.zeros(0, RECORD)
    except (ValueError, EOFError):
        record = None
    if record is None or record.dtype != RECORD:
        what = f"{path}, which says what is held out, is damaged"
        raise GenwrightError(what, "delete it: what is held out is then decided again")
    return record


def _write(path: Path, columns: Sequence[np.ndarray], held: np.ndarray) -> None:
    """Adds the sides of these documents to a record. Keys of documents that are gone stay, for they
    may come back."""
    now = [np.rec.fromarrays([column, held.astype(np.uint8)], dtype=RECORD) for column in columns]
    record = np.concatenate([*now, read_record(path)])
    _, first = np.unique(record["key"], return_index=True)  # what was decided now goes before
    file = io.BytesIO()
    np.save(file, record[first], allow_pickle=False)
    write_whole(path, file.getvalue())


@contextmanager
def locked(records: Sequence[Path]) -> Iterator[None]:
    """One process at a time decides what is recorded there."""
    with ExitStack() as stack, writing(records[0].parent.parent):
        records[0].parent.mkdir(parents=True, exist_ok=True)
        # in the same order everywhere, so that no two processes wait for each other
        for record in records:
            lock = stack.enter_context(open(record.with_suffix(".lock"), "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
