r"""Near copies: GB a core-hour and recall beside `rensa` and `datatrove` on one planted corpus,
precision against the kept document, and memory.

    python benchmarks/near_copies.py --megabytes 200 --rounds 3 \
        [--rivals PYTHON] [--memory 128] [--json result.json]

The corpus (planted.py) has near copies of similarity .80-.82, others of .65-.79 that are none at a
threshold of .8, and exact ones. Engines take turns, each in a process of its own with one thread,
and read the same Parquet files; datatrove, which is many times slower, in the first round alone.
Counted are processor seconds, of the machine's kernel too, from the first byte read to the last
result; not the imports. An engine's figures are those of its best round; `share_of_rival` is the
median over rounds of our speed beside the rival's of the same round.

ours          `near_copies`, all of it: every candidate is compared by true Jaccard
rensa         its deduplicator with its defaults for .8, fed with lists of five words
rensa-flat    its fastest way at our bands: our shingles as numbers, its matrix and its index
datatrove     its three stages with its defaults (its own words; on a part of the corpus)
datatrove-flat   the same at our bands, with our shingles

The rivals are installed in an environment of their own, PYTHON. Recall: the share of planted pairs
of .80-.82 whose later document is found, with Wilson's lower bound of 95%. Precision: of what is
dropped, the share whose similarity to what is kept, by plain Python, is at least .8; where a rival
names nothing that is kept, the original counts. The largest anonymous memory of a process that
deduplicates ten times as much as it may take is sampled with --memory MB.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

SOURCE = Path(__file__).parents[1] / "src"
SIMILARITY, BANDS, ROWS = 0.8, 18, 7
RANGES = ((0.8, 0.82), (0.65, 0.79))
SLOW = {"datatrove": 10}  # engine -> which part of the shards it is given, one in so many
ONCE = ("datatrove", "datatrove-flat")  # too slow to be near: in the first round alone
RIVALS = ("rensa", "rensa-flat", "datatrove", "datatrove-flat")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def texts_of(shards: list[Path]) -> Iterator[list[str]]:
    import pyarrow.parquet as pq

    for shard in shards:
        with pq.ParquetFile(shard) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, ["text"]).column("text").to_pylist()


def bytes_of(shards: list[Path]) -> Iterator[list[bytes]]:
    """The texts in UTF-8, as they lie in the files: no time goes into strings of Python."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for shard in shards:
        with pq.ParquetFile(shard) as file:
            for group in range(file.num_row_groups):
                column = file.read_row_group(group, ["text"]).column("text").combine_chunks()
                yield column.view(pa.large_binary()).to_pylist()


def ours(shards: list[Path], folder: Path, memory: float = 1e9) -> list[tuple[int, int]]:
    """(document, what it is a copy of), by number."""
    import pyarrow.parquet as pq

    from genwright.curation.near import near_copies
    from genwright.curation.settings import Near

    found = near_copies(shards, folder, Near(similarity=SIMILARITY, recall=0.95, memory=memory))
    table = pq.read_table(found, columns=["id", "kept"])
    pairs = []
    for own, kept in zip(table["id"].to_pylist(), table["kept"].to_pylist(), strict=True):
        if own != kept:
            pairs.append((int.from_bytes(own[:8], "big"), int.from_bytes(kept[:8], "big")))
    return pairs


def rensa_defaults(shards: list[Path], folder: Path) -> list[tuple[int, int]]:
    from rensa import RMinHashDeduplicator

    dedup = RMinHashDeduplicator(threshold=SIMILARITY, num_perm=128, use_lsh=True)
    pairs = []
    number = 0
    for texts in texts_of(shards):
        tokens = []
        for text in texts:
            words = text.lower().split()
            grams = zip(*(words[start:] for start in range(5)), strict=False)
            tokens.append((str(number + len(tokens)), [" ".join(gram) for gram in grams]))
        kept = dedup.add_pairs(tokens)
        pairs += [(number + at, -1) for at, stays in enumerate(kept) if not stays]
        number += len(texts)
    return pairs


def rensa_flat(shards: list[Path], folder: Path) -> list[tuple[int, int]]:
    import numpy as np
    from rensa import RMinHash, RMinHashLSH

    from genwright.curation.minhash import shingles_of_utf8
    from genwright.data.sorted_runs import keep_heap

    keep_heap()  # as ours does
    index = RMinHashLSH(threshold=SIMILARITY, num_perm=BANDS * ROWS, num_bands=BANDS)
    pairs = []
    number = 0
    for texts in bytes_of(shards):
        for start in range(0, len(texts), 128):
            found = shingles_of_utf8(texts[start : start + 128])
            matrix = RMinHash.digest_matrix_from_flat_token_hashes(
                found.hashes, found.offsets.astype(np.uint64), num_perm=BANDS * ROWS, seed=42
            )
            flags = index.insert_matrix_and_query_duplicate_flags(matrix, start_key=number)
            pairs += [(number + at, -1) for at, flag in enumerate(flags) if flag]
            number += len(flags)
    return pairs


def datatrove_stages(shards: list[Path], folder: Path, flat: bool) -> list[tuple[int, int]]:
    import struct

    from datatrove.data import Document
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupSignature,
    )

    from genwright.curation.minhash import shingles

    class Flat(MinhashDedupSignature):
        def get_shingles(self, text):
            return shingles([text]).hashes.reshape(-1, 1) & 0xFFFFFFFF

    config = MinhashConfig()
    stage = MinhashDedupSignature
    if flat:
        config = MinhashConfig(num_buckets=BANDS, hashes_per_bucket=ROWS)
        stage = Flat

    def documents():
        number = 0
        for texts in texts_of(shards):
            for text in texts:
                yield Document(text=text, id=str(number))
                number += 1

    stage(str(folder / "sigs"), config=config).run(documents(), 0, 1)
    buckets = MinhashDedupBuckets(
        str(folder / "sigs"), str(folder / "dups"), config=config, lines_to_buffer=1000
    )
    for bucket in range(config.num_buckets):
        buckets.run(None, bucket, config.num_buckets)
    clusters = MinhashDedupCluster(str(folder / "dups"), str(folder / "out"), config=config)
    clusters.run(None, 0, 1)
    removed = (folder / "out" / "000000.remove").read_bytes()
    return [(number, -1) for (number,) in struct.iter_unpack("<I", removed)]


def engine(name: str, shards: list[Path], folder: Path) -> list[tuple[int, int]]:
    if name == "ours":
        return ours(shards, folder)
    if name == "rensa":
        return rensa_defaults(shards, folder)
    if name == "rensa-flat":
        return rensa_flat(shards, folder)
    return datatrove_stages(shards, folder, name == "datatrove-flat")


def seconds() -> float:
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(who)
        total += used.ru_utime + used.ru_stime
    return total


def imported(name: str) -> None:
    """Imports what an engine needs, before its time counts."""
    import numpy  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    if name == "ours":
        import genwright.curation.near  # noqa: F401
    elif name.startswith("rensa"):
        import rensa  # noqa: F401
    else:
        import datatrove.pipeline.dedup.minhash  # noqa: F401


def timed(name: str, shards: list[Path], out: Path) -> None:
    """Runs an engine, and writes what it found and its processor seconds."""
    imported(name)
    with tempfile.TemporaryDirectory(prefix="near-", dir=out.parent) as folder:
        before = seconds()
        pairs = engine(name, shards, Path(folder))
        used = seconds() - before
    out.write_text(json.dumps({"seconds": used, "pairs": pairs}), encoding="utf-8")


def anonymous() -> float:
    """MB of this process that no file backs."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def within(shards: list[Path], megabytes: float, out: Path) -> None:
    """Deduplicates with a bound on memory, and writes the largest that was taken."""
    imported("ours")
    peak = [anonymous()]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(0.005):
            peak.append(max(peak.pop(), anonymous()))

    watcher = threading.Thread(target=sample, daemon=True)
    begin = peak[0]
    watcher.start()
    with tempfile.TemporaryDirectory(prefix="near-", dir=out.parent) as folder:
        pairs = ours(shards, Path(folder), max(megabytes * 1e6, 1e6))
    done.set()
    watcher.join()
    figures = {"begin": begin, "peak": peak[0], "pairs": sorted(pairs)}
    out.write_text(json.dumps(figures), encoding="utf-8")


def child(python: str, words: list[str], out: Path) -> dict:
    """Runs this file in a process of its own, and reads what it wrote."""
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": str(SOURCE)}
    command = [python, str(Path(__file__).resolve()), *words, "--out", str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:]}")
    return json.loads(out.read_text(encoding="utf-8"))


def lower_bound(found: int, of: int) -> float:
    """Of a share, Wilson's, 95% two-sided."""
    if not of:
        return float("nan")
    z = 1.96
    share = found / of
    centre = share + z * z / (2 * of)
    width = z * (share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5
    return (centre - width) / (1 + z * z / of)


class Corpus:
    """The planted one. parts: one shard in so many -> its shards, numbers and megabytes."""

    def __init__(self, folder: Path, megabytes: float, seed: int):
        import pyarrow.parquet as pq

        from planted import Plan, write_documents

        plan = Plan(near=0.1, exact=0.02, ranges=RANGES)
        shard = min(8.0, max(megabytes / 10, 0.1))
        self.shards, truth = write_documents(folder, seed, megabytes, plan, shard)
        self.truth = {number: (original, value) for number, original, value in truth}
        self.sizes = []
        self.rows = []
        for path in self.shards:
            sizes = pq.read_table(path, columns=["bytes"])["bytes"].to_pylist()
            self.sizes.append(sum(sizes))
            self.rows.append(len(sizes))
        self._texts: dict[int, str] = {}

    def part(self, name: str) -> int:
        """How many shards an engine is given."""
        return max(1, len(self.shards) // SLOW.get(name, 1))

    def figures(self, name: str, pairs: list[list[int]], used: float) -> dict:
        count = self.part(name)
        documents = sum(self.rows[:count])
        size = sum(self.sizes[:count])
        dropped = {number: kept for number, kept in pairs if number in self.truth or name == "ours"}
        wanted = [
            number
            for number, (_, value) in self.truth.items()
            if number < documents and RANGES[0][0] <= value < RANGES[0][1]
        ]
        found = sum(number in dropped for number in wanted)
        right = 0
        for number, kept in dropped.items():
            right += self.similarity(number, kept, name) >= SIMILARITY
        return {
            "GB_per_core_hour": size / 1e9 / (used / 3600),
            "seconds": used,
            "megabytes": size / 1e6,
            "pairs": len(wanted),
            "recall": found / len(wanted) if wanted else float("nan"),
            "recall_lower": lower_bound(found, len(wanted)),
            "dropped": len(dropped),
            "precision": right / len(dropped) if dropped else float("nan"),
        }

    def similarity(self, number: int, kept: int, name: str) -> float:
        """Of a dropped document to what is kept, true; where nothing is named, to its original."""
        from planted import grams, similarity_of

        if kept < 0:
            return self.truth[number][1]
        texts = self.texts()
        if texts[number] == texts[kept]:
            return 1.0
        one, other = (grams(texts[at].split(" ")) for at in (number, kept))
        return similarity_of(one, other)

    def texts(self) -> dict[int, str]:
        if not self._texts:
            every = (text for texts in texts_of(self.shards) for text in texts)
            self._texts = dict(enumerate(every))
        return self._texts


def compare(words: argparse.Namespace, folder: Path) -> dict:
    """Figures of each engine, of the round that took it the least time, and beside rivals."""
    corpus = Corpus(folder / "corpus", words.megabytes, words.seed)
    names = ["ours", *(RIVALS if words.rivals else ())]
    figures: dict[str, dict] = {}
    speeds: dict[str, list[float]] = {name: [] for name in names}  # of each round
    for turn in range(words.rounds):
        for name in names:
            if turn and name in ONCE:
                continue
            python = sys.executable if name == "ours" else words.rivals
            shards = [str(path) for path in corpus.shards[: corpus.part(name)]]
            listed = folder / "shards.json"
            listed.write_text(json.dumps(shards), encoding="utf-8")
            result = child(python, ["--engine", name, "--shards", str(listed)], folder / "out.json")
            made = corpus.figures(name, result["pairs"], result["seconds"])
            print(f"{turn} {name}: {made['GB_per_core_hour']:.1f} GB/core-h", file=sys.stderr)
            speeds[name].append(made["GB_per_core_hour"])
            if name not in figures or made["seconds"] < figures[name]["seconds"]:
                figures[name] = made
    shares = {}
    for name in names[1:]:
        pairs = zip(speeds["ours"], speeds[name], strict=False)  # some rivals run once
        shares[name] = statistics.median(own / rival for own, rival in pairs)
    return {"engines": figures, "share_of_rival": shares}


def bounded(words: argparse.Namespace, folder: Path) -> dict:
    """Memory, with ten times as much text as it allows; and whether the result is the same as with
    room for all."""
    corpus = Corpus(folder / "large", 10 * words.memory, words.seed + 1)
    listed = folder / "large.json"
    listed.write_text(json.dumps([str(path) for path in corpus.shards]), encoding="utf-8")
    results = []
    for megabytes in (words.memory, 40 * words.memory):
        begin = time.monotonic()
        order = ["--within", str(megabytes), "--shards", str(listed)]
        results.append(child(sys.executable, order, folder / "out.json"))
        print(f"within {megabytes:.0f} MB: {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return {
        "allowed_MB": words.memory,
        "corpus_MB": sum(corpus.sizes) / 1e6,
        "begin_MB": results[0]["begin"],
        "peak_MB": results[0]["peak"],
        "peak_with_room_MB": results[1]["peak"],
        "same": results[0]["pairs"] == results[1]["pairs"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rivals", help="python of an environment with rensa and datatrove")
    parser.add_argument("--memory", type=float, help="MB, of the test of memory")
    parser.add_argument("--folder", type=Path, help="for temporary files")
    parser.add_argument("--json", help="also keep the figures in a file")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--within", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--shards", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.shards:
        shards = [Path(path) for path in json.loads(words.shards.read_text(encoding="utf-8"))]
        if words.within:
            within(shards, words.within, words.out)
        else:
            timed(words.engine, shards, words.out)
        return

    from common import finish

    with tempfile.TemporaryDirectory(prefix="near-copies-", dir=words.folder) as folder:
        figures = compare(words, Path(folder))
        if words.memory:
            figures["memory"] = bounded(words, Path(folder))
    sys.exit(finish("near_copies", figures, words.json))


if __name__ == "__main__":
    main()
