"""Sampling against a plain loop over one row, and its promises: rows are independent, stops cut,
seeds decide."""

import pytest
import torch

from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.decode import generate_tokens, pad_left
from genwright.sampling.drawing import Decoding
from stand_ins import greedy_by_hand

GREEDY = Decoding(max_tokens=20, temperature=0)
RANDOM = Decoding(max_tokens=20, temperature=1.0, seed=3)


@pytest.mark.parametrize("every", [1, 3, None])
def test_greedy_of_unequal_prompts_is_the_plain_loop(table, every):
    prompts = [[1], [2, 3, 4], [5, 6], [7, 8, 9, 1, 2], [0]]
    tokens, real = pad_left(prompts)
    drawn = generate_tokens(
        table, tokens, real, GREEDY, Draws(0, 0, torch.arange(5)), end=10, every=every
    )
    for prompt, new, mask, logprobs in zip(
        prompts, drawn.tokens, drawn.mask, drawn.logprobs, strict=True
    ):
        expected = greedy_by_hand(table, prompt, 20)
        assert new[mask].tolist() == expected
        scores = table(torch.tensor([prompt + expected])).log_softmax(-1)[0, len(prompt) - 1 : -1]
        assert torch.allclose(
            logprobs[mask], scores.gather(1, torch.tensor(expected)[:, None])[:, 0], atol=1e-5
        )
        assert not new[~mask].any() and not logprobs[~mask].any()
    assert len({len(greedy_by_hand(table, p, 20)) for p in prompts}) > 2, (
        "rows must end at different places for this to mean anything"
    )


def test_without_logprobs_the_same_tokens(table):
    scored, plain = (
        generate_tokens(
            table,
            torch.tensor([[1], [2]]),
            None,
            GREEDY,
            Draws(0, 0, torch.arange(2)),
            end=10,
            logprobs=asked,
        )
        for asked in (True, False)
    )
    assert (
        torch.equal(scored.tokens, plain.tokens)
        and torch.equal(scored.mask, plain.mask)
        and plain.logprobs is None
    )


def test_draws_follow_the_models_distribution(table):
    rows = 4000
    decoding = Decoding(max_tokens=1, temperature=0.7, top_k=4)
    drawn = generate_tokens(
        table, torch.full((rows, 1), 5), None, decoding, Draws(0, 0, torch.arange(rows))
    )
    logits = table(torch.tensor([[5]]))[0, -1] / 0.7
    kept = logits.topk(4)
    p = torch.zeros(12).scatter_(0, kept.indices, kept.values.softmax(-1))
    share = torch.bincount(drawn.tokens[:, 0], minlength=12) / rows
    assert ((share - p).abs() <= 5 * (p * (1 - p) / rows).sqrt()).all()
    assert torch.allclose(drawn.logprobs[:, 0], p.log()[drawn.tokens[:, 0]], atol=1e-5)


def test_repetition_penalty_counts_the_prompt_but_not_its_filling(table):
    decoding = Decoding(max_tokens=6, temperature=0, repetition_penalty=50)
    tokens, real = pad_left([[1], [2, 3, 4]])
    drawn = generate_tokens(table, tokens, real, decoding, Draws(0, 0, torch.arange(2)))
    for prompt, new in zip([[1], [2, 3, 4]], drawn.tokens.tolist(), strict=True):
        row = list(prompt)
        for _ in range(6):
            logits = table(torch.tensor([row]))[0, -1]
            seen = torch.tensor(sorted(set(row)))
            logits[seen] = torch.where(logits[seen] < 0, logits[seen] * 50, logits[seen] / 50)
            row.append(int(logits.argmax()))
        assert new == row[len(prompt) :]


def test_a_constraint_is_obeyed_and_in_the_probabilities(table):
    def alternate(tokens, rows):
        parity = (tokens[:, -1:] + 1) % 2
        return (torch.arange(12) % 2 == parity) & (torch.arange(12) != 11)

    tokens = torch.tensor([[1], [2], [3]])
    drawn = generate_tokens(
        table, tokens, None, RANDOM, Draws(1, 0, torch.arange(3)), end=10, constraint=alternate
    )
    for prompt, new, mask, logprobs in zip(
        tokens, drawn.tokens, drawn.mask, drawn.logprobs, strict=True
    ):
        row = torch.cat([prompt, new[mask]])
        assert (row.diff() % 2 == 1).all()
        logits = table(row[None])[0, :-1]
        allowed = torch.stack([alternate(row[None, : i + 1], None)[0] for i in range(len(row) - 1)])
        expected = (
            logits.masked_fill(~allowed, -torch.inf).log_softmax(-1).gather(1, row[1:, None])[:, 0]
        )
        assert torch.allclose(logprobs[mask], expected, atol=1e-5)


@pytest.mark.parametrize("context", [6, 10**6])
def test_a_constraint_sees_all_that_was_drawn(context):
    from stand_ins import Table

    histories = []

    def anything(tokens, rows):
        histories.append((tokens.clone(), rows.clone()))
        return torch.ones(len(tokens), 12, dtype=torch.bool)

    prompts = torch.tensor([[1, 2], [3, 4], [5, 6]])
    drawn = generate_tokens(
        Table(context=context),
        prompts,
        None,
        RANDOM,
        Draws(1, 0, torch.arange(3)),
        constraint=anything,
    )
    whole = torch.cat([prompts, drawn.tokens], 1)
    assert len(histories) == 20
    assert all(
        torch.equal(tokens, whole[rows, : 2 + i]) for i, (tokens, rows) in enumerate(histories)
    )


def test_a_constraint_without_a_token_is_refused(table):
    with pytest.raises(GenwrightError, match="row 0: token 0 could not be drawn"):
        generate_tokens(
            table,
            torch.tensor([[1]]),
            None,
            RANDOM,
            Draws(1, 0, torch.arange(1)),
            constraint=lambda t, r: torch.zeros(1, 12) > 0,
        )


def test_what_was_drawn_can_enter_a_gradient(table):
    drawn = generate_tokens(table, torch.tensor([[1]]), None, RANDOM, Draws(1, 0, torch.arange(1)))
    table(drawn.tokens).gather(2, drawn.tokens[..., None]).sum().backward()
    assert table.table.grad is not None


def test_room_is_made_as_it_is_needed_and_changes_nothing(table):
    """A limit that no memory holds: rows end by themselves, with the tokens of a small limit."""
    tokens, real = pad_left([[1], [2, 3, 4], [5, 6]])
    draws = Draws(3, 0, torch.arange(3))
    few = RANDOM.model_copy(update={"max_tokens": 300})
    many = RANDOM.model_copy(update={"max_tokens": 10**12})
    short = generate_tokens(table, tokens, real, few, draws, end=10)
    long = generate_tokens(table, tokens, real, many, draws, end=10)
    assert long.mask.sum() == short.mask.sum() and not long.mask[:, 300:].any()
    for own, other in zip(long, short, strict=True):
        width = min(own.shape[1], other.shape[1])
        assert torch.equal(own[:, :width], other[:, :width])
        assert not own[:, width:].any() and not other[:, width:].any()
