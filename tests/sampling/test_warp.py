"""Warpers against transformers' processors, and the draw against the distribution it inverts."""

import pytest
import torch
from transformers.generation import logits_process as reference

from genwright.sampling import warp
from genwright.sampling.drawing import Decoding

NOTHING = torch.zeros(7, 1, dtype=torch.long)


def logits_of(seed, rows=7, vocabulary=37):
    return 3 * torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed))


def alone(logits, seen=None, **asked):
    """What `warp` makes of one setting, all others off."""
    return warp.warp(logits, Decoding(**{"temperature": 1.0} | asked), seen)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("ours", "theirs", "value"),
    [
        ("temperature", reference.TemperatureLogitsWarper, 0.7),
        ("top_k", reference.TopKLogitsWarper, 1),
        ("top_k", reference.TopKLogitsWarper, 5),
        ("top_k", reference.TopKLogitsWarper, 99),
        ("top_p", reference.TopPLogitsWarper, 0.01),
        ("top_p", reference.TopPLogitsWarper, 0.9),
        ("min_p", reference.MinPLogitsWarper, 0.05),
        ("min_p", reference.MinPLogitsWarper, 1.0),
    ],
)
def test_each_equals_transformers(ours, theirs, value, seed):
    logits = logits_of(seed)
    assert torch.equal(alone(logits, **{ours: value}), theirs(value)(NOTHING, logits.clone()))


def test_ties_stay_as_in_transformers():
    logits = torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    assert torch.equal(
        alone(logits, top_k=2), reference.TopKLogitsWarper(2)(NOTHING, logits.clone())
    )
    assert torch.equal(alone(logits, min_p=1.0), torch.tensor([[1.0, 1.0, 1.0, -torch.inf]]))


@pytest.mark.parametrize("penalty", [0.5, 1.3])
def test_repetition_penalty_equals_transformers(penalty):
    logits = logits_of(1)
    history = torch.randint(37, (7, 11), generator=torch.Generator().manual_seed(2))
    seen = torch.zeros(7, 37, dtype=torch.bool).scatter_(1, history, True)
    expected = reference.RepetitionPenaltyLogitsProcessor(penalty)(history, logits.clone())
    assert torch.equal(alone(logits, seen, repetition_penalty=penalty), expected)


def test_composition_follows_transformers_order():
    logits, history = (
        logits_of(3),
        torch.randint(37, (7, 5), generator=torch.Generator().manual_seed(4)),
    )
    decoding = Decoding(temperature=0.6, top_k=20, top_p=0.8, min_p=0.02, repetition_penalty=1.2)
    expected = logits.clone()
    for processor in (
        reference.RepetitionPenaltyLogitsProcessor(1.2),
        reference.TemperatureLogitsWarper(0.6),
        reference.TopKLogitsWarper(20),
        reference.TopPLogitsWarper(0.8),
        reference.MinPLogitsWarper(0.02),
    ):
        expected = processor(history, expected)
    seen = torch.zeros(7, 37, dtype=torch.bool).scatter_(1, history, True)
    assert torch.equal(warp.warp(logits, decoding, seen), expected)


def test_choose_inverts_the_cumulative_distribution():
    logits = torch.tensor([0.1, 0.0, 0.6, 0.3]).log()
    uniform = torch.tensor([0.0, 0.0999, 0.1001, 0.6999, 0.7001, 1 - 2**-24])
    tokens, logprobs = warp.choose(logits.expand(6, 4), uniform)
    assert tokens.tolist() == [0, 0, 2, 2, 3, 3]
    assert torch.allclose(logprobs.exp(), torch.tensor([0.1, 0.1, 0.6, 0.6, 0.3, 0.3]))


def test_choose_never_takes_what_was_cut():
    logits = alone(logits_of(5, rows=64, vocabulary=1000), top_k=3)
    for value in (0.0, 0.5, 1 - 2**-24):
        tokens, logprobs = warp.choose(logits, torch.full((64,), value))
        assert logits.gather(1, tokens[:, None]).isfinite().all() and logprobs.isfinite().all()


def test_choose_draws_the_softmax():
    logits = logits_of(6, rows=1, vocabulary=5)
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(7))
    tokens, _ = warp.choose(logits.expand(20_000, 5), uniform)
    share = torch.bincount(tokens, minlength=5) / 20_000
    p = logits[0].softmax(-1)
    assert ((share - p).abs() < 5 * (p * (1 - p) / 20_000).sqrt()).all()  # five standard errors


def test_likeliest_is_the_mode_with_its_log_probability():
    logits = logits_of(8)
    tokens, logprobs = warp.likeliest(logits)
    assert torch.equal(tokens, logits.argmax(-1))
    assert torch.allclose(logprobs, logits.log_softmax(-1).amax(-1), atol=1e-6)
