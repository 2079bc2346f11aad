"""A piece, and a place in it, in words: for a terminal."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise

from genwright.contents.music.score import Key, Note, Score, at, edges, first_number
from genwright.contents.music.spelling import spell

BARS = 8  # that are written
SIGNS = {-2: "bb", -1: "b", 0: "", 1: "#", 2: "##"}


def note_name(score: Score, note: Note) -> str:
    """A note as "F#4", spelled by the key that holds where it begins."""
    found = spell(note.pitch, at(score.keys, note.start, Key(0, 0)))
    return f"{found.step}{SIGNS[found.alter]}{found.octave}"


def piece_in_words(score: Score) -> str:
    """The first bars, a line for each voice: its notes with their lengths in steps ("F#4:2")."""
    bars = list(pairwise(edges(score)))
    lines = []
    for number, voice in enumerate(score.voices, start=1):
        written = [_bar(score, voice, start, stop) for start, stop in bars[:BARS]]
        lines.append(f"voice {number}: | {' | '.join(written)} |")
    if len(bars) > BARS:
        lines.append(f"and {len(bars) - BARS} bars more")
    return "\n".join(lines)


def _bar(score: Score, voice: Iterable[Note], start: int, stop: int) -> str:
    """The notes that begin in a bar."""
    here = [note for note in voice if start <= note.start < stop]
    return " ".join(f"{note_name(score, note)}:{note.length}" for note in here) or "-"


def place_in_words(score: Score, step: int, voice: int) -> str:
    """A place that a measure gave, with the note that sounds there."""
    bars = edges(score)
    number = first_number(score) + max(0, bisect_right(bars[:-1], step) - 1)
    words = f"bar {number}, voice {voice + 1}, step {step}"
    if 0 <= voice < len(score.voices):
        for note in score.voices[voice]:
            if note.start <= step < note.start + note.length:
                return f"{words} ({note_name(score, note)})"
    return words
