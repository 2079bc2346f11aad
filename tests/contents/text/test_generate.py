"""Text from text: what is cut, what streams, what a sample depends on."""

import pytest
import torch

from genwright.contents.text.generate import generate, generate_all
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.decode import generate_tokens
from genwright.sampling.drawing import Decoding
from stand_ins import greedy_by_hand

GREEDY = Decoding(max_tokens=20, temperature=0)
RANDOM = Decoding(max_tokens=20, temperature=1.0, seed=3)


def test_a_sample_is_the_same_alone_and_in_any_batch(table, letters):
    prompts = ["a", "bcd", "", "jihgfedcba"]
    whole = generate_all(table, letters, prompts, n=3, settings=RANDOM)
    assert whole == generate_all(table, letters, prompts, n=3, settings=RANDOM, batch=5)
    assert whole == generate_all(table, letters, prompts, n=3, settings=RANDOM, batch=1)
    assert [sample.prompt for sample in whole] == [p for p in prompts for _ in range(3)]
    assert len({sample.text for sample in whole}) > 6
    shorter = RANDOM.model_copy(update={"max_tokens": 5})
    assert [s.tokens[:5] for s in whole] == [
        s.tokens for s in generate_all(table, letters, prompts, n=3, settings=shorter)
    ]
    assert whole != generate_all(
        table, letters, prompts, n=3, settings=RANDOM.model_copy(update={"seed": 4})
    )


def test_a_stop_string_over_several_tokens_cuts_text(table, letters):
    table.table.data[:, 10:] -= 9  # letters only
    plain = generate_all(table, letters, ["abc"], settings=GREEDY)[0]
    stop = plain.text[4:7]
    place = plain.text.index(stop)
    cut = generate_all(
        table, letters, ["abc"], settings=GREEDY.model_copy(update={"stop": ("zz", stop)})
    )[0]
    assert cut.stopped == "stop" and cut.text == plain.text[:place]
    assert cut.tokens == plain.tokens[: place + 3] and cut.logprob > plain.logprob


def test_text_streams_in_order_and_without_the_stop_string(table, letters):
    plain = generate_all(table, letters, ["a", "bb"], n=2, settings=RANDOM)
    stops = RANDOM.model_copy(update={"stop": (plain[0].text[3:5],)})
    streamed = [""] * 4

    def add(row, piece):
        assert piece
        streamed[row] += piece

    samples = generate_all(table, letters, ["a", "bb"], n=2, settings=stops, on_piece=add)
    assert streamed == [sample.text for sample in samples]
    assert samples == generate_all(table, letters, ["a", "bb"], n=2, settings=stops)


def test_an_empty_prompt_begins_a_document(table, letters):
    assert generate_all(table, letters, [""], settings=GREEDY)[0].tokens == tuple(
        greedy_by_hand(table, [10], 20)
    )


def test_a_row_beyond_the_context_forgets_its_oldest_half(table, letters):
    from stand_ins import Table

    model = Table(context=8)
    prompts = ["abcdefghijab", "cd", "efghijab"]
    samples = generate_all(model, letters, prompts, settings=Decoding(max_tokens=15, temperature=0))
    assert model.longest == 8
    for prompt, sample in zip(prompts, samples, strict=True):
        row, new = letters.encode(prompt), []
        while len(new) < 15 and 10 not in new:
            if len(row) > 8:
                row = row[-max(8 - (15 - len(new)) + 1, 4) :]
            new += greedy_by_hand(model, row, 1)
            row.append(new[-1])
        assert list(sample.tokens) == new


def test_weights_that_are_not_finite_are_refused(table, letters):
    table.table.data.fill_(float("nan"))
    for decoding in (GREEDY, RANDOM):
        with pytest.raises(GenwrightError, match="not finite"):
            generate_all(table, letters, ["a"], settings=decoding)
        with pytest.raises(GenwrightError, match="not finite"):
            generate_tokens(
                table,
                torch.tensor([[1]]),
                None,
                decoding,
                Draws(0, 0, torch.arange(1)),
                logprobs=False,
            )


def test_what_the_codec_refuses_is_its_sentence(table, letters):
    with pytest.raises(GenwrightError, match="use a to j"):
        generate_all(table, letters, ["xyz"], settings=GREEDY)
    with pytest.raises(GenwrightError, match="outside the vocabulary of 12"):
        generate_all(table, letters, [[1, 12]], settings=GREEDY)


def test_closing_the_stream_stops_the_drawing(table, letters, monkeypatch):
    """Nothing is drawn that nobody asks for, and what is drawn is the same."""
    calls = []
    forward = type(table).forward
    monkeypatch.setattr(type(table), "forward", lambda *a, **k: calls.append(1) or forward(*a, **k))
    settings = Decoding(max_tokens=200, temperature=1.0)
    stream = generate(table, letters, ["ab"], settings=settings, pieces=True)
    first = next(stream)
    before = len(calls)
    stream.close()
    assert first.row == 0 and first.text and before < 20 and len(calls) == before
