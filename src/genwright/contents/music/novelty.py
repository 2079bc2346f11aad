"""What a piece took from the pieces that a model was trained on: the longest run of equal bars, and
the training piece whose tune is nearest."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genwright.contents.music.likeness import near_copies
from genwright.contents.music.score import Note, Score, edges
from genwright.evaluation.token_samples import longest_spans

SHINGLE = 5  # notes of a top voice in a row
OCTAVE = 12
TRANSPOSITIONS = range(-OCTAVE, OCTAVE + 1)
PITCHES = 256  # a bar's code is its content * PITCHES + its first pitch, moved or not
LOWEST = 64  # added to a pitch, so that a moved one is none of another content
SILENT = 0  # the code of a bar without a note, of training
NOWHERE = 1  # of a bar without a note in a piece: no training bar has it


class Novelty(NamedTuple):
    """bars: of the longest run that a training piece holds too, note for note, at one transposition
    of up to an octave: from bar `start` of the piece and bar `at` of training piece `source`,
    counted from 0 (-1: none). A silent bar ends a run. nearest: the training piece that shares most
    of the top voice's runs of SHINGLE notes (`near_copies`), and which `share` (-1, 0.0: none)."""

    bars: int
    start: int
    source: int
    at: int
    nearest: int
    share: float


def novelty(pieces: Sequence[Score], train: Sequence[Score]) -> list[Novelty]:
    """Of every piece, on the training pieces' grid; seconds for hundreds of them."""
    numbers: dict[tuple[int, ...], int] = {}  # of the contents of bars
    trained = [_coded(score, numbers) for score in train]
    asked = [_coded(score, numbers) for score in pieces]
    # all training bars in a row, a silent one between pieces
    row = np.concatenate([[SILENT], *(np.append(codes, SILENT) for codes in trained)])
    first_bars = np.cumsum([1, *(len(codes) + 1 for codes in trained)])  # of each piece, in `row`
    moved = []
    for codes in asked:
        for semitones in TRANSPOSITIONS:
            moved.append(np.where(codes > 0, codes + semitones, NOWHERE))
    spans = longest_spans(moved, row, PITCHES * (len(numbers) + 2))

    nearest = {
        piece: (source, share) for piece, source, share in near_copies(train, pieces, SHINGLE, 0.0)
    }
    found = []
    for piece in range(len(pieces)):
        first = len(TRANSPOSITIONS) * piece
        piece_spans = spans[first : first + len(TRANSPOSITIONS)]
        start, bars, place = max(piece_spans, key=lambda span: span.length)
        source = int(np.searchsorted(first_bars, place, "right")) - 1
        where = (-1, -1, -1)
        if bars:
            where = (start, source, int(place - first_bars[source]))
        found.append(Novelty(bars, *where, *nearest.get(piece, (-1, 0.0))))
    return found


def _coded(score: Score, numbers: dict[tuple[int, ...], int]) -> np.ndarray:
    """(bars,) the code of each bar: the number of its content, which is seen from its first voice's
    first pitch, and that pitch. numbers: of the contents known so far, grows."""
    bars = edges(score)
    notes_by_bar = _notes_by_bar(score, bars)
    codes = []
    for start, stop, notes in zip(bars, bars[1:], notes_by_bar, strict=False):
        if not notes:
            codes.append(SILENT)
            continue
        _, first_note = notes[0]
        content = [score.per_quarter, stop - start]
        for voice, note in notes:
            begins = max(note.start - start, -1)  # -1: it sounds from before
            ends = min(note.start + note.length, stop) - start
            content += [voice, begins, ends, note.pitch - first_note.pitch]
        number = numbers.setdefault(tuple(content), len(numbers) + 1)
        codes.append(PITCHES * number + LOWEST + first_note.pitch)
    return np.array(codes, np.int64)


def _notes_by_bar(score: Score, bars: Sequence[int]) -> list[list[tuple[int, Note]]]:
    """(voice, note) of all that sounds in each bar."""
    inside: list[list[tuple[int, Note]]] = [[] for _ in bars[1:]]
    for voice, notes in enumerate(score.voices):
        for note in notes:
            first = bisect_right(bars, note.start) - 1
            after = bisect_left(bars, note.start + note.length)
            for bar in range(first, after):
                inside[bar].append((voice, note))
    return inside
