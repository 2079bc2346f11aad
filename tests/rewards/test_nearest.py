"""How near samples are to training examples, against a search by hand; and that it is recorded."""

import math

import numpy as np
import pytest
import torch
from toy import LETTERS, objective, settings, stream

from genwright.core.content import Sample
from genwright.rewards.nearest import GRAM, Nearest, grams


def by_hand(sample, examples):
    own = {tuple(sample[i : i + GRAM]) for i in range(len(sample) - GRAM + 1)}
    best = 0
    for example in examples:
        there = {tuple(example[i : i + GRAM]) for i in range(len(example) - GRAM + 1)}
        best = max(best, len(own & there))
    return best / len(own)


def test_shares_are_those_of_a_search_by_hand():
    dice = np.random.default_rng(0)
    examples = [dice.integers(0, 3, 60).tolist() for _ in range(20)]
    index = Nearest(examples)
    for _ in range(50):
        example = examples[dice.integers(20)]
        start = dice.integers(0, 30)
        sample = dice.integers(0, 3, 10).tolist() + example[start : start + 20]
        assert index.share(sample) == by_hand(sample, examples)
    assert index.share(examples[3]) == 1.0
    assert index.share([7] * 20) == 0.0


def test_pieces_of_several_examples_are_near_to_none_of_them():
    examples = [list(range(first, first + 16)) for first in (0, 100, 200, 300)]
    sample = [token for example in examples for token in example[:10]]
    assert Nearest(examples).share(sample) == 3 / (40 - GRAM + 1)


def test_what_is_too_short_says_nothing():
    index = Nearest([[1, 2, 3]])
    assert math.isnan(index.share([1, 2, 3]))
    assert math.isnan(index.mean([[1], [2]]))
    assert index.mean([[1], [2] * 9]) == 0.0
    assert Nearest([]).share([1] * 9) == 0.0
    assert len(grams([1] * 7)) == 0 and len(grams([1] * 30)) == 1


def test_rollouts_are_measured_on_the_schedule_of_evaluations(monkeypatch):
    policy = settings()
    built = objective(policy)
    rollouts = stream(policy, built)
    assert rollouts.measured_at(0) == {}, "nothing was drawn yet"
    rollouts.batch(0, torch.arange(16), built)
    whole = [sample for sample in rollouts.last.samples if len(sample.tokens) >= GRAM]
    assert whole
    texts = {"train": [whole[0].content, "abcdefabcdef"], "held_out": ["fedcbafedcba"]}

    def real(dataset, split, n):
        found = []
        for text in texts[split]:
            found.append(Sample(text, tokens=tuple(LETTERS.index(letter) for letter in text)))
        return found

    monkeypatch.setattr(rollouts.sampler, "real", real)
    examples = [[LETTERS.index(letter) for letter in text] for text in texts["train"]]
    expected = [by_hand(sample.tokens, examples) for sample in whole]
    found = rollouts.measured_at(1)
    assert found == {"nearest": pytest.approx(sum(expected) / len(expected)), "nearest_floor": 0.0}
    assert found["nearest"] > 0
