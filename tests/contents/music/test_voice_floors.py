"""Floors of voices: by hand, as distributions, and of music whose entropy is known."""

import math

import numpy as np
import pytest

from genwright.contents.music.voice_floors import TABLES, changed, voice_floors


def test_by_hand():
    train = [np.array([[60, 40], [60, 41], [62, 40]])]
    found = voice_floors(train, [np.array([[60, 40], [60, 41], [64, -1]])])
    assert list(found) == list(TABLES)
    u = 1 / 129  # 128 pitches and a rest
    once, twice, none = (1 + u) / 4, (2 + u) / 4, u / 4
    assert np.exp(-found["unigram"][0]) == pytest.approx(
        np.array([[twice, twice], [twice, once], [none, none]])
    )
    bigram = [
        [(1 + twice) / 2, (1 + twice) / 2],
        [(1 + twice) / 3, (1 + once) / 2],
        [none / 3, none / 2],
    ]
    assert np.exp(-found["bigram"][0]) == pytest.approx(np.array(bigram))
    # the bass after (start, soprano 60), after (40, 60), after (41, 64), which never was; then with
    # the soprano before: the same counts
    with_soprano = [(1 + bigram[0][1]) / 2, (1 + bigram[1][1]) / 2, bigram[2][1]]
    assert np.exp(-found["bigram and soprano"][0][:, 1]) == pytest.approx(with_soprano)
    assert np.exp(-found["given the soprano"][0][:, 1]) == pytest.approx(
        [(1 + p) / 2 for p in with_soprano[:2]] + with_soprano[2:]
    )


def test_every_table_is_a_distribution():
    rng = np.random.default_rng(0)
    train = [rng.integers(58, 63, (20, 2)) for _ in range(3)]
    last = [np.array([[60, 60], [61, pitch]]) for pitch in range(-1, 128)]
    for name, nats in voice_floors(train, last).items():
        assert sum(math.exp(-piece[1, 1]) for piece in nats) == pytest.approx(1), name


def test_each_table_learns_what_it_may_look_at():
    rng = np.random.default_rng(0)
    soprano = np.repeat(rng.integers(60, 64, 3000), 2)  # each note twice
    bass = soprano - 24 + 12 * (rng.random(6000) < 0.25)  # an octave or two below
    pieces = np.stack([soprano, bass], 1).reshape(60, 100, 2)
    means = {
        name: np.concatenate(nats).mean(0)
        for name, nats in voice_floors(list(pieces[:50]), list(pieces[50:])).items()
    }
    coin = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert means["unigram"] == pytest.approx([math.log(4), math.log(4) + coin], abs=0.03)
    assert means["bigram"][0] == pytest.approx(
        -(5 / 8) * math.log(5 / 8) - (3 / 8) * math.log(1 / 8), abs=0.04
    )
    assert means["given the soprano"][1] == pytest.approx(coin, abs=0.05)


def test_pieces_keep_their_lengths_and_changes_are_of_frames():
    pieces = [np.full((n, 4), 60) for n in (3, 1, 7)]
    assert [nats.shape for nats in voice_floors(pieces, pieces)["bigram"]] == [
        (3, 4),
        (1, 4),
        (7, 4),
    ]
    assert changed(np.array([[60, 40], [60, 41], [-1, 41], [60, 41]])).tolist() == [
        [False, False],
        [False, True],
        [True, False],
        [True, False],
    ]
    assert changed(np.zeros((0, 4))).shape == (0, 4)
