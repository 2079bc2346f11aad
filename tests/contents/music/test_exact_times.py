"""Notes at exact times on a grid, beside fractions that are added and rounded one by one."""

import math
import random
from collections import Counter
from fractions import Fraction

import pytest

from genwright.contents.music import abc_reader
from genwright.contents.music.draft import BadMusic, Draft, Raw
from genwright.contents.music.score import Note

PARTS = (1, 2, 3, 5, 7, 64, 96, 480, 1021)  # of a quarter note


def in_turn(rng, count):
    """Notes one after another, each with a part of a quarter note of its own."""
    notes = []
    now = Fraction(rng.randrange(8), rng.choice(PARTS))
    for number in range(count):
        length = Fraction(rng.randrange(1, 40), rng.choice(PARTS))
        tied = number > 0 and rng.random() < 0.2
        pitch = notes[-1].pitch if tied else rng.randrange(40, 80)
        notes.append(Raw(now, length, pitch, 80, rng.random() < 0.1, tied, rng.random() < 0.3))
        now += length
    return notes


def joined(notes):
    """Tied notes made one, as they follow each other."""
    found = []
    for note in notes:
        if note.tied:
            before = found[-1]
            found[-1] = before._replace(
                length=before.length + note.length,
                fermata=before.fermata or note.fermata,
                tuplet=before.tuplet or note.tuplet,
            )
        else:
            found.append(note)
    return found


def nearest(time, per_quarter):
    return math.floor(time * per_quarter + Fraction(1, 2))


@pytest.mark.parametrize("per_quarter", [4, 12, 7])
def test_exact_times_are_rounded_once(per_quarter):
    rng = random.Random(per_quarter)
    for _ in range(60):
        raws = in_turn(rng, rng.randrange(1, 12))
        whole = joined(raws)
        score, counts = Draft([("", raws)]).score(per_quarter)
        expected = {}
        moved = 0
        for raw in whole:
            end = raw.start + raw.length
            step = nearest(raw.start, per_quarter)
            length = max(1, nearest(end, per_quarter) - step)
            on_steps = (raw.start * per_quarter).denominator == 1
            moved += not (on_steps and (end * per_quarter).denominator == 1)
            longest = expected.get(step)
            if longest is None or raw.length > longest[0]:  # of those in turn on one step
                expected[step] = (raw.length, Note(step, length, raw.pitch, 80, raw.fermata))
        assert score.voices == (tuple(note for _, note in expected.values()),)
        assert counts["notes"] == len(whole)
        assert counts["notes moved"] == moved
        assert counts["tuplets"] == sum(raw.tuplet for raw in whole)
        assert counts["notes merged"] + counts["notes dropped"] == len(whole) - len(expected)
        last = whole[-1].start + whole[-1].length
        stops = [note.start + note.length for note in score.voices[0]]
        assert score.length == max(nearest(last, per_quarter), *stops, 0)


def test_voices_of_other_parts_of_a_quarter_note_end_together():
    thirds = [Raw(Fraction(i, 3), Fraction(1, 3), 60) for i in range(7)]
    sevenths = [Raw(Fraction(i, 7), Fraction(1, 7), 72) for i in range(16)]
    score, counts = Draft([("low", thirds), ("high", sevenths)]).score(21)
    assert [len(voice) for voice in score.voices] == [7, 16]
    assert score.length == 49  # 7/3 of a quarter note, which is longer than 16/7
    assert not counts["notes moved"]


def test_counts_name_what_is_counted_in_their_order():
    _, counts = Draft([("", [Raw(Fraction(0), Fraction(1), 60)])], lost=Counter(a=1)).score(4)
    assert list(counts.items()) == [("a", 1), ("notes", 1), ("tuplets", 0), ("notes moved", 0)]


def test_a_length_is_in_the_unit_that_holds_where_it_stands():
    draft = abc_reader.read("X:1\nM:4/4\nL:1/8\nK:C\nC2 C/ C3/2\nL:1/16\nC2 C/ C3/2\n")
    ((_, notes),) = draft.voices
    eighths = [Fraction(1), Fraction(1, 4), Fraction(3, 4)]
    assert [note.length for note in notes] == [*eighths, *(length / 2 for length in eighths)]


def test_a_voice_that_goes_back_ends_where_it_ended():
    draft = abc_reader.read("X:1\nM:4/4\nL:1/4\nK:C\nCDEF & C2 | G |\n")
    assert draft.end == 5
    with pytest.raises(BadMusic, match="is more than 8,000 quarter notes long"):
        abc_reader.read("X:1\nM:4/4\nL:1/1\nK:C\nC1024 & C1 | C1000 |\n")
