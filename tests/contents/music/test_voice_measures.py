"""Measures of four voices for rewards, by hand: each fault at its place, how phrases end, which
chords follow each other."""

import math

import numpy as np
import pytest

from genwright.contents.music.progressions import SOMETIMES, USUAL, chord_changes
from genwright.contents.music.score import REST, Key, Note, Score, of_grid
from genwright.contents.music.voice_leading import PARALLELS
from genwright.core.content import Sample
from genwright.core.registry import measures_of

MEASURES = measures_of("music")
C = (72, 67, 64, 48)
F = (72, 69, 65, 53)
G = (71, 67, 62, 55)
D_MINOR = (69, 65, 62, 50)
A_MINOR = (72, 69, 64, 57)


def of(name, *frames, **about):
    return MEASURES[name].of(Sample(of_grid(np.array(frames), **about)))


def quarters(*chords, fermatas=(), keys=()):
    """A chord each quarter note, fermatas on some of them in the soprano."""
    voices = []
    for voice in range(4):
        notes = []
        for number, chord in enumerate(chords):
            fermata = voice == 0 and number in fermatas
            notes.append(Note(4 * number, 4, chord[voice], fermata=fermata))
        voices.append(tuple(notes))
    return Sample(Score(tuple(voices), 4 * len(chords), keys=keys))


@pytest.mark.parametrize(
    ("kind", "before", "after", "voice"),
    [
        ("parallel octave", (72, 67, 64, 48), (74, 67, 65, 50), 3),
        ("parallel fifth", (74, 67, 64, 48), (76, 69, 64, 48), 1),
        ("parallel unison", (71, 60, 60, 48), (71, 62, 62, 48), 2),
        ("hidden fifth", (67, 64, 60, 50), (72, 64, 60, 53), 3),
        ("crossing", (67, 67, 60, 48), (67, 69, 60, 48), 1),
        ("spacing", (72, 64, 60, 48), (72, 65, 52, 48), 2),
        ("range", (81, 72, 64, 48), (82, 72, 64, 48), 0),
    ],
)
def test_a_fault_stands_at_its_step_and_its_lower_voice(kind, before, after, voice):
    assert of(kind, before, before, after) == {(2, voice): 1.0}
    parallels = {(2, voice): 1.0} if kind in PARALLELS else {}
    assert of("parallels", before, before, after) == parallels


def test_a_voice_that_is_parallel_to_two_counts_twice():
    # tenor and alto in unison, both an octave over the bass, all a tone up
    before, after = (76, 60, 60, 48), (76, 62, 62, 50)
    assert of("parallels", before, after) == {(1, 2): 1.0, (1, 3): 2.0}


def test_on_a_finer_grid_the_place_is_the_scores_step():
    frames = np.repeat([(72, 67, 64, 48), (74, 67, 65, 50)], 3, axis=0)
    assert of("parallels", *frames, per_quarter=12) == {(3, 3): 1.0}


def test_many_pieces_at_once_are_as_each_alone():
    pieces = [Sample(of_grid(np.array([C, G, C]))), Sample(of_grid(np.array([C, C])))]
    measure = MEASURES["parallels"]
    assert measure.of_all(pieces) == [measure.of(piece) for piece in pieces]


@pytest.mark.parametrize(
    "name", ["common chord changes", "uncommon chord changes", "scale consistency"]
)
def test_pieces_that_were_asked_about_before_do_not_stand_for_others(name):
    key = (Key(0, 0, "major"),)
    pieces = [quarters(C, G, C, keys=key), quarters(D_MINOR, C, keys=key), quarters(F, F, keys=key)]
    measure = MEASURES[name]
    alone = [measure.of(piece) for piece in pieces]
    for _ in range(2):
        assert repr(measure.values(pieces)) == repr(alone)  # NaN is NaN
        assert repr(measure.values(pieces[::-1])) == repr(alone[::-1])


def test_rests_stand_where_a_voice_is_silent():
    alone = (72, REST, 64, REST)
    assert of("rests", C, alone, C) == {(1, 1): 1.0, (1, 3): 1.0}
    assert of("rests", C, F) == {}
    frames = np.repeat([C, alone], 3, axis=0)
    assert of("rests", *frames, per_quarter=12) == {(3, 1): 1.0, (3, 3): 1.0}


@pytest.mark.parametrize(
    "name", ["parallels", "crossing", "cadence points", "authentic cadences", "fermatas", "rests"]
)
def test_a_tune_has_no_voice_leading_of_four(name):
    value = MEASURES[name].of(Sample(Score(((Note(0, 4, 60),),), 4)))
    values = value.values() if isinstance(value, dict) else [value]
    assert [math.isnan(number) for number in values] == [True]


def test_cadences_are_points_in_the_bass_of_the_fermata():
    piece = quarters(C, F, G, C, F, D_MINOR, fermatas=(3, 5))
    assert MEASURES["cadence points"].of(piece) == {(12, 3): 1.0, (20, 3): -1.0}
    assert MEASURES["phrase ends"].of(piece) == {(12, 3): 1.0, (20, 3): 1.0}
    assert MEASURES["authentic cadences"].of(piece) == 0.5
    assert MEASURES["fermatas"].of(piece) == 64 * 2 / 24
    half = quarters(C, F, C, G, fermatas=(3,))
    assert MEASURES["cadence points"].of(half) == {(12, 3): 0.0}
    assert math.isnan(MEASURES["authentic cadences"].of(quarters(C, F, G, C)))


def test_chord_changes_are_of_degrees_of_the_key():
    piece = quarters(C, C, F, D_MINOR, G, C, keys=(Key(0, 0, "major"),))
    changes = [
        (change.step, change.before, change.after) for change in chord_changes(piece.content)
    ]
    assert changes == [(11, 1, 4), (15, 4, 2), (19, 2, 5), (23, 5, 1)]
    assert MEASURES["common chord changes"].of(piece) == 1.0
    assert MEASURES["uncommon chord changes"].of(piece) == {}


def test_a_dominant_to_the_second_degree_is_uncommon():
    piece = quarters(C, G, D_MINOR, A_MINOR, D_MINOR, keys=(Key(0, 0, "major"),))
    # 1 5, then 5 2, 2 6, 6 2
    assert MEASURES["uncommon chord changes"].of(piece) == {(11, 3): 1.0}
    assert MEASURES["common chord changes"].of(piece) == 0.75


def test_a_chord_outside_of_the_key_is_not_judged():
    e_flat = (75, 70, 67, 51)
    piece = quarters(C, e_flat, C, keys=(Key(0, 0, "major"),))
    assert [change.judged for change in chord_changes(piece.content)] == [False, False]
    assert math.isnan(MEASURES["common chord changes"].of(piece))


def test_the_key_is_the_minor_one_where_the_score_says_so():
    # A minor: 1, 4, 5, 1
    e_major = (71, 68, 64, 52)
    piece = quarters(A_MINOR, D_MINOR, e_major, A_MINOR, keys=(Key(0, 0, "minor"),))
    degrees = [(change.before, change.after) for change in chord_changes(piece.content)]
    assert degrees == [(1, 4), (4, 5), (5, 1)]


def test_no_change_is_both_usual_and_sometimes_done():
    for degree in range(1, 8):
        assert not set(USUAL[degree]) & set(SOMETIMES[degree])
        assert degree not in (*USUAL[degree], *SOMETIMES[degree])
