"""Descriptors by hand, keys against music21, overlap against its closed form, novelty of pieces
that were copied on purpose."""

import math
import time
from statistics import NormalDist

import numpy as np
import pytest

from genwright.contents.music.descriptors import (
    densities,
    descriptors,
    histograms,
    key_of,
    overlap,
)
from genwright.contents.music.figures import (
    HELD_OUT,
    NOISE,
    SAMPLES,
    TRAINING,
    new_figures,
)
from genwright.contents.music.novelty import Novelty, novelty
from genwright.contents.music.score import Meter, Note, Score, of_grid


def piece(*pitches, length=2, **about):
    """A voice of notes of one length, one after the other."""
    return Score(
        (tuple(Note(length * i, length, p) for i, p in enumerate(pitches)),),
        length * len(pitches),
        **about,
    )


def test_pitch_class_entropy():
    def entropy(*pitches):
        return descriptors(piece(*pitches))["pitch-class entropy"]

    assert (
        entropy(60, 72, 48) == 0
        and entropy(60, 61) == 1
        and entropy(*range(60, 72)) == pytest.approx(math.log2(12))
    )
    assert entropy(60, 60, 60, 67) == pytest.approx(-0.75 * math.log2(0.75) + 0.5)


def test_scale_consistency():
    def scale(*pitches):
        return descriptors(piece(*pitches))["scale consistency"]

    major = [0, 2, 4, 5, 7, 9, 11]
    assert all(
        scale(*(60 + tonic + degree for degree in major)) == pytest.approx(1) for tonic in range(12)
    )
    assert scale(69, 71, 72, 74, 76, 77, 79) == pytest.approx(1), "A minor"
    assert scale(*range(60, 72)) == pytest.approx(7 / 12)


def test_groove_consistency():
    same = piece(*[60] * 16, length=4)
    assert descriptors(same)["groove consistency"] == 1
    half = Score((tuple(Note(s, 1, 60) for s in (0, 4, 8, 12, 16, 20)),), 32)
    assert descriptors(half)["groove consistency"] == pytest.approx(1 - 2 / 16)
    # a pickup and two bars
    waltz = Score(half.voices, 32, bars=(0, 8, 20), meters=(Meter(0, 3, 4),))
    assert descriptors(waltz)["groove consistency"] == pytest.approx(1 - 2 / 12)
    assert math.isnan(descriptors(piece(60, 62))["groove consistency"]), "one bar"


def test_nothing_sounds():
    values = descriptors(Score(((),), 64))
    assert (
        math.isnan(values["pitch-class entropy"])
        and math.isnan(values["scale consistency"])
        and values["groove consistency"] == 1
    )
    assert not histograms([Score(((),), 64)])["pitch"].any()
    assert key_of(np.zeros(12)) == 0


@pytest.mark.parametrize("name", ["bwv26.6", "bwv269", "bwv66.6", "bwv355"])
def test_keys_against_music21(name):
    corpus, discrete = (
        pytest.importorskip("music21.corpus"),
        pytest.importorskip("music21.analysis.discrete"),
    )
    score = corpus.parse(f"bach/{name}", forceSource=True)
    weight = np.zeros(12)
    for note in score.flatten().notes:
        weight[note.pitch.pitchClass] += note.quarterLength
    theirs = discrete.KrumhanslKessler(score).getSolution(score)
    for move in range(12):
        assert key_of(np.roll(weight, move)) == (theirs.tonic.pitchClass + move) % 12 + 12 * (
            theirs.mode == "minor"
        )


def test_histograms():
    found = histograms(
        [piece(60, 60, 62, 64), piece(60, length=300), piece(60, 61, per_quarter=12, length=6)]
    )
    assert found["pitch"].shape == (3, 128) and found["duration"].shape == (3, 33)
    assert found["pitch"][0, [60, 62, 64]].tolist() == [0.5, 0.25, 0.25]
    assert found["duration"][:, [2, 32]].tolist() == [[1, 0], [0, 1], [1, 0]], (
        "in sixteenths, whatever the grid"
    )
    assert np.allclose(found["pitch"].sum(1), 1)


def test_overlap_of_histograms_by_hand():
    a, b = np.array([[1.0, 0, 0], [0, 1, 0]]), np.array([[0, 0.5, 0.5]] * 4)
    area, low, high = overlap(a, b)
    assert area == 0.5 and low == pytest.approx(0.5) and high == pytest.approx(1), (
        "rounds without the first piece share 0.5, others less"
    )
    assert overlap(b, b) == (1, 1, 1)


@pytest.mark.parametrize("apart", [0.0, 0.5, 1.0, 2.0])
def test_overlap_of_densities_has_its_closed_form(apart):
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 1500), rng.normal(apart, 1, 1500)
    area, low, high = overlap(*densities(a, b))
    exact = 2 * NormalDist().cdf(-apart / 2)
    assert area == pytest.approx(exact, abs=0.05) and low - 0.02 < exact < high + 0.02
    wider = overlap(*densities(a[:100], b[:100]))
    assert wider[2] - wider[1] > high - low


def test_densities_of_equal_values_and_gaps():
    same = densities(np.ones(5), np.array([1.0, np.nan, 1.0]))
    assert [rows.shape for rows in same] == [(5, 256), (2, 256)] and overlap(*same)[
        0
    ] == pytest.approx(1)
    assert overlap(*densities(np.ones(5), np.zeros(5)))[0] < 1e-6


def struck(pitch):
    """(frames, voices) -> a score whose notes begin anew every quarter."""
    return of_grid(pitch, np.arange(len(pitch))[:, None] % 4 == np.zeros(pitch.shape[1], int))


def chorale(seed, bars=12):
    """Four voices, a note a quarter."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.integers((60, 55, 50, 40), (76, 67, 62, 55), (4 * bars, 4)), 4, 0)


def test_novelty_finds_what_was_copied():
    train = [of_grid(chorale(seed)) for seed in range(8)]
    made = chorale(100)
    made[16 * 3 : 16 * 8] = chorale(5)[16 * 2 : 16 * 7] + 3  # five bars, a minor third higher
    copied, fresh, whole = novelty([of_grid(made), of_grid(chorale(101)), train[2]], train)
    assert copied[:4] == (5, 3, 5, 2) and copied.nearest == 5 and 0.3 < copied.share < 0.5
    assert fresh[:4] == (0, -1, -1, -1) and fresh.share < 0.1
    assert whole == Novelty(12, 0, 2, 0, 2, 1.0)


def test_each_set_of_pieces_has_its_own_novelty():
    train = [of_grid(chorale(seed), facts={"title": str(seed)}) for seed in range(4)]
    sets = {
        SAMPLES: [of_grid(chorale(2)), of_grid(chorale(50))],
        HELD_OUT: [of_grid(chorale(60)), of_grid(chorale(61)), of_grid(chorale(3, 6))],
        TRAINING: train,
        NOISE: [of_grid(chorale(70))],
    }
    longest, alike = new_figures(sets, train)
    alone = {kind: [novelty([piece], train)[0] for piece in sets[kind]] for kind in sets}
    bars = {kind: np.mean([row.bars for row in rows]) for kind, rows in alone.items()}
    shares = {kind: np.mean([row.share for row in rows]) for kind, rows in alone.items()}
    assert bars[SAMPLES] == 6 and bars[HELD_OUT] == 2  # twelve bars of two pieces, six of three
    assert (longest.value, longest.ceilings, longest.floors) == (
        bars[SAMPLES],
        {HELD_OUT: bars[HELD_OUT]},
        {NOISE: bars[NOISE]},
    )
    assert (alike.value, alike.ceilings, alike.floors) == (
        shares[SAMPLES],
        {HELD_OUT: shares[HELD_OUT]},
        {NOISE: shares[NOISE]},
    )
    assert "12 at most" in longest.detail and "at most 100%, of 2" in alike.detail


def test_a_run_has_one_transposition():
    bars = [chorale(seed, 1) for seed in range(3)]
    train = struck(np.concatenate(bars))
    moved = struck(np.concatenate([bars[0], bars[1] + 2, bars[2] + 2]))
    assert novelty([moved], [train])[0][:4] == (2, 1, 0, 1)
    assert (
        novelty([struck(np.concatenate(bars[1:]))], [struck(bar) for bar in bars])[0].bars == 1
    ), "none crosses pieces"
    assert (
        novelty([struck(bars[0] + 12)], [train])[0].bars == 1
        and novelty([struck(bars[0] + 13)], [train])[0].bars == 0
    )


def test_rests_and_held_notes_tell_bars_apart():
    silent, bar = np.full((16, 4), -1), chorale(0, 1)
    made, train = (
        struck(np.concatenate(bars)) for bars in ((silent, bar, silent), (silent, silent, bar))
    )
    assert novelty([made], [train])[0][:4] == (1, 1, 0, 2)
    held, again = (
        Score(((Note(0, 32, 60),),), 32),
        Score(((Note(0, 16, 60), Note(16, 16, 60)),), 32),
    )
    assert novelty([held], [held])[0].bars == novelty([again], [again])[0].bars == 2
    assert novelty([held], [again])[0].bars == 1, "the second bar of one begins with no note"
    assert novelty([Score(((),), 16)], [again])[0] == Novelty(0, -1, -1, -1, -1, 0.0)
    assert novelty([held], []) == [Novelty(0, -1, -1, -1, -1, 0.0)]


def test_hundreds_of_pieces_take_seconds():
    train, made = (
        [of_grid(chorale(seed, 16)) for seed in range(400)],
        [of_grid(chorale(1000 + seed, 16)) for seed in range(200)],
    )
    began = time.process_time()
    assert max(found.bars for found in novelty(made, train)) == 0
    assert time.process_time() - began < 20
