"""Bars of a melody that come again: what holds a tune together, and what samples of a model trained
on next tokens lack.

A bar's pattern is what begins in it in the first voice: when each note begins, how long it lasts
(up to the bar line), and the interval from the note before it. So a bar is the same at another
height (a sequence), and a bar is another one when only its rhythm is the same. A bar of fewer than
LEAST notes, or of one pitch, has no pattern: it would be repeated by chance or by droning.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from genwright.contents.music.score import Note, Score, edges

LEAST = 3  # notes of a pattern
Pattern = tuple[int, ...]  # steps of the bar, then of each note: begins, lasts, interval


class Bar(NamedTuple):
    """start, stop: steps. pattern: None for a bar without one. last: where its last note begins
    (`start` where none does)."""

    start: int
    stop: int
    pattern: Pattern | None
    last: int


def bars_of(score: Score) -> list[Bar]:
    """The bars of the first voice."""
    starts = edges(score)
    inside: list[list[Note]] = [[] for _ in starts[1:]]
    for note in score.voices[0]:
        bar = bisect_right(starts, note.start) - 1
        inside[bar].append(note)
    found = []
    for start, stop, notes in zip(starts, starts[1:], inside, strict=False):
        last = notes[-1].start if notes else start
        found.append(Bar(start, stop, _pattern(notes, start, stop), last))
    return found


def _pattern(notes: Sequence[Note], start: int, stop: int) -> Pattern | None:
    """See `Bar`. notes: that begin in the bar, by start."""
    if len(notes) < LEAST or len({note.pitch for note in notes}) == 1:
        return None
    pattern = [stop - start]
    before = notes[0].pitch
    for note in notes:
        lasts = min(note.start + note.length, stop) - note.start
        pattern += [note.start - start, lasts, note.pitch - before]
        before = note.pitch
    return tuple(pattern)


def repeated_bars(bars: Sequence[Bar]) -> list[bool]:
    """Of each bar: whether its pattern stood in the piece before, but not in the bar right before
    it. (Real tunes say one bar twice in a row once in a hundred bars; a model that is rewarded for
    bars that come again would find that first.)"""
    known: set[Pattern] = set()
    before: Pattern | None = None
    found = []
    for bar in bars:
        found.append(bar.pattern in known and bar.pattern != before)
        if bar.pattern is not None:
            known.add(bar.pattern)
        before = bar.pattern
    return found


def said_twice(bars: Sequence[Bar]) -> list[bool]:
    """Of each bar: whether it is as the one right before it."""
    found = []
    before: Pattern | None = None
    for bar in bars:
        found.append(bar.pattern is not None and bar.pattern == before)
        before = bar.pattern
    return found
