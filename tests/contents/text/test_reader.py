"""Text of a sample, piece by piece, against the text of all its tokens at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from genwright.contents.text.codec import BPE, Bytes, TextCodec
from genwright.contents.text.generate import Reader

BYTES = Bytes().train(iter([]))
LEARNED = BPE(vocabulary=320).train(iter(["the cat sat on the mat; naïve 日本語 and the cat " * 9]))
END = BYTES.space.special["end"]


def metaspace():
    """Words carry a mark for the space before them, and the first loses it (as in Llama's
    tokenizer)."""
    words = ["▁the", "▁cat", "s", "▁sat", "</s>"]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return TextCodec(tokenizer, {"end": 4})


def read(codec, tokens, sizes, stop=(), prompt=()):
    pieces = []
    reader = Reader(codec, prompt, codec.space.special["end"], stop, pieces.append)
    for size in sizes:
        reader.feed(tokens[:size])
        tokens = tokens[size:]
    reader.feed(tokens)
    reader.close()
    assert "".join(pieces) == reader.text
    return reader, pieces


@given(st.text(max_size=20), st.lists(st.integers(1, 5), max_size=10))
def test_pieces_are_whole_characters(text, sizes):
    for codec in (BYTES, LEARNED):
        reader, pieces = read(codec, codec.encode(text), sizes)
        assert reader.text == text and reader.stopped == "length"
        assert "�" in text or not any("�" in piece for piece in pieces)


@given(st.lists(st.integers(0, 255), max_size=24), st.lists(st.integers(1, 3), max_size=12))
def test_bytes_that_are_no_text_are_shown_once(tokens, sizes):
    reader, _ = read(BYTES, tokens, sizes)
    assert reader.text == BYTES.decode(tokens) == bytes(tokens).decode("utf-8", "replace")


@given(
    st.text(alphabet="ab", max_size=16),
    st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(1, 4)),
)
def test_a_stop_string_cuts_at_its_first_place(text, stop, sizes):
    tokens = BYTES.encode(text)
    reader, pieces = read(BYTES, tokens, sizes, stop)
    ends = [i for i in range(len(text) + 1) if any(text[:i].endswith(s) for s in stop)]
    # over at the token that completes a stop string; cut before the earliest that is there
    if ends:
        whole = text[: ends[0]]
        assert reader.stopped == "stop" and reader.tokens == tokens[: ends[0]]
        assert reader.text == whole[: min(whole.find(s) for s in stop if s in whole)]
    else:
        assert reader.stopped == "length" and reader.text == text
    assert not any(s in "".join(pieces) for s in stop)


def test_what_may_begin_a_stop_string_is_held_back():
    pieces = []
    reader = Reader(BYTES, [], END, ["\n\nx"], pieces.append)
    reader.feed(BYTES.encode("a\n"))
    assert pieces == ["a"]
    reader.feed(BYTES.encode("\nb"))
    assert pieces == ["a", "\n\nb"]


def test_a_character_is_released_with_its_last_byte():
    pieces = []
    reader = Reader(BYTES, [], END, [], pieces.append)
    for byte in "é€".encode():
        reader.feed([byte])
    assert pieces == ["é", "€"]


def test_what_follows_the_end_is_no_part_of_the_sample():
    reader, _ = read(BYTES, [97, 98, END, 99], [])
    assert (reader.text, reader.tokens, reader.stopped) == ("ab", [97, 98, END], "end")


@pytest.mark.parametrize("sizes", [[], [1, 1, 1], [2, 1]])
def test_spaces_depend_on_what_stands_before(sizes):
    assert read(metaspace(), [1, 2, 3], sizes, prompt=[0])[0].text == " cats sat"
    assert read(metaspace(), [1, 2, 3], sizes)[0].text == "cats sat"
