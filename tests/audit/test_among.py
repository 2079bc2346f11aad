"""Corrected shares among samples that have any of some groups."""

from typing import Any

import numpy as np
import pytest

from genwright.audit.among import corrected_among
from genwright.audit.judged import corrected_counts
from genwright.core.errors import GenwrightError
from genwright.core.groups import NONE, Judge

GROUPS = ("a", "b", NONE)
RIGHT = np.array([[0.8, 0.1, 0.1], [0.15, 0.7, 0.15], [0.1, 0.1, 0.8]])  # true group, judged


def judged(rng: Any, shares: list[float], count: int) -> tuple[np.ndarray, np.ndarray]:
    """True groups, and what a judge of `RIGHT` says of them, as certain as it gets."""
    truth = rng.choice(3, count, p=shares)
    passed = RIGHT.cumsum(1)[truth, :2]
    said = (rng.random(count)[:, None] > passed).sum(1)
    return truth, np.eye(3)[said]


def judge_of(rng: Any, count: int = 400) -> Judge:
    truth, said = judged(rng, [0.3, 0.3, 0.4], count)
    return Judge(GROUPS, lambda samples: np.zeros((0, 3)), "a coin", truth, said, np.arange(count))


def test_shares_among_are_found_whatever_has_none_of_them() -> None:
    rng = np.random.default_rng(1)
    judge = judge_of(rng, 4000)
    _, said = judged(rng, [0.06, 0.24, 0.7], 20_000)
    found = corrected_among(said, judge, ("a", "b"))
    assert found[0].share == pytest.approx(0.2, abs=0.03)
    assert found[0].share + found[1].share == pytest.approx(1)
    raw = said.mean(0)
    assert abs(raw[0] / raw[:2].sum() - 0.2) > 0.1  # as it was judged it is far off


def test_intervals_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    inside = 0
    sets = 300
    for _ in range(sets):
        judge = judge_of(rng)
        _, said = judged(rng, [0.1, 0.3, 0.6], 500)
        share = corrected_among(said, judge, ("a", "b"))[0]
        inside += share.low <= 0.25 <= share.high
    assert 0.92 <= inside / sets <= 0.985


def test_intervals_of_a_rare_group_hold_and_are_narrow() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    widths = []
    sets = 100
    for _ in range(sets):
        judge = judge_of(rng)
        _, said = judged(rng, [0.005, 0.495, 0.5], 500)
        share = corrected_among(said, judge, ("a", "b"))[0]
        inside += share.low <= 0.01 <= share.high
        widths.append(share.high - share.low)
    assert inside >= 90
    assert np.mean(widths) < 0.25


def test_a_judge_at_chance_is_refused() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 300)
    said = np.eye(3)[rng.integers(0, 3, 300)]
    judge = Judge(GROUPS, lambda samples: said, "a coin", truth, said, np.arange(300))
    with pytest.raises(GenwrightError, match="at chance"):
        corrected_among(said, judge, ("a", "b"))


def test_counts_are_as_the_corrected_shares_say() -> None:
    rng = np.random.default_rng(4)
    judge = judge_of(rng)
    _, said = judged(rng, [0.1, 0.3, 0.6], 500)
    found = corrected_among(said, judge, ("a", "b"))
    counts = corrected_counts(found)
    assert counts.total <= 500
    assert min(share.effective for share in found) <= counts.total + 1
    assert counts.counts.sum(0)[0] == pytest.approx(found[0].share * counts.total, abs=1)


def test_nothing_is_said_where_no_sample_is_of_any_group() -> None:
    truth = np.repeat([0, 1, 2], 100)
    judge = Judge(("a", "b", NONE), lambda samples: samples, "never wrong", truth, np.eye(3)[truth])
    found = corrected_among(np.eye(3)[[2] * 20], judge, ("a", "b"))
    assert [(each.total, np.isnan(each.share), each.low, each.high) for each in found] == [
        (0, True, 0.0, 1.0)
    ] * 2
    assert corrected_counts(found).total == 0


def test_what_a_judge_cannot_tell_is_said_and_gets_no_rate() -> None:
    from genwright.audit.found import GroupsFound, remarks_on
    from genwright.audit.table import share_cells

    rng = np.random.default_rng(5)
    judge = judge_of(rng)
    _, said = judged(rng, [0.0, 0.0, 1.0], 500)  # a fifth is judged to be "a" or "b" all the same
    found = corrected_among(said, judge, ("a", "b"))
    if not all(np.isnan(share.share) for share in found):  # a few, by chance
        found = corrected_among(np.tile([[0.0, 0.0, 1.0]], (500, 1)), judge, ("a", "b"))
    assert [share_cells(share) for share in found] == [["not known", ""]] * 2
    groups = GroupsFound("tone", "", "samples", "samples", 500, 400, found, 0.0, 0.0)
    remarks = remarks_on([groups], "sample")
    assert any("is surely of any group" in remark for remark in remarks)
