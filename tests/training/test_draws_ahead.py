"""What is drawn ahead is what would be drawn for each batch alone, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from genwright.core import draws_ahead
from genwright.core.draws import Draws
from genwright.core.draws_ahead import DrawsAhead
from genwright.data.examples import ExampleStream, Split, visits


def asked(draws: Draws) -> list[torch.Tensor]:
    return [
        draws.bits("bits", 3),
        draws.bits("bits", 3, first=2),
        draws.uniform("uniform"),
        draws.uniform("uniform", 1),
        draws.normal("normal", 2, 5),
        draws.normal("another", 2, 5),
        draws.integers("integers", 9, 4),
        draws.integers("integers", 10, 4),
        draws.normal("large", 3000),  # of which no two batches fit
    ]


@pytest.mark.parametrize("rows", [1, 3, 32, 100])
def test_numbers_ahead_are_those_of_each_batch(rows):
    examples = torch.arange(rows) * 3 + 1
    ahead = DrawsAhead(7, examples)
    positions = [*range(5, 40), 3, 4, 5, 1000, 1001, 1002, 6]
    for position in positions:
        for found, alone in zip(
            asked(ahead.at(position)), asked(Draws(7, position, examples)), strict=True
        ):
            assert found.dtype == alone.dtype
            assert torch.equal(found, alone), position


def test_numbers_are_drawn_once_for_many_batches(monkeypatch):
    drawn = []
    bits = draws_ahead.Wanted.of

    def counted(self, seed, positions, examples):
        drawn.append(len(positions))
        return bits(self, seed, positions, examples)

    monkeypatch.setattr(draws_ahead.Wanted, "of", counted)
    ahead = DrawsAhead(0, torch.arange(8))
    for position in range(85):
        ahead.at(position).normal("latent", 2)
    assert drawn == [1, 4, 16, 64]


def test_what_is_given_may_be_changed():
    ahead = DrawsAhead(0, torch.arange(4))
    for position in (0, 1, 2, 3, 2, 1):
        found = ahead.at(position).uniform("share", 2)
        assert torch.equal(found, Draws(0, position, ahead.examples).uniform("share", 2))
        found.zero_()


def test_draws_of_other_examples_are_their_own():
    ahead = DrawsAhead(0, torch.arange(4))
    for position in range(4):
        some = replace(ahead.at(position), examples=torch.tensor([3, 1]))
        whole = ahead.at(position).uniform("share")
        assert torch.equal(some.uniform("share"), whole[[3, 1]])
        other = replace(ahead.at(position), seed=1)
        assert torch.equal(
            other.uniform("share"), Draws(1, position, ahead.examples).uniform("share")
        )


def test_shapes_that_always_differ_are_not_kept_for_ever():
    ahead = DrawsAhead(0, torch.arange(4))
    for position in range(200):
        ahead.at(position).uniform("share", position + 1)
    assert len(ahead.blocks) <= draws_ahead.KINDS


@pytest.mark.parametrize("count, size", [(1000, 8), (5, 3), (3, 8)])
def test_the_order_of_examples_is_that_of_each_batch(count, size):
    split = Split(np.arange(count), torch.arange(count).__getitem__, str, None)
    stream = ExampleStream(split, size, 3, "things")
    rows = torch.arange(size)[1::2]
    others = torch.arange(size)[::2]
    for position in [*range(60), 2, 3, 500, 501, 502, 1]:
        for examples in (rows, others) if position % 7 == 0 else (rows,):
            _, alone = visits(position * size + examples.numpy(), count, 3)
            assert stream.indices(position, examples).tolist() == alone.tolist()
            batch = stream.batch(position, examples)
            assert batch["x"].tolist() == alone.tolist()
            batch["x"].zero_()  # changes nobody else's
