"""The groups of samples: by a rule, or by a judge, whose counts are corrected by its confusion
matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from genwright.audit.among import corrected_among
from genwright.audit.corrected import told_groups
from genwright.audit.groups import Grouping, Labels, counted, groups_in, without_none
from genwright.audit.shift import Shift, appearance_shift
from genwright.core.content import Sample
from genwright.core.errors import GenwrightError
from genwright.core.groups import NONE, GroupCounts, Judge
from genwright.evaluation.intervals import Share, shares

AT_ONCE = 512


@dataclass(frozen=True)
class Judged:
    """Samples with their groups. labels: of each. counts: of them, as they were judged; of a judge
    that is not always right, as they are corrected. shares: likewise. how: for a person."""

    labels: Labels
    counts: GroupCounts
    shares: list[Share]
    how: str
    warnings: list[str] = field(default_factory=list)


def judged_samples(
    grouping: Grouping, judge: Judge | None, samples: Sequence[Sample], order: Sequence[str]
) -> Judged:
    """order: the groups of the data, which come first."""
    clusters = np.arange(len(samples))
    if grouping.rule is not None:
        labels: list[tuple[str, ...]] = []
        for start in range(0, len(samples), AT_ONCE):
            labels += grouping.rule(samples[start : start + AT_ONCE])
        counts = counted(labels, clusters, groups_in(labels, order))
        return Judged(labels, counts, shares(counts), grouping.how)
    assert judge is not None
    probabilities = judge.of(samples)
    named = [judge.groups[place] for place in probabilities.argmax(1).tolist()]
    labels = [() if name == NONE else (name,) for name in named]
    groups = without_none(judge.groups)
    counts = counted(labels, clusters, groups)
    if judge.truth is None or not len(judge.truth):
        warning = f"{grouping.name}: nothing is held out, so the judge's counts are not corrected"
        return Judged(labels, counts, shares(counts), judge.how, [warning])
    try:
        told = told_groups(judge)
        groups = tuple(name for name in groups if name in told)
        found = corrected_among(probabilities, judge, groups)
    except GenwrightError as problem:
        raise GenwrightError(
            f"{grouping.name}: {problem.what}", f"leave it out of --groups, or {problem.remedy}"
        ) from problem
    warnings = _warnings(judge, probabilities, grouping.name, found)
    how = f"{judge.how}; {_right(judge)}"
    return Judged(labels, corrected_counts(found), found, how, warnings)


def _right(judge: Judge) -> str:
    """How often a judge is right, for a person."""
    assert judge.truth is not None and judge.judged is not None
    right = float((judge.judged.argmax(1) == judge.truth).mean())
    most = float(np.bincount(judge.truth).max() / len(judge.truth))
    return (
        f"right about {right:.1%} of {len(judge.truth):,} held-out examples (the commonest group"
        f" alone: {most:.1%}); counts are corrected by that"
    )


def _warnings(
    judge: Judge, probabilities: np.ndarray, name: str, found: Sequence[Share]
) -> list[str]:
    """Where samples look unlike the examples that the correction rests on: by how much, and whether
    that matters. found: the corrected shares."""
    shift = appearance_shift(probabilities, judge)
    if not shift.warned:
        return []
    moved, inside = _otherwise_corrected(shift, judge, found)
    seen = (
        f"unlike held-out examples to the judge (AUC {shift.auc:.2f}, {shift.by_chance:.2f} by"
        f" chance; p = {shift.p_value:.1g})"
    )
    if shift.small and inside:
        return [
            f"{name}: samples look a little {seen}. So small a shift does not move its corrected"
            f" shares as far as can be seen: corrected in another way they are {moved:.1%} away at"
            " most, inside of their intervals. A shift that looks just like more of one group"
            " cannot be seen"
        ]
    how = "somewhat"
    if shift.small:
        how = "a little"
    elif shift.large:
        how = "very"
    return [
        f"{name}: samples look {how} {seen}, so its corrected shares are not to be trusted:"
        f" corrected in another way they are up to {moved:.1%} away; look at the examples of each"
        " group"
    ]


def _otherwise_corrected(shift: Shift, judge: Judge, found: Sequence[Share]) -> tuple[float, bool]:
    """How far the shares that fit all features best are from the corrected ones, at most, and
    whether they are inside of their intervals. Infinite where they are not known."""
    assert shift.weights is not None
    own = np.array([shift.weights[judge.groups.index(share.group)] for share in found])
    total = float(own.sum())
    if total <= 0 or any(np.isnan(share.share) for share in found):
        return 1.0, False
    own = own / total
    moved = max(abs(other - share.share) for other, share in zip(own, found, strict=True))
    inside = all(share.low <= other <= share.high for other, share in zip(own, found, strict=True))
    return float(moved), inside


def corrected_counts(found: Sequence[Share]) -> GroupCounts:
    """Counts of which as many are of each group as its corrected share says, and as few in all as
    independent ones would be worth: what distances are measured on."""
    groups = tuple(share.group for share in found)
    shares_found = np.array([share.share for share in found])
    if np.isnan(shares_found).any():  # no sample is of any of the groups
        return GroupCounts(groups, np.zeros((0, len(groups)), np.int64), np.zeros(0, np.int64))
    sizes = np.array([max(share.effective, 1e-9) for share in found])
    binomial = shares_found * (1 - shares_found)
    variance = float((binomial / sizes).sum())
    size = round(float(binomial.sum()) / variance) if variance > 0 else round(float(sizes.min()))
    numbers = np.floor(shares_found * max(1, size)).astype(np.int64)
    missing = max(1, size) - int(numbers.sum())
    for place in np.argsort(numbers - shares_found * max(1, size))[: max(0, missing)]:
        numbers[place] += 1
    rows = np.repeat(np.eye(len(found), dtype=np.int64), numbers, 0)
    return GroupCounts(groups, rows, np.arange(len(rows)))
