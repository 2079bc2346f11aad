"""Groups by a classifier that is right 80% of the time: do corrected shares hold the planted ones,
and is a shift of appearance warned of?

    python benchmarks/audit_corrected.py [--sets 1000] [--out FILE]

Planted: a thing of group g has `groups` scores, Gaussian, the g-th of them higher by as much as
makes the highest right 80% of the time; probabilities are what that model says. Held-out examples
have known groups, and correct what is judged of samples (`audit/corrected.py`). Over `--sets` sets
each: how often the 95% interval holds a share (of all groups together, and the worst group), its
mean width, the mean error of what is judged and of what is corrected.

Shifts: samples look fainter (their scores stand half as far apart), clearer (1.6 times as far),
noisier, or nearer to the first group, than the held-out examples. Counted is how often
`audit/shift.py` warns of each, and of none; and how far the corrected shares are off by it.

Among: the first of three groups stands for having none, and shares are those among the rest
(`audit/among.py`).

Bar: coverage of every setting in 92 to 98%, as far as so many sets can tell (two standard errors);
the planted shift ("fainter") warned of in at least 95% of sets of 500 held-out examples; at most 3%
false alarms.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from common import finish
from genwright.audit.among import corrected_among
from genwright.audit.corrected import corrected
from genwright.audit.shift import appearance_shift
from genwright.core.groups import Judge

RIGHT = 0.8
SAMPLES = 1000
TRIED = 200_000  # things, to see how often a classifier is right
SHIFTS = ("none", "fainter", "clearer", "noisier", "drawn to one")
TOGETHER = 5  # samples of a cluster
ALIKE = 0.7  # how often one is of its cluster's group


class Planted(NamedTuple):
    """shares: of samples. held_out: shares of the held-out examples, and how many there are.
    clustered: samples and held-out examples come in clusters of five."""

    shares: tuple[float, ...]
    held_out: tuple[float, ...]
    examples: int
    clustered: bool = False


PLANTED = [
    Planted(shares, known, examples, clustered)
    for shares, known in (
        ((0.5, 0.5), (0.5, 0.5)),
        ((0.9, 0.1), (0.5, 0.5)),
        ((0.98, 0.02), (0.7, 0.3)),
        ((0.4, 0.3, 0.3), (0.5, 0.3, 0.2)),
        ((0.8, 0.15, 0.05), (0.5, 0.3, 0.2)),
    )
    for examples in (200, 350, 500)
    for clustered in (False, True)
    if not clustered or examples == 500
]
AMONG = [
    Planted((0.2, 0.4, 0.4), (0.4, 0.3, 0.3), 500),
    Planted((0.8, 0.15, 0.05), (0.4, 0.3, 0.3), 500),
    Planted((0.5, 0.49, 0.01), (0.4, 0.3, 0.3), 200),
    Planted((0.5, 0.49, 0.01), (0.4, 0.3, 0.3), 500),
    Planted((0.5, 0.4, 0.1), (0.4, 0.3, 0.3), 500, clustered=True),
]


def distance(groups: int) -> float:
    """By how much the score of the true group is higher, so that the highest is right 80% of the
    time."""
    scores = np.random.default_rng(0).normal(size=(TRIED, groups))
    lead = scores[:, 1:].max(1) - scores[:, 0]
    return float(np.quantile(lead, RIGHT))


DISTANCE = {2: distance(2), 3: distance(3)}


def judged(labels: np.ndarray, groups: int, draws: np.random.Generator, shift: str) -> np.ndarray:
    """(n, groups) probabilities of things of these groups."""
    apart = DISTANCE[groups]
    spread = 1.0
    if shift == "fainter":
        apart *= 0.5
    if shift == "clearer":
        apart *= 1.6
    if shift == "noisier":
        spread = 1.3
    scores = draws.normal(0, spread, (len(labels), groups))
    scores[np.arange(len(labels)), labels] += apart
    if shift == "drawn to one":
        scores[:, 0] += 0.7
    chances = np.exp(DISTANCE[groups] * scores)
    return chances / chances.sum(1, keepdims=True)


def labels_of(
    shares: tuple[float, ...], size: int, clustered: bool, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) groups, and clusters."""
    labels = draws.choice(len(shares), size, p=shares)
    clusters = np.arange(size)
    if clustered:
        clusters //= TOGETHER
        common = draws.choice(len(shares), size, p=shares)[clusters]
        labels = np.where(draws.random(size) < ALIKE, common, labels)
    return labels, clusters


class Set(NamedTuple):
    labels: np.ndarray
    samples: np.ndarray
    clusters: np.ndarray
    judge: Judge


def planted_set(planted: Planted, shift: str, number: int) -> Set:
    groups = len(planted.shares)
    draws = np.random.default_rng([number, planted.examples, round(1000 * planted.shares[-1])])
    truth, known = labels_of(planted.held_out, planted.examples, planted.clustered, draws)
    names = tuple("abc"[:groups])
    held_out = judged(truth, groups, draws, "none")
    judge = Judge(names, lambda samples: held_out, "planted", truth, held_out, known)
    labels, clusters = labels_of(planted.shares, SAMPLES, planted.clustered, draws)
    return Set(labels, judged(labels, groups, draws, shift), clusters, judge)


def coverage(planted: Planted, sets: int) -> dict:
    """What corrected shares do, without a shift."""
    groups = len(planted.shares)
    held = np.zeros(groups)
    widths = np.zeros(groups)
    errors = np.zeros(2)  # judged, corrected
    right = 0.0
    warned = 0
    for number in range(sets):
        one = planted_set(planted, "none", number)
        right += float((one.samples.argmax(1) == one.labels).mean()) / sets
        found = corrected(one.samples, one.judge, one.clusters)
        for place, (each, truth) in enumerate(zip(found, planted.shares, strict=True)):
            held[place] += each.low <= truth <= each.high
            widths[place] += (each.high - each.low) / sets
            errors += np.abs([each.judged - truth, each.share - truth]) / groups / sets
        warned += appearance_shift(one.samples, one.judge, one.clusters).warned
    return {
        "shares": planted.shares,
        "held-out examples": planted.examples,
        "clustered": planted.clustered,
        "right": round(right, 3),
        "coverage": round(float(held.mean()) / sets, 4),
        "coverage, least": float(held.min()) / sets,
        "coverage, most": float(held.max()) / sets,
        "width": [round(float(width), 3) for width in widths],
        "error judged": round(float(errors[0]), 4),
        "error corrected": round(float(errors[1]), 4),
        "false alarms": warned / sets,
    }


def among(planted: Planted, sets: int) -> dict:
    """What corrected shares do among the groups but the first; of two, the intervals of one are
    those of the other turned round."""
    truth = planted.shares[2] / sum(planted.shares[1:])
    held = 0
    width = 0.0
    for number in range(sets):
        one = planted_set(planted, "none", number)
        found = corrected_among(one.samples, one.judge, ("b", "c"), one.clusters)[1]
        held += found.low <= truth <= found.high
        width += (found.high - found.low) / sets
    return {
        "shares": planted.shares,
        "held-out examples": planted.examples,
        "clustered": planted.clustered,
        "coverage": held / sets,
        "coverage, least": held / sets,
        "coverage, most": held / sets,
        "width": round(width, 3),
    }


def shifts(planted: Planted, sets: int) -> dict:
    """How often each shift is warned of, and what it does to corrected shares."""
    found: dict = {"shares": planted.shares, "held-out examples": planted.examples}
    for shift in SHIFTS:
        warned = 0
        off = 0.0
        for number in range(sets):
            one = planted_set(planted, shift, number)
            warned += appearance_shift(one.samples, one.judge, one.clusters).warned
            first = corrected(one.samples, one.judge, one.clusters)[0]
            off += (first.share - planted.shares[0]) / sets
        found[shift] = {"warned": warned / sets, "first share off by": round(off, 3)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--out")
    given = parser.parse_args()
    settings, shifted = [], []
    for planted in PLANTED:
        settings.append(coverage(planted, given.sets))
        print(settings[-1], file=sys.stderr, flush=True)
    within = []
    for planted in AMONG:
        within.append(among(planted, given.sets))
        print(within[-1], file=sys.stderr, flush=True)
    for planted in PLANTED:
        if planted.examples != 350 and not planted.clustered:
            shifted.append(shifts(planted, given.sets))
            print(shifted[-1], file=sys.stderr, flush=True)
    alarms = [each["false alarms"] for each in settings]
    seen = [each["fainter"]["warned"] for each in shifted if each["held-out examples"] == 500]
    figures = {
        "sets": given.sets,
        "samples": SAMPLES,
        "settings": settings,
        "among": within,
        "shifts": shifted,
        "mean coverage": round(float(np.mean([each["coverage"] for each in settings])), 4),
        "false alarms, mean": round(float(np.mean(alarms)), 4),
        "planted shift warned of, least": min(seen),
    }
    sys.exit(finish("audit_corrected", figures, given.out))


if __name__ == "__main__":
    main()
