"""Whether two pieces are the same tune, or nearly: by the steps and durations of the top voice,
which transposition leaves as they are."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from genwright.contents.music.score import Note, Score

Interval = tuple[int, int, int]  # (semitones to the next note, length, steps to the next start)
Run = tuple[Interval, ...]


def contour(score: Score) -> list[Interval]:
    """That of the top voice (`contour_of`)."""
    if not score.voices:
        return []
    return contour_of(score.voices[0])


def contour_of(voice: Sequence[Note]) -> list[Interval]:
    """Of each note of a voice but the last, of a chord the highest: (semitones to the next, length,
    steps to the next's start)."""
    by_pitch = sorted(voice, key=lambda note: (note.start, note.pitch))
    highest = {note.start: note for note in by_pitch}  # start -> the last, so the highest
    intervals = []
    for note, following in pairwise(highest.values()):
        semitones = following.pitch - note.pitch
        intervals.append((semitones, note.length, following.start - note.start))
    return intervals


def fingerprint(score: Score) -> str:
    """The same for pieces whose top voices are equal up to transposition, rests before the first
    note and the length of the last aside."""
    tune = repr((score.per_quarter, contour(score)))
    return hashlib.sha256(tune.encode()).hexdigest()[:32]


def near_copies(
    train: Sequence[Score], held_out: Sequence[Score], notes: int = 8, share: float = 0.5
) -> list[tuple[int, int, float]]:
    """(held-out piece, the training piece that shares most of its tune, which share) where that is
    `share` or more: of the runs of `notes` notes in its top voice, those that occur in that piece
    too, transposed or not. A piece shorter than that is like none."""
    pieces_with: defaultdict[Run, set[int]] = defaultdict(set)  # run -> training pieces
    for number, score in enumerate(train):
        for run in _runs(score, notes):
            pieces_with[run].add(number)

    copies = []
    for number, score in enumerate(held_out):
        runs = _runs(score, notes)
        shared: Counter[int] = Counter()  # training piece -> how many of the runs it has
        for run in runs:
            shared.update(pieces_with.get(run, ()))
        if shared:
            nearest, count = shared.most_common(1)[0]
            if count >= share * len(runs):
                copies.append((number, nearest, count / len(runs)))
    return copies


def _runs(score: Score, notes: int) -> list[Run]:
    """All runs of so many notes, as the intervals between them."""
    intervals = contour(score)
    size = notes - 1
    return [tuple(intervals[i : i + size]) for i in range(len(intervals) - size + 1)]
