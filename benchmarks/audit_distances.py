"""How often the intervals of distances to a target hold the true distance, and how often chance
alone is taken for one.

    python benchmarks/audit_distances.py [--sets 300] [--out FILE]

Shares of 2, 5 and 20 groups are planted at a uniform target, near it and far from it; `--sets` sets
of 50 and 500 counts are drawn, or of 600 words in 120 documents that are alike. Printed are, for
total variation and KL divergence: how often the 95% interval holds the true distance, its mean
width, and how often the distance is above `most`, the 95% quantile under the target; beside it how
often a plain bootstrap's percentiles hold it (0% at the target, as no resample is nearer than 0).

Bar: at least 90% of intervals hold in every setting, as far as so many sets can tell (two standard
errors); where the target is true, at most 7% are above `most`. Intervals that hold more often than
98% are wider than they would have to be, which is the price of holding near 0 and far from it
alike.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from common import finish
from genwright.audit import distances
from genwright.audit.distances import distances_to, divergence, total_variation
from genwright.core.groups import GroupCounts

SIMULATED = 1000  # samples of each interval, in place of 4,000
RESAMPLED = 400  # times, of the plain bootstrap
ALIKE = 0.2  # words of a document
DOCUMENTS = 120
WORDS = 5  # of each


def near(groups: int) -> np.ndarray:
    """Of one group 5 points more than its part."""
    shares = np.full(groups, 1 / groups)
    shares[0] += 0.05
    shares[1:] -= 0.05 / (groups - 1)
    return shares


def far(groups: int) -> np.ndarray:
    """The second group is half as frequent as the first, the third a third, and so on."""
    shares = 1 / np.arange(1, groups + 1)
    return shares / shares.sum()


def drawn(shares: np.ndarray, size: int, clustered: bool, draws: np.random.Generator) -> np.ndarray:
    """(examples, groups) counts."""
    if not clustered:
        return np.repeat(np.eye(len(shares), dtype=np.int64), draws.multinomial(size, shares), 0)
    sizes = draws.geometric(1 / WORDS, DOCUMENTS)
    own = draws.dirichlet(shares * (1 / ALIKE - 1), DOCUMENTS)
    return draws.multinomial(sizes, own)


def plain(rows: np.ndarray, target: np.ndarray, draws: np.random.Generator) -> list[tuple]:
    """Percentiles of both distances over resampled examples."""
    times = draws.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), RESAMPLED)
    sums = times @ rows
    shares = sums / sums.sum(1, keepdims=True)
    of_ratio = np.log(np.maximum(shares, 1e-300) / target)
    values = (np.abs(shares - target).sum(1) / 2, (shares * of_ratio).sum(1))
    return [tuple(np.quantile(each, (0.025, 0.975))) for each in values]


def setting(truth: np.ndarray, size: int, clustered: bool, sets: int) -> dict:
    groups = len(truth)
    target = np.full(groups, 1 / groups)
    names = tuple(f"group {number}" for number in range(groups))
    wanted = dict(zip(names, target.tolist(), strict=True))
    true = (total_variation(truth, target), divergence(truth, target))
    held, above, bootstrapped, widths = np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2)
    for number in range(sets):
        draws = np.random.default_rng([number, size, groups, clustered])
        rows = drawn(truth, size, clustered, draws)
        found = distances_to(GroupCounts(names, rows, np.arange(len(rows))), wanted, number)
        resampled = plain(rows, target, draws)
        for place, each in enumerate((found.tv, found.kl)):
            held[place] += each.low <= true[place] + 1e-12 and true[place] <= each.high + 1e-12
            above[place] += each.value > each.most
            widths[place] += (each.high - each.low) / sets
            low, high = resampled[place]
            bootstrapped[place] += low <= true[place] + 1e-12 and true[place] <= high
    return {
        "groups": groups,
        "counts": DOCUMENTS * WORDS if clustered else size,
        "clustered": clustered,
        "true distances": [round(each, 4) for each in true],
        "held": (held / sets).round(4).tolist(),
        "above most": (above / sets).round(4).tolist(),
        "width": widths.round(4).tolist(),
        "plain bootstrap": (bootstrapped / sets).round(4).tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=300)
    parser.add_argument("--out")
    given = parser.parse_args()
    distances.SIMULATED = SIMULATED
    settings = []
    for size, clustered in ((50, False), (500, False), (0, True)):
        for groups in (2, 5, 20):
            for truth in (np.full(groups, 1 / groups), near(groups), far(groups)):
                settings.append(setting(truth, size, clustered, given.sets))
                print(settings[-1], file=sys.stderr, flush=True)
    least = min(min(each["held"]) for each in settings)
    at_target = [each for each in settings if each["true distances"][0] == 0]
    alarms = float(np.mean([each["above most"] for each in at_target]))
    figures = {
        "sets": given.sets,
        "settings": settings,
        "held, least": least,
        "above most at the target, mean": round(alarms, 4),
    }
    sys.exit(finish("audit_distances", figures, given.out))


if __name__ == "__main__":
    main()
