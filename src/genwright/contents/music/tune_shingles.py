"""Tunes as sets of what does not change when they are moved to another key, or written in other
note values: by them near copies are found.

1. Of each voice (of a chord the highest note) a step is taken from each note to the next: by how
   many semitones, and how long until then.
2. A shingle is `STEPS` steps in a row, times divided by the first of them. A voice of fewer steps
   has one shingle, all of it; a single note has none.
3. The similarity of two pieces is that of the sets of the shingles of all their voices.

Intervals and ratios of durations are invariant to transposition and to tempo (Lemstrom, "String
matching techniques for music retrieval", 2000, chapter 3); n-grams of them are usual (Doraisamy and
Ruger, "Robust polyphonic music retrieval with n-grams", 2003).

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from math import gcd

import numpy as np

from genwright.contents.music.documents import score_of
from genwright.contents.music.likeness import contour_of
from genwright.contents.music.score import Score
from genwright.core.corpus_content import Shingles

STEPS = 5
GRID = 12  # steps of time a quarter note: sixteenths and triplets are exact


def tune_shingles(score: Score) -> list[int]:
    """Hashes of 64 bits of the shingles of all voices."""
    hashes = []
    for voice in score.voices:
        steps = [(semitones, until) for semitones, _, until in contour_of(voice)]
        for run in _runs(steps):
            written = repr(run).encode()
            digest = hashlib.blake2b(written, digest_size=8).digest()
            hashes.append(int.from_bytes(digest, "little"))
    return hashes


def _runs(steps: Sequence[tuple[int, int]]) -> Iterator[tuple[tuple[int, int, int], ...]]:
    """(semitones, time over the first one as a fraction) of each step of each shingle."""
    if not steps:
        return
    size = min(STEPS, len(steps))
    for start in range(len(steps) - size + 1):
        first = steps[start][1]
        run = []
        for semitones, until in steps[start : start + size]:
            common = gcd(until, first)
            run.append((semitones, until // common, first // common))
        yield tuple(run)


def shingles(documents: Sequence[bytes]) -> Shingles:
    """Of each document, read one after another; none of what is no music."""
    hashes: list[int] = []
    offsets = [0]
    for data in documents:
        try:
            score, _ = score_of(data, GRID)
        except Exception:  # readers trip over damaged data in many ways
            score = Score((), 0)
        hashes += tune_shingles(score)
        offsets.append(len(hashes))
    return Shingles(np.array(hashes, np.uint64), np.array(offsets, np.int64))
