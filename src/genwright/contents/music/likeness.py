"""Whether two pieces are the same tune, or nearly: by the steps and durations of the top voice,
which transposition leaves as they are."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from genwright.contents.music.score import Score


def contour(score: Score) -> list[tuple[int, int, int]]:
    """Of each note of the top voice but the last, of a chord the highest: (semitones to the next,
    length, steps to the next's start)."""
    notes = (
        list(
            {
                note.start: note
                for note in sorted(score.voices[0], key=lambda n: (n.start, n.pitch))
            }.values()
        )
        if score.voices
        else []
    )
    return [
        (b.pitch - a.pitch, a.length, b.start - a.start)
        for a, b in zip(notes, notes[1:], strict=False)
    ]


def fingerprint(score: Score) -> str:
    """The same for pieces whose top voices are equal up to transposition, rests before the first
    note and the length of the last aside."""
    return hashlib.sha256(repr((score.per_quarter, contour(score))).encode()).hexdigest()[:32]


def near_copies(
    train: Sequence[Score], held_out: Sequence[Score], notes: int = 8, share: float = 0.5
) -> list[tuple[int, int, float]]:
    """(held-out piece, the training piece that shares most of its tune, which share) where that is
    `share` or more: of the runs of `notes` notes in its top voice, those that occur in that piece
    too, transposed or not. A piece shorter than that is like none."""
    grams = [
        [tuple(c[i : i + notes - 1]) for i in range(len(c) - notes + 2)]
        for c in map(contour, (*train, *held_out))
    ]
    where = defaultdict(set)
    for i, its in enumerate(grams[: len(train)]):
        for gram in its:
            where[gram].add(i)
    shared = (
        Counter(i for gram in its for i in where.get(gram, ())).most_common(1)
        for its in grams[len(train) :]
    )
    found = ((j, *best[0]) for j, best in enumerate(shared) if best)
    return [
        (j, i, count / len(grams[len(train) + j]))
        for j, i, count in found
        if count >= share * len(grams[len(train) + j])
    ]
