"""The automaton of UTF-8 against Python's own decoder, and the tables of tokens against bytes."""

import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scripts import SCRIPTS, byte_fallback, is_text

from genwright.contents.text.codec import BPE, Bytes, Characters
from genwright.contents.text.utf8 import LAST, THREE, TRANSITIONS, TWO, WHOLE, automaton_of


def state_of(data: bytes) -> int | None:
    """The state after bytes; None where one does not fit."""
    state = WHOLE
    for byte in data:
        state = TRANSITIONS[state, byte]
        if state == 255:
            return None
    return int(state)


@pytest.mark.parametrize("length", [1, 2])
def test_every_short_sequence_is_text_where_python_says_so(length):
    for sequence in itertools.product(range(256), repeat=length):
        assert (state_of(bytes(sequence)) == WHOLE) == is_text(bytes(sequence)), bytes(sequence)


def test_every_sequence_of_three_bytes_is_text_where_python_says_so():
    """Of all first bytes that three bytes can begin with, and some others: the states after two,
    then which third bytes end in WHOLE."""
    for first in (0x41, 0x80, 0xC1, 0xC3, *range(0xDF, 0xF6), 0xFF):
        for second in range(256):
            state = state_of(bytes([first, second]))
            ends = np.zeros(256, bool) if state is None else TRANSITIONS[state] == WHOLE
            if not ends.any():
                assert not any(
                    is_text(bytes([first, second, third]))
                    for third in (0x00, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xC2, 0xFF)
                )
                continue
            assert ends.tolist() == [
                is_text(bytes([first, second, third])) for third in range(256)
            ], (first, second)


def test_sequences_of_four_bytes_are_text_where_python_says_so():
    draw = random.Random(0)
    edges = [
        0x00,
        0x41,
        0x7F,
        0x80,
        0x8F,
        0x90,
        0x9F,
        0xA0,
        0xBF,
        0xC0,
        0xC2,
        0xDF,
        0xE0,
        0xED,
        0xEF,
        0xF0,
        0xF1,
        0xF4,
        0xF5,
        0xFF,
    ]
    sampled = [bytes(draw.choices(range(256), k=4)) for _ in range(20_000)]
    for data in itertools.chain(map(bytes, itertools.product(edges, repeat=4)), sampled):
        assert (state_of(data) == WHOLE) == is_text(data), data


@given(st.binary(max_size=12))
def test_a_prefix_is_accepted_exactly_where_some_ending_makes_it_text(data):
    endings = [
        b"",
        b"\x80",
        b"\x80\x80",
        b"\x80\x80\x80",
        b"\xa0\x80",
        b"\x90\x80\x80",
        b"\x90\x80",
        b"\xa0",
    ]
    assert (state_of(data) is not None) == any(is_text(data + ending) for ending in endings)


@given(st.binary(max_size=16), st.lists(st.integers(1, 4), max_size=16))
def test_tokens_move_the_state_as_their_bytes_do(data, sizes):
    """A vocabulary of the pieces that the data is cut into: `fits` says whether all bytes fit,
    `after` where they lead, and after what does not fit reading begins anew, as Python's decoder
    does that replaces."""
    cuts = [0, *(min(len(data), at) for at in itertools.accumulate(sizes)), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(cuts) if a < b]
    every = [bytes([byte]) for byte in range(256)]
    made = automaton_of([*every, *pieces, None])
    state = WHOLE
    for number, piece in enumerate(pieces, start=256):
        following = state
        fits = True
        for byte in piece:
            fits &= bool(made.fits[following, byte])
            following = int(made.after[following, byte])
        assert (
            bool(made.fits[state, number]) == fits and int(made.after[state, number]) == following
        )
        state = following
    shown = data.decode("utf-8", errors="replace")
    completed = data + {LAST: b"\x80", TWO: b"\x80\x80", THREE: b"\x80\x80\x80"}.get(state, b"")
    if state in (WHOLE, LAST, TWO, THREE):
        whole = completed.decode("utf-8", errors="replace")
        assert whole.count("\ufffd") == shown.count("\ufffd") - (state != WHOLE)
    # a special token stands between characters
    assert made.fits[:, -1].tolist() == [True] + [False] * 7


def test_a_character_that_cannot_be_completed_is_not_begun():
    # nothing may follow E0
    lacking = [bytes([byte]) for byte in range(256) if not 0xA0 <= byte <= 0xBF]
    made = automaton_of(lacking)
    assert not made.fits[WHOLE, lacking.index(b"\xe0")] and made.fits[WHOLE, lacking.index(b"\xe1")]
    # where a prompt left a row without a way out, there is still something to draw
    assert made.fits.any(1).all()


@pytest.mark.parametrize("codec", [Bytes(), BPE(vocabulary=500)], ids=["bytes", "bpe"])
def test_the_bytes_of_tokens_are_those_that_the_tokenizer_decodes(codec):
    made = codec.train(iter([SCRIPTS * 30]))
    states = made.space.automaton()
    assert states.fits.shape == (8, made.space.vocabulary)
    for token in range(made.space.vocabulary - 3):
        text = made.decode([token])
        whole = bool(states.fits[WHOLE, token]) and int(states.after[WHOLE, token]) == WHOLE
        assert whole == ("\ufffd" not in text), (token, text)
    for text in (SCRIPTS, "天", "👋🏽"):
        state = WHOLE
        for token in made.encode(text):
            assert states.fits[state, token]
            state = int(states.after[state, token])
        assert state == WHOLE


def test_a_codec_of_whole_characters_has_no_tables(tmp_path):
    assert Characters().train(iter([SCRIPTS])).space.automaton is None


def test_tokens_of_bytes_beside_tokens_of_characters():
    codec = byte_fallback()
    states = codec.space.automaton()
    assert (
        states.state([2]) == WHOLE
        and states.state([0xE5 + 3]) == TWO
        and states.state([0xE5 + 3, 0xA4 + 3]) == LAST
    )
    assert not states.fits[TWO, 2] and not states.fits[TWO, 1] and states.fits[TWO, 0xA4 + 3]
    tokens = codec.encode("a👋天")
    assert states.state(tokens) == WHOLE and codec.decode(tokens) == "a👋天"


def test_the_state_of_a_prompt_depends_on_its_last_bytes_only():
    made = automaton_of([bytes([byte]) for byte in range(256)])
    for data in (
        b"",
        b"abc",
        "a天".encode()[:-1],
        "👋".encode()[:1],
        "👋".encode()[:3],
        b"\xff\xe0",
        "天".encode() + b"\x80\xf4",
    ):
        state = WHOLE
        for byte in data:
            state = int(made.after[state, byte])
        assert made.state(list(data)) == state
    assert isinstance(made.after, torch.Tensor)
