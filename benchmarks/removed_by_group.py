"""Removal by group: how often does the interval of a ratio hold the one that was planted?

    python benchmarks/removed_by_group.py [--sets 2000] [--corpora 40] [--out FILE]

1. Simulated sets: of two groups other shares are removed (.3 and .1), of 500 and 1,000 documents,
   each by itself, or in clusters of 1 to 5 that go together.
2. Corpora: texts with words of one of two groups, of which a rule (`own.words`, at least 20)
   removes one three times as often; built and asked as a person does.

Printed are the shares of sets in which the interval held the truth, which should be .95, and the
median width of the interval of the ratio, upper limit / lower limit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from common import finish
from genwright.curation.build import build
from genwright.curation.removed import removals
from genwright.curation.removed_rates import BINS, removal_rate
from genwright.curation.settings import CorpusRecipe
from genwright.evaluation.intervals import ratio

RATES = (0.3, 0.1)
DOCUMENTS = (500, 1000)
LARGEST = 5  # members of a cluster
TRUTH = RATES[0] / RATES[1]


def simulated(
    draws: np.random.Generator, rate: float, documents: int, largest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Documents that are removed, and that came, as `removed_rates` takes them. largest: members of
    a cluster that is removed as a whole."""
    sizes = draws.integers(1, largest + 1, documents)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), documents)]
    bins = 1 + draws.integers(0, BINS, len(sizes))
    places = np.repeat(np.where(sizes == 1, 0, bins), sizes)
    removed = np.repeat(draws.random(len(sizes)) < rate, sizes)
    came = np.bincount(places, minlength=1 + BINS)
    return np.bincount(places[removed], minlength=1 + BINS), came


def simulate(sets: int, largest: int, seed: int) -> dict[str, float]:
    """Coverage over simulated sets."""
    draws = np.random.default_rng([seed, largest])
    held = {"rate": 0, "ratio": 0}
    widths = []
    for _ in range(sets):
        rates = []
        for rate, documents in zip(RATES, DOCUMENTS, strict=True):
            rates.append(removal_rate("", *simulated(draws, rate, documents, largest)))
        found = ratio(*rates)
        held["rate"] += rates[0].low <= RATES[0] <= rates[0].high
        held["ratio"] += found.low <= TRUTH <= found.high
        widths.append(found.high / found.low)
    shares = {name: count / sets for name, count in held.items()}
    return {**shares, "width": float(np.median(widths))}


def write_texts(folder: Path, seed: int) -> None:
    """A file of texts of two groups."""
    draws = np.random.default_rng(seed)
    lines = []
    for word, rate, documents in zip(("she", "he"), RATES, DOCUMENTS, strict=True):
        for number in range(documents):
            count = 10 if draws.random() < rate else 30
            words = draws.integers(0, 10**6, count)
            lines.append(f'{{"text": "{word} {number} {" ".join(map(str, words))}"}}')
    folder.mkdir()
    (folder / "texts.jsonl").write_text("\n".join(lines))


def in_corpora(corpora: int) -> dict[str, float]:
    """Coverage over corpora that are built."""
    held = 0
    for seed in range(corpora):
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary)
            write_texts(place / "raw", seed)
            (place / "sex.csv").write_text("she,female\nhe,male\n")
            recipe = CorpusRecipe(
                name="planted",
                sources=[{"kind": "files", "path": str(place / "raw")}],
                filters=[{"attribute": "words", "at_least": 20}],
            )
            corpus, _ = build(recipe, place / "corpus", workers=1)
            (found,) = removals(corpus, [str(place / "sex.csv")], "own.words")
            beside = found.row("own.words", "female").ratio
            held += beside.low <= TRUTH <= beside.high
    return {"ratio": held / corpora}


def main() -> None:
    """Prints what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=int, default=2000)
    parser.add_argument("--corpora", type=int, default=40)
    parser.add_argument("--out")
    given = parser.parse_args()
    figures = {
        "sets": given.sets,
        "corpora": given.corpora,
        "planted ratio": TRUTH,
        "independent": simulate(given.sets, 1, 0),
        "clustered": simulate(given.sets, LARGEST, 0),
        "built": in_corpora(given.corpora),
    }
    sys.exit(finish("removed_by_group", figures, given.out))


if __name__ == "__main__":
    main()
