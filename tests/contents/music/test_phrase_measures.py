"""Bars that come again, and contours, by hand."""

import math

import numpy as np
import pytest

from genwright.contents.music.compose import first_bars
from genwright.contents.music.measures_phrases import Contour, contour_measure
from genwright.contents.music.phrases import bars_of, repeated_bars
from genwright.contents.music.score import Meter, Note, Score, first_number
from genwright.core.content import Sample
from genwright.core.registry import measures_of

MEASURES = measures_of("music")


def tune(*bars, lengths=None):
    """Bars of four quarter notes each, on four steps a quarter; a bar is a list of pitches, which
    share it evenly."""
    notes = []
    for number, pitches in enumerate(bars):
        each = 16 // max(1, len(pitches))
        for place, pitch in enumerate(pitches):
            length = each if lengths is None else lengths[place]
            notes.append(Note(16 * number + each * place, length, pitch))
    return Score((tuple(notes),), 16 * len(bars), meters=(Meter(0, 4, 4),))


UP = [60, 62, 64, 65]
DOWN = [65, 64, 62, 60]


def again(*bars):
    return repeated_bars(bars_of(tune(*bars)))


def test_a_bar_that_stood_before_comes_again():
    assert again(UP, DOWN, UP, DOWN) == [False, False, True, True]


def test_a_bar_comes_again_at_another_height():
    assert again(UP, DOWN, [pitch + 7 for pitch in UP]) == [False, False, True]


def test_a_bar_that_is_said_again_at_once_is_no_form():
    assert again(UP, UP, UP, DOWN, UP) == [False, False, False, False, True]


def test_intervals_and_rhythm_both_belong_to_it():
    assert again(UP, [60, 62, 64, 67]) == [False, False]
    assert again(UP, [60, 62, 64]) == [False, False]
    dotted = tune(UP, UP)
    (voice,) = dotted.voices
    other = (*voice[:4], voice[4]._replace(length=3), *voice[5:])
    assert repeated_bars(bars_of(Score((other,), 32, meters=dotted.meters))) == [False, False]


def test_a_long_note_and_a_drone_are_no_pattern():
    assert again([60], [60]) == [False, False]
    assert again([60, 62], [60, 62]) == [False, False]
    assert again([60] * 4, [60] * 4) == [False, False]
    assert again([], []) == [False, False]


def test_a_note_that_goes_on_beyond_the_bar_counts_to_the_bar_line():
    notes = [Note(0, 4, 60), Note(4, 4, 62), Note(8, 20, 64)]
    later = [note._replace(start=note.start + 32, length=min(note.length, 8)) for note in notes]
    score = Score((tuple(notes + later),), 48, meters=(Meter(0, 4, 4),))
    assert repeated_bars(bars_of(score)) == [False, False, True]


def test_bars_of_another_length_are_other_bars():
    notes = [Note(4 * place, 4, 60 + place) for place in range(6)]
    score = Score((tuple(notes),), 24, bars=(0, 12), meters=(Meter(0, 3, 4),))
    first, second = bars_of(score)
    assert first.pattern == second.pattern
    meters = (Meter(0, 3, 4), Meter(12, 4, 4))
    score = Score((tuple(notes),), 28, bars=(0, 12), meters=meters)
    first, second = bars_of(score)
    assert first.pattern != second.pattern


def test_a_repeated_bar_stands_at_its_last_note():
    sample = Sample(tune(UP, DOWN, UP, DOWN, UP))
    assert MEASURES["phrase repetition"].of(sample) == pytest.approx(3 / 4)
    places = MEASURES["repeated bars"].of(sample)
    assert places == {(44, 0): 1.0, (60, 0): 1.0, (76, 0): 1.0}


def test_bars_said_twice_and_all_bars_stand_at_their_last_notes():
    sample = Sample(tune(UP, UP, DOWN, [60], [60], DOWN))
    assert MEASURES["bars said twice"].of(sample) == {(28, 0): 1.0}
    bars = MEASURES["bars"].of(sample)
    assert bars == {(step, 0): 1.0 for step in (12, 28, 44, 48, 64, 92)}
    assert MEASURES["repeated bars"].of(sample) == {(92, 0): 1.0}


def test_one_bar_says_nothing():
    sample = Sample(tune(UP))
    assert math.isnan(MEASURES["phrase repetition"].of(sample))
    assert MEASURES["repeated bars"].of(sample) == {}


def contour(score, **settings):
    return contour_measure(Contour(**settings)).of(Sample(score))


def test_a_melody_that_has_the_shape_follows_it_exactly():
    arch = tune([60], [64], [68], [64], [60])
    assert contour(arch, shape="arch") == pytest.approx(1)
    assert contour(arch, shape="valley") == pytest.approx(-1)
    assert contour(arch, steps=(1, 1, -1, -1)) == pytest.approx(1)
    # of two halves: no higher, no lower
    assert contour(tune([60], [64], [64], [60]), shape="rise") == 0


def test_a_contour_by_hand():
    """Heights 0, 1, 3 and 0, 2, 1: deviations -4/3, -1/3, 5/3 and -1, 1, 0."""
    score = tune([60], [62], [61])
    expected = (4 / 3 - 1 / 3) / math.sqrt((16 + 1 + 25) / 9 * 2)
    assert contour(score, steps=(1, 2)) == pytest.approx(expected)


def test_a_silent_part_says_nothing():
    assert math.isnan(contour(tune([60], [], [62]), steps=(1, 1)))


@pytest.mark.parametrize(
    "settings",
    [{}, {"shape": "arch", "steps": (1,)}, {"shape": "spiral"}, {"steps": (0, 0)}],
)
def test_a_contour_is_one_shape_or_steps_that_go_somewhere(settings):
    with pytest.raises(ValueError, match="contour|shape"):
        Contour(**settings)


def test_heights_are_means_of_what_sounds():
    notes = (Note(0, 2, 60), Note(4, 4, 64), Note(8, 8, 70))
    from genwright.contents.music.measures_phrases import part_heights

    heights = part_heights(Score((notes,), 16), 2)
    np.testing.assert_allclose(heights, [(2 * 60 + 4 * 64) / 6, 70])


def test_an_empty_piece_has_no_bars_and_can_be_cut():
    empty = Score(((),), 0)
    assert bars_of(empty) == []
    assert first_bars(empty, 4) == empty
    assert first_number(empty) == 1
