"""Judges of attributes that only the data say, over hashed features."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from genwright.audit.corrected import corrected
from genwright.core.content import Sample
from genwright.core.groups import NONE, Judge, Known
from genwright.data.hashed_classifier import (
    BUCKETS,
    Features,
    Linear,
    _bucket,
    features_of_words,
)
from genwright.evaluation import linear_judge
from genwright.evaluation.linear_judge import (
    Described,
    frequent,
    held_apart,
    linear_judges,
    probabilities,
)

WORDS = "abcdefgh"


def dense(features: Features) -> np.ndarray:
    """(examples, BUCKETS)."""
    out = np.zeros((features.examples, BUCKETS), np.float32)
    for place in range(features.examples):
        own = slice(features.first[place], features.first[place + 1])
        out[place, features.bucket[own]] = features.share[own]
    return out


@given(st.lists(st.text(WORDS, max_size=6), max_size=5))
def test_features_are_shares_of_words(examples: list[str]) -> None:
    found = dense(features_of_words(examples))
    for row, words in zip(found, examples, strict=True):
        counts = Counter(_bucket(word) for word in words)
        expected = np.zeros(BUCKETS, np.float32)
        for bucket, count in counts.items():
            expected[bucket] = count / len(words)
        np.testing.assert_allclose(row, expected, rtol=1e-6)


@given(
    st.lists(st.text(WORDS, max_size=6), min_size=1, max_size=5),
    st.lists(st.integers(0, 4), max_size=6),
)
def test_some_examples_keep_their_features(examples: list[str], numbers: list[int]) -> None:
    features = features_of_words(examples)
    chosen = np.array([number % len(examples) for number in numbers], np.int64)
    np.testing.assert_array_equal(dense(features.of(chosen)), dense(features)[chosen])


def test_probabilities_are_a_softmax_and_nothing_says_nothing() -> None:
    dice = np.random.default_rng(0)
    features = features_of_words(["ab", "", "ccd"])
    classifiers = [
        Linear(dice.normal(size=BUCKETS).astype(np.float32), float(place)) for place in range(3)
    ]
    found = probabilities(classifiers, features)
    logits = dense(features).astype(float) @ np.stack([each.weights for each in classifiers], 1)
    expected = softmax(logits + np.arange(3.0), 1)
    np.testing.assert_allclose(found[[0, 2]], expected[[0, 2]], rtol=1e-5)
    assert np.isnan(found[1]).all()
    assert probabilities(classifiers, features_of_words([])).shape == (0, 3)


def test_frequent_groups_are_recognised() -> None:
    many = linear_judge.LEAST
    values = [("b",)] * many + [("a",)] * (many + 1) + [("rare",)] * (many - 1)
    assert frequent(values) == ("a", "b")
    assert frequent([*values, *[()] * many]) == ("a", "b", NONE)
    assert frequent([("a",)] * many) == ()
    assert frequent([*values, ("a", "b")]) == (), "one that has two values at once"


def test_whole_clusters_are_held_apart() -> None:
    clusters = np.repeat(np.arange(30), 4)
    apart = held_apart(clusters)
    assert apart.sum() == 40
    assert {tuple(set(own)) for own in apart.reshape(30, 4)} <= {(True,), (False,)}


def known_of(groups: Sequence[int], first: int) -> Known:
    values = [("left",) if group else ("right",) for group in groups]
    names = [str(number) for number in range(len(groups))]
    return Known(names, first + np.arange(len(groups)), {"side": values})


def planted(seed: int) -> tuple[Judge, list[np.ndarray], np.random.Generator]:
    """A judge of sentences of two sides, which share most of their words; which examples it read;
    and what goes on drawing."""
    dice = np.random.default_rng(seed)
    groups = {"train": dice.integers(0, 2, 600), "held_out": dice.integers(0, 2, 200)}
    texts = {split: sentences(own, dice) for split, own in groups.items()}
    read: list[np.ndarray] = []

    def of_split(split: str, numbers: np.ndarray) -> Features:
        if split == "train":
            read.append(numbers)
        return features_of_words(texts[split][number] for number in numbers)

    def of_samples(samples: Sequence[Sample]) -> Features:
        return features_of_words(sample.content for sample in samples)

    described = Described(of_split, of_samples, "letters")
    train, held_out = known_of(groups["train"], 0), known_of(groups["held_out"], 600)
    return linear_judges(train, held_out, ["side"], described)["side"], read, dice


def sentences(groups: np.ndarray, dice: np.random.Generator) -> list[str]:
    """Of group 1 a little more of the first letters."""
    found = []
    for group in groups:
        weights = np.where(np.arange(8) < 4, 1.0 + 0.8 * group, 1.0)
        found.append("".join(dice.choice(list(WORDS), 12, p=weights / weights.sum())))
    return found


def test_what_is_checked_was_not_learned_from() -> None:
    judge, read, _ = planted(0)
    learned, checked = (np.concatenate(part) for part in (read[:2], read[2:]))
    assert not set(learned) & set(checked)
    assert len(learned) + len(checked) == 600
    assert judge.truth is not None and judge.judged is not None
    assert len(judge.truth) == len(checked) + 200
    right = float((judge.judged.argmax(1) == judge.truth).mean())
    assert 0.6 < right < 0.95


def test_corrected_shares_hold_the_planted_one() -> None:
    inside = 0
    for seed in range(5):
        judge, _, dice = planted(seed)
        truth = (dice.random(400) < 0.2).astype(int)
        samples = [Sample(text) for text in sentences(truth, dice)]
        found = {each.group: each for each in corrected(judge.of(samples), judge)}
        own = found["left"]
        inside += own.low <= truth.mean() <= own.high
        assert abs(own.share - 0.2) < abs(own.judged - 0.2) + 0.02
    assert inside >= 4


def test_attributes_that_cannot_be_told_have_no_judge() -> None:
    few = known_of(np.zeros(20, int), 0)
    described = Described(lambda split, numbers: pytest.fail("read"), pytest.fail, "letters")
    assert linear_judges(few, few, ["side"], described) == {}
