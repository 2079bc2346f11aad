"""Whether a melody ends on its tonic, on endings written by hand."""

import math

import pytest

from genwright.contents.music.measures_endings import ends_on_tonic
from genwright.contents.music.score import Key, Note, Score
from genwright.core.content import Sample


def ending(pitch, *keys, voices=1):
    melody = (Note(0, 4, 60), Note(4, 4, pitch))
    other = (Note(0, 8, 36),)
    score = Score(voices=(melody, other)[:voices], length=8, keys=keys)
    return ends_on_tonic(Sample(score))


@pytest.mark.parametrize(
    ("sharps", "mode", "tonic"),
    [
        (0, "major", 60),  # C
        (1, "major", 67),  # G
        (2, "major", 62),  # D
        (-1, "major", 65),  # F
        (-3, "major", 63),  # E flat
        (0, "minor", 69),  # A
        (1, "minor", 64),  # E
        (-1, "minor", 62),  # D
        (3, "minor", 66),  # F sharp
    ],
)
def test_one_pitch_class_of_twelve_is_the_tonic(sharps, mode, tonic):
    key = Key(0, sharps, mode)
    home = [pitch for pitch in range(60, 72) if ending(pitch, key) == 1.0]
    assert [pitch % 12 for pitch in home] == [tonic % 12]
    assert ending(tonic + 12, key) == 1.0 and ending(tonic - 24, key) == 1.0


def test_a_key_that_is_written_later_does_not_count():
    """Else a model that is rewarded for the tonic would write the key that makes its note one."""
    assert ending(67, Key(0, 0, "major"), Key(4, 1, "major")) == 0.0
    assert ending(60, Key(0, 0, "major"), Key(4, 1, "major")) == 1.0


def test_nothing_is_said_without_a_key_a_mode_or_a_note():
    assert math.isnan(ending(60))
    assert math.isnan(ending(60, Key(0, 2, "")))
    empty = Score(voices=((),), length=8, keys=(Key(0, 0, "major"),))
    assert math.isnan(ends_on_tonic(Sample(empty)))


def test_the_first_voice_is_the_melody():
    assert ending(64, Key(0, 0, "major"), voices=2) == 0.0
    assert ending(72, Key(0, 0, "major"), voices=2) == 1.0
