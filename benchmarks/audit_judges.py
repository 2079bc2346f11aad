"""Judges of what only the data say, of real texts and music: how often they are right, and whether
corrected shares hold the true ones.

    python benchmarks/audit_judges.py [--sets 400] [--samples 300] [--out FILE]

Texts: which package of the standard library a Python file lies in (recipe `code`, attribute
`folder`). Music: which collection a tune is of (recipe `tunes`, attribute `collection`).

A judge is made as an audit makes it, from two thirds of the training split. The examples that it
did not learn from are parted by clusters, at random, a set at a time: one half is the confusion
matrix, of the other half `--samples` (or as many as there are) are drawn without replacement, by
shares of groups that come from a flat Dirichlet distribution. They stand for what a model makes.
Counted is how often the 95% interval holds that share, over all groups and sets; and how far judged
and corrected shares are off.

Bar: the interval holds in 92 to 98%; judges are right more often than the commonest group is.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from common import finish
from genwright.audit.corrected import corrected
from genwright.core.errors import GenwrightError
from genwright.core.groups import Audited, Judge
from genwright.runs.content import registered
from genwright.runs.request import read_recipe

FITTING = 0.75  # of the examples of a group that are drawn, at most, in the mean
LEAST = 30  # samples of a set
OF = {"texts": ("code", "folder"), "music": ("tunes", "collection")}


def judge_of(recipe: str, attribute: str, changes: dict) -> Judge:
    read = read_recipe(recipe, changes)
    dataset = read.data.prepare(read.codec)
    content = registered(dataset.codec.content)
    assert isinstance(content, Audited)
    found = content.judges(dataset, [attribute])
    if attribute not in found:
        raise GenwrightError(f"{attribute} of {recipe} is not recognised", "give more data")
    return found[attribute]


def chosen(truth: np.ndarray, shares: np.ndarray, size: int, dice: np.random.Generator):
    """Places of examples drawn with such chances, at most `size`; as many as there are for it."""
    counts = np.bincount(truth, minlength=len(shares))
    enough = FITTING * counts[shares > 0] / shares[shares > 0]
    numbers = dice.multinomial(min(size, int(enough.min())), shares)
    if (numbers > counts).any():
        return np.zeros(0, np.int64)  # by chance more than there are
    places = []
    for group, number in enumerate(numbers):
        places.append(dice.choice(np.flatnonzero(truth == group), number, replace=False))
    return np.concatenate(places)


def figures_of(judge: Judge, sets: int, size: int, dice: np.random.Generator) -> dict:
    truth, judged, clusters = judge.truth, judge.judged, judge.clusters
    groups = len(judge.groups)
    every = np.unique(clusters)
    held, refused = [], 0
    widths, judged_off, corrected_off, sizes = [], [], [], []
    for _ in range(sets):
        half = np.isin(clusters, dice.permutation(every)[: len(every) // 2])
        places = np.flatnonzero(~half)
        shares = dice.dirichlet(np.ones(groups))
        drawn = places[chosen(truth[places], shares, size, dice)]
        if len(drawn) < LEAST:
            continue
        own = Judge(judge.groups, judge.of, judge.how, truth[half], judged[half], clusters[half])
        try:
            found = corrected(judged[drawn], own)
        except GenwrightError:
            refused += 1
            continue
        sizes.append(len(drawn))
        for share, each in zip(shares, found, strict=True):
            held.append(each.low <= share <= each.high)
            widths.append(each.high - each.low)
            judged_off.append(abs(each.judged - share))
            corrected_off.append(abs(each.share - share))
    return {
        "groups": list(judge.groups),
        "examples not learned from": len(truth),
        "right": round(float((judged.argmax(1) == truth).mean()), 4),
        "commonest group": round(float(np.bincount(truth).max() / len(truth)), 4),
        "sets": len(sizes),
        "refused": refused,
        "samples, mean": round(float(np.mean(sizes)), 1) if sizes else None,
        "coverage": round(float(np.mean(held)), 4) if held else None,
        "width, mean": round(float(np.mean(widths)), 4) if held else None,
        "judged off by, mean": round(float(np.mean(judged_off)), 4) if held else None,
        "corrected off by, mean": round(float(np.mean(corrected_off)), 4) if held else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--of", nargs="+", choices=list(OF), default=list(OF))
    parser.add_argument("--out")
    a = parser.parse_args()
    figures: dict = {}
    for name in a.of:
        recipe, attribute = OF[name]
        dice = np.random.default_rng(0)
        judge = judge_of(recipe, attribute, {})
        figures[name] = figures_of(judge, a.sets, a.samples, dice)
        figures[name]["right, above the commonest group"] = round(
            figures[name]["right"] - figures[name]["commonest group"], 4
        )
    sys.exit(finish("audit_judges", figures, a.out))


if __name__ == "__main__":
    main()
