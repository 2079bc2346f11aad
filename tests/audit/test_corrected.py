"""Counts corrected by a confusion matrix, and the check of what the correction rests on."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import APART, judge_of, judged_of

from genwright.audit.corrected import (
    confusion,
    corrected,
    on_simplex,
    told_groups,
)
from genwright.audit.groups import Grouping
from genwright.audit.judged import judged_samples
from genwright.audit.shift import appearance_shift
from genwright.core.content import Sample
from genwright.core.errors import GenwrightError
from genwright.core.groups import Judge
from genwright.evaluation.intervals import wilson


def hard(numbers, groups=2):
    return np.eye(groups)[numbers]


def held_out(right, wrong, groups=2):
    """As many held-out examples of each group, judged right and wrong (as the next group)."""
    truth = np.repeat(np.arange(groups), right + wrong)
    offset = np.tile([0] * right + [1] * wrong, groups)
    return judge_of(truth, hard((truth + offset) % groups, groups))


def test_worked_example():
    """Right 80%, 44% judged a: a is (.44 - .2) / .6 = 40%."""
    samples = hard([0] * 44 + [1] * 56)
    a, b = corrected(samples, held_out(80, 20))
    assert (a.group, b.group) == ("a", "b")
    assert a.judged == pytest.approx(0.44) and a.share == pytest.approx(0.4)
    assert b.share == pytest.approx(0.6)
    assert (a.low, a.high) == pytest.approx((1 - b.high, 1 - b.low))
    assert a.low < 0.3 and a.high > 0.5  # wider than Wilson's of 40 of 100


def test_interval_is_fiellers():
    """For two groups: x with (c - m0 - x (m1 - m0))^2 <= t^2 (variance of c at x, and of the
    means), solved on a fine grid."""
    judge = held_out(70, 30)
    n = 500
    samples = hard([0] * 240 + [1] * 260)
    a, _ = corrected(samples, judge)
    x = np.linspace(0, 1, 200_001)
    of_a, of_b = 0.7, 0.3  # judged a
    each = (100 * 0.21 * 100 / 99 + np.array([of_a, 1 - of_b]) ** 2) / 100**2  # with one added
    mean = x * of_a + (1 - x) * of_b
    single = 0.21 * 100 / 99  # the unbiased variance of one held-out example
    of_samples = (x * (single + of_a**2) + (1 - x) * (single + of_b**2) - mean**2) / n
    variance = of_samples + x**2 * each[0] + (1 - x) ** 2 * each[1]
    inside = x[(0.48 - mean) ** 2 <= 1.97**2 * variance]
    assert (a.low, a.high) == pytest.approx((inside[0], inside[-1]), abs=2e-3)


def test_a_classifier_that_is_never_wrong_gives_nearly_wilsons():
    samples = hard([0] * 30 + [1] * 170)
    a, _ = corrected(samples, held_out(20_000, 0))
    assert (a.low, a.high) == pytest.approx(wilson(30, 200), abs=1e-3)
    none, _ = corrected(hard([1] * 200), held_out(20_000, 0))
    assert none.share == 0 and none.high == pytest.approx(wilson(0, 200)[1], abs=1e-3)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.95, 0.05), (0.6, 0.3, 0.1)])
def test_intervals_hold_the_truth(shares):
    groups = len(shares)
    held = np.zeros(groups)
    raw = np.zeros(groups)
    for seed in range(80):
        dice = np.random.default_rng(seed)
        truth = dice.integers(0, groups, 300)
        labels = dice.choice(groups, 600, p=shares)
        judge = judge_of(truth, judged_of(truth, groups, dice))
        for place, each in enumerate(corrected(judged_of(labels, groups, dice), judge)):
            held[place] += each.low <= shares[place] <= each.high
            raw[place] += each.judged / 80
    assert (held >= 71).all()  # of 80; with a coverage of 95%, fewer in 1 of 200 seeds
    assert max(shares) < 0.6 or abs(raw - shares).max() > 0.05  # what is corrected


def test_clusters_widen():
    samples = hard([0] * 44 + [1] * 56)
    judge = held_out(80, 20)
    alone, _ = corrected(samples, judge)
    alike, _ = corrected(samples, judge, clusters=np.arange(100) // 5)
    assert alike.high - alike.low > 1.1 * (alone.high - alone.low)
    known = Judge(judge.groups, judge.of, "", judge.truth, judge.judged, np.arange(200) // 5)
    fewer, _ = corrected(samples, known)
    assert fewer.high - fewer.low > 1.1 * (alone.high - alone.low)


def test_rows_of_nan_say_nothing():
    judge = held_out(80, 20)
    samples = hard([0] * 44 + [1] * 56)
    silent = np.full((7, 2), np.nan)
    assert corrected(np.concatenate([silent, samples]), judge) == corrected(samples, judge)
    with pytest.raises(GenwrightError, match="says nothing of any sample"):
        corrected(silent, judge)


def test_a_classifier_at_chance_is_refused():
    refused = 0
    for seed in range(40):
        dice = np.random.default_rng(seed)
        truth = dice.integers(0, 2, 300)
        judge = judge_of(truth, judged_of(truth * 0, 2, dice))
        try:
            corrected(hard([0, 1] * 50), judge)
        except GenwrightError as refusal:
            assert "is at chance on held-out examples" in str(refusal)
            assert "; train a classifier" in str(refusal)
            refused += 1
    assert refused >= 38
    with pytest.raises(GenwrightError, match="at chance"):  # a matrix without an inverse
        corrected(hard([0, 1] * 50), held_out(50, 50))


def test_a_group_with_few_held_out_examples_is_refused():
    judge = judge_of(np.array([0] * 50 + [1] * 4), hard([0] * 50 + [1] * 4))
    with pytest.raises(GenwrightError, match="4 held-out examples are b, too few"):
        corrected(hard([0, 1]), judge)


def test_a_rule_has_nothing_to_correct():
    rule = Judge(("a", "b"), lambda samples: hard([0]), "a rule")
    for check in (corrected, appearance_shift):
        with pytest.raises(ValueError, match="a rule has no held-out examples"):
            check(hard([0, 1]), rule)


def test_matrix_is_a_loop():
    dice = np.random.default_rng(0)
    truth = dice.integers(0, 3, 60)
    judged = judged_of(truth, 3, dice)
    matrix = confusion(judge_of(truth, judged))
    for group in range(3):
        rows = judged[truth == group]
        assert matrix.means[group] == pytest.approx(rows.mean(0))
        assert matrix.spreads[group] == pytest.approx(np.cov(rows.T))
        assert matrix.counts[group] == len(rows)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=6))
def test_nearest_shares(values):
    """No other shares are nearer."""
    values = np.array(values)
    found = on_simplex(values)
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    for seed in range(20):
        other = np.random.default_rng(seed).dirichlet(np.ones(len(values)))
        assert ((values - found) ** 2).sum() <= ((values - other) ** 2).sum() + 1e-9


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_any_samples_give_shares(numbers, seed):
    dice = np.random.default_rng(seed)
    truth = np.repeat(np.arange(3), 60)
    judge = judge_of(truth, judged_of(truth, 3, dice))
    found = corrected(judged_of(np.array(numbers), 3, dice), judge)
    assert sum(each.share for each in found) == pytest.approx(1)
    for each in found:
        assert 0 <= each.low <= each.share <= each.high <= 1
        assert each.low < each.high


# ---- the shift of appearance


def warnings(groups, runs=100, **changed):
    warned = 0
    for seed in range(runs):
        dice = np.random.default_rng(seed)
        truth = dice.integers(0, groups, 400)
        labels = dice.choice(groups, 1500, p=np.arange(groups, 0, -1) / sum(range(groups + 1)))
        judge = judge_of(truth, judged_of(truth, groups, dice))
        warned += appearance_shift(judged_of(labels, groups, dice, **changed), judge).warned
    return warned


@pytest.mark.parametrize("groups", [2, 3])
def test_shares_alone_are_no_shift(groups):
    assert warnings(groups) <= 5  # of 100, at a level of 2%


@pytest.mark.parametrize("groups", [2, 3])
def test_planted_shifts_are_warned_of(groups):
    assert warnings(groups, 40, apart=0.5 * APART[groups]) >= 34  # fainter
    assert warnings(groups, 40, apart=1.6 * APART[groups]) >= 38  # clearer


def test_shift_that_cannot_be_seen_is_not_warned_of():
    for samples, judge in (
        (hard([0, 1] * 50), held_out(80, 20)),  # a hard classifier leaves nothing over
        (hard([0, 1]), held_out(80, 20)),
        (hard([0] * 30), judge_of(np.repeat([0, 1], 30), hard([0] * 60))),
    ):
        found = appearance_shift(samples, judge)
        assert math.isnan(found.p_value) and not found.warned


def test_clusters_of_samples_are_no_shift():
    warned = 0
    for seed in range(60):
        dice = np.random.default_rng(seed)
        truth = dice.integers(0, 2, 400)
        judge = judge_of(truth, judged_of(truth, 2, dice))
        one = judged_of(dice.integers(0, 2, 150), 2, dice)
        copies = np.repeat(one, 10, axis=0)  # each sample ten times
        warned += appearance_shift(copies, judge, np.arange(1500) // 10).warned
    assert warned <= 4


def shifted(groups, samples, known=2000, seed=0, **changed):
    """A planted judge, and what it makes of samples that look other by `changed`."""
    dice = np.random.default_rng(seed)
    truth = dice.integers(0, groups, known)
    judge = judge_of(truth, judged_of(truth, groups, dice))
    labels = dice.choice(groups, samples, p=np.arange(groups, 0, -1) / sum(range(groups + 1)))
    return judge, judged_of(labels, groups, dice, **changed)


@pytest.mark.parametrize("groups", [2, 3])
def test_the_size_of_a_shift_does_not_grow_with_the_samples(groups):
    sizes = {}
    for samples in (2000, 40_000):
        judge, judged = shifted(groups, samples, apart=0.6 * APART[groups])
        sizes[samples] = appearance_shift(judged, judge)
    few, many = sizes.values()
    assert many.p_value < few.p_value / 100
    assert few.auc == pytest.approx(many.auc, abs=0.04)
    assert few.distance == pytest.approx(many.distance, abs=0.12)
    none = appearance_shift(*shifted(groups, 2000)[::-1])
    assert none.auc == pytest.approx(none.by_chance, abs=0.02) and none.by_chance < 0.54
    assert none.distance < 0.1


def test_the_auc_of_a_shift_is_that_of_telling_samples_from_examples():
    """Of samples of which the classifier is much surer than of held-out examples, of one group."""
    dice = np.random.default_rng(0)
    truth = np.repeat([0, 1], 2000)
    sure = dice.normal(0, 1, 4000) + np.where(truth == 0, 4.0, -4.0)
    judge = judge_of(truth, np.stack([sure, -sure], 1))
    score = dice.normal(0, 1, 4000)  # between the two groups, where no example is
    found = appearance_shift(np.stack([score, -score], 1), judge)
    assert found.large and found.auc > 0.9


def warned_of(judge, judged):
    grouping = Grouping("tone", "what the data say", None)
    own = replace(judge, of=lambda samples: judged)
    samples = [Sample(None)] * len(judged)
    return judged_samples(grouping, own, samples, judge.groups).warnings


def test_a_warning_says_how_large_the_shift_is_and_whether_it_matters():
    assert warned_of(*shifted(3, 3000)) == []
    (small,) = warned_of(*shifted(3, 20_000, apart=0.9 * APART[3], seed=1))
    assert "look a little unlike" in small and "by chance; p = " in small
    assert "does not move its corrected shares" in small and "not to be trusted" not in small
    (large,) = warned_of(*shifted(3, 3000, apart=2 * APART[3]))
    assert "look very unlike" in large and "not to be trusted" in large
    auc = float(large.partition("AUC ")[2][:4])
    assert auc > float(small.partition("AUC ")[2][:4]) + 0.1


def judge_of_which_one_group_is_not_told(seed: int) -> tuple[Judge, np.random.Generator]:
    """Of three groups; the last one's held-out examples are of four clusters, of which three are
    judged to be of any group."""
    dice = np.random.default_rng(seed)
    truth = np.repeat([0, 1, 2], [200, 200, 40])
    judged = 0.05 + 0.85 * np.eye(3)[truth]
    clusters = np.arange(len(truth))
    clusters[truth == 2] = 1000 + np.arange(40) // 10
    judged[np.isin(clusters, (1000, 1001, 1002))] = [0.36, 0.36, 0.28]
    judged += dice.normal(0, 0.01, judged.shape)
    return Judge(("a", "b", "c"), lambda samples: judged, "planted", truth, judged, clusters), dice


def test_a_group_that_is_not_told_leaves_the_others() -> None:
    judge, dice = judge_of_which_one_group_is_not_told(0)
    assert told_groups(judge) == ("a", "b")
    drawn = np.repeat([0, 1], [60, 140])
    rows = 0.05 + 0.85 * np.eye(3)[drawn] + dice.normal(0, 0.01, (200, 3))
    found = {each.group: each for each in corrected(rows, judge)}
    assert (found["c"].low, found["c"].high) == (0, 1), "nothing is said of it"
    for group, share in (("a", 0.3), ("b", 0.7)):
        assert found[group].low <= share <= found[group].high
        assert found[group].high - found[group].low < 0.3
    grouping = Grouping("kind", "what the data say", None)
    planted = replace(judge, of=lambda samples: rows)
    own = judged_samples(grouping, planted, [Sample(None)] * 200, ["a", "b", "c"])
    assert [share.group for share in own.shares] == ["a", "b"]
    assert sum(share.share for share in own.shares) == pytest.approx(1)
