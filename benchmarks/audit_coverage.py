"""How often the intervals of audits hold what was planted: shares of groups in text, pictures and
music of samplers whose rates are known, and ratios of rates. Nothing is trained.

    python benchmarks/audit_coverage.py [--sets 1000] [--only text ...] [--out FILE]

A sampler draws which group a thing is of, at a known rate, and then the thing: a text with a word
of a list, a sprite of a colour, a tune in a key. What it made is judged as audits do it: by the
list (`core/lexicon.py`), by the measures `main hue` and `key`. Two kinds of sets:

- independent: every thing has one group by itself; the interval is Wilson's.
- clustered: a document has several words (geometric, 5 on average), a series 5 pictures, a book
  several tunes (log-normal, 1 to 100 and more); a cluster has shares of its own, a Dirichlet draw
  around the known rates.

Of each rate (2, 10, 50%) and size, over `--sets` sets: how often the 95% interval holds the rate;
how often all intervals of `simultaneous` hold theirs; the mean width. Beside independent sets of a
fixed size stands the exact coverage of Wilson's interval, by enumeration; the width is compared
with the exact binomial interval's (Clopper and Pearson). Beside clustered ones stands what Wilson's
interval would do that ignores the clusters, and the bootstrap by cluster.

Ratios: 3 times as many of one group are removed (6 and 2%, 30 and 10%), of 200 and of 2,000 each.

Bar: the mean coverage over settings of each kind of content lies in 92 to 98%, and that of each
setting does, as far as so many sets can tell (two standard errors); where independent, the mean
width is at most 1.2 of the exact interval's. Settings outside 92 to 98% are listed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))

import genwright  # noqa: F401  registers the kinds of content
from common import finish
from genwright.audit.groups import counted
from genwright.contents.images.source_sprites import COLOURS, Sprites
from genwright.contents.music.measures import TONICS
from genwright.contents.music.score import Note, Score
from genwright.core.content import Sample
from genwright.core.groups import GroupCounts
from genwright.core.lexicon import read_lexicon
from genwright.core.registry import measures_of
from genwright.evaluation.intervals import Share, ratio, shares, wilson

RATES = (0.02, 0.1, 0.5)
SIZES = (50, 200, 1000)  # things, where they are independent
CLUSTERS = (20, 50, 200)
RESAMPLED = 200  # times, of a bootstrap
BOOTSTRAPPED = 100  # sets that are, at most
BETWEEN = (0.92, 0.98)
REST = (0.7, 0.3)  # how the other two groups share the rest
WORDS = {"female": ("she", "her", "a woman"), "male": ("he", "him", "a man"), "other": ("they",)}
FILLER = ("the", "of", "and", "to", "in", "is", "on", "by", "with", "from", "that", "was", "as")
SILENT = 0.2  # independent texts without a listed word
POOL = 60  # pictures of each colour, tunes of each key
SCALE = (0, 2, 4, 5, 7, 9, 11)

Draw = Callable[[np.random.Generator, np.ndarray, np.ndarray], list[tuple[str, ...]]]


class Sampler(NamedTuple):
    """groups: the one of the rate, and two others. things: (draws, (n,) group of each mention, (n,)
    thing that it stands in) -> of each thing its groups, as they were judged. sizes: draws ->
    (clusters,) mentions of each. alike: how alike mentions of a cluster are, 0 to 1. whole: a
    cluster is one thing, and not several. silent: the share of independent things that say
    nothing. seed: of its draws."""

    groups: tuple[str, ...]
    things: Draw
    sizes: Callable[[np.random.Generator, int], np.ndarray]
    alike: float
    seed: int
    whole: bool = False
    silent: float = 0.0


# ---- what is drawn


def text_sampler() -> Sampler:
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"{word},{group}" for group, words in WORDS.items() for word in words]
        path = Path(folder) / "gender.csv"
        path.write_text("\n".join(lines))
        lexicon = read_lexicon(path)
    groups = tuple(WORDS)

    def things(
        draws: np.random.Generator, mentions: np.ndarray, places: np.ndarray
    ) -> list[tuple[str, ...]]:
        texts: list[list[str]] = [[] for _ in range(int(places.max(initial=-1)) + 1)]
        filler = draws.integers(0, len(FILLER), (len(mentions), 3))
        which = draws.integers(0, 3, len(mentions))
        for mention, place, number, words in zip(mentions, places, which, filler, strict=True):
            text = texts[place]
            text += [FILLER[word] for word in words]
            if mention >= 0:
                listed = WORDS[groups[mention]]
                text.append(listed[number % len(listed)])
        found = []
        for text in texts:
            words = lexicon.found(" ".join(text).capitalize())
            found.append(tuple(group for _, _, group in words))
        return found

    def sizes(draws: np.random.Generator, clusters: int) -> np.ndarray:
        return draws.geometric(0.2, clusters)

    return Sampler(groups, things, sizes, 0.2, 0, whole=True, silent=SILENT)


def pooled(labels: dict[str, list[str]], groups: tuple[str, ...]) -> Draw:
    """Things out of a pool. labels: of each group what its things were judged as."""
    table = np.array([labels[group] for group in groups])  # (groups, POOL)

    def things(
        draws: np.random.Generator, mentions: np.ndarray, places: np.ndarray
    ) -> list[tuple[str, ...]]:
        chosen = table[mentions, draws.integers(0, table.shape[1], len(mentions))]
        return [(label,) for label in chosen.tolist()]

    return things


def image_sampler() -> Sampler:
    sprites = Sprites(16, 3, (255, 255, 255))
    every = np.arange(len(sprites))
    colours = Sprites.factors(every)[:, 5]
    measure = measures_of("image")["main hue"]
    groups = ("purple", "blue", "green")
    draws = np.random.default_rng(0)
    labels = {}
    for group in groups:
        chosen = draws.choice(every[colours == list(COLOURS).index(group)], POOL)
        pixels = torch.from_numpy(sprites.take(chosen)).float() / 127.5 - 1
        labels[group] = [str(label) for label in measure.values([Sample(x) for x in pixels])]
    check(labels)

    def sizes(draws: np.random.Generator, clusters: int) -> np.ndarray:
        return np.full(clusters, 5)

    return Sampler(groups, pooled(labels, groups), sizes, 0.1, 1)


def music_sampler() -> Sampler:
    measure = measures_of("music")["key"]
    groups = ("G major", "D major", "A minor")
    draws = np.random.default_rng(0)
    labels = {}
    for group in groups:
        tunes = [Sample(tune(draws, group)) for _ in range(POOL)]
        labels[group] = [str(label) for label in measure.values(tunes)]
    check(labels)

    def sizes(draws: np.random.Generator, clusters: int) -> np.ndarray:
        return np.maximum(1, np.exp(draws.normal(1.2, 1, clusters)).astype(np.int64))

    return Sampler(groups, pooled(labels, groups), sizes, 0.3, 2)


def tune(draws: np.random.Generator, key: str) -> Score:
    """Sixteen bars that walk over a scale and rest on the notes of its tonic triad."""
    tonic = TONICS.index(key.split()[0])
    first = tonic
    if key.endswith("minor"):
        first = tonic + 3  # the scale of its relative major
    pitches = sorted(first % 12 + 48 + octave + step for octave in (0, 12) for step in SCALE)
    triad = [(tonic + step) % 12 for step in (0, 7, 4 if key.endswith("major") else 3)]
    notes = []
    for beat in range(64):
        pitch = int(draws.choice(pitches))
        length = 4
        if beat % 4 == 0:
            length = 8
            wanted = triad[int(draws.choice(3, p=(0.8, 0.15, 0.05)))]
            pitch = int(draws.choice([60 + wanted, 48 + wanted]))
        notes.append(Note(4 * beat, length, pitch))
    return Score((tuple(notes),), 4 * 64 + 4)


def check(labels: dict[str, list[str]]) -> None:
    """What was planted must be what is judged, or the rate is not known."""
    for group, judged in labels.items():
        wrong = [label for label in judged if label != group]
        if wrong:
            raise SystemExit(f"{len(wrong)} of {POOL} things of {group} are judged {wrong[0]}")


SAMPLERS = {"text": text_sampler, "images": image_sampler, "music": music_sampler}


def independent_set(
    sampler: Sampler, draws: np.random.Generator, truth: np.ndarray, size: int
) -> GroupCounts:
    mentions = draws.choice(3, size, p=truth)
    mentions[draws.random(size) < sampler.silent] = -1
    labels = sampler.things(draws, mentions, np.arange(size))
    return counted(labels, np.arange(size), sampler.groups)


def clustered_set(
    sampler: Sampler, draws: np.random.Generator, truth: np.ndarray, clusters: int
) -> GroupCounts:
    sizes = sampler.sizes(draws, clusters)
    own = draws.dirichlet(truth * (1 / sampler.alike - 1), clusters)  # (clusters, 3)
    places = np.repeat(np.arange(clusters), sizes)
    passed = own.cumsum(1)[places]
    mentions = (draws.random(len(places))[:, None] > passed).sum(1).clip(0, 2)
    if sampler.whole:
        labels = sampler.things(draws, mentions, places)
        return counted(labels, np.arange(clusters), sampler.groups)
    labels = sampler.things(draws, mentions, np.arange(len(places)))
    return counted(labels, places, sampler.groups)


# ---- what is found


def bootstrap(counts: GroupCounts, draws: np.random.Generator) -> tuple[float, float]:
    """The percentiles of the first group's share over resampled clusters."""
    _, places = np.unique(counts.clusters, return_inverse=True)
    own = np.bincount(places, counts.counts[:, 0])
    every = np.bincount(places, counts.counts.sum(1))
    times = draws.multinomial(len(own), np.full(len(own), 1 / len(own)), RESAMPLED)
    low, high = np.quantile((times @ own) / np.maximum(1, times @ every), (0.025, 0.975))
    return float(low), float(high)


def exact_width(share: Share) -> float:
    """Of Clopper and Pearson's interval."""
    found = stats.binomtest(share.count, share.total).proportion_ci(0.95, "exact")
    return float(found.high - found.low)


def enumerated(rate: float, size: int) -> float:
    """The coverage of Wilson's interval, over all outcomes."""
    counts = np.arange(size + 1)
    held = [wilson(int(count), size)[0] <= rate <= wilson(int(count), size)[1] for count in counts]
    return float(stats.binom.pmf(counts, size, rate)[held].sum())


def setting(sampler: Sampler, rate: float, size: int, clustered: bool, sets: int) -> dict:
    """What the intervals do over many sets of one rate and size."""
    truth = np.array([rate, *((1 - rate) * each for each in REST)])
    held = {"coverage": 0, "together": 0, "ignoring clusters": 0, "bootstrap": 0}
    widths, exact = [], []
    resampled = min(sets, BOOTSTRAPPED)
    for number in range(sets):
        draws = np.random.default_rng([number, size, round(1000 * rate), sampler.seed])
        make = clustered_set if clustered else independent_set
        counts = make(sampler, draws, truth, size)
        first = shares(counts)[0]
        held["coverage"] += first.low <= rate <= first.high
        together = zip(shares(counts, simultaneous=True), truth, strict=True)
        held["together"] += all(each.low <= true <= each.high for each, true in together)
        widths.append(first.high - first.low)
        if clustered:
            low, high = wilson(first.count, first.total)
            held["ignoring clusters"] += low <= rate <= high
            if number < resampled:
                low, high = bootstrap(counts, draws)
                held["bootstrap"] += low <= rate <= high
        else:
            exact.append(exact_width(first))
    found = {
        "rate": rate,
        "clusters" if clustered else "size": size,
        "coverage": held["coverage"] / sets,
        "together": held["together"] / sets,
        "width": round(float(np.mean(widths)), 4),
    }
    if clustered:
        found["ignoring clusters"] = held["ignoring clusters"] / sets
        found["bootstrap"] = held["bootstrap"] / resampled
        return found
    found["of the exact width"] = round(float(np.mean(widths) / np.mean(exact)), 4)
    if not sampler.silent:
        found["enumerated"] = round(enumerated(rate, size), 4)
    return found


def summary(settings: list[dict], sets: int) -> dict:
    """Of the settings of one content and kind: the mean, the extremes, which are outside."""
    coverage = np.array([each["coverage"] for each in settings])
    low, high = BETWEEN
    errors = [2 * (bound * (1 - bound) / sets) ** 0.5 for bound in BETWEEN]
    clearly = (coverage < low - errors[0]) | (coverage > high + errors[1])
    outside = (coverage < low) | (coverage > high)
    found = {
        "mean coverage": round(float(coverage.mean()), 4),
        "least": float(coverage.min()),
        "most": float(coverage.max()),
        "together, mean": round(float(np.mean([each["together"] for each in settings])), 4),
        "outside 92-98%": [settings[place] for place in np.flatnonzero(outside)],
        "clearly outside": int(clearly.sum()),
    }
    if "of the exact width" in settings[0]:
        wide = float(np.mean([each["of the exact width"] for each in settings]))
        found["of the exact width, mean"] = round(wide, 4)
    return found


def ratios(sets: int) -> list[dict]:
    """Removal by group: 3 times as often of one."""
    found = []
    for low in (0.02, 0.1):
        for size in (200, 2000):
            held = 0
            widths = []
            for number in range(sets):
                draws = np.random.default_rng([number, size, round(1000 * low)])
                rates = []
                for rate in (3 * low, low):
                    removed = draws.random(size) < rate
                    rows = np.stack([removed, ~removed], 1).astype(np.int64)
                    counts = GroupCounts(("removed", "kept"), rows, np.arange(size))
                    rates.append(shares(counts)[0])
                beside = ratio(*rates)
                held += beside.low <= 3 <= beside.high
                widths.append(beside.high / max(beside.low, 1e-9))
            found.append(
                {
                    "rates": [3 * low, low],
                    "size": size,
                    "coverage": held / sets,
                    "high / low": round(float(np.median(widths)), 3),
                }
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=1000)
    parser.add_argument("--only", nargs="*", default=[*SAMPLERS, "ratios"])
    parser.add_argument("--out")
    given = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict = {"sets": given.sets}
    for name in given.only:
        if name == "ratios":
            figures[name] = ratios(given.sets)
            continue
        sampler = SAMPLERS[name]()
        for kind, sizes in (("independent", SIZES), ("clustered", CLUSTERS)):
            found = []
            for rate in RATES:
                for size in sizes:
                    each = setting(sampler, rate, size, kind == "clustered", given.sets)
                    print(name, kind, each, file=sys.stderr, flush=True)
                    found.append(each)
            figures[f"{name}, {kind}"] = {"settings": found, **summary(found, given.sets)}
    sys.exit(finish("audit_coverage", figures, given.out))


if __name__ == "__main__":
    main()
