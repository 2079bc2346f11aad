"""Figures of measures that give labels and vectors, beside an independent computation."""

import numpy as np
import pytest

from genwright.core.content import Measure, Sample
from genwright.evaluation.measures import (
    mean_distance,
    measure_figures,
    total_variation,
)

RNG = np.random.default_rng(3)


def samples_of(values):
    return [Sample(value, number=i) for i, value in enumerate(values)]


def figures_of(measure, drawn, real, noise):
    found = measure_figures(
        {measure.name: measure}, samples_of(drawn), samples_of(real), samples_of(noise), "held_out"
    )
    assert len(found) <= 1
    return found[0] if found else None


def variation(some, others):
    """As the largest difference of the probability of any set of labels (its other definition)."""
    labels = sorted({*some, *others})
    share = [[list(x).count(label) / len(x) for label in labels] for x in (some, others)]
    best = 0.0
    for subset in range(1 << len(labels)):
        inside = [i for i in range(len(labels)) if subset >> i & 1]
        best = max(best, abs(sum(share[0][i] for i in inside) - sum(share[1][i] for i in inside)))
    return best


def test_total_variation_is_the_largest_difference_over_all_sets_of_labels():
    assert total_variation("aabb", "aabb") == 0
    assert total_variation("aaaa", "bb") == 1
    assert total_variation("aab", "abb") == pytest.approx(1 / 3)
    for _ in range(20):
        some = RNG.choice(list("abcde"), 17)
        others = RNG.choice(list("cdefg"), 29)
        assert total_variation(list(some), list(others)) == pytest.approx(variation(some, others))


def test_a_label_measure_is_compared_with_half_of_the_real_samples():
    measure = Measure("colour", lambda sample: sample.content, gives="label", counted="balls")
    drawn = list("rrrrgb")
    real = list("rgbbrgbbrrgb")
    noise = list("ggggrb")
    figure = figures_of(measure, drawn, real, noise)
    assert figure.name == "colour: total variation" and figure.unit == "share"
    assert figure.direction == "lower" and figure.count == 6 and figure.counted == "balls"
    assert figure.value == pytest.approx(variation(drawn, real[::2]))
    assert figure.floors == {"noise": pytest.approx(variation(noise, real[::2]))}
    assert figure.ceilings == {"held-out data": pytest.approx(variation(real[1::2], real[::2]))}
    assert "samples: r 67%, g 17%, b 17%; real: b 42%, r 33%, g 25%" in figure.detail


def test_labels_that_say_nothing_are_left_out():
    labels = {"a": "odd", "b": "even", "c": None, "d": float("nan")}
    measure = Measure("parity", lambda sample: labels[sample.content], gives="label")
    figure = figures_of(measure, list("aacd"), list("aabb"), list("bb"))
    assert figure.value == pytest.approx(0.5)
    assert figures_of(measure, list("cd"), list("aabb"), list("bb")) is None
    assert figures_of(measure, list("ab"), [], list("bb")) is None


def test_a_vector_measure_is_the_distance_of_means():
    measure = Measure("profile", lambda s: s.content, gives="vector", unit="share")
    drawn = RNG.normal(1, 1, (40, 5))
    real = RNG.normal(0, 1, (31, 5))
    noise = RNG.normal(4, 1, (40, 5))
    figure = figures_of(measure, drawn, real, noise)
    assert figure.name == "profile: distance of means" and figure.unit == "share"
    reference = real[::2].mean(0)

    def expected(x):
        return sum((a - b) ** 2 for a, b in zip(x.mean(0), reference, strict=True)) ** 0.5

    assert figure.value == pytest.approx(expected(drawn))
    assert figure.floors["noise"] == pytest.approx(expected(noise))
    assert figure.ceilings["held-out data"] == pytest.approx(expected(real[1::2]))
    assert figure.ceilings["held-out data"] < figure.value < figure.floors["noise"]


def test_vectors_with_a_nan_are_left_out():
    whole = np.array([[1.0, 2.0], [3.0, 4.0]])
    measure = Measure("place", lambda sample: sample.content, gives="vector")
    figure = figures_of(measure, [*whole, [np.nan, 9.0]], [[0.0, 0.0]] * 2, [[0.0, 0.0]])
    assert figure.value == pytest.approx(mean_distance(whole, np.zeros((1, 2))))
    assert figure.value == pytest.approx(13**0.5)
