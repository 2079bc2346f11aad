"""Every statistic of RL Tuner by hand, by a literal walk through its definition, and on noise,
where some are known exactly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genwright.contents.music.score import Note, Score
from genwright.contents.music.tunes import VOCABULARY, melody_tokens, statistics, value_and_band
from genwright.core.errors import GenwrightError

SCALE = [14, 16, 18, 19, 21, 23, 25, 26]  # C major from middle C


def of(*tokens, name, length=32):
    """A statistic of one string, filled up with holds and rests in turn, which start nothing and
    repeat nothing for long."""
    filled = [*tokens, *[0, 1, 1, 1, 1] * 8][:length]
    counted, out_of = statistics(np.array([filled]))[name]
    return counted[0], out_of[0]


@pytest.mark.parametrize(
    ("tokens", "count"),
    [
        ([14] * 5, 0),
        ([14] * 6, 1),
        ([14] * 8, 3),  # a pitch that was there five times
        # with a hold between: seven times
        ([14, 1, 14, 14, 14, 14, 14], 0),
        ([14, 1, 14, 14, 14, 14, 14, 14, 14], 1),
        ([14] * 4 + [16] + [14] * 4, 0),  # another pitch starts anew
        ([14, 1, 1, 1, 1, 1], 0),
        ([14, 1, 1, 1, 1, 1, 1], 1),  # a hold is a token like any other
        ([0, 0], 0),
        ([0, 0, 0], 1),
        ([0, 1, 0, 1, 0], 1),  # the third rest
    ],
)
def test_excessive_repetition(tokens, count):
    ended = [*tokens, *(SCALE[i % 2 + 2] for i in range(32 - len(tokens)))]
    assert of(*ended, name="repeated") == (count, 32)


def test_not_in_key_counts_all_steps():
    assert of(14, 15, 16, 17, 1, 0, 2, 3, 37, 36, name="not in key", length=10) == (4, 10)
    # as it was published
    key = {0, 1, 2, 4, 6, 7, 9, 11, 13, 14, 16, 18, 19, 21, 23, 25, 26, 28, 30, 31, 33, 35, 37}
    assert [of(t, name="not in key")[0] for t in range(VOCABULARY)] == [
        t not in key for t in range(VOCABULARY)
    ]


def test_the_tonic_begins():
    assert [of(t, name="starts with tonic") for t in (14, 2, 26, 1)] == [
        (1, 1),
        (0, 1),
        (0, 1),
        (0, 1),
    ]
    assert [of(t, name="starts with tonic of any octave")[0] for t in (14, 2, 26, 1, 0, 16)] == [
        1,
        1,
        1,
        0,
        0,
        0,
    ]


@pytest.mark.parametrize(
    ("tokens", "resolved", "doubled"),
    [
        ([14, 21], 0, 0),  # up a fifth and no more
        ([14, 20, 14], 0, 0),  # a tritone is no leap
        ([14, 21, 19, 16, 14], 1, 0),  # back by steps to where it came from
        ([14, 21, 19, 16, 15], 0, 0),  # not quite back
        ([21, 14, 16, 18, 23], 1, 0),  # down, and back beyond
        # the same way, over holds and rests too
        ([14, 21, 28], 0, 1),
        ([14, 21, 28, 35], 0, 2),
        ([14, 1, 0, 21, 1, 28], 0, 1),
        ([14, 21, 14], 0, 0),  # back by a leap at once: neither
        # after five steps and after seven
        ([14, 21, 1, 1, 1, 1, 1, 14], 0, 0),
        ([14, 21, 1, 1, 1, 1, 1, 1, 1, 14], 1, 0),
        ([14, 21, 1, 1, 1, 1, 1, 1, 14], 0, 0),  # six are too few
        ([14, 21, 28, 26, 23, 21, 14], 0, 1),  # back at once by a leap closes what was doubled
        ([1, 0, 30], 0, 0),  # a first note is no leap
    ],
)
def test_leaps(tokens, resolved, doubled):
    assert of(*tokens, name="leaps resolved") == (resolved, resolved + doubled)


def test_unique_extremes():
    assert of(14, 16, 14, name="unique highest") == (1, 1) and of(
        16, 16, 14, name="unique highest"
    ) == (0, 1)
    assert of(14, 16, 18, name="unique lowest") == (1, 1) and of(
        14, 14, 18, name="unique lowest"
    ) == (0, 1)
    assert of(name="unique lowest") == (0, 1), "there is no note"


def test_motifs():
    assert of(*SCALE, *[14] * 24, name="in motif") == (7, 32), (
        "as long as the last eight hold three pitches"
    )
    assert of(*[14, 1, 16, 0] * 8, name="in motif") == (0, 32)
    assert of(*SCALE * 4, name="in motif") == (25, 32), "the most there is"
    assert of(*SCALE * 4, name="in repeated motif") == (17, 32)
    assert of(*SCALE, *SCALE, *[16] * 16, name="in repeated motif") == (1, 32)
    assert of(14, *SCALE[1:], *SCALE[1:], *[14] * 17, name="in repeated motif") == (0, 32), (
        "what it repeats may not overlap it"
    )


def test_autocorrelation():
    x = np.array([2, 4, 2, 4, 2, 4, 2, 4])
    counted, of_pieces = statistics(x[None])["autocorrelation, lag 1"]
    assert counted[0] == pytest.approx(-7 / 8) and of_pieces[0] == 1
    assert statistics(x[None])["autocorrelation, lag 2"][0][0] == pytest.approx(6 / 8)
    assert [a[0] for a in statistics(np.full((1, 8), 14))["autocorrelation, lag 1"]] == [0, 0], (
        "of one token: none"
    )


def walked(tokens):
    """What the published definitions say of one string, step by step."""
    out = dict.fromkeys(("repeated", "motif", "again", "resolved", "doubled"), 0)
    past, direction, origin, since = [], 0, None, 0
    for a in tokens:
        same, special = 0, False
        for b in reversed(past):
            if b == a:
                same += 1
            elif b < 2:
                special = True
            else:
                break
        out["repeated"] += same > (6 if special else 4) or (a == 0 and same > 1)
        bar = [*past, a][-8:]
        if len(bar) == 8 and len(set(bar) - {0, 1}) >= 3:
            out["motif"] += 1
            before = past[:-7]
            out["again"] += any(before[i : i + 8] == bar for i in range(len(before) - 7))
        if past:
            pitches = [b for b in past if b > 1]
            if a < 2 or not pitches or abs(a - pitches[-1]) < 7:
                since += 1
                if a > 1 and direction and (a - origin) * direction <= 0:
                    out["resolved"], direction = out["resolved"] + 1, 0
            else:
                way = 1 if a > pitches[-1] else -1
                if not direction:
                    direction, origin = way, pitches[-1]
                elif way == direction:
                    out["doubled"] += 1
                else:
                    out["resolved"], direction = out["resolved"] + (since > 6), 0
                since = 0
        past.append(a)
    return out


@given(
    arrays(
        np.int64,
        (3, 32),
        elements=st.one_of(st.integers(0, 37), st.sampled_from([0, 1, 14, 16, 18, 23])),
    )
)
@settings(max_examples=100, deadline=None)
def test_against_the_definitions_step_by_step(tokens):
    found = statistics(tokens)
    for row, string in enumerate(tokens.tolist()):
        expected = walked(string)
        assert found["repeated"][0][row] == expected["repeated"]
        assert found["in motif"][0][row] == expected["motif"]
        assert found["in repeated motif"][0][row] == expected["again"]
        leaps = found["leaps resolved"]
        assert (leaps[0][row], leaps[1][row]) == (
            expected["resolved"],
            expected["resolved"] + expected["doubled"],
        )


def test_noise_is_as_published():
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (2000, 32))
    values = {name: value_and_band(*found) for name, found in statistics(tokens).items()}
    # of 2,000 random strings: the error of the difference of two such draws is 1.4 standard errors
    # of one
    published = {
        "repeated": 0.00002,
        "not in key": 0.396,
        "starts with tonic": 0.027,
        "starts with tonic of any octave": 0.08,
        "leaps resolved": 0.028,
        "unique highest": 0.659,
        "unique lowest": 0.641,
        "in motif": 0.781,
        "in repeated motif": 0.0,
    }
    for name, known in published.items():
        value, low, high = values[name]
        assert abs(value - known) < 1.5 * (high - low) / 2 + 0.0006, name
    exact = {
        "not in key": 15 / 38,
        "starts with tonic": 1 / 38,
        "starts with tonic of any octave": 3 / 38,
    }
    exact["unique highest"] = 32 / 38 * sum((k / 38) ** 31 for k in range(38))
    for name, known in exact.items():
        value, low, high = values[name]
        assert low - (high - low) / 2 < known < high + (high - low) / 2, name
    for lag in (1, 2, 3):
        assert values[f"autocorrelation, lag {lag}"][0] == pytest.approx(
            -(32 - lag) / 32 / 31, abs=0.015
        )


def test_a_band_holds_the_mean_and_nothing_is_nan():
    value, low, high = value_and_band(np.arange(100.0), np.ones(100))
    assert (
        value == 49.5
        and low == pytest.approx(49.5 - 1.96 * 2.887, abs=0.6)
        and high == pytest.approx(49.5 + 1.96 * 2.887, abs=0.6)
    )
    assert all(math.isnan(x) for x in value_and_band(np.zeros(5), np.zeros(5)))
    assert value_and_band(np.array([1.0, 0]), np.array([1.0, 0]))[0] == 1, (
        "a round may draw what counts nothing"
    )


def melody(*notes, per_quarter=4, length=64):
    """Of (start, length, pitch)."""
    return Score((tuple(Note(*n) for n in notes),), length, per_quarter)


def test_a_melody_becomes_tokens():
    scale = [(2 * i, 2, p) for i, p in enumerate((60, 62, 64, 65, 67, 69, 71, 72))]
    tokens = melody_tokens(melody(*scale))
    assert tokens[:18].tolist() == [x for t in SCALE for x in (t, 1)] + [0, 1] and set(
        tokens[18:]
    ) == {1}
    assert len(tokens) == 32
    assert melody_tokens(melody((2, 2, 60), (6, 1, 60)), 10).tolist() == [
        1,
        1,
        14,
        1,
        0,
        1,
        14,
        0,
        1,
        1,
    ], "no event before the first note"


@pytest.mark.parametrize("move", range(-5, 7))
def test_it_is_moved_to_c_major_and_a_minor(move):
    major = [
        (0, 4, 60),
        (4, 2, 64),
        (6, 2, 67),
        (8, 2, 65),
        (10, 2, 64),
        (12, 2, 62),
        (14, 2, 59),
        (16, 8, 60),
    ]
    minor = [
        (0, 4, 57),
        (4, 2, 60),
        (6, 2, 64),
        (8, 2, 62),
        (10, 2, 60),
        (12, 2, 59),
        (14, 2, 56),
        (16, 8, 57),
    ]
    for notes in (major, minor):
        moved = [(start, length, pitch + move) for start, length, pitch in notes]
        tokens = melody_tokens(melody(*moved))
        assert tokens.tolist() == melody_tokens(melody(*notes)).tolist()
        assert tokens[0] == notes[0][2] - 46


def test_far_notes_are_folded_and_finer_grids_read():
    octaves = melody((0, 1, 24), (1, 1, 36), (2, 1, 60), (3, 1, 84), (4, 1, 96), (5, 1, 108))
    assert melody_tokens(octaves, 6).tolist() == [2, 2, 14, 26, 26, 26]
    fine = melody((0, 3, 60), (3, 3, 64), (7, 1, 67), (8, 1, 60), (24, 3, 60), per_quarter=12)
    assert melody_tokens(fine, 10).tolist() == [14, 18, 21, 0, 1, 1, 1, 1, 14, 0], (
        "the first note that begins in a sixteenth"
    )
    assert melody_tokens(Score(((),), 8), 4).tolist() == [1] * 4
    with pytest.raises(
        GenwrightError,
        match=(
            "a grid of 6 steps a quarter note has no sixteenths; read the piece on one of 4, 8, 12"
        ),
    ):
        melody_tokens(melody((0, 1, 60), per_quarter=6))
