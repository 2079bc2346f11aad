"""Faults made by hand, and against music21's own analysis of chorales of its corpus."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genwright.contents.music.chords import CHORDS, chords
from genwright.contents.music.score import Key, Meter, Note, Score, of_grid
from genwright.contents.music.voice_leading import (
    FAULTS,
    PAIRS,
    RANGES,
    Found,
    cadences,
    faults,
    labels,
    marks,
    place,
)
from genwright.core.errors import GenwrightError

QUALITIES = {
    "major triad": "major",
    "minor triad": "minor",
    "diminished triad": "diminished",
    "augmented triad": "augmented",
    "dominant seventh chord": "dominant seventh",
    "minor seventh chord": "minor seventh",
    "major seventh chord": "major seventh",
    "half-diminished seventh chord": "half-diminished",
}


def found(*frames):
    """{kind: voices of each} of frames of four pitches."""
    out = {}
    for fault in faults(of_grid(np.array(frames))):
        out.setdefault(fault.kind, []).append(fault.voices)
    return out


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((72, 67, 64, 48), (74, 67, 65, 50), {"parallel octave": [(0, 3)]}),
        ((72, 67, 64, 48), (69, 67, 64, 45), {"parallel octave": [(0, 3)]}),
        ((72, 67, 64, 60), (74, 67, 65, 50), {}),  # an octave that becomes two in contrary motion
        ((74, 67, 64, 48), (76, 69, 64, 48), {"parallel fifth": [(0, 1)]}),
        # a fifth that becomes a twelfth in contrary motion
        ((76, 72, 67, 60), (76, 72, 69, 50), {}),
        ((72, 67, 60, 48), (74, 69, 60, 48), {}),  # fourths
        ((71, 60, 60, 48), (71, 62, 62, 48), {"parallel unison": [(1, 2)]}),
        ((67, 64, 60, 50), (72, 64, 60, 53), {"hidden fifth": [(0, 3)]}),
        ((67, 64, 60, 52), (72, 64, 60, 60), {"hidden octave": [(0, 3)]}),
        ((70, 64, 60, 52), (72, 64, 60, 53), {}),  # the soprano comes by step
        ((67, 67, 60, 48), (67, 69, 60, 48), {"crossing": [(0, 1)]}),
        ((72, 64, 60, 48), (79, 64, 60, 48), {"spacing": [(0, 1)]}),
        ((72, 64, 60, 48), (72, 65, 52, 48), {"spacing": [(1, 2)]}),
        ((72, 64, 60, 48), (72, 64, 60, 36), {}),  # the bass may be as far as it likes
        ((81, 72, 64, 48), (82, 72, 64, 48), {"range": [(0,)]}),
        ((-1, 67, 64, 48), (74, 69, 64, 48), {}),  # what comes from a rest is no step
    ],
)
def test_each_fault_by_hand(before, after, expected):
    assert found(before, after) == expected


def test_what_lasts_is_counted_at_every_new_pitch():
    crossed = (64, 67, 60, 48)
    assert found(crossed, crossed, crossed) == {"crossing": [(0, 1)]}
    assert found(crossed, (64, 69, 60, 48), (64, 69, 57, 48), (64, 62, 57, 48)) == {
        "crossing": [(0, 1), (0, 1)]
    }


def test_a_fault_says_its_bar_and_beat():
    pickup, bar = [(72, 67, 64, 48)] * 4, [(72, 67, 64, 48)] * 6
    # a pickup of a beat, then bars of three beats
    pitch = np.array([*pickup, *bar, *[(74, 67, 65, 50)] * 6, *bar])
    score = of_grid(pitch, bars=(0, 4, 16), meters=(Meter(0, 3, 4),))
    assert [f for f in faults(score) if f.step == 10] == [
        Found("parallel octave", 10, (0, 3), 1, 2.5)
    ]
    assert [place(score, step) for step in (0, 2, 4, 15, 16)] == [
        (0, 3),
        (0, 3.5),
        (1, 1),
        (1, 3.75),
        (2, 1),
    ]
    assert place(of_grid(np.repeat(pitch, 4, 0)), 17) == (2, 1.25), (
        "4/4 from the beginning where nothing is said"
    )
    eighths = of_grid(pitch, bars=(0, 12), meters=(Meter(0, 6, 8),))
    assert place(eighths, 14) == (2, 2), "beats are the metre's"


@given(arrays(np.int16, (12, 4), elements=st.integers(40, 76)), st.integers(-4, 4))
@settings(max_examples=40, deadline=None)
def test_against_plain_loops_and_at_any_transposition(pitch, move):
    mark = marks(pitch)
    for t, (pair, (a, b)) in itertools.product(range(1, 12), enumerate(PAIRS)):
        (a0, a1), (b0, b1) = pitch[t - 1 : t + 1, [a, b]].T.tolist()
        similar = (a1 > a0 and b1 > b0) or (a1 < a0 and b1 < b0)
        same = {
            name: similar and abs(a0 - b0) % 12 == abs(a1 - b1) % 12 == size
            for name, size in (("fifth", 7), ("octave", 0))
        }
        assert mark["parallel fifth"][t, pair] == same["fifth"]
        assert (mark["parallel octave"] | mark["parallel unison"])[t, pair] == same["octave"]
        assert mark["parallel unison"][t, pair] == (same["octave"] and a0 == b0 and a1 == b1)
        assert mark["crossing"][t, pair] == (a1 < b1 and (a1 != a0 or b1 != b0))
    moved = marks(pitch + np.int16(move))
    assert all((mark[kind] == moved[kind]).all() for kind in FAULTS if kind != "range")
    assert (mark["range"] <= ((pitch < RANGES[:, 0]) | (pitch > RANGES[:, 1]))).all()


@pytest.mark.parametrize("name", ["bwv26.6", "bwv301", "bwv355", "bwv48.3", "bwv18.5-lz"])
def test_chorales_against_music21(name):
    corpus, analysis, chord = (
        pytest.importorskip(f"music21.{part}") for part in ("corpus", "voiceLeading", "chord")
    )
    parts = corpus.parse(f"bach/{name}", forceSource=True).parts
    frames = int(max(part.duration.quarterLength for part in parts) * 4)
    pitch, spelled = np.full((frames, 4), -1), np.full((frames, 4), None, object)
    for v, part in enumerate(parts):
        for n in part.flatten().notes:
            when = slice(int(n.offset * 4), int((n.offset + n.quarterLength) * 4))
            pitch[when, v], spelled[when, v] = n.pitch.midi, n
    mark = marks(pitch)
    parallels = sum(int(mark[kind].sum()) for kind in FAULTS[:3])
    assert parallels == {"bwv26.6": 1, "bwv301": 2, "bwv355": 1}.get(name, 0), (
        "there is something to compare"
    )
    moved = (pitch[1:] != pitch[:-1]) & (pitch[1:] >= 0) & (pitch[:-1] >= 0)
    for pair, (a, b) in enumerate(PAIRS):
        for t in np.flatnonzero(moved[:, a] & moved[:, b]) + 1:
            theirs = analysis.VoiceLeadingQuartet(
                spelled[t - 1, a], spelled[t, a], spelled[t - 1, b], spelled[t, b]
            )
            # music21 also reports fifths and octaves in contrary motion
            similar = (pitch[t, a] > pitch[t - 1, a]) == (pitch[t, b] > pitch[t - 1, b])
            assert mark["parallel fifth"][t, pair] == (similar and theirs.parallelFifth())
            assert (mark["parallel octave"] | mark["parallel unison"])[t, pair] == (
                similar and theirs.parallelUnisonOrOctave()
            )
            if (a, b) == (0, 3):  # and hidden ones that the soprano reaches by step
                leap = abs(pitch[t, 0] - pitch[t - 1, 0]) > 2
                assert mark["hidden fifth"][t, pair] == (leap and theirs.hiddenFifth())
                assert mark["hidden octave"][t, pair] == (leap and theirs.hiddenOctave())
    still = [
        i
        for i in range(frames // 4)
        if (pitch[4 * i : 4 * i + 4] == pitch[4 * i]).all() and (pitch[4 * i] >= 0).all()
    ]
    judged = {i: chord.Chord([n.pitch for n in spelled[4 * i]]) for i in still}
    judged = {i: theirs for i, theirs in judged.items() if theirs.commonName in QUALITIES}
    labels = chords(of_grid(pitch))
    assert len(judged) > 5
    assert [labels[i] for i in judged] == [
        (theirs.root().pitchClass, QUALITIES[theirs.commonName]) for theirs in judged.values()
    ]


@pytest.mark.parametrize("quality", sorted(set(CHORDS) - {"augmented", "diminished seventh"}))
def test_whole_chords_in_any_position(quality):
    pitch, roots = [], []
    for root, order in itertools.product(range(12), itertools.permutations(range(4))):
        tones = [(root + (*CHORDS[quality], 0)[i]) % 12 for i in order]
        pitch += [[67 - 12 * v + (tone - 67) % 12 for v, tone in enumerate(tones)]] * 4
        roots.append(root)
    assert chords(of_grid(np.array(pitch))) == [(root, quality) for root in roots]


def test_chords_of_what_is_less_than_whole():
    octave, third, passing = [72, 60, 60, 48], [76, 72, 60, 48], [76, 71, 67, 60]

    def label(*frames):
        return chords(of_grid(np.array(frames)))[0]

    assert label(*[octave] * 4)[0] == 0
    assert label(*[third] * 4) == (0, "major")
    assert label(*[[76, 72, 67, 60]] * 2, *[passing] * 2) == (0, "major"), (
        "an eighth in one voice is a passing note"
    )
    assert label(*[[77, 71, 67, 55]] * 4) == (7, "dominant seventh"), "its fifth may be missing"
    assert label(*[[72, 68, 64, 48]] * 4) == (0, "augmented"), (
        "the bass says the root of a chord that is symmetric"
    )
    assert label(*[[-1] * 4] * 4) == (-1, "")
    assert len(chords(of_grid(np.array([third] * 6)))) == 2, (
        "a last, shorter quarter has a label too"
    )


TRIADS = {
    "I": (76, 67, 60, 48),
    "IV": (77, 69, 60, 53),
    "V": (74, 67, 59, 55),
    "V7": (74, 65, 59, 55),
    "vi": (76, 69, 60, 57),
    "vii": (74, 65, 59, 50),
}


@pytest.mark.parametrize(
    ("progression", "kind"),
    [
        ("I IV V I", "authentic"),
        ("I IV V7 I", "authentic"),
        ("I V vii I", "authentic"),
        ("I V I IV I", "plagal"),
        ("V I IV I V", "half"),
        ("I IV V vi", "other"),
        ("I I I I", "other"),
    ],
)
def test_cadences(progression, kind):
    """In C major, a quarter a chord, a fermata on the last; and the same phrase again a tone
    higher."""
    names = progression.split()
    voices = [
        [
            Note(4 * i, 4, TRIADS[name][v], fermata=i == len(names) - 1)
            for i, name in enumerate(names)
        ]
        for v in range(4)
    ]
    again = [
        [n._replace(start=n.start + 4 * len(names), pitch=n.pitch + 2) for n in voice]
        for voice in voices
    ]
    score = Score(tuple(tuple(a + b) for a, b in zip(voices, again, strict=True)), 8 * len(names))
    last = 4 * len(names) - 4
    assert [(c.kind, c.step) for c in cadences(score)] == [(kind, last), (kind, 2 * last + 4)]
    assert cadences(score)[0][3:] == place(score, last)


def test_labels_are_what_musicians_write():
    """Where the chord changes, and at fermatas with the cadence; roots as the key spells them."""
    down = {name: np.array(TRIADS[name]) - 2 for name in TRIADS}  # in B flat major
    pitch = np.repeat(
        [down["I"], down["I"], down["V7"], down["vi"], down["V"], down["I"]], 4, axis=0
    )
    score = of_grid(pitch, keys=(Key(0, -2, "major"),))
    voices = tuple(
        tuple(n._replace(fermata=n.start == 20) for n in voice) for voice in score.voices
    )
    found = labels(replace(score, voices=voices))
    assert found == {0: "Bb", 8: "F7", 12: "Gm", 16: "F", 20: "Bb (authentic)"}
    assert labels(of_grid(np.full((8, 4), -1))) == {}


def test_no_fermata_no_cadence():
    assert cadences(of_grid(np.array([TRIADS["I"]] * 16))) == []


def test_only_four_voices():
    with pytest.raises(
        GenwrightError,
        match=(
            "a piece of 3 voices has no voice-leading of four; give soprano, alto, tenor and bass"
        ),
    ):
        faults(of_grid(np.full((8, 3), 60)))
