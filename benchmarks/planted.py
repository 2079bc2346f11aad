r"""Corpora of any size in which it is known what there is to find: near copies of a wanted
similarity, exact copies, and text that a caller plants (personal data).

    python benchmarks/planted.py FOLDER --megabytes 1000 [--seed 0] [--near .1] [--exact .02] \
        [--similarity .8 .82 --similarity .65 .79] [--form documents|jsonl]

A document is a pure function of (seed, number), so that a corpus streams to disk, and a copy of a
document that was written long ago is made by making that one again. Words follow Zipf's law over
50,000 made-up ones, lengths are log-normal about 4 kB, every third document has characters that are
not ASCII. A near copy is its original with words replaced, one by one, until the true Jaccard index
of their sets of five words, counted in plain Python, lies in the wanted range.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))

VOCABULARY = 50_000
MEDIAN, SPREAD = 500, 0.7  # of the number of words of a document
SHORTEST, LONGEST = 30, 20_000
WORDS = 5
TRIES = 40  # to reach a similarity, before another original is taken


class Plan(NamedTuple):
    """What is planted. near, exact: shares of documents that are copies; ranges: similarities of
    near ones, (from, to below) of each kind, as many of each; plant: of a document's random numbers
    -> (label, text) of each thing that is put into it at a random place."""

    near: float = 0.1
    exact: float = 0.02
    ranges: tuple[tuple[float, float], ...] = ((0.8, 0.82),)
    plant: Callable[[np.random.Generator], list[tuple[str, str]]] | None = None


PLAN = Plan()


class Planted(NamedTuple):
    """A document. original: number of what it is a copy of, -1 for none; similarity: to that, true;
    planted: (label, text) of what was put into it."""

    text: str
    original: int = -1
    similarity: float = 0.0
    planted: tuple[tuple[str, str], ...] = ()


@cache
def vocabulary() -> tuple[np.ndarray, np.ndarray]:
    """(words,) made-up words, and the sum of the shares of those up to each."""
    rng = random.Random(0)
    vowels = "aeiou"
    consonants = "bcdfghjklmnprstvwz"
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        # the more frequent, the shorter
        syllables = 1 + int(rng.random() * 2 + len(words) ** 0.5 / 120)
        word = ""
        for _ in range(syllables):
            word += rng.choice(consonants) + rng.choice(vowels)
            if rng.random() < 0.6:
                word += rng.choice(consonants)
        words[word] = None
    shares = 1 / (np.arange(VOCABULARY) + 8.0)
    return np.array(list(words), object), np.cumsum(shares / shares.sum())


def draw_words(rng: np.random.Generator, count: int) -> list[str]:
    words, shares = vocabulary()
    at = np.searchsorted(shares, rng.random(count))
    return words[np.minimum(at, VOCABULARY - 1)].tolist()


def original_words(rng: np.random.Generator) -> list[str]:
    """The words of an original: sentences and paragraphs."""
    count = int(np.clip(rng.lognormal(np.log(MEDIAN), SPREAD), SHORTEST, LONGEST))
    words = draw_words(rng, count)
    quotes = rng.random() < 1 / 3
    at = 0
    while at < count:
        words[at] = words[at].capitalize()
        at += int(rng.integers(6, 22))
        last = min(at, count) - 1
        if quotes:
            words[last] = f"\u201c{words[last]}\u201d"
        words[last] += ".\n\n" if rng.random() < 0.2 else "."
    return words


def grams(words: list[str]) -> set[tuple[str, ...]]:
    """The set of five words, as near copies are defined by."""
    plain = " ".join(words).lower().split()
    return set(zip(*(plain[start:] for start in range(WORDS)), strict=False))


def similarity_of(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def near_copy(
    words: list[str], rng: np.random.Generator, low: float, high: float
) -> tuple[list[str], float] | None:
    """Words replaced until the similarity lies in the range; None where a single word leaps over
    it too often."""
    own = grams(words)
    target = rng.uniform(low, high)
    sure = len(own) * (1 - high) / (1 + high) / WORDS  # words that can be replaced at once
    edited = list(words)
    for place in rng.choice(len(words), int(sure), replace=False).tolist():
        edited[place] = draw_words(rng, 1)[0]
    value = similarity_of(own, grams(edited))
    for _ in range(TRIES):
        if low <= value <= target:
            return edited, value
        before = list(edited)
        # the nearer, the fewer shingles change: the first word is in one alone
        if value - target < 2 / max(len(own), 1) * WORDS:
            place = next(at for at in range(len(words)) if edited[at] == words[at])
        else:
            place = int(rng.integers(len(words)))
        edited[place] = draw_words(rng, 1)[0]
        changed = similarity_of(own, grams(edited))
        if changed < low:
            edited = before
        else:
            value = changed
    return None


def document(seed: int, number: int, plan: Plan = PLAN) -> Planted:
    """A document by its number."""
    rng = np.random.default_rng([seed, number])
    kind = rng.random()
    if number == 0 or kind >= plan.near + plan.exact:
        return _original(rng, plan)
    while True:
        at = int(rng.integers(number))
        source = np.random.default_rng([seed, at])
        if at and source.random() < plan.near + plan.exact:
            continue  # a copy itself
        if not at:
            source.random()
        original = _original(source, plan)
        if kind < plan.exact:
            return original._replace(original=at, similarity=1.0)
        low, high = plan.ranges[int(rng.integers(len(plan.ranges)))]
        found = near_copy(original.text.split(" "), rng, low, high)
        if found:
            words, value = found
            return Planted(" ".join(words), at, value, original.planted)


def _original(rng: np.random.Generator, plan: Plan) -> Planted:
    words = original_words(rng)
    planted = []
    if plan.plant:
        for label, text in plan.plant(rng):
            words.insert(int(rng.integers(len(words) + 1)), text)
            planted.append((label, text))
    return Planted(" ".join(words), planted=tuple(planted))


def documents(seed: int, megabytes: float, plan: Plan = PLAN) -> Iterator[Planted]:
    """Documents of about so many megabytes in all."""
    size = 0.0
    number = 0
    while size < megabytes * 1e6:
        made = document(seed, number, plan)
        yield made
        size += len(made.text.encode())
        number += 1


def write_documents(
    folder: Path, seed: int, megabytes: float, plan: Plan = PLAN, shard: float = 8
) -> tuple[list[Path], list[tuple[int, int, float]]]:
    """Writes shards of documents, as a corpus has them, of about `shard` megabytes of text each.
    Returns them, and (number, number of the original, similarity) of each copy."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    truth = []
    rows: list[dict] = []
    size = 0
    for number, made in enumerate(documents(seed, megabytes, plan)):
        if made.original >= 0:
            truth.append((number, made.original, made.similarity))
        raw = made.text.encode()
        rows.append(_row(seed, number, made.text, raw))
        size += len(raw)
        if size >= shard * 1e6:
            paths.append(_write_shard(folder, rows))
            rows = []
            size = 0
    if rows:
        paths.append(_write_shard(folder, rows))
    return paths, truth


def _row(seed: int, number: int, text: str, raw: bytes) -> dict:
    from genwright.curation.store import SCHEMA

    row = dict.fromkeys(SCHEMA.names, "")
    # ids grow with numbers: the original of a pair is the one that is kept
    name = number.to_bytes(8, "big") + hashlib.blake2b(b"%d" % seed, digest_size=8).digest()
    content = hashlib.sha256(raw).digest()
    row |= {"id": name, "content": content, "source": "planted", "place": f"document {number}"}
    return row | {"bytes": len(raw), "text": text, "data": b""}


def _write_shard(folder: Path, rows: list[dict]) -> Path:
    from genwright.curation.store import ROWS, SCHEMA

    digest = hashlib.sha256(b"".join(row["id"] + row["content"] for row in rows)).hexdigest()
    path = folder / f"{digest[:32]}.parquet"
    table = pa.Table.from_pylist(rows, SCHEMA)
    pq.write_table(table, path, compression="zstd", row_group_size=ROWS)
    return path


def write_jsonl(path: Path, seed: int, megabytes: float, plan: Plan = PLAN) -> int:
    """Writes rows {"text", "number", "original", "similarity", "planted"}. Returns how many."""
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        for made in documents(seed, megabytes, plan):
            row = {"number": count, **made._asdict()}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--near", type=float, default=PLAN.near)
    parser.add_argument("--exact", type=float, default=PLAN.exact)
    parser.add_argument(
        "--similarity", type=float, nargs=2, action="append", help="may be given several times"
    )
    parser.add_argument("--form", choices=["documents", "jsonl"], default="documents")
    words = parser.parse_args()
    ranges = tuple((low, high) for low, high in words.similarity or PLAN.ranges)
    plan = Plan(words.near, words.exact, ranges)
    if words.form == "jsonl":
        words.folder.mkdir(parents=True, exist_ok=True)
        count = write_jsonl(words.folder / "rows.jsonl", words.seed, words.megabytes, plan)
        print(f"{count:,} documents")
        return
    paths, truth = write_documents(words.folder, words.seed, words.megabytes, plan)
    (words.folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    print(f"{len(paths):,} shards, {len(truth):,} copies")


if __name__ == "__main__":
    main()
