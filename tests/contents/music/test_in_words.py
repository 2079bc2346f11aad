"""Pieces and places in words, as a terminal shows them."""

import pytest
import torch

from genwright.contents.music.content import MusicContent
from genwright.contents.music.first_batch import marked_pieces
from genwright.contents.music.in_words import BARS, piece_in_words, place_in_words
from genwright.contents.music.score import Key, Meter, Note, Score
from genwright.core.content import Sample
from genwright.core.registry import kinds

UPPER = (Note(0, 4, 66), Note(4, 8, 74), Note(12, 4, 73))
LOWER = (Note(0, 8, 50),)
SCORE = Score(
    (UPPER, LOWER), 16, keys=(Key(0, 2, "major"),), meters=(Meter(0, 2, 4),), per_quarter=4
)


def test_a_piece_is_written_bar_by_bar():
    assert piece_in_words(SCORE) == "voice 1: | F#4:4 D5:8 | C#5:4 |\nvoice 2: | D3:8 | - |"


def test_a_long_piece_is_cut():
    melody = tuple(Note(4 * i, 4, 60) for i in range(4 * (BARS + 3)))
    assert piece_in_words(Score((melody,), 16 * (BARS + 3))).endswith("\nand 3 bars more")


def test_a_place_is_a_bar_a_voice_and_what_sounds():
    assert place_in_words(SCORE, 13, 0) == "bar 2, voice 1, step 13 (C#5)"
    assert place_in_words(SCORE, 13, 1) == "bar 2, voice 2, step 13"
    assert place_in_words(SCORE, 2, 7) == "bar 1, voice 8, step 2"
    content = MusicContent()
    assert content.place_in_words(Sample(SCORE), (0, 1)) == "bar 1, voice 2, step 0 (D3)"
    assert content.place_in_words(Sample(SCORE), "bar 3, alto") == "bar 3, alto"


def test_a_piece_without_a_note_is_no_fault():
    assert piece_in_words(Score((), 4)) == ""
    assert place_in_words(Score((), 0), 0, 0).startswith("bar 1, voice 1")


def codec_of(kind):
    return kinds("codec")[kind](per_quarter=4).learn([SCORE], {"key": ("D", "G")})


def first_row(kind):
    """A codec, and what stands before SCORE with its tokens."""
    codec = codec_of(kind)
    asked = [codec.id["start",], codec.id["asked", "key", "D"], codec.id["none",]]
    return codec, torch.tensor([asked + codec.encode(SCORE)])


@pytest.mark.parametrize(
    "kind, said",
    [
        (
            "event",
            " | 2/4 D F#4:4 D3:8 voice 1 @4 D5:8 @12 C#5:4 voice 0 @16 end",
        ),
        ("grid", " 2/4 D | - F#4 D3 | - (F#4) (D3) | - (F#4) (D3)"),
    ],
)
def test_the_first_batch_is_shown_as_notes(kind, said):
    codec, row = first_row(kind)
    batch = {"inputs": row[:, :-1], "targets": row[:, 1:].clone()}
    batch["targets"][:, :2] = -100
    asked, music = marked_pieces(batch, 0, codec)
    assert asked == ("start key=D", False) and music[1]
    shown = {"event": {"F#4:4", "D3:8", "D5:8", "C#5:4", "end"}, "grid": set(said.split())}[kind]
    assert shown <= set(music[0].split())
    if kind == "grid":
        assert music[0].startswith(said)


def test_of_a_masked_example_what_is_hidden_is_marked():
    codec, row = first_row("grid")
    places = [place for place, token in enumerate(row[0].tolist()) if codec.pitch[token] >= 0]
    hidden = torch.zeros_like(row, dtype=torch.bool)
    hidden[0, places[1::2]] = True  # of two voices the lower one
    batch = {
        "inputs": row.masked_fill(hidden, codec.id["mask",]),
        "targets": row.masked_fill(~hidden, -100),
    }
    pieces = marked_pieces(batch, 0, codec)
    assert pieces[:4] == [
        ("start key=D 2/4 D | - F#4", False),
        (" D3", True),
        (" | - (F#4)", False),
        (" (D3)", True),
    ]
